// Just enough of a head: peers of a benchmark see well-formed messages.
#pragma once

#include "base/characters.hpp"
#include "base/text.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace bench {

inline constexpr std::string_view empty_line = "\r\n\r\n";

// The value of a field, or nothing.
inline std::optional<std::string_view> field(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const auto line = icapgate::split_off(head, "\r\n");
    const auto colon = line.find(':');
    if (colon != line.npos && icapgate::iequals(line.substr(0, colon), name))
      return icapgate::trim(line.substr(colon + 1));
  }
  return std::nullopt;
}

// The number behind `name` in a text, as in "res-body=132".
inline std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  if (at == text.npos) return std::nullopt;
  auto digits = text.substr(at + name.size());
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  return icapgate::read_number(digits);
}

}  // namespace bench
