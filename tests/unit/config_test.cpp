#include "base/config.hpp"

#include "base/config_file.hpp"
#include "base/options.hpp"
#include "catch.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

using namespace icapgate;
using namespace std::chrono_literals;

namespace {

// A folder of its own that goes with the test.
class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "icapgate-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

using variables = std::vector<std::pair<std::string, std::string>>;
using flags = std::vector<std::pair<std::string, std::vector<std::string>>>;

const variables enough{{"ICAPGATE_ORIGIN", "http://app:3000"},
                       {"ICAPGATE_ICAP", "icap://av:1344/avscan"}};

settings load(const variables& environment, const flags& given = {}) {
  return load_settings({given, environment});
}

// Enough to start, and `more`, which may set the same again.
settings load_more(const variables& more, const flags& given = {}) {
  std::map<std::string, std::string> all(enough.begin(), enough.end());
  for (const auto& [name, value] : more) all[name] = value;
  return load({all.begin(), all.end()}, given);
}

settings load_file(std::string_view text, const flags& given = {}) {
  const folder here;
  return load_more({{"ICAPGATE_CONFIG", here.file("icapgate.toml", text)}}, given);
}

std::string all_problems(const settings& s) {
  std::string text;
  for (const auto& p : s.problems) text += p + '\n';
  return text;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The one problem of the file, without its folder.
std::string file_problem(std::string_view text) {
  const auto loaded = load_file(text);
  INFO(text);
  INFO(all_problems(loaded));
  REQUIRE(loaded.problems.size() == 1);
  const auto& p = loaded.problems.front();
  return p.substr(p.find("icapgate.toml"));
}

constexpr const char* trusted_proxies = "ICAPGATE_LISTEN__TRUSTED_PROXIES";
constexpr const char* tls_certificate = "ICAPGATE_LISTEN__TLS__CERTIFICATE";
constexpr const char* tls_client_ca = "ICAPGATE_LISTEN__TLS__CLIENT_CA";

// Means nothing without a certificate.
bool needs_certificate(const option& row) {
  return row.key.starts_with("listen.*.tls.") && row.key != "listen.*.tls.certificate";
}

// Means nothing where clients are not asked for certificates.
bool needs_client_ca(const option& row) {
  return row.key == "listen.*.tls.client_certificates" ||
         row.key == "listen.*.tls.forward_client_cert";
}

// A value that is good for the row and not its default.
std::string other_value(const option& row) {
  if (row.key == "policy.spool.dir") return "/";
  if (row.key == "policy.spool.total_memory") return "2MiB";
  if (row.key == "policy.block_page.status") return "451";
  if (row.key == "policy.block_page.template") return ICAPGATE_SAMPLE;
  switch (row.kind) {
    case option_kind::endpoint:
      return "127.0.0.1:1";
    case option_kind::origin_list:
      return "http://other:1";
    case option_kind::url_list:
      return row.required ? "embedded:" : "icap://standby/x";
    case option_kind::port_list:
      return "81";
    case option_kind::hash_list:
      return std::string(64, '5');
    case option_kind::boolean:
      return "true";
    case option_kind::integer:
      return "7";
    case option_kind::size:
      return "2KiB";
    case option_kind::duration:
      return "1234ms";
    case option_kind::choice:
    case option_kind::choice_list: {
      const auto last = row.choices.substr(row.choices.rfind(' ') + 1);
      return std::string(last);
    }
    case option_kind::path:
    case option_kind::file_list:
      return "/other";
    case option_kind::server_list:
      return "10.0.0.53:5353";
    case option_kind::network_list:
      return "10.0.0.0/8";
    default:
      return {};  // of rules, which are in the file only
  }
}

std::string as_toml(const option& row, const std::string& value) {
  std::string key;
  for (const auto& part : split_key(row.key)) {
    if (part == "[]") continue;
    key += (key.empty() ? "" : ".") + (part == "*" ? "any" : part);
  }
  const bool bare = row.kind == option_kind::boolean || row.kind == option_kind::integer;
  const std::string text = bare ? value : '"' + value + '"';
  if (row.key == "route[].origin") return "[[route]]\norigin = [" + text + "]\n";
  return key + " = " + (row.is_list() ? '[' + text + ']' : text) + '\n';
}

// Exactly this row has changed, beside those that were needed to start.
void check_only(const option& row, const std::string& value, const settings& loaded) {
  INFO(row.key);
  INFO(all_problems(loaded));
  CHECK(loaded.problems.empty());
  CHECK(show(row, loaded.values) == std::vector{value});
  const settings base = load(enough);
  for (const auto& other : options()) {
    const bool needed =
        (other.key == "scanner.*.servers" && row.key == "embedded.sha256") ||
        (other.key == "listen.*.trusted_proxies" && row.key == "listen.*.proxy_protocol") ||
        (other.key == "listen.*.tls.certificate" && needs_certificate(row)) ||
        (other.key == "listen.*.tls.client_ca" && needs_client_ca(row)) ||
        (other.key == "policy.on_error" && row.key == "policy.debug_fallback");
    if (&other == &row || needed) continue;
    INFO(other.key);
    CHECK(show(other, loaded.values) == show(other, base.values));
  }
}

}  // namespace

TEST_CASE("two settings are enough, the rest has defaults") {
  const auto loaded = load(enough);
  CHECK(all_problems(loaded).empty());
  REQUIRE(loaded.values.routes.size() == 1);
  CHECK(loaded.values.routes[0].name == "default");
  REQUIRE(loaded.values.routes[0].origins.size() == 1);
  CHECK(loaded.values.routes[0].origins[0].to_string() == "http://app:3000");
  REQUIRE(loaded.values.scanners.servers.size() == 1);
  CHECK(loaded.values.scanners.servers[0].to_string() == "icap://av/avscan");
  CHECK(loaded.values.listeners.front().address == endpoint{"0.0.0.0", 8080});
  CHECK_FALSE(loaded.values.admin);
  CHECK(loaded.file.empty());
}

TEST_CASE("what is missing is told with every way to give it, and the demo") {
  const auto text = all_problems(load({}));
  for (auto part : {"no origin:", "--origin URL", "ICAPGATE_ORIGIN", "no icap:", "--icap URL",
                    "ICAPGATE_ICAP", "icapgate demo"}) {
    INFO(part);
    CHECK(contains(text, part));
  }
  CHECK(load({}).problems.size() == 2);
}

TEST_CASE("TLS of a listener: keys belong to certificates, and so does the clients' authority") {
  const auto problem = [](const variables& more) {
    const auto loaded = load_more(more);
    INFO(all_problems(loaded));
    REQUIRE(loaded.problems.size() == 1);
    return loaded.problems.front();
  };
  const char* key = "ICAPGATE_LISTEN__TLS__KEY";
  CHECK(load_more({{tls_certificate, "/a,/b"}, {key, "/c,/d"}}).problems.empty());
  CHECK(load_more({{tls_certificate, "/a,/b"}}).problems.empty());
  CHECK(contains(problem({{tls_certificate, "/a,/b"}, {key, "/c"}}), "one key for each"));
  CHECK(contains(problem({{key, "/c"}}), "one key for each"));
  CHECK(contains(problem({{tls_client_ca, "/a"}}), "none of our own"));
  const char* wanted = "ICAPGATE_LISTEN__TLS__CLIENT_CERTIFICATES";
  const char* forward = "ICAPGATE_LISTEN__TLS__FORWARD_CLIENT_CERT";
  CHECK(contains(problem({{tls_certificate, "/a"}, {wanted, "optional"}}), "without client_ca"));
  CHECK(contains(problem({{tls_certificate, "/a"}, {forward, "true"}}), "without client_ca"));
  CHECK(load_more({{tls_certificate, "/a"}, {tls_client_ca, "/b"}, {forward, "true"}})
            .problems.empty());
}

TEST_CASE("every row is reachable from the environment") {
  for (const auto& row : options()) {
    if (row.key.empty()) continue;
    const auto value = other_value(row);
    variables more{{row.env_name(), value}};
    if (row.key == "embedded.sha256") more.emplace_back("ICAPGATE_ICAP", "embedded:");
    if (row.key == "listen.*.proxy_protocol") more.emplace_back(trusted_proxies, "unix");
    if (needs_certificate(row)) more.emplace_back(tls_certificate, "/shown");
    if (needs_client_ca(row)) more.emplace_back(tls_client_ca, "/ca");
    check_only(row, value, load_more(more));
  }
}

TEST_CASE("every row is reachable from a file that a variable names") {
  const folder here;
  for (const auto& row : options()) {
    if (row.key.empty()) continue;
    const auto value = other_value(row);
    std::map<std::string, std::string> all(enough.begin(), enough.end());
    if (row.key == "embedded.sha256") all["ICAPGATE_ICAP"] = "embedded:";
    if (row.key == "listen.*.proxy_protocol") all[trusted_proxies] = "unix";
    if (needs_certificate(row)) all[tls_certificate] = "/shown";
    if (needs_client_ca(row)) all[tls_client_ca] = "/ca";
    all.erase(row.env_name());
    all[row.env_name() + "_FILE"] = here.file("value", value + "\n");
    check_only(row, value, load({all.begin(), all.end()}));
  }
}

TEST_CASE("every row is reachable from TOML") {
  for (const auto& row : options()) {
    if (row.key.empty()) continue;
    const auto value = other_value(row);
    const folder here;
    std::map<std::string, std::string> all(enough.begin(), enough.end());
    if (row.key == "embedded.sha256") all["ICAPGATE_ICAP"] = "embedded:";
    if (row.key == "listen.*.proxy_protocol") all[trusted_proxies] = "unix";
    if (needs_certificate(row)) all[tls_certificate] = "/shown";
    if (needs_client_ca(row)) all[tls_client_ca] = "/ca";
    all.erase(row.env_name());
    all["ICAPGATE_CONFIG"] = here.file("x.toml", as_toml(row, value));
    check_only(row, value, load({all.begin(), all.end()}));
  }
}

TEST_CASE("every key lands in the member that it is meant for") {
  const auto loaded = load_file(R"(
workers = 3
[listen.a]
address = "127.0.0.1:81"
trusted_proxies = ["10.0.0.0/8", "unix"]
trusted_header = "forwarded"
proxy_protocol = true
socket_mode = "600"
[admin]
address = "127.0.0.1:82"
drain_timeout = "1s"
[policy]
avoid_port = [83, 84]
debug_fallback = true
max_head = "5KiB"
max_request_line = "4KiB"
max_fields = 41
spool = { memory = "6KiB", dir = "/", total_memory = "22MiB", total_disk = "23MiB", wait = "24s", first_above = "25MiB", min_rate = "26KiB" }
max_scan_size = "7MiB"
trickle = { delay = "27s", rate = "28KiB" }
max_ratio = 29
max_body_time = "30s"
block_page = { status = 431 }
[log]
access = { to = "off" }
level = "warn"
[client]
timeout = { head = "7s", idle = "8s", stream = "31s", request = "34s" }
min_rate = 35
keep_alive = "9s"
max_connections = 32
max_per_address = 33
[origin]
timeout = { connect = "10s", first_byte = "11s", idle = "12s" }
min_rate = "36KiB"
keep_alive = "13s"
idle_connections = 14
[scanner.b]
timeout = { connect = "15s", idle = "16s", after_body = "17s", total = "18s" }
keep_alive = "19s"
connections = 20
queue = { wait = "21s" }
)");
  CHECK(all_problems(loaded).empty());
  const config& v = loaded.values;
  CHECK(v.workers == 3);
  CHECK(v.listeners.front().address == endpoint{"127.0.0.1", 81});
  REQUIRE(v.listeners.front().trusted_proxies.size() == 2);
  CHECK(v.listeners.front().trusted_proxies[0].to_string() == "10.0.0.0/8");
  CHECK(v.listeners.front().trusted_proxies[1].local);
  CHECK(v.listeners.front().trusted_header == "forwarded");
  CHECK(v.listeners.front().proxy_protocol);
  CHECK(v.listeners.front().socket_mode == "600");
  CHECK(v.client.max_connections == 32);
  CHECK(v.client.max_per_address == 33);
  CHECK(v.admin == endpoint{"127.0.0.1", 82});
  CHECK(v.drain_timeout == 1s);
  CHECK(v.avoid_ports == std::vector<std::uint16_t>{83, 84});
  CHECK(v.debug_fallback);
  CHECK(v.max_head == 5 * 1024);
  CHECK(v.max_request_line == 4 * 1024);
  CHECK(v.max_fields == 41);
  CHECK(v.spool_memory == 6 * 1024);
  CHECK(v.spool_dir == "/");
  CHECK(v.spool_total_memory == 22 << 20);
  CHECK(v.spool_total_disk == 23 << 20);
  CHECK(v.spool_wait == 24s);
  CHECK(v.spool_first_above == 25 << 20);
  CHECK(v.spool_min_rate == 26 * 1024);
  CHECK(v.scan_policy.max_scan_size == 7 << 20);
  CHECK(v.scan_policy.trickle_delay == 27s);
  CHECK(v.scan_policy.trickle_rate == 28 * 1024);
  CHECK(v.scan_policy.max_ratio == 29);
  CHECK(v.scan_policy.max_body_time == 30s);
  CHECK(v.scan_policy.block_status == 431);
  CHECK(v.access_log == "off");
  CHECK(v.log_level == "warn");
  CHECK(v.client.header == 7s);
  CHECK(v.client.progress == 8s);
  CHECK(v.client.stream == 31s);
  CHECK(v.client.idle == 9s);
  CHECK(v.client.request == 34s);
  CHECK(v.client.min_rate == 35);
  CHECK(v.limits.min_rate == 36 * 1024);
  CHECK(v.limits.connect == 10s);
  CHECK(v.limits.first_byte == 11s);
  CHECK(v.limits.progress == 12s);
  CHECK(v.origin_limits.idle == 13s);
  CHECK(v.origin_limits.idle_connections == 14);
  CHECK(v.icap_limits.connect == 15s);
  CHECK(v.icap_limits.progress == 16s);
  CHECK(v.icap_limits.verdict == 17s);
  CHECK(v.icap_limits.total == 18s);
  CHECK(v.icap_limits.idle == 19s);
  CHECK(v.icap_limits.connections == 20);
  CHECK(v.icap_limits.acquire == 21s);
}

TEST_CASE("flags beat the environment, which beats the file, which beats the default") {
  const folder here;
  const auto file = here.file("f.toml",
                              "workers = 2\nlog.level = \"warn\"\n[client]\n"
                              "keep_alive = \"2s\"\n");
  const auto loaded = load_more(
      {{"ICAPGATE_CONFIG", file}, {"ICAPGATE_WORKERS", "3"}, {"ICAPGATE_LOG_LEVEL", "debug"}},
      {{"--workers", {"4"}}});
  CHECK(all_problems(loaded).empty());
  CHECK(loaded.values.workers == 4);
  CHECK(loaded.values.log_level == "debug");
  CHECK(loaded.values.client.idle == 2s);
  CHECK(loaded.values.client.header == 10s);
  CHECK(loaded.file == file);
}

TEST_CASE("a list given at a higher level replaces the lower one") {
  const folder here;
  const auto file = here.file("f.toml", "policy.avoid_port = [1, 2]\n");
  CHECK(load_more({{"ICAPGATE_CONFIG", file}}).values.avoid_ports.size() == 2);
  CHECK(load_more({{"ICAPGATE_CONFIG", file}, {"ICAPGATE_AVOID_PORT", "3,4, 5"}})
            .values.avoid_ports == std::vector<std::uint16_t>{3, 4, 5});
  CHECK(load_more({{"ICAPGATE_CONFIG", file}, {"ICAPGATE_AVOID_PORT", "3,4"}},
                  {{"--avoid-port", {"6"}}})
            .values.avoid_ports == std::vector<std::uint16_t>{6});
  CHECK(load_more({{"ICAPGATE_ICAP", "embedded:"}}, {{"--icap", {"icap://x/y"}}})
            .values.scanners.embedded == false);
}

TEST_CASE("The flag --config beats ICAPGATE_CONFIG, and the other file is not read") {
  const folder here;
  const auto file = here.file("f.toml", "workers = 2\n");
  const auto loaded =
      load_more({{"ICAPGATE_CONFIG", here.path("missing")}}, {{"--config", {file}}});
  CHECK(all_problems(loaded).empty());
  CHECK(loaded.values.workers == 2);
}

TEST_CASE("a file that is missing, a folder or too large is told with its place") {
  const folder here;
  for (const auto& name : {here.path("missing"), std::string("/"), std::string("/dev/zero")}) {
    const auto loaded = load({}, {{"--config", {name}}});
    INFO(all_problems(loaded));
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].starts_with("--config: \"" + name + "\" "));
  }
}

