// `icapgate doctor`: examines one scanner as a gateway would use it, and says whether it can be
// trusted.
#pragma once

#include "base/url.hpp"
#include "doctor/report.hpp"
#include "icap/profile.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace icapgate::doctor {

// What the user typed; empty: the default.
struct arguments {
  std::string scanner = {}, vendor = {}, timeout = {}, max_size = {}, ca = {};
  bool ladder = false;
};

struct order {
  url scanner;  // with the service's path
  const icap::profile* vendor = nullptr;
  bool vendor_named = false;
  std::string ca;  // PEM file that is trusted in place of the system's store; empty: the latter
  std::chrono::milliseconds timeout{30'000};
  bool ladder = false;
  std::uint64_t max_size = std::uint64_t{501} << 20;  // bytes, of the ladder's files
};

// Every problem in one run; with any problem `out` is not to be used.
std::vector<std::string> read_order(const arguments& from, order& out);

// Prints each check as it ends, the settings to use and a verdict. True: the scanner can be
// trusted.
bool examine(const order& what, report& to);

}  // namespace icapgate::doctor
