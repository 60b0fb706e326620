// The doctor beside scanners of this process: the embedded one, and one that is not there.
#include "doctor/doctor.hpp"

#include "base/config.hpp"
#include "doctor/advice.hpp"
#include "embedded/scanner.hpp"

#include "catch.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace icapgate;

namespace {

struct told {
  bool trusted;
  std::string text;
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

told examined(const doctor::arguments& from) {
  doctor::order order;
  const auto problems = doctor::read_order(from, order);
  REQUIRE(problems == std::vector<std::string>{});
  std::string text;
  doctor::report report([&](std::string_view more) { text += more; }, false);
  const bool trusted = doctor::examine(order, report);
  return {trusted, text};
}

std::vector<std::string> problems_of(const doctor::arguments& from) {
  doctor::order order;
  return doctor::read_order(from, order);
}

std::string url_of(std::uint16_t port) {
  return "icap://127.0.0.1:" + std::to_string(port) + "/avscan";
}

}  // namespace

TEST_CASE("the embedded scanner is trusted, and that it does not unpack is told") {
  const embedded::scanner scanner({});
  const auto got = examined(
      {.scanner = url_of(scanner.port()), .timeout = "5s", .max_size = "5MiB", .ladder = true});
  INFO(got.text);
  CHECK(got.trusted);
  CHECK(got.says("ok    EICAR "));
  CHECK(got.says("warn  EICAR, deflated zip"));
  CHECK(got.says("ok    EICAR in 5MiB"));
  CHECK_FALSE(got.says("EICAR in 10MiB"));
  CHECK(got.says("servers = [\"" + url_of(scanner.port()) + "\"]"));
  CHECK(got.says("# max_scan_size = \"5MiB\""));
  CHECK_FALSE(got.says("\x1b"));
}

TEST_CASE("a scanner that is gone is not trusted, and the hint asks whether it runs") {
  embedded::scanner scanner({});
  scanner.stop();
  const auto got = examined({.scanner = url_of(scanner.port()), .timeout = "2s"});
  INFO(got.text);
  CHECK_FALSE(got.trusted);
  CHECK(got.says("FAIL  TCP"));
  CHECK(got.says("is the scanner running"));
  CHECK_FALSE(got.says("[scanner.av]"));
}

TEST_CASE("a name without an address fails at DNS") {
  const auto got = examined({.scanner = "icap://icapgate.invalid/avscan", .timeout = "5s"});
  INFO(got.text);
  CHECK_FALSE(got.trusted);
  CHECK(got.says("FAIL  DNS"));
}

TEST_CASE("the doctor's wrong arguments are all named at once") {
  CHECK(problems_of({}).size() == 1);
  CHECK(problems_of({.scanner = "http://scanner/avscan"}).size() == 1);
  CHECK(problems_of({.scanner = "icap://scanner"}).size() == 1);
  CHECK(problems_of({.scanner = "icap://scanner", .vendor = "c-icap"}).empty());
  CHECK(problems_of({.scanner = "icap://scanner/av",
                     .vendor = "nobody",
                     .timeout = "soon",
                     .max_size = "5TiB",
                     .ladder = true})
            .size() == 3);
  CHECK(problems_of({.scanner = "icap://scanner/av", .max_size = "5MiB"}).size() == 1);
}

TEST_CASE("the recommended settings are settings") {
  doctor::order order;
  REQUIRE(doctor::read_order({.scanner = "icaps://scanner/scan?a=b", .ca = "/etc/my ca.pem"}, order)
              .empty());
  doctor::knowledge known;
  known.server = "C-ICAP/0.5.10 server - Antivirus service ";
  known.options.preview = 100'000;
  known.options.max_connections = 7;
  known.closed_idle = std::chrono::milliseconds(1'999);
  known.detected_up_to = 26 << 20;
  char name[] = "/tmp/icapgate-doctor-XXXXXX";
  const int file = ::mkstemp(name);
  REQUIRE(file >= 0);
  ::close(file);
  std::ofstream(name) << doctor::recommended(order, known, true);
  const auto got = load_settings(
      {.flags = {{"--config", {name}}, {"--origin", {"http://origin"}}}, .environment = {}});
  ::unlink(name);
  INFO(doctor::recommended(order, known, true));
  CHECK(got.problems == std::vector<std::string>{});
  CHECK(got.values.scanners == std::vector<url>{order.scanner});
  CHECK(got.values.scanner_tls.ca == "/etc/my ca.pem");
  CHECK(got.values.vendor == "c-icap");
  CHECK(got.values.icap_limits.connections == 7);
  CHECK(got.values.icap_limits.idle == std::chrono::milliseconds(999));
  CHECK(got.values.icap_limits.max_preview == 100'000);
  CHECK(got.values.canary == "enforce");
}

TEST_CASE("what a scanner says of itself can't move a terminal's cursor") {
  CHECK(doctor::printable("a\x1b[2Jb\r\n\xff") == "a?[2Jb???");
  CHECK(doctor::printable("abcdef", 3) == "abc...");
}
