#include "icap/respmod.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <string>

using namespace icapgate;
using namespace std::string_literals;
using icap::respmod;
using test::lines;
using test::outcome;
using test::play_in_pieces;
using test::play_split;
using event = respmod::event;

namespace {

// Whole, split at each byte position, and one byte at a time: always the same outcome.
outcome play(const std::string& wire) {
  outcome whole = play_in_pieces(wire, wire.size());
  CHECK((play_in_pieces(wire, 1) == whole));
  for (std::size_t at = 1; at < wire.size(); ++at) {
    if (play_split(wire, at) == whole) continue;
    FAIL_CHECK("split at byte " << at << " changes the outcome");
    break;
  }
  return whole;
}

// For answers of which only the failure counts.
errc failure(const std::string& wire) {
  const outcome out = play(wire);
  CHECK(out.last == event::failed);
  return out.error;
}

const std::string no_content = lines({"ICAP/1.0 204 Unmodified", "Server: C-ICAP/0.5.10",
                                      "Connection: keep-alive", "ISTag: \"CI0001-L5CkDhq+q\"", ""});

std::string icap_head(std::string_view status_line, std::string_view encapsulated) {
  return lines({status_line, "ISTag: \"t\"", "Encapsulated: " + std::string(encapsulated), ""});
}

// 200, the HTTP head, and a body that is already in the chunked coding.
std::string adapted(std::string_view http_head, std::string_view chunks) {
  return icap_head("ICAP/1.0 200 OK", "res-hdr=0, res-body=" + std::to_string(http_head.size())) +
         std::string(http_head) + std::string(chunks);
}

const std::string forbidden = lines(
    {"HTTP/1.0 403 Forbidden", "Server: C-ICAP", "Connection: close", "Content-Type: text/html",
     "Content-Language: en", "Via: ICAP/1.0 vm (C-ICAP/0.5.10 Antivirus service )", ""});

icap::respmod_request request(bool has_body) {
  return {"icap://s/avscan",         "s", "GET / HTTP/1.1\r\n\r\n",
          "HTTP/1.1 200 OK\r\n\r\n", "",  has_body};
}

event give(respmod& machine, std::string_view input) {
  std::string_view body;
  return machine.receive(input, body);
}

}  // namespace

TEST_CASE("RESPMOD: a 204 without Encapsulated releases the original response") {
  const outcome out = play(no_content);
  CHECK(out.last == event::complete);
  CHECK(out.head_told);
  CHECK(out.answer.status == 204);
  CHECK(out.answer.unmodified);
  CHECK_FALSE(out.answer.has_body);
  CHECK(out.answer.istag == "CI0001-L5CkDhq+q");
  CHECK(out.answer.head == no_content);
  CHECK(out.reusable);
}

TEST_CASE("RESPMOD: a 200 carries the scanner's version of head and body") {
  const std::string http_head =
      lines({"HTTP/1.1 200 OK", "Content-Type: text/plain", "Content-Length: 18",
             "Via: ICAP/1.0 vm (C-ICAP/0.5.10 Antivirus service )", ""});
  const outcome out = play(adapted(http_head, "12\r\nhello clean world\n\r\n0\r\n\r\n"));
  CHECK(out.last == event::complete);
  CHECK(out.answer.status == 200);
  CHECK(out.answer.has_body);
  CHECK_FALSE(out.answer.unmodified);
  CHECK(out.answer.http_head == http_head);
  CHECK(out.body == "hello clean world\n");
  CHECK(out.reusable);
}

TEST_CASE("RESPMOD: the block page of a detection comes through, NULs included") {
  const std::string page = "<html>blocked</html>\n\0\0"s;
  const std::string wire =
      lines({"ICAP/1.0 200 OK", "Server: C-ICAP/0.5.10", "Connection: keep-alive", "ISTag: \"x\"",
             "X-Infection-Found: Type=0; Resolution=2; Threat=Lab.Eicar.Test.UNOFFICIAL;",
             "X-Violations-Found: 1", "\t-", "\tLab.Eicar.Test.UNOFFICIAL", "\t0", "\t0",
             "Encapsulated: res-hdr=0, res-body=" + std::to_string(forbidden.size()), ""}) +
      forbidden + "17\r\n" + page + "\r\n0\r\n\r\n";
  const outcome out = play(wire);
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == forbidden);
  CHECK(out.body == page);
  CHECK(out.reusable);
}

