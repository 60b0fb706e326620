// Any Forwarded, X-Forwarded-* and identifiers, a line each, from a trusted peer: what is told on
// is bounded, is a valid part of a head, and is read again as it was meant.
#include "http/forwarded.hpp"
#include "require.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

using namespace icapgate;

namespace {

constexpr std::size_t most_added = 4096;  // our own hop, names, and what surrounds each hop

std::string head_of(std::string_view input) {
  static constexpr std::array names{"Forwarded",       "X-Forwarded-For",  "Forwarded",
                                    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
                                    "X-Request-Id",    "traceparent",      "X_Forwarded_For"};
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (const auto* name : names)
    text.append(name).append(": ").append(split_off(input, "\n")).append("\r\n");
  return text.append("\r\n");
}

void check(const http::request_head& request, http::trusted_header believed) {
  std::array<network, 2> all;
  std::string why;
  require(parse_network("10.0.0.0/8", all[0], why) && parse_network("::1", all[1], why));
  const network_set trusted(all);
  http::arrival from;
  from.peer = ip_address::parse("10.0.0.1");
  from.trusted = true;
  http::forwarding got;
  http::describe_arrival(got, request, from, trusted, believed, "own");
  require(ip_address::parse(got.client).has_value());
  require(!got.request_id.empty() && got.request_id.size() <= http::max_request_id);

  const std::string again = "GET / HTTP/1.1\r\nHost: a\r\n" + got.lines + "\r\n";
  http::request_head head;
  require(http::parse_request(again, head) == errc::complete);
  for (const auto& f : head.fields)
    if (iequals(f.name, "forwarded") || iequals(f.name, "x-forwarded-for"))
      require(f.value.size() <= 2 * http::max_hops_text + most_added);
  // Whoever believes us finds the same client behind one hop more.
  const auto hops = static_cast<std::size_t>(std::ranges::count(got.lines, ','));
  if (hops >= http::max_hops || got.lines.size() > http::max_hops_text) return;
  for (const auto next : {http::trusted_header::x_forwarded_for, http::trusted_header::forwarded}) {
    http::forwarding behind;
    http::describe_arrival(behind, head, from, trusted, next, "own");
    require(behind.client == got.client);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = head_of({reinterpret_cast<const char*>(data), size});
  http::request_head request;
  if (http::parse_request(text, request) != errc::complete) return 0;
  check(request, http::trusted_header::x_forwarded_for);
  check(request, http::trusted_header::forwarded);
  return 0;
}
