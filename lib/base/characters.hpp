// What texts may be made of, and how numbers and escapes in them are read: ASCII only, no locale.
#pragma once

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace icapgate {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_alphanumeric(char c) {
  const char low = ascii_lower(c);
  return is_digit(c) || (low >= 'a' && low <= 'z');
}

// The blank is, bytes outside ASCII are not.
constexpr bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

constexpr bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// RFC 9110 5.5: what a field's value may hold. Of the control characters the tab alone.
constexpr bool is_field_text(char c) {
  return c == '\t' || !is_control(c);
}

// Negative: no hexadecimal digit.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char low = ascii_lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

constexpr bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Letters, digits and `others`.
constexpr bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
  });
}

// As is_made_of() tells, at one look for each character.
class character_set {
 public:
  // Letters, digits and `others`.
  explicit constexpr character_set(std::string_view others) {
    for (int c = 0; c < 256; ++c) {
      const auto byte = static_cast<char>(c);
      has_[static_cast<std::size_t>(c)] =
          is_alphanumeric(byte) || others.find(byte) != std::string_view::npos;
    }
  }

  constexpr bool makes(std::string_view text) const {
    for (const char c : text)
      if (!has_[static_cast<unsigned char>(c)]) return false;
    return true;
  }

 private:
  std::array<bool, 256> has_{};
};

inline constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
inline constexpr character_set token_characters(token_marks);

// RFC 9110 5.6.2
constexpr bool is_token(std::string_view text) {
  return !text.empty() && token_characters.makes(text);
}

// Digits and nothing else. A number too large for the type is its largest one.
constexpr std::optional<std::uint64_t> read_number(std::string_view text) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  constexpr std::size_t always_fits = 19;
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  bool fits = true;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    fits = fits && (text.size() <= always_fits || value <= (most - digit) / 10);
    value = value * 10 + digit;
  }
  return fits ? value : most;
}

// RFC 3986 2.1: what the two digits behind a '%' stand for. They begin `text`.
constexpr std::optional<char> read_escape(std::string_view text) {
  if (text.size() < 2 || hex_value(text[0]) < 0 || hex_value(text[1]) < 0) return std::nullopt;
  return static_cast<char>(hex_value(text[0]) * 16 + hex_value(text[1]));
}

}  // namespace icapgate
