// Any bytes as a request head and as a response head: what goes on from them must be the same
// message, and nothing more than that message.
#include "http/identity.hpp"
#include "http/rules.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

using namespace icapgate;
using kind = http::outgoing_body::kind;

namespace {

bool same(const http::message_head& a, const http::message_head& b) {
  return a.framing == b.framing && a.content_length == b.content_length;
}

void check_views(const http::message_head& head, std::string_view text) {
  for (const auto& f : head.fields) {
    require(!f.name.empty() && lies_in(f.name, text));
    require(f.value.empty() || lies_in(f.value, text));
  }
}

// One line for each field, the start line and the empty line: nothing else ends in what was
// received.
template <class Head>
void check_lines(std::string_view wire, const Head& head) {
  const auto lines = static_cast<std::size_t>(std::count(wire.begin(), wire.end(), '\n'));
  require(lines == head.fields.size() + 2);
  require(std::count(wire.begin(), wire.end(), '\r') == std::count(wire.begin(), wire.end(), '\n'));
}

bool is_for_proxies(const http::field& f) {
  return f.id == http::field_id::proxy_authenticate || f.id == http::field_id::proxy_authorization;
}

// Those that the gateway writes itself, or takes away from an old client's request.
bool is_changed(const http::request_head& sent, const http::field& f) {
  return f.id == http::field_id::host ||
         (f.id == http::field_id::max_forwards && sent.max_forwards) ||
         (f.id == http::field_id::expect && sent.version < 11);
}

// The fields that are to arrive, in their order, between those that the gateway adds.
void check_fields(const http::request_head& sent, const http::message_head& got,
                  std::size_t added_in_front, std::size_t added_behind, bool by_scanner = false) {
  const http::hop_by_hop dropped(sent);
  std::size_t at = added_in_front;
  for (const auto& f : sent.fields) {
    if (f.id == http::field_id::host || dropped.contains(f)) continue;
    if (by_scanner ? is_for_proxies(f) : is_changed(sent, f)) continue;
    require(at < got.fields.size());
    require(got.fields[at].name == f.name && got.fields[at].value == f.value);
    ++at;
  }
  require(at + added_behind == got.fields.size());
}

bool has_control(std::string_view text, std::string_view but) {
  return std::any_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && but.find(c) == but.npos;
  });
}

// What goes into an ICAP head can be nothing but these fields.
void check_proxy_fields(std::string_view lines) {
  require(lines.size() <= http::max_proxy_fields && !has_control(lines, "\t\r\n"));
  while (!lines.empty()) {
    const auto line = split_off(lines, "\r\n");
    require(line.find_first_of("\r\n") == line.npos && iequals(line.substr(0, 10), "Proxy-Auth"));
  }
}

void check_request(std::string_view text) {
  http::request_head head;
  if (http::parse_request(text, head) != errc::complete) return;
  check_views(head, text);
  require(lies_in(head.method, text) && lies_in(head.target, text));
  if (head.host.empty()) return;  // version 1.0 alone may have none
  const bool chunked = head.framing == http::body_framing::chunked;

  std::string wire;
  http::request_head again;
  http::append_origin_request(wire, head);
  require(http::parse_request(wire, again) == errc::complete);
  check_lines(wire, again);
  check_fields(head, again, 1, 1 + chunked + (head.max_forwards.value_or(0) > 0));
  require(same(head, again) && again.method == head.method && again.host == head.host);
  require(again.target == head.origin_form);

  std::string seen;
  http::append_scanner_request(seen, head, true);
  require(http::parse_request(seen, again) == errc::complete);
  check_lines(seen, again);
  check_fields(head, again, 1, 0, true);
  require(again.method == head.method && again.host == head.host);
  require(again.origin_form == head.origin_form);
  std::string lines;
  http::append_proxy_credentials(lines, head);
  check_proxy_fields(lines);
  require(!has_control(http::basic_user(head), {}));
}

void check_client_response(const http::response_head& head, bool to_head, kind framing) {
  http::client_response to;
  to.body = {framing, 42};
  std::string wire;
  http::append_client_response(wire, head, to);
  http::response_head again;
  require(http::parse_response(wire, to_head, again) == errc::complete);
  check_lines(wire, again);
  require(again.status == head.status && again.reason == head.reason);
  if (again.framing == http::body_framing::none) return;
  if (framing == kind::length) require(again.content_length == 42);
  if (framing == kind::chunked) require(again.framing == http::body_framing::chunked);
  if (framing == kind::until_close) require(again.framing == http::body_framing::until_close);
  if (framing == kind::unchanged && head.framing == http::body_framing::length)
    require(same(head, again));
}

void check_response(std::string_view text, bool to_head) {
  http::response_head head;
  if (http::parse_response(text, to_head, head) != errc::complete) return;
  check_views(head, text);
  require(head.status >= 100 && head.status <= 999 && lies_in(head.reason, text));
  std::string seen;
  http::response_head again;
  http::append_scanner_response(seen, head);
  require(http::parse_response(seen, to_head, again) == errc::complete);
  check_lines(seen, again);
  const http::hop_by_hop dropped(head);
  std::size_t at = 0;
  for (const auto& f : head.fields) {
    if (dropped.contains(f) || is_for_proxies(f)) continue;
    require(again.fields[at].name == f.name && again.fields[at].value == f.value);
    ++at;
  }
  require(at == again.fields.size());
  std::string lines;
  http::append_proxy_challenges(lines, head);
  check_proxy_fields(lines);
  for (const auto framing : {kind::unchanged, kind::length, kind::chunked, kind::until_close})
    check_client_response(head, to_head, framing);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_request(input);
  check_response(input, false);
  check_response(input, true);
  return 0;
}
