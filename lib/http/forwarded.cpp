#include "http/forwarded.hpp"

#include "base/characters.hpp"
#include "base/text_writer.hpp"

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <array>

namespace icapgate::http {
namespace {

constexpr std::string_view unknown = "unknown";  // RFC 7239 6.2

struct hop {
  std::string_view text;  // an obfuscated identifier (RFC 7239 6.3), "unknown", or junk
  std::optional<ip_address> address;
  std::string_view proto, host;  // empty: not told, or not valid
  bool is_written = false;       // `text` is the address as we write it
};
using hop_list = boost::container::small_vector<hop, 2>;

std::string_view valid_proto(std::string_view text) {
  if (iequals(text, "https")) return "https";
  return iequals(text, "http") ? std::string_view("http") : std::string_view{};
}

constexpr character_set host_characters(".-_:[]");

std::string_view valid_host(std::string_view text) {
  constexpr std::size_t longest = 255 + 6;
  return text.size() <= longest && host_characters.makes(text) ? text : std::string_view{};
}

bool is_port(std::string_view text) {
  if (text.starts_with('_')) return is_made_of(text, "._-");
  return is_digits(text) && text.size() <= 5;
}

// RFC 7239 6: an address, its port left out; IPv6 with and without brackets.
std::optional<ip_address> address_of(std::string_view text) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) return std::nullopt;
    auto rest = text.substr(end + 1);
    text = text.substr(1, end - 1);
    if (text.find(':') == text.npos) return std::nullopt;
    has_port = !rest.empty();
    if (has_port && rest.front() != ':') return std::nullopt;
    if (has_port) port = rest.substr(1);
  } else if (const auto colon = text.find(':'); colon != text.npos && colon == text.rfind(':')) {
    has_port = true;
    port = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  if (has_port && !is_port(port)) return std::nullopt;
  return ip_address::parse(text);
}

// --- X-Forwarded-For

// Takes the elements of one field, from the right. False: the limits are reached.
bool take_elements(std::string_view list, hop_list& found, std::size_t& size) {
  while (!list.empty()) {
    const auto comma = list.rfind(',');
    const auto element = trim(comma == list.npos ? list : list.substr(comma + 1));
    list = comma == list.npos ? std::string_view{} : list.substr(0, comma);
    if (element.empty()) continue;
    size += element.size();
    if (found.size() == max_hops || size > max_hops_text) return false;
    found.push_back({element, address_of(element), {}, {}});
  }
  return true;
}

hop_list read_x_forwarded_for(const request_head& request) {
  hop_list found;
  std::size_t size = 0;
  for (auto f = request.fields.rbegin(); f != request.fields.rend(); ++f)
    if (iequals(f->name, "x-forwarded-for") && !take_elements(f->value, found, size)) break;
  std::ranges::reverse(found);
  return found;
}

// --- Forwarded

// One field's value, RFC 7239 4.
class forwarded_parser {
 public:
  explicit forwarded_parser(std::string_view value) : rest_(value) {}

  // Appends its elements. False: not as the RFC has it, and no part of it can be told from another.
  bool read(hop_list& into) {
    for (;;) {
      hop element;
      bool empty = true;
      if (!read_element(element, empty)) return false;
      if (!empty) into.push_back(element);
      // What stands left of the limit is never looked at.
      if (into.size() == 2 * max_hops) into.erase(into.begin(), into.begin() + max_hops);
      if (rest_.empty()) return true;
      rest_.remove_prefix(1);  // the comma
    }
  }

 private:
  bool read_element(hop& element, bool& empty) {
    enum seen : unsigned { for_ = 1, proto = 2, host = 4, by = 8 };
    unsigned seen = 0;
    for (;;) {
      skip_blanks();
      if (at_end_of_element()) return true;
      if (take(';')) continue;
      std::string_view name, value;
      if (!read_pair(name, value)) return false;
      empty = false;
      const unsigned which = iequals(name, "for")     ? for_
                             : iequals(name, "proto") ? proto
                             : iequals(name, "host")  ? host
                             : iequals(name, "by")    ? by
                                                      : 0u;
      if ((seen & which) != 0) return false;  // at most once in an element
      seen |= which;
      if (which == for_) element.text = value, element.address = address_of(value);
      if (which == proto) element.proto = valid_proto(value);
      if (which == host) element.host = valid_host(value);
      skip_blanks();
      if (!at_end_of_element() && rest_.front() != ';') return false;
    }
  }

