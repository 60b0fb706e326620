// How texts become members of `config`, and back.
#include "base/options.hpp"

#include "base/characters.hpp"
#include "base/patterns.hpp"
#include "base/text.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <type_traits>

namespace icapgate {

namespace {

using problems = std::vector<std::string>;

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

// One parser per member type. Each returns what is wrong with the text, or nothing.
// Only an address: who would look up the name?
std::string parse_dns_server(std::string_view text, endpoint& out) {
  constexpr std::uint16_t dns_port = 53;
  std::string why;
  if (ip_address::parse(text))
    out = {std::string(text), dns_port};
  else if (!parse_endpoint(text, out, why) || !ip_address::parse(out.host) || out.port == 0)
    return "is not an address with or without a port, such as 10.0.0.53 or [::1]:5353";
  return {};
}

std::string parse(const option& row, std::string_view text, endpoint& out) {
  if (row.kind == option_kind::server_list) return parse_dns_server(text, out);
  std::string why;
  parse_endpoint(text, out, why);
  return why;
}

std::string parse(const option& row, std::string_view text, std::optional<endpoint>& out) {
  if (text == "off") {
    out.reset();
    return {};
  }
  const auto why = parse(row, text, out.emplace());
  if (!why.empty() || out->unix_socket.empty()) return why;
  return "is a unix socket, and this listener needs HOST:PORT";
}

std::string parse(const option&, std::string_view text, network& out) {
  std::string why;
  parse_network(text, out, why);
  return why;
}

std::string check_origin(const url& u) {
  if (!u.scheme.starts_with("http")) return "is not an http:// URL, nor https:// nor http+unix:";
  if (u.path.find('?') != std::string::npos) return "has a query; an origin is http://HOST[:PORT]";
  if (!u.path.empty() && u.path != "/") return "has a path; an origin is http://HOST[:PORT]";
  return {};
}

std::string check_scanner(const url& u) {
  if (!u.unix_socket.empty()) return {};
  if (!u.scheme.starts_with("icap")) return "is not an icap:// URL, nor icaps:// nor icap+unix:";
  if (u.path.starts_with('?'))
    return "has a query and no path; a scanner is icap://HOST[:PORT]/SERVICE, such as "
           "icap://scanner:1344/avscan";
  return {};
}

std::string parse(const option&, std::string_view text, url& out) {
  std::string why;
  if (!parse_url(text, out, why)) return why;
  why = check_origin(out);
  if (why.empty()) out.path.clear();
  return why;
}

std::string parse_scanner(std::string_view text, url& out) {
  std::string why;
  if (!parse_url(text, out, why)) return why;
  return check_scanner(out);
}

// Whether a scanner begins here: "icap://...", with any scheme, "icap+unix:" or "embedded:".
bool begins_scanner(std::string_view text) {
  const auto end = text.find(':');
  if (end == 0 || end == text.npos || !is_made_of(text.substr(0, end), "+-.")) return false;
  return text.starts_with(embedded_scheme) || text.starts_with("icap+unix:") ||
         text.substr(end).starts_with("://");
}

// At the commas that a scanner follows; any other comma is part of a path (RFC 3986 3.3).
std::vector<std::string> split_scanners(std::string_view text) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (auto comma = text.find(','); comma != text.npos; comma = text.find(',', comma + 1)) {
    if (!begins_scanner(trim(text.substr(comma + 1)))) continue;
    parts.emplace_back(trim(text.substr(start, comma - start)));
    start = comma + 1;
  }
  parts.emplace_back(trim(text.substr(start)));
  return parts;
}

std::string not_between(std::string_view what, const std::string& min, const std::string& max) {
  return "is not " + std::string(what) + " between " + min + " and " + max;
}

bool within(const option& row, std::uint64_t value) {
  return value >= row.min && value <= row.max;
}

// 404; 4 or 4xx for a class.
std::string check_status(std::string_view text, std::uint64_t& out) {
  if (text.size() == 3 && text.ends_with("xx")) text.remove_suffix(2);
  if (parse_number(text, out) && ((out >= 1 && out <= 5) || (out >= 100 && out <= 599))) return {};
  return "is not a status from 100 to 599, nor a class of them such as 4xx";
}

template <class Integer>
  requires std::is_unsigned_v<Integer>
std::string parse(const option& row, std::string_view text, Integer& out) {
  std::uint64_t value = 0;
  if (row.kind == option_kind::status_list) {
    const auto why = check_status(text, value);
    if (!why.empty()) return why;
  } else if (row.kind == option_kind::size) {
    if (!parse_size(text, value) || !within(row, value))
      return not_between("a size", format_size(row.min), format_size(row.max)) +
             " (such as 65536, 64KiB or 1MB)";
  } else if (!parse_number(text, value) || !within(row, value)) {
    return not_between("a number", std::to_string(row.min), std::to_string(row.max));
  }
  out = static_cast<Integer>(value);
  return {};
}

std::string parse(const option& row, std::string_view text, std::optional<std::uint64_t>& out) {
  return parse(row, text, out.emplace());
}

std::string parse(const option&, std::string_view text, bool& out) {
  if (text != "true" && text != "false") return "is neither true nor false";
  out = text == "true";
  return {};
}

std::string parse(const option& row, std::string_view text, std::chrono::milliseconds& out) {
  using std::chrono::milliseconds;
  if (parse_duration(text, out) && within(row, static_cast<std::uint64_t>(out.count()))) return {};
  return not_between("a time", format_duration(milliseconds(row.min)),
                     format_duration(milliseconds(row.max))) +
         " (such as 300ms, 5s, 5m or 1h)";
}

// A pattern that can match nothing would be a rule that isn't there.
std::string check_path_pattern(std::string_view text) {
  if (!text.starts_with('/') && !text.starts_with('*')) return "begins with neither / nor *";
  if (text.find('?') != text.npos) return "has a query, and paths are compared without it";
  if (is_plain_path(text.starts_with('/') ? std::string(text) : '/' + std::string(text))) return {};
  return "can't match: a path with escapes (but %20), ;, \\, // or dot segments matches no pattern";
}

// Of a route; kept without the '/' at its end.
std::string check_path_prefix(std::string_view text) {
  if (!text.starts_with('/')) return "does not begin with /";
  const bool plain = is_plain_path(text) && text.find_first_of("%*") == text.npos;
  return plain ? "" : "is not a prefix of paths: no escapes, *, ?, ;, \\, // or dot segments";
}

std::string check_text_of_rule(const option& row, std::string_view text) {
  constexpr std::size_t longest_label = 64;
  switch (row.kind) {
    case option_kind::label:
      if (text.size() <= longest_label && std::ranges::all_of(text, is_printable)) return {};
      return "is not a text of at most 64 printable ASCII characters";
    case option_kind::method_list:
      if (is_token(text) && std::ranges::none_of(text, is_lower)) return {};
      return "is not a method in capitals";
    case option_kind::path_prefix:
      return check_path_prefix(text);
    case option_kind::path_list:
      return check_path_pattern(text);
    case option_kind::host_list:
      if (is_host_pattern(text)) return {};
      return "is not a host's name or address without a port";
    case option_kind::media_type_list:
      if (is_media_type(text)) return {};
      return "is not a media type without parameters, such as image/png or image/*";
    default:
      return {};
  }
}

// Hosts and media types are kept in lower case, hosts without the dot of the root, prefixes without
// the '/' at their end.
std::string as_kept(const option& row, std::string_view text) {
  const bool host = row.kind == option_kind::host_list;
  const bool any_case = host || row.kind == option_kind::media_type_list;
  auto out = any_case ? lower(text) : std::string(text);
  if (host && out.size() > 1 && out.ends_with('.')) out.pop_back();
  if (row.kind == option_kind::path_prefix && out.ends_with('/')) out.pop_back();
  return out;
}

// `place`: its number in the row's list.
std::string find_choice(const option& row, std::string_view text, unsigned& place) {
  place = 0;
  for (std::string_view rest = row.choices; !rest.empty(); ++place)
    if (split_off(rest, " ") == text) return {};
  return "is none of: " + std::string(row.choices);
}

std::string parse_choice(const option& row, std::string_view text, std::string& out) {
  unsigned place = 0;
  auto why = find_choice(row, text, place);
  if (why.empty()) out = text;
  return why;
}

std::string parse(const option& row, std::string_view text, std::string& out) {
  if (row.kind == option_kind::choice || row.kind == option_kind::choice_list)
    return parse_choice(row, text, out);
  if (row.kind == option_kind::hash_list) {
    if (text.size() != 64 || text.find_first_not_of("0123456789abcdefABCDEF") != text.npos)
      return "is not a SHA-256: 64 hexadecimal digits";
    out = lower(text);
    return {};
  }
  if (text.empty()) return "is empty";
  if (std::ranges::any_of(text, is_control)) return "has a control character in it";
  const auto why = check_text_of_rule(row, text);
  if (why.empty()) out = as_kept(row, text);
  return why;
}

template <class Enumeration>
  requires std::is_enum_v<Enumeration>
std::string parse(const option& row, std::string_view text, Enumeration& out) {
  unsigned place = 0;
  auto why = find_choice(row, text, place);
  if (why.empty()) out = static_cast<Enumeration>(place);
  return why;
}

void complain(problems& found, std::string_view text, const std::string& why) {
  if (!why.empty()) found.push_back(in_quotes(text) + ' ' + why);
}

template <class T>
problems store_one(const option& row, std::span<const std::string> values, T& out) {
  if (values.size() != 1) return {"needs exactly one value"};
  problems found;
  T made{};
  complain(found, values[0], parse(row, values[0], made));
  if (found.empty()) out = std::move(made);
  return found;
}

template <class T>
problems store_list(const option& row, std::span<const std::string> values, std::vector<T>& out) {
  problems found;
  std::vector<T> made;
  for (const auto& text : values) complain(found, text, parse(row, text, made.emplace_back()));
  if (found.empty()) out = std::move(made);
  return found;
}

// The embedded scanner may be one of the servers.
problems store_scanners(const option& row, std::span<const std::string> values,
                        scanner_group& into) {
  auto& list = std::get<scanner_member<std::vector<url>>>(row.target)(into);
  const bool are_servers = &list == &into.servers;
  problems found;
  std::vector<url> made;
  bool embedded = false;
  for (const auto& value : values) {
    for (const auto& text : split_scanners(value)) {
      if (are_servers && text == embedded_scheme)
        embedded = true;
      else
        complain(found, text, parse_scanner(text, made.emplace_back()));
    }
  }
  if (!found.empty()) return found;
  list = std::move(made);
  if (are_servers) into.embedded = embedded;
  return {};
}

std::string show_value(const option&, const endpoint& value) {
  return value.to_string();
}

std::string show_value(const option&, const std::optional<endpoint>& value) {
  return value ? value->to_string() : "off";
}

std::string show_value(const option&, const url& value) {
  return value.host.empty() ? "" : value.to_string();
}

template <class Integer>
  requires std::is_unsigned_v<Integer>
std::string show_value(const option& row, Integer value) {
  return row.kind == option_kind::size ? format_size(value) : std::to_string(value);
}

std::string show_value(const option&, bool value) {
  return value ? "true" : "false";
}

std::string show_value(const option&, std::chrono::milliseconds value) {
  return format_duration(value);
}

std::string show_value(const option&, const network& value) {
  return value.to_string();
}

std::string show_value(const option&, const std::string& value) {
  return value;
}

template <class Enumeration>
  requires std::is_enum_v<Enumeration>
std::string show_value(const option& row, Enumeration value) {
  std::string_view rest = row.choices, word;
  for (unsigned place = 0; place <= static_cast<unsigned>(value); ++place)
    word = split_off(rest, " ");
  return std::string(word);
}

template <class T>
void show_into(std::vector<std::string>& out, const option& row, const T& value) {
  out.push_back(show_value(row, value));
}

template <class T>
void show_into(std::vector<std::string>& out, const option& row, const std::vector<T>& values) {
  for (const auto& v : values) out.push_back(show_value(row, v));
}

template <class T>
problems store_at(const option& row, std::span<const std::string> values, T& place) {
  if constexpr (requires {
                  typename T::allocator_type;
                  place.emplace_back();
                })
    return store_list(row, values, place);
  else
    return store_one(row, values, place);
}

policy& policy_of(config& owner) {
  return owner.scan_policy;
}

policy& policy_of(rule& owner) {
  return owner.effects;
}

policy& policy_of(route& owner) {
  return owner.base;
}

route_limits* limits_of(config& owner) {
  return &owner.limits;
}

route_limits* limits_of(route& owner) {
  return &owner.limits;
}

// It has none, and no row of its table sets any.
route_limits* limits_of(rule&) {
  return nullptr;
}

template <class Owner>
problems store_in(const option& row, std::span<const std::string> values, Owner& into) {
  return std::visit(
      [&]<class M>(M target) -> problems {
        if constexpr (std::is_invocable_v<M, Owner&>)
          return store_at(row, values, target(into));
        else if constexpr (std::is_invocable_v<M, policy&>)
          return store_at(row, values, target(policy_of(into)));
        else if constexpr (std::is_invocable_v<M, route_limits&>)
          return limits_of(into) ? store_at(row, values, target(*limits_of(into))) : problems();
        else
          return {};
      },
      row.target);
}

}  // namespace

