// The settings of one process: merged from defaults, a TOML file, the environment and flags (later
// beats earlier), and checked before anything starts.
#pragma once

#include "base/url.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace icapgate {

struct config {
  endpoint listen{"0.0.0.0", 8080};
  std::optional<endpoint> admin;  // none: no admin listener
  url origin;                     // http://host[:port], no path
  std::vector<url> scanners;      // icap://host[:port]/service; "embedded:" is resolved by app/
  bool embedded_scanner = false;  // --icap embedded:
  std::vector<std::string> embedded_sha256;  // lower-case hex: bodies the embedded scanner blocks
  std::vector<std::uint16_t> avoid_ports;    // responses from these origin ports are not scanned
  bool debug_fallback = false;               // scanner trouble: deliver the origin's response
  unsigned workers = 0;                      // 0: one per core

  struct {
    std::chrono::milliseconds header{10'000};    // first byte of a head to its end
    std::chrono::milliseconds idle{75'000};      // between requests
    std::chrono::milliseconds progress{60'000};  // any other read or write
  } client;
  struct {
    std::chrono::milliseconds connect{5'000};      // per address
    std::chrono::milliseconds first_byte{60'000};  // request sent to response head
    std::chrono::milliseconds progress{60'000};    // any other read or write
    std::size_t idle_connections = 256;            // kept per worker
    std::chrono::milliseconds idle{30'000};        // a pooled connection's age without use
  } origin_limits;
  struct {
    std::chrono::milliseconds connect{2'000};
    std::chrono::milliseconds progress{30'000};  // no byte accepted or received
    std::chrono::milliseconds verdict{60'000};   // last body byte to the answer's first byte
    std::chrono::milliseconds total{600'000};    // one whole exchange
    std::chrono::milliseconds idle{50'000};      // a pooled connection's age without use
    std::size_t connections = 100;               // to all scanners, for the whole process
    std::chrono::milliseconds acquire{5'000};    // waiting for one of them
  } icap_limits;

  std::size_t spool_memory = 1 << 20;  // bytes of one body kept in memory; the rest goes to a file
  std::string spool_dir = "/var/tmp";  // must exist and be writable
  std::size_t max_head = 65536;        // bytes of one HTTP head

  std::chrono::milliseconds drain_timeout{300'000};  // running transfers after SIGTERM

  std::string access_log = "-";    // "-": standard output, "off", or a file
  std::string log_level = "info";  // trace debug info warn error off
};

// Where settings come from, besides the file that one of these names.
struct settings_sources {
  // A flag with its dashes, and its values in the order given.
  std::vector<std::pair<std::string, std::vector<std::string>>> flags;
  // All of the environment; names that don't begin with ICAPGATE_ are passed over.
  std::vector<std::pair<std::string, std::string>> environment;
};

struct settings {
  config values;
  std::string file;                   // empty: there was none
  std::vector<std::string> problems;  // one line each, beginning with the place; empty: all is well
};

// Merges and checks. Every problem is found in one run; with any problem `values` are not to be
// used.
settings load_settings(const settings_sources& from);

}  // namespace icapgate