  bool read_pair(std::string_view& name, std::string_view& value) {
    const auto equals = rest_.find('=');
    if (equals == rest_.npos) return false;
    name = rest_.substr(0, equals);
    rest_.remove_prefix(equals + 1);
    return is_token(name) && (take('"') ? read_quoted(value) : read_token(value));
  }

  bool read_token(std::string_view& value) {
    const auto end = std::min(rest_.find_first_of(";, \t"), rest_.size());
    value = rest_.substr(0, end);
    rest_.remove_prefix(end);
    // Colons and brackets would need quotes; many proxies leave them out.
    return !value.empty() && is_made_of(value, "!#$%&'*+-.^_`|~:[]");
  }

  // No value of ours needs an escape: it stays in, and makes the value nobody's address.
  bool read_quoted(std::string_view& value) {
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '\\') {
        ++i;
      } else if (rest_[i] == '"') {
        value = rest_.substr(0, i);
        rest_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  bool at_end_of_element() const { return rest_.empty() || rest_.front() == ','; }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_blanks() {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

// A field that can't be parsed hides where the hops before it end: they are lost with it.
hop_list read_forwarded(const request_head& request) {
  hop_list found;
  for (const auto& f : request.fields) {
    if (!iequals(f.name, "forwarded")) continue;
    if (forwarded_parser(f.value).read(found)) continue;
    found.assign(1, hop{});
  }
  std::size_t size = 0, kept = 0;
  while (kept < std::min(found.size(), max_hops)) {
    const auto& one = found[found.size() - 1 - kept];
    size += one.text.size() + one.proto.size() + one.host.size();
    if (size > max_hops_text) break;
    ++kept;
  }
  found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(kept));
  return found;
}

// --- what is told on

void put_plain(text_writer& out, const hop& of) {
  std::array<char, ip_address::max_text> text;
  const bool hidden = of.text.size() > 1 && of.text.front() == '_' && is_made_of(of.text, "._-");
  if (of.address)
    out.put(of.is_written ? of.text : of.address->write(text));
  else
    out.put(hidden ? of.text : unknown);
}

void put_element(text_writer& out, const hop& of) {
  const bool v6 = of.address && !of.address->is_v4();
  out.put(v6 ? "for=\"[" : "for=");
  put_plain(out, of);
  if (v6) out.put("]\"");
  if (!of.host.empty()) out.put(";host=\"").put(of.host).put("\"");
  if (!of.proto.empty()) out.put(";proto=").put(of.proto);
}

constexpr std::size_t usual_lines = 256;

template <class Put>
void put_hops(text_writer& out, std::string_view name, const hop_list& hops, Put put) {
  out.put(name).put(": ");
  for (const auto& one : hops) {
    if (&one != hops.data()) out.put(", ");
    put(out, one);
  }
  out.put("\r\n");
}

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= max_request_id && is_made_of(text, "._-");
}

// Browsers send it as well as proxies, and it decides nothing here: so from anybody, if it is
// valid. None is made: one without the sampled flag would tell the origin not to trace, one with it
// to trace everything.
void put_trace(text_writer& out, const request_head& request) {
  const auto parent = request.sole_value("traceparent");
  if (!parent || !is_traceparent(*parent)) return;
  out.put_field("traceparent", *parent);
  for (const auto& f : request.fields)
    if (iequals(f.name, "tracestate")) out.put_field("tracestate", f.value);
}

bool is_set_anew(std::string_view name) {
  static constexpr std::array<std::string_view, 7> names{
      "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
      "x-request-id",    "traceparent",       "tracestate"};
  return std::ranges::any_of(names, [&](auto one) { return is_taken_for(name, one); });
}

// A trusted peer's other fields: X-Forwarded-Port, X-Real-IP, ...
void put_others(text_writer& out, const request_head& request) {
  for (const auto& f : request.fields)
    if (f.is(role::forwarding) && !is_set_anew(f.name)) out.put_field(f.name, f.value);
}

// Goes from the peer to the left while it is told by somebody trusted. Without an address: the
// client is the peer.
hop what_is_told(const request_head& request, hop_list& hops, const network_set& trusted,
                 trusted_header believed) {
  hop told;
  for (auto one = hops.rbegin(); one != hops.rend() && one->address; ++one) {
    told = *one;
    if (!trusted.contains(*one->address)) break;
  }
  if (believed == trusted_header::forwarded) return told;
  told.proto = valid_proto(request.sole_value("x-forwarded-proto").value_or(""));
  told.host = valid_host(request.sole_value("x-forwarded-host").value_or(""));
  // Told of the first proxy's client.
  if (!hops.empty()) hops.front().proto = told.proto, hops.front().host = told.host;
  return told;
}

}  // namespace

