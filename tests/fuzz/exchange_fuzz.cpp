// Any bytes as a scanner's answer to each kind of request: with a preview of any size or none, with
// 206 offered or not, RESPMOD, REQMOD and OPTIONS, while a body of any size is framed.
#include "icap/exchange.hpp"
#include "icap/options.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

using namespace icapgate;
using event = icap::exchange::event;

namespace {

struct question {
  icap::exchange_request request;
  std::size_t body;
  bool end_known;  // false: the end shows only after all of the body was framed
};

question ask(std::string_view method, bool preview, bool allow_206, std::string_view input) {
  const bool respmod = method == "RESPMOD";
  question q{{.method = method, .uri = "icap://s/x", .host = "s"}, 0, choose(input, 3) != 0};
  if (method != "OPTIONS") q.request.request_head = "GET / HTTP/1.1\r\n\r\n";
  if (respmod) q.request.response_head = "HTTP/1.1 200 OK\r\n\r\n";
  q.request.allow_206 = allow_206;
  q.request.allow_204 = choose(input, 5) != 0;
  q.request.has_body = choose(input, 7) != 0;
  if (preview) q.request.preview = choose(input, 40);
  q.body = choose(input, 43);
  q.end_known = q.end_known || q.body == 0;
  return q;
}

// One side of the wire and the other: what was framed must be what a decoder reads.
class sender {
 public:
  sender(icap::exchange& machine, const question& q) : machine_(machine), q_(q), left_(q.body) {}

  void send() {
    for (;;) {
      const auto f = machine_.next(left_, q_.end_known || left_ == 0);
      if (f.prefix.empty()) break;
      require(f.body <= left_);
      left_ -= f.body;
      wire_.append(f.prefix).append(f.body, 'x').append(f.suffix);
    }
  }

  // With everything asked for on the wire.
  void check(std::size_t continues) const {
    if (!q_.request.has_body || q_.request.method == "OPTIONS") {
      require(wire_.empty());
      return;
    }
    std::string_view rest = wire_;
    const auto limit = icap::sends_preview(q_.request) ? *q_.request.preview : q_.body;
    const bool ieof = icap::sends_preview(q_.request) && q_.end_known && q_.body <= limit;
    if (icap::sends_preview(q_.request) && q_.body < limit && !q_.end_known) {
      require(rest.empty());
      return;
    }
    require(decode(rest, ieof ? "ieof" : "") == std::min<std::size_t>(limit, q_.body));
    require(continues <= 1 && !(ieof && continues));
    if (continues) require(decode(rest, "") == q_.body - limit);
    require(rest.empty());
  }

 private:
  static std::size_t decode(std::string_view& wire, std::string_view extension) {
    chunk_decoder decoder;
    std::string_view data;
    std::size_t size = 0;
    while (decoder.next(wire, data) == chunk_decoder::event::data) size += data.size();
    require(decoder.next(wire, data) == chunk_decoder::event::complete);
    require(decoder.last_extension() == extension && decoder.trailers().empty());
    return size;
  }

  icap::exchange& machine_;
  const question& q_;
  std::size_t left_;
  std::string wire_;
};

void check_answer(const icap::exchange& machine, event last, const question& q) {
  const auto& a = machine.result();
  require(a.head.size() <= icap::max_response_head);
  require(a.http_head.size() <= icap::max_encapsulated_heads);
  require(a.trailers.size() <= chunk_decoder::max_trailers);
  require(machine.reusable() <= (last == event::complete));
  require((last == event::complete || last == event::failed) <= machine.sent());
  if (last != event::complete) return;
  require(a.status >= 200 && a.status <= 999 && a.unmodified == (a.status == 204));
  require(!a.original_from || (a.status == 206 && icap::offers_206(q.request)));
  require(!a.unmodified || !a.has_body);
  if (q.request.method == "RESPMOD" && !a.http_head.empty())
    require(a.http_head.starts_with("HTTP/"));
  if (q.request.method == "OPTIONS") {
    const auto o = icap::parse_options(a);
    require(o.has_value() <= (a.status < 300));
    if (o) icap::transfer_of(*o, a.head);
  }
}

// All that the driver would see, in one text.
std::string play(std::string_view wire, std::size_t first, std::size_t step, const question& q) {
  icap::exchange machine;
  std::string head, seen;
  machine.begin(q.request, head);
  sender out(machine, q);
  out.send();
  std::size_t heads = 0, continues = 0;
  event last = event::need_input;
  for (std::size_t size = first; !wire.empty() && last == event::need_input; size = step) {
    std::string_view input = wire.substr(0, size), body;
    const std::string_view given = input;
    while ((last = machine.receive(input, body)) == event::head || last == event::body ||
           last == event::go_on) {
      heads += last == event::head;
      continues += last == event::go_on;
      require(heads <= 1 && continues <= 1 && (last != event::go_on || heads == 0));
      if (last == event::go_on) out.send();
      if (last != event::body) continue;
      require(heads == 1 && machine.result().has_body && !body.empty() && lies_in(body, given));
      seen += body;
    }
    require(lies_in(input, given) && (last != event::need_input || input.empty()));
    wire.remove_prefix(given.size() - input.size());
  }
  out.check(continues);
  check_answer(machine, last, q);
  if (last == event::failed) {
    std::string_view more = "ICAP/1.0 204 x\r\n\r\n", body;
    require(machine.receive(more, body) == event::failed && more.size() == 18);
    return std::string(describe(machine.error()).token);
  }
  const auto& a = machine.result();
  if (heads == 1) seen += a.head + a.http_head + a.istag + a.trailers;
  if (a.original_from) seen += std::to_string(*a.original_from);
  return seen + std::string(wire) + static_cast<char>(last) + (machine.reusable() ? 'r' : 'c');
}

void check(std::string_view input, const question& q) {
  const auto whole = play(input, input.size(), input.size(), q);
  require(play(input, 1, 1, q) == whole);
  require(play(input, 1 + choose(input, input.size()), input.size(), q) == whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check(input, ask("RESPMOD", false, false, input));
  check(input, ask("RESPMOD", true, false, input));
  check(input, ask("RESPMOD", true, true, input));
  check(input, ask("REQMOD", true, true, input));
  check(input, ask("OPTIONS", false, false, input));
  return 0;
}
