// Which route a request takes.
#pragma once

#include "base/route.hpp"
#include "http/head.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::http {

// The path (without a query) as its segments are meant, for comparing: escapes resolved, parameters
// (";...") left out. Nothing where servers are known to disagree on its segments: one that is made
// of dots or blanks alone, an empty one before the last, '/', '\', a control character or a second
// escape in an escape, '\' as it is, overlong UTF-8, an escape that is none; and no '/' in front.
std::optional<std::string> readable_path(std::string_view path);

// Among the routes that fit host and path the one with the most exact host, and of these the one
// with the longest path: a name beats a pattern, a longer pattern a shorter one, any host comes
// last; of equals the first. nullptr: none fits.
//
// Hosts are compared as in rules. Paths are compared byte by byte, whole segments of them; a path
// that is not readable fits only routes without one.
const route* choose_route(const std::vector<route>& routes, const request_head& request);

}  // namespace icapgate::http