TEST_CASE("problems of the file name line and column") {
  CHECK(file_problem("[policy]\n\n  avoid_prot = [1]\n") ==
        "icapgate.toml:3:3: unknown key \"avoid_prot\" in [policy]; did you mean \"avoid_port\"?");
  CHECK(file_problem("workers = 4\n[client]\nkeep_alive = \"5\"\n")
            .starts_with("icapgate.toml:3:14: client.keep_alive: \"5\" is not a time"));
  CHECK(file_problem("workers = \n").starts_with("icapgate.toml:1:"));
  CHECK(file_problem("workers = 1\nworkers = 2\n").starts_with("icapgate.toml:2:"));
}

TEST_CASE("an unknown key is answered with the name that was meant") {
  CHECK(contains(file_problem("debug_fallback = true\n"), "\"policy.debug_fallback\""));
  CHECK(contains(file_problem("[polcy]\ndebug_fallback = true\n"), "\"policy\""));
  CHECK(contains(file_problem("[scanner.av]\nqueue = { wiat = \"1s\" }\n"),
                 "in [scanner.av.queue]; did you mean \"wait\"?"));
  CHECK(contains(file_problem("[[route]]\norign = \"http://a\"\n"),
                 "in [[route]]; did you mean \"origin\"?"));
  CHECK(contains(file_problem("[listen.x]\nadress = \"\"\n"), "\"address\""));
  CHECK(file_problem("zzzzzzzz = 1\n") == "icapgate.toml:1:1: unknown key \"zzzzzzzz\"");
}

