// What goes out and what may come in where a preview is sent (RFC 3507 4.5), and 206 with it.
#include "icap/exchange.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <limits>
#include <optional>
#include <string>

using namespace icapgate;
using namespace icapgate::test;
using icap::exchange;
using event = exchange::event;

namespace {

const std::string go_on = "ICAP/1.0 100 Continue\r\n\r\n";
const std::string partial_head = lines({"HTTP/1.1 200 OK", "Content-Length: 3118", ""});

// What goes out with a preview of that size before anything is answered.
std::string first_sent(std::size_t preview, std::string_view body, bool end_known = true) {
  return play_in_pieces("", 1, with_preview(preview, body, end_known)).sent;
}

script with_206(std::string_view body = "0123456789", std::size_t preview = 4) {
  script s = with_preview(preview, body);
  s.request.allow_206 = true;
  return s;
}

std::string partial(std::string_view chunks) {
  return adapted(partial_head, chunks, "ICAP/1.0 206 Partial Content");
}

std::string frame_text(const exchange::frame& f) {
  return std::string(f.prefix) + std::string(f.body, 'x') + std::string(f.suffix);
}

}  // namespace

TEST_CASE("RFC 3507 row 27: a preview is at most N bytes and the zero chunk, and then nothing") {
  CHECK(first_sent(4, "hello") == "4\r\nhell\r\n0\r\n\r\n");
  CHECK(first_sent(4096, std::string(5000, 'x')) ==
        "1000\r\n" + std::string(4096, 'x') + "\r\n0\r\n\r\n");
}

TEST_CASE("RFC 3507 row 27: nothing is framed until the preview is full or the body ended") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(4, "").request, wire);
  CHECK(machine.next(0, false).prefix.empty());
  CHECK(machine.next(3, false).prefix.empty());
  CHECK_FALSE(machine.awaiting_continue());
  CHECK(frame_text(machine.next(9, false)) == "4\r\nxxxx\r\n0\r\n\r\n");
  CHECK(machine.awaiting_continue());
  CHECK_FALSE(machine.sent());
  CHECK(machine.next(5, false).prefix.empty());
  CHECK(machine.next(500, true).prefix.empty());
}

TEST_CASE("RFC 3507 row 28: ieof where the body ended inside the preview, and only there") {
  CHECK(first_sent(4, "abc") == "3\r\nabc\r\n0; ieof\r\n\r\n");
  CHECK(first_sent(4, "abcd") == "4\r\nabcd\r\n0; ieof\r\n\r\n");
  CHECK(first_sent(4, "abcde") == "4\r\nabcd\r\n0\r\n\r\n");
  CHECK(first_sent(4, "") == "0; ieof\r\n\r\n");
  CHECK(first_sent(0, "") == "0; ieof\r\n\r\n");
}

TEST_CASE("RFC 3507 row 28: after ieof the request is whole and waits for nothing") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(4, "").request, wire);
  machine.next(4, true);
  CHECK(machine.sent());
  CHECK_FALSE(machine.awaiting_continue());
  CHECK(machine.next(0, true).prefix.empty());
}

TEST_CASE("RFC 3507 row 28: a body whose end shows late ends behind the 100") {
  const script s = with_preview(4, "abcd", false);
  CHECK(first_sent(4, "abcd", false) == "4\r\nabcd\r\n0\r\n\r\n");
  const outcome out = play(go_on + no_content, s);
  CHECK(out.sent == "4\r\nabcd\r\n0\r\n\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.reusable);
}

TEST_CASE("RFC 3507 row 29: a preview of 0 bytes is the heads and the zero chunk") {
  CHECK(first_sent(0, "abc") == "0\r\n\r\n");
  exchange machine;
  std::string wire;
  machine.begin(with_preview(0, "").request, wire);
  CHECK(wire.find("\r\nPreview: 0\r\n") != std::string::npos);
  CHECK(machine.next(0, false).prefix == "0\r\n\r\n");
  CHECK(machine.awaiting_continue());
}

TEST_CASE("RFC 3507 row 30: a 204 to a preview stands even where it was not allowed") {
  for (const std::string_view body : {"hello", "hell", ""}) {
    CAPTURE(body);
    script s = with_preview(4, body);
    s.request.allow_204 = false;
    const outcome out = play(no_content, s);
    CHECK(out.last == event::complete);
    CHECK(out.answer.unmodified);
    CHECK(out.reusable);
  }
}

TEST_CASE("RFC 3507 row 35: a 204 behind a 100 is outside the preview") {
  script s = with_preview(4, "hello");
  CHECK(play(go_on + no_content, s).last == event::complete);
  s.request.allow_204 = false;
  CHECK(failure(go_on + no_content, s) == errc::icap_answer_invalid);
}

TEST_CASE(
    "RFC 3507 row 31: after a 200 to a preview nothing is sent and the connection stays usable") {
  const std::string answer = adapted(forbidden, "1\r\nx\r\n0\r\n\r\n");
  const outcome out = play(answer, with_preview(4, "hello"));
  CHECK(out.last == event::complete);
  CHECK(out.answer.http_head == forbidden);
  CHECK(out.body == "x");
  CHECK(out.sent == "4\r\nhell\r\n0\r\n\r\n");
  CHECK(out.reusable);

  exchange machine;
  std::string wire;
  machine.begin(with_preview(4, "").request, wire);
  machine.next(9, false);
  std::string_view input = std::string_view(answer).substr(0, answer.size() - 5), body;
  REQUIRE(machine.receive(input, body) == event::head);
  CHECK(machine.sent());
  CHECK_FALSE(machine.awaiting_continue());
  CHECK(machine.next(5, true).prefix.empty());
  CHECK_FALSE(machine.reusable());
}

TEST_CASE("RFC 3507 row 31: errors to a preview leave the connection usable unless they close it") {
  const script s = with_preview(4, "hello");
  const outcome kept = play(icap_head("ICAP/1.0 500 Server error", "null-body=0"), s);
  CHECK(kept.last == event::complete);
  CHECK(kept.sent == "4\r\nhell\r\n0\r\n\r\n");
  CHECK(kept.reusable);
  CHECK_FALSE(play(lines({"ICAP/1.0 404 Service not found", "Connection: close", ""}), s).reusable);
}

TEST_CASE(
    "preview: a final answer before the preview was framed ends the sending and the connection") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(4, "").request, wire);
  machine.next(3, false);
  std::string_view input = no_content, body;
  REQUIRE(machine.receive(input, body) == event::head);
  CHECK(machine.receive(input, body) == event::complete);
  CHECK(machine.sent());
  CHECK(machine.next(9, true).prefix.empty());
  CHECK_FALSE(machine.reusable());
}

