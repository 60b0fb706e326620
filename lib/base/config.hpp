// The settings of one process: merged from defaults, a TOML file, the environment and flags (later
// beats earlier), and checked before anything starts.
#pragma once

#include "base/network.hpp"
#include "base/policy.hpp"
#include "base/route.hpp"
#include "base/url.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace icapgate {

// TLS towards a peer, as client.
struct tls_settings {
  static constexpr const char* system = "system";
  static constexpr const char* off = "off";
  static constexpr const char* automatic = "auto";

  std::string ca = system;              // PEM file that is trusted in place of the system's store
  std::string certificate = off;        // PEM file with the chain that this side shows
  std::string key = off;                // PEM file; "off": the key stands in the certificate's file
  std::string server_name = automatic;  // SNI, and what the certificate must hold; "auto": the host
  bool verify = true;

  bool operator==(const tls_settings&) const = default;
};

// TLS towards clients, as server.
struct listen_tls_settings {
  std::vector<std::string> certificates;      // PEM files: each a chain; the first is the default
  std::vector<std::string> keys;              // PEM files, one for each; empty: in the same files
  std::string client_ca = tls_settings::off;  // PEM file: clients have to show a certificate of it
  std::string client_certificates = "required";  // or "optional": whoever shows none is served, too
  bool forward_client_cert = false;              // the origin is told the verified one (RFC 9440)

  bool wanted() const { return !certificates.empty(); }
  bool wants_certificates() const { return client_certificates == "required"; }
  bool operator==(const listen_tls_settings&) const = default;
};

// Where clients connect, and what is believed of those who do.
struct listener {
  static constexpr const char* forwarded = "forwarded";

  std::string name = "main";
  endpoint address{"0.0.0.0", 8080};
  std::vector<network> trusted_proxies;            // whose word on others counts; empty: nobody's
  std::string trusted_header = "x-forwarded-for";  // or "forwarded": which of both is believed
  bool proxy_protocol = false;      // trusted proxies begin each connection with a PROXY header
  std::string socket_mode = "660";  // of a unix socket, octal
  listen_tls_settings tls;
};

