#include "http/preferences.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace icapgate::http {
namespace {

// Where the first `separator` outside quotes stands; the text's size: there is none.
std::size_t find_unquoted(std::string_view text, char separator) {
  const auto first = std::min(text.find(separator), text.size());
  auto quote = text.substr(0, first).find('"');
  if (quote == text.npos) return first;
  bool quoted = false;
  for (; quote < text.size(); ++quote) {
    const char c = text[quote];
    if (quoted && c == '\\')
      ++quote;
    else if (c == '"')
      quoted = !quoted;
    else if (c == separator && !quoted)
      return quote;
  }
  return text.size();
}

// Splits the part before it off the front of `rest`.
std::string_view split_off_unquoted(std::string_view& rest, char separator) {
  const auto end = find_unquoted(rest, separator);
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

// RFC 9110 12.4.2: 0 to 1 with at most three digits behind the point.
std::optional<unsigned> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  unsigned weight = text[0] == '1' ? 1000 : 0;
  unsigned unit = 100;
  for (const char c : text.substr(text.size() > 1 ? 2 : 1)) {
    if (!is_digit(c)) return std::nullopt;
    weight += static_cast<unsigned>(c - '0') * unit;
    unit /= 10;
  }
  if (weight > 1000) return std::nullopt;
  return weight;
}

}  // namespace

std::optional<preference> take_preference(std::string_view& list) {
  auto parameters = split_off_unquoted(list, ',');
  preference taken{.what = trim(split_off_unquoted(parameters, ';'))};
  if (taken.what.empty()) return std::nullopt;
  while (!parameters.empty()) {
    auto value = split_off_unquoted(parameters, ';');
    if (!iequals(trim(split_off(value, "=")), "q")) continue;
    const auto weight = parse_weight(trim(value));
    if (!weight) return std::nullopt;
    taken.weight = *weight;
    break;
  }
  return taken;
}

}  // namespace icapgate::http
