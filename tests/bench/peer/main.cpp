// Origin, scanner and load for measuring a proxy, all on 127.0.0.1.
#include "peers.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

namespace {

int usage() {
  std::fputs(
      "usage: bench_peer origin|scanner [PORT]           prints its port, serves until killed\n"
      "       bench_peer load PORT PATH BODY CONNECTIONS NUMBER|SECONDSs\n"
      "           GETs PATH, whose body has BODY bytes; prints one line of JSON\n",
      stderr);
  return 64;
}

int serve(bench::loop::factory make, int port) {
  bench::loop events;
  std::printf("%d\n", int{events.listen(static_cast<std::uint16_t>(port), std::move(make))});
  std::fflush(stdout);
  events.run();
  return 0;
}

int put_load(char** words) {
  bench::load what;
  what.port = static_cast<std::uint16_t>(std::stoi(words[0]));
  what.path = words[1];
  what.body = std::stoull(words[2]);
  what.connections = static_cast<unsigned>(std::stoul(words[3]));
  const std::string amount = words[4];
  const auto number = std::stoull(amount);
  if (amount.ends_with('s'))
    what.time = std::chrono::seconds(number);
  else
    what.requests = number;
  return bench::run(what) ? 0 : 1;
}

}  // namespace

int main(int count, char** words) try {
  const std::string role = count > 1 ? words[1] : "";
  const int port = count > 2 ? std::stoi(words[2]) : 0;
  if (role == "origin") return serve(bench::make_origin, port);
  if (role == "scanner") return serve(bench::make_scanner, port);
  if (role == "load" && count == 7) return put_load(words + 2);
  return usage();
} catch (const std::exception& e) {
  std::fprintf(stderr, "bench_peer: %s\n", e.what());
  return 1;
}