// Pools of connections to origins.
struct origin_settings {
  std::size_t idle_connections = 256;      // kept per worker
  std::chrono::milliseconds idle{30'000};  // a pooled connection's age without use

  bool operator==(const origin_settings&) const = default;
};

// Limits of connections to scanners, and of exchanges with them.
struct icap_settings {
  std::chrono::milliseconds connect{2'000};
  std::chrono::milliseconds progress{30'000};        // no byte accepted or received
  std::chrono::milliseconds verdict{60'000};         // last body byte to the answer's first byte
  std::chrono::milliseconds verdict_per_mib{1'000};  // added to that for each MiB of the body
  std::chrono::milliseconds total{600'000};          // one whole exchange
  std::chrono::milliseconds idle{50'000};            // a pooled connection's age without use
  std::size_t connections = 100;                     // to all scanners, for the whole process
  std::size_t warm_connections = 0;                  // of those, opened before they are needed
  std::chrono::milliseconds acquire{5'000};          // waiting for one of them
  std::chrono::milliseconds options_ttl{60'000};     // where a scanner names none
  std::chrono::milliseconds options_ttl_min{10'000};
  std::chrono::milliseconds options_ttl_max{3'600'000};
  std::size_t max_preview = 65536;  // bytes; the lower of this and the scanner's wish
  std::chrono::milliseconds canary_interval{300'000};  // 0: at start and at changes only

  bool operator==(const icap_settings&) const = default;
};

// How the names of origins and scanners are looked up.
struct dns_settings {
  std::vector<endpoint> servers;              // addresses; empty: those of the system
  std::chrono::milliseconds ttl_min{1'000};   // an answer is used for at least so long,
  std::chrono::milliseconds ttl_max{30'000};  // and at most
  std::chrono::milliseconds timeout{1'000};   // of the first question; twice as long for each next

  bool operator==(const dns_settings&) const = default;
};

struct config {
  std::vector<listener> listeners{listener{}};  // at least one; names and addresses differ
  std::optional<endpoint> admin;                // none: no admin listener
  // http://, https:// or http+unix:, no path: those of the default route, if there is one.
  std::vector<url> origins;
  std::vector<route> routes;  // complete, in the file's order
  tls_settings origin_tls;    // for https://
  scanner_group scanners;     // of the routes that name none
  tls_settings scanner_tls;   // for icaps://
  std::string scanner_user = "off";
  std::string scanner_password_file = "off";
  // Made of both by read_credentials(): a whole ICAP field with its CRLF, or empty. Never shown.
  std::string scanner_authorization;
  std::vector<std::string> embedded_sha256;  // lower-case hex: bodies the embedded scanner blocks
  std::vector<std::uint16_t> avoid_ports;    // responses from these origin ports are not scanned
  bool debug_fallback = false;               // scanner trouble: deliver the origin's response;
                                             // scan_policy.on_error is `pass` then
  unsigned workers = 0;                      // 0: one per core

  struct {
    std::chrono::milliseconds header{10'000};       // first byte of a head to its end
    std::chrono::milliseconds idle{75'000};         // between requests
    std::chrono::milliseconds progress{60'000};     // any other read or write
    std::chrono::milliseconds stream{900'000};      // nothing moves in a tunnel or an event stream
    std::chrono::milliseconds request{86'400'000};  // head's first byte to response's last; 0: any
    std::uint64_t min_rate = 500;                   // bytes a second while it is waited for; 0: any
    std::chrono::milliseconds rate_window{30'000};  // no setting: of such waits
    std::size_t max_connections = 0;                // in the whole process; 0: no limit
    std::size_t max_per_address = 0;                // likewise
  } client;
  origin_settings origin_limits;
  route_limits limits;  // of the routes that name none
  icap_settings icap_limits;
  std::string canary = "warn";            // off warn enforce: scanners are sent EICAR now and then
  std::string vendor = "generic";         // a row of icap/profile
  std::vector<std::string> scanner_told;  // client_ip server_ip user: told unasked, too
  bool scanner_sees_credentials = false;  // Authorization and Cookie go to the scanner as they are
  bool breaker = true;           // a scanner that fails too often is left alone for a while
  bool transfer_ignore = false;  // a scanner's Transfer-Ignore skips the scan

  dns_settings dns;

  std::size_t spool_memory = 1 << 20;  // bytes of one body kept in memory; the rest goes to a file
  std::string spool_dir = "/var/tmp";  // must exist and be writable
  // Of all bodies together, in the whole process.
  std::uint64_t spool_total_memory = 48ULL << 20;  // bytes
  std::uint64_t spool_total_disk = 10ULL << 30;    // bytes; 0: no files at all
  std::chrono::milliseconds spool_wait{5'000};     // for room in a full spool
  // Bytes; a body that is known to be larger is whole before it takes a scanner's connection.
  // 0: none waits.
  std::uint64_t spool_first_above = 16ULL << 20;
  // Bytes a second; a slower body gives its scanner's connection back until it is whole. 0: never.
  std::uint64_t spool_min_rate = 16ULL << 10;

  policy scan_policy;                  // where no rule decides
  std::vector<rule> rules;             // in the file's order; the effects are complete
  std::string block_template = "off";  // HTML file
  std::string block_template_text;     // what it holds; empty: there is none

  std::size_t max_head = 65536;          // bytes of one HTTP head
  std::size_t max_request_line = 16384;  // bytes of its first line, from a client
  unsigned max_fields = 200;             // of one HTTP head

  std::chrono::milliseconds drain_delay{0};          // after SIGTERM, before the drain
  std::chrono::milliseconds drain_timeout{300'000};  // running transfers after SIGTERM

  std::string access_log = "-";    // "-": standard output, "off", or a file
  std::string log_level = "info";  // trace debug info warn error off
};

// Where settings come from, besides the file that one of these names.
struct settings_sources {
  // A flag with its dashes, and its values in the order given.
  std::vector<std::pair<std::string, std::vector<std::string>>> flags;
  // All of the environment; names that don't begin with ICAPGATE_ are passed over.
  std::vector<std::pair<std::string, std::string>> environment;
  bool whole = true;  // false: nothing is missing where an origin or a scanner is not named
};

struct settings {
  config values;
  std::string file;  // empty: there was none
  // What is not left at its default: key path and values as given, without passwords.
  std::map<std::string, std::string> given;
  std::vector<std::string> problems;  // one line each, beginning with the place; empty: all is well
  std::vector<std::string> warnings;  // likewise: it may start, and probably isn't what was meant
};

// Merges and checks. Every problem is found in one run; with any problem `values` are not to be
// used.
settings load_settings(const settings_sources& from);

// What is given otherwise now, a line each: `policy.mode: "enforce", before: "monitor"`.
std::vector<std::string> differences(const settings& before, const settings& now);

}  // namespace icapgate
