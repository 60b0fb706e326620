#include "http/route.hpp"

#include "base/config.hpp"
#include "catch.hpp"

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace icapgate;

namespace {

const std::string scanner = "[scanner.av]\nservers = ['icap://av/x']\n";

settings load(const std::string& text, settings_sources from = {}) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("icapgate-route-test-" + std::to_string(::getpid()));
  std::ofstream(file) << text << scanner;
  from.flags.push_back({"--config", {file.string()}});
  auto loaded = load_settings(from);
  std::filesystem::remove(file);
  for (auto* texts : {&loaded.problems, &loaded.warnings})
    for (auto& one : *texts)
      if (one.starts_with(file.string())) one.replace(0, file.string().size(), "f");
  return loaded;
}

std::vector<route> routes(const std::string& text) {
  const auto loaded = load(text);
  for (const auto& one : loaded.problems) UNSCOPED_INFO(one);
  REQUIRE(loaded.problems.empty());
  return loaded.values.routes;
}

std::string problem(const std::string& text) {
  const auto found = load(text).problems;
  INFO(text);
  REQUIRE(found.size() == 1);
  return found.front();
}

std::string taken(const std::vector<route>& all, std::string_view host, std::string_view path) {
  http::request_head request;
  request.host = host;
  request.origin_form = path;
  const auto* found = http::choose_route(all, request);
  return found ? found->name : "none";
}

struct expected {
  std::string_view host, path, route;
};

void check_taken(const std::vector<route>& all, std::initializer_list<expected> rows) {
  for (const auto& row : rows) {
    INFO(row.host << " " << row.path);
    CHECK(taken(all, row.host, row.path) == row.route);
  }
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const std::string shops = R"(
[[route]]
name = "shop"
host = ["shop.example.com", "Store.Example.com."]
origin = "http://shop"
[[route]]
name = "pay"
host = "shop.example.com"
path = "/pay/"
origin = "http://pay"
[[route]]
name = "receipts"
host = "shop.example.com"
path = "/pay/receipts"
origin = "http://receipts"
[[route]]
name = "any"
host = "*.example.com"
origin = "http://any"
[[route]]
name = "api"
path = "/api"
origin = "http://api"
)";

}  // namespace

TEST_CASE("route: a host is compared in any case, without port and root dot") {
  const auto all = routes(shops);
  check_taken(all, {{"shop.example.com", "/", "shop"},
                    {"SHOP.Example.com:8080", "/", "shop"},
                    {"store.example.com.", "/", "shop"},
                    {"shop.example.com.evil", "/", "none"},
                    {"shop.example.com:80x", "/", "none"},
                    {"", "/", "none"},
                    {"", "/api", "api"}});
}

TEST_CASE("route: a name beats a pattern, a longer pattern a shorter one, any host comes last") {
  const auto all = routes(
      "[[route]]\nname='default'\norigin='http://a'\n"
      "[[route]]\nname='com'\nhost='*.com'\norigin='http://a'\n"
      "[[route]]\nname='example'\nhost='*.example.com'\norigin='http://a'\n"
      "[[route]]\nname='exact'\nhost='a.example.com'\norigin='http://a'\n"
      "[[route]]\nname='path'\npath='/x'\norigin='http://a'\n");
  check_taken(all, {{"a.example.com", "/", "exact"},
                    {"b.example.com", "/", "example"},
                    {"example.com", "/", "com"},
                    {"b.example.com", "/x", "example"},
                    {"other", "/x", "path"},
                    {"other", "/", "default"},
                    {"a b", "/", "default"}});
}

TEST_CASE("route: the longest path wins, by whole segments") {
  const auto all = routes(shops);
  check_taken(all, {{"shop.example.com", "/pay", "pay"},
                    {"shop.example.com", "/pay/", "pay"},
                    {"shop.example.com", "/pay/x?y=/../z", "pay"},
                    {"shop.example.com", "/payment", "shop"},
                    {"shop.example.com", "/PAY", "shop"},
                    {"shop.example.com", "/pay/receipts/1", "receipts"},
                    {"shop.example.com", "*", "shop"},
                    {"store.example.com", "/pay", "shop"}});
}