std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               config& into) {
  if (row.kind == option_kind::url_list) return store_scanners(row, values, into.scanners);
  if (row.sets_listener()) return store(row, values, into.listeners.front());
  return store_in(row, values, into);
}

std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               listener& into) {
  return std::visit(
      [&]<class M>(M target) -> problems {
        if constexpr (std::is_invocable_v<M, listener&>)
          return store_at(row, values, target(into));
        else
          return {};
      },
      row.target);
}

std::vector<std::string> store(const option& row, std::span<const std::string> values, rule& into) {
  if (row.is_list() && values.empty()) return {"is an empty list; leave it out"};
  return store_in(row, values, into);
}

std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               route& into) {
  if (row.is_list() && values.empty()) return {"is an empty list; leave it out"};
  if (row.kind == option_kind::origin_list) return store_list(row, values, into.origins);
  if (row.kind == option_kind::url_list) return store_scanners(row, values, into.scanners);
  return store_in(row, values, into);
}

std::vector<std::string> show(const option& row, const config& from) {
  std::vector<std::string> out;
  // The accessors are written for a config that can change; this one does not.
  auto& settings = const_cast<config&>(from);
  std::visit(
      [&]<class M>(M target) {
        if constexpr (std::is_invocable_v<M, config&>)
          show_into(out, row, target(settings));
        else if constexpr (std::is_invocable_v<M, listener&>)
          show_into(out, row, target(settings.listeners.front()));
        else if constexpr (std::is_invocable_v<M, policy&>)
          show_into(out, row, target(settings.scan_policy));
        else if constexpr (std::is_invocable_v<M, route_limits&>)
          show_into(out, row, target(settings.limits));
        else if constexpr (std::is_invocable_v<M, scanner_group&>)
          show_into(out, row, target(settings.scanners));
      },
      row.target);
  if (row.kind == option_kind::url_list && row.required && from.scanners.embedded)
    out.emplace_back(embedded_scheme);
  return out;
}

}  // namespace icapgate
