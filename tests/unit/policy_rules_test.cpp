// [[policy.rule]] in the settings file.
#include "base/config.hpp"
#include "catch.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace icapgate;
using namespace std::chrono_literals;

namespace {

class file {
 public:
  explicit file(std::string_view text) {
    name_ = (std::filesystem::temp_directory_path() / "icapgate-rules-XXXXXX").string();
    const int made = ::mkstemp(name_.data());
    if (made < 0) throw std::runtime_error("mkstemp");
    ::close(made);
    std::ofstream(name_) << text;
  }
  ~file() { std::filesystem::remove(name_); }
  file(const file&) = delete;
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

using variables = std::vector<std::pair<std::string, std::string>>;
using flags = std::vector<std::pair<std::string, std::vector<std::string>>>;

settings load(std::string_view text, variables more = {}, flags given = {}) {
  const file here(text);
  more.emplace_back("ICAPGATE_ORIGIN", "http://app");
  more.emplace_back("ICAPGATE_ICAP", "icap://av/x");
  more.emplace_back("ICAPGATE_CONFIG", here.name());
  auto loaded = load_settings({given, more});
  for (auto* list : {&loaded.problems, &loaded.warnings})
    for (auto& line : *list)
      if (line.starts_with(here.name())) line.replace(0, here.name().size(), "f");
  return loaded;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + '\n';
  return text;
}

std::vector<rule> rules(std::string_view text) {
  const auto loaded = load(text);
  INFO(text);
  CHECK(joined(loaded.problems).empty());
  return loaded.values.rules;
}

// The one problem of the file's text.
std::string problem(std::string_view text) {
  const auto loaded = load(text);
  INFO(text);
  INFO(joined(loaded.problems));
  REQUIRE(loaded.problems.size() == 1);
  return loaded.problems.front();
}

// Of a rule that is right but for this line, which is the third.
std::string problem_of(const std::string& line) {
  return problem("[[policy.rule]]\nreason = 'r'\n" + line + "\n");
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a rule has its conditions and its overrides, each in its member") {
  const auto all = rules(R"(
[[policy.rule]]
reason = "everything"
method = "GET"
path = ["/a/*", "*.iso"]
host = ["Files.Example.com.", "[2001:DB8::1]"]
status = [404, "5xx", 3]
media_type = ["Image/*", "application/vnd.x+json"]
min_size = "1KiB"
max_size = "2MiB"
mode = "monitor"
max_scan_size = 0
on_oversize = "pass"
on_unscannable = "pass"
on_error = "pass"
delivery = "trickle"
trickle = { delay = "1s", rate = "2KiB" }
range = "reject"
encoding = "decode"
max_ratio = 5
max_body_time = "7s"
block_page = { source = "own", status = 451 }
event_stream = true
)");
  REQUIRE(all.size() == 1);
  const auto& r = all[0];
  CHECK(r.reason == "everything");
  CHECK(r.methods == texts{"GET"});
  CHECK(r.paths == texts{"/a/*", "*.iso"});
  CHECK(r.hosts == texts{"files.example.com", "[2001:db8::1]"});
  CHECK(r.statuses == std::vector<unsigned>{404, 5, 3});
  CHECK(r.media_types == texts{"image/*", "application/vnd.x+json"});
  CHECK(r.min_size == 1024);
  CHECK(r.max_size == 2 << 20);
  CHECK(r.effects.mode == scan_mode::monitor);
  CHECK(r.effects.max_scan_size == 0);
  CHECK(r.effects.on_oversize == remedy::pass);
  CHECK(r.effects.on_unscannable == remedy::pass);
  CHECK(r.effects.on_error == remedy::pass);
  CHECK(r.effects.delivery == delivery_mode::trickle);
  CHECK(r.effects.trickle_delay == 1s);
  CHECK(r.effects.trickle_rate == 2048);
  CHECK(r.effects.range == range_mode::reject);
  CHECK(r.effects.encoding == encoding_mode::decode);
  CHECK(r.effects.max_ratio == 5);
  CHECK(r.effects.max_body_time == 7s);
  CHECK(r.effects.block_page == page_source::own);
  CHECK(r.effects.block_status == 451);
  CHECK(r.effects.event_stream);
  CHECK_FALSE(r.effects.upgrade);
}

TEST_CASE("rules keep their order, and a rule without conditions may be the last") {
  const auto all = rules(
      "[[policy.rule]]\nreason = 'a'\npath = '/a'\nupgrade = true\n"
      "[[policy.rule]]\nreason = 'b'\nhost = 'b'\n[[policy.rule]]\nreason = 'c'\n");
  REQUIRE(all.size() == 3);
  CHECK(all[0].reason == "a");
  CHECK(all[0].effects.upgrade);
  CHECK(all[1].reason == "b");
  CHECK_FALSE(all[1].effects.upgrade);
  CHECK(all[2].reason == "c");
}

TEST_CASE("what a rule does not name is the base's, wherever that comes from") {
  const std::string text =
      "[[policy.rule]]\nreason = 'a'\npath = '/a'\nrange = 'strip'\n"
      "[policy]\nmode = 'off'\nmax_ratio = 7\n";
  const auto loaded = load(text, {{"ICAPGATE_MODE", "monitor"}}, {{"--debug-fallback", {"true"}}});
  CHECK(joined(loaded.problems).empty());
  CHECK(loaded.values.scan_policy.mode == scan_mode::monitor);
  CHECK(loaded.values.scan_policy.range == range_mode::serve);
  CHECK(loaded.values.scan_policy.on_error == remedy::pass);
  REQUIRE(loaded.values.rules.size() == 1);
  const auto& effects = loaded.values.rules[0].effects;
  CHECK(effects.mode == scan_mode::monitor);
  CHECK(effects.max_ratio == 7);
  CHECK(effects.range == range_mode::strip);
  CHECK(effects.on_error == remedy::pass);
}

TEST_CASE("fallback passes what scanners fail at, but where a rule blocks it") {
  const std::string text =
      "policy.debug_fallback = true\npolicy.on_error = 'block'\n"
      "[[policy.rule]]\nreason = 'a'\npath = '/a'\non_error = 'block'\n";
  const auto loaded = load(text);
  CHECK(joined(loaded.problems).empty());
  CHECK(loaded.values.scan_policy.on_error == remedy::pass);
  CHECK(loaded.values.rules.at(0).effects.on_error == remedy::block);
  CHECK(load("").values.scan_policy.on_error == remedy::block);
}

TEST_CASE("a rule's problems name line and column") {
  CHECK(problem_of("pth = '/a'") ==
        "f:3:1: unknown key \"pth\" in [[policy.rule]]; did you mean \"path\"?");
  CHECK(contains(problem_of("trickle = { rat = 1 }"), "in [policy.rule.trickle]; did you mean"));
  CHECK(problem_of("mode = 'on'") ==
        "f:3:8: policy.rule.mode: \"on\" is none of: enforce monitor off");
  CHECK(problem("\n[[policy.rule]]\npath = '/a'\n") ==
        "f:2:1: [[policy.rule]]: has no reason, which the log and the metrics show");
  CHECK(contains(problem("[policy.rule]\nreason = 'a'\n"), "two brackets: [[policy.rule]]"));
  CHECK(contains(problem("policy.rule = []\n"), "two brackets: [[policy.rule]]"));
  CHECK(contains(problem("policy.reason = 'a'\n"), "unknown key \"reason\""));
  CHECK(contains(problem("policy.upgrade = true\n"), "did you mean \"policy.rule.upgrade\"?"));
  CHECK(contains(problem_of("avoid_port = [1]"), "unknown key \"avoid_port\""));
}

TEST_CASE("a rule in front of others has a condition") {
  const auto text = problem(
      "[[policy.rule]]\nreason = 'a'\nmode = 'off'\n"
      "[[policy.rule]]\nreason = 'b'\n");
  CHECK(text ==
        "f:1:1: [[policy.rule]]: has no condition, so that the rules below it never decide");
}

TEST_CASE("a problem with a rule's only condition is told once") {
  CHECK(contains(problem("[[policy.rule]]\nreason = 'a'\npaht = '/a'\n"
                         "[[policy.rule]]\nreason = 'b'\n"),
                 "paht"));
  CHECK(contains(problem("[[policy.rule]]\nreason = 'a'\npath = 'a'\n"
                         "[[policy.rule]]\nreason = 'b'\n"),
                 "neither / nor *"));
}

TEST_CASE("patterns that can't match are refused") {
  CHECK(contains(problem_of("path = 'static/*'"), "begins with neither / nor *"));
  CHECK(contains(problem_of("path = '/a?x=1'"), "without it"));
  for (const std::string bad :
       {"/a/%2e/b", "/a%41", "/a//b", "/a/../b", "/a/./b", "/a;b", "/a#b", "/a b", "*/../b", "/.."})
    CHECK(contains(problem_of("path = '" + bad + "'"), "can't match"));
  CHECK(contains(problem_of("host = 'a:80'"), "without a port"));
  CHECK(contains(problem_of("host = 'http://a'"), "without a port"));
  CHECK(contains(problem_of("host = '[::1]:80'"), "without a port"));
  CHECK(contains(problem_of("media_type = 'image'"), "not a media type"));
  CHECK(contains(problem_of("media_type = 'text/html; charset=utf-8'"), "not a media type"));
  CHECK(contains(problem_of("media_type = 'a/b/c'"), "not a media type"));
  CHECK(contains(problem_of("method = 'get'"), "in capitals"));
  CHECK(contains(problem_of("method = 'GET POST'"), "in capitals"));
  CHECK(contains(problem_of("method = ''"), "is empty"));
  CHECK(contains(problem_of("method = []"), "empty list"));
  CHECK(rules("[[policy.rule]]\nreason = 'r'\npath = ['/', '*', '/a%20b/*', '/.*', '/a..b']\n"
              "method = ['M-SEARCH']\nhost = ['*', '10.0.0.1']\nmedia_type = '*/*'\n")
            .size() == 1);
}

TEST_CASE("a status is a class from 1 to 5 or a number from 100 to 599") {
  for (const std::string good : {"1", "5", "100", "599", "'1xx'", "'5xx'"})
    CHECK(rules("[[policy.rule]]\nreason = 'r'\nstatus = " + good + "\n").size() == 1);
  for (const std::string bad :
       {"0", "6", "99", "600", "-1", "'0xx'", "'6xx'", "'40x'", "'x'", "'xx'", "'404xx'"})
    CHECK(contains(problem_of("status = " + bad), "is not a status from 100 to 599"));
}

TEST_CASE("a reason is a short text") {
  const auto with = [](const std::string& reason) {
    return load("[[policy.rule]]\nreason = \"" + reason + "\"\n").problems.empty();
  };
  CHECK(with(std::string(64, 'r')));
  CHECK_FALSE(with(std::string(65, 'r')));
  CHECK_FALSE(with(""));
  CHECK_FALSE(with("\xc3\xa4"));
}

TEST_CASE("sizes that exclude each other are refused, equal ones are not") {
  CHECK(rules("[[policy.rule]]\nreason = 'r'\nmin_size = 5\nmax_size = 5\n").size() == 1);
  CHECK(problem_of("min_size = 6\nmax_size = 5") ==
        "f:1:1: [[policy.rule]]: min_size is larger than max_size");
}

TEST_CASE("an upgrade can't depend on the response") {
  for (const std::string condition : {"status = 101", "media_type = 'a/b'", "max_size = 1"})
    CHECK(contains(problem_of("upgrade = true\n" + condition), "upgrade is decided before"));
  CHECK(rules("[[policy.rule]]\nreason = 'r'\nupgrade = true\nmethod = 'GET'\n").size() == 1);
}

TEST_CASE("a skip by media type and a stricter path get warnings, the rest gets none") {
  const auto warnings = [](const std::string& text) {
    const auto loaded = load(text);
    CHECK(joined(loaded.problems).empty());
    return joined(loaded.warnings);
  };
  const std::string rule = "[[policy.rule]]\nreason = 'r'\n";
  CHECK(warnings("").empty());
  CHECK(contains(warnings(rule + "media_type = 'image/*'\nmode = 'off'\n"),
                 "f:1:1: [[policy.rule]]: skips the scan by media type"));
  CHECK(warnings(rule + "media_type = 'image/*'\nmode = 'monitor'\n").empty());
  CHECK(warnings(rule + "path = '/a'\nmode = 'off'\n").empty());
  const std::string base = "policy.mode = 'monitor'\n";
  CHECK(contains(warnings(base + rule + "path = '/a'\nmode = 'enforce'\n"), "stricter"));
  CHECK(warnings(base + rule + "host = 'a'\nmode = 'enforce'\n").empty());
  CHECK(warnings("policy.mode = 'off'\n" + rule + "media_type = 'a/b'\n").empty());
}

TEST_CASE("a scan limit that the spool can't hold gets a warning") {
  const std::string spool =
      "policy.spool.total_memory = '2MiB'\npolicy.spool.total_disk = '4MiB'\n";
  CHECK(load(spool + "policy.max_scan_size = '4MiB'\n").warnings.empty());
  const auto loaded = load(spool + "policy.max_scan_size = 4194305\n");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK(loaded.warnings[0].starts_with("f:3:24: policy.max_scan_size: "));
}

TEST_CASE("without room for files their folder need not be there") {
  const std::string nowhere = "policy.spool.dir = '/nowhere'\n";
  CHECK(load(nowhere).problems.size() == 1);
  CHECK(load(nowhere + "policy.spool.total_disk = 0\npolicy.max_scan_size = '1MiB'\n")
            .problems.empty());
}

TEST_CASE("the template of the block page is read at the start, up to 64 KiB") {
  const auto with = [](const std::string& name) {
    return load("policy.block_page.template = '" + name + "'\n");
  };
  const file page("<p>blocked</p>"), full(std::string(65536, 'x')), large(std::string(65537, 'x')),
      empty("");
  CHECK(with(page.name()).values.block_template_text == "<p>blocked</p>");
  CHECK(with(full.name()).values.block_template_text.size() == 65536);
  CHECK(contains(joined(with(large.name()).problems), "is larger than 65536 bytes"));
  CHECK(contains(joined(with(empty.name()).problems), "is empty"));
  CHECK(contains(joined(with("/nowhere").problems), "cannot be read"));
  CHECK(with("off").values.block_template_text.empty());
  CHECK(contains(problem_of("block_page = { template = 'x' }"), "unknown key \"template\""));
}
