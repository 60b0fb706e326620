// https:// origins, and origins behind a unix socket.
#include "kit/stage.hpp"
#include "kit/tls.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

constexpr auto tls_ca = "ICAPGATE_ORIGIN__TLS__CA";
constexpr auto tls_certificate = "ICAPGATE_ORIGIN__TLS__CERTIFICATE";
constexpr auto tls_key = "ICAPGATE_ORIGIN__TLS__KEY";
constexpr auto tls_server_name = "ICAPGATE_ORIGIN__TLS__SERVER_NAME";
constexpr auto tls_verify = "ICAPGATE_ORIGIN__TLS__VERIFY";

// An origin with a certificate of its own for `names`.
struct tls_origin {
  explicit tls_origin(const std::string& names, const std::string& client_ca = {})
      : certificate(folder.path(), "origin", names),
        peer([this, client_ca](connection& wire) { accept_tls(wire, {&certificate, client_ca}); }) {
    peer.when("/small", {.body = "small"});
    peer.when("/large", {.body = noise(3'000'000, 7), .form = framing::chunked});
    peer.when("/eicar.com", {.body = eicar()});
    peer.when("/until-close", {.body = noise(300'000, 8), .form = framing::close});
    peer.when("/cut", [](connection& to, const origin_request&) {
      to.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it");
      to.close();
    });
  }
  std::string url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + std::to_string(peer.port());
  }

  const temporary_folder folder;
  const lab_certificate certificate;
  origin_peer peer;
};

struct in_front_of {
  explicit in_front_of(const std::string& url, std::map<std::string, std::string> env = {})
      : icapgate({.origin_url = url, .more = {"--icap", "embedded:"}, .env = std::move(env)}) {}
  ~in_front_of() { CHECK(icapgate.finish() == ""); }
  response get(const std::string& target) { return http_client(icapgate.port()).get(target); }
  gate icapgate;
};

void check_refused(in_front_of& on, const std::string& reason) {
  const auto got = on.get("/small");
  CHECK(got.status == 502);
  CHECK(got.body.find("small") == std::string::npos);
  CHECK(on.icapgate.line().text("reason") == reason);
}

}  // namespace

TEST_CASE("https origin: bodies come whole, EICAR is blocked, connections are used again") {
  const tls_origin origin("IP:127.0.0.1");
  in_front_of on(origin.url(), {{tls_ca, origin.certificate.certificate}});
  http_client client(on.icapgate.port());
  for (int i = 0; i < 3; ++i) {
    CHECK(client.get("/small").body == "small");
    CHECK(difference(client.get("/large").body, noise(3'000'000, 7)) == "");
    CHECK(client.get("/eicar.com").status == 403);
  }
  CHECK(origin.peer.request("/small").connection == 0);
  CHECK(value(origin.peer.request("/small").head.fields, "Host") == "shop.example");
  CHECK(origin.peer.failures() == std::vector<std::string>());
}

TEST_CASE("https origin: an end of the connection is one only where TLS says so") {
  const tls_origin origin("IP:127.0.0.1");
  in_front_of on(origin.url(), {{tls_ca, origin.certificate.certificate}});
  CHECK(difference(on.get("/until-close").body, noise(300'000, 8)) == "");
  const auto cut = on.get("/cut");
  CHECK(cut.status == 502);
  CHECK(on.icapgate.line(2).text("reason") == "origin_body_reset");
}

TEST_CASE("https origin: a certificate of an unknown authority means 502") {
  const tls_origin origin("IP:127.0.0.1");
  in_front_of on(origin.url());
  check_refused(on, "origin_tls_certificate");
}

TEST_CASE("https origin: a certificate for another name means 502, unless that name is expected") {
  const tls_origin origin("DNS:origin.test");
  const auto ca = origin.certificate.certificate;
  {
    in_front_of on(origin.url(), {{tls_ca, ca}});
    check_refused(on, "origin_tls_certificate");
  }
  {
    in_front_of on(origin.url(), {{tls_ca, ca}, {tls_server_name, "other.test"}});
    check_refused(on, "origin_tls_certificate");
  }
  in_front_of on(origin.url(), {{tls_ca, ca}, {tls_server_name, "origin.test"}});
  CHECK(on.get("/small").body == "small");
}

TEST_CASE("https origin: without verification any certificate will do") {
  const tls_origin origin("DNS:origin.test");
  in_front_of on(origin.url(), {{tls_verify, "false"}});
  CHECK(on.get("/small").body == "small");
}

TEST_CASE("https origin: it is shown our certificate where it asks for one") {
  const temporary_folder folder;
  const lab_certificate ours(folder.path(), "gateway", "DNS:gateway.example");
  const tls_origin origin("IP:127.0.0.1", ours.certificate);
  const auto ca = origin.certificate.certificate;
  {
    in_front_of on(origin.url(),
                   {{tls_ca, ca}, {tls_certificate, ours.certificate}, {tls_key, ours.key}});
    CHECK(on.get("/small").body == "small");
  }
  in_front_of on(origin.url(), {{tls_ca, ca}});
  CHECK(on.get("/small").status == 502);
  CHECK(on.icapgate.line().text("reason").starts_with("origin_"));
}

TEST_CASE("https origin: plain HTTP where TLS is expected means 502") {
  const server plain([](connection& wire, int) {
    wire.read_some();
    wire.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  });
  in_front_of on("https://127.0.0.1:" + std::to_string(plain.port()));
  const auto got = on.get("/small");
  CHECK(got.status == 502);
  CHECK(on.icapgate.line().text("reason") == "origin_tls_failed");
}

TEST_CASE("https origin: a CA file that can't be read is told at the start") {
  const auto [status, output] = run_icapgate(
      {"--origin", "https://127.0.0.1:1", "--icap", "embedded:"}, {{tls_ca, "/nowhere.pem"}});
  CHECK(status == 78);
  CHECK(output.find("/nowhere.pem") != std::string::npos);
}

TEST_CASE("origin behind a unix socket: it is asked as any other, and its absence means 502") {
  const temporary_folder folder;
  const auto path = (folder.path() / "origin.sock").string();
  in_front_of on("http+unix:" + path);
  CHECK(on.get("/small").status == 502);
  CHECK(on.icapgate.line().text("reason") == "origin_connect_refused");
  origin_peer origin({}, path);
  origin.when("/small", {.body = "small"});
  origin.when("/eicar.com", {.body = eicar()});
  CHECK(on.get("/small").body == "small");
  CHECK(on.get("/eicar.com").status == 403);
  CHECK(value(origin.request("/small").head.fields, "Host") == "shop.example");
}
