#include "base/help.hpp"

#include "base/options.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace icapgate {

namespace {

void add_columns(std::string& out, std::string_view left, std::size_t width,
                 std::string_view right) {
  const auto start = out.size();
  (out += "  ") += left;
  out.resize(std::max(start + 2 + width, out.size() + 1), ' ');
  (out += right) += '\n';
}

std::string with_initial(const option& row) {
  std::string text(row.help);
  const bool worth_saying = !row.initial.empty() && row.kind != option_kind::boolean;
  return worth_saying ? text + " (" + std::string(row.initial) + ')' : text;
}

std::string left_column(const option& row) {
  std::string text(row.flag);
  if (!row.argument.empty()) (text += ' ') += row.argument;
  return row.is_list() ? text + " ..." : text;
}

bool is_about_scanner(const option& row) {
  return row.key.starts_with("scanner.");
}

bool is_about_policy(const option& row) {
  return row.key.starts_with("policy.");
}

bool is_about_tls(const option& row) {
  return !is_about_scanner(row) && row.key.find(".tls.") != row.key.npos;
}

bool is_about_dns(const option& row) {
  return row.key.starts_with("dns.");
}

bool is_about_listeners(const option& row) {
  return row.key.starts_with("listen.") && !is_about_tls(row);
}

bool is_about_limits(const option& row) {
  return !is_about_dns(row) && !is_about_scanner(row) && !is_about_policy(row) &&
         !is_about_tls(row) && !is_about_listeners(row);
}

// The rows without a flag that `wanted` picks.
std::string keys(bool (*wanted)(const option&)) {
  std::string out;
  for (const auto& row : options()) {
    if (!row.flag.empty() || !wanted(row)) continue;
    std::string key;
    for (const auto& part : split_key(row.key))
      (key += key.empty() ? "" : ".") += part == "*" ? "NAME" : part;
    add_columns(out, key + " = " + std::string(row.initial.empty() ? "[]" : row.initial), 40,
                row.help);
  }
  return out;
}

std::string limits_text() {
  return "Limits and timeouts, as keys of the file (icapgate --config FILE) with defaults.\n"
         "As environment variables: client.timeout.head is ICAPGATE_CLIENT__TIMEOUT__HEAD.\n"
         "Times: 300ms 5s 5m 1h. Sizes: 65536 64KiB 10MB. timeout.idle: no byte moved.\n"
         "\n" +
         keys(is_about_limits);
}

std::string tls_text() {
  return "TLS towards clients and https:// origins, as keys of the file with defaults. As\n"
         "environment variables: origin.tls.ca is ICAPGATE_ORIGIN__TLS__CA. Files are PEM.\n"
         "\n" +
         keys(is_about_tls);
}

std::string dns_text() {
  return "How names of origins and scanners are looked up, as keys of the file with\n"
         "defaults. As environment variables: dns.ttl_max is ICAPGATE_DNS__TTL_MAX.\n"
         "\n" +
         keys(is_about_dns);
}

std::string listen_text() {
  return "Where clients connect and whose word counts, for each [listen.NAME] of the file,\n"
         "with defaults. For the only one there are environment variables, too:\n"
         "listen.NAME.socket_mode is ICAPGATE_LISTEN__SOCKET_MODE. TLS: icapgate help tls.\n"
         "\n" +
         keys(is_about_listeners);
}

std::string policy_text() {
  constexpr std::string_view prefix = "policy.rule[].";
  std::string out =
      "Which responses are scanned and what becomes of them, as keys of the file with\n"
      "defaults. As environment variables: policy.trickle.delay is\n"
      "ICAPGATE_POLICY__TRICKLE__DELAY; policy.mode is ICAPGATE_MODE.\n"
      "\n" +
      keys(is_about_policy) +
      "\n"
      "Any number of [[policy.rule]] in the file change these for some responses. The\n"
      "first one decides whose conditions all hold, each a text or a list of them:\n"
      "\n";
  for (const auto& row : rule_options()) {
    const std::string name(row.key.substr(prefix.size()));
    const bool own = !find_option_by_key(split_key("policy." + name));
    if (own) add_columns(out, name, 14, row.help);
  }
  return out +
         "and any of mode to block_page above, without \"policy.\". [[route]] has a table\n"
         "\"policy\" with the same: docs/routes.md.\n";
}

std::string scanner_text() {
  return "What is known of the scanners, as keys of the file with defaults. As environment\n"
         "variables: scanner.NAME.timeout.total is ICAPGATE_SCANNER__TIMEOUT__TOTAL.\n"
         "icapgate doctor URL finds out what to write here.\n"
         "\n" +
         keys(is_about_scanner);
}

struct topic {
  std::string_view name;
  std::string (*text)();
};

constexpr std::array topics{topic{"scanner", scanner_text}, topic{"policy", policy_text},
                            topic{"limits", limits_text},   topic{"listen", listen_text},
                            topic{"tls", tls_text},         topic{"dns", dns_text}};

}  // namespace

std::string_view program_version() {
  return ICAPGATE_VERSION;
}

std::string help_text() {
  std::string out =
      "icapgate: a reverse proxy that has an ICAP server scan every response.\n"
      "\n"
      "  icapgate --origin URL --icap URL [options]\n"
      "  icapgate demo [--once]     see it work: origin, scanner, gateway on loopback\n"
      "  icapgate doctor URL        can this scanner be trusted? what to write for it\n"
      "  icapgate health [--ready]  is the gateway with these settings alive? exit 0, 1\n"
      "  icapgate help TOPIC        of: scanner, policy, limits, listen, tls, dns\n"
      "\n";
  for (const auto& row : options())
    if (!row.flag.empty()) add_columns(out, left_column(row), 25, with_initial(row));
  add_columns(out, "-h, --help; --version", 25, "this text; versions of the program and its parts");
  out +=
      "\n"
      "Each option is an environment variable too: --log-level is ICAPGATE_LOG_LEVEL;\n"
      "ICAPGATE_ICAP and ICAPGATE_AVOID_PORT take lists with commas; NAME_FILE in place\n"
      "of NAME gives a file to read the value from. Flags beat these, these the file.\n"
      "Example: icapgate --origin http://app:3000 --icap icap://scanner:1344/avscan\n";
  return out;
}

std::vector<std::string_view> help_topics() {
  std::vector<std::string_view> names;
  for (const auto& one : topics) names.push_back(one.name);
  return names;
}

std::optional<std::string> help_about(std::string_view topic) {
  const auto found = std::ranges::find(topics, topic, &icapgate::topic::name);
  if (found == topics.end()) return std::nullopt;
  return found->text();
}

}  // namespace icapgate
