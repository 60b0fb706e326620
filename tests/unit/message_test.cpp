#include "icap/message.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;
using namespace std::string_literals;
using namespace icapgate::icap;

namespace {

constexpr std::string_view get_head = "GET http://origin/a HTTP/1.1\r\nHost: origin\r\n\r\n";
constexpr std::string_view ok_head = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n";

exchange_request request() {
  return {.uri = "icap://scanner:1344/avscan",
          .host = "scanner:1344",
          .request_head = get_head,
          .response_head = ok_head};
}

std::string written(const exchange_request& r) {
  std::string wire;
  append_request(wire, r);
  return wire;
}

// The sections that a request lists, and how many bytes stand behind its ICAP head.
std::vector<encapsulated_section> listed(const std::string& wire, std::size_t& behind) {
  const auto head_size = wire.find("\r\n\r\n") + 4;
  behind = wire.size() - head_size;
  std::vector<field> fields;
  const auto first_line = wire.find("\r\n") + 2;
  REQUIRE(parse_fields(std::string_view(wire).substr(first_line, head_size - first_line), fields));
  const field* encapsulated = find(fields, "encapsulated");
  REQUIRE(encapsulated);
  const auto sections = parse_encapsulated(encapsulated->value);
  REQUIRE(sections.has_value());
  return *sections;
}

bool parses(std::string_view text) {
  return parse_response_head(text).has_value();
}

}  // namespace

TEST_CASE("RFC 3507 row 9: a RESPMOD head has a request line, exact offsets and both heads") {
  std::string wire = "kept ";
  append_request(wire, request());
  CHECK(wire ==
        "kept RESPMOD icap://scanner:1344/avscan ICAP/1.0\r\n"
        "Host: scanner:1344\r\n"
        "Allow: 204\r\n"
        "Encapsulated: req-hdr=0, res-hdr=46, res-body=85\r\n"
        "\r\n"
        "GET http://origin/a HTTP/1.1\r\nHost: origin\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n");
}

TEST_CASE("RFC 3507 row 5: the service's URI is kept byte for byte") {
  auto r = request();
  r.uri = "icap://[::1]:1344/virus%5Fscan?allow204=on&Force=on";
  CHECK(written(r).starts_with(
      "RESPMOD icap://[::1]:1344/virus%5Fscan?allow204=on&Force=on ICAP/1.0\r\n"));
}

TEST_CASE("RFC 3507 row 18: a response without a body is sent with null-body") {
  auto r = request();
  r.has_body = false;
  const auto wire = written(r);
  CHECK(wire.find(", null-body=85\r\n") != std::string::npos);
  CHECK(wire.find("res-body") == std::string::npos);
}

TEST_CASE("message: further fields are written as they are") {
  auto r = request();
  r.fields = "X-Client-IP: 192.0.2.1\r\nX-Request-Id: 4f2a\r\n";
  CHECK(written(r).find("\r\nX-Client-IP: 192.0.2.1\r\nX-Request-Id: 4f2a\r\n") !=
        std::string::npos);
}

TEST_CASE("RFC 3507 row 16: the offsets of a request are those that its own parser reads") {
  for (const std::string_view method : {"RESPMOD", "REQMOD"}) {
    for (const std::string_view req : {get_head, std::string_view()}) {
      for (const std::string_view res : {ok_head, std::string_view()}) {
        if (method == "REQMOD" && !res.empty()) continue;
        for (const bool has_body : {true, false}) {
          auto r = request();
          r.method = method;
          r.request_head = req;
          r.response_head = res;
          r.has_body = has_body;
          const auto wire = written(r);
          std::size_t behind = 0;
          const auto sections = listed(wire, behind);
          CHECK(sections.back().offset == behind);
          CHECK(sections.size() == 1u + !req.empty() + !res.empty());
          for (const auto& s : sections) {
            const auto begin = wire.size() - behind + s.offset;
            if (s.kind == section::req_hdr) CHECK(wire.substr(begin, req.size()) == req);
            if (s.kind == section::res_hdr) CHECK(wire.substr(begin, res.size()) == res);
          }
        }
      }
    }
  }
}

TEST_CASE("RFC 3507 row 17: each method lists the sections that are its own") {
  auto r = request();
  std::size_t behind = 0;
  CHECK(listed(written(r), behind).back().kind == section::res_body);
  r.method = "REQMOD";
  r.response_head = {};
  auto sections = listed(written(r), behind);
  REQUIRE(sections.size() == 2);
  CHECK(sections[0].kind == section::req_hdr);
  CHECK(sections[1].kind == section::req_body);
  r.has_body = false;
  CHECK(listed(written(r), behind).back().kind == section::null_body);
}