TEST_CASE("RFC 3507 row 32: on 100 the rest follows from the first byte behind the preview") {
  const outcome out = play(go_on + no_content, with_preview(4, "hello world"));
  CHECK(out.continues == 1);
  CHECK(out.sent == "4\r\nhell\r\n0\r\n\r\n7\r\no world\r\n0\r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.answer.head == no_content);
  CHECK(out.reusable);
  CHECK(play(go_on + no_content, with_preview(0, "hello")).sent ==
        "0\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
}

TEST_CASE("RFC 3507 row 32: behind a 100 the body is framed as it arrives") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(2, "").request, wire);
  machine.next(2, false);
  std::string_view input = go_on, body;
  REQUIRE(machine.receive(input, body) == event::go_on);
  CHECK_FALSE(machine.awaiting_continue());
  CHECK(machine.receive(input, body) == event::need_input);
  CHECK(machine.next(0, false).prefix.empty());
  CHECK(frame_text(machine.next(3, false)) == "3\r\nxxx\r\n");
  CHECK_FALSE(machine.sent());
  CHECK(frame_text(machine.next(1, true)) == "1\r\nx\r\n0\r\n\r\n");
  CHECK(machine.sent());
}

TEST_CASE("RFC 3507 row 32: a 100 may carry fields, and the final answer those that count") {
  const std::string with_fields = lines({"ICAP/1.0 100 Continue", "ISTag: \"first\"", ""});
  const script s = with_preview(4, "hello");
  CHECK(play(with_fields + lines({"ICAP/1.0 204 x", ""}), s).answer.istag == "first");
  CHECK(play(with_fields + no_content, s).answer.istag == "CI0001-L5CkDhq+q");
  CHECK(play("ICAP/1.0 100\r\n\r\n" + no_content, s).last == event::complete);
}

TEST_CASE("RFC 3507 row 32: a 100 that says close is obeyed after the exchange") {
  const std::string closing = lines({"ICAP/1.0 100 Continue", "Connection: close", ""});
  const outcome out = play(closing + no_content, with_preview(4, "hello"));
  CHECK(out.last == event::complete);
  CHECK_FALSE(out.reusable);
}

TEST_CASE("RFC 3507 row 32: an answer to the rest that is not wholly sent ends the connection") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(2, "").request, wire);
  machine.next(2, false);
  const std::string both = go_on + no_content;
  std::string_view input = both, body;
  REQUIRE(machine.receive(input, body) == event::go_on);
  machine.next(3, false);
  REQUIRE(machine.receive(input, body) == event::head);
  REQUIRE(machine.receive(input, body) == event::complete);
  CHECK(machine.sent());
  CHECK_FALSE(machine.reusable());
}

TEST_CASE(
    "RFC 3507 row 33: a 100 behind ieof, a second one, or an endless row of them is invalid") {
  CHECK(failure(go_on, with_preview(4, "abc")) == errc::icap_answer_invalid);
  CHECK(failure(go_on, with_preview(4, "")) == errc::icap_answer_invalid);
  CHECK(failure(go_on + go_on, with_preview(4, "hello")) == errc::icap_answer_invalid);
  std::string endless;
  for (int i = 0; i < 1000; ++i) endless += go_on;
  const outcome out = play_in_pieces(endless, 7, with_preview(4, "hello"));
  CHECK(out.error == errc::icap_answer_invalid);
  CHECK(out.continues == 1);
}

