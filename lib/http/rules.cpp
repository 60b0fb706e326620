#include "http/rules.hpp"

#include "http/forwarded.hpp"
#include "http/preferences.hpp"
#include "http/range.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace icapgate::http {
namespace {

constexpr std::string_view crlf = "\r\n";

void append_number(std::string& wire, std::uint64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  wire.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

void append_length(std::string& wire, std::uint64_t length) {
  wire.append("Content-Length: ");
  append_number(wire, length);
  wire.append(crlf);
}

// RFC 9110 7.6.1 and the fields that older peers send.
bool is_well_known(const field& f) {
  switch (f.id) {
    case field_id::connection:
    case field_id::keep_alive:
    case field_id::proxy_connection:
    case field_id::te:
    case field_id::trailer:
    case field_id::transfer_encoding:
    case field_id::upgrade:
      return true;
    default:
      return false;
  }
}

bool is_credential(const field& f) {
  return f.id == field_id::authorization || f.id == field_id::cookie;
}

// RFC 3507 4.4.2: these are for the ICAP head.
bool is_for_proxies(const field& f) {
  return f.id == field_id::proxy_authenticate || f.id == field_id::proxy_authorization;
}

// Connection must not take away what the message means or where it goes.
bool is_protected(std::string_view name) {
  static constexpr std::array<std::string_view, 6> names{"content-length", "host",
                                                         "content-type",   "content-encoding",
                                                         "cache-control",  "authorization"};
  return std::any_of(names.begin(), names.end(), [&](auto n) { return iequals(n, name); });
}

bool iless(std::string_view a, std::string_view b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return ascii_lower(x) < ascii_lower(y);
  });
}

// RFC 9110 7.6.3: the version that `head` came in.
void append_via(std::string& wire, const message_head& head, std::string_view pseudonym) {
  wire.append(head.version < 11 ? "Via: 1.0 " : "Via: 1.1 ").append(pseudonym).append(crlf);
}

// --- towards the origin

bool is_client_certificate(std::string_view name) {
  return is_taken_for(name, "client-cert") || is_taken_for(name, "client-cert-chain");
}

bool is_asked_otherwise(const field& f, const request_changes& changes) {
  if (f.id == field_id::accept_encoding)
    return changes.accept_encoding != request_changes::codings::as_asked;
  if (changes.path && is_forwarding_field(f.name)) return true;
  if (changes.own_client_certificate && is_client_certificate(f.name)) return true;
  return changes.whole && is_range_field(f);
}

bool is_changed(const field& f, const request_head& head, const request_changes& changes) {
  // RFC 9110 10.1.1: version 1.0 has no expectations, and what goes on is version 1.1.
  if (f.id == field_id::expect) return head.version < 11;
  if (f.id == field_id::max_forwards) return head.max_forwards.has_value();
  return is_asked_otherwise(f, changes);
}

// RFC 9110 8.4.1.3: x-gzip is gzip.
std::string_view decodable_name(const preference& p) {
  static constexpr std::array<std::string_view, 5> names{"gzip", "deflate", "br", "zstd",
                                                         "identity"};
  if (iequals(p.what, "x-gzip")) return names[0];
  // "*" would let in what we can't decode; as a refusal it keeps its meaning.
  if (p.what == "*" && p.weight == 0) return "*";
  const auto found =
      std::find_if(names.begin(), names.end(), [&](auto name) { return iequals(name, p.what); });
  return found == names.end() ? std::string_view{} : *found;
}

void append_weight(std::string& text, unsigned weight) {
  if (weight >= 1000) return;
  std::string digits = std::to_string(1000 + weight).substr(1);
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  text.append(digits.empty() ? ";q=0" : ";q=0.").append(digits);
}

// Each coding once, as it is named first, whatever the length of the client's list.
std::string decodable_codings(const request_head& head) {
  std::vector<std::string_view> seen;
  std::string list;
  for (const auto& f : head.fields) {
    if (f.id != field_id::accept_encoding) continue;
    for_each_preference(f.value, [&](const preference& p) {
      const auto name = decodable_name(p);
      if (name.empty() || std::find(seen.begin(), seen.end(), name) != seen.end()) return;
      seen.push_back(name);
      list.append(list.empty() ? "" : ", ").append(name);
      append_weight(list, p.weight);
    });
  }
  return list.empty() ? "identity" : list;
}

