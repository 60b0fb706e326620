// TLS towards clients.
#include "kit/stage.hpp"
#include "kit/tls.hpp"

#include "catch.hpp"

#include <atomic>
#include <filesystem>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

using namespace e2e;
namespace fs = std::filesystem;

namespace {

constexpr auto tls_certificate = "ICAPGATE_LISTEN__TLS__CERTIFICATE";
constexpr auto tls_key = "ICAPGATE_LISTEN__TLS__KEY";
constexpr auto tls_client_ca = "ICAPGATE_LISTEN__TLS__CLIENT_CA";
constexpr auto tls_client_certificates = "ICAPGATE_LISTEN__TLS__CLIENT_CERTIFICATES";

// The gateway with one certificate, in front of a scripted origin; real TLS on the client's side.
struct tls_stage {
  explicit tls_stage(gate_settings settings = {})
      : certificate(folder.path(), "shop", "DNS:shop.example"),
        on(with_tls(std::move(settings), certificate)) {}

  static gate_settings with_tls(gate_settings settings, const lab_certificate& shown) {
    settings.env.emplace(tls_certificate, shown.certificate);
    settings.env.emplace(tls_key, shown.key);
    return settings;
  }
  connection wire(tls_client_settings how = {}) {
    if (how.ca.empty()) how.ca = certificate.certificate;
    return tls_to(on.icapgate.port(), how);
  }
  http_client client(tls_client_settings how = {}) { return http_client(wire(std::move(how))); }

  const temporary_folder folder;
  const lab_certificate certificate;
  stage on;
};

// openssl s_client with these arguments: what it printed, and its exit status.
outcome s_client(std::uint16_t port, const std::string& arguments) {
  need("/usr/bin/openssl", "openssl");
  const temporary_folder folder;
  process child({"/bin/sh", "-c",
                 "exec /usr/bin/openssl s_client -brief -connect 127.0.0.1:" +
                     std::to_string(port) + " " + arguments + " < /dev/null"},
                folder.path() / "output");
  const int status = child.wait();
  return {status, child.output()};
}

// The certificate of `from`, now in the files of `to`.
void replace(const lab_certificate& to, const lab_certificate& from) {
  for (const auto& [old, fresh] :
       {std::pair(to.certificate, from.certificate), std::pair(to.key, from.key)}) {
    write_file(old + ".new", file_text(fresh));
    fs::rename(old + ".new", old);
  }
}

// What stands between the first two lines that begin with dashes: PEM is DER in base64.
std::string base64_of(const std::string& certificate) {
  std::istringstream lines(file_text(certificate));
  std::string text;
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with('-')) text += line;
  return text;
}

// Seconds since 1970, as the openssl program reads it.
double expiry_of(const std::string& certificate) {
  const temporary_folder folder;
  process child({"/bin/sh", "-c",
                 "date -d \"$(/usr/bin/openssl x509 -noout -enddate -in " + certificate +
                     " | sed 's/^notAfter=//')\" +%s"},
                folder.path() / "output");
  child.wait();
  return std::stod(child.output());
}

bool is_refused(std::uint16_t port, const tls_client_settings& how) {
  try {
    // With TLS 1.3 the server's refusal comes after the client took the handshake for done.
    auto wire = tls_to(port, how);
    wire.write("GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    return wire.read_some().empty();
  } catch (const peer_gone&) {
    return true;
  }
}

}  // namespace

TEST_CASE("TLS: versions 1.2 and 1.3 are spoken, older ones are refused") {
  tls_stage tls;
  const auto port = tls.on.icapgate.port();
  for (const auto version : {"-tls1_2", "-tls1_3"}) {
    const auto [status, output] = s_client(port, version);
    INFO(output);
    CHECK(status == 0);
    CHECK(output.find("CONNECTION ESTABLISHED") != std::string::npos);
  }
  for (const auto version : {"-tls1", "-tls1_1"}) {
    const auto [status, output] =
        s_client(port, version + std::string(" -cipher 'ALL:@SECLEVEL=0'"));
    INFO(output);
    CHECK(status != 0);
    CHECK(output.find("alert protocol version") != std::string::npos);
  }
}

