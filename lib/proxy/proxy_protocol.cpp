#include "proxy/proxy_protocol.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <span>

namespace icapgate::proxy {
namespace {

using status = proxy_header::status;

constexpr std::string_view line_signature = "PROXY ";
constexpr std::string_view binary_signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t binary_fixed = 16;  // signature, version and command, family, length

proxy_header invalid() {
  return {.state = status::invalid};
}

bool begins_alike(std::string_view a, std::string_view b) {
  const auto size = std::min(a.size(), b.size());
  return a.substr(0, size) == b.substr(0, size);
}

// --- version 1: PROXY TCP4 192.0.2.1 198.51.100.1 56324 443

bool parse_port(std::string_view text, std::uint16_t& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && (text.size() == 1 || text.front() != '0');
}

// `words`: what stands behind the signature.
proxy_header parse_line(std::string_view words) {
  proxy_header out{.state = status::complete};
  const auto family = split_off(words, " ");
  if (family == "UNKNOWN") return out;  // the rest means nothing
  const bool v6 = family == "TCP6";
  if (!v6 && family != "TCP4") return invalid();
  const auto source = split_off(words, " "), destination = split_off(words, " ");
  const auto source_port = split_off(words, " ");
  const auto belongs = [v6](std::string_view text) {
    return (text.find(':') != text.npos) == v6 && ip_address::parse(text);
  };
  std::uint16_t destination_port = 0;
  if (!belongs(source) || !belongs(destination) || !parse_port(source_port, out.client_port) ||
      !parse_port(words, destination_port))
    return invalid();
  out.client = ip_address::parse(source);
  return out;
}

proxy_header parse_v1(std::string_view received) {
  const auto line = received.substr(0, max_proxy_line);
  const auto end = line.find('\r');
  // A line that is full without its end never ends.
  if (end == line.npos) return line.size() < max_proxy_line - 1 ? proxy_header{} : invalid();
  if (end + 1 == line.size()) return line.size() < max_proxy_line ? proxy_header{} : invalid();
  if (line[end + 1] != '\n') return invalid();
  auto out = parse_line(line.substr(line_signature.size(), end - line_signature.size()));
  out.size = end + 2;
  return out;
}

// --- version 2

std::uint8_t byte_at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint8_t>(bytes[index]);
}

std::uint16_t number_at(std::string_view bytes, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(bytes, index) << 8 | byte_at(bytes, index + 1));
}

// Both addresses, then both ports.
bool parse_addresses(std::string_view bytes, std::size_t address_size, proxy_header& out) {
  if (bytes.size() < 2 * address_size + 4) return false;
  const std::span first(reinterpret_cast<const std::uint8_t*>(bytes.data()), address_size);
  out.client = ip_address::from_bytes(first);
  out.client_port = number_at(bytes, 2 * address_size);
  return true;
}

// `kind`: family and transport; `bytes`: what follows the fixed part.
proxy_header parse_proxied(std::uint8_t kind, std::string_view bytes) {
  constexpr std::uint8_t unspecified = 0x00, tcp4 = 0x11, tcp6 = 0x21, unix_stream = 0x31;
  constexpr std::size_t unix_size = 216;
  proxy_header out{.state = status::complete};
  switch (kind) {
    case unspecified:
      return out;
    case tcp4:
      return parse_addresses(bytes, ip_address::v4_size, out) ? out : invalid();
    case tcp6:
      return parse_addresses(bytes, ip_address::v6_size, out) ? out : invalid();
    case unix_stream:
      return bytes.size() >= unix_size ? out : invalid();
    default:  // datagrams carry no HTTP/1.1
      return invalid();
  }
}

proxy_header parse_v2(std::string_view received) {
  constexpr std::uint8_t local = 0x20, proxied = 0x21;
  if (received.size() <= binary_signature.size()) return {};
  const auto command = byte_at(received, binary_signature.size());
  if (command != local && command != proxied) return invalid();
  if (received.size() < binary_fixed) return {};
  const auto size = binary_fixed + number_at(received, binary_fixed - 2);
  if (size > max_proxy_header) return invalid();
  if (received.size() < size) return {};
  proxy_header out{.state = status::complete};
  if (command == proxied)
    out = parse_proxied(byte_at(received, binary_fixed - 3),
                        received.substr(binary_fixed, size - binary_fixed));
  out.size = size;
  return out;
}

}  // namespace

proxy_header parse_proxy_header(std::string_view received) {
  const auto parsed = [received] {
    if (begins_alike(received, line_signature))
      return received.size() < line_signature.size() ? proxy_header{} : parse_v1(received);
    if (begins_alike(received, binary_signature)) return parse_v2(received);
    return invalid();
  }();
  return parsed.state == status::invalid ? invalid() : parsed;
}

}  // namespace icapgate::proxy
