// Plays what a scanner sent into a RESPMOD machine and writes down what came of it.
#pragma once

#include "icap/respmod.hpp"

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

struct outcome {
  icap::respmod::event last = icap::respmod::event::need_input;
  errc error = errc::complete;
  icap::answer answer;
  bool head_told = false;
  std::string body;
  std::string left;  // bytes that the machine did not take
  bool reusable = false;

  // A failed exchange is compared by its error alone: nothing of its answer may be used.
  bool operator==(const outcome& other) const {
    using icap::respmod;
    if (last != other.last || error != other.error) return false;
    if (last == respmod::event::failed) return true;
    return head_told == other.head_told && body == other.body && left == other.left &&
           reusable == other.reusable && answer.status == other.answer.status &&
           answer.head == other.answer.head && answer.http_head == other.answer.http_head &&
           answer.istag == other.answer.istag && answer.has_body == other.answer.has_body &&
           answer.unmodified == other.answer.unmodified;
  }
};

// One machine that gets the scanner's bytes piece by piece. The request is whole on the wire.
class player {
 public:
  player() {
    std::string wire;
    machine_.begin({"icap://scanner:1344/avscan", "scanner:1344", "GET / HTTP/1.1\r\n\r\n",
                    "HTTP/1.1 200 OK\r\n\r\n", "", true},
                   wire);
    machine_.next(18, true);
  }

  void give(std::string_view piece) {
    using event = icap::respmod::event;
    if (seen_.last == event::complete || seen_.last == event::failed) {
      seen_.left += piece;
      return;
    }
    std::string_view input = piece;
    for (bool more = true; more;) {
      std::string_view body;
      seen_.last = machine_.receive(input, body);
      if (seen_.last == event::head) seen_.head_told = true;
      if (seen_.last == event::body) seen_.body += body;
      more = seen_.last == event::head || seen_.last == event::body;
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
  icap::respmod machine_;
  outcome seen_;
};

inline outcome play_in_pieces(std::string_view wire, std::size_t size) {
  player p;
  for (; !wire.empty(); wire.remove_prefix(std::min(size, wire.size())))
    p.give(wire.substr(0, size));
  return p.result();
}

inline outcome play_split(std::string_view wire, std::size_t at) {
  player p;
  p.give(wire.substr(0, at));
  p.give(wire.substr(at));
  return p.result();
}

}  // namespace icapgate::test