TEST_CASE(
    "TLS: with 1.2 only ciphers with forward secrecy and authenticated encryption are taken") {
  tls_stage tls;
  const auto port = tls.on.icapgate.port();
  for (const auto cipher : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                            "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    const auto [status, output] = s_client(port, std::string("-tls1_2 -cipher ") + cipher);
    INFO(cipher << '\n' << output);
    CHECK(status == 0);
    CHECK(output.find(cipher) != std::string::npos);
  }
  for (const auto cipher : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                            "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-NULL-SHA", "AECDH-AES128-SHA",
                            "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"}) {
    const auto [status, output] =
        s_client(port, std::string("-tls1_2 -cipher '") + cipher + ":@SECLEVEL=0'");
    INFO(cipher << '\n' << output);
    CHECK(status != 0);
    CHECK(output.find("alert handshake failure") != std::string::npos);
  }
}

TEST_CASE("TLS: http/1.1 is agreed on by ALPN, and a client that wants only others is refused") {
  tls_stage tls;
  CHECK(facts(tls.wire()).protocol.empty());
  CHECK(facts(tls.wire({.protocols = {"http/1.1"}})).protocol == "http/1.1");
  CHECK(facts(tls.wire({.protocols = {"h2", "http/1.1"}})).protocol == "http/1.1");
  CHECK_THROWS_AS(tls.wire({.protocols = {"h2"}}), tls_refused);
}

TEST_CASE("TLS: several certificates are chosen among by the name that the client asks for") {
  const temporary_folder folder;
  const lab_certificate first(folder.path(), "first", "DNS:first.example");
  const lab_certificate wild(folder.path(), "wild", "DNS:*.shops.example");
  const lab_certificate exact(folder.path(), "exact", "DNS:exact.shops.example");
  stage on({.env = {{tls_certificate,
                     first.certificate + "," + wild.certificate + "," + exact.certificate},
                    {tls_key, first.key + "," + wild.key + "," + exact.key}}});
  const auto shown = [&](const std::string& name) {
    return facts(tls_to(on.icapgate.port(), {.name = name})).certificate;
  };
  CHECK(shown("first.example") == "first");
  CHECK(shown("FIRST.example") == "first");
  CHECK(shown("another.shops.example") == "wild");
  CHECK(shown("exact.shops.example") == "exact");
  CHECK(shown("a.b.shops.example") == "first");
  CHECK(shown("elsewhere.test") == "first");
  CHECK(shown("") == "first");
}