TEST_CASE("RESPMOD: an OPTIONS answer is whole at its head") {
  const outcome out = play(
      lines({"ICAP/1.0 200 OK", "Methods: RESPMOD, REQMOD",
             "Service: C-ICAP/0.5.10 server - Antivirus service", "ISTag: \"CI0001-XXXXXXXXX\"",
             "Transfer-Preview: *", "Options-TTL: 3600", "Date: Sun, 22 Nov 2026 05:47:42 GMT",
             "Preview: 1024", "Allow: 204", "Encapsulated: null-body=0", ""}));
  CHECK(out.last == event::complete);
  CHECK(out.answer.status == 200);
  CHECK(out.answer.http_head.empty());
  CHECK_FALSE(out.answer.has_body);
}

TEST_CASE("RESPMOD: errors without Encapsulated are whole at their head") {
  for (const std::string status :
       {"400 Bad request", "404 Service not found", "500 Server error", "503 Busy", "418 Teapot"}) {
    CAPTURE(status);
    const outcome out =
        play(lines({"ICAP/1.0 " + status, "Server: C-ICAP/0.5.10", "Connection: close", ""}));
    CHECK(out.last == event::complete);
    CHECK(out.answer.status == static_cast<unsigned>(std::stoi(status)));
    CHECK_FALSE(out.answer.has_body);
    CHECK_FALSE(out.reusable);
  }
}

TEST_CASE("RESPMOD: an error with an encapsulated body is read to its end") {
  const outcome out =
      play(icap_head("ICAP/1.0 404 Not Found", "opt-body=0") + "5\r\nsorry\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.status == 404);
  CHECK(out.body == "sorry");
  CHECK(out.reusable);
}

TEST_CASE("RESPMOD: a keep-alive server that says close is not asked again") {
  const outcome out = play(lines({"ICAP/1.0 204 Unmodified", "Connection: close", ""}));
  CHECK(out.last == event::complete);
  CHECK_FALSE(out.reusable);
}

TEST_CASE("RESPMOD: a 200 without a body has the scanner's head alone") {
  const std::string head = lines({"HTTP/1.1 403 Forbidden", "Content-Length: 0", ""});
  const outcome out = play(
      icap_head("ICAP/1.0 200 OK", "res-hdr=0, null-body=" + std::to_string(head.size())) + head);
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == head);
  CHECK_FALSE(out.answer.has_body);
}

