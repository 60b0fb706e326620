// How texts become members of `config`, and back.
#include "base/options.hpp"

#include "base/text.hpp"
#include "base/units.hpp"

#include <algorithm>
#include <type_traits>

namespace icapgate {

namespace {

using problems = std::vector<std::string>;

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// One parser per member type. Each returns what is wrong with the text, or nothing.
std::string parse(const option&, std::string_view text, endpoint& out) {
  std::string why;
  parse_endpoint(text, out, why);
  return why;
}

std::string parse(const option& row, std::string_view text, std::optional<endpoint>& out) {
  if (text == "off") {
    out.reset();
    return {};
  }
  return parse(row, text, out.emplace());
}

std::string check_origin(const url& u) {
  if (u.scheme == "https")
    return "begins with https://, and https:// origins are not supported yet";
  if (u.scheme != "http") return "is not an http:// URL";
  if (u.path.find('?') != std::string::npos) return "has a query; an origin is http://HOST[:PORT]";
  if (!u.path.empty() && u.path != "/") return "has a path; an origin is http://HOST[:PORT]";
  return {};
}

std::string check_scanner(const url& u) {
  if (!u.unix_socket.empty()) return {};
  if (u.scheme != "icap" && u.scheme != "icaps")
    return "is not an icap:// URL, nor icaps:// nor icap+unix:";
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
  constexpr std::string_view in_scheme =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
  const auto end = text.find_first_not_of(in_scheme);
  if (end == 0 || end == text.npos) return false;
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

template <class Integer>
  requires std::is_unsigned_v<Integer>
std::string parse(const option& row, std::string_view text, Integer& out) {
  std::uint64_t value = 0;
  if (row.kind == option_kind::size) {
    if (!parse_size(text, value) || !within(row, value))
      return not_between("a size", format_size(row.min), format_size(row.max)) +
             " (such as 65536, 64KiB or 1MB)";
  } else if (!parse_number(text, value) || !within(row, value)) {
    return not_between("a number", std::to_string(row.min), std::to_string(row.max));
  }
  out = static_cast<Integer>(value);
  return {};
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

std::string parse_choice(const option& row, std::string_view text, std::string& out) {
  std::string_view rest = row.choices;
  while (!rest.empty()) {
    if (split_off(rest, " ") != text) continue;
    out = text;
    return {};
  }
  return "is none of: " + std::string(row.choices);
}

std::string parse(const option& row, std::string_view text, std::string& out) {
  if (row.kind == option_kind::choice || row.kind == option_kind::choice_list)
    return parse_choice(row, text, out);
  if (row.kind == option_kind::hash_list) {
    if (text.size() != 64 || text.find_first_not_of("0123456789abcdefABCDEF") != text.npos)
      return "is not a SHA-256: 64 hexadecimal digits";
    out.resize(text.size());
    std::ranges::transform(text, out.begin(), ascii_lower);
    return {};
  }
  if (text.empty()) return "is empty";
  if (has_control_character(text)) return "has a control character in it";
  out = text;
  return {};
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

// Of the required row, the servers, the embedded scanner may be one.
problems store_scanners(const option& row, std::span<const std::string> values, config& into) {
  problems found;
  std::vector<url> made;
  bool embedded = false;
  for (const auto& value : values) {
    for (const auto& text : split_scanners(value)) {
      if (row.required && text == embedded_scheme)
        embedded = true;
      else
        complain(found, text, parse_scanner(text, made.emplace_back()));
    }
  }
  if (!found.empty()) return found;
  std::get<member<std::vector<url>>>(row.target)(into) = std::move(made);
  if (row.required) into.embedded_scanner = embedded;
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

std::string show_value(const option&, const std::string& value) {
  return value;
}

template <class T>
void show_into(std::vector<std::string>& out, const option& row, const T& value) {
  out.push_back(show_value(row, value));
}

template <class T>
void show_into(std::vector<std::string>& out, const option& row, const std::vector<T>& values) {
  for (const auto& v : values) out.push_back(show_value(row, v));
}

}  // namespace

std::vector<std::string> store(const option& row, std::span<const std::string> values,
                               config& into) {
  if (row.kind == option_kind::url_list) return store_scanners(row, values, into);
  return std::visit(
      [&]<class M>(M target) -> problems {
        if constexpr (std::is_same_v<M, std::monostate>) {
          return {};
        } else {
          auto& place = target(into);
          using type = std::remove_reference_t<decltype(place)>;
          if constexpr (requires {
                          typename type::allocator_type;
                          place.emplace_back();
                        })
            return store_list(row, values, place);
          else
            return store_one(row, values, place);
        }
      },
      row.target);
}

std::vector<std::string> show(const option& row, const config& from) {
  std::vector<std::string> out;
  // The accessors are written for a config that can change; this one does not.
  auto& settings = const_cast<config&>(from);
  std::visit(
      [&]<class M>(M target) {
        if constexpr (!std::is_same_v<M, std::monostate>) show_into(out, row, target(settings));
      },
      row.target);
  if (row.kind == option_kind::url_list && row.required && from.embedded_scanner)
    out.emplace_back(embedded_scheme);
  return out;
}

}  // namespace icapgate
