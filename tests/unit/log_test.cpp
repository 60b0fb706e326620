#include "base/log.hpp"

#include "catch.hpp"

#include <unistd.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

using namespace icapgate;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "icapgate-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~scratch() { std::filesystem::remove_all(path_); }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

json::object parsed(const access_record& record) {
  const auto line = to_json_line(record);
  INFO(line);
  REQUIRE(line.ends_with("}\n"));
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  REQUIRE(std::all_of(line.begin(), line.end() - 1, is_plain));
  return json::parse(line).as_object();
}

std::string logged_target(std::string_view target) {
  access_record r;
  r.target = target;
  return std::string(parsed(r).at("target").as_string());
}

std::string logged_threat(std::string_view threat) {
  access_record r;
  r.threat = threat;
  return std::string(parsed(r).at("threat").as_string());
}

}  // namespace

TEST_CASE("an access line has every field of the record") {
  access_record r;
  r.ts = std::chrono::sys_days{std::chrono::year{2026} / 3 / 9} + 4h + 5min + 6s + 78ms;
  r.request_id = "id";
  r.client = "192.0.2.1";
  r.method = "GET";
  r.target = "/a";
  r.status = 403;
  r.bytes_in = 10;
  r.bytes_out = 18446744073709551615U;
  r.verdict = access_verdict::blocked;
  r.threat = "Eicar";
  r.reason = "blocked";
  r.scanner = "icap://av/x";
  r.icap_status = 200;
  r.origin_ms = 1500us;
  r.scan_ms = 2ms;
  r.total_ms = 90s;
  r.why_unscanned = unscanned::on_error;
  r.rule = "probes";
  r.route = "shop";
  r.origin = "http://app:3000";
  CHECK(to_json_line(r) ==
        R"({"ts":"2026-03-09T04:05:06.078Z","request_id":"id","client":"192.0.2.1",)"
        R"("method":"GET","target":"/a","status":403,"bytes_in":10,)"
        R"("bytes_out":18446744073709551615,"verdict":"blocked","threat":"Eicar",)"
        R"("reason":"blocked","scanner":"icap://av/x","icap_status":200,"origin_ms":1.500,)"
        R"("scan_ms":2.000,"total_ms":90000.000,"fallback":true,)"
        R"("action":"fallback","unscanned":"on_error","rule":"probes",)"
        R"("route":"shop","origin":"http://app:3000"})"
        "\n");
}

TEST_CASE("the values of a query are not logged") {
  CHECK(logged_target("/p?a=1&b=2") == "/p?a=-&b=-");
  CHECK(logged_target("/p?token=se?cr=et&x&y=") == "/p?token=-&x&y=-");
  CHECK(logged_target("/p?") == "/p?");
  CHECK(logged_target("http://u:secret@h/p?q=1") == "http://-@h/p?q=-");
  CHECK(logged_target("http://u:p?w@h/") == "http://u:p?w@h/");
  CHECK(logged_target("/a@b") == "/a@b");
}

TEST_CASE("what the client controls can't leave its field") {
  CHECK(logged_target("/\"},{\"verdict\":\"clean") == "/\"},{\"verdict\":\"clean");
  CHECK(logged_target("/a\r\nb\x1b[31m\\") == "/a\r\nb\x1b[31m\\");
  CHECK(logged_threat(std::string("a\0b", 3)) == std::string("a\0b", 3));
}

TEST_CASE("UTF-8 survives, other bytes are spelled out") {
  CHECK(logged_threat("\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "\xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(logged_threat("\xff") == "\\xff");
  CHECK(logged_threat("\xc3") == "\\xc3");
  CHECK(logged_threat("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(logged_threat("\xe0\x80\x80") == "\\xe0\\x80\\x80");           // overlong
  CHECK(logged_threat("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // surrogate
  CHECK(logged_threat("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  CHECK(logged_threat("\xe2\x82") == "\\xe2\\x82");
}

TEST_CASE("long texts are cut") {
  const auto target = logged_target(std::string(100000, 'x'));
  CHECK(target.size() == 2048);
  CHECK(target.ends_with("x..."));
  CHECK(logged_target(std::string(2048, 'x')).ends_with("xx"));
  std::string fields = "/?";
  for (int i = 0; i < 5000; ++i) fields += "a=1&";
  CHECK(logged_target(fields).size() == 2048);
  CHECK(logged_threat(std::string(1000, 'x')).size() == 256);
}

TEST_CASE("random bytes always make one line of valid JSON") {
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes;
    for (auto n = random() % 300; n > 0; --n) bytes += static_cast<char>(random());
    access_record r;
    r.request_id = r.client = r.method = r.target = r.threat = r.reason = r.scanner = bytes;
    r.total_ms = std::chrono::duration<double, std::milli>(i % 2 ? -1e300 : 1e300);
    CHECK(parsed(r).size() == 22);
  }
}

TEST_CASE("lines of many threads reach the file whole") {
  const scratch here;
  const auto path = here.path("access.log");
  {
    access_log log(path);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&log, t] {
        const std::string id = std::to_string(t);
        for (int i = 0; i < 2000; ++i) {
          access_record r;
          r.request_id = id;
          log.write(r);
        }
      });
    for (auto& t : threads) t.join();
    CHECK(log.lost() == 0);
  }
  const auto lines = lines_of(path);
  CHECK(lines.size() == 8000);
  for (const auto& line : lines) REQUIRE_NOTHROW(json::parse(line));
}

TEST_CASE("flush() returns when the lines are in the file, and files are appended to") {
  const scratch here;
  const auto path = here.path("access.log");
  std::ofstream(path) << "old\n";
  access_log log(path);
  log.flush();
  log.write({});
  log.write({});
  log.flush();
  CHECK(lines_of(path).size() == 3);
}

TEST_CASE("reopen() leaves earlier lines in the old file and goes on in a new one") {
  const scratch here;
  const auto path = here.path("access.log");
  access_log log(path);
  log.write({});
  std::filesystem::rename(path, here.path("access.log.1"));
  CHECK_FALSE(log.reopen());
  log.flush();
  log.write({});
  log.flush();
  CHECK(lines_of(here.path("access.log.1")).size() == 1);
  CHECK(lines_of(path).size() == 1);
}

TEST_CASE("a log that is off takes lines and has no thread") {
  access_log log("off");
  log.write({});
  log.flush();
  CHECK_FALSE(log.reopen());
  CHECK(log.lost() == 0);
}

TEST_CASE("a log that can't be opened throws with its name") {
  CHECK_THROWS_AS(access_log("/nonexistent/access.log"), std::system_error);
}

TEST_CASE("lines that the system refuses are counted") {
  access_log log("/dev/full");
  log.write({});
  log.write({});
  log.flush();
  CHECK(log.lost() == 2);
}
