// The settings file: TOML 1.0, its keys as the table of options names them.
#pragma once

#include "base/options.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate {

// One row's texts and where they were found.
struct raw_setting {
  const option* row = nullptr;
  std::vector<std::string> values;
  std::string place;  // "icapgate.toml:31:1: policy.avoid_port", "ICAPGATE_WORKERS", "--icap"
};

// One table of several: rows that may be set anew in each.
struct raw_table {
  std::string place;  // "icapgate.toml:12:1: [[policy.rule]]"
  std::string name;   // of a listener
  std::vector<raw_setting> settings;
  bool whole = true;  // false: there were problems with some
};

struct raw_settings {
  std::vector<raw_setting> once;
  std::vector<raw_table> listeners;  // [listen.NAME], by name
  std::vector<raw_table> rules;      // [[policy.rule]], in the file's order
  std::vector<raw_table> routes;     // [[route]], likewise
};

// Adds what `text` sets to `found` and what is wrong with it to `problems`. `name` begins every
// place.
// False: it is not TOML, nothing was found.
bool read_settings_text(std::string_view text, const std::string& name, raw_settings& found,
                        std::vector<std::string>& problems);

// The whole of a regular file or pipe of at most `limit` bytes, or nothing and the reason.
std::optional<std::string> read_whole_file(const std::string& path, std::size_t limit,
                                           std::string& why);

}  // namespace icapgate
