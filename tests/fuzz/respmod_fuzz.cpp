// Any bytes as a scanner's answer, while a request of any size is framed at the same time.
#include "icap/respmod.hpp"
#include "icap/verdict.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>

using namespace icapgate;
using event = icap::respmod::event;

namespace {

constexpr std::string_view request_head = "GET / HTTP/1.1\r\n\r\n";
constexpr std::string_view response_head = "HTTP/1.1 200 OK\r\n\r\n";

// What was framed must be what a decoder reads, and nothing else.
void check_sending(icap::respmod& machine, std::uint64_t size) {
  std::string wire;
  for (const bool ended : {false, true}) {
    const auto frame = machine.next(size, ended);
    wire.append(frame.prefix).append(frame.body, 'x').append(frame.suffix);
  }
  require(machine.sent() && machine.next(1, true).prefix.empty());
  chunk_decoder decoder;
  std::string_view input = wire, data;
  std::uint64_t decoded = 0;
  while (decoder.next(input, data) == chunk_decoder::event::data) decoded += data.size();
  require(decoder.next(input, data) == chunk_decoder::event::complete && input.empty());
  require(decoded == 2 * size);
}

std::string verdict_of(const icap::answer& a) {
  const auto j = icap::judge(a);
  if (!j) return std::string(describe(j.error()).token);
  require(j->threat.size() <= 200);
  return std::to_string(static_cast<int>(j->kind)) + j->threat;
}

// All that the driver would see, in one text.
std::string play(std::string_view wire, std::size_t first, std::size_t step) {
  icap::respmod machine;
  std::string head, seen;
  machine.begin({"icap://s/x", "s", request_head, response_head, "", true}, head);
  check_sending(machine, choose(wire, 300));
  bool head_told = false;
  event last = event::need_input;
  for (std::size_t size = first; !wire.empty() && last == event::need_input; size = step) {
    std::string_view input = wire.substr(0, size), body;
    const std::string_view given = input;
    while ((last = machine.receive(input, body)) == event::head || last == event::body) {
      require(last == event::body || !head_told);
      head_told = true;
      if (last == event::body) require(!body.empty() && lies_in(body, given));
      if (last == event::body) seen += body;
    }
    require(lies_in(input, given) && (last != event::need_input || input.empty()));
    wire.remove_prefix(given.size() - input.size());
  }
  require(machine.result().head.size() <= icap::max_response_head);
  require(machine.result().http_head.size() <= icap::max_encapsulated_heads);
  require(machine.reusable() <= (last == event::complete));
  if (last == event::failed) {
    std::string_view more = "ICAP/1.0 204 x\r\n\r\n", body;
    require(machine.receive(more, body) == event::failed && more.size() == 18);
    return std::string(describe(machine.error()).token);
  }
  const auto& answer = machine.result();
  if (head_told) seen += answer.head + answer.http_head + answer.istag + verdict_of(answer);
  return seen + std::string(wire) + static_cast<char>(last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = play(input, size, size);
  require(play(input, 1, 1) == whole);
  require(play(input, 1 + choose(input, size), size) == whole);
  return 0;
}
