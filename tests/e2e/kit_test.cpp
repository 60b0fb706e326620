// The kit against itself: a peer that errs would make every play worthless.
#include "kit/http_client.hpp"
#include "kit/icap_peer.hpp"
#include "kit/lab.hpp"
#include "kit/origin_peer.hpp"

#include "catch.hpp"

using namespace e2e;

TEST_CASE("kit: the client tells every framing of the origin peer, whole and cut") {
  origin_peer origin;
  const auto body = noise(100'000);
  origin.when("/length", response_text{.body = body});
  origin.when("/chunked", response_text{.body = body,
                                        .form = framing::chunked,
                                        .chunks = {.size = 999, .extension = ";a=b"}});
  origin.when("/close", response_text{.body = body, .form = framing::close});
  origin.when("/cut", [&](connection& to, const origin_request&) {
    const auto wire = response_text{.body = body}.wire();
    to.write(wire.substr(0, wire.size() - 1));
    to.close();
  });

  for (const std::string target : {"/length", "/chunked", "/close"}) {
    INFO(target);
    const auto got = http_client(origin.port()).get(target);
    CHECK(got.status == 200);
    CHECK(got.whole());
    CHECK(difference(got.body, body) == "");
  }
  CHECK_FALSE(http_client(origin.port()).get("/cut").whole());
  CHECK(origin.requests().size() == 4);
  CHECK(origin.failures() == std::vector<std::string>());
}

TEST_CASE("kit: the ICAP peer reads a RESPMOD and objects to a wrong offset") {
  icap_peer scanner;
  const auto authority = "127.0.0.1:" + std::to_string(scanner.port());
  const std::string request = "GET http://shop.example/a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
  const std::string head = "HTTP/1.1 200 OK\r\nETag: \"1\"\r\n\r\n";
  const auto play = [&](std::size_t offset) {
    auto wire = connection::to(scanner.port());
    wire.write("RESPMOD icap://" + authority + "/avscan ICAP/1.0\r\nHost: " + authority +
               "\r\nAllow: 204\r\nEncapsulated: req-hdr=0, res-hdr=" + std::to_string(offset) +
               ", res-body=" + std::to_string(offset + head.size()) + "\r\n\r\n" + request + head +
               chunked("some body"));
    return wire.read_some();
  };

  CHECK(play(request.size()) == no_modification());
  const auto seen = scanner.scan_of("/a");
  CHECK(seen.whole);
  CHECK(seen.body == "some body");
  CHECK(value(seen.response.fields, "ETag") == "\"1\"");
  CHECK(scanner.failures().empty());

  CHECK(play(request.size() - 1) == "");
  CHECK(scanner.failures().size() == 1);
}

TEST_CASE("kit: the lab's scanner finds EICAR and its origin serves files") {
  lab_origin origin;
  origin.serve("clean.txt", "nothing in it\n");
  CHECK(http_client(origin.port()).get("/clean.txt").body == "nothing in it\n");

  const lab_scanner scanner;
  const auto scan = [&](const std::string& body) {
    const std::string request = "GET http://shop.example/a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    auto wire = connection::to(scanner.port());
    wire.write("RESPMOD icap://127.0.0.1:" + std::to_string(scanner.port()) +
               "/avscan ICAP/1.0\r\nHost: 127.0.0.1\r\nAllow: 204\r\nEncapsulated: req-hdr=0, "
               "res-hdr=" +
               std::to_string(request.size()) +
               ", res-body=" + std::to_string(request.size() + head.size()) + "\r\n\r\n" + request +
               head + chunked(body));
    return parse_head(wire.read_until("\r\n\r\n"));
  };
  CHECK(scan("nothing in it\n").second == "204");
  const auto found = scan(eicar());
  CHECK(found.second == "200");
  CHECK(value(found.fields, "X-Infection-Found").find("Lab.Eicar.Test") != std::string::npos);
}
