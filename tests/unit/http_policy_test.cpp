#include "http/policy.hpp"

#include "catch.hpp"

using namespace icapgate;
using http::action;
using http::body_framing;
using http::scan_decision;

namespace {

http::response_head response(unsigned status, body_framing framing) {
  http::response_head head;
  head.status = status;
  head.framing = framing;
  return head;
}

}  // namespace

TEST_CASE("policy: every response with a body is scanned, whatever its status and framing") {
  for (const unsigned status : {200u, 206u, 301u, 403u, 404u, 500u, 999u})
    for (const auto framing :
         {body_framing::length, body_framing::chunked, body_framing::until_close})
      CHECK(http::must_scan(response(status, framing), 80, {}) == scan_decision::scan);
}

TEST_CASE("policy: without a body there is nothing to scan, on any port") {
  CHECK(http::must_scan(response(200, body_framing::none), 80, {}) == scan_decision::no_body);
  CHECK(http::must_scan(response(304, body_framing::none), 80, {80}) == scan_decision::no_body);
}

TEST_CASE("policy: only the ports that are told are avoided") {
  const auto head = response(200, body_framing::length);
  CHECK(http::must_scan(head, 8081, {80, 8081}) == scan_decision::avoid_port);
  CHECK(http::must_scan(head, 8082, {80, 8081}) == scan_decision::scan);
}

TEST_CASE("policy: a verdict decides, with or without fallback") {
  for (const bool fallback : {false, true}) {
    CHECK(http::decide(icap::judgement{icap::verdict::clean, ""}, fallback) == action::relay);
    CHECK(http::decide(icap::judgement{icap::verdict::adapted, ""}, fallback) == action::adapt);
    CHECK(http::decide(icap::judgement{icap::verdict::blocked, "x"}, fallback) == action::block);
  }
}

TEST_CASE("policy: fallback makes up for the scanner's trouble and for nobody else's") {
  const auto first = static_cast<std::size_t>(errc::icap_resolve_failed);
  const auto last = static_cast<std::size_t>(errc::icap_tls_certificate);
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const auto reason = static_cast<errc>(i);
    CAPTURE(describe(reason).token);
    const bool scanner = i >= first && i <= last;
    CHECK(http::is_scanner_trouble(reason) == scanner);
    CHECK(http::decide(reason, false) == action::fail);
    CHECK(http::decide(reason, true) == (scanner ? action::relay : action::fail));
  }
}