TEST_CASE("the file's tables have the shape that the table of options gives them") {
  CHECK(contains(file_problem("[scanner.a]\n[scanner.b]\n"), "only one [scanner.NAME]"));
  CHECK(contains(file_problem("[route]\norigin = \"http://a\"\n"), "[[route]]"));
  CHECK(contains(file_problem("route = []\n"), "[[route]]"));
  CHECK(contains(file_problem("route = 1\n"), "[[route]]"));
  CHECK(contains(file_problem("[listen]\naddress = \"a:1\"\n"), "name of your choice"));
  CHECK(contains(file_problem("policy = 1\n"), "must be a table"));
  CHECK(contains(file_problem("[workers]\n"), "must be text"));
  CHECK(contains(file_problem("workers = [1]\n"), "one value, not a list"));
  CHECK(contains(file_problem("workers = 1.5\n"), "must be text, a whole number"));
  CHECK(contains(file_problem("policy.avoid_port = [[1]]\n"), "must be text, a whole number"));
  CHECK(contains(file_problem("workers = 1979-05-27\n"), "must be text, a whole number"));
}

TEST_CASE("a flag with an empty value is told as such, and not as missing") {
  const auto loaded = load({}, {{"--origin", {""}}, {"--icap", {"icap://a/x"}}});
  CHECK(loaded.problems == std::vector<std::string>{"--origin: is empty"});
  CHECK(loaded.values.scanners.servers.size() == 1);
  CHECK(load_more({}, {{"--debug-fallback", {""}}}).problems ==
        std::vector<std::string>{"--debug-fallback: is empty"});
}

