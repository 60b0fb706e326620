#include "http/pages.hpp"

#include "http/head.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;

namespace {

struct sent {
  std::string head, body;
};

sent send(const http::page& content) {
  std::string wire;
  http::append_page(wire, content);
  const auto end = wire.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  return {wire.substr(0, end + 4), wire.substr(end + 4)};
}

// The value of a field that stands there once; empty if it does not.
std::string value(const std::string& head, std::string_view name) {
  http::response_head parsed;
  REQUIRE(http::parse_response(head, false, parsed) == errc::complete);
  std::string found;
  for (const auto& f : parsed.fields) {
    if (!iequals(f.name, name)) continue;
    CHECK(found.empty());
    found = f.value;
  }
  return found;
}

}  // namespace

TEST_CASE("pages: every reason that has a status gives a page for a person") {
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const auto reason = static_cast<errc>(i);
    const auto& row = describe(reason);
    CAPTURE(row.token);
    if (row.status == 0) continue;
    const auto page = send(http::error_page(reason, "0123abcd"));
    http::response_head head;
    REQUIRE(http::parse_response(page.head, false, head) == errc::complete);
    CHECK(head.status == row.status);
    CHECK_FALSE(head.reason.empty());
    CHECK(head.reason.find('<') == std::string_view::npos);
    CHECK(value(page.head, "Content-Length") == std::to_string(page.body.size()));
    CHECK(value(page.head, "Content-Type") == "text/html; charset=utf-8");
    CHECK(value(page.head, "Cache-Control") == "no-store");
    CHECK(value(page.head, "X-Request-Id") == "0123abcd");
    CHECK(value(page.head, "Retry-After").empty() == (row.status != 503));
    CHECK(page.body.find("0123abcd") != std::string::npos);
    CHECK(page.body.find("<h1></h1>") == std::string::npos);
    CHECK(page.body.find("<p></p>") == std::string::npos);
    // A visitor is told nothing of the house behind the gateway.
    CHECK(page.body.find("ICAP") == std::string::npos);
  }
}

TEST_CASE("pages: malware is spoken of only where a scan failed") {
  const auto says = [](errc reason) {
    return send(http::error_page(reason, "1")).body.find("malware") != std::string::npos;
  };
  CHECK(says(errc::icap_answer_timeout));
  CHECK(says(errc::spool_failed));
  CHECK_FALSE(says(errc::origin_head_timeout));
}

TEST_CASE("pages: what is shown is escaped") {
  http::page content{.status = 403, .title = "<b>", .text = "a&b\"'", .request_id = "1"};
  const auto body = send(content).body;
  CHECK(body.find("<b>") == std::string::npos);
  CHECK(body.find("<h1>&lt;b&gt;</h1>") != std::string::npos);
  CHECK(body.find("<title>&lt;b&gt;</title>") != std::string::npos);
  CHECK(body.find("a&amp;b&quot;&#39;") != std::string::npos);
}

TEST_CASE("pages: the answer to HEAD tells the length of the page and ends") {
  auto content = http::block_page("1");
  const auto whole = send(content);
  content.to_head = true;
  const auto bare = send(content);
  CHECK(bare.head == whole.head);
  CHECK(bare.body.empty());
  CHECK_FALSE(whole.body.empty());
}

TEST_CASE("pages: a block page is a 403 that is not worth a retry") {
  const auto page = send(http::block_page("1"));
  CHECK(page.head.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(value(page.head, "Retry-After").empty());
}

TEST_CASE("pages: the end of the connection is told") {
  auto content = http::block_page("1");
  CHECK(value(send(content).head, "Connection").empty());
  content.keep_alive = false;
  CHECK(value(send(content).head, "Connection") == "close");
}
