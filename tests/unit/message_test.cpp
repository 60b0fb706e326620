#include "icap/message.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;
using namespace std::string_literals;
using namespace icapgate::icap;

namespace {

constexpr std::string_view get_head = "GET http://origin/a HTTP/1.1\r\nHost: origin\r\n\r\n";
constexpr std::string_view ok_head = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n";

respmod_request request() {
  return {"icap://scanner:1344/avscan", "scanner:1344", get_head, ok_head, "", true};
}

bool parses(std::string_view text) {
  return parse_response_head(text).has_value();
}

}  // namespace

TEST_CASE("message: a RESPMOD head has exact offsets and both heads") {
  std::string wire = "kept ";
  append_respmod(wire, request());
  CHECK(wire ==
        "kept RESPMOD icap://scanner:1344/avscan ICAP/1.0\r\n"
        "Host: scanner:1344\r\n"
        "Allow: 204\r\n"
        "Encapsulated: req-hdr=0, res-hdr=46, res-body=85\r\n"
        "\r\n"
        "GET http://origin/a HTTP/1.1\r\nHost: origin\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n");
}

TEST_CASE(
    "message: a response without a body is sent with null-body and the id with X-Request-Id") {
  auto r = request();
  r.has_body = false;
  r.request_id = "4f2a";
  std::string wire;
  append_respmod(wire, r);
  CHECK(wire.find("null-body=85\r\n") != std::string::npos);
  CHECK(wire.find("res-body") == std::string::npos);
  CHECK(wire.find("\r\nX-Request-Id: 4f2a\r\n") != std::string::npos);
}

TEST_CASE("message: the offsets of a request are those that its own Encapsulated parser reads") {
  std::string wire;
  append_respmod(wire, request());
  const auto head_size = wire.find("\r\n\r\n") + 4;
  std::vector<field> fields;
  const auto first_line = wire.find("\r\n") + 2;
  REQUIRE(parse_fields(std::string_view(wire).substr(first_line, head_size - first_line), fields));
  const field* encapsulated = find(fields, "encapsulated");
  REQUIRE(encapsulated);
  const auto sections = parse_encapsulated(encapsulated->value);
  REQUIRE(sections.has_value());
  REQUIRE(sections->size() == 3);
  CHECK(wire.substr(head_size + (*sections)[0].offset, 4) == "GET ");
  CHECK(wire.substr(head_size + (*sections)[1].offset, 5) == "HTTP/");
  CHECK((*sections)[2].kind == section::res_body);
  CHECK(head_size + (*sections)[2].offset == wire.size());
}

TEST_CASE("message: an OPTIONS request names its host") {
  std::string wire;
  append_options(wire, "icap://scanner/avscan", "scanner");
  CHECK(wire == "OPTIONS icap://scanner/avscan ICAP/1.0\r\nHost: scanner\r\n\r\n");
}

TEST_CASE("message: fields keep order, case and inner line breaks, and lose outer blanks") {
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

TEST_CASE("message: a line that is no field is refused") {
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

TEST_CASE("message: Encapsulated lists that make no sense are refused") {
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

TEST_CASE("message: a response head is read with any reason phrase or none") {
  const auto head = parse_response_head("ICAP/1.0 204 No modification needed\r\nISTag:x\r\n\r\n");
  REQUIRE(head.has_value());
  CHECK(head->status == 204);
  CHECK(head->reason == "No modification needed");
  CHECK(find(head->fields, "istag")->value == "x");
  CHECK_FALSE(head->close);
  CHECK(parses("ICAP/1.0 204\r\n\r\n"));
  CHECK(parses("ICAP/1.0 204 \r\n\r\n"));
}

TEST_CASE("message: another protocol, version or status form is refused") {
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

TEST_CASE("message: Connection: close is seen in a list and in any case") {
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nconnection:CLOSE\r\n\r\n")->close);
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nConnection: a , close\r\n\r\n")->close);
  CHECK(parse_response_head("ICAP/1.0 204 X\r\nConnection: a\r\nConnection: close\r\n\r\n")->close);
  CHECK_FALSE(parse_response_head("ICAP/1.0 204 X\r\nConnection: closed\r\n\r\n")->close);
  CHECK_FALSE(parse_response_head("ICAP/1.0 204 X\r\nConnection: keep-alive\r\n\r\n")->close);
}
