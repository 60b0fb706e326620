// Any bytes as what a client sends over one connection: what the origin gets are requests without
// any doubt, and what the client gets are responses.
#include "gateway.hpp"

using namespace fuzz;

namespace {

constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// A request with its body whole is answered; nothing else may ever come.
void serve(peer& to) {
  for (;;) {
    const auto front = front_of(to.in);
    require(front.valid);
    if (front.size == 0) return;
    require(front.head.find(http::field_id::via) != nullptr);
    to.in.erase(0, front.size);
    to.out += front.head.is_head() ? answer.substr(0, answer.size() - 5) : answer;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  auto& through = gateway_for(choose(input, 2) == 0);
  const auto got = through.run(input, serve);
  through.forget();
  // A response to HEAD has a length and no body: only without one the row can be told apart.
  if (input.find("HEAD") == input.npos && input.find("head") == input.npos)
    check_responses(got, "");
  return 0;
}
