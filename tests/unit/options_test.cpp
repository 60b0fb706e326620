#include "base/options.hpp"

#include "base/help.hpp"
#include "catch.hpp"

#include <algorithm>
#include <set>
#include <sstream>

using namespace icapgate;

namespace {

const option& row(std::string_view key) {
  for (const auto& r : options())
    if (r.key == key) return r;
  throw std::runtime_error("no row " + std::string(key));
}

std::vector<std::string> store_text(std::string_view key, std::vector<std::string> values,
                                    config& into) {
  return store(row(key), values, into);
}

std::string refusal(std::string_view key, const std::string& text) {
  config c;
  const auto problems = store_text(key, {text}, c);
  INFO(key << " " << text);
  REQUIRE(problems.size() == 1);
  return problems.front();
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void check_lines(const std::string& text, std::size_t most) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    INFO(line);
    CHECK(line.size() <= 80);
  }
  CHECK(count <= most);
}

}  // namespace

TEST_CASE("no two options share a flag, a variable or a key") {
  std::set<std::string> flags, names, keys;
  for (const auto& r : options()) {
    INFO(r.key << r.flag);
    if (!r.flag.empty()) CHECK(flags.emplace(r.flag).second);
    if (!r.key.empty()) CHECK(keys.emplace(r.key).second);
    CHECK(names.emplace(r.env_name()).second);
    CHECK_FALSE(r.help.empty());
    CHECK_FALSE(r.env_name().ends_with("_FILE"));
  }
}

TEST_CASE("the default that each row names is the default of the program") {
  for (const auto& r : options()) {
    if (r.initial.empty()) continue;
    INFO(r.key);
    config stored;
    CHECK(store(r, std::vector{std::string(r.initial)}, stored).empty());
    CHECK(show(r, stored) == show(r, config{}));
  }
}

TEST_CASE("environment variables are named after the flag, or else after the key") {
  CHECK(row("log.level").env_name() == "ICAPGATE_LOG_LEVEL");
  CHECK(row("policy.avoid_port").env_name() == "ICAPGATE_AVOID_PORT");
  CHECK(row("scanner.*.timeout.after_body").env_name() == "ICAPGATE_SCANNER__TIMEOUT__AFTER_BODY");
  CHECK(row("policy.spool.dir").env_name() == "ICAPGATE_POLICY__SPOOL__DIR");
  for (const auto& r : options()) {
    if (r.flag.empty()) continue;
    // --help says so for all of them.
    std::string expected = "ICAPGATE_" + std::string(r.flag.substr(2));
    for (char& c : expected) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    CHECK(r.env_name() == expected);
  }
}

TEST_CASE("an option is found by flag, variable and key") {
  CHECK(find_option_by_flag("--icap") == &row("scanner.*.servers"));
  CHECK(find_option_by_flag("") == nullptr);
  CHECK(find_option_by_env("ICAPGATE_ICAP") == &row("scanner.*.servers"));
  const std::vector<std::string> path{"listen", "any name", "address"};
  CHECK(find_option_by_key(path) == &row("listen.*.address"));
  CHECK(find_option_by_key(std::vector<std::string>{}) == nullptr);
  CHECK(find_option_by_key(std::vector<std::string>{"route", "origin"}) == nullptr);
  CHECK(is_key_prefix(std::vector<std::string>{"scanner", "x", "timeout"}));
  CHECK_FALSE(is_key_prefix(std::vector<std::string>{"log", "level"}));
}

TEST_CASE("an origin is http:// or https://HOST[:PORT], or a socket, and nothing more") {
  config c;
  CHECK(store_text("route[].origin", {"http://App:3000/"}, c).empty());
  REQUIRE(c.origins.size() == 1);
  CHECK(c.origins[0].to_string() == "http://app:3000");
  CHECK(store_text("route[].origin", {"https://app"}, c).empty());
  CHECK(c.origins[0].port == 443);
  CHECK(c.origins[0].authority() == "app");
  CHECK(store_text("route[].origin", {"http+unix:/run/app.sock"}, c).empty());
  CHECK(c.origins[0].unix_socket == "/run/app.sock");
  CHECK(c.origins[0].to_string() == "http+unix:/run/app.sock");
  CHECK(contains(refusal("route[].origin", "http+unix:run/app"), "no absolute path"));
  CHECK(contains(refusal("route[].origin", "icap://app/x"), "not an http:// URL"));
  CHECK(contains(refusal("route[].origin", "http://app/x"), "path"));
  CHECK(contains(refusal("route[].origin", "http://app/?a"), "query"));
  CHECK(contains(refusal("route[].origin", "http://app?a"), "query"));
  CHECK(contains(refusal("route[].origin", "app:3000"), "no scheme"));
}

