// What texts of a head may be made of.
#pragma once

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace icapgate::http {

inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Letters, digits and `others`.
inline bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    const char low = ascii_lower(c);
    return is_digit(c) || (low >= 'a' && low <= 'z') || others.find(c) != std::string_view::npos;
  });
}

// RFC 9110 5.6.2
inline bool is_token(std::string_view text) {
  return !text.empty() && is_made_of(text, "!#$%&'*+-.^_`|~");
}

// Digits and nothing else; none where they are too many for the type.
inline std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  if (text.empty() || ec != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace icapgate::http
