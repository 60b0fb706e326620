#include "base/url.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <boost/url/ipv4_address.hpp>
#include <boost/url/ipv6_address.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace icapgate {

namespace {

struct known_scheme {
  std::string_view name;
  std::uint16_t port;
};

constexpr std::array<known_scheme, 4> known_schemes{
    {{"http", 80}, {"https", 443}, {"icap", 1344}, {"icaps", 11344}}};

// No port: the text behind it is read in another way.
constexpr std::string_view unix_scheme = "icap+unix";
// sockaddr_un holds 108 bytes, the NUL at its end included.
constexpr std::size_t longest_socket_path = 107;
constexpr std::string_view unix_endpoint = "unix:";
// "icap+srv": as "icap", and DNS knows hosts and ports.
constexpr std::string_view srv_suffix = "+srv";
// "http+unix:/path/to/socket": an origin has no path behind it.
constexpr std::string_view unix_origin_scheme = "http+unix";

const known_scheme* find_scheme(std::string_view name) {
  for (const auto& s : known_schemes)
    if (s.name == name) return &s;
  return nullptr;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : '[' + host + ']';
}

bool has_unprintable(std::string_view text) {
  return !std::ranges::all_of(text, [](char c) { return is_printable(c) && c != ' '; });
}

// 1 to 5 digits, at most 65535.
std::optional<std::uint16_t> to_port(std::string_view text) {
  const auto value = read_number(text);
  if (!value || text.size() > 5 || *value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

bool valid_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         is_made_of(label, "-_");
}

// RFC 1123 2.1 names, with the '_' that container networks use. A reg-name (RFC 3986 3.2.2) may
// hold more, but no resolver would find it.
bool valid_name(std::string_view name) {
  if (name.size() > 253) return false;
  if (name.ends_with('.')) name.remove_suffix(1);
  while (true) {
    const auto dot = name.find('.');
    if (!valid_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

// "10.0.0.300" or "1.2" would pass as names, and no user means them so.
bool looks_like_ipv4(std::string_view host) {
  return std::ranges::all_of(host, [](char c) { return is_digit(c) || c == '.'; });
}

bool valid_host(std::string_view host, std::string& why) {
  if (host.empty()) {
    why = "has no host";
  } else if (host.find(':') != std::string_view::npos) {
    if (boost::urls::parse_ipv6_address(host)) return true;
    why = "has a host that is not a valid IPv6 address";
  } else if (looks_like_ipv4(host)) {
    if (boost::urls::parse_ipv4_address(host)) return true;
    why = "has a host that is not a valid IPv4 address";
  } else {
    if (valid_name(host)) return true;
    why = "has a host that is not a valid name";
  }
  return false;
}

// Splits "host:port" and "[host]:port"; `port` has no value where there is no colon.
bool split_authority(std::string_view text, std::string_view& host,
                     std::optional<std::string_view>& port, std::string& why) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    host = text.substr(1, end == std::string_view::npos ? end : end - 1);
    if (end == std::string_view::npos || host.find(':') == std::string_view::npos) {
      why = "has brackets that do not hold an IPv6 address";
      return false;
    }
    rest = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
    if (rest.find(':', 1) != std::string_view::npos) {
      why = "has more than one colon (an IPv6 address needs brackets: [::1]:8080)";
      return false;
    }
  }
  if (rest.empty()) return true;
  if (!rest.starts_with(':')) {
    why = "has something other than a port after the address";
    return false;
  }
  port = rest.substr(1);
  return true;
}

bool check_parts(const boost::urls::url_view& u, std::string& why) {
  if (!u.has_authority())
    why = "has no \"//\" before the host";
  else if (u.has_userinfo())
    why = "has a user name or password, which is not supported";
  else if (u.has_fragment())
    why = "has a fragment (#...), which is never sent";
  else
    return true;
  return false;
}

std::string_view without_srv(std::string_view scheme) {
  if (scheme.ends_with(srv_suffix)) scheme.remove_suffix(srv_suffix.size());
  return scheme;
}

// RFC 2782: "_service._proto.host". The labels in front are no part of the host's name; a name
// without them is asked for as well, as Consul answers to it.
bool parse_srv(std::string_view name, bool has_port, url& out, std::string& why) {
  auto host = name;
  while (host.starts_with('_') && host.find('.') != host.npos)
    host.remove_prefix(host.find('.') + 1);
  if (has_port)
    why = "has a port, which DNS knows where the scheme ends in +srv";
  else if (host.starts_with('_') || host.empty() || looks_like_ipv4(name) ||
           name.find(':') != name.npos)
    why = "has no name to ask DNS for, such as _icap._tcp.example.com";
  else {
    out.srv_name = lower(name);
    out.host = lower(host);
    out.port = 0;
    return true;
  }
  return false;
}

bool parse_parts(const boost::urls::url_view& u, url& out, std::string& why) {
  const auto* scheme = find_scheme(without_srv(out.scheme = lower(u.scheme())));
  if (!scheme) {
    why = "has the unknown scheme \"" + out.scheme +
          "\" (known: http, https, http+unix, icap, icaps, icap+unix; +srv behind the first two "
          "of both)";
    return false;
  }
  if (!check_parts(u, why)) return false;
  std::string_view host;
  std::optional<std::string_view> port;
  if (!split_authority(std::string_view(u.encoded_authority()), host, port, why)) return false;
  if (!valid_host(host, why)) return false;
  const std::string_view target(u.encoded_target());
  // Boost.URL 1.81 reads "http://host:8o" as port 8 and path "o".
  const bool whole_port = target.empty() || target.front() == '/' || target.front() == '?';
  const auto number = port ? to_port(*port) : std::optional(scheme->port);
  if (!whole_port || !number || *number == 0) {
    why = "has a port that is not a number between 1 and 65535";
    return false;
  }
  out.host = lower(host);
  out.port = *number;
  out.path = target;
  if (out.scheme.ends_with(srv_suffix)) return parse_srv(host, port.has_value(), out, why);
  return true;
}

// `form`: as the whole has to be written.
bool is_socket_path(std::string_view path, std::string_view form, std::string& why) {
  if (path.size() < 2 || path.front() != '/' || path.back() == '/' || path.starts_with("//"))
    why = "has no absolute path of a socket; the form is " + std::string(form);
  else if (path.size() > longest_socket_path)
    why = "has a socket path of more than 107 bytes, which the system does not take";
  else
    return true;
  return false;
}

// "/run/c-icap.sock:/avscan", what stands behind "icap+unix:".
bool parse_unix(std::string_view text, url& out, std::string& why) {
  const auto end = text.find(":/");
  const auto path = text.substr(0, end);
  if (!is_socket_path(path, "icap+unix:/path/to/socket:/service", why)) return false;
  if (end == std::string_view::npos) {
    why = "has no \":/service\" after the socket's path";
    return false;
  }
  if (text.find('#') != std::string_view::npos) {
    why = "has a fragment (#...), which is never sent";
    return false;
  }
  out = {std::string(unix_scheme), "localhost", 1344, std::string(text.substr(end + 1)),
         std::string(path)};
  return true;
}

bool parse_unix_endpoint(std::string_view text, endpoint& out, std::string& why) {
  const auto path = text.substr(unix_endpoint.size());
  if (!is_socket_path(path, "unix:/path/to/socket", why)) return false;
  out = {{}, 0, std::string(path)};
  return true;
}

// A port, such as policy.avoid_port names, it has none.
bool parse_unix_origin(std::string_view path, url& out, std::string& why) {
  if (!is_socket_path(path, "http+unix:/path/to/socket", why)) return false;
  if (path.find(":/") != path.npos) {
    why = "has something behind the socket's path; the form is http+unix:/path/to/socket";
    return false;
  }
  out = {std::string(unix_origin_scheme), "localhost", 0, {}, std::string(path)};
  return true;
}

// With examples that have the user's port, if it is one.
std::string no_host(std::string_view port) {
  const std::string shown(to_port(port) ? port : "8080");
  return "has no host; 127.0.0.1:" + shown + " is for this machine alone, 0.0.0.0:" + shown +
         " for every IPv4 address, [::]:" + shown + " for every address";
}

}  // namespace

std::string endpoint::to_string() const {
  if (!unix_socket.empty()) return std::string(unix_endpoint) + unix_socket;
  return bracketed(host) + ':' + std::to_string(port);
}

bool url::secured() const {
  return without_srv(scheme).ends_with('s');
}

std::string url::authority() const {
  if (!unix_socket.empty() || !srv_name.empty()) return host;
  const auto* known = find_scheme(scheme);
  if (known && known->port == port) return bracketed(host);
  return bracketed(host) + ':' + std::to_string(port);
}

std::string url::to_string() const {
  if (scheme == unix_origin_scheme) return scheme + ':' + unix_socket;
  if (!unix_socket.empty()) return scheme + ':' + unix_socket + ':' + path;
  if (!srv_name.empty()) return scheme + "://" + srv_name + path;
  return scheme + "://" + authority() + path;
}

std::string url::request_uri() const {
  if (!srv_name.empty()) return std::string(without_srv(scheme)) + "://" + host + path;
  return unix_socket.empty() ? to_string() : "icap://localhost" + path;
}

bool parse_endpoint(std::string_view text, endpoint& out, std::string& why) {
  if (has_unprintable(text)) {
    why = "has a blank, a control character or a letter outside ASCII in it";
    return false;
  }
  if (text.starts_with(unix_endpoint)) return parse_unix_endpoint(text, out, why);
  if (text.find('/') != std::string_view::npos) {
    why = "is neither HOST:PORT nor unix:/path/to/socket";
    return false;
  }
  std::string_view host;
  std::optional<std::string_view> port;
  if (!split_authority(text, host, port, why)) return false;
  if (!port && std::ranges::all_of(host, is_digit)) std::swap(host, port.emplace());
  if (host.empty()) {
    why = no_host(*port);
    return false;
  }
  if (!port) {
    why = "has no port";
    return false;
  }
  if (!valid_host(host, why)) return false;
  const auto number = to_port(*port);
  if (!number) {
    why = "has a port that is not a number between 0 and 65535";
    return false;
  }
  out = {std::string(host), *number};
  return true;
}

bool parse_url(std::string_view text, url& out, std::string& why) {
  if (has_unprintable(text)) {
    why = "has a blank, a control character or a letter outside ASCII in it";
    return false;
  }
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && lower(text.substr(0, colon)) == unix_scheme)
    return parse_unix(text.substr(colon + 1), out, why);
  if (colon != std::string_view::npos && lower(text.substr(0, colon)) == unix_origin_scheme)
    return parse_unix_origin(text.substr(colon + 1), out, why);
  if (text.find("://") == std::string_view::npos) {
    why = "is not a URL: it has no scheme such as http:// or icap://";
    return false;
  }
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) {
    why = "is not a valid URL";
    return false;
  }
  url made;
  if (!parse_parts(*parsed, made, why)) return false;
  out = std::move(made);
  return true;
}

std::string without_user_info(std::string_view text) {
  const auto slashes = text.find("://");
  if (slashes == std::string_view::npos) return std::string(text);
  const auto start = slashes + 3;
  const auto end = std::min(text.find_first_of("/?#", start), text.size());
  const auto at = text.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < start) return std::string(text);
  return std::string(text.substr(0, start)) + '-' + std::string(text.substr(at));
}

}  // namespace icapgate
