// The doctor beside scanners of this process: the embedded one, and one that is not there.
#include "doctor/doctor.hpp"

#include "base/config.hpp"
#include "doctor/advice.hpp"
#include "embedded/scanner.hpp"

#include "catch.hpp"
#include "proxy/tls_kit.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

using namespace icapgate;
namespace asio = boost::asio;

namespace {

struct told {
  bool trusted;
  std::string text;
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

told examined(const doctor::arguments& from, const config& settings = {}) {
  doctor::order order;
  const auto problems = doctor::read_order(from, settings, order);
  REQUIRE(problems == std::vector<std::string>{});
  std::string text;
  doctor::report report([&](std::string_view more) { text += more; }, false);
  const bool trusted = doctor::examine(order, report);
  return {trusted, text};
}

std::vector<std::string> problems_of(const doctor::arguments& from) {
  doctor::order order;
  return doctor::read_order(from, {}, order);
}

bool parse_one(const std::string& text, config& into) {
  std::string why;
  return parse_url(text, into.scanners.servers.emplace_back(), why);
}

// Speaks TLS and answers OPTIONS, one connection after the other, and nothing else.
class options_server {
 public:
  explicit options_server(const test::tls_server& tls)
      : tls_(tls),
        acceptor_(context_, {asio::ip::address_v4::loopback(), 0}),
        thread_([this] { serve(); }) {}
  ~options_server() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void serve() {
    boost::system::error_code ec;
    for (;;) {
      asio::ip::tcp::socket client(context_);
      acceptor_.accept(client, ec);
      if (ec) return;
      tls_.play(client.native_handle(), answer).join();
    }
  }
  static void answer(SSL* client) {
    std::string head(4096, '\0');
    const int got = SSL_read(client, head.data(), static_cast<int>(head.size()));
    if (got > 0 && head.starts_with("OPTIONS "))
      test::send_all(client,
                     "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nISTag: \"1\"\r\n"
                     "Encapsulated: null-body=0\r\n\r\n");
  }

  const test::tls_server& tls_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

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

TEST_CASE("what the settings say of the scanner counts, and what was typed counts more") {
  config settings;
  REQUIRE(parse_one("icap://first/av", settings));
  REQUIRE(parse_one("icap://second/av", settings));
  settings.vendor = "drweb";
  settings.scanner_tls.ca = "/etc/ca.pem";
  doctor::order order;
  REQUIRE(doctor::read_order({}, settings, order).empty());
  CHECK(order.scanner.host == "first");
  CHECK(order.vendor->name == "drweb");
  CHECK(order.vendor_named);
  CHECK(order.tls.ca == "/etc/ca.pem");
  const doctor::arguments typed{
      .scanner = "icaps://third/av", .vendor = "generic", .ca = "/tmp/ca.pem"};
  REQUIRE(doctor::read_order(typed, settings, order).empty());
  CHECK(order.scanner.host == "third");
  CHECK(order.vendor->name == "generic");
  CHECK(order.vendor_named);
  CHECK(order.tls.ca == "/tmp/ca.pem");
}

TEST_CASE("the doctor takes each scanner that the settings name, or the one that was typed") {
  config settings;
  REQUIRE(parse_one("icap://first/av", settings));
  std::vector<doctor::order> orders;
  REQUIRE(doctor::read_orders({}, settings, orders).empty());
  CHECK(orders.size() == 1);
  for (auto host : {"first", "own"}) {
    auto& made = settings.routes.emplace_back();
    made.scanners.servers.push_back({"icap", host, 1344, "/av"});
    made.scanners.standby.push_back({"icaps", "standby", 11344, "/av"});
  }
  orders.clear();
  REQUIRE(doctor::read_orders({.ca = "/tmp/ca.pem"}, settings, orders).empty());
  REQUIRE(orders.size() == 3);
  CHECK(orders[0].scanner.host == "first");
  CHECK(orders[1].scanner.host == "own");
  CHECK(orders[2].scanner.host == "standby");
  CHECK(orders[2].tls.ca == "/tmp/ca.pem");
  orders.clear();
  REQUIRE(doctor::read_orders({.scanner = "icap://typed/av"}, settings, orders).empty());
  REQUIRE(orders.size() == 1);
  CHECK(orders[0].scanner.host == "typed");
  CHECK(doctor::read_orders({.timeout = "never"}, settings, orders).size() == 1);
}

TEST_CASE(
    "the doctor shows a scanner the certificate, and expects the name, that a gateway would") {
  const test::tls_world world;
  const auto us = test::make_identity("us", &world.ca);
  us.save(world.files / "us.pem");
  test::tls_server tls(world.scanner);
  tls.only(TLS1_2_VERSION);  // a missing certificate is told within the handshake
  tls.ask_for_certificate(world.ca);
  const options_server server(tls);
  const doctor::arguments typed{
      .scanner = "icaps://localhost:" + std::to_string(server.port()) + "/avscan", .timeout = "2s"};
  config settings;
  settings.scanner_tls = world.settings;
  settings.scanner_tls.server_name = "scanner.test";
  settings.scanner_tls.certificate = world.files / "us.pem";
  const auto good = examined(typed, settings);
  INFO(good.text);
  CHECK(good.says("good for scanner.test"));
  CHECK(good.says("ok    OPTIONS"));

  settings.scanner_tls.server_name = "other.test";
  CHECK(examined(typed, settings).says("FAIL  TLS"));
  settings.scanner_tls.verify = false;
  const auto blind = examined(typed, settings);
  CHECK(blind.says("warn  TLS"));
  CHECK(blind.says("ok    OPTIONS"));
  settings.scanner_tls.certificate = tls_settings::off;
  CHECK(examined(typed, settings).says("FAIL  TLS"));
}

TEST_CASE("the recommended settings are settings") {
  doctor::order order;
  config given;
  given.scanner_user = "gate";
  given.scanner_password_file = "/etc/password";
  given.scanner_authorization = "Proxy-Authorization: Basic c2VjcmV0\r\n";
  given.scanner_tls = {.ca = "/etc/other.pem",
                       .certificate = "/etc/us.pem",
                       .key = "/etc/us.key",
                       .server_name = "av.test",
                       .verify = false};
  const doctor::arguments typed{.scanner = "icaps://scanner/scan?a=b", .ca = "/etc/my ca.pem"};
  REQUIRE(doctor::read_order(typed, given, order).empty());
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
  CHECK(got.values.scanners.servers == std::vector<url>{order.scanner});
  CHECK(got.values.scanner_tls.ca == "/etc/my ca.pem");
  CHECK(got.values.scanner_tls.certificate == "/etc/us.pem");
  CHECK(got.values.scanner_tls.key == "/etc/us.key");
  CHECK(got.values.scanner_tls.server_name == "av.test");
  CHECK_FALSE(got.values.scanner_tls.verify);
  CHECK(got.values.scanner_user == "gate");
  CHECK(got.values.scanner_password_file == "/etc/password");
  CHECK(doctor::recommended(order, known, true).find("c2VjcmV0") == std::string::npos);
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