TEST_CASE("a DNS server is an address, with a port or without") {
  config c;
  const std::vector<std::string> all{"10.0.0.53", "10.0.0.54:5353", "::1", "[2001:db8::1]:54"};
  CHECK(store_text("dns.servers", all, c).empty());
  CHECK(show(row("dns.servers"), c) ==
        std::vector<std::string>{"10.0.0.53:53", "10.0.0.54:5353", "[::1]:53", "[2001:db8::1]:54"});
  for (auto text : {"", "dns.example", "dns.example:53", "10.0.0.53:0", "10.0.0.53:x", "[::1]",
                    "unix:/run/dns", "10.0.0.300", "[::1]:53,10.0.0.1"})
    CHECK(contains(refusal("dns.servers", text), "is not an address"));
}

TEST_CASE("origins and scanners may be services that DNS knows") {
  config c;
  CHECK(store_text("route[].origin", {"https+srv://_http._tcp.app"}, c).empty());
  CHECK(c.origins[0].to_string() == "https+srv://_http._tcp.app");
  CHECK(store_text("scanner.*.servers", {"icap+srv://_icap._tcp.av/x,icaps+srv://b/y"}, c).empty());
  REQUIRE(c.scanners.servers.size() == 2);
  CHECK(c.scanners.servers[0].srv_name == "_icap._tcp.av");
  CHECK(contains(refusal("route[].origin", "icap+srv://app"), "not an http:// URL"));
  CHECK(contains(refusal("scanner.*.servers", "http+srv://app/x"), "not an icap:// URL"));
}

TEST_CASE("a scanner is an icap:// URL with a path, or the embedded one") {
  config c;
  CHECK(store_text("scanner.*.servers", {"icap://av/Scan?x=1", "embedded:"}, c).empty());
  REQUIRE(c.scanners.servers.size() == 1);
  CHECK(c.scanners.servers[0].path == "/Scan?x=1");
  CHECK(c.scanners.servers[0].port == 1344);
  CHECK(c.scanners.embedded);
  CHECK(store_text("scanner.*.servers", {"icap://b/s"}, c).empty());
  CHECK_FALSE(c.scanners.embedded);
  // The vendor may have a usual one.
  CHECK(store_text("scanner.*.servers", {"icap://av:1344", "icap://b/"}, c).empty());
  CHECK(contains(refusal("scanner.*.servers", "icap://av?x"), "no path"));
  CHECK(store_text("scanner.*.servers", {"icaps://av/s", "icap+unix:/run/s:/x"}, c).empty());
  CHECK(c.scanners.servers[0].port == 11344);
  CHECK(c.scanners.servers[1].unix_socket == "/run/s");
  CHECK(contains(refusal("scanner.*.servers", "http://av/s"), "not an icap:// URL"));
}

TEST_CASE("one text may hold several scanners, and a comma within a path stays there") {
  const auto scanners = [](const std::string& text) {
    config c;
    CHECK(store_text("scanner.*.servers", {text}, c).empty());
    return show(row("scanner.*.servers"), c);
  };
  using texts = std::vector<std::string>;
  CHECK(scanners("icap://a/x,icap://b/y") == texts{"icap://a/x", "icap://b/y"});
  CHECK(scanners("icap://a/x, icap://b/y,embedded:") ==
        texts{"icap://a/x", "icap://b/y", "embedded:"});
  CHECK(scanners("embedded:,icap://a/x") == texts{"icap://a/x", "embedded:"});
  CHECK(scanners("icap://a/x,icap+unix:/s:/y") == texts{"icap://a/x", "icap+unix:/s:/y"});
  CHECK(scanners("icap://a/x,y?z=1,2") == texts{"icap://a/x,y?z=1,2"});
  CHECK(scanners("icap://a/x,y,icap://b/,") == texts{"icap://a/x,y", "icap://b/,"});
  CHECK(contains(refusal("scanner.*.servers", "icap://a/x,http://b/y"), "\"http://b/y\" is not"));
  CHECK(contains(refusal("scanner.*.servers", "icap://a/x,embedded:z"), "\"embedded:z\" is not"));
  CHECK(contains(refusal("scanner.*.servers", ""), "is not a URL"));
}

TEST_CASE("every bad value of a list is told, and the list is left alone") {
  config c;
  c.avoid_ports = {1};
  const auto problems = store_text("policy.avoid_port", {"80", "0", "x", "65536", "443"}, c);
  CHECK(problems.size() == 3);
  CHECK(c.avoid_ports == std::vector<std::uint16_t>{1});
  CHECK(store_text("policy.avoid_port", {}, c).empty());
  CHECK(c.avoid_ports.empty());
}