void append_codings(std::string& wire, const request_head& head, request_changes::codings wanted) {
  if (wanted == request_changes::codings::identity)
    append_field(wire, "Accept-Encoding", "identity");
  if (wanted == request_changes::codings::decodable)
    append_field(wire, "Accept-Encoding", decodable_codings(head));
}

// RFC 9110 7.8: Upgrade never goes without its connection option.
void append_upgrade(std::string& wire, const message_head& head) {
  for (const auto& f : head.fields)
    if (f.id == field_id::upgrade) append_field(wire, "Upgrade", f.value);
  append_field(wire, "Connection", "Upgrade");
}

// --- what a field of a response tells of

enum class claim {
  nothing,   // that would end with the origin's bytes
  tag,       // the name of these bytes
  file,      // the origin's file
  bytes,     // a sum of the bytes, or parts of them
  coding,    // how to read the bytes
  response,  // the origin's answer as a whole
};

claim claim_of(const field& f) {
  switch (f.id) {
    case field_id::etag:
      return claim::tag;
    case field_id::last_modified:
    case field_id::content_disposition:
      return claim::file;
    case field_id::accept_ranges:
    case field_id::content_md5:
    case field_id::digest:
      return claim::bytes;
    case field_id::content_encoding:
      return claim::coding;
    case field_id::content_range:
    case field_id::expires:
    case field_id::age:
    case field_id::set_cookie:
      return claim::response;
    case field_id::unknown:
      // RFC 9530 2, 3
      if (iequals(f.name, "Content-Digest") || iequals(f.name, "Repr-Digest")) return claim::bytes;
      return claim::nothing;
    default:
      return claim::nothing;
  }
}

// Fields of the coded bytes, which mean nothing beside the decoded ones.
bool is_of_coded_bytes(const field& f) {
  const auto what = claim_of(f);
  return what == claim::coding || f.id == field_id::content_length ||
         (what == claim::bytes && f.id != field_id::accept_ranges);
}

bool by_name_and_value(const field* a, const field* b) {
  if (iless(a->name, b->name)) return true;
  return !iless(b->name, a->name) && a->value < b->value;
}

// The fields of a scanner's head that are true of the origin's response alone.
class stale_fields {
 public:
  explicit stale_fields(const client_response& to) : author_(to.author) {
    if (author_ == response_author::adapted && to.same_body) author_ = response_author::origin;
    if (author_ == response_author::origin || !to.origin) return;
    for (const auto& f : to.origin->fields) {
      const bool shown = !to.decoded || !is_of_coded_bytes(f);
      if (shown && claim_of(f) != claim::nothing) shown_.push_back(&f);
    }
    // A head can hold thousands of each: never every field against every other.
    std::sort(shown_.begin(), shown_.end(), by_name_and_value);
  }

  bool contains(const field& f) const {
    if (author_ == response_author::origin) return false;
    const bool page = author_ == response_author::page;
    switch (claim_of(f)) {
      case claim::nothing:
        return false;
      case claim::tag:
        // RFC 9110 8.8.1: a weak one may stand for other bytes, too.
        return page || (!f.value.starts_with("W/") && is_copy(f));
      case claim::file:
        return page;
      case claim::bytes:
        return is_copy(f);
      case claim::coding:
        // In an adapted body that was sent coded, the scanner kept the coding it found.
      case claim::response:
        return page && is_copy(f);
    }
    return false;
  }

 private:
  bool is_copy(const field& f) const {
    return std::binary_search(shown_.begin(), shown_.end(), &f, by_name_and_value);
  }

  response_author author_;
  std::vector<const field*> shown_;
};

// --- towards the client

unsigned status_of(const response_head& head, const client_response& to) {
  return to.status != 0 ? to.status : head.status;
}

void append_status_line(std::string& wire, unsigned status, std::string_view reason) {
  wire.append("HTTP/1.1 ");
  append_number(wire, status);
  wire.append(" ").append(reason).append(crlf);
}

// RFC 9110 8.6, RFC 9112 6.1, 6.2: neither 1xx nor 204 is ever framed.
bool is_unframed(unsigned status) {
  return status < 200 || status == 204;
}