TEST_CASE("TLS: a connection carries many requests, and its end is said") {
  tls_stage tls;
  tls.on.origin.when("/a", {.body = "first"});
  tls.on.origin.when("/b", {.body = noise(100'000), .form = framing::chunked});
  auto client = tls.client();
  for (int i = 0; i < 3; ++i) {
    CHECK(client.get("/a").body == "first");
    CHECK(difference(client.get("/b").body, noise(100'000)) == "");
  }
  CHECK(client.get("/a", {{"Connection", "close"}}).body == "first");
  // was_reset, were it not for close_notify.
  CHECK(client.wire().read_some().empty());
  CHECK(tls.on.icapgate.lines(7).size() == 7);
}

TEST_CASE("TLS: pipelined requests that come in one record are all answered") {
  tls_stage tls;
  tls.on.origin.when("/a", {.body = "first"});
  auto client = tls.client();
  const std::string request = "GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
  client.wire().write(request + request + request);
  for (int i = 0; i < 3; ++i) CHECK(client.receive().body == "first");
}

TEST_CASE("TLS: origin and scanner are told that the client speaks https") {
  tls_stage tls;
  tls.on.origin.when("/a", {.body = "text"});
  auto client = tls.client();
  CHECK(client.get("/a").status == 200);
  CHECK(client.get("https://shop.example/a").status == 200);
  CHECK(client.get("https://shop.example:443/a").status == 200);
  CHECK(client.get("https://shop.example/a", {{"Host", "shop.example:443"}}).status == 200);
  const auto asked = tls.on.origin.request("/a").head.fields;
  CHECK(value(asked, "X-Forwarded-Proto") == "https");
  CHECK(value(asked, "Forwarded").find("proto=https") != std::string::npos);
  CHECK(tls.on.scanner.scans().at(0).request.second == "https://shop.example/a");
}

TEST_CASE("TLS: an absolute target of another scheme or port than the connection's is refused") {
  tls_stage tls;
  for (const auto target : {"http://shop.example/a", "https://shop.example:80/a"}) {
    auto client = tls.client();
    const auto got = client.get(target);
    CHECK(got.status == 400);
    CHECK(client.wire().read_some().empty());
  }
  CHECK(tls.on.origin.requests().empty());
}

TEST_CASE("TLS: EICAR is blocked") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  origin_peer origin;
  origin.when("/eicar.com", {.body = eicar()});
  origin.when("/clean", {.body = "clean"});
  gate icapgate(
      tls_stage::with_tls({.origin = origin.port(), .more = {"--icap", "embedded:"}}, shop));
  http_client client(tls_to(icapgate.port(), {.ca = shop.certificate}));
  const auto got = client.get("/eicar.com");
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body.find(eicar()) == std::string::npos);
  CHECK(http_client(tls_to(icapgate.port())).get("/clean").body == "clean");
  CHECK(icapgate.line().text("reason") == "blocked");
  CHECK(icapgate.finish() == "");
}

TEST_CASE("TLS: large bodies, from memory and from a spool file, arrive whole in both directions") {
  tls_stage tls({.env = {{setting::spool_memory, "64KiB"}, {setting::spool_first_above, "1MiB"}}});
  const auto large = noise(20'000'000, 3);
  tls.on.origin.when("/length", {.body = large});
  tls.on.origin.when("/chunked", {.body = large, .form = framing::chunked});
  tls.on.origin.when("/upload", {.body = "taken"});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto client = tls.client({.version = version});
    CHECK(difference(client.get("/length").body, large) == "");
    CHECK(difference(client.get("/chunked").body, large) == "");
    const field_list length = {{"Content-Length", std::to_string(large.size())}};
    CHECK(client.request("POST", "/upload", length, large).body == "taken");
    CHECK(difference(tls.on.origin.request("/upload").body, large) == "");
  }
}

TEST_CASE("TLS: a response that breaks off is not ended as if it were whole") {
  tls_stage tls({.more = {"--debug-fallback"}, .env = {{"ICAPGATE_MODE", "off"}}});
  tls.on.origin.when("/cut", [](connection& to, const origin_request&) {
    to.write(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
    to.reset();
  });
  auto client = tls.client();
  client.send("GET", "/cut");
  CHECK_THROWS_AS(client.wire().read_to_end(), was_reset);
}

TEST_CASE("TLS: a client that leaves in the middle, without a word, costs its own request only") {
  tls_stage tls;
  tls.on.origin.when("/a", {.body = "text"});
  tls.on.origin.when("/upload", {.body = "never"});
  {
    auto cut = tls.client();
    cut.send("POST", "/upload", {{"Content-Length", "100"}}, "ten bytes.");
    cut.wire().close();
  }
  const auto line = tls.on.icapgate.line();
  CHECK((line.text("reason") == "client_closed" || line.text("reason") == "client_body_eof"));
  CHECK(tls.client().get("/a").body == "text");
}

TEST_CASE("TLS: plain HTTP gets a 400 in plain HTTP, and nothing reaches the origin") {
  tls_stage tls;
  http_client plain(tls.on.icapgate.port());
  const auto got = plain.get("/a");
  CHECK(got.status == 400);
  CHECK(plain.ended());
  CHECK(tls.on.icapgate.line().text("reason") == "client_tls_missing");
  CHECK(tls.on.origin.requests().empty());
}

TEST_CASE("TLS: a handshake that goes wrong or stands still is ended, and told in the access log") {
  tls_stage tls({.env = {{setting::client_head, "300ms"}}});
  auto garbage = connection::to(tls.on.icapgate.port());
  garbage.write(std::string("\x16\x03\x01\x00\x05hello", 10));
  garbage.read_to_end();  // an alert, or nothing
  CHECK(tls.on.icapgate.line().text("reason") == "client_tls_failed");
  auto half = connection::to(tls.on.icapgate.port());
  half.write(std::string("\x16\x03\x01", 3));
  CHECK(half.read_to_end().empty());
  CHECK(tls.on.icapgate.line(2).text("reason") == "client_tls_failed");
  CHECK(tls.on.icapgate.line(2).number("status") == 0);
  // Nothing at all is no request.
  auto silent = connection::to(tls.on.icapgate.port());
  CHECK(silent.read_to_end().empty());
  CHECK(tls.on.icapgate.lines(2).size() == 2);
}

TEST_CASE("TLS: a client that ends its half before a byte of a handshake is gone at once") {
  tls_stage tls({.env = {{setting::client_head, "1h"}}});
  auto silent = connection::to(tls.on.icapgate.port());
  wait_until("it is served", [&] { return metric(tls.on, "client_connections") == 1; });
  silent.end();
  CHECK(silent.read_to_end().empty());
  wait_until("it is gone", [&] { return metric(tls.on, "client_connections") == 0; });
}

TEST_CASE("TLS: sessions are resumed, by another worker too") {
  tls_stage tls({.workers = 3});
  tls.on.origin.when("/a", {.body = "text"});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (int i = 0; i < 8; ++i) {
      auto first = tls.client({.version = version});
      CHECK_FALSE(facts(first.wire()).resumed);
      CHECK(first.get("/a").body == "text");
      const auto session = session_of(first.wire());
      auto second = tls.client({.version = version, .resume = session.get()});
      CHECK(facts(second.wire()).resumed);
      CHECK(second.get("/a").body == "text");
    }
  }
}

TEST_CASE(
    "TLS: where clients have to show a certificate, only those of that authority are served") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  const lab_certificate known(folder.path(), "known", "DNS:known.example");
  const lab_certificate stranger(folder.path(), "stranger", "DNS:stranger.example");
  stage on(tls_stage::with_tls({.env = {{tls_client_ca, known.certificate}}}, shop));
  on.origin.when("/a", {.body = "text"});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto port = on.icapgate.port();
    CHECK(is_refused(port, {.version = version}));
    CHECK(is_refused(port, {.show = &stranger, .version = version}));
    http_client client(tls_to(port, {.show = &known, .version = version}));
    CHECK(client.get("/a").body == "text");
    auto again = tls_to(
        port, {.show = &known, .version = version, .resume = session_of(client.wire()).get()});
    CHECK(facts(again).resumed);
  }
  CHECK(on.icapgate.line().text("reason") == "client_tls_failed");
  CHECK(on.origin.requests().size() == 2);
}

TEST_CASE("TLS: where clients may show a certificate, none is served and a stranger's is refused") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  const lab_certificate known(folder.path(), "known", "DNS:known.example");
  const lab_certificate stranger(folder.path(), "stranger", "DNS:stranger.example");
  stage on(tls_stage::with_tls(
      {.env = {{tls_client_ca, known.certificate}, {tls_client_certificates, "optional"}}}, shop));
  on.origin.when("/a", {.body = "text"});
  const auto port = on.icapgate.port();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CHECK(is_refused(port, {.show = &stranger, .version = version}));
    CHECK(http_client(tls_to(port, {.version = version})).get("/a").body == "text");
    http_client client(tls_to(port, {.show = &known, .version = version}));
    CHECK(client.get("/a", {{"Client-Cert", "as I say"}}).body == "text");
    // Nobody asked to be told of it.
    CHECK(value(on.origin.request("/a").head.fields, "Client-Cert") == "as I say");
  }
}

