#include "base/text.hpp"

#include "base/characters.hpp"

#include <algorithm>

namespace icapgate {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), ascii_lower);
  return out;
}

std::string escaped(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    if (is_printable(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    ((out += "\\x") += digits[byte >> 4]) += digits[byte & 15];
  }
  return out;
}

}  // namespace icapgate