TEST_CASE("route: a path is compared as everybody reads it, however it is written") {
  const auto all = routes(shops);
  for (auto path : {"/%70ay", "/p%61y/x", "/pay;a=b/x", "/pay/%C3%A9", "/pay/100%25", "/pay/a.b"})
    CHECK(taken(all, "shop.example.com", path) == "pay");
}

TEST_CASE("route: a path that can be read in two ways goes to the host's route without a path") {
  const auto all = routes(shops);
  for (auto path : {"/pay/../x", "/pay/%2e%2e/x", "/pay/.%2E/x", "/pay%2fx", "/pay\\x", "/pay/%5cx",
                    "//pay", "/pay//x", "/pay/%00", "/pay/%252e%252e/x", "/pay/..;a/x", "/pay/%",
                    "/pay/%zz", "/pay/./x", "/pay/%c0%ae/x", "/pay/;/x", "/pay/.. /x"}) {
    CAPTURE(path);
    CHECK(taken(all, "shop.example.com", path) == "shop");
    CHECK(taken(all, "other", path) == "none");
  }
}

TEST_CASE("route: one without host and path takes all that is left") {
  const auto all = routes(shops + "[[route]]\npath = '/'\norigin = ['http://a', 'http://b:81']\n");
  CHECK(all.back().name == "default");
  CHECK(all.back().origins.size() == 2);
  CHECK(taken(all, "other", "/") == "default");
  CHECK(taken(all, "other", "//") == "default");
}

TEST_CASE("route: flags and the environment name the origins of the default route") {
  const settings_sources by_flag{.flags = {{"--origin", {"http://flag"}}}, .environment = {}};
  const auto of = [](const settings& loaded) {
    REQUIRE(loaded.problems.empty());
    std::string text;
    for (const auto& r : loaded.values.routes) text += r.name + '=' + r.origins[0].host + ' ';
    return text;
  };
  CHECK(of(load("", by_flag)) == "default=flag ");
  CHECK(of(load("[[route]]\norigin = 'http://file'\n", by_flag)) == "default=flag ");
  CHECK(of(load("[[route]]\nname = 'a'\n", by_flag)) == "a=flag ");
  CHECK(of(load("[[route]]\nhost = 'b'\norigin = 'http://b'\n", by_flag)) == "b=b default=flag ");
  CHECK(of(load("[[route]]\nhost = 'b'\norigin = 'http://b'\n")) == "b=b ");
  const auto two =
      load("", {.flags = {}, .environment = {{"ICAPGATE_ORIGIN", "http://a,http://b"}}});
  CHECK(two.values.routes.at(0).origins.size() == 2);
}

TEST_CASE("route: the policy is the base, changed by the route, changed by the rule") {
  const auto all = routes(R"(
[policy]
range = "reject"
max_ratio = 7
[[policy.rule]]
reason = "r"
path = "/big"
max_ratio = 9
[[route]]
name = "a"
origin = "http://a"
[[route]]
name = "b"
host = "b"
origin = "http://b"
policy = { mode = "monitor", max_ratio = 8, upgrade = true, trickle = { delay = "1s" } }
)");
  REQUIRE(all.size() == 2);
  CHECK(all[0].base.mode == scan_mode::enforce);
  CHECK(all[0].base.max_ratio == 7);
  CHECK(all[0].rules.at(0).effects.max_ratio == 9);
  CHECK(all[0].rules.at(0).effects.mode == scan_mode::enforce);
  CHECK(all[1].base.mode == scan_mode::monitor);
  CHECK(all[1].base.max_ratio == 8);
  CHECK(all[1].base.range == range_mode::reject);
  CHECK(all[1].base.upgrade);
  CHECK(all[1].base.trickle_delay == std::chrono::seconds(1));
  CHECK(all[1].rules.at(0).effects.mode == scan_mode::monitor);
  CHECK(all[1].rules.at(0).effects.max_ratio == 9);
  CHECK(all[1].rules.at(0).paths == std::vector<std::string>{"/big"});
}

