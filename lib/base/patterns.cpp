#include "base/patterns.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

namespace icapgate {

namespace {

// Each '*' first takes nothing, and one byte more each time that the rest fails; only the last one
// met has to be tried again.
template <class Equal>
bool matches(std::string_view pattern, std::string_view text, Equal equal) {
  std::size_t p = 0, t = 0;
  std::size_t star = pattern.npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && equal(pattern[p], text[t])) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

// Some servers drop blanks at either end: ".. " is "..", then.
bool is_plain_segment(std::string_view segment) {
  if (segment.starts_with("%20") || segment.ends_with("%20")) return false;
  while (!segment.empty()) {
    const auto part = split_off(segment, "%20");
    if (!is_made_of(part, "-._~!$&'()*+,=:@")) return false;
  }
  return true;
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view text) {
  return matches(pattern, text, [](char p, char t) { return p == t; });
}

bool matches_pattern_any_case(std::string_view pattern, std::string_view text) {
  return matches(pattern, text, [](char p, char t) { return p == ascii_lower(t); });
}

bool is_plain_path(std::string_view path) {
  if (!path.starts_with('/')) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    if (segment.empty() && !path.empty()) return false;
    const bool only_dots = !segment.empty() && segment.find_first_not_of('.') == segment.npos;
    if (only_dots || !is_plain_segment(segment)) return false;
  }
  return true;
}

bool is_host_pattern(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']'))
    return text.size() > 2 && is_made_of(text.substr(1, text.size() - 2), "*:.");
  return !text.empty() && is_made_of(text, "*-._");
}

bool is_media_type(std::string_view text) {
  const auto slash = text.find('/');
  return slash != text.npos && is_token(text.substr(0, slash)) && is_token(text.substr(slash + 1));
}

}  // namespace icapgate