TEST_CASE("RESPMOD: a request head in the answer is skipped") {
  const std::string echoed = lines({"GET / HTTP/1.1", "Host: origin", ""});
  const std::string sections = "req-hdr=0, res-hdr=" + std::to_string(echoed.size()) +
                               ", res-body=" + std::to_string(echoed.size() + forbidden.size());
  const outcome out =
      play(icap_head("ICAP/1.0 200 OK", sections) + echoed + forbidden + "1\r\nx\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == forbidden);
  CHECK(out.body == "x");
}

TEST_CASE("RESPMOD: field names in any case, no blank after the colon, an unquoted ISTag") {
  const std::string head = lines({"HTTP/1.1 200 OK", ""});
  const outcome out =
      play(lines({"ICAP/1.0 200", "istag:177-x", "X-Fold: a", " b",
                  "ENCAPSULATED:res-hdr=0,res-body=" + std::to_string(head.size()), ""}) +
           head + "0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.istag == "177-x");
  CHECK(out.body.empty());
}

TEST_CASE("RESPMOD: chunk extensions and trailers of the answer are read over") {
  const outcome out = play(adapted(forbidden, "3;x=y\r\nabc\r\n0; ieof\r\nX-T: 1\r\n\r\n"));
  CHECK(out.last == event::complete);
  CHECK(out.body == "abc");
}

TEST_CASE("RESPMOD: bytes behind a whole answer stay in the input") {
  CHECK(play(no_content + "more").left == "more");
  CHECK(play(adapted(forbidden, "0\r\n\r\n") + "ICAP/1.0 204").left == "ICAP/1.0 204");
}

TEST_CASE("RESPMOD: an answer that breaks off waits for more, wherever it was cut") {
  const std::string whole = adapted(forbidden, "3\r\nabc\r\n0\r\n\r\n");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const outcome out = play_in_pieces(whole.substr(0, size), whole.size());
    CHECK(out.last == event::need_input);
    CHECK_FALSE(out.reusable);
  }
}

TEST_CASE("RESPMOD: 100 Continue to a request without a preview is invalid") {
  CHECK(failure("ICAP/1.0 100 Continue\r\n\r\n") == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: a 200 that does not say what it encapsulates is invalid") {
  CHECK(failure("ICAP/1.0 200 OK\r\n\r\n") == errc::icap_answer_invalid);
  CHECK(failure("ICAP/1.0 201 Created\r\nISTag: x\r\n\r\n") == errc::icap_answer_invalid);
  for (const std::string sections :
       {"res-body=0", "res-hdr=0", "res-body=159", "opt-body=0", "res-hdr=0, req-body=19",
        "req-hdr=0, req-body=19", "req-hdr=0, res-body=19", "junk", "res-hdr=19, res-body=0"}) {
    CAPTURE(sections);
    CHECK(failure(icap_head("ICAP/1.0 200 OK", sections) + "HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n") ==
          errc::icap_answer_invalid);
  }
}

TEST_CASE("RESPMOD: two Encapsulated fields are invalid") {
  CHECK(failure(lines({"ICAP/1.0 204 x", "Encapsulated: null-body=0", "Encapsulated: null-body=0",
                       ""})) == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: a 204 with a body is invalid") {
  CHECK(failure(icap_head("ICAP/1.0 204 x", "res-body=0") + "0\r\n\r\n") ==
        errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: offsets that lie about the encapsulated head are invalid") {
  for (const int shift : {-4, -1, 1, 5}) {
    CAPTURE(shift);
    const auto offset = std::to_string(static_cast<int>(forbidden.size()) + shift);
    CHECK(failure(icap_head("ICAP/1.0 200 OK", "res-hdr=0, res-body=" + offset) + forbidden +
                  "5\r\nhello\r\n0\r\n\r\n") == errc::icap_answer_invalid);
  }
  // The head would end with an empty line, but not with its first one.
  const std::string two = forbidden + "X-Hidden: 1\r\n\r\n";
  CHECK(failure(adapted(two, "0\r\n\r\n")) == errc::icap_answer_invalid);
  CHECK(failure(adapted("GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n")) == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: another protocol fails at its first wrong byte") {
  respmod machine;
  std::string wire;
  machine.begin(request(true), wire);
  CHECK(give(machine, "ICAP/1.") == event::need_input);
  CHECK(give(machine, "1") == event::failed);
  CHECK(machine.error() == errc::icap_answer_invalid);
  for (const std::string garbage :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\nICAP/1.0 204 x\r\n\r\n", " ICAP/1.0 204 x\r\n\r\n",
        "\x15\x03\x03", "SSH-2.0-x\r\n"}) {
    CHECK(failure(garbage) == errc::icap_answer_invalid);
  }
}

TEST_CASE("RESPMOD: NULs in the heads are invalid") {
  CHECK(failure("ICAP/1.0 204 x\r\nA: \0\r\n\r\n"s) == errc::icap_answer_invalid);
  CHECK(failure("ICAP/1.0\0"
                "204 x\r\n\r\n"s) == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: an endless head is cut at its limit") {
  const std::string start = "ICAP/1.0 204 x\r\nA: ";
  const std::string full =
      start + std::string(icap::max_response_head - start.size() - 4, 'a') + "\r\n\r\n";
  REQUIRE(full.size() == icap::max_response_head);
  CHECK(play_in_pieces(full, 1).last == event::complete);
  CHECK(play_in_pieces(full, 1000).last == event::complete);
  const std::string endless = start + std::string(1 << 20, 'a');
  for (const std::size_t size : {1u, 1000u, 1u << 21}) {
    const outcome out = play_in_pieces(endless, size);
    CHECK(out.last == event::failed);
    CHECK(out.error == errc::icap_answer_too_large);
  }
}

TEST_CASE("RESPMOD: encapsulated heads over the limit are refused before they are read") {
  CHECK(failure(icap_head("ICAP/1.0 200 OK", "res-hdr=0, res-body=65537")) ==
        errc::icap_answer_too_large);
  CHECK(failure(icap_head("ICAP/1.0 200 OK", "res-hdr=0, res-body=18446744073709551615")) ==
        errc::icap_answer_too_large);
  CHECK(failure(icap_head("ICAP/1.0 500 x", "req-hdr=0, null-body=9999999999")) ==
        errc::icap_answer_too_large);
}

TEST_CASE("RESPMOD: a body that is not in the chunked coding is invalid") {
  for (const std::string chunks : {"hello", "ffffffffffffffffff\r\n", "8000000000000000\r\n",
                                   "-1\r\n", "3\r\nabcd\r\n0\r\n\r\n", "\n", "5 \r\nhello\r\n"}) {
    CAPTURE(chunks);
    CHECK(failure(adapted(forbidden, chunks)) == errc::icap_answer_invalid);
  }
  const std::string endless = adapted(forbidden, "1;" + std::string(1 << 16, 'x'));
  CHECK(play_in_pieces(endless, endless.size()).error == errc::icap_answer_invalid);
  CHECK(play_in_pieces(endless, 1).error == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: a partial-content ending that was not offered is invalid") {
  CHECK(failure(adapted(forbidden, "0; use-original-body=0\r\n\r\n")) == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: a failed exchange stays failed and takes no more bytes") {
  respmod machine;
  std::string wire;
  machine.begin(request(true), wire);
  REQUIRE(give(machine, "nonsense") == event::failed);
  std::string_view input = no_content, body;
  CHECK(machine.receive(input, body) == event::failed);
  CHECK(input == no_content);
  CHECK(machine.sent());
  CHECK(machine.next(10, true).prefix.empty());
}

TEST_CASE("RESPMOD: a machine that did not begin is an error of the gateway") {
  respmod machine;
  CHECK(machine.next(10, true).prefix.empty());
  CHECK(give(machine, no_content) == event::failed);
  CHECK(machine.error() == errc::gateway_internal);
}

TEST_CASE("RESPMOD: a body that is there and ended is one frame") {
  respmod machine;
  std::string wire;
  machine.begin(request(true), wire);
  const auto frame = machine.next(0x1234, true);
  CHECK(frame.prefix == "1234\r\n");
  CHECK(frame.body == 0x1234);
  CHECK(frame.suffix == "\r\n0\r\n\r\n");
  CHECK(machine.sent());
  CHECK(machine.next(5, true).prefix.empty());
}

TEST_CASE("RESPMOD: a body that arrives in parts is one chunk for each and then the last chunk") {
  respmod machine;
  std::string wire;
  machine.begin(request(true), wire);
  CHECK(machine.next(0, false).prefix.empty());
  auto frame = machine.next(10, false);
  CHECK(frame.prefix == "a\r\n");
  CHECK(frame.suffix == "\r\n");
  CHECK_FALSE(machine.sent());
  frame = machine.next(0, true);
  CHECK(frame.prefix == "0\r\n\r\n");
  CHECK(frame.body == 0);
  CHECK(frame.suffix.empty());
  CHECK(machine.sent());
}

TEST_CASE("RESPMOD: an empty body is the last chunk, no body is nothing") {
  respmod empty, none;
  std::string wire;
  empty.begin(request(true), wire);
  CHECK(empty.next(0, true).prefix == "0\r\n\r\n");
  none.begin(request(false), wire);
  CHECK(none.sent());
  CHECK(none.next(5, true).prefix.empty());
  CHECK(give(none, no_content) == event::head);
  CHECK(none.reusable());
}

TEST_CASE("RESPMOD: a whole answer in the middle of the upload ends the sending") {
  for (const std::string& early :
       {no_content, lines({"ICAP/1.0 404 Service not found", "ISTag: x", ""})}) {
    respmod machine;
    std::string wire;
    machine.begin(request(true), wire);
    machine.next(100, false);
    CHECK_FALSE(machine.answered());
    REQUIRE(give(machine, early) == event::head);
    CHECK(machine.answered());
    CHECK(machine.sent());
    CHECK(machine.next(100, true).prefix.empty());
    CHECK(give(machine, "") == event::complete);
    CHECK_FALSE(machine.reusable());
  }
}

TEST_CASE("RESPMOD: a scanner that streams gets the rest of the body after its answer began") {
  respmod machine;
  std::string wire;
  machine.begin(request(true), wire);
  machine.next(100, false);
  const std::string start = adapted(forbidden, "1\r\nx\r\n");
  std::string_view input = start, body;
  REQUIRE(machine.receive(input, body) == event::head);
  REQUIRE(machine.receive(input, body) == event::body);
  CHECK_FALSE(machine.sent());
  CHECK(machine.next(100, true).prefix == "64\r\n");
  REQUIRE(machine.receive(input, body) == event::need_input);
  CHECK(give(machine, "0\r\n\r\n") == event::complete);
  CHECK(machine.reusable());
}