TEST_CASE("RFC 3507 row 33: a 100 before the preview was framed is invalid") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(4, "").request, wire);
  std::string_view input = go_on, body;
  CHECK(machine.receive(input, body) == event::failed);
  CHECK(machine.error() == errc::icap_answer_invalid);
}

TEST_CASE("RFC 3507 row 33: a 100 with an endless head is cut at its limit") {
  const std::string endless = "ICAP/1.0 100 Continue\r\nX: " + std::string(1 << 18, 'a');
  for (const std::size_t size : {1u, 999u, 1u << 19}) {
    const outcome out = play_in_pieces(endless, size, with_preview(4, "hello"));
    CHECK(out.error == errc::icap_answer_too_large);
  }
}

TEST_CASE("preview: sizes up to 2^63-1 are framed as they are") {
  exchange machine;
  std::string wire;
  machine.begin(with_preview(std::numeric_limits<std::size_t>::max(), "").request, wire);
  CHECK(machine.next(0x7fffffffffffffff, false).prefix.empty());
  const auto f = machine.next(0x7fffffffffffffff, true);
  CHECK(f.prefix == "7fffffffffffffff\r\n");
  CHECK(f.suffix == "\r\n0; ieof\r\n\r\n");
}

TEST_CASE("206: new bytes and then the original body from the offset on") {
  for (const std::string ending :
       {"0; use-original-body=6", "0;use-original-body=6", "0 ; Use-Original-Body = 6",
        "0; a=b; use-original-body=6", "0;use-original-body=6;c", "0; use-original-body=006"}) {
    CAPTURE(ending);
    const outcome out = play(partial("3\r\nnew\r\n" + ending + "\r\n\r\n"), with_206());
    CHECK(out.last == event::complete);
    CHECK(out.answer.status == 206);
    CHECK(out.answer.http_head == partial_head);
    CHECK(out.body == "new");
    CHECK(out.answer.original_from == std::uint64_t{6});
    CHECK(out.reusable);
  }
}

TEST_CASE("206: the whole original body behind a new head") {
  const outcome out = play(partial("0; use-original-body=0\r\n\r\n"), with_206());
  CHECK(out.last == event::complete);
  CHECK(out.body.empty());
  CHECK(out.answer.original_from == std::uint64_t{0});
}

TEST_CASE("206: without the extension the adapted body is whole") {
  for (const std::string ending : {"0", "0; ieof", "0; x=use-original-body"}) {
    const outcome out = play(partial("3\r\nnew\r\n" + ending + "\r\n\r\n"), with_206());
    CHECK(out.last == event::complete);
    CHECK(out.answer.original_from == std::nullopt);
  }
}

TEST_CASE("206: an offset that is none, or given twice, is invalid") {
  for (const std::string ending :
       {"use-original-body", "use-original-body=", "use-original-body=-1", "use-original-body=+1",
        "use-original-body=0x1", "use-original-body=1a", "use-original-body=1 2",
        "use-original-body=\"1\"", "use-original-body==1", "use-original-bodyx=1",
        "use-original-body=9223372036854775808", "use-original-body=99999999999999999999999",
        "use-original-body=1; use-original-body=1", "use-original-body=1; use-original-body"}) {
    CAPTURE(ending);
    CHECK(failure(partial("0; " + ending + "\r\n\r\n"), with_206()) == errc::icap_answer_invalid);
  }
}

TEST_CASE("206: an offset behind the end of a body that was wholly sent is invalid") {
  const auto ending = [](int offset) {
    return partial("0; use-original-body=" + std::to_string(offset) + "\r\n\r\n");
  };
  CHECK(play(ending(3), with_206("abc")).answer.original_from == std::uint64_t{3});
  CHECK(failure(ending(4), with_206("abc")) == errc::icap_answer_invalid);
  CHECK(play(go_on + ending(10), with_206()).last == event::complete);
  CHECK(failure(go_on + ending(11), with_206()) == errc::icap_answer_invalid);
  // Here the machine has not seen the end: it is for the caller to hold the offset against it.
  CHECK(play(ending(11), with_206()).last == event::complete);
}

TEST_CASE("206: one that was not offered is invalid") {
  const std::string wire = partial("0; use-original-body=0\r\n\r\n");
  CHECK(failure(wire) == errc::icap_answer_invalid);
  CHECK(failure(wire, with_preview(4, "hello")) == errc::icap_answer_invalid);
  script s;
  s.request.allow_206 = true;  // without a preview it is not said
  CHECK(failure(wire, s) == errc::icap_answer_invalid);
}

TEST_CASE("206: the extension on a 200 is invalid even where 206 was offered") {
  CHECK(failure(adapted(forbidden, "0; use-original-body=0\r\n\r\n"), with_206()) ==
        errc::icap_answer_invalid);
}