TEST_CASE("RFC 3507 row 37: REQMOD carries the request's head in front of its body") {
  auto r = request();
  r.method = "REQMOD";
  r.response_head = {};
  CHECK(written(r) ==
        "REQMOD icap://scanner:1344/avscan ICAP/1.0\r\n"
        "Host: scanner:1344\r\n"
        "Allow: 204\r\n"
        "Encapsulated: req-hdr=0, req-body=46\r\n"
        "\r\n"
        "GET http://origin/a HTTP/1.1\r\nHost: origin\r\n\r\n");
}

TEST_CASE("RFC 3507 row 40: RESPMOD carries the request's head and the response's, not its body") {
  const auto wire = written(request());
  CHECK(wire.ends_with(std::string(get_head) + std::string(ok_head)));
  CHECK(wire.find("req-body") == std::string::npos);
}

TEST_CASE("RFC 3507 row 10: an OPTIONS request names its host and nothing of a message") {
  exchange_request r{.method = "OPTIONS", .uri = "icap://scanner/avscan", .host = "scanner"};
  r.preview = 0;
  r.allow_206 = true;
  CHECK(written(r) == "OPTIONS icap://scanner/avscan ICAP/1.0\r\nHost: scanner\r\n\r\n");
}

TEST_CASE("RFC 3507 row 8: no request has a Transfer-Encoding field in its ICAP head") {
  for (const std::string_view method : {"RESPMOD", "REQMOD", "OPTIONS"}) {
    auto r = request();
    r.method = method;
    CHECK(written(r).find("Transfer-Encoding") == std::string::npos);
  }
}

TEST_CASE("RFC 3507 row 34: 204 is allowed only where the caller says so") {
  auto r = request();
  CHECK(written(r).find("\r\nAllow: 204\r\n") != std::string::npos);
  r.allow_204 = false;
  CHECK(written(r).find("Allow") == std::string::npos);
}

TEST_CASE("RFC 3507 row 27: a preview is announced with its size, 0 included") {
  auto r = request();
  CHECK(written(r).find("Preview") == std::string::npos);
  for (const std::size_t size : {0u, 1u, 4096u, 1u << 20}) {
    r.preview = size;
    CHECK(written(r).find("\r\nPreview: " + std::to_string(size) + "\r\n") != std::string::npos);
  }
  r.has_body = false;
  CHECK(written(r).find("Preview") == std::string::npos);
  CHECK_FALSE(sends_preview(r));
}

TEST_CASE("message: 206 is offered only together with a preview") {
  auto r = request();
  r.allow_206 = true;
  CHECK(written(r).find("\r\nAllow: 204\r\n") != std::string::npos);
  CHECK_FALSE(offers_206(r));
  r.preview = 30;
  CHECK(offers_206(r));
  CHECK(written(r).find("\r\nAllow: 204, 206\r\nPreview: 30\r\n") != std::string::npos);
  r.allow_204 = false;
  CHECK(written(r).find("\r\nAllow: 206\r\n") != std::string::npos);
}

TEST_CASE("RFC 3507 row 7: fields keep order, case and inner line breaks, and lose outer blanks") {
  std::vector<field> fields;
  REQUIRE(parse_fields("A:x\r\nb: \ty z \t\r\nX-V: 1\r\n\t-\r\n\tE \r\nempty:\r\n\r\nnot: read\r\n",
                       fields));
  REQUIRE(fields.size() == 4);
  CHECK(fields[0].name == "A");
  CHECK(fields[0].value == "x");
  CHECK(fields[1].value == "y z");
  CHECK(fields[2].value == "1\r\n\t-\r\n\tE");
  CHECK(fields[3].name == "empty");
  CHECK(fields[3].value.empty());
  CHECK(find(fields, "x-v") == &fields[2]);
  CHECK(find(fields, "x") == nullptr);
}

TEST_CASE("message: a value may begin on a folded line, and blank folds add nothing") {
  std::vector<field> fields;
  REQUIRE(parse_fields("A:\r\n b\r\n \t\r\nC: d", fields));
  REQUIRE(fields.size() == 2);
  CHECK(fields[0].value == "b");
  CHECK(fields[1].value == "d");
}

TEST_CASE("RFC 3507 row 55: a line that is no field, or has a bare CR or LF, is refused") {
  for (const std::string bad :
       {"no colon\r\n", ": no name\r\n", " fold first: x\r\n", "a b: c\r\n", "a : b\r\n",
        "a: b\nX-Infection-Found: c\r\n", "a: b\rc: d\r\n", "a: b\r", "\xc3\xa4: b\r\n"}) {
    CAPTURE(bad);
    std::vector<field> fields;
    CHECK_FALSE(parse_fields(bad, fields));
  }
  std::vector<field> fields;
  CHECK_FALSE(parse_fields("a: b\0c\r\n"s, fields));
}