TEST_CASE("a text of the file may hold several scanners") {
  const auto loaded = load_file("scanner.av.servers = \"icap://a/x,icap://b/y\"\n",
                                {{"--icap", {"icap://c/z,icap://d/z"}}});
  CHECK(loaded.problems.empty());
  CHECK(loaded.values.scanners.servers.size() == 2);
  const folder here;
  const auto file = here.file("f.toml", "scanner.av.servers = \"icap://a/x,icap://b/y\"\n");
  const auto from_file = load({{"ICAPGATE_ORIGIN", "http://app"}, {"ICAPGATE_CONFIG", file}});
  CHECK(from_file.problems.empty());
  CHECK(from_file.values.scanners.servers.size() == 2);
}

TEST_CASE("all problems of all places are told at once") {
  const folder here;
  const auto file =
      here.file("f.toml", "workers = \"many\"\nnonsense = 1\n[policy]\nmax_head = 1\n");
  const auto loaded =
      load({{"ICAPGATE_CONFIG", file},
            {"ICAPGATE_ICAP", "icap://av?x,http://b/c"},
            {"ICAPGATE_LOG_LEVEL", "loud"},
            {"ICAPGATE_POLICY__SPOOL__DIR", here.path("nowhere")}},
           {{"--listen", {"8080"}}, {"--origin", {"http://a"}}, {"--admin", {"off", "off"}}});
  const auto text = all_problems(loaded);
  INFO(text);
  CHECK(loaded.problems.size() == 9);
  for (const std::string& part :
       {file + ":1:11: workers: \"many\"", file + ":2:1: unknown key \"nonsense\"",
        file + ":4:12: policy.max_head: \"1\"", std::string("ICAPGATE_ICAP: \"icap://av?x\""),
        std::string("ICAPGATE_ICAP: \"http://b/c\""), std::string("ICAPGATE_LOG_LEVEL: \"loud\""),
        "ICAPGATE_POLICY__SPOOL__DIR: \"" + here.path("nowhere"),
        std::string("--listen: \"8080\" has no host"), std::string("--admin: given more")}) {
    INFO(part);
    CHECK(contains(text, part));
  }
}

