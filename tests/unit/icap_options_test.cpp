#include "icap/options.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <chrono>
#include <limits>
#include <string>

using namespace icapgate;
using namespace icapgate::icap;
using namespace std::chrono_literals;

namespace {

result<service_options> answered(const std::string& head) {
  const auto out = test::play(head + "\r\n", test::options());
  REQUIRE(out.last == exchange::event::complete);
  return parse_options(out.answer);
}

service_options with(const std::string& fields) {
  const auto parsed = answered("ICAP/1.0 200 OK\r\n" + fields);
  REQUIRE(parsed.has_value());
  return *parsed;
}

}  // namespace

TEST_CASE("OPTIONS: c-icap's answer is read") {
  const auto o = with(test::lines(
      {"Methods: RESPMOD, REQMOD", "Service: C-ICAP/0.5.10 server - Antivirus service",
       "ISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"", "Transfer-Preview: *", "Options-TTL: 3600",
       "Date: Sun, 22 Nov 2026 05:47:42 GMT", "Preview: 1024", "Allow: 204",
       "X-Include: X-Authenticated-User, X-Authenticated-Groups", "Encapsulated: null-body=0"}));
  CHECK(o.respmod);
  CHECK(o.reqmod);
  CHECK(o.preview == std::size_t{1024});
  CHECK(o.allow_204);
  CHECK_FALSE(o.allow_206);
  CHECK_FALSE(o.max_connections);
  CHECK(o.ttl == 3600s);
  CHECK(o.istag == "CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA");
  CHECK(o.service == "C-ICAP/0.5.10 server - Antivirus service");
  CHECK(o.wants_authenticated_user);
  CHECK(o.wants_authenticated_groups);
  CHECK_FALSE(o.wants_client_ip);
  CHECK_FALSE(o.wants_server_ip);
  CHECK(o.transfer.others == transfer::preview);
}

TEST_CASE("OPTIONS: an answer that says nothing leaves what is assumed without one") {
  const auto o = with("");
  CHECK(o.respmod);
  CHECK(o.reqmod);
  CHECK_FALSE(o.preview);
  CHECK_FALSE(o.allow_204);
  CHECK_FALSE(o.ttl);
  CHECK(o.transfer.empty());
}

TEST_CASE("RFC 3507 row 43: Methods tells what the service does, OPTIONS among it or not") {
  CHECK_FALSE(with("Methods: RESPMOD\r\n").reqmod);
  CHECK(with("methods:options , respmod\r\n").respmod);
  CHECK_FALSE(with("Methods: OPTIONS\r\n").respmod);
  const auto split = with("Methods: REQMOD\r\nMethods: RESPMOD\r\n");
  CHECK(split.respmod);
  CHECK(split.reqmod);
}

TEST_CASE("RFC 3507 row 48: values may be split over commas, fields and folds") {
  const auto o = with("Allow: 204\r\nALLOW:206,,\r\nX-Include: X-Client-IP,\r\n x-server-ip\r\n");
  CHECK(o.allow_204);
  CHECK(o.allow_206);
  CHECK(o.wants_client_ip);
  CHECK(o.wants_server_ip);
  CHECK_FALSE(with("Allow: 2040, trailers\r\n").allow_204);
}

TEST_CASE("OPTIONS: numbers that can't be read are not said, and large ones are the largest") {
  for (const std::string bad : {"", "x", "-1", "+1", "1x", "0x10", "1.5", "1 2"}) {
    CAPTURE(bad);
    const auto o = with("Preview: " + bad + "\r\nMax-Connections: " + bad + "\r\n");
    CHECK_FALSE(o.preview);
    CHECK_FALSE(o.max_connections);
  }
  const auto o = with("Preview: 99999999999999999999\r\nMax-Connections: 99999999999999999999\r\n");
  CHECK(o.preview == std::numeric_limits<std::size_t>::max());
  CHECK(o.max_connections == std::numeric_limits<std::size_t>::max());
  CHECK(with("Preview: 0\r\n").preview == std::size_t{0});
}

TEST_CASE(
    "RFC 3507 row 44: Max-Connections is read, and none at all is no limit that could be meant") {
  CHECK(with("Max-Connections: 40\r\n").max_connections == std::size_t{40});
  CHECK_FALSE(with("Max-Connections: 0\r\n").max_connections);
}

TEST_CASE("RFC 3507 row 45: options are asked for again at 80 % of their TTL, within the clamp") {
  const auto after = [](const std::string& ttl) {
    return refresh_after(with("Options-TTL: " + ttl + "\r\n"), 300s, 10s, 1h);
  };
  CHECK(after("100") == 80s);
  CHECK(after("3600") == 2880s);
  CHECK(after("101") == 80s);
  CHECK(after("0") == 8s);
  CHECK(after("-5") == 8s);
  CHECK(after("999999999999999999999999") == 2880s);
  CHECK(after("soon") == 300s);
  CHECK(refresh_after({}, 300s, 10s, 1h) == 300s);
}

