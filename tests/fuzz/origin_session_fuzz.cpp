// Any bytes as an origin's answer to the first of two requests: what the client gets are responses
// that nobody could take for others.
#include "gateway.hpp"

using namespace fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto variant = choose(input, 8);
  auto& through = gateway_for((variant & 1) != 0);
  const std::string method = (variant & 2) != 0 ? "GET" : "HEAD";
  const std::string version = (variant & 4) != 0 ? "1.1" : "1.0";
  const std::string requests = method + " /a HTTP/" + version +
                               "\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
                               "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  std::size_t asked = 0;
  const auto got = through.run(requests, [&](peer& to) {
    const auto front = front_of(to.in);
    require(front.valid);
    if (front.size == 0) return;
    to.in.erase(0, front.size);
    to.out += ++asked == 1 ? input : "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
    to.ends = asked == 1 && (input.size() & 1) != 0;
  });
  through.forget();
  require(asked <= 3);  // a GET is repeated once
  require(check_responses(got, method) <= 2);
  require(got.empty() || got.starts_with("HTTP/1.1 "));
  return 0;
}