TEST_CASE("route: problems name line and column") {
  CHECK(problem("[[route]]\nhost = 'b'\n") == "f:1:1: [[route]]: has no origin");
  CHECK(contains(problem("[[route]]\norigin = 'http://a'\nhots = 'b'\n"),
                 "f:3:1: unknown key \"hots\" in [[route]]; did you mean \"host\"?"));
  CHECK(contains(problem("[[route]]\norigin = 'http://a'\n[[route]]\norigin = 'http://b'\n"),
                 "f:3:1: [[route]]: has a host and path that a [[route]] above it has"));
  CHECK(contains(problem("[[route]]\nhost = ['a', 'b']\norigin = 'http://a'\n"
                         "[[route]]\nhost = 'B.'\norigin = 'http://b'\n"),
                 "f:4:1: [[route]]: has a host and path"));
  CHECK(contains(problem("[[route]]\norigin = 'http://a'\npolicy.mode = 'x'\n"),
                 "f:3:15: route.policy.mode: \"x\" is none of"));
  CHECK(contains(problem("[[route]]\norigin = 'http://a'\npolicy.avoid_port = 1\n"),
                 "unknown key \"avoid_port\""));
  CHECK(contains(problem("[[route]]\norigin = ['http://a', 'ftp://b']\n"), "f:2:10: route.origin"));
  CHECK(contains(problem("[[route]]\norigin = []\n"), "is an empty list"));
  CHECK(contains(problem("[[route]]\norigin = 'http://a'\nhost = 'a:80'\n"), "without a port"));
  for (const std::string bad : {"a", "/a*", "/a/../b", "/%61", "/a?b", "//", "/a;b"})
    CHECK(contains(problem("[[route]]\norigin = 'http://a'\npath = '" + bad + "'\n"),
                   "f:3:8: route.path: "));
  CHECK(contains(load("[route]\norigin = 'http://a'\n").problems.at(0), "two brackets: [[route]]"));
}

TEST_CASE("route: a stricter path over an origin of a laxer route gets a warning") {
  const auto warnings = [](const std::string& path_origin, const std::string& mode) {
    return load(
               "[[route]]\norigin = 'http://a'\npolicy.mode = 'off'\n[[route]]\npath = '/up'\n"
               "origin = '" +
               path_origin + "'\npolicy.mode = '" + mode + "'\n")
        .warnings.size();
  };
  CHECK(warnings("http://a", "enforce") == 1);
  CHECK(warnings("http://b", "enforce") == 0);
  CHECK(warnings("http://a", "off") == 0);
  const auto by_flag = load(
      "policy.mode = 'monitor'\n[[route]]\npath = '/up'\norigin = 'http://a'\n"
      "policy.mode = 'enforce'\n",
      {.flags = {{"--origin", {"http://a"}}}, .environment = {}});
  REQUIRE(by_flag.warnings.size() == 1);
  CHECK(contains(by_flag.warnings[0], "f:2:1: [[route]]: is stricter than the route \"default\""));
}

TEST_CASE(
    "route: it has the scanners and limits that it names, and the settings' where it doesn't") {
  const auto all = routes(R"(
client.max_body = "1MiB"
origin.timeout.first_byte = "7s"
[[route]]
origin = "http://a"
[[route]]
host = "b"
origin = "http://b"
scanner = { servers = ["icap://b1/s", "embedded:", "icap://b2/s"], standby = "icap://b3/s" }
timeout = { connect = "1s", idle = "3s" }
max_body = "2KiB"
[[route]]
host = "c"
origin = "http://c"
scanner.servers = "icap://b1/s"
timeout.first_byte = "9s"
max_body = 0
)");
  REQUIRE(all.size() == 3);
  using std::chrono::seconds;
  REQUIRE(all[0].scanners.servers.size() == 1);
  CHECK(all[0].scanners.servers[0].host == "av");
  CHECK(all[0].limits.connect == seconds(5));
  CHECK(all[0].limits.first_byte == seconds(7));
  CHECK(all[0].limits.max_body == 1 << 20);
  CHECK(all[1].scanners.servers.size() == 2);
  CHECK(all[1].scanners.embedded);
  REQUIRE(all[1].scanners.standby.size() == 1);
  CHECK(all[1].scanners.standby[0].host == "b3");
  CHECK(all[1].limits.connect == seconds(1));
  CHECK(all[1].limits.first_byte == seconds(7));
  CHECK(all[1].limits.progress == seconds(3));
  CHECK(all[1].limits.max_body == 2048);
  CHECK_FALSE(all[2].scanners.embedded);
  CHECK(all[2].scanners.standby.empty());
  CHECK(all[2].limits.first_byte == seconds(9));
  CHECK(all[2].limits.progress == seconds(60));
  CHECK(all[2].limits.max_body == 0);
}

