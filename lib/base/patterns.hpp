// Patterns of rules, in which '*' stands for any text, an empty one too, and what they are held
// against.
#pragma once

#include <string_view>

namespace icapgate {

bool matches_pattern(std::string_view pattern, std::string_view text);

// As above; `pattern` is in lower case, `text` in any.
bool matches_pattern_any_case(std::string_view pattern, std::string_view text);

// Whether everybody reads this path (RFC 3986 3.3, without a query) as the same segments: it begins
// with '/'; every byte is a letter, a digit, one of -._~!$&'()*+,=:@ or the escape %20; no segment
// but the last is empty, begins or ends with %20, and none is made of dots alone. What servers are
// known to disagree about is thereby out: other escapes (%2e, %2f, %00, overlong UTF-8), '\', ';'
// and what follows it, "//", "/../".
bool is_plain_path(std::string_view path);

// A name or an IPv4 address, or an IPv6 address in brackets; no port.
bool is_host_pattern(std::string_view text);

// type "/" subtype, without parameters (RFC 9110 8.3.1).
bool is_media_type(std::string_view text);

}  // namespace icapgate