TEST_CASE("message: a fold does not reach back to fields of another text") {
  std::vector<field> fields;
  REQUIRE(parse_fields("a: b\r\n", fields));
  CHECK_FALSE(parse_fields(" c\r\n", fields));
  CHECK(fields.size() == 1);
}

TEST_CASE("message: Encapsulated lists are read with or without blanks, in any case") {
  const auto list = parse_encapsulated("REQ-HDR=0 ,res-hdr=12,\r\n\tres-body = 34");
  REQUIRE(list.has_value());
  REQUIRE(list->size() == 3);
  CHECK((*list)[0].kind == section::req_hdr);
  CHECK((*list)[1].kind == section::res_hdr);
  CHECK((*list)[1].offset == 12);
  CHECK((*list)[2].kind == section::res_body);
  CHECK((*list)[2].offset == 34);
  CHECK(parse_encapsulated("null-body=0").has_value());
}

TEST_CASE("RFC 3507 row 19: a lone body behind heads that are not listed is read") {
  for (const auto& [text, kind] :
       {std::pair("res-body=159", section::res_body), std::pair("req-body=159", section::req_body),
        std::pair("null-body=159", section::null_body)}) {
    const auto list = parse_encapsulated(text, true);
    REQUIRE(list.has_value());
    REQUIRE(list->size() == 1);
    CHECK(list->front().kind == kind);
    CHECK(list->front().offset == 159);
    CHECK_FALSE(parse_encapsulated(text).has_value());
  }
  for (const auto* const bad : {"opt-body=159", "res-hdr=1, res-body=159", "res-hdr=159"})
    CHECK_FALSE(parse_encapsulated(bad, true).has_value());
}

TEST_CASE("RFC 3507 row 17: Encapsulated lists that make no sense are refused") {
  for (const std::string bad : {"",
                                " ",
                                ",",
                                "res-hdr",
                                "res-hdr=",
                                "res-hdr=x",
                                "res-hdr=-0",
                                "res-hdr=+0",
                                "res-hdr=0x0",
                                "res-hdr=1, res-body=5",
                                "res-body=159",
                                "opt-body=159",
                                "res-hdr=0, res-body=0",
                                "res-hdr=9, res-body=5",
                                "res-hdr=0, res-hdr=5, res-body=9",
                                "res-hdr=0, req-hdr=5, res-body=9",
                                "res-body=0, null-body=5",
                                "res-hdr=0,, res-body=5",
                                "what=0",
                                "res-hdr=0, res-body=18446744073709551616",
                                "res-hdr=0, res-body=1 2"}) {
    CAPTURE(bad);
    const auto list = parse_encapsulated(bad);
    REQUIRE_FALSE(list.has_value());
    CHECK(list.error() == errc::icap_answer_invalid);
  }
}

TEST_CASE("RFC 3507 row 12: a response head is read with any reason phrase or none") {
  const auto head = parse_response_head("ICAP/1.0 204 No modification needed\r\nISTag:x\r\n\r\n");
  REQUIRE(head.has_value());
  CHECK(head->status == 204);
  CHECK(head->reason == "No modification needed");
  CHECK(find(head->fields, "istag")->value == "x");
  CHECK_FALSE(head->close);
  CHECK(parses("ICAP/1.0 204\r\n\r\n"));
  CHECK(parses("ICAP/1.0 204 \r\n\r\n"));
}

TEST_CASE("RFC 3507 row 12: another protocol, version or status form is refused") {
  for (const std::string bad :
       {"HTTP/1.1 200 OK\r\n\r\n", "ICAP/1.1 200 OK\r\n\r\n", "icap/1.0 200 OK\r\n\r\n",
        "ICAP/1.0  200 OK\r\n\r\n", "ICAP/1.0 20 OK\r\n\r\n", "ICAP/1.0 2000 OK\r\n\r\n",
        "ICAP/1.0 +20 OK\r\n\r\n", "ICAP/1.0 200OK\r\n\r\n", "ICAP/1.0 \r\n\r\n", "\r\n\r\n",
        "ICAP/1.0 200 OK\nA: b\r\n\r\n", "ICAP/1.0 200 OK\r\nno colon\r\n\r\n", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parses(bad));
  }
  CHECK_FALSE(parses("ICAP/1.0 200 O\0K\r\n\r\n"s));
}

TEST_CASE("RFC 3507 row 51: Connection: close is seen in a list and in any case") {
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nconnection:CLOSE\r\n\r\n")->close);
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nConnection: a , close\r\n\r\n")->close);
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nConnection: a\r\nConnection: close\r\n\r\n")->close);
  CHECK_FALSE(parse_response_head("ICAP/1.0 204 X\r\nConnection: closed\r\n\r\n")->close);
  CHECK_FALSE(parse_response_head("ICAP/1.0 204 X\r\nConnection: keep-alive\r\n\r\n")->close);
}
