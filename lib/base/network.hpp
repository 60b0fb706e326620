// IP addresses and the networks that settings name: who is trusted, who is counted as one.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate {

// An IPv6 address that only carries an IPv4 one (::ffff:192.0.2.1, RFC 4291 2.5.5.2) is that IPv4
// address: a listener on [::] must not see others than one on 0.0.0.0.
class ip_address {
 public:
  static constexpr std::size_t v4_size = 4, v6_size = 16;

  ip_address() = default;  // 0.0.0.0

  // Of 4 or 16 bytes in network order; nothing for any other count.
  static std::optional<ip_address> from_bytes(std::span<const std::uint8_t> bytes);
  // "192.0.2.1" or "2001:db8::1": without brackets, port, zone or blanks.
  static std::optional<ip_address> parse(std::string_view text);

  bool is_v4() const { return is_v4_; }
  // Without brackets; IPv6 as RFC 5952 has it.
  std::string to_string() const;
  // Likewise, as the beginning of `room`.
  static constexpr std::size_t max_text = 46;
  std::string_view write(std::span<char, max_text> room) const;

  // The first and the last address that agree with this one in the first `prefix` bits. Bits of the
  // address's own family: at most 32 or 128.
  ip_address first_of(unsigned prefix) const;
  ip_address last_of(unsigned prefix) const;

  unsigned bits() const { return (is_v4_ ? v4_size : v6_size) * 8; }
  std::size_t hash() const;

  // All of IPv6 stands before all of IPv4.
  auto operator<=>(const ip_address&) const = default;

 private:
  bool is_v4_ = true;
  std::array<std::uint8_t, v6_size> bytes_{};  // of IPv4: the first four
};

// One entry of a list: an address, a CIDR block, or whoever comes over a unix socket.
struct network {
  ip_address base;
  unsigned prefix = 0;
  bool local = false;  // "unix"; base and prefix mean nothing

  std::string to_string() const;
  bool operator==(const network&) const = default;
};

// "10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::1" or "unix". On failure `why` says what is wrong,
// as the end of a sentence that begins with the text itself; `out` is then unchanged.
bool parse_network(std::string_view text, network& out, std::string& why);

// Many networks, asked often: O(log n). Empty: holds nobody.
class network_set {
 public:
  network_set() = default;
  explicit network_set(std::span<const network> all);

  bool contains(const ip_address& address) const;
  bool contains_local() const { return local_; }

 private:
  struct range {
    ip_address first, last;
  };
  std::vector<range> ranges_;  // sorted, apart from each other
  bool local_ = false;
};

}  // namespace icapgate

template <>
struct std::hash<icapgate::ip_address> {
  std::size_t operator()(const icapgate::ip_address& a) const noexcept { return a.hash(); }
};
