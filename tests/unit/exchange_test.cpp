#include "icap/exchange.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <string>

using namespace icapgate;
using namespace std::string_literals;
using namespace icapgate::test;
using icap::exchange;
using event = exchange::event;

namespace {

icap::exchange_request request(bool has_body) {
  auto r = script().request;
  r.has_body = has_body;
  return r;
}

event give(exchange& machine, std::string_view input) {
  std::string_view body;
  return machine.receive(input, body);
}

const std::string ok_head = lines({"HTTP/1.1 200 OK", ""});
const std::string get_head = lines({"GET / HTTP/1.1", "Host: origin", ""});

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

TEST_CASE("RESPMOD: an answer's head is written into the text that was given for it") {
  std::string room;
  room.reserve(1000);
  const auto* const place = room.data();
  exchange machine;
  machine.use_room(std::move(room));
  std::string wire;
  machine.begin(request(false), wire);
  CHECK(give(machine, no_content) == event::head);
  CHECK(machine.result().head == no_content);
  CHECK(machine.take_result().head.data() == place);
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

TEST_CASE("RFC 3507 row 14: errors without Encapsulated are whole at their head") {
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

TEST_CASE("RFC 3507 row 14: an error with an encapsulated body is read to its end") {
  const outcome out =
      play(icap_head("ICAP/1.0 404 Not Found", "opt-body=0") + "5\r\nsorry\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.status == 404);
  CHECK(out.body == "sorry");
  CHECK(out.reusable);
}

TEST_CASE("RFC 3507 row 51: a server that says close is not asked again") {
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

TEST_CASE("RFC 3507 row 19: a request head in front of the response is skipped") {
  const std::string echoed = lines({"GET / HTTP/1.1", "Host: origin", ""});
  const std::string sections = "req-hdr=0, res-hdr=" + std::to_string(echoed.size()) +
                               ", res-body=" + std::to_string(echoed.size() + forbidden.size());
  const outcome out =
      play(icap_head("ICAP/1.0 200 OK", sections) + echoed + forbidden + "1\r\nx\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == forbidden);
  CHECK(out.body == "x");
}

TEST_CASE(
    "RFC 3507 row 7: field names in any case, no blank after the colon, folds, unknown fields") {
  const std::string head = lines({"HTTP/1.1 200 OK", ""});
  const outcome out =
      play(lines({"ICAP/1.0 200", "istag:177-x", "X-Fold: a", " b",
                  "ENCAPSULATED:res-hdr=0,res-body=" + std::to_string(head.size()), ""}) +
           head + "0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.istag == "177-x");
  CHECK(out.body.empty());
}

TEST_CASE("RESPMOD: chunk extensions are read over and trailers are kept") {
  const outcome out = play(adapted(forbidden, "3;x=y\r\nabc\r\n0; ieof\r\nX-T: 1\r\n\r\n"));
  CHECK(out.last == event::complete);
  CHECK(out.body == "abc");
  CHECK(out.answer.trailers == "X-T: 1\r\n");
}

TEST_CASE("RESPMOD: trailers over their limit are invalid") {
  const std::string start = adapted(forbidden, "0\r\n");
  const std::string line = "X-T: " + std::string(993, 'x') + "\r\n";
  std::string trailers;
  for (int i = 0; i < 17; ++i) trailers += line;
  CHECK(play_in_pieces(start + trailers + "\r\n", 100).error == errc::icap_answer_invalid);
  trailers.resize(16 * line.size());
  const outcome out = play_in_pieces(start + trailers + "\r\n", 100);
  CHECK(out.last == event::complete);
  CHECK(out.answer.trailers == trailers);
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

TEST_CASE("RFC 3507 row 33: 100 Continue to a request without a preview is invalid") {
  CHECK(failure("ICAP/1.0 100 Continue\r\n\r\n") == errc::icap_answer_invalid);
}

TEST_CASE(
    "RFC 3507 row 17: a 200 that does not say what it encapsulates, or a list that makes no sense, "
    "is invalid") {
  CHECK(failure("ICAP/1.0 200 OK\r\n\r\n") == errc::icap_answer_invalid);
  CHECK(failure("ICAP/1.0 201 Created\r\nISTag: x\r\n\r\n") == errc::icap_answer_invalid);
  for (const std::string sections :
       {"res-body=0", "res-hdr=0", "opt-body=19", "opt-body=0", "res-hdr=0, req-body=19",
        "req-hdr=0, req-body=19", "req-hdr=0, res-body=19", "junk", "res-hdr=19, res-body=0"}) {
    CAPTURE(sections);
    CHECK(failure(icap_head("ICAP/1.0 200 OK", sections) + "HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n") ==
          errc::icap_answer_invalid);
  }
}

TEST_CASE("RFC 3507 row 16: two Encapsulated fields are invalid") {
  CHECK(failure(lines({"ICAP/1.0 204 x", "Encapsulated: null-body=0", "Encapsulated: null-body=0",
                       ""})) == errc::icap_answer_invalid);
}

TEST_CASE("RESPMOD: a 204 with a body is invalid") {
  CHECK(failure(icap_head("ICAP/1.0 204 x", "res-body=0") + "0\r\n\r\n") ==
        errc::icap_answer_invalid);
}

TEST_CASE("RFC 3507 row 20: offsets that lie about the encapsulated head are invalid") {
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

TEST_CASE("RFC 3507 row 12: another protocol or version fails at its first wrong byte") {
  exchange machine;
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

TEST_CASE("RFC 3507 row 15: a body that is not in the chunked coding is invalid") {
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
  exchange machine;
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
  exchange machine;
  CHECK(machine.next(10, true).prefix.empty());
  CHECK(give(machine, no_content) == event::failed);
  CHECK(machine.error() == errc::gateway_internal);
}

TEST_CASE("RESPMOD: a body that is there and ended is one frame") {
  exchange machine;
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
  exchange machine;
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
  exchange empty, none;
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
    exchange machine;
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
  exchange machine;
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

TEST_CASE("RFC 3507 row 19: bitz-server's heads without res-hdr in the list are read") {
  const std::string http_head = lines({"HTTP/1.1 200 OK", "Content-Type: text/plain", ""});
  const auto list = "res-body=" + std::to_string(http_head.size());
  const outcome out = play(lines({"ICAP/1.0 200 OK", "ISTag: BITZ-1", "Connection: close",
                                  "Encapsulated: " + list, ""}) +
                           http_head + "1\r\nx\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == http_head);
  CHECK(out.answer.istag == "BITZ-1");
  CHECK(out.body == "x");
  CHECK_FALSE(out.reusable);
  CHECK(play(icap_head("ICAP/1.0 200 OK", "null-body=19") + ok_head).answer.http_head == ok_head);
}

TEST_CASE("RFC 3507 row 19: unlisted bytes in front of a body that are no whole head are invalid") {
  for (const auto& [list, bytes] :
       {std::pair("res-body=18", "HTTP/1.1 200 OK\r\n\r\n"),
        std::pair("res-body=24", "HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n"),
        std::pair("res-body=18", "GET / HTTP/1.1\r\n\r\n"),
        std::pair("req-body=18", "GET / HTTP/1.1\r\n\r\n"), std::pair("null-body=5", "hello")}) {
    CAPTURE(list);
    CHECK(failure(icap_head("ICAP/1.0 200 OK", list) + bytes + "0\r\n\r\n") ==
          errc::icap_answer_invalid);
  }
}

TEST_CASE("RESPMOD: any 2xx that carries a response is an adaptation and keeps its number") {
  for (const std::string status : {"201 Created", "202 Accepted", "299 Odd"}) {
    CAPTURE(status);
    const outcome out = play(adapted(forbidden, "1\r\nx\r\n0\r\n\r\n", "ICAP/1.0 " + status));
    CHECK(out.last == event::complete);
    CHECK(out.answer.status == static_cast<unsigned>(std::stoi(status)));
    CHECK(out.answer.http_head == forbidden);
    CHECK(out.body == "x");
    CHECK(failure(lines({"ICAP/1.0 " + status, ""})) == errc::icap_answer_invalid);
  }
}

TEST_CASE("RFC 3507 row 50: informational codes other than 100 are invalid") {
  for (const std::string status : {"101 Switching", "102 Processing", "000 x", "099 x"}) {
    CAPTURE(status);
    CHECK(failure(lines({"ICAP/1.0 " + status, ""})) == errc::icap_answer_invalid);
    CHECK(failure(lines({"ICAP/1.0 " + status, ""}), with_preview(4, "hello")) ==
          errc::icap_answer_invalid);
  }
}

TEST_CASE("RFC 3507 row 50: an unknown code is told as it is") {
  for (const std::string status : {"302 Found", "539 Aborted - No AV scanning license", "777 x"}) {
    const outcome out = play(lines({"ICAP/1.0 " + status, ""}));
    CHECK(out.last == event::complete);
    CHECK(out.answer.status == static_cast<unsigned>(std::stoi(status)));
    CHECK_FALSE(out.answer.unmodified);
  }
}

TEST_CASE("RFC 3507 row 35: a 204 outside a preview that was not allowed is invalid") {
  script s;
  s.request.allow_204 = false;
  CHECK(failure(no_content, s) == errc::icap_answer_invalid);
  s.request.has_body = false;
  CHECK(failure(no_content, s) == errc::icap_answer_invalid);
}

TEST_CASE("RFC 3507 row 36: an ISTag of any form and length is kept") {
  const std::string tag(100, 't');
  CHECK(play(lines({"ICAP/1.0 204 x", "ISTag: " + tag, ""})).answer.istag == tag);
  CHECK(play(lines({"ICAP/1.0 204 x", "ISTag:\"+/-\"", ""})).answer.istag == "+/-");
  CHECK(play(lines({"ICAP/1.0 204 x", "ISTag: \"", ""})).answer.istag == "\"");
  CHECK(play(lines({"ICAP/1.0 204 x", ""})).answer.istag.empty());
}

TEST_CASE("RFC 3507 row 15: sizes up to 2^63-1 are streamed, larger ones refused") {
  const outcome out = play(adapted(forbidden, "7fffffffffffffff\r\nstart"));
  CHECK(out.last == event::need_input);
  CHECK(out.body == "start");
  CHECK(failure(adapted(forbidden, "8000000000000000\r\nstart")) == errc::icap_answer_invalid);
}

TEST_CASE("RFC 3507 row 52: a body of any size is one chunk") {
  exchange machine;
  std::string wire;
  machine.begin(request(true), wire);
  CHECK(machine.next(0x7fffffffffffffff, false).prefix == "7fffffffffffffff\r\n");
}

TEST_CASE("RFC 3507 row 18: a request without a body sends no chunks, with a preview or without") {
  for (script s : {script(), with_preview(0, "")}) {
    s.request.has_body = false;
    const outcome out = play(no_content, s);
    CHECK(out.sent.empty());
    CHECK(out.last == event::complete);
    CHECK(out.reusable);
    CHECK(failure("ICAP/1.0 100 Continue\r\n\r\n", s) == errc::icap_answer_invalid);
  }
}

TEST_CASE("RFC 3507 row 38: REQMOD may be answered with an adapted request") {
  const auto list = "req-hdr=0, req-body=" + std::to_string(get_head.size());
  const outcome out =
      play(icap_head("ICAP/1.0 200 OK", list) + get_head + "2\r\nab\r\n0\r\n\r\n", reqmod());
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == get_head);
  CHECK(out.answer.has_body);
  CHECK(out.body == "ab");
  CHECK(out.reusable);
  const auto bare = "req-hdr=0, null-body=" + std::to_string(get_head.size());
  CHECK(play(icap_head("ICAP/1.0 200 OK", bare) + get_head, reqmod(false)).answer.http_head ==
        get_head);
}

TEST_CASE("RFC 3507 row 38: REQMOD may be answered with a response") {
  const outcome out = play(adapted(forbidden, "1\r\nx\r\n0\r\n\r\n"), reqmod());
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == forbidden);
  CHECK(out.body == "x");
  const auto both = "req-hdr=0, res-hdr=" + std::to_string(get_head.size()) +
                    ", res-body=" + std::to_string(get_head.size() + forbidden.size());
  CHECK(play(icap_head("ICAP/1.0 200 OK", both) + get_head + forbidden + "0\r\n\r\n", reqmod())
            .answer.http_head == forbidden);
}

TEST_CASE(
    "RFC 3507 row 19: REQMOD tells request from response by Encapsulated and the head agrees") {
  const auto at = std::to_string(get_head.size());
  const auto ok_at = std::to_string(ok_head.size());
  for (const std::string& wire :
       {icap_head("ICAP/1.0 200 OK", "res-hdr=0, res-body=" + at) + get_head,
        icap_head("ICAP/1.0 200 OK", "req-hdr=0, req-body=" + ok_at) + ok_head,
        icap_head("ICAP/1.0 200 OK", "req-hdr=0, res-body=" + at) + get_head,
        icap_head("ICAP/1.0 200 OK", "req-body=" + ok_at) + ok_head,
        icap_head("ICAP/1.0 200 OK", "res-body=" + at) + get_head,
        icap_head("ICAP/1.0 200 OK", "req-body=0"), icap_head("ICAP/1.0 200 OK", "opt-body=0")}) {
    CAPTURE(wire);
    CHECK(failure(wire + "0\r\n\r\n", reqmod()) == errc::icap_answer_invalid);
  }
  CHECK(play(icap_head("ICAP/1.0 200 OK", "req-body=" + at) + get_head + "0\r\n\r\n", reqmod())
            .answer.http_head == get_head);
}

TEST_CASE("OPTIONS: an answer is whole at its head, with Encapsulated or without") {
  for (const std::string encapsulated : {"", "Encapsulated: null-body=0\r\n"}) {
    const std::string wire =
        lines({"ICAP/1.0 200 OK", "Methods: RESPMOD, REQMOD", "ISTag: \"CI0001-XXXXXXXXX\""}) +
        encapsulated + "\r\n";
    const outcome out = play(wire, options());
    CHECK(out.last == event::complete);
    CHECK(out.answer.status == 200);
    CHECK(out.answer.istag == "CI0001-XXXXXXXXX");
    CHECK_FALSE(out.answer.has_body);
    CHECK(out.sent.empty());
    CHECK(out.reusable);
  }
}

TEST_CASE("RFC 3507 row 48: an opt-body is read and dropped") {
  const outcome out =
      play(icap_head("ICAP/1.0 200 OK", "opt-body=0") + "5\r\nhello\r\n0\r\n\r\n", options());
  CHECK(out.last == event::complete);
  CHECK(out.body.empty());
  CHECK_FALSE(out.answer.has_body);
  CHECK(out.reusable);
  CHECK(failure(icap_head("ICAP/1.0 200 OK", "opt-body=0") + "hello", options()) ==
        errc::icap_answer_invalid);
}

TEST_CASE("OPTIONS: 100 and 206 are invalid") {
  CHECK(failure("ICAP/1.0 100 Continue\r\n\r\n", options()) == errc::icap_answer_invalid);
  CHECK(failure("ICAP/1.0 206 Partial\r\n\r\n", options()) == errc::icap_answer_invalid);
}
