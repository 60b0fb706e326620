// Parts of a response (RFC 9110 14). The origin is always asked for the whole; what the client
// asked for is cut here from the body that was scanned.
#pragma once

#include "http/head.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::http {

// What can make an origin answer with a part: Range, If-Range, and Request-Range, an old name that
// some origins still obey.
bool is_range_field(const field& f);

// A GET with one valid Range field in bytes. Known before the response: whether a part exists is
// not.
bool asks_for_ranges(const request_head& request);

enum class range_outcome : std::uint8_t {
  whole,          // the response as it is: Range is absent, of no use or to be ignored
  partial,        // 206
  unsatisfiable,  // 416, without a body
};

struct range_piece {
  std::string before;  // goes to the client in front of these bytes; empty where they are alone
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // never 0
};

// What the client gets of a body.
struct range_plan {
  range_outcome outcome = range_outcome::whole;
  std::vector<range_piece> pieces;  // partial: in this order
  std::string after;                // the text behind them; empty for one piece
  std::uint64_t length = 0;         // of the body on the wire, all text included
  std::string content_range{};      // the field's value; empty for several pieces
  std::string content_type{};       // the field's value; for several pieces only

  // 0 where the response stays as it is.
  unsigned status() const;
};

// More ranges than this, counted without those that lie behind the end, and Range is ignored.
inline constexpr std::size_t max_ranges = 16;

// Decides over a whole body of `size` bytes that goes with `response`. The boundary stands between
// several parts: at least 32 letters and digits, made at random for this response alone and told to
// nobody before, so that no body can hold it. At most 70 (RFC 2046 5.1.1).
range_plan plan_ranges(const request_head& request, const response_head& response,
                       std::uint64_t size, std::string_view boundary);

// What the connection to the client needs in a head.
struct client_connection {
  bool keep_alive = true;
  unsigned version = 11;
  std::string_view date = {};  // as in client_response
  std::string_view via = {};   // likewise
};

// Appends the head of a plan that isn't whole, made of the origin's head. Content-Length is
// `plan.length`.
void append_partial_response(std::string& wire, const response_head& response,
                             const range_plan& plan, const client_connection& to);

}  // namespace icapgate::http
