#include "base/options.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <type_traits>

namespace icapgate {

namespace {

constexpr std::uint64_t second = 1'000;
constexpr std::uint64_t hour = 3'600 * second;
constexpr std::uint64_t day = 24 * hour;
constexpr std::uint64_t mebibyte = 1 << 20;
constexpr std::uint64_t exbibyte = mebibyte << 40;

// The rows of icap/profile.cpp, which this layer can't see; a test compares both.
constexpr std::string_view scanner_vendors =
    "generic c-icap squidclamav symantec kaspersky kwts skyhigh metadefender trend-iwsva "
    "trend-ddan "
    "trend-vision-one eset fsecure fortisandbox checkpoint drweb sophos clearswift avira "
    "bitdefender "
    "forcepoint broadcom-dlp trellix-ivx votiro glasswall finjan e2guardian icapeg";

#define MEMBER(name) +[](config& c) -> decltype((c.name)) { return c.name; }
#define LISTENER(name) +[](listener& l) -> decltype((l.name)) { return l.name; }
#define SCANNER(name) +[](scanner_group& s) -> decltype((s.name)) { return s.name; }
#define LIMIT(name) +[](route_limits& l) -> decltype((l.name)) { return l.name; }
#define POLICY(name) +[](policy& p) -> decltype((p.name)) { return p.name; }
#define RULE(name) +[](rule& r) -> decltype((r.name)) { return r.name; }
#define ROUTE(name) +[](route& r) -> decltype((r.name)) { return r.name; }

// clang-format off
constexpr std::array table{
    // The frequent ones, in the order of --help.
    option{.key = "route[].origin", .flag = "--origin", .short_env = "ORIGIN",
           .kind = option_kind::origin_list, .argument = "URL",
           .help = "the server to protect: http://HOST[:PORT]",
           .target = MEMBER(origins), .required = true},
    option{.key = "scanner.*.servers", .flag = "--icap", .short_env = "ICAP",
           .kind = option_kind::url_list, .argument = "URL",
           .help = "the scanner: icap://HOST[:PORT]/SERVICE, or embedded:",
           .target = SCANNER(servers), .required = true},
    option{.key = "listen.*.address", .flag = "--listen", .short_env = "LISTEN",
           .kind = option_kind::endpoint, .argument = "HOST:PORT", .initial = "0.0.0.0:8080",
           .help = "where clients connect; or unix:/path",
           .target = LISTENER(address)},
    option{.key = "policy.avoid_port", .flag = "--avoid-port", .short_env = "AVOID_PORT",
           .kind = option_kind::port_list, .argument = "PORT",
           .help = "do not scan responses from this origin port",
           .target = MEMBER(avoid_ports), .min = 1, .max = 65535},
    option{.key = "policy.debug_fallback", .flag = "--debug-fallback", .short_env = "DEBUG_FALLBACK",
           .kind = option_kind::boolean, .initial = "false",
           .help = "scanner trouble: deliver UNSCANNED",
           .target = MEMBER(debug_fallback)},
    option{.key = "workers", .flag = "--workers", .short_env = "WORKERS",
           .kind = option_kind::integer, .argument = "N", .initial = "0",
           .help = "threads; 0: one per core",
           .target = MEMBER(workers), .max = 1024},
    option{.key = "admin.address", .flag = "--admin", .short_env = "ADMIN",
           .kind = option_kind::endpoint, .argument = "HOST:PORT", .initial = "off",
           .help = "/metrics, /status, /livez, /readyz",
           .target = MEMBER(admin)},
    option{.key = "log.access.to", .flag = "--access-log", .short_env = "ACCESS_LOG",
           .kind = option_kind::path, .argument = "-|off|FILE", .initial = "-",
           .help = "one JSON line per request",
           .target = MEMBER(access_log)},
    option{.key = "log.level", .flag = "--log-level", .short_env = "LOG_LEVEL",
           .kind = option_kind::choice, .argument = "LEVEL", .initial = "info",
           .help = "trace debug info warn error off",
           .target = MEMBER(log_level), .choices = "trace debug info warn error off"},
    option{.key = "", .flag = "--config", .short_env = "CONFIG",
           .kind = option_kind::path, .argument = "FILE",
           .help = "settings in TOML; see conf/icapgate.toml"},

    // Limits and timeouts: in the file and the environment only. `timeout.idle` means everywhere that
    // no byte moved, `keep_alive` how long an unused connection is kept.
    option{.key = "client.timeout.head",
           .kind = option_kind::duration, .argument = "TIME", .initial = "10s",
           .help = "request head, first byte to last",
           .target = MEMBER(client.header), .min = 1, .max = day},
    option{.key = "client.timeout.idle",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1m",
           .help = "client neither sends nor takes a byte",
           .target = MEMBER(client.progress), .min = 1, .max = day},
    option{.key = "client.timeout.stream",
           .kind = option_kind::duration, .argument = "TIME", .initial = "15m",
           .help = "no byte in a tunnel or event stream",
           .target = MEMBER(client.stream), .min = 1, .max = day},
    option{.key = "client.timeout.request",
           .kind = option_kind::duration, .argument = "TIME", .initial = "24h",
           .help = "a whole request; 0: no limit",
           .target = MEMBER(client.request), .max = 30 * day},
    option{.key = "client.min_rate",
           .kind = option_kind::size, .argument = "SIZE", .initial = "500",
           .help = "bytes a second that it moves; 0: any",
           .target = MEMBER(client.min_rate), .max = 1 << 30},
    option{.key = "client.keep_alive",
           .kind = option_kind::duration, .argument = "TIME", .initial = "75s",
           .help = "between two requests of a connection",
           .target = MEMBER(client.idle), .min = 1, .max = day},
    option{.key = "client.max_connections",
           .kind = option_kind::integer, .argument = "N", .initial = "0",
           .help = "clients at once; 0: no limit",
           .target = MEMBER(client.max_connections), .max = 10'000'000},
    option{.key = "client.max_per_address",
           .kind = option_kind::integer, .argument = "N", .initial = "0",
           .help = "of one address or IPv6 /64; 0: any",
           .target = MEMBER(client.max_per_address), .max = 10'000'000},
    option{.key = "client.max_body",
           .kind = option_kind::size, .argument = "SIZE", .initial = "0",
           .help = "of a request; more: 413; 0: no limit",
           .target = LIMIT(max_body), .max = exbibyte},
    option{.key = "listen.*.trusted_proxies",
           .kind = option_kind::network_list, .argument = "NETWORK",
           .help = "believed: 10.0.0.0/8, ::1, unix",
           .target = LISTENER(trusted_proxies)},
    option{.key = "listen.*.trusted_header",
           .kind = option_kind::choice, .argument = "NAME", .initial = "x-forwarded-for",
           .help = "or forwarded: which they set",
           .target = LISTENER(trusted_header), .choices = "x-forwarded-for forwarded"},
    option{.key = "listen.*.proxy_protocol",
           .kind = option_kind::boolean, .initial = "false",
           .help = "they begin with a PROXY header",
           .target = LISTENER(proxy_protocol)},
    option{.key = "listen.*.socket_mode",
           .kind = option_kind::choice, .argument = "MODE", .initial = "660",
           .help = "of a unix socket: 600, 660 or 666",
           .target = LISTENER(socket_mode), .choices = "600 660 666"},
    option{.key = "listen.*.tls.certificate",
           .kind = option_kind::file_list, .argument = "FILE",
           .help = "PEM; several: by SNI; none: no TLS",
           .target = LISTENER(tls.certificates)},
    option{.key = "listen.*.tls.key",
           .kind = option_kind::file_list, .argument = "FILE",
           .help = "one for each; none: in the same files",
           .target = LISTENER(tls.keys)},
    option{.key = "listen.*.tls.client_ca",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "clients must show a certificate of it",
           .target = LISTENER(tls.client_ca)},
    option{.key = "listen.*.tls.client_certificates",
           .kind = option_kind::choice, .argument = "WORD", .initial = "required",
           .help = "or optional: none will do",
           .target = LISTENER(tls.client_certificates), .choices = "required optional"},
    option{.key = "listen.*.tls.forward_client_cert",
           .kind = option_kind::boolean, .initial = "false",
           .help = "Client-Cert for the origin",
           .target = LISTENER(tls.forward_client_cert)},
    option{.key = "origin.timeout.connect",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5s",
           .help = "connecting, per address",
           .target = LIMIT(connect), .min = 1, .max = hour},
    option{.key = "origin.timeout.first_byte",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1m",
           .help = "request sent to response head",
           .target = LIMIT(first_byte), .min = 1, .max = day},
    option{.key = "origin.timeout.idle",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1m",
           .help = "origin neither sends nor takes a byte",
           .target = LIMIT(progress), .min = 1, .max = day},
    option{.key = "origin.min_rate",
           .kind = option_kind::size, .argument = "SIZE", .initial = "0",
           .help = "bytes a second of a body; 0: any",
           .target = LIMIT(min_rate), .max = 1 << 30},
    option{.key = "origin.keep_alive",
           .kind = option_kind::duration, .argument = "TIME", .initial = "30s",
           .help = "an unused connection is kept",
           .target = MEMBER(origin_limits.idle), .min = 1, .max = day},
    option{.key = "origin.idle_connections",
           .kind = option_kind::integer, .argument = "N", .initial = "256",
           .help = "unused connections kept per worker",
           .target = MEMBER(origin_limits.idle_connections), .max = 65535},
    option{.key = "origin.tls.ca",
           .kind = option_kind::path, .argument = "FILE", .initial = "system",
           .help = "https: the CAs to trust",
           .target = MEMBER(origin_tls.ca)},
    option{.key = "origin.tls.certificate",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "https: shown to the origin",
           .target = MEMBER(origin_tls.certificate)},
    option{.key = "origin.tls.key",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "its key; off: in the same file",
           .target = MEMBER(origin_tls.key)},
    option{.key = "origin.tls.server_name",
           .kind = option_kind::path, .argument = "NAME", .initial = "auto",
           .help = "of its certificate; auto: the URL's",
           .target = MEMBER(origin_tls.server_name)},
    option{.key = "origin.tls.verify",
           .kind = option_kind::boolean, .initial = "true",
           .help = "false: anybody may play the origin",
           .target = MEMBER(origin_tls.verify)},
    option{.key = "scanner.*.timeout.connect",
           .kind = option_kind::duration, .argument = "TIME", .initial = "2s",
           .help = "connecting, per address",
           .target = MEMBER(icap_limits.connect), .min = 1, .max = hour},
    option{.key = "scanner.*.timeout.idle",
           .kind = option_kind::duration, .argument = "TIME", .initial = "30s",
           .help = "scanner neither sends nor takes a byte",
           .target = MEMBER(icap_limits.progress), .min = 1, .max = day},
    option{.key = "scanner.*.timeout.after_body",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1m",
           .help = "last body byte to first answer byte",
           .target = MEMBER(icap_limits.verdict), .min = 1, .max = day},
    option{.key = "scanner.*.timeout.per_mib",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1s",
           .help = "more for each MiB of body; 0: none",
           .target = MEMBER(icap_limits.verdict_per_mib), .max = hour},
    option{.key = "scanner.*.timeout.total",
           .kind = option_kind::duration, .argument = "TIME", .initial = "10m",
           .help = "one whole scan",
           .target = MEMBER(icap_limits.total), .min = 1, .max = day},
    option{.key = "scanner.*.keep_alive",
           .kind = option_kind::duration, .argument = "TIME", .initial = "50s",
           .help = "an unused connection is kept",
           .target = MEMBER(icap_limits.idle), .min = 1, .max = day},
    option{.key = "scanner.*.connections",
           .kind = option_kind::integer, .argument = "N", .initial = "100",
           .help = "exchanges at once with each server",
           .target = MEMBER(icap_limits.connections), .min = 1, .max = 65535},
    option{.key = "scanner.*.warm_connections",
           .kind = option_kind::integer, .argument = "N", .initial = "0",
           .help = "kept open to each server, used or not",
           .target = MEMBER(icap_limits.warm_connections), .max = 65535},
    option{.key = "scanner.*.queue.wait",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5s",
           .help = "wait for a free connection; 0: none",
           .target = MEMBER(icap_limits.acquire), .max = hour},
    option{.key = "scanner.*.standby",
           .kind = option_kind::url_list, .argument = "URL",
           .help = "used while none of the servers can be",
           .target = SCANNER(standby)},
    option{.key = "scanner.*.vendor",
           .kind = option_kind::choice, .argument = "NAME", .initial = "generic",
           .help = "whose scanner it is, for its quirks",
           .target = MEMBER(vendor), .choices = scanner_vendors},
    option{.key = "scanner.*.canary",
           .kind = option_kind::choice, .argument = "off|warn|enforce", .initial = "warn",
           .help = "EICAR is sent: does it detect?",
           .target = MEMBER(canary), .choices = "off warn enforce"},
    option{.key = "scanner.*.canary_interval",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5m",
           .help = "between two canaries",
           .target = MEMBER(icap_limits.canary_interval), .min = second, .max = day},
    option{.key = "scanner.*.breaker",
           .kind = option_kind::boolean, .initial = "true",
           .help = "leave it alone after many failures",
           .target = MEMBER(breaker)},
    option{.key = "scanner.*.max_preview",
           .kind = option_kind::size, .argument = "SIZE", .initial = "64KiB",
           .help = "the scanner may ask for less",
           .target = MEMBER(icap_limits.max_preview), .max = mebibyte},
    option{.key = "scanner.*.options.ttl",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1m",
           .help = "where OPTIONS names none",
           .target = MEMBER(icap_limits.options_ttl), .min = second, .max = day},
    option{.key = "scanner.*.options.min",
           .kind = option_kind::duration, .argument = "TIME", .initial = "10s",
           .help = "a shorter Options-TTL counts as this",
           .target = MEMBER(icap_limits.options_ttl_min), .min = second, .max = day},
    option{.key = "scanner.*.options.max",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1h",
           .help = "a longer Options-TTL counts as this",
           .target = MEMBER(icap_limits.options_ttl_max), .min = second, .max = day},
    option{.key = "scanner.*.credentials",
           .kind = option_kind::boolean, .initial = "false",
           .help = "true: it sees Cookie and Authorization",
           .target = MEMBER(scanner_sees_credentials)},
    option{.key = "scanner.*.tell",
           .kind = option_kind::choice_list, .argument = "WORD",
           .help = "of client_ip server_ip user, unasked",
           .target = MEMBER(scanner_told), .choices = "client_ip server_ip user"},
    option{.key = "scanner.*.transfer_ignore",
           .kind = option_kind::boolean, .initial = "false",
           .help = "its Transfer-Ignore skips scans",
           .target = MEMBER(transfer_ignore)},
    option{.key = "scanner.*.tls.ca",
           .kind = option_kind::path, .argument = "FILE", .initial = "system",
           .help = "icaps: the CAs to trust",
           .target = MEMBER(scanner_tls.ca)},
    option{.key = "scanner.*.tls.certificate",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "icaps: shown to the scanner",
           .target = MEMBER(scanner_tls.certificate)},
    option{.key = "scanner.*.tls.key",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "its key; off: in the same file",
           .target = MEMBER(scanner_tls.key)},
    option{.key = "scanner.*.tls.server_name",
           .kind = option_kind::path, .argument = "NAME", .initial = "auto",
           .help = "of its certificate; auto: the URL's",
           .target = MEMBER(scanner_tls.server_name)},
    option{.key = "scanner.*.tls.verify",
           .kind = option_kind::boolean, .initial = "true",
           .help = "false: anybody may play the scanner",
           .target = MEMBER(scanner_tls.verify)},
    option{.key = "scanner.*.user",
           .kind = option_kind::path, .argument = "NAME", .initial = "off",
           .help = "for scanners that want one",
           .target = MEMBER(scanner_user)},
    option{.key = "scanner.*.password_path",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "its first line is the password",
           .target = MEMBER(scanner_password_file)},
    option{.key = "policy.mode", .short_env = "MODE",
           .kind = option_kind::choice, .argument = "enforce|monitor|off", .initial = "enforce",
           .help = "monitor: deliver at once, log verdicts",
           .target = POLICY(mode), .choices = "enforce monitor off"},
    option{.key = "policy.max_scan_size",
           .kind = option_kind::size, .argument = "SIZE", .initial = "100MiB",
           .help = "larger is oversize; 0: no limit",
           .target = POLICY(max_scan_size), .max = exbibyte},
    option{.key = "policy.on_oversize",
           .kind = option_kind::choice, .argument = "block|pass", .initial = "block",
           .help = "pass: deliver UNSCANNED",
           .target = POLICY(on_oversize), .choices = "block pass"},
    option{.key = "policy.on_unscannable",
           .kind = option_kind::choice, .argument = "block|pass", .initial = "block",
           .help = "encrypted, unknown coding, partial",
           .target = POLICY(on_unscannable), .choices = "block pass"},
    option{.key = "policy.on_error",
           .kind = option_kind::choice, .argument = "block|pass", .initial = "block",
           .help = "trouble with every scanner",
           .target = POLICY(on_error), .choices = "block pass"},
    option{.key = "policy.delivery",
           .kind = option_kind::choice, .argument = "hold|trickle", .initial = "hold",
           .help = "trickle: some before the verdict",
           .target = POLICY(delivery), .choices = "hold trickle"},
    option{.key = "policy.trickle.delay",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5s",
           .help = "head to first byte; 0: at once",
           .target = POLICY(trickle_delay), .max = hour},
    option{.key = "policy.trickle.rate",
           .kind = option_kind::size, .argument = "SIZE", .initial = "1KiB",
           .help = "a second",
           .target = POLICY(trickle_rate), .min = 1, .max = 1024 * mebibyte},
    option{.key = "policy.range",
           .kind = option_kind::choice, .argument = "strip|serve|reject", .initial = "serve",
           .help = "Range: the whole, cut after scan, 416",
           .target = POLICY(range), .choices = "strip serve reject"},
    option{.key = "policy.encoding",
           .kind = option_kind::choice, .argument = "identity|pass|decode", .initial = "identity",
           .help = "gzip...: unasked, scanned raw, decoded",
           .target = POLICY(encoding), .choices = "identity pass decode"},
    option{.key = "policy.max_ratio",
           .kind = option_kind::integer, .argument = "N", .initial = "100",
           .help = "decoded to encoded; 0: no limit",
           .target = POLICY(max_ratio), .max = 1'000'000},
    option{.key = "policy.max_body_time",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5m",
           .help = "for a body of unknown length",
           .target = POLICY(max_body_time), .min = 1, .max = day},
    option{.key = "policy.block_page.source",
           .kind = option_kind::choice, .argument = "scanner|own", .initial = "scanner",
           .help = "scanner: its page, if it sent one",
           .target = POLICY(block_page), .choices = "scanner own"},
    option{.key = "policy.block_page.status",
           .kind = option_kind::integer, .argument = "N", .initial = "403",
           .help = "of our own page",
           .target = POLICY(block_status), .min = 400, .max = 599},
    option{.key = "policy.block_page.template",
           .kind = option_kind::path, .argument = "FILE", .initial = "off",
           .help = "HTML for our own page, up to 64 KiB",
           .target = MEMBER(block_template)},
    option{.key = "policy.spool.memory",
           .kind = option_kind::size, .argument = "SIZE", .initial = "1MiB",
           .help = "of one body; the rest goes to a file",
           .target = MEMBER(spool_memory), .max = 1024 * mebibyte},
    option{.key = "policy.spool.dir",
           .kind = option_kind::path, .argument = "DIR", .initial = "/var/tmp",
           .help = "for those files; must be writable",
           .target = MEMBER(spool_dir)},
    option{.key = "policy.spool.total_memory",
           .kind = option_kind::size, .argument = "SIZE", .initial = "48MiB",
           .help = "of all bodies together",
           .target = MEMBER(spool_total_memory), .min = mebibyte, .max = exbibyte},
    option{.key = "policy.spool.total_disk",
           .kind = option_kind::size, .argument = "SIZE", .initial = "10GiB",
           .help = "of all files together; 0: no files",
           .target = MEMBER(spool_total_disk), .max = exbibyte},
    option{.key = "policy.spool.wait",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5s",
           .help = "for room in a full spool; 0: none",
           .target = MEMBER(spool_wait), .max = hour},
    option{.key = "policy.spool.first_above",
           .kind = option_kind::size, .argument = "SIZE", .initial = "16MiB",
           .help = "larger: whole, then scanned; 0: off",
           .target = MEMBER(spool_first_above), .max = exbibyte},
    option{.key = "policy.spool.min_rate",
           .kind = option_kind::size, .argument = "SIZE", .initial = "16KiB",
           .help = "a second; slower: likewise; 0: off",
           .target = MEMBER(spool_min_rate), .max = 1024 * mebibyte},
    option{.key = "policy.max_head",
           .kind = option_kind::size, .argument = "SIZE", .initial = "64KiB",
           .help = "of one HTTP head",
           .target = MEMBER(max_head), .min = 1024, .max = mebibyte},
    option{.key = "policy.max_request_line",
           .kind = option_kind::size, .argument = "SIZE", .initial = "16KiB",
           .help = "of its first line; longer: 414",
           .target = MEMBER(max_request_line), .min = 1024, .max = mebibyte},
    option{.key = "policy.max_fields",
           .kind = option_kind::integer, .argument = "N", .initial = "200",
           .help = "of one HTTP head; more: 431",
           .target = MEMBER(max_fields), .min = 1, .max = 10'000},
    option{.key = "admin.drain_delay",
           .kind = option_kind::duration, .argument = "TIME", .initial = "0",
           .help = "serve on, not ready; 0: drain at once",
           .target = MEMBER(drain_delay), .max = hour},
    option{.key = "dns.servers",
           .kind = option_kind::server_list, .argument = "ADDRESS",
           .help = "asked in place of the system's",
           .target = MEMBER(dns.servers)},
    option{.key = "dns.ttl_min",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1s",
           .help = "an answer's shorter TTL counts as this",
           .target = MEMBER(dns.ttl_min), .min = 100, .max = day},
    option{.key = "dns.ttl_max",
           .kind = option_kind::duration, .argument = "TIME", .initial = "30s",
           .help = "a longer TTL counts as this",
           .target = MEMBER(dns.ttl_max), .min = 100, .max = day},
    option{.key = "dns.timeout",
           .kind = option_kind::duration, .argument = "TIME", .initial = "1s",
           .help = "first of three tries with a server",
           .target = MEMBER(dns.timeout), .min = 10, .max = 60 * second},
    option{.key = "admin.drain_timeout",
           .kind = option_kind::duration, .argument = "TIME", .initial = "5m",
           .help = "transfers after SIGTERM; 0: no limit",
           .target = MEMBER(drain_timeout), .max = day},
    option{.key = "embedded.sha256",
           .kind = option_kind::hash_list, .argument = "HEX",
           .help = "bodies that embedded: blocks",
           .target = MEMBER(embedded_sha256)},
};

// A rule's own rows; the policy's are added to them.
constexpr std::array rule_table{
    option{.key = "policy.rule[].reason",
           .kind = option_kind::label, .argument = "TEXT",
           .help = "in the log and the metrics",
           .target = RULE(reason), .required = true},
    option{.key = "policy.rule[].method",
           .kind = option_kind::method_list, .argument = "METHOD",
           .help = "GET",
           .target = RULE(methods)},
    option{.key = "policy.rule[].path",
           .kind = option_kind::path_list, .argument = "PATTERN",
           .help = "/static/*; without the query",
           .target = RULE(paths)},
    option{.key = "policy.rule[].host",
           .kind = option_kind::host_list, .argument = "PATTERN",
           .help = "*.example.com; without the port",
           .target = RULE(hosts)},
    option{.key = "policy.rule[].status",
           .kind = option_kind::status_list, .argument = "STATUS",
           .help = "404; 4 or 4xx: all from 400 to 499",
           .target = RULE(statuses)},
    option{.key = "policy.rule[].media_type",
           .kind = option_kind::media_type_list, .argument = "PATTERN",
           .help = "image/*; without parameters",
           .target = RULE(media_types)},
    option{.key = "policy.rule[].min_size",
           .kind = option_kind::size, .argument = "SIZE",
           .help = "of a known length, or more",
           .target = RULE(min_size), .max = exbibyte},
    option{.key = "policy.rule[].max_size",
           .kind = option_kind::size, .argument = "SIZE",
           .help = "of a known length, or less",
           .target = RULE(max_size), .max = exbibyte},
    option{.key = "policy.rule[].event_stream",
           .kind = option_kind::boolean, .initial = "false",
           .help = "event streams pass UNSCANNED",
           .target = POLICY(event_stream)},
    option{.key = "policy.rule[].upgrade",
           .kind = option_kind::boolean, .initial = "false",
           .help = "Upgrade opens a tunnel, UNSCANNED",
           .target = POLICY(upgrade)},
};

// A route's own rows, beside that of its origins above.
constexpr std::array route_table{
    option{.key = "route[].name",
           .kind = option_kind::label, .argument = "TEXT",
           .help = "in the log",
           .target = ROUTE(name)},
    option{.key = "route[].host",
           .kind = option_kind::host_list, .argument = "PATTERN",
           .help = "*.example.com; without the port",
           .target = ROUTE(hosts)},
    option{.key = "route[].path",
           .kind = option_kind::path_prefix, .argument = "PREFIX",
           .help = "/shop: and what lies below",
           .target = ROUTE(path)},
};
// clang-format on

#undef MEMBER
#undef SCANNER
#undef LIMIT
#undef POLICY
#undef RULE
#undef ROUTE

constexpr std::string_view base_prefix = "policy.", rule_prefix = "policy.rule[].",
                           route_prefix = "route[].", route_policy_prefix = "route[].policy.",
                           scanner_prefix = "scanner.*.", route_scanner_prefix = "route[].scanner.";

template <class Owner>
bool sets(const option& row) {
  return std::visit([]<class M>(M) { return std::is_invocable_v<M, Owner&>; }, row.target);
}

// Rows of an array of tables: its own, and others under the names that they have in such a table.
struct table_rows {
  explicit table_rows(std::span<const option> own) : rows(own.begin(), own.end()) {}

  // Those that set a member of an Owner and whose keys begin with `from_prefix`.
  template <class Owner>
  void add(std::span<const option> from, std::string_view from_prefix, std::string_view prefix) {
    for (auto row : from) {
      if (!sets<Owner>(row) || !row.key.starts_with(from_prefix)) continue;
      keys.push_back(std::string(prefix) + std::string(row.key.substr(from_prefix.size())));
      row.key = keys.back();
      row.flag = {};
      row.short_env = {};
      row.required = false;
      rows.push_back(row);
    }
  }

  std::deque<std::string> keys;  // the rows point into it
  std::vector<option> rows;
};

table_rows make_rule_rows() {
  table_rows all(rule_table);
  all.add<policy>(table, base_prefix, rule_prefix);
  return all;
}

table_rows make_route_rows() {
  table_rows all(route_table);
  all.add<scanner_group>(table, scanner_prefix, route_scanner_prefix);
  all.add<route_limits>(table, "origin.", route_prefix);
  all.add<route_limits>(table, "client.", route_prefix);
  all.add<policy>(table, base_prefix, route_policy_prefix);
  all.add<policy>(rule_table, rule_prefix, route_policy_prefix);
  return all;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool matches(std::string_view pattern, std::string_view part) {
  return pattern == part || (pattern == "*" && part != "[]");
}

bool begins_with(std::span<const std::string> pattern, std::span<const std::string> path) {
  return path.size() <= pattern.size() &&
         std::ranges::equal(path, pattern.first(path.size()),
                            [](auto& part, auto& p) { return matches(p, part); });
}

// Levenshtein's distance, two rows of the matrix at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j)
      row[j + 1] = std::min({last[j + 1] + 1, row[j] + 1, last[j] + (a[i] != b[j])});
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

bool option::is_list() const {
  return kind == option_kind::origin_list || kind == option_kind::url_list ||
         kind == option_kind::port_list || kind == option_kind::hash_list ||
         kind == option_kind::choice_list || kind == option_kind::method_list ||
         kind == option_kind::path_list || kind == option_kind::host_list ||
         kind == option_kind::status_list || kind == option_kind::media_type_list ||
         kind == option_kind::network_list || kind == option_kind::file_list ||
         kind == option_kind::server_list;
}

bool option::sets_policy() const {
  return sets<policy>(*this);
}

bool option::sets_listener() const {
  return std::visit([]<class M>(M) { return std::is_invocable_v<M, listener&>; }, target);
}

std::string option::env_name() const {
  std::string name = "ICAPGATE_";
  if (!short_env.empty()) return name += short_env;
  bool first = true;
  for (const auto& part : split_key(key)) {
    if (part == "*" || part == "[]") continue;
    if (!first) name += "__";
    first = false;
    for (char c : part) name += upper(c);
  }
  return name;
}

std::span<const option> options() {
  return table;
}

std::span<const option> rule_options() {
  static const auto all = make_rule_rows();
  return all.rows;
}

std::span<const option> route_options() {
  static const auto all = make_route_rows();
  return all.rows;
}

const option* find_option_by_flag(std::string_view flag) {
  const auto found = std::ranges::find(table, flag, &option::flag);
  return flag.empty() || found == table.end() ? nullptr : found;
}

const option* find_option_by_env(std::string_view name) {
  const auto found = std::ranges::find(table, name, &option::env_name);
  return found == table.end() ? nullptr : found;
}

const option* find_option_by_key(std::span<const std::string> path) {
  for (const auto rows : {options(), rule_options(), route_options()}) {
    for (const auto& row : rows) {
      const auto pattern = split_key(row.key);
      if (path.size() == pattern.size() && begins_with(pattern, path) && !path.empty()) return &row;
    }
  }
  return nullptr;
}

bool is_key_prefix(std::span<const std::string> path) {
  const auto lies_below = [&](const option& row) {
    const auto pattern = split_key(row.key);
    return path.size() < pattern.size() && begins_with(pattern, path);
  };
  return std::ranges::any_of(options(), lies_below) ||
         std::ranges::any_of(rule_options(), lies_below) ||
         std::ranges::any_of(route_options(), lies_below);
}

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  while (!key.empty()) {
    std::string_view part = split_off(key, ".");
    const bool array = part.ends_with("[]");
    if (array) part.remove_suffix(2);
    parts.emplace_back(part);
    if (array) parts.emplace_back("[]");
  }
  return parts;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty())
    if (const auto part = trim(split_off(text, ","), " \t\r\n"); !part.empty())
      parts.emplace_back(part);
  return parts;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 200;
  const std::string shown = without_user_info(text);
  return '"' + escaped(shown.substr(0, longest)) + (shown.size() > longest ? "...\"" : "\"");
}

std::string_view nearest(std::string_view text, std::span<const std::string> candidates) {
  std::string_view best;
  std::size_t least = std::min<std::size_t>(3, text.size() / 3 + 1) + 1;
  for (const auto& c : candidates) {
    const auto d = distance(text, c);
    if (d < least) {
      least = d;
      best = c;
    }
  }
  return best;
}

}  // namespace icapgate
