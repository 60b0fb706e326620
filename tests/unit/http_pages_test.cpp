#include "http/pages.hpp"

#include "http/head.hpp"

#include "catch.hpp"

#include <boost/json.hpp>

#include <ctime>
#include <string>
#include <vector>

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

http::page_format wanted(const std::string& accept_fields) {
  http::request_head head;
  const auto text = "GET / HTTP/1.1\r\nHost: a\r\n" + accept_fields + "\r\n";
  REQUIRE(http::parse_request(text, head) == errc::complete);
  return http::wanted_format(head);
}

std::string with_template(std::string_view html, std::string_view host = "a.example") {
  auto content = http::block_page("0123abcd", 451);
  content.html = html;
  content.host = host;
  return send(content).body;
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

TEST_CASE("pages: a program that would rather have JSON gets a problem") {
  const std::vector<std::string> lists{
      "application/problem+json",
      "APPLICATION/JSON",
      "application/vnd.api+json",
      "application/json, text/html;q=0.9",
      "text/html ; q=0.899 , application/json ; q=0.9",
      "application/json;charset=utf-8;q=0.5, text/html;q=0.4",
      "application/json, text/plain, */*",  // what a library sends that wants JSON
      "application/*, */*;q=0.9",
      "text/*, application/json",
      "text/html;q=0, */*",
      "text/*;q=0.1, */*;q=0.2",
      "application/json;q=0, application/problem+json",
      "text/html;q=0.000, application/json;q=0.001",
      "application/json;x=\"a,text/html\", text/html;q=0.5",
      "application/json;x=\"\\\",text/html;q=1\", text/html;q=0.5",
      "text/html;level=1;q=0.2, application/json;q=0.5",
      ",, ,application/json,",
  };
  for (const auto& list : lists) {
    CAPTURE(list);
    CHECK(wanted("Accept: " + list + "\r\n") == http::page_format::problem);
  }
  CHECK(wanted("Accept: text/html;q=0.5\r\naccept: application/json\r\n") ==
        http::page_format::problem);
}

TEST_CASE("pages: everyone else gets HTML") {
  CHECK(wanted("") == http::page_format::html);
  const std::vector<std::string> lists{
      "",
      "*/*",
      "image/png",
      "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
      "application/json, text/html",
      "application/json;q=0.8, text/html;q=0.9",
      "application/json;q=0",
      "application/json;q=0, text/html;q=0",
      "application/problem+json;q=0, application/*;q=0.5",
      "application/json;q=0.5, */*",
      // Not well-formed: as if it were not there.
      "application/json;q=1.5",
      "application/json;q=1.001",
      "application/json;q=0.1234",
      "application/json;q=",
      "application/json;q=.5",
      "application/json;q=-1",
      "application/json;q=0,5",
      "application/json;q=99999999999999999999999",
      ";q=1",
      "\"application/json",
      "json",
      "application/+json",
      "text/json+json",
  };
  for (const auto& list : lists) {
    CAPTURE(list);
    CHECK(wanted("Accept: " + list + "\r\n") == http::page_format::html);
  }
}

TEST_CASE("pages: no byte put anywhere into Accept does harm") {
  const std::string list = "application/json;a=\"b\\\"\";q=0.5, text/html;q=0.6, */*;q=0.1";
  for (std::size_t at = 0; at <= list.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      http::request_head head;
      auto text = list;
      if (at < list.size()) text[at] = static_cast<char>(byte);
      text.resize(at + 1);
      head.fields.push_back({http::field_id::accept, "Accept", text});
      const auto format = http::wanted_format(head);
      REQUIRE((format == http::page_format::html || format == http::page_format::problem));
    }
  }
}

TEST_CASE("pages: an endless Accept costs no more than a glance") {
  std::string list;
  while (list.size() < 1 << 20) list += "application/json;q=0.1;\",";
  http::request_head head;
  for (int i = 0; i < 20; ++i) head.fields.push_back({http::field_id::accept, "Accept", list});
  const auto began = std::clock();
  http::wanted_format(head);
  CHECK(std::clock() - began < 5 * CLOCKS_PER_SEC);
}

TEST_CASE("pages: every page can be had as a problem") {
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const auto& row = describe(static_cast<errc>(i));
    if (row.status == 0) continue;
    auto content = http::error_page(row.code, "0123abcd");
    content.format = http::page_format::problem;
    const auto page = send(content);
    CAPTURE(row.token, page.body);
    CHECK(value(page.head, "Content-Type") == "application/problem+json");
    CHECK(value(page.head, "Cache-Control") == "no-store");
    CHECK(value(page.head, "X-Content-Type-Options") == "nosniff");
    CHECK(value(page.head, "Content-Length") == std::to_string(page.body.size()));
    const auto problem = boost::json::parse(page.body).as_object();
    CHECK(problem.at("type") == "about:blank");
    CHECK(problem.at("status") == row.status);
    CHECK(problem.at("request_id") == "0123abcd");
    CHECK_FALSE(problem.at("title").as_string().empty());
    CHECK_FALSE(problem.at("detail").as_string().empty());
    content.to_head = true;
    CHECK(send(content).head == page.head);
    CHECK(send(content).body.empty());
  }
}

