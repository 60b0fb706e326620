// Plays what a scanner sent into an exchange and writes down what came of it.
#pragma once

#include "catch.hpp"
#include "icap/exchange.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace icapgate::test {

inline std::string lines(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const auto part : parts) out.append(part).append("\r\n");
  return out;
}

// The client's part: what it asks, and the body that it has.
struct script {
  icap::exchange_request request{.uri = "icap://scanner:1344/avscan",
                                 .host = "scanner:1344",
                                 .request_head = "GET / HTTP/1.1\r\n\r\n",
                                 .response_head = "HTTP/1.1 200 OK\r\n\r\n"};
  std::string_view body = "hello clean world\n";
  bool end_known = true;  // false: the body's end shows only after all of it was framed
};

inline script with_preview(std::size_t size, std::string_view body, bool end_known = true) {
  script s;
  s.request.preview = size;
  s.body = body;
  s.end_known = end_known;
  return s;
}

inline script reqmod(bool has_body = true) {
  script s;
  s.request.method = "REQMOD";
  s.request.response_head = {};
  s.request.has_body = has_body;
  return s;
}

inline script options() {
  script s;
  s.request = {.method = "OPTIONS", .uri = "icap://scanner:1344/avscan", .host = "scanner:1344"};
  return s;
}

struct outcome {
  icap::exchange::event last = icap::exchange::event::need_input;
  errc error = errc::complete;
  icap::answer answer;
  bool head_told = false;
  std::size_t continues = 0;
  std::string sent;  // behind the request's heads
  std::string body;
  std::string left;  // bytes that the machine did not take
  bool reusable = false;

  // A failed exchange is compared by its error alone: nothing of its answer may be used.
  bool operator==(const outcome& other) const {
    if (last != other.last || error != other.error) return false;
    if (last == icap::exchange::event::failed) return true;
    const auto& a = answer;
    const auto& b = other.answer;
    return head_told == other.head_told && continues == other.continues && sent == other.sent &&
           body == other.body && left == other.left && reusable == other.reusable &&
           a.status == b.status && a.head == b.head && a.http_head == b.http_head &&
           a.istag == b.istag && a.trailers == b.trailers && a.has_body == b.has_body &&
           a.unmodified == b.unmodified && a.original_from == b.original_from;
  }
};

// One machine that gets the scanner's bytes piece by piece. All that may be sent is on the wire
// before the first of them, and the rest directly after a 100.
class player {
 public:
  explicit player(const script& s) : left_(s.body), end_known_(s.end_known) {
    std::string wire;
    machine_.begin(s.request, wire);
    send();
  }

  void give(std::string_view piece) {
    using event = icap::exchange::event;
    if (seen_.last == event::complete || seen_.last == event::failed) {
      seen_.left += piece;
      return;
    }
    std::string_view input = piece;
    for (bool more = true; more;) {
      std::string_view body;
      seen_.last = machine_.receive(input, body);
      more = seen_.last == event::head || seen_.last == event::body || seen_.last == event::go_on;
      if (seen_.last == event::head) seen_.head_told = true;
      if (seen_.last == event::body) seen_.body += body;
      if (seen_.last == event::go_on) {
        ++seen_.continues;
        send();
      }
    }
    seen_.left += input;
  }

  outcome result() {
    seen_.error = machine_.error();
    seen_.answer = machine_.result();
    seen_.reusable = machine_.reusable();
    return seen_;
  }

 private:
  void send() {
    for (;;) {
      const auto frame = machine_.next(left_.size(), end_known_ || left_.empty());
      if (frame.prefix.empty()) break;
      seen_.sent.append(frame.prefix).append(left_.substr(0, frame.body)).append(frame.suffix);
      left_.remove_prefix(frame.body);
    }
  }

  icap::exchange machine_;
  std::string_view left_;
  bool end_known_;
  outcome seen_;
};

inline outcome play_in_pieces(std::string_view wire, std::size_t size, const script& s = {}) {
  player p(s);
  for (; !wire.empty(); wire.remove_prefix(std::min(size, wire.size())))
    p.give(wire.substr(0, size));
  return p.result();
}

inline outcome play_split(std::string_view wire, std::size_t at, const script& s = {}) {
  player p(s);
  p.give(wire.substr(0, at));
  p.give(wire.substr(at));
  return p.result();
}

// Whole, split at each byte position, and one byte at a time: always the same outcome.
inline outcome play(const std::string& wire, const script& s = {}) {
  outcome whole = play_in_pieces(wire, wire.size(), s);
  CHECK((play_in_pieces(wire, 1, s) == whole));
  for (std::size_t at = 1; at < wire.size(); ++at) {
    if (play_split(wire, at, s) == whole) continue;
    FAIL_CHECK("split at byte " << at << " changes the outcome");
    break;
  }
  return whole;
}

// For answers of which only the failure counts.
inline errc failure(const std::string& wire, const script& s = {}) {
  const outcome out = play(wire, s);
  CHECK(out.last == icap::exchange::event::failed);
  CHECK_FALSE(out.reusable);
  return out.error;
}

inline std::string icap_head(std::string_view status_line, std::string_view encapsulated) {
  return lines({status_line, "ISTag: \"t\"", "Encapsulated: " + std::string(encapsulated), ""});
}

// 200 (or another status line), the HTTP head, and a body that is already in the chunked coding.
inline std::string adapted(std::string_view http_head, std::string_view chunks,
                           std::string_view status_line = "ICAP/1.0 200 OK") {
  return icap_head(status_line, "res-hdr=0, res-body=" + std::to_string(http_head.size())) +
         std::string(http_head) + std::string(chunks);
}

inline const std::string no_content =
    lines({"ICAP/1.0 204 Unmodified", "Server: C-ICAP/0.5.10", "Connection: keep-alive",
           "ISTag: \"CI0001-L5CkDhq+q\"", ""});

inline const std::string forbidden = lines(
    {"HTTP/1.0 403 Forbidden", "Server: C-ICAP", "Connection: close", "Content-Type: text/html",
     "Content-Language: en", "Via: ICAP/1.0 vm (C-ICAP/0.5.10 Antivirus service )", ""});

}  // namespace icapgate::test