TEST_CASE("TLS: the origin is told the certificate that a client has shown, and no other") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  const lab_certificate known(folder.path(), "known", "DNS:known.example");
  stage on(tls_stage::with_tls({.env = {{tls_client_ca, known.certificate},
                                        {tls_client_certificates, "optional"},
                                        {"ICAPGATE_LISTEN__TLS__FORWARD_CLIENT_CERT", "true"}}},
                               shop));
  on.origin.when("/a", {.body = "text"});
  const auto port = on.icapgate.port();
  const std::vector<std::string> expected{":" + base64_of(known.certificate) + ":"};
  const auto told = [&](http_client& client) {
    const field_list claim = {{"Client-Cert", ":AAAA:"},
                              {"client_cert", ":AAAA:"},
                              {"Client-Cert-Chain", ":AAAA:"},
                              {"Connection", "Client-Cert"}};
    CHECK(client.get("/a", claim).body == "text");
    const auto asked = on.origin.request("/a").head.fields;
    CHECK_FALSE(has(asked, "Client_Cert"));
    CHECK_FALSE(has(asked, "Client-Cert-Chain"));
    return values(asked, "Client-Cert");
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    http_client unknown(tls_to(port, {.version = version}));
    CHECK(told(unknown).empty());
    http_client client(tls_to(port, {.show = &known, .version = version}));
    CHECK(told(client) == expected);
    CHECK(told(client) == expected);
    http_client again(tls_to(
        port, {.show = &known, .version = version, .resume = session_of(client.wire()).get()}));
    CHECK(told(again) == expected);
    CHECK(facts(again.wire()).resumed);
  }
  for (const auto& scan : on.scanner.scans()) {
    CHECK_FALSE(has(scan.request.fields, "Client-Cert"));
    CHECK_FALSE(has(scan.request.fields, "Client-Cert-Chain"));
  }
}