TEST_CASE("pages: a problem is JSON whatever it tells") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  http::page content{.status = 403, .title = "", .text = all, .request_id = "1"};
  content.format = http::page_format::problem;
  const auto problem = boost::json::parse(send(content).body).as_object();
  CHECK(problem.at("title") == "Forbidden");
  const auto& detail = problem.at("detail").as_string();
  CHECK(detail.starts_with(boost::json::string_view("\0\x01", 2)));
  CHECK(detail.find(" !\"#") != boost::json::string::npos);
  CHECK(detail.find("[\\]") != boost::json::string::npos);
  CHECK(detail.size() == 128 + 2 * 128);
}

TEST_CASE("pages: a block page tells its cause, to persons and programs") {
  struct row {
    http::block_cause cause;
    std::string word, says;
  };
  const std::vector<row> rows{{http::block_cause::harmful, "harmful", "harmful"},
                              {http::block_cause::unscannable, "unscannable", "not be checked"},
                              {http::block_cause::oversize, "oversize", "larger than what is"}};
  for (const auto& r : rows) {
    auto content = http::block_page("1", 451, r.cause);
    CAPTURE(r.word);
    const auto html = send(content);
    CHECK(html.head.starts_with("HTTP/1.1 451 Unavailable For Legal Reasons\r\n"));
    CHECK(html.body.find(r.says) != std::string::npos);
    CHECK(value(html.head, "Retry-After").empty());
    content.format = http::page_format::problem;
    const auto problem = boost::json::parse(send(content).body).as_object();
    CHECK(problem.at("cause").as_string().c_str() == r.word);
    CHECK(problem.at("status") == 451);
  }
  CHECK(http::error_page(errc::policy_oversize, "1").cause == "oversize");
  CHECK(http::error_page(errc::policy_unscannable, "1").cause == "unscannable");
  CHECK(http::error_page(errc::icap_answer_timeout, "1").cause.empty());
}

TEST_CASE("pages: what will never work is not worth a retry, a full spool is") {
  const auto head = [](errc reason) { return send(http::error_page(reason, "1")).head; };
  CHECK(head(errc::policy_oversize).starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(head(errc::policy_unscannable).starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(head(errc::policy_range_refused).starts_with("HTTP/1.1 416 Range Not Satisfiable\r\n"));
  CHECK(head(errc::policy_upgrade_refused).starts_with("HTTP/1.1 501 Not Implemented\r\n"));
  CHECK(head(errc::spool_full).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(value(head(errc::spool_full), "Retry-After") == "10");
  CHECK(value(head(errc::policy_oversize), "Retry-After").empty());
  auto refused = http::error_page(errc::policy_upgrade_refused, "1");
  refused.status = 403;
  CHECK(send(refused).head.starts_with("HTTP/1.1 403 Forbidden\r\n"));
}

TEST_CASE("pages: a status that the standard doesn't name has no words") {
  CHECK(send(http::block_page("1", 488)).head.starts_with("HTTP/1.1 488 \r\n"));
}

TEST_CASE("pages: a template shows the values where it names them") {
  CHECK(
      with_template("<p>{{status}} {{title}}: {{text}}</p><i>{{request_id}}</i>{{host}}{{host}}") ==
      "<p>451 Blocked: The content was found to be harmful and was not delivered.</p>"
      "<i>0123abcd</i>a.examplea.example");
  CHECK(with_template("<b>no placeholder</b>") == "<b>no placeholder</b>");
}

TEST_CASE("pages: in a template, what is no placeholder stays as it is") {
  for (const std::string text : {"{{threat}}", "{{ status }}", "{{STATUS}}", "{{status", "{status}",
                                 "{{", "{", "}}", "{{}}", "body { color: red }", "{{statusx}}"}) {
    CHECK(with_template(text) == text);
  }
  CHECK(with_template("{{{status}}}") == "{451}");
  CHECK(with_template("{{{{status}}}}") == "{{451}}");
  CHECK(with_template("{{threat}}{{status}}") == "{{threat}}451");
}

TEST_CASE("pages: a client's host is shown and never becomes markup or a placeholder") {
  CHECK(with_template("{{host}}", "<script>\"'&") == "&lt;script&gt;&quot;&#39;&amp;");
  CHECK(with_template("{{host}}", "{{status}}{{host}}") == "{{status}}{{host}}");
  CHECK(with_template("{{host}}status}}", "{{") == "{{status}}");
}

TEST_CASE("pages: a template is for block pages in HTML alone") {
  auto error = http::error_page(errc::origin_head_timeout, "1");
  error.html = "template";
  CHECK(send(error).body.starts_with("<!doctype html>"));
  auto problem = http::block_page("1");
  problem.html = "template";
  problem.format = http::page_format::problem;
  CHECK(send(problem).body.starts_with("{"));
  auto oversize = http::error_page(errc::policy_oversize, "1");
  oversize.html = "template";
  CHECK(send(oversize).body == "template");
  CHECK(value(send(oversize).head, "Content-Length") == "8");
}

TEST_CASE("pages: a template of nothing but braces costs no more than a glance") {
  const std::string braces(64 << 10, '{');
  const auto began = std::clock();
  CHECK(with_template(braces) == braces);
  CHECK(std::clock() - began < CLOCKS_PER_SEC);
}
