#include "http/rules.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace icapgate::http {
namespace {

constexpr std::string_view crlf = "\r\n";

void append_field(std::string& wire, std::string_view name, std::string_view value) {
  wire.append(name).append(": ").append(value).append(crlf);
}

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

void append_status_line(std::string& wire, const response_head& head) {
  wire.append("HTTP/1.1 ");
  append_number(wire, head.status);
  wire.append(" ").append(head.reason).append(crlf);
}

// RFC 9112 6.1, 6.2: a 204 is never framed.
void append_framing(std::string& wire, const response_head& head, const outgoing_body& body) {
  if (head.status == 204) return;
  if (body.framing == outgoing_body::kind::length) append_length(wire, body.length);
  if (body.framing == outgoing_body::kind::chunked) wire.append("Transfer-Encoding: chunked\r\n");
}

// Where the body is framed anew, the length that the head told is dropped.
bool keeps_length(const outgoing_body& body, const response_head& head) {
  return body.framing == outgoing_body::kind::unchanged && head.status != 204;
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

void append_origin_request(std::string& wire, const request_head& head) {
  const hop_by_hop dropped(head);
  wire.append(head.method).append(" ").append(head.origin_form).append(" HTTP/1.1\r\n");
  append_field(wire, "Host", head.host);
  for (const auto& f : head.fields)
    if (f.id != field_id::host && !dropped.contains(f)) append_field(wire, f.name, f.value);
  if (head.framing == body_framing::chunked) wire.append("Transfer-Encoding: chunked\r\n");
  append_field(wire, "Via", head.version < 11 ? "1.0 icapgate" : "1.1 icapgate");
  wire.append(crlf);
}

void append_scanner_request(std::string& wire, const request_head& head, bool credentials) {
  const hop_by_hop dropped(head);
  wire.append(head.method).append(" http://").append(head.host);
  if (head.origin_form != "*") wire.append(head.origin_form);
  wire.append(" HTTP/1.1\r\n");
  append_field(wire, "Host", head.host);
  for (const auto& f : head.fields) {
    if (f.id == field_id::host || dropped.contains(f) || is_for_proxies(f)) continue;
    append_field(wire, f.name, credentials || !is_credential(f) ? f.value : "-");
  }
  wire.append(crlf);
}

void append_scanner_response(std::string& wire, const response_head& head) {
  const hop_by_hop dropped(head);
  append_status_line(wire, head);
  for (const auto& f : head.fields)
    if (!dropped.contains(f) && !is_for_proxies(f)) append_field(wire, f.name, f.value);
  wire.append(crlf);
}

void append_client_response(std::string& wire, const response_head& head,
                            const client_response& to) {
  const hop_by_hop dropped(head);
  append_status_line(wire, head);
  for (const auto& f : head.fields) {
    if (dropped.contains(f)) continue;
    if (f.id == field_id::content_length && !keeps_length(to.body, head)) continue;
    if (f.id == field_id::cache_control && to.no_store) continue;
    append_field(wire, f.name, f.value);
  }
  append_framing(wire, head, to.body);
  if (to.no_store) append_field(wire, "Cache-Control", "no-store");
  if (!to.keep_alive)
    wire.append("Connection: close\r\n");
  else if (to.client_version < 11)
    wire.append("Connection: keep-alive\r\n");
  wire.append(crlf);
}

}  // namespace icapgate::http