TEST_CASE("the bounds of a TTL in the wrong order are refused") {
  const auto loaded = load_more({{"ICAPGATE_DNS__TTL_MIN", "1m"}});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0] == "ICAPGATE_DNS__TTL_MIN: 1m is more than dns.ttl_max, 30s");
  CHECK(load_more({{"ICAPGATE_DNS__TTL_MIN", "30s"}}).problems.empty());
}

TEST_CASE("an unknown variable of ours is a mistake, a foreign one is not") {
  const auto loaded = load_more({{"ICAPGATE_ORIGN", "x"}, {"OTHER", "x"}, {"ICAPGATEWAY", "x"}});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0] ==
        "ICAPGATE_ORIGN: unknown environment variable; did you mean ICAPGATE_ORIGIN?");
  CHECK(contains(all_problems(load_more({{"ICAPGATE_CONFIG_FILE", "/x"}})), "ICAPGATE_CONFIG"));
  CHECK(load_more({{"ICAPGATE_AVOD_PORT", "81"}}).problems.size() == 1);
  CHECK(load_more({{"ICAPGATE_LOG__LEVEL", "info"}}).problems.size() == 1);
}

TEST_CASE("variables that Kubernetes injects for a Service are passed over") {
  const auto loaded = load_more({{"ICAPGATE_SERVICE_HOST", "10.0.0.1"},
                                 {"ICAPGATE_SERVICE_PORT", "8080"},
                                 {"ICAPGATE_SERVICE_PORT_HTTP", "8080"},
                                 {"ICAPGATE_PORT", "tcp://10.0.0.1:8080"},
                                 {"ICAPGATE_PORT_8080_TCP", "tcp://10.0.0.1:8080"},
                                 {"ICAPGATE_PORT_8080_TCP_PROTO", "tcp"},
                                 {"ICAPGATE_PORT_8080_TCP_PORT", "8080"},
                                 {"ICAPGATE_PORT_8080_TCP_ADDR", "10.0.0.1"},
                                 {"ICAPGATE_X_PORT_53_UDP", "udp://10.0.0.1:53"},
                                 {"ICAPGATE_BLUE_SERVICE_HOST", "10.0.0.1"}});
  CHECK(all_problems(loaded).empty());
  for (auto name : {"ICAPGATE_PORT", "ICAPGATE_PORT_TCP", "ICAPGATE_PORT_80", "ICAPGATE_8080_TCP"})
    CHECK(load_more({{name, "8080"}}).problems.size() == 1);
}