void append_framing(std::string& wire, const outgoing_body& body) {
  if (body.framing == outgoing_body::kind::length) append_length(wire, body.length);
  if (body.framing == outgoing_body::kind::chunked) wire.append("Transfer-Encoding: chunked\r\n");
}

// Where the body is framed anew, the length that the head told is dropped.
bool keeps_length(const outgoing_body& body, unsigned status) {
  return body.framing == outgoing_body::kind::unchanged && !is_unframed(status);
}

// Sums of the bytes that are sent (RFC 1864, RFC 9530 2), where only some of them are.
bool is_of_content(const field& f) {
  return f.id == field_id::content_md5 ||
         (f.id == field_id::unknown && iequals(f.name, "Content-Digest"));
}

// True for fields that the gateway writes itself, or that its own ones make wrong.
bool is_replaced(const field& f, const client_response& to, unsigned status) {
  const bool page = to.author == response_author::page;
  switch (f.id) {
    case field_id::content_length:
      return !keeps_length(to.body, status);
    case field_id::cache_control:
      return to.no_store || page;
    case field_id::accept_ranges:
      return !to.accept_ranges.empty();
    case field_id::content_range:
      return !to.content_range.empty() || to.status == 206;
    case field_id::content_type:
      return !to.content_type.empty();
    default:
      if (to.status == 206 && is_of_content(f)) return true;
      return page && iequals(f.name, "X-Content-Type-Options");
  }
}

void append_own_fields(std::string& wire, const client_response& to) {
  const bool page = to.author == response_author::page;
  if (!to.content_type.empty()) append_field(wire, "Content-Type", to.content_type);
  if (!to.content_range.empty()) append_field(wire, "Content-Range", to.content_range);
  if (!to.accept_ranges.empty()) append_field(wire, "Accept-Ranges", to.accept_ranges);
  if (to.no_store || page) append_field(wire, "Cache-Control", "no-store");
  if (page) append_field(wire, "X-Content-Type-Options", "nosniff");
}

void append_connection(std::string& wire, const response_head& head, const client_response& to) {
  if (to.upgraded)
    append_upgrade(wire, head);
  else if (!to.keep_alive)
    append_field(wire, "Connection", "close");
  else if (to.client_version < 11)
    append_field(wire, "Connection", "keep-alive");
}

}  // namespace

hop_by_hop::hop_by_hop(const message_head& head) {
  for (const auto& f : head.fields) {
    if (f.id != field_id::connection) continue;
    for_each_token(f.value, [this](std::string_view token) {
      const bool option = iequals(token, "close") || iequals(token, "keep-alive");
      if (!option && !is_protected(token)) nominated_.push_back(token);
    });
  }
  // A head can hold thousands of each: never every field against every nomination.
  std::sort(nominated_.begin(), nominated_.end(), iless);
}

bool hop_by_hop::contains(const field& f) const {
  return is_well_known(f) ||
         std::binary_search(nominated_.begin(), nominated_.end(), f.name, iless);
}

bool wants_upgrade(const request_head& head) {
  if (head.version < 11 || !head.find(field_id::upgrade)) return false;
  bool wanted = false;
  for (const auto& f : head.fields) {
    if (f.id != field_id::connection) continue;
    for_each_token(f.value, [&](std::string_view option) {
      if (iequals(option, "upgrade")) wanted = true;
    });
  }
  return wanted;
}

bool names_websocket(const message_head& head) {
  unsigned names = 0;
  bool all = true;
  for (const auto& f : head.fields) {
    if (f.id != field_id::upgrade) continue;
    for_each_token(f.value, [&](std::string_view protocol) {
      ++names;
      all = all && iequals(protocol, "websocket");
    });
  }
  return names == 1 && all;
}

// RFC 9110 7.6.3: protocol, name, and perhaps a comment.
bool has_passed(const request_head& head, std::string_view pseudonym) {
  bool found = false;
  for (const auto& f : head.fields) {
    if (f.id != field_id::via) continue;
    for_each_token(f.value, [&](std::string_view hop) {
      const auto protocol = std::min(hop.find_first_of(" \t"), hop.size());
      hop.remove_prefix(std::min(hop.find_first_not_of(" \t", protocol), hop.size()));
      found = found || iequals(hop.substr(0, hop.find_first_of(" \t(")), pseudonym);
    });
  }
  return found;
}