TEST_CASE("TLS: what only one listener may tell of certificates, no client of another can say") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  const lab_certificate known(folder.path(), "known", "DNS:known.example");
  const reserved_port secure;
  const std::string plain = "[listen.plain]\naddress = \"127.0.0.1:@PORT@\"\n";
  const auto with_tls =
      "[listen.secure]\naddress = \"127.0.0.1:" + std::to_string(secure.number()) +
      "\"\ntls = { certificate = \"" + shop.certificate + "\", key = \"" + shop.key +
      "\", client_ca = \"" + known.certificate +
      "\", client_certificates = \"optional\", forward_client_cert = true }\n";
  stage on({.config = plain});
  on.origin.when("/a", {.body = "text"});
  const auto told = [&](http_client& client) {
    CHECK(client.get("/a", {{"Client-Cert", ":AAAA:"}, {"client_cert_chain", ":AAAA:"}}).body ==
          "text");
    const auto asked = on.origin.request("/a").head.fields;
    CHECK(has(asked, "Client-Cert") == has(asked, "client_cert_chain"));
    return has(asked, "Client-Cert");
  };
  auto stays = on.client();
  CHECK(told(stays));
  REQUIRE(on.icapgate.reload(plain + with_tls));
  CHECK_FALSE(told(stays));
  auto fresh = on.client();
  CHECK_FALSE(told(fresh));
  // A trusted proxy may have seen one.
  REQUIRE(on.icapgate.reload(plain + "trusted_proxies = \"127.0.0.1\"\n" + with_tls));
  auto trusted = on.client();
  CHECK(told(trusted));
}

