// The peers of a measured proxy: origin, scanner and load.
#pragma once

#include "loop.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace bench {

// Answers "GET /N" with N bytes, for ever on one connection.
std::unique_ptr<handler> make_origin();

// Answers OPTIONS, and RESPMOD with 204 once the whole body is there. Where 204 is not allowed,
// sends the response back while it comes in, as Squid needs it for large ones.
std::unique_ptr<handler> make_scanner();

struct load {
  std::uint16_t port = 0;
  std::string path;        // asked for on every connection, again and again
  std::uint64_t body = 0;  // bytes that each response must have
  unsigned connections = 1;
  std::uint64_t requests = 0;  // in all; 0: until `time` is over
  std::chrono::milliseconds time{0};
};

// Runs it; prints one line of JSON: requests, seconds, errors, p50_us, p99_us. False: there were
// errors, or no response.
bool run(const load& what);

}  // namespace bench