TEST_CASE("RFC 3507 row 36: the ISTag of the options is unquoted") {
  CHECK(with("ISTag: \"a-b\"\r\n").istag == "a-b");
  CHECK(with("istag:177\r\n").istag == "177");
  CHECK(with("Service-ID: scan\r\n").service_id == "scan");
}

TEST_CASE("RFC 3507 row 46: the transfer lists go by extension, in any case, and * is the others") {
  const auto o = with(
      "Preview: 1024\r\nTransfer-Preview: *\r\nTransfer-Ignore: GIF, .jpg,*.png\r\n"
      "Transfer-Complete: exe,\r\n zip\r\n");
  CHECK(transfer_of(o, "/a.gif") == transfer::ignore);
  CHECK(transfer_of(o, "/a.JPG?x=a.exe") == transfer::ignore);
  CHECK(transfer_of(o, "/a.Png#f.exe") == transfer::ignore);
  CHECK(transfer_of(o, "/dir.gif/a.exe") == transfer::complete);
  CHECK(transfer_of(o, "/a.gif.zip") == transfer::complete);
  CHECK(transfer_of(o, "/a.html") == transfer::preview);
  CHECK(transfer_of(o, "/dir.gif/a") == transfer::preview);
  CHECK(transfer_of(o, "/a.") == transfer::preview);
  CHECK(transfer_of(o, "/gif") == transfer::preview);
  CHECK(transfer_of(o, "/") == transfer::preview);
  CHECK(transfer_of(o, "") == transfer::preview);
}

TEST_CASE("RFC 3507 row 46: what stands in several lists is shown to the scanner") {
  const auto o = with(
      "Preview: 9\r\nTransfer-Ignore: exe, doc, *\r\nTransfer-Complete: exe\r\n"
      "Transfer-Preview: doc, exe, *\r\n");
  CHECK(transfer_of(o, "/a.exe") == transfer::complete);
  CHECK(transfer_of(o, "/a.doc") == transfer::preview);
  CHECK(transfer_of(o, "/a") == transfer::preview);
}

TEST_CASE("RFC 3507 row 46: without a * what is not listed is scanned") {
  CHECK(transfer_of(with("Transfer-Ignore: gif\r\n"), "/a.exe") == transfer::complete);
  CHECK(transfer_of(with("Preview: 0\r\nTransfer-Ignore: gif\r\n"), "/a") == transfer::preview);
}

TEST_CASE("RFC 3507 row 46: * may ignore or complete the others") {
  CHECK(transfer_of(with("Preview: 1\r\nTransfer-Ignore: *\r\n"), "/a.exe") == transfer::ignore);
  CHECK(transfer_of(with("Preview: 1\r\nTransfer-Complete: *\r\n"), "/a") == transfer::complete);
}

TEST_CASE("RFC 3507 row 47: without any list a Preview alone asks for previews") {
  CHECK(transfer_of(with("Preview: 1024\r\n"), "/a.exe") == transfer::preview);
  CHECK(transfer_of(with(""), "/a.exe") == transfer::complete);
}

TEST_CASE("RFC 3507 row 26: no Preview advertised, no preview sent") {
  CHECK(transfer_of(with("Transfer-Preview: *, exe\r\n"), "/a.exe") == transfer::complete);
  CHECK(transfer_of(with("Transfer-Preview: *, exe\r\n"), "/a") == transfer::complete);
}

TEST_CASE("RFC 3507 row 14: an OPTIONS answer that is no success is an error of the service") {
  CHECK(answered("ICAP/1.0 404 Service not found\r\n").error() == errc::icap_status_error);
  CHECK(answered("ICAP/1.0 405 x\r\n").error() == errc::icap_status_error);
  CHECK(answered("ICAP/1.0 500 x\r\n").error() == errc::icap_status_error);
  CHECK(answered("ICAP/1.0 503 x\r\n").error() == errc::icap_status_busy);
  CHECK(answered("ICAP/1.0 506 x\r\n").error() == errc::icap_status_busy);
  CHECK(answered("ICAP/1.0 204 x\r\n").error() == errc::icap_status_unexpected);
  CHECK(answered("ICAP/1.0 302 x\r\n").error() == errc::icap_status_unexpected);
  CHECK(answered("ICAP/1.0 201 x\r\n").has_value());
  CHECK(parse_options({}).error() == errc::icap_status_unexpected);
}
