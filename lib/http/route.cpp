#include "http/route.hpp"

#include "base/characters.hpp"
#include "base/patterns.hpp"
#include "http/authority.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace icapgate::http {
namespace {

bool separates_for_some(char c) {
  return c == '/' || c == '\\' || is_control(c);
}

// RFC 3629 3: the shortest form alone is UTF-8. Lax decoders make '.' and '/' of longer ones.
bool is_overlong(unsigned char lead, unsigned char next) {
  return lead == 0xc0 || lead == 0xc1 || (lead == 0xe0 && next < 0xa0) ||
         (lead == 0xf0 && next < 0x90);
}

bool has_overlong(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (is_overlong(static_cast<unsigned char>(text[i]), static_cast<unsigned char>(next)))
      return true;
  }
  return false;
}

// A segment without its parameters, or nothing.
std::optional<std::string> read_segment(std::string_view raw) {
  std::string out;
  raw = raw.substr(0, raw.find(';'));
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      out += raw[i];
      continue;
    }
    const auto c = read_escape(raw.substr(i + 1));
    i += 2;
    if (!c || separates_for_some(*c)) return std::nullopt;
    if (*c == '%' && read_escape(raw.substr(i + 1))) return std::nullopt;
    out += *c;
  }
  if (out.find('\\') != out.npos || has_overlong(out)) return std::nullopt;
  const bool only_dots = !out.empty() && out.find_first_not_of(". ") == out.npos;
  return only_dots ? std::nullopt : std::optional(std::move(out));
}

// 0: it doesn't fit.
std::size_t rank_of_host(const route& r, std::string_view name) {
  if (r.hosts.empty()) return 1;
  std::size_t best = 0;
  for (const auto& pattern : r.hosts) {
    if (name.empty() || !matches_pattern_any_case(pattern, name)) continue;
    const auto stars = static_cast<std::size_t>(std::ranges::count(pattern, '*'));
    const auto rank =
        stars == 0 ? std::numeric_limits<std::size_t>::max() : 2 + pattern.size() - stars;
    best = std::max(best, rank);
  }
  return best;
}

bool lies_below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

std::optional<std::string> readable_path(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::string out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto raw = path.substr(0, path.find('/'));
    path.remove_prefix(raw.size());
    const auto segment = read_segment(raw);
    if (!segment || (segment->empty() && !(raw.empty() && path.empty()))) return std::nullopt;
    (out += '/') += *segment;
  }
  return out;
}

const route* choose_route(const std::vector<route>& routes, const request_head& request) {
  const bool by_host = std::ranges::any_of(routes, [](auto& r) { return !r.hosts.empty(); });
  const bool by_path = std::ranges::any_of(routes, [](auto& r) { return !r.path.empty(); });
  const auto name = by_host ? host_name(request.host) : std::string_view{};
  std::optional<std::string> path;
  if (by_path) path = readable_path(request.origin_form.substr(0, request.origin_form.find('?')));
  const route* best = nullptr;
  std::pair<std::size_t, std::size_t> best_rank;
  for (const auto& r : routes) {
    const std::pair rank(rank_of_host(r, name), r.path.size());
    if (rank.first == 0 || (best && rank <= best_rank)) continue;
    if (!r.path.empty() && !(path && lies_below(*path, r.path))) continue;
    best = &r;
    best_rank = rank;
  }
  return best;
}

}  // namespace icapgate::http