TEST_CASE("an empty variable is not set") {
  const auto loaded = load_more({{"ICAPGATE_ADMIN", ""}, {"ICAPGATE_NONSENSE", ""}});
  CHECK(all_problems(loaded).empty());
}

TEST_CASE("a list may come from a file with one value a line") {
  const folder here;
  const auto file = here.file("scanners", "icap://a/s\nicap://b/s\n\n");
  const auto loaded = load({{"ICAPGATE_ORIGIN", "http://a"}, {"ICAPGATE_ICAP_FILE", file}});
  CHECK(all_problems(loaded).empty());
  CHECK(loaded.values.scanners.servers.size() == 2);
}

TEST_CASE("a value and a file for the same variable contradict each other") {
  const folder here;
  const auto loaded = load_more({{"ICAPGATE_ORIGIN_FILE", here.file("o", "http://b")}});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(contains(loaded.problems[0], "conflicts with ICAPGATE_ORIGIN"));
  CHECK(contains(all_problems(load({{"ICAPGATE_ORIGIN_FILE", here.path("none")},
                                    {"ICAPGATE_ICAP", "embedded:"}})),
                 "ICAPGATE_ORIGIN_FILE: \"" + here.path("none") + "\" cannot be read"));
}

TEST_CASE("the spool directory must be a folder that can be written") {
  const folder here;
  const auto file = here.file("file", "");
  const auto problem = all_problems(load_more({{"ICAPGATE_POLICY__SPOOL__DIR", file}}));
  CHECK(contains(problem, "ICAPGATE_POLICY__SPOOL__DIR: \"" + file));
  CHECK(contains(problem, "not a writable directory"));
}

