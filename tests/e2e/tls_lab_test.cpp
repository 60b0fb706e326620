// icaps:// to a real c-icap, and icap+unix: to a scripted scanner.
#include "kit/gate.hpp"
#include "kit/http_client.hpp"
#include "kit/icap_peer.hpp"
#include "kit/lab.hpp"
#include "kit/origin_peer.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <atomic>
#include <thread>

using namespace e2e;

namespace {

constexpr auto tls_ca = "ICAPGATE_SCANNER__TLS__CA";
constexpr auto tls_server_name = "ICAPGATE_SCANNER__TLS__SERVER_NAME";
constexpr auto tls_verify = "ICAPGATE_SCANNER__TLS__VERIFY";

// The gateway in front of a scripted origin, with one scanner at that URL.
struct in_front_of {
  in_front_of(const std::string& url, std::map<std::string, std::string> env = {},
              const std::string& canary = "off")
      : icapgate({.origin = origin.port(),
                  .more = {"--icap", url},
                  .env = std::move(env),
                  .canary = canary}) {
    origin.when("/small.txt", {.body = "nothing in it\n"});
    origin.when("/clean.bin", {.body = clean, .form = framing::chunked});
    origin.when("/eicar.com", {.body = eicar()});
    origin.when("/late.bin", {.body = noise(2'000'000, 5) + eicar()});
  }
  ~in_front_of() {
    CHECK(icapgate.finish() == "");
    CHECK(origin.failures() == std::vector<std::string>());
  }
  response get(const std::string& target) { return http_client(icapgate.port()).get(target); }

  const std::string clean = noise(3'000'000, 9);
  origin_peer origin;
  gate icapgate;
};

// c-icap with a certificate of its own, which nobody trusts who was not told to.
struct tls_lab {
  explicit tls_lab(const std::string& names)
      : certificate(folder.path(), "scanner", names), scanner({.tls = &certificate}) {}
  std::string url(const std::string& host = "127.0.0.1") const {
    return "icaps://" + host + ":" + std::to_string(scanner.tls_port()) + "/avscan";
  }

  const temporary_folder folder;
  const lab_certificate certificate;
  const lab_scanner scanner;
};

void check_blocked(const response& got) {
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body.find("VIRUS FOUND") != std::string::npos);
  CHECK(got.body.find(eicar()) == std::string::npos);
}

void check_all(in_front_of& on) {
  CHECK(on.get("/small.txt").body == "nothing in it\n");
  const auto got = on.get("/clean.bin");
  CHECK(got.status == 200);
  CHECK(difference(got.body, on.clean) == "");
  check_blocked(on.get("/eicar.com"));
  check_blocked(on.get("/late.bin"));
}

void check_untrusted(in_front_of& on) {
  for (const auto target : {"/small.txt", "/eicar.com"}) {
    const auto got = on.get(target);
    CHECK(got.status == 503);
    CHECK(got.body.find("nothing in it") == std::string::npos);
    CHECK(got.body.find(eicar()) == std::string::npos);
  }
  // The server's children end with a failed handshake, and under load it is refused for a moment.
  std::size_t asked = 2;
  wait_until("the log names the certificate", [&] {
    if (on.icapgate.line(asked).text("reason") == "icap_tls_certificate") return true;
    CHECK(on.get("/eicar.com").status == 503);
    ++asked;
    return false;
  });
}

}  // namespace

TEST_CASE("TLS lab: clean files are whole and EICAR is found over icaps, canary included") {
  const tls_lab lab("IP:127.0.0.1");
  in_front_of on(lab.url(), {{tls_ca, lab.certificate.certificate}}, "enforce");
  wait_until("the canary lets the scanner in", [&] { return on.get("/small.txt").status == 200; });
  check_all(on);
  CHECK(on.icapgate.output().find("DOES NOT DETECT") == std::string::npos);
}

TEST_CASE("TLS lab: many requests at once go over few connections, again and again") {
  constexpr int clients = 4;
  constexpr int rounds = 15;
  const tls_lab lab("IP:127.0.0.1");
  in_front_of on(lab.url(),
                 {{tls_ca, lab.certificate.certificate}, {setting::scanner_connections, "2"}});
  std::atomic<int> wrong = 0;
  std::vector<std::thread> load;
  for (int i = 0; i < clients; ++i) {
    load.emplace_back([&, i] {
      http_client client(on.icapgate.port());
      for (int n = i; n < i + rounds; ++n) {
        const bool bad = n % 3 == 0;
        const auto got = client.get(bad ? "/eicar.com" : n % 3 == 1 ? "/small.txt" : "/clean.bin");
        if (bad ? got.status != 403 : got.status != 200) ++wrong;
        if (n % 3 == 2 && got.body != on.clean) ++wrong;
      }
    });
  }
  for (auto& each : load) each.join();
  CHECK(wrong == 0);
  for (const auto& line : on.icapgate.lines(clients * rounds)) {
    CHECK(line.text("verdict") != "error");
  }
  // Kept for the next scan.
  const auto metrics = http_client(on.icapgate.admin_port()).get("/metrics").body;
  const auto at = metrics.find("\nicapgate_icap_connections{");
  REQUIRE(at != std::string::npos);
  const auto row = metrics.substr(at + 1, metrics.find('\n', at + 1) - at - 1);
  CHECK((row.ends_with(" 1") || row.ends_with(" 2")));
}

