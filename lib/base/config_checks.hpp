// What only the whole of the settings can tell: files that must be there, and values that don't go
// together.
#pragma once

#include "base/config.hpp"
#include "base/options.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace icapgate {

// Where values come from, for complaints about them.
struct setting_places {
  std::map<const option*, std::string> once;
  // By the listener's name; without a row: of its table.
  std::map<std::pair<std::string, const option*>, std::string> of_listeners;

  // The key itself where it is at its default.
  std::string of(std::string_view key) const;
  std::string of(std::string_view key, const listener& whose) const;
};

// Adds to problems and warnings; reads the template of block pages.
void check_whole(settings& all, const setting_places& places);

void warn_once(settings& all, const std::string& place, const std::string& what);

}  // namespace icapgate
