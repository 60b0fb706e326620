#include "base/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace icapgate {
namespace {

constexpr std::string_view local_word = "unix";
constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned mapped_bits = mapped_prefix.size() * 8;

std::uint64_t load(const std::uint8_t* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Bits of byte number `index` that lie within the prefix.
std::uint8_t mask_of(unsigned prefix, std::size_t index) {
  const auto before = static_cast<unsigned>(index) * 8;
  if (prefix <= before) return 0;
  const auto inside = std::min(prefix - before, 8u);
  return static_cast<std::uint8_t>(0xff00u >> inside);
}

bool parse_prefix(std::string_view text, unsigned& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && (text.size() == 1 || text.front() != '0');
}

}  // namespace

std::optional<ip_address> ip_address::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != v4_size && bytes.size() != v6_size) return std::nullopt;
  if (bytes.size() == v6_size &&
      std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin()))
    bytes = bytes.last(v4_size);
  ip_address made;
  made.is_v4_ = bytes.size() == v4_size;
  std::ranges::copy(bytes, made.bytes_.begin());
  return made;
}

std::optional<ip_address> ip_address::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  // A longer text is none; what holds a NUL is none either.
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  const bool v6 = text.find(':') != text.npos;
  std::array<std::uint8_t, v6_size> bytes{};
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, terminated.data(), bytes.data()) != 1)
    return std::nullopt;
  return from_bytes(std::span(bytes).first(v6 ? v6_size : v4_size));
}

std::string ip_address::to_string() const {
  std::array<char, max_text> text;
  return std::string(write(text));
}

// Asked for with each request: inet_ntop() would take a printf() for four numbers.
std::string_view ip_address::write(std::span<char, max_text> room) const {
  static_assert(max_text >= INET6_ADDRSTRLEN);
  if (!is_v4_) return ::inet_ntop(AF_INET6, bytes_.data(), room.data(), room.size());
  auto* at = room.data();
  for (std::size_t i = 0; i < v4_size; ++i) {
    const unsigned number = bytes_[i];
    if (i > 0) *at++ = '.';
    if (number >= 100) *at++ = static_cast<char>('0' + number / 100);
    if (number >= 10) *at++ = static_cast<char>('0' + number / 10 % 10);
    *at++ = static_cast<char>('0' + number % 10);
  }
  return {room.data(), at};
}

ip_address ip_address::first_of(unsigned prefix) const {
  auto made = *this;
  for (std::size_t i = 0; i < bits() / 8; ++i) made.bytes_[i] &= mask_of(prefix, i);
  return made;
}

ip_address ip_address::last_of(unsigned prefix) const {
  auto made = *this;
  for (std::size_t i = 0; i < bits() / 8; ++i)
    made.bytes_[i] |= static_cast<std::uint8_t>(~mask_of(prefix, i));
  return made;
}

std::size_t ip_address::hash() const {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  const auto mixed = (load(bytes_.data()) * odd) ^ (load(bytes_.data() + 8) + is_v4_);
  return static_cast<std::size_t>((mixed ^ (mixed >> 29)) * odd);
}

std::string network::to_string() const {
  if (local) return std::string(local_word);
  const auto text = base.to_string();
  return prefix == base.bits() ? text : text + '/' + std::to_string(prefix);
}

bool parse_network(std::string_view text, network& out, std::string& why) {
  if (text == local_word) {
    out = {{}, 0, true};
    return true;
  }
  const auto slash = text.find('/');
  const auto written = text.substr(0, slash);
  const auto address = ip_address::parse(written);
  if (!address) {
    why = "is not an address or network such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, nor unix";
    return false;
  }
  network made{*address, address->bits()};
  if (slash != text.npos) {
    // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
    const bool mapped = address->is_v4() && written.find(':') != written.npos;
    const unsigned least = mapped ? mapped_bits : 0;
    unsigned prefix = 0;
    if (!parse_prefix(text.substr(slash + 1), prefix) || prefix < least ||
        prefix - least > address->bits()) {
      why = "has a prefix that is not a number from " + std::to_string(least) + " to " +
            std::to_string(least + address->bits());
      return false;
    }
    made.prefix = prefix - least;
  }
  made.base = address->first_of(made.prefix);
  if (made.base != *address) {
    why = "has bits set behind its prefix; the network is " + made.to_string();
    return false;
  }
  out = made;
  return true;
}

network_set::network_set(std::span<const network> all) {
  for (const auto& one : all) {
    local_ = local_ || one.local;
    if (!one.local)
      ranges_.push_back({one.base.first_of(one.prefix), one.base.last_of(one.prefix)});
  }
  // CIDR blocks lie apart or one within the other: of those that begin alike the largest, and
  // nothing that ends within the one before.
  std::ranges::sort(ranges_, [](const range& a, const range& b) {
    return a.first != b.first ? a.first < b.first : b.last < a.last;
  });
  std::vector<range> kept;
  for (const auto& one : ranges_)
    if (kept.empty() || kept.back().last < one.first) kept.push_back(one);
  ranges_ = std::move(kept);
}

bool network_set::contains(const ip_address& address) const {
  const auto behind = std::ranges::upper_bound(ranges_, address, {}, &range::first);
  return behind != ranges_.begin() && address <= std::prev(behind)->last;
}

}  // namespace icapgate