TEST_CASE("TLS lab: a certificate of an unknown authority means 503") {
  const tls_lab lab("IP:127.0.0.1");
  in_front_of on(lab.url());
  check_untrusted(on);
}

TEST_CASE("TLS lab: the certificate of another scanner means 503") {
  const tls_lab lab("IP:127.0.0.1");
  const lab_certificate other(lab.folder.path(), "other", "IP:127.0.0.1");
  in_front_of on(lab.url(), {{tls_ca, other.certificate}});
  check_untrusted(on);
}

TEST_CASE("TLS lab: a certificate for another name means 503") {
  const tls_lab lab("DNS:scanner.test");
  SECTION("than the address in the URL") {
    in_front_of on(lab.url(), {{tls_ca, lab.certificate.certificate}});
    check_untrusted(on);
  }
  SECTION("than the one that is expected") {
    in_front_of on(lab.url(),
                   {{tls_ca, lab.certificate.certificate}, {tls_server_name, "another.test"}});
    check_untrusted(on);
  }
}

TEST_CASE("TLS lab: the name that is expected need not be that of the URL") {
  const tls_lab lab("DNS:scanner.test");
  in_front_of on(lab.url(),
                 {{tls_ca, lab.certificate.certificate}, {tls_server_name, "scanner.test"}});
  check_all(on);
}

TEST_CASE("TLS lab: without verification any certificate will do") {
  const tls_lab lab("DNS:scanner.test");
  in_front_of on(lab.url(), {{tls_verify, "false"}});
  CHECK(on.get("/small.txt").status == 200);
  check_blocked(on.get("/eicar.com"));
}

TEST_CASE("TLS lab: a scanner that speaks plain ICAP where TLS is expected means 503") {
  const server scanner([](connection& wire, int) {
    wire.read_some();
    wire.write("ICAP/1.0 400 Bad request\r\nConnection: close\r\n\r\n");
  });
  in_front_of on("icaps://127.0.0.1:" + std::to_string(scanner.port()) + "/avscan");
  const auto got = on.get("/small.txt");
  CHECK(got.status == 503);
  CHECK(on.icapgate.line().text("reason") == "icap_tls_failed");
}

TEST_CASE("unix socket: what the scanner says of clean and infected files counts") {
  const temporary_folder folder;
  const auto path = (folder.path() / "scanner.sock").string();
  icap_peer scanner({.socket = path});
  in_front_of on("icap+unix:" + path + ":/avscan");
  CHECK(on.get("/small.txt").body == "nothing in it\n");
  CHECK(difference(on.get("/clean.bin").body, on.clean) == "");
  scanner.always(block_page());
  check_blocked(on.get("/eicar.com"));
  CHECK(on.icapgate.line(3).text("threat") == "Play.Virus");
  // The gateway's path of a socket is not the scanner's business.
  for (const auto& seen : scanner.scans()) CHECK(seen.icap.wire.find(path) == std::string::npos);
  CHECK(scanner.scans().at(0).connection == scanner.scans().at(2).connection);
  CHECK(scanner.failures() == std::vector<std::string>());
}

TEST_CASE("unix socket: without a socket there nothing is delivered, and the reason is told") {
  const temporary_folder folder;
  const auto path = (folder.path() / "scanner.sock").string();
  in_front_of on("icap+unix:" + path + ":/avscan");
  const auto refused = on.get("/small.txt");
  check_refusal(refused, on.icapgate.line());
  CHECK(on.icapgate.line().text("reason") == "icap_connect_refused");
  const icap_peer scanner({.socket = path});
  wait_until("it is served once there is one", [&] { return on.get("/small.txt").status == 200; });
}

TEST_CASE("unix socket: a socket that nobody listens on refuses") {
  const temporary_folder folder;
  const auto path = (folder.path() / "scanner.sock").string();
  icap_peer({.socket = path}).stop();
  in_front_of on("icap+unix:" + path + ":/avscan");
  const auto refused = on.get("/small.txt");
  check_refusal(refused, on.icapgate.line());
  CHECK(on.icapgate.line().text("reason") == "icap_connect_refused");
}