std::string arrival::name() const {
  return peer ? peer->to_string() : std::string(unix_client);
}

bool is_forwarding_field(std::string_view name) {
  constexpr std::string_view prefix = "x-forwarded-";
  return is_set_anew(name) || is_taken_for(name, "x-real-ip") ||
         (name.size() > prefix.size() && is_taken_for(name.substr(0, prefix.size()), prefix));
}

void describe_arrival(forwarding& out, const request_head& request, const arrival& from,
                      const network_set& trusted, trusted_header believed,
                      std::string_view own_id) {
  std::array<char, ip_address::max_text> text;
  const auto peer = from.peer ? from.peer->write(text) : unix_client;
  out.client = peer;
  out.request_id = own_id;
  out.own_client_certificate = from.own_client_certificate;
  out.client_certificate = from.client_certificate;
  hop last{peer, from.peer, from.secure ? "https" : "http", valid_host(request.host), true};
  hop claim = last;  // how the client came to whoever of ours it met first
  hop_list hops;
  const bool tells =
      std::ranges::any_of(request.fields, [](const field& f) { return f.is(role::forwarding); });
  if (from.trusted && tells) {
    hops = believed == trusted_header::forwarded ? read_forwarded(request)
                                                 : read_x_forwarded_for(request);
    const auto told = what_is_told(request, hops, trusted, believed);
    if (told.address) out.client = told.address->to_string();
    if (!told.proto.empty()) claim.proto = told.proto;
    if (!told.host.empty()) claim.host = told.host;
    const auto id = request.sole_value("x-request-id");
    if (id && is_request_id(*id)) out.request_id = *id;
  }
  out.secure = claim.proto == "https";
  hops.push_back(last);
  out.lines.clear();
  text_writer lines(out.lines, usual_lines);
  put_hops(lines, "X-Forwarded-For", hops, put_plain);
  lines.put_field("X-Forwarded-Proto", claim.proto);
  if (!claim.host.empty()) lines.put_field("X-Forwarded-Host", claim.host);
  put_hops(lines, "Forwarded", hops, put_element);
  lines.put_field("X-Request-Id", out.request_id);
  if (!tells) return;
  if (from.trusted) put_others(lines, request);
  put_trace(lines, request);
}

bool is_traceparent(std::string_view value) {
  constexpr std::size_t size = 55;  // 00-<32>-<16>-<2>
  constexpr std::string_view zeros = "00000000000000000000000000000000";
  if (value.size() < size) return false;
  for (std::size_t i = 0; i < size; ++i) {
    const bool dash = i == 2 || i == 35 || i == 52;
    const char c = value[i];
    const bool hex = is_digit(c) || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  const auto version = value.substr(0, 2);
  if (version == "ff" || value.substr(3, 32) == zeros || value.substr(36, 16) == zeros.substr(16))
    return false;
  if (value.size() == size) return true;
  return version != "00" && value[size] == '-';
}

}  // namespace icapgate::http