TEST_CASE("a PROXY header that nobody may send is refused, and so is an admin's unix socket") {
  const auto loaded = load_more({{"ICAPGATE_LISTEN__PROXY_PROTOCOL", "true"}});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].starts_with("ICAPGATE_LISTEN__PROXY_PROTOCOL: "));
  CHECK(load_more({{"ICAPGATE_ADMIN", "unix:/run/x"}}).problems.size() == 1);
  CHECK(load_more({{"ICAPGATE_LISTEN", "unix:/run/x"}})
            .values.listeners.front()
            .address.unix_socket == "/run/x");
}

TEST_CASE("hashes without the scanner that would look at them are refused") {
  const auto loaded = load_more({{"ICAPGATE_EMBEDDED__SHA256", std::string(64, 'a')}});
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].starts_with("ICAPGATE_EMBEDDED__SHA256: "));
}

TEST_CASE("the sample file has every key, at its default") {
  const std::filesystem::path path = ICAPGATE_SAMPLE;
  const auto loaded = load({}, {{"--config", {path.string()}}});
  CHECK(all_problems(loaded).empty());
  std::string why;
  const auto text = read_whole_file(path.string(), 65536, why);
  REQUIRE(text);
  raw_settings found;
  std::vector<std::string> problems;
  REQUIRE(read_settings_text(*text, "sample", found, problems));
  for (const auto& row : options()) {
    if (row.key.empty()) continue;
    INFO(row.key);
    const auto& in_file = row.key.starts_with("route[]") ? found.routes.at(0).settings
                          : row.sets_listener()          ? found.listeners.at(0).settings
                                                         : found.once;
    CHECK(std::ranges::count(in_file, &row, &raw_setting::row) == 1);
    if (!row.required) CHECK(show(row, loaded.values) == show(row, config{}));
  }
  CHECK(loaded.values.rules.empty());
}

TEST_CASE("the sample file's examples work, and have every key that only rules have") {
  const std::filesystem::path path = ICAPGATE_SAMPLE;
  std::ifstream file(path);
  std::string text;
  for (std::string line; std::getline(file, line); text += line + '\n')
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
  const folder here;
  const auto loaded = load({}, {{"--config", {here.file("examples.toml", text)}}});
  CHECK(all_problems(loaded).empty());
  CHECK(loaded.warnings.empty());
  CHECK(loaded.values.rules.size() == 3);
  raw_settings found;
  std::vector<std::string> problems;
  REQUIRE(read_settings_text(text, "examples", found, problems));
  std::vector<const option*> used;
  for (const auto& rule : found.rules)
    for (const auto& s : rule.settings) used.push_back(s.row);
  for (const auto& row : rule_options()) {
    INFO(row.key);
    const auto name = row.key.substr(std::string_view("policy.rule[].").size());
    const bool is_base_key = find_option_by_key(split_key("policy." + std::string(name)));
    CHECK((is_base_key || std::ranges::count(used, &row) > 0));
  }
}

