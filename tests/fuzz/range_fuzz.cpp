// Any Range, If-Range, validators, type and Authorization, a line each: what is cut lies in the
// body, the lengths add up, and the head says so.
#include "http/range.hpp"
#include "http/signature.hpp"
#include "require.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

using namespace icapgate;
using outcome = http::range_outcome;

namespace {

constexpr std::string_view boundary = "0123456789abcdef0123456789abcdef";

struct messages {
  std::string request_text, response_text;
  http::request_head request;
  http::response_head response;
};

// The target stands first. False where it is no HTTP.
bool read(std::string_view input, messages& out) {
  static constexpr std::array names{"Range", "If-Range", "Authorization"};
  out.request_text = "GET /";
  out.request_text.append(split_off(input, "\n")).append(" HTTP/1.1\r\nHost: a\r\n");
  for (const auto* name : names)
    out.request_text.append(name).append(": ").append(split_off(input, "\n")).append("\r\n");
  out.request_text.append("\r\n");
  out.response_text.append("HTTP/1.1 200 OK\r\n").append(input).append("\r\n\r\n");
  return http::parse_request(out.request_text, out.request) == errc::complete &&
         http::parse_response(out.response_text, false, out.response) == errc::complete;
}

void check_parts(const http::range_plan& plan, std::uint64_t size) {
  require(!plan.pieces.empty() && plan.pieces.size() <= http::max_ranges);
  std::uint64_t length = plan.after.size();
  for (const auto& part : plan.pieces) {
    require(part.length > 0 && part.offset < size && part.length <= size - part.offset);
    require(part.before.empty() == (plan.pieces.size() == 1));
    length += part.before.size() + part.length;
    const auto overlaps = [&](const http::range_piece& other) {
      return other.offset <= part.offset && part.offset < other.offset + other.length;
    };
    require(std::count_if(plan.pieces.begin(), plan.pieces.end(), overlaps) == 1);
  }
  require(length == plan.length);
}

void check_head(const http::response_head& response, const http::range_plan& plan) {
  std::string wire;
  http::append_partial_response(wire, response, plan, {});
  http::response_head again;
  require(http::parse_response(wire, false, again) == errc::complete);
  require(again.status == (plan.outcome == outcome::partial ? 206 : 416));
  require(again.content_length == plan.length);
  const bool several = plan.pieces.size() > 1;
  require(several == !again.find(http::field_id::content_range));
  if (several) require(again.find(http::field_id::content_type)->value == plan.content_type);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  messages m;
  if (!read(input, m)) return 0;
  http::signs(m.request, "range");
  constexpr std::array<std::uint64_t, 6> sizes{0, 1, 10, 10'000, 1ULL << 32, 1ULL << 62};
  for (const auto body : sizes) {
    const auto plan = http::plan_ranges(m.request, m.response, body, boundary);
    if (plan.outcome == outcome::whole) continue;
    require(http::asks_for_ranges(m.request));
    if (plan.outcome == outcome::partial) check_parts(plan, body);
    check_head(m.response, plan);
  }
  return 0;
}
