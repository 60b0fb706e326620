// The few text operations that protocol code needs: ASCII only, no locale.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace icapgate {

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  return true;
}

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Without blanks at both ends.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Without the characters of `blanks` at both ends.
constexpr std::string_view trim(std::string_view text, std::string_view blanks) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return text.substr(text.size());
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Splits the part before `separator` off the front of `rest`; all of it if there is no separator.
constexpr std::string_view split_off(std::string_view& rest, std::string_view separator) {
  const auto end = rest.find(separator);
  const auto part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + separator.size());
  return part;
}

// One line of a head. Four appends would look four times whether there is room.
inline void append_field(std::string& lines, std::string_view name, std::string_view value) {
  const auto before = lines.size();
  lines.resize(before + name.size() + value.size() + 4);
  auto* at = lines.data() + before;
  at += name.copy(at, name.size());
  *at++ = ':';
  *at++ = ' ';
  at += value.copy(at, value.size());
  *at++ = '\r';
  *at = '\n';
}

std::string lower(std::string_view text);

// For logs and messages: printable ASCII as it is, every other byte as \xNN.
std::string escaped(std::string_view text);

}  // namespace icapgate
