// `icapgate doctor`: examines one scanner as a gateway would use it, and says whether it can be
// trusted.
#pragma once

#include "base/config.hpp"
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
  tls_settings tls;  // for icaps://
  dns_settings dns;
  std::string user = tls_settings::off, password_file = tls_settings::off;
  std::string authorization;  // an ICAP field with its CRLF, or empty; never shown
  std::chrono::milliseconds timeout{30'000};
  bool ladder = false;
  std::uint64_t max_size = std::uint64_t{501} << 20;  // bytes, of the ladder's files
};

// The settings are those of a gateway: what they say of the scanner counts where the arguments say
// nothing, and the credentials have been read. Every problem in one run; with any problem `out` is
// not to be used.
std::vector<std::string> read_order(const arguments& from, const config& settings, order& out);

// One order for each scanner: for the one that was typed, or else for all that the settings name,
// those of the routes and those that stand by among them.
std::vector<std::string> read_orders(const arguments& from, const config& settings,
                                     std::vector<order>& out);

// Prints each check as it ends, the settings to use and a verdict. True: the scanner can be
// trusted.
bool examine(const order& what, report& to);

}  // namespace icapgate::doctor
