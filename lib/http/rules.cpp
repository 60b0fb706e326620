#include "http/rules.hpp"

#include "base/text_writer.hpp"
#include "http/forwarded.hpp"
#include "http/preferences.hpp"
#include "http/range.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace icapgate::http {
namespace {

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view chunked_line = "Transfer-Encoding: chunked\r\n";

// Bytes of a head that are made room for at once.
constexpr std::size_t usual_head = 512;

void put_length(text_writer& out, std::uint64_t length) {
  out.put("Content-Length: ").put_number(length).put(crlf);
}

// As it stands in the text that was parsed, with its end.
std::string_view line_of(const field& f) {
  const auto* const end = f.value.data() + f.value.size() + crlf.size();
  return {f.name.data(), static_cast<std::size_t>(end - f.name.data())};
}

// The fields that go on but for the `dropped` ones; of the `hidden` ones the name alone. What
// stands side by side in the text that was parsed goes on in one piece.
template <class Keeps>
void put_fields(text_writer& out, const message_head& head, field_roles dropped, field_roles hidden,
                Keeps keeps) {
  const hop_by_hop ends_here(head);
  dropped |= role::hop_by_hop;
  std::string_view run;
  for (const auto& f : head.fields) {
    if (f.is(dropped) || ends_here.names(f) || !keeps(f)) continue;
    const bool whole = f.is_line && !f.is(hidden);
    if (whole && f.name.data() == run.data() + run.size()) {
      run = {run.data(), run.size() + line_of(f).size()};
      continue;
    }
    out.put(run);
    run = whole ? line_of(f) : std::string_view{};
    if (!whole) out.put_field(f.name, f.is(hidden) ? "-" : f.value);
  }
  out.put(run);
}

bool keeps_all(const field&) {
  return true;
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
void put_via(text_writer& out, const message_head& head, std::string_view pseudonym) {
  out.put(head.version < 11 ? "Via: 1.0 " : "Via: 1.1 ").put(pseudonym).put(crlf);
}

// --- towards the origin

// The fields that are asked for otherwise than the client asked.
field_roles changed_roles(const request_changes& changes) {
  field_roles changed = 0;
  if (changes.accept_encoding != request_changes::codings::as_asked)
    changed |= role::accept_encoding;
  if (changes.path) changed |= role::forwarding;
  if (changes.own_client_certificate) changed |= role::client_certificate;
  if (changes.whole) changed |= role::range_request;
  return changed;
}

constexpr std::array<std::string_view, 6> decodable{"gzip", "deflate",  "br",
                                                    "zstd", "identity", "*"};

// Which of the decodable ones it is; their count: none.
std::size_t number_of_coding(const preference& p) {
  // RFC 9110 8.4.1.3: x-gzip is gzip.
  const auto name = iequals(p.what, "x-gzip") ? decodable.front() : p.what;
  // "*" would let in what we can't decode; as a refusal it keeps its meaning.
  if (name == "*" && p.weight != 0) return decodable.size();
  const auto found = std::ranges::find_if(decodable, [&](auto one) { return iequals(one, name); });
  return static_cast<std::size_t>(found - decodable.begin());
}

void put_weight(text_writer& out, unsigned weight) {
  if (weight >= 1000) return;
  const std::array digits{static_cast<char>('0' + weight / 100),
                          static_cast<char>('0' + weight / 10 % 10),
                          static_cast<char>('0' + weight % 10)};
  std::string_view shown(digits.data(), digits.size());
  while (shown.ends_with('0')) shown.remove_suffix(1);
  out.put(shown.empty() ? ";q=0" : ";q=0.").put(shown);
}

// Each coding once, as it is named first, whatever the length of the client's list.
void put_decodable_codings(text_writer& out, const request_head& head) {
  std::array<bool, decodable.size()> seen{};
  bool any = false;
  for (const auto& f : head.fields) {
    if (!f.is(role::accept_encoding)) continue;
    for_each_preference(f.value, [&](const preference& p) {
      const auto number = number_of_coding(p);
      if (number == decodable.size() || std::exchange(seen[number], true)) return;
      if (std::exchange(any, true)) out.put(", ");
      out.put(decodable[number]);
      put_weight(out, p.weight);
    });
  }
  if (!any) out.put("identity");
}

void put_codings(text_writer& out, const request_head& head, request_changes::codings wanted) {
  if (wanted == request_changes::codings::as_asked) return;
  out.put("Accept-Encoding: ");
  if (wanted == request_changes::codings::identity)
    out.put("identity");
  else
    put_decodable_codings(out, head);
  out.put(crlf);
}

// RFC 9110 7.8: Upgrade never goes without its connection option.
void put_upgrade(text_writer& out, const message_head& head) {
  for (const auto& f : head.fields)
    if (f.id == field_id::upgrade) out.put_field("Upgrade", f.value);
  out.put("Connection: Upgrade\r\n");
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

void put_status_line(text_writer& out, unsigned status, std::string_view reason) {
  out.put("HTTP/1.1 ").put_number(status).put(" ").put(reason).put(crlf);
}

// RFC 9110 8.6, RFC 9112 6.1, 6.2: neither 1xx nor 204 is ever framed.
bool is_unframed(unsigned status) {
  return status < 200 || status == 204;
}

void put_framing(text_writer& out, const outgoing_body& body) {
  if (body.framing == outgoing_body::kind::length) put_length(out, body.length);
  if (body.framing == outgoing_body::kind::chunked) out.put(chunked_line);
}

// Where the body is framed anew, the length that the head told is dropped.
bool keeps_length(const outgoing_body& body, unsigned status) {
  return body.framing == outgoing_body::kind::unchanged && !is_unframed(status);
}

// The fields that the gateway writes itself, or that its own ones make wrong.
field_roles replaced_roles(const client_response& to, unsigned status) {
  const bool page = to.author == response_author::page;
  field_roles replaced = 0;
  if (!keeps_length(to.body, status)) replaced |= role::content_length;
  if (to.no_store || page) replaced |= role::cache_control;
  if (!to.accept_ranges.empty()) replaced |= role::accept_ranges;
  if (!to.content_range.empty() || to.status == 206) replaced |= role::content_range;
  if (!to.content_type.empty()) replaced |= role::content_type;
  // RFC 1864, RFC 9530 2: sums of the bytes that are sent, where only some of them are.
  if (to.status == 206) replaced |= role::content_sum;
  if (page) replaced |= role::type_options;
  return replaced;
}

void put_own_fields(text_writer& out, const client_response& to) {
  const bool page = to.author == response_author::page;
  if (!to.content_type.empty()) out.put_field("Content-Type", to.content_type);
  if (!to.content_range.empty()) out.put_field("Content-Range", to.content_range);
  if (!to.accept_ranges.empty()) out.put_field("Accept-Ranges", to.accept_ranges);
  if (to.no_store || page) out.put("Cache-Control: no-store\r\n");
  if (page) out.put("X-Content-Type-Options: nosniff\r\n");
}

void put_connection(text_writer& out, const response_head& head, const client_response& to) {
  if (to.upgraded)
    put_upgrade(out, head);
  else if (!to.keep_alive)
    out.put("Connection: close\r\n");
  else if (to.client_version < 11)
    out.put("Connection: keep-alive\r\n");
}

}  // namespace

hop_by_hop::hop_by_hop(const message_head& head) {
  if (!head.nominates) return;
  for (const auto& f : head.fields) {
    if (!f.is(role::connection)) continue;
    for_each_token(f.value, [this](std::string_view token) {
      const bool option = iequals(token, "close") || iequals(token, "keep-alive");
      if (!option && !is_protected(token)) nominated_.push_back(token);
    });
  }
  // A head can hold thousands of each: never every field against every nomination.
  std::sort(nominated_.begin(), nominated_.end(), iless);
}

bool hop_by_hop::is_nominated(std::string_view name) const {
  return std::binary_search(nominated_.begin(), nominated_.end(), name, iless);
}

bool wants_upgrade(const request_head& head) {
  if (head.version < 11 || !head.find(field_id::upgrade)) return false;
  bool wanted = false;
  for (const auto& f : head.fields) {
    if (!f.is(role::connection)) continue;
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
    if (!f.is(role::via)) continue;
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
  text_writer out(wire, usual_head);
  out.put(head.method).put(" ").put(head.origin_form).put(" HTTP/1.1\r\n");
  out.put("Host: ").put(head.host).put(crlf);
  auto dropped = role::host | changed_roles(changes);
  // RFC 9110 10.1.1: version 1.0 has no expectations, and what goes on is version 1.1.
  if (head.version < 11) dropped |= role::expect;
  if (head.max_forwards) dropped |= role::max_forwards;
  put_fields(out, head, dropped, 0, keeps_all);
  // RFC 9110 7.6.2; a request with 0 goes nowhere.
  if (head.max_forwards.value_or(0) > 0)
    out.put("Max-Forwards: ").put_number(*head.max_forwards - 1).put(crlf);
  if (changes.path) out.put(changes.path->lines);
  if (!changes.client_certificate.empty())
    out.put("Client-Cert: :").put(changes.client_certificate).put(":\r\n");
  put_codings(out, head, changes.accept_encoding);
  if (changes.upgrade && wants_upgrade(head)) put_upgrade(out, head);
  if (head.framing == body_framing::chunked) out.put(chunked_line);
  put_via(out, head, changes.pseudonym);
  out.put(crlf);
}

void append_scanner_request(std::string& wire, const request_head& head, bool credentials,
                            const request_changes& changes) {
  text_writer out(wire, usual_head);
  out.put(head.method).put(changes.path && changes.path->secure ? " https://" : " http://");
  out.put(head.host);
  if (head.origin_form != "*") out.put(head.origin_form);
  out.put(" HTTP/1.1\r\n").put("Host: ").put(head.host).put(crlf);
  put_fields(out, head, role::host | role::for_proxies | changed_roles(changes),
             credentials ? 0 : role::credential, keeps_all);
  if (changes.path) out.put(changes.path->lines);
  put_codings(out, head, changes.accept_encoding);
  out.put(crlf);
}

void append_scanner_response(std::string& wire, const response_head& head, bool decoded) {
  text_writer out(wire, usual_head);
  put_status_line(out, head.status, head.reason);
  // RFC 3507 4.4.2: what proxies ask each other is for the ICAP head.
  put_fields(out, head, role::for_proxies, 0,
             [&](const field& f) { return !decoded || !is_of_coded_bytes(f); });
  out.put(crlf);
}

void append_interim_response(std::string& wire, const response_head& head, bool hints_only) {
  text_writer out(wire, usual_head);
  put_status_line(out, head.status, head.reason);
  // RFC 9110 8.6: there is no body that a length could be told of.
  put_fields(out, head, role::content_length, 0, [&](const field& f) {
    return !hints_only || (head.status == 103 && f.id == field_id::link);
  });
  out.put(crlf);
}

void append_client_response(std::string& wire, const response_head& head,
                            const client_response& to) {
  text_writer out(wire, usual_head);
  const stale_fields stale(to);
  const unsigned status = status_of(head, to);
  bool dated = to.date.empty();
  put_status_line(out, status, to.status != 0 ? reason_phrase(status) : head.reason);
  put_fields(out, head, replaced_roles(to, status), 0, [&](const field& f) {
    if (stale.contains(f)) return false;
    dated = dated || f.is(role::date);
    return true;
  });
  if (!dated) out.put_field("Date", to.date);
  if (!to.via.empty()) put_via(out, to.origin ? *to.origin : head, to.via);
  if (!is_unframed(status)) put_framing(out, to.body);
  put_own_fields(out, to);
  put_connection(out, head, to);
  out.put(crlf);
}

std::string_view reason_phrase(unsigned status) {
  namespace beast = boost::beast::http;
  const auto known = beast::int_to_status(status);
  if (known == beast::status::unknown) return {};
  const auto phrase = beast::obsolete_reason(known);
  return {phrase.data(), phrase.size()};
}

}  // namespace icapgate::http
