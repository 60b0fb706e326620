#include "base/units.hpp"

#include "base/text.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace icapgate {

namespace {

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first: the formatters take the first that divides.
constexpr std::array<unit, 4> durations{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

constexpr std::array<unit, 5> sizes{{{"TiB", std::uint64_t{1} << 40},
                                     {"GiB", std::uint64_t{1} << 30},
                                     {"MiB", std::uint64_t{1} << 20},
                                     {"KiB", std::uint64_t{1} << 10},
                                     {"B", 1}}};

constexpr std::array<unit, 4> decimal_sizes{
    {{"TB", 1'000'000'000'000}, {"GB", 1'000'000'000}, {"MB", 1'000'000}, {"KB", 1'000}}};

const unit* find(std::span<const unit> units, std::string_view name, bool any_case) {
  for (const auto& u : units)
    if (any_case ? iequals(u.name, name) : u.name == name) return &u;
  return nullptr;
}

// Takes the digits off the front of `text`.
bool take_number(std::string_view& text, std::uint64_t& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool multiply(std::uint64_t number, const unit* by, std::uint64_t limit, std::uint64_t& out) {
  if (!by || number > limit / by->factor) return false;
  out = number * by->factor;
  return true;
}

std::string format(std::span<const unit> units, std::uint64_t value) {
  for (const auto& u : units)
    if (value >= u.factor && value % u.factor == 0)
      return std::to_string(value / u.factor) + std::string(u.name);
  return "0";
}

}  // namespace

bool parse_number(std::string_view text, std::uint64_t& out) {
  std::uint64_t number = 0;
  if (!take_number(text, number) || !text.empty()) return false;
  out = number;
  return true;
}

bool parse_duration(std::string_view text, std::chrono::milliseconds& out) {
  std::uint64_t number = 0;
  if (!take_number(text, number)) return false;
  constexpr auto limit = std::numeric_limits<std::int64_t>::max();
  const bool bare_zero = text.empty() && number == 0;
  if (!bare_zero && !multiply(number, find(durations, text, false), limit, number)) return false;
  out = std::chrono::milliseconds(static_cast<std::int64_t>(number));
  return true;
}

bool parse_size(std::string_view text, std::uint64_t& out) {
  std::uint64_t number = 0;
  if (!take_number(text, number)) return false;
  const unit* by = find(sizes, text.empty() ? "B" : text, true);
  if (!by) by = find(decimal_sizes, text, true);
  return multiply(number, by, std::numeric_limits<std::uint64_t>::max(), out);
}

std::string format_duration(std::chrono::milliseconds value) {
  return format(durations, static_cast<std::uint64_t>(value.count()));
}

std::string format_size(std::uint64_t value) {
  std::string text = format(sizes, value);
  const bool plain = text.size() > 1 && text.ends_with('B') && !text.ends_with("iB");
  return plain ? text.substr(0, text.size() - 1) : text;
}

}  // namespace icapgate