TEST_CASE("a list of words takes any of its words and no other") {
  config c;
  CHECK(store_text("scanner.*.tell", {"user", "client_ip"}, c).empty());
  CHECK(c.scanner_told == std::vector<std::string>{"user", "client_ip"});
  CHECK(show(row("scanner.*.tell"), c) == c.scanner_told);
  CHECK(store_text("scanner.*.tell", {"user", "password"}, c).size() == 1);
  CHECK(c.scanner_told.size() == 2);
  CHECK(contains(refusal("scanner.*.tell", "User"), "is none of: client_ip server_ip user"));
  CHECK(store_text("scanner.*.tell", {}, c).empty());
  CHECK(c.scanner_told.empty());
}

TEST_CASE("bad values are quoted with what would be right") {
  CHECK(refusal("workers", "many") == "\"many\" is not a number between 0 and 1024");
  CHECK(refusal("workers", "1025") == "\"1025\" is not a number between 0 and 1024");
  CHECK(contains(refusal("client.timeout.head", "10"), "is not a time between 1ms and 24h"));
  CHECK(contains(refusal("client.timeout.head", "0"), "is not a time between 1ms and 24h"));
  CHECK(contains(refusal("client.timeout.head", "25h"), "is not a time"));
  CHECK(contains(refusal("policy.max_head", "2MiB"), "is not a size between 1KiB and 1MiB"));
  CHECK(contains(refusal("log.level", "loud"), "trace debug info warn error off"));
  CHECK(contains(refusal("log.level", "info warn"), "is none of"));
  CHECK(contains(refusal("log.level", ""), "is none of"));
  CHECK(contains(refusal("policy.debug_fallback", "yes"), "neither true nor false"));
  CHECK(contains(refusal("embedded.sha256", "abc"), "64 hexadecimal digits"));
  CHECK(contains(refusal("embedded.sha256", std::string(63, 'a') + 'g'), "64 hexadecimal digits"));
  CHECK(contains(refusal("log.access.to", ""), "is empty"));
  CHECK(contains(refusal("log.access.to", "a\nb"), "control character"));
  CHECK(contains(refusal("listen.*.address", "off"), "no port"));
}

TEST_CASE("hashes are kept in lower case") {
  config c;
  CHECK(store_text("embedded.sha256", {std::string(64, 'A')}, c).empty());
  CHECK(c.embedded_sha256 == std::vector{std::string(64, 'a')});
}

TEST_CASE("quoted values show no control characters and no passwords, and are short") {
  CHECK(in_quotes("a\x1b[2J\n") == "\"a\\x1b[2J\\x0a\"");
  CHECK(in_quotes("http://user:secret@host") == "\"http://-@host\"");
  CHECK(in_quotes(std::string(5000, 'x')).size() < 300);
}

TEST_CASE("lists are split at commas, blanks and empty parts do not count") {
  CHECK(split_list(" a ,b,, c,\n") == std::vector<std::string>{"a", "b", "c"});
  CHECK(split_list(" , ").empty());
}

TEST_CASE("the nearest name is found, a far one is not") {
  const std::vector<std::string> names{"debug_fallback", "avoid_port", "spool"};
  CHECK(nearest("debug_falback", names) == "debug_fallback");
  CHECK(nearest("avoid_prot", names) == "avoid_port");
  CHECK(nearest("spol", names) == "spool");
  CHECK(nearest("entirely_else", names).empty());
  CHECK(nearest("", names).empty());
}

TEST_CASE("The text of --help fits a screen and names every flag") {
  const auto text = help_text();
  check_lines(text, 25);
  for (const auto& r : options()) CHECK(contains(text, r.flag));
  CHECK(contains(text, "ICAPGATE_"));
}

TEST_CASE("a time that may be 0 says what 0 means") {
  for (const auto& r : options()) {
    INFO(r.key);
    if (r.kind == option_kind::duration && r.min == 0) CHECK(contains(std::string(r.help), "0: "));
  }
}

TEST_CASE("the topics of help fit a screen and name every option without a flag") {
  std::string text;
  for (const auto name : help_topics()) {
    INFO(name);
    const auto about = help_about(name);
    REQUIRE(about);
    check_lines(*about, name == "policy" ? 48 : name == "scanner" ? 40 : 24);
    CHECK(contains(help_text(), name));
    text += *about;
  }
  CHECK_FALSE(help_about("limit"));
  CHECK(contains(text, "scanner.NAME.timeout.total = 10m"));
  for (const auto& r : options())
    if (r.flag.empty()) CHECK(contains(text, r.help));
  for (const auto& r : rule_options()) CHECK(contains(text, r.help));
}

