// The settings of the running gateway: from all sources, checked, and read again.
#pragma once

#include "base/config.hpp"
#include "command_line.hpp"
#include "embedded/scanner.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace icapgate {

// NAME, VALUE of every variable.
std::vector<std::pair<std::string, std::string>> environment();

// Complete, and checked as far as that is possible without running: files, certificates and secrets
// included.
settings read_settings(const command_line& line);

// From the start of one process to its end. One thread at a time; outlives the server.
class running_settings {
 public:
  running_settings(const command_line& line, settings first);

  // The embedded scanner is spoken to by ICAP like any other. There is one, however many routes
  // want it.
  config complete() { return complete(now_.values); }

  // All or nothing, with the reasons in the log.
  std::optional<config> read_again();

  // What was read last is in use: the server found nothing wrong with it either.
  void adopted();

 private:
  config complete(config values);

  const command_line& line_;
  settings now_;
  std::optional<settings> next_;  // read, and not in use yet
  std::optional<embedded::scanner> scanner_;
};

}  // namespace icapgate
