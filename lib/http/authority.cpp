#include "http/authority.hpp"

#include "base/characters.hpp"
#include "base/patterns.hpp"

#include <algorithm>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace icapgate::http {
namespace {

constexpr character_set name_characters("-._~%!$&'()*+,;=");

// "%" two digits, or no "%".
bool is_escaped_well(std::string_view text) {
  for (auto at = text.find('%'); at != text.npos; at = text.find('%', at + 1))
    if (!read_escape(text.substr(at + 1))) return false;
  return true;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool is_port(std::string_view text) {
  const auto number = read_number(text);
  return text.empty() || (text.size() <= 5 && number && *number <= 65535);
}

}  // namespace

std::optional<authority> read_authority(std::string_view text) {
  const bool literal = text.starts_with('[');
  const auto end = literal ? text.find(']') : std::min(text.size(), text.find(':'));
  if (end == text.npos) return std::nullopt;
  const authority found{text.substr(0, end + literal),
                        text.substr(std::min(text.size(), end + literal + 1))};
  const auto name = text.substr(literal, end - literal);
  const auto rest = text.substr(end + literal);
  if (name.empty() || (!rest.empty() && rest.front() != ':') || !is_port(found.port))
    return std::nullopt;
  const bool valid = literal ? is_ipv6(name) : name_characters.makes(name) && is_escaped_well(name);
  return valid ? std::optional(found) : std::nullopt;
}

bool is_same(const authority& a, const authority& b, bool secure) {
  const auto port = [usual = secure ? 443U : 80U](const authority& of) {
    return of.port.empty() ? usual : read_number(of.port).value_or(0);
  };
  return iequals(a.host, b.host) && port(a) == port(b);
}

std::string_view host_name(std::string_view host) {
  const auto bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == host.npos) return {};
  const auto colon = host.find(':', bracket);
  if (colon != host.npos) {
    if (host.find_first_not_of("0123456789", colon + 1) != host.npos) return {};
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  return is_host_pattern(host) && host.find('*') == host.npos ? host : std::string_view{};
}

}  // namespace icapgate::http
