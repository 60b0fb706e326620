#include "base/json.hpp"

#include "base/characters.hpp"

#include <algorithm>
#include <string>

namespace icapgate {

namespace {

void append_hex(std::string& out, unsigned value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[(value >> shift) & 15];
}

void append_utf16(std::string& out, char32_t c) {
  const auto unit = [&](char32_t u) {
    out += "\\u";
    append_hex(out, u, 4);
  };
  if (c < 0x10000) return unit(c);
  unit(0xd800 + ((c - 0x10000) >> 10));
  unit(0xdc00 + ((c - 0x10000) & 0x3ff));
}

// The length of the well-formed UTF-8 sequence (RFC 3629 4) that `text` begins with, and its code
// point; 0 if there is none.
std::size_t decode_utf8(std::string_view text, char32_t& out) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  char32_t c = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    c = (c << 6) | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  if (overlong || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) return 0;
  out = c;
  return length;
}

// A JSON string in ASCII: terminals and log viewers then have no bidirectional or C1 controls to
// obey. A byte that is not UTF-8 becomes the four characters \xNN.
void append_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    std::size_t used = 1;
    char32_t point = c;
    if (c == '"' || c == '\\') {
      (out += '\\') += static_cast<char>(c);
    } else if (is_printable(text.front())) {
      out += text.front();
    } else if (c < 0x80 || (used = decode_utf8(text, point)) != 0) {
      append_utf16(out, point);
    } else {
      used = 1;
      out += "\\\\x";
      append_hex(out, c, 2);
    }
    text.remove_prefix(used);
  }
  out += '"';
}

}  // namespace

json_object& json_object::add(std::string_view key, std::string_view text) {
  append_string(begin(key), text);
  return *this;
}

json_object& json_object::add(std::string_view key, std::uint64_t number) {
  begin(key) += std::to_string(number);
  return *this;
}

json_object& json_object::add(std::string_view key,
                              std::chrono::duration<double, std::milli> time) {
  // Steps of a microsecond; a clock that went wrong must not make a line that is no JSON.
  const auto us = static_cast<long long>(std::min(std::max(time.count(), 0.0), 1e12) * 1000);
  const auto rest = std::to_string(us % 1000);
  begin(key) += std::to_string(us / 1000) + '.' + std::string(3 - rest.size(), '0') + rest;
  return *this;
}

json_object& json_object::add_flag(std::string_view key, bool value) {
  begin(key) += value ? "true" : "false";
  return *this;
}

json_object& json_object::add_null(std::string_view key) {
  begin(key) += "null";
  return *this;
}

json_object& json_object::add_raw(std::string_view key, std::string_view json) {
  begin(key) += json;
  return *this;
}

std::string& json_object::begin(std::string_view key) {
  text_ += text_.empty() ? '{' : ',';
  return ((text_ += '"') += key) += "\":";
}

}  // namespace icapgate