TEST_CASE("every word of a choice sets the value that it names") {
  const auto stored = [](std::string_view key, const std::string& word) {
    config c;
    CHECK(store_text(key, {word}, c).empty());
    CHECK(show(row(key), c) == std::vector{word});
    return c.scan_policy;
  };
  CHECK(stored("policy.mode", "enforce").mode == scan_mode::enforce);
  CHECK(stored("policy.mode", "monitor").mode == scan_mode::monitor);
  CHECK(stored("policy.mode", "off").mode == scan_mode::off);
  CHECK(stored("policy.on_oversize", "block").on_oversize == remedy::block);
  CHECK(stored("policy.on_oversize", "pass").on_oversize == remedy::pass);
  CHECK(stored("policy.on_unscannable", "block").on_unscannable == remedy::block);
  CHECK(stored("policy.on_unscannable", "pass").on_unscannable == remedy::pass);
  CHECK(stored("policy.on_error", "block").on_error == remedy::block);
  CHECK(stored("policy.on_error", "pass").on_error == remedy::pass);
  CHECK(stored("policy.delivery", "hold").delivery == delivery_mode::hold);
  CHECK(stored("policy.delivery", "trickle").delivery == delivery_mode::trickle);
  CHECK(stored("policy.range", "strip").range == range_mode::strip);
  CHECK(stored("policy.range", "serve").range == range_mode::serve);
  CHECK(stored("policy.range", "reject").range == range_mode::reject);
  CHECK(stored("policy.encoding", "identity").encoding == encoding_mode::identity);
  CHECK(stored("policy.encoding", "pass").encoding == encoding_mode::pass);
  CHECK(stored("policy.encoding", "decode").encoding == encoding_mode::decode);
  CHECK(stored("policy.block_page.source", "scanner").block_page == page_source::scanner);
  CHECK(stored("policy.block_page.source", "own").block_page == page_source::own);
  CHECK(contains(refusal("policy.mode", "on"), "is none of: enforce monitor off"));
  CHECK(contains(refusal("policy.mode", ""), "is none of"));
}

TEST_CASE("the policy's limits are inclusive") {
  const auto takes = [](std::string_view key, const std::string& text) {
    config c;
    return store_text(key, {text}, c).empty();
  };
  CHECK(takes("policy.max_scan_size", "0"));
  CHECK(takes("policy.trickle.rate", "1"));
  CHECK_FALSE(takes("policy.trickle.rate", "0"));
  CHECK(takes("policy.block_page.status", "400"));
  CHECK(takes("policy.block_page.status", "599"));
  CHECK_FALSE(takes("policy.block_page.status", "399"));
  CHECK_FALSE(takes("policy.block_page.status", "600"));
  CHECK(takes("policy.max_ratio", "0"));
  CHECK(takes("policy.max_ratio", "1000000"));
  CHECK_FALSE(takes("policy.max_ratio", "1000001"));
  CHECK(takes("policy.spool.total_memory", "1048576"));
  CHECK_FALSE(takes("policy.spool.total_memory", "1048575"));
  CHECK(takes("policy.spool.total_disk", "0"));
  CHECK(takes("policy.max_body_time", "1ms"));
  CHECK_FALSE(takes("policy.max_body_time", "0"));
}

TEST_CASE("a rule may override whatever the base has, and has rows of its own") {
  for (const auto& base : options()) {
    if (!base.sets_policy()) continue;
    INFO(base.key);
    const std::string name(base.key.substr(std::string_view("policy.").size()));
    const auto* row_of_rule = find_option_by_key(split_key("policy.rule[]." + name));
    REQUIRE(row_of_rule);
    CHECK(row_of_rule->kind == base.kind);
    CHECK(row_of_rule->choices == base.choices);
    rule r;
    config c;
    CHECK(store(*row_of_rule, std::vector{std::string(base.initial)}, r).empty());
    CHECK(store(base, std::vector{std::string(base.initial)}, c).empty());
  }
  for (auto name : {"reason", "method", "path", "host", "status", "media_type", "min_size",
                    "max_size", "event_stream", "upgrade"}) {
    CHECK(find_option_by_key(split_key("policy.rule[]." + std::string(name))));
    CHECK_FALSE(find_option_by_key(split_key("policy." + std::string(name))));
  }
  CHECK_FALSE(find_option_by_key(split_key("policy.rule[].avoid_port")));
}

TEST_CASE("what a rule sets leaves the base alone, and the other way round") {
  rule r;
  CHECK(store(*find_option_by_key(split_key("policy.rule[].mode")), std::vector<std::string>{"off"},
              r)
            .empty());
  CHECK(r.effects.mode == scan_mode::off);
  config c;
  c.rules.push_back(r);
  CHECK(store_text("policy.mode", {"monitor"}, c).empty());
  CHECK(c.rules[0].effects.mode == scan_mode::off);
  CHECK(c.scan_policy.mode == scan_mode::monitor);
}