void append_origin_request(std::string& wire, const request_head& head,
                           const request_changes& changes) {
  reserve_head(wire);
  const hop_by_hop dropped(head);
  wire.append(head.method).append(" ").append(head.origin_form).append(" HTTP/1.1\r\n");
  append_field(wire, "Host", head.host);
  for (const auto& f : head.fields)
    if (f.id != field_id::host && !dropped.contains(f) && !is_changed(f, head, changes))
      append_field(wire, f.name, f.value);
  // RFC 9110 7.6.2; a request with 0 goes nowhere.
  if (head.max_forwards.value_or(0) > 0)
    append_field(wire, "Max-Forwards", std::to_string(*head.max_forwards - 1));
  if (changes.path) wire.append(changes.path->lines);
  if (!changes.client_certificate.empty())
    wire.append("Client-Cert: :").append(changes.client_certificate).append(":\r\n");
  append_codings(wire, head, changes.accept_encoding);
  if (changes.upgrade && wants_upgrade(head)) append_upgrade(wire, head);
  if (head.framing == body_framing::chunked) wire.append("Transfer-Encoding: chunked\r\n");
  append_via(wire, head, changes.pseudonym);
  wire.append(crlf);
}

void append_scanner_request(std::string& wire, const request_head& head, bool credentials,
                            const request_changes& changes) {
  reserve_head(wire);
  const hop_by_hop dropped(head);
  wire.append(head.method).append(changes.path && changes.path->secure ? " https://" : " http://");
  wire.append(head.host);
  if (head.origin_form != "*") wire.append(head.origin_form);
  wire.append(" HTTP/1.1\r\n");
  append_field(wire, "Host", head.host);
  for (const auto& f : head.fields) {
    if (f.id == field_id::host || dropped.contains(f) || is_for_proxies(f)) continue;
    if (is_asked_otherwise(f, changes)) continue;
    append_field(wire, f.name, credentials || !is_credential(f) ? f.value : "-");
  }
  if (changes.path) wire.append(changes.path->lines);
  append_codings(wire, head, changes.accept_encoding);
  wire.append(crlf);
}

void append_scanner_response(std::string& wire, const response_head& head, bool decoded) {
  reserve_head(wire);
  const hop_by_hop dropped(head);
  append_status_line(wire, head.status, head.reason);
  for (const auto& f : head.fields) {
    if (dropped.contains(f) || is_for_proxies(f) || (decoded && is_of_coded_bytes(f))) continue;
    append_field(wire, f.name, f.value);
  }
  wire.append(crlf);
}

void append_interim_response(std::string& wire, const response_head& head, bool hints_only) {
  const hop_by_hop dropped(head);
  append_status_line(wire, head.status, head.reason);
  for (const auto& f : head.fields) {
    // RFC 9110 8.6: there is no body that a length could be told of.
    if (dropped.contains(f) || f.id == field_id::content_length) continue;
    if (!hints_only || (head.status == 103 && f.id == field_id::link))
      append_field(wire, f.name, f.value);
  }
  wire.append(crlf);
}

void append_client_response(std::string& wire, const response_head& head,
                            const client_response& to) {
  reserve_head(wire);
  const hop_by_hop dropped(head);
  const stale_fields stale(to);
  const unsigned status = status_of(head, to);
  bool dated = to.date.empty();
  append_status_line(wire, status, to.status != 0 ? reason_phrase(status) : head.reason);
  for (const auto& f : head.fields) {
    if (dropped.contains(f) || is_replaced(f, to, status) || stale.contains(f)) continue;
    append_field(wire, f.name, f.value);
    dated = dated || f.id == field_id::date;
  }
  if (!dated) append_field(wire, "Date", to.date);
  if (!to.via.empty()) append_via(wire, to.origin ? *to.origin : head, to.via);
  if (!is_unframed(status)) append_framing(wire, to.body);
  append_own_fields(wire, to);
  append_connection(wire, head, to);
  wire.append(crlf);
}

std::string_view reason_phrase(unsigned status) {
  namespace beast = boost::beast::http;
  const auto known = beast::int_to_status(status);
  if (known == beast::status::unknown) return {};
  const auto phrase = beast::obsolete_reason(known);
  return {phrase.data(), phrase.size()};
}

}  // namespace icapgate::http