TEST_CASE("route: each scanner is listed once, as a server where it is one for any route") {
  const auto all = routes(R"(
[[route]]
origin = "http://a"
[[route]]
host = "b"
origin = "http://b"
scanner = { servers = ["icap://b/s", "icap://B:1344/s"], standby = ["icap://av/x", "icap://c/s"] }
[[route]]
host = "d"
origin = "http://d"
scanner = { servers = "icap://c/t", standby = "icap://c/s" }
)");
  std::string text;
  for (const auto& [address, standby] : distinct_scanners(all))
    text += address.to_string() + (standby ? "* " : " ");
  CHECK(text == "icap://av/x icap://b/s icap://c/t icap://c/s* ");
}

TEST_CASE(
    "route: --icap is for those that name no scanner, and missing only where there are such") {
  const auto with = [](const std::string& text) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("icapgate-route-test-own-" + std::to_string(::getpid()));
    std::ofstream(file) << text;
    const auto loaded =
        load_settings({.flags = {{"--config", {file.string()}}}, .environment = {}});
    std::filesystem::remove(file);
    return loaded.problems;
  };
  const std::string own = "[[route]]\nhost='b'\norigin='http://b'\nscanner.servers='icap://b/s'\n";
  CHECK(with(own).empty());
  const auto missing = with(own + "[[route]]\norigin='http://a'\n");
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].starts_with("no icap: give --icap"));
  const settings_sources by_flag{.flags = {{"--icap", {"icap://flag/s"}}}, .environment = {}};
  const auto loaded = load(own + "[[route]]\norigin='http://a'\n", by_flag);
  REQUIRE(loaded.values.routes.size() == 2);
  CHECK(loaded.values.routes[0].scanners.servers.at(0).host == "b");
  CHECK(loaded.values.routes[1].scanners.servers.at(0).host == "flag");
  CHECK(loaded.warnings.empty());
  const auto unused = load(own);
  REQUIRE(unused.warnings.size() == 1);
  CHECK(contains(unused.warnings[0], "f:6:11: scanner.av.servers: each [[route]] has scanners"));
}

TEST_CASE("route: bad scanners and limits are named with their place") {
  const std::string begin = "[[route]]\norigin = 'http://a'\n";
  CHECK(contains(problem(begin + "scanner.servers = []\n"),
                 "f:3:19: route.scanner.servers: is an empty list"));
  CHECK(contains(problem(begin + "scanner.standby = 'icap://b/s'\n"),
                 "f:1:1: [[route]]: has scanners that stand by, and no others"));
  CHECK(contains(problem(begin + "scanner.servers = 'http://b/s'\n"), "not an icap:// URL"));
  CHECK(contains(problem(begin + "scanner.standby = 'embedded:'\nscanner.servers='icap://b/s'\n"),
                 "f:3:19: route.scanner.standby: \"embedded:\" is not"));
  CHECK(contains(problem(begin + "scanner.connections = 5\n"), "unknown key \"connections\""));
  CHECK(contains(problem(begin + "timeout.connect = '0s'\n"), "is not a time between"));
  CHECK(contains(problem(begin + "timeout.head = '1s'\n"), "unknown key \"head\""));
  CHECK(
      contains(problem(begin + "max_body = 'x'\n"), "f:3:12: route.max_body: \"x\" is not a size"));
}

TEST_CASE("route: hashes are looked at where any route has the embedded scanner") {
  const std::string route = "[[route]]\norigin = 'http://a'\nscanner.servers = '";
  const std::string hashes = "[embedded]\nsha256 = '" + std::string(64, 'a') + "'\n";
  CHECK(load(route + "embedded:'\n" + hashes).problems.empty());
  CHECK(load(route + "icap://b/s'\n" + hashes).problems.size() == 1);
}