TEST_CASE("TLS: the metrics tell when each certificate expires, of new files too") {
  const temporary_folder folder;
  const lab_certificate first(folder.path(), "first", "DNS:first.example", 3);
  const lab_certificate second(folder.path(), "second", "DNS:second.example", 40);
  const lab_certificate renewed(folder.path(), "renewed", "DNS:first.example", 90);
  stage on({.env = {{tls_certificate, first.certificate + "," + second.certificate},
                    {tls_key, first.key + "," + second.key}}});
  const auto told = [&](const lab_certificate& of) {
    return metric(on, "tls_certificate_expiry_timestamp_seconds{file=\"" + of.certificate + "\"}");
  };
  CHECK(told(first) == expiry_of(first.certificate));
  CHECK(told(second) == expiry_of(second.certificate));
  const auto fresh = expiry_of(renewed.certificate);
  replace(first, renewed);
  wait_until("the new one is told", [&] { return told(first) == fresh; });
  CHECK(told(second) == expiry_of(second.certificate));
}

TEST_CASE("TLS: certificates are swapped under load without a failed request") {
  tls_stage tls({.workers = 2});
  tls.on.origin.when("/a", {.body = noise(20'000)});
  const lab_certificate next(tls.folder.path(), "next", "DNS:shop.example");
  const auto both = (tls.folder.path() / "both.pem").string();
  write_file(both, file_text(tls.certificate.certificate) + file_text(next.certificate));
  std::atomic<bool> over = false;
  std::atomic<int> wrong = 0;
  std::atomic<int> served = 0;
  std::vector<std::thread> load;
  for (int i = 0; i < 4; ++i) {
    load.emplace_back([&] {
      while (!over) {
        try {
          http_client client(tls_to(tls.on.icapgate.port(), {.ca = both}));
          for (int n = 0; n < 3; ++n)
            if (client.get("/a").body.size() != 20'000) ++wrong;
          ++served;
        } catch (const std::exception&) {
          ++wrong;
        }
      }
    });
  }
  auto kept = tls.client();
  CHECK(kept.get("/a").status == 200);
  const auto shown = [&] { return facts(tls.wire({.ca = both})).certificate; };
  CHECK(shown() == "shop");
  replace(tls.certificate, next);
  wait_until("the new certificate is shown", [&] { return shown() == "next"; });
  CHECK(kept.get("/a").status == 200);
  over = true;
  for (auto& each : load) each.join();
  CHECK(wrong == 0);
  CHECK(served > 0);
}

TEST_CASE("TLS: a bad new certificate is told, and the old one stays in use") {
  tls_stage tls;
  tls.on.origin.when("/a", {.body = "text"});
  const auto old = file_text(tls.certificate.certificate);
  const auto told = [&] {
    return tls.on.icapgate.output().find("stays in use") != std::string::npos;
  };
  write_file(tls.certificate.certificate, "-----BEGIN CERTIFICATE-----\nnonsense\n");
  wait_until("the log tells", told);
  CHECK(tls.on.icapgate.output().find(tls.certificate.certificate) != std::string::npos);
  CHECK(http_client(tls_to(tls.on.icapgate.port())).get("/a").body == "text");
}

TEST_CASE("TLS: settings that name no certificate, key or authority that can be used are refused") {
  const temporary_folder folder;
  const lab_certificate shop(folder.path(), "shop", "DNS:shop.example");
  const lab_certificate other(folder.path(), "other", "DNS:other.example");
  const auto refusal = [&](const std::map<std::string, std::string>& env) {
    const auto [status, output] =
        run_icapgate({"--origin", "http://127.0.0.1:1", "--icap", "embedded:"}, env);
    INFO(output);
    CHECK(status == 78);
    return output;
  };
  CHECK(refusal({{tls_certificate, "/nowhere.pem"}}).find("/nowhere.pem") != std::string::npos);
  CHECK(refusal({{tls_certificate, shop.certificate}}).find("the key") != std::string::npos);
  CHECK(refusal({{tls_certificate, shop.certificate}, {tls_key, other.key}}).find(other.key) !=
        std::string::npos);
  CHECK(refusal({{tls_certificate, shop.certificate}, {tls_key, shop.key + "," + other.key}})
            .find("one key for each") != std::string::npos);
  CHECK(refusal({{tls_key, shop.key}}).find("one key for each") != std::string::npos);
  CHECK(refusal({{tls_client_ca, shop.certificate}}).find("none of our own") != std::string::npos);
}
