// HTTP/1.1 messages as the plays write and read them: heads, fields in order, bodies by framing.
#pragma once

#include "kit/tcp.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace e2e {

struct field {
  std::string name;
  std::string value;
  bool operator==(const field&) const = default;
};
using field_list = std::vector<field>;

std::string lower(std::string_view text);
bool has(const field_list& fields, std::string_view name);
// The first value of that name (any case), or "".
std::string value(const field_list& fields, std::string_view name);
std::vector<std::string> values(const field_list& fields, std::string_view name);
std::string to_wire(const field_list& fields);
// "name: value" lines, for comparisons that print well.
std::vector<std::string> lines(const field_list& fields);

// Those that a gateway must pass on: without hop-by-hop fields, framing and Via.
field_list end_to_end(const field_list& fields);

// What the other side sent is not what the protocol allows.
struct protocol_error : std::runtime_error {
  using runtime_error::runtime_error;
};

struct http_head {
  std::string wire;    // as received, with the empty line
  std::string first;   // first word of the start line: method or version
  std::string second;  // target or status
  std::string third;   // version or reason
  field_list fields;
};
http_head parse_head(const std::string& wire);

// One chunk, as received.
struct chunk {
  std::string size_line;  // without CRLF
  std::string data;       // empty: the last one
};
// Throws protocol_error where it is none.
chunk read_chunk(connection& from);
// The rest of a chunked body behind its last chunk: trailer fields up to the empty line.
std::string read_trailers(connection& from);

// A body in the chunked coding.
struct chunked_form {
  std::size_t size = 4096;     // of each chunk
  std::string extension = {};  // behind each size, with its ';'
  std::string trailers = {};   // field lines with CRLF
};
std::string chunked(std::string_view body, const chunked_form& form = {});

enum class framing { length, chunked, close };

// A response as an origin would write it.
struct response_text {
  std::string status = "200 OK";
  field_list fields = {};
  std::string body = {};
  framing form = framing::length;
  chunked_form chunks = {};

  std::string head() const;
  std::string wire() const;
};

// `size` bytes that look random; the same for the same seed.
std::string noise(std::size_t size, unsigned seed = 1);
// "" if equal, else where they begin to differ: large bodies don't belong into a test's output.
std::string difference(std::string_view got, std::string_view expected);

}  // namespace e2e