TEST_CASE("a file may have several listeners, each with its own settings") {
  const folder here;
  const auto path = here.file("listeners.toml",
                              "[listen.public]\naddress = \"0.0.0.0:8080\"\n"
                              "[listen.inside]\naddress = \"127.0.0.1:8081\"\n"
                              "trusted_proxies = \"10.0.0.0/8\"\nproxy_protocol = true\n");
  const auto loaded = load_more({{"ICAPGATE_CONFIG", path}});
  CHECK(all_problems(loaded).empty());
  const auto& all = loaded.values.listeners;
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "inside");
  CHECK(all[0].address == endpoint{"127.0.0.1", 8081});
  CHECK(all[0].proxy_protocol);
  CHECK(all[1].name == "public");
  CHECK(all[1].address == endpoint{"0.0.0.0", 8080});
  CHECK(all[1].trusted_proxies.empty());
  const auto more = load_more({{"ICAPGATE_CONFIG", path}, {"ICAPGATE_LISTEN", "127.0.0.1:1"}});
  CHECK(
      contains(all_problems(more), "ICAPGATE_LISTEN: does not tell which of the file's listeners"));
}

TEST_CASE("what two readings of the settings tell otherwise is named, without passwords") {
  const folder here;
  const auto first =
      load_more({{"ICAPGATE_CONFIG", here.file("a.toml",
                                               "[policy]\navoid_port = [1]\n"
                                               "[listen.b]\naddress = \"127.0.0.1:1\"\n"
                                               "[[policy.rule]]\nreason = \"r\"\n")}});
  const auto second =
      load_more({{"ICAPGATE_CONFIG",
                  here.file("b.toml",
                            "[policy]\navoid_port = [1, 2]\n"
                            "[[policy.rule]]\nreason = \"s\"\n"
                            "[[route]]\nhost = \"x\"\norigin = \"http://u:secret@h\"\n")}});
  std::string all;
  for (const auto& line : differences(first, second)) all += line + '\n';
  CHECK(contains(all, "policy.avoid_port: \"1\", \"2\", before: \"1\"\n"));
  CHECK(contains(all, "listen.b.address: not set, before: \"127.0.0.1:1\"\n"));
  CHECK(contains(all, "policy.rule[0].reason: \"s\", before: \"r\"\n"));
  CHECK(contains(all, "route[0].host: \"x\", before: not set\n"));
  CHECK_FALSE(contains(all, "secret"));
  CHECK(differences(first, first).empty());
}

TEST_CASE("what is wrong with a listener is told with its place") {
  CHECK(contains(file_problem("[listen.a]\n[listen.b]\n"),
                 "[listen.b]: \"0.0.0.0:8080\" is the address of another listener"));
  CHECK(load_file("[listen.a]\naddress=\"[::1]:0\"\n[listen.b]\naddress=\"[::1]:0\"\n")
            .problems.empty());
  CHECK(contains(
      file_problem("[listen.a]\naddress=\"127.0.0.1:1\"\n[listen.b]\nproxy_protocol=true\n"),
      ":4:16: listen.b.proxy_protocol: only trusted proxies"));
  CHECK(contains(file_problem("[listen.\"a b\"]\n"), "has a name with other than"));
}

TEST_CASE("no file crashes the reader, whatever it holds") {
  const std::string good =
      "[policy]\navoid_port=[1,2]\nspool={memory=\"1MiB\"}\n[[route]]\n"
      "origin=\"http://a\"\n[scanner.x]\ntimeout.total=\"1s\"\n[[policy.rule]]\n"
      "reason=\"r\"\nstatus=[4,\"5xx\"]\ntrickle={rate=1}\n";
  raw_settings found;
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < good.size(); ++i) {
    read_settings_text(good.substr(0, i), "cut", found, problems);
    for (char c : {'\0', '\xff', '"', '[', ']', '=', '.', '\n', '{'}) {
      std::string changed = good;
      changed[i] = c;
      read_settings_text(changed, "changed", found, problems);
    }
  }
  CHECK_FALSE(problems.empty());
}
