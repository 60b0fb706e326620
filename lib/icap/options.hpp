// What an ICAP server's answer to OPTIONS says (RFC 3507 4.10.2), as values. No socket, no clock.
#pragma once

#include "base/error.hpp"
#include "icap/exchange.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::icap {

// How a server wants a body: a preview first, all of it at once, or not at all.
enum class transfer { preview, complete, ignore };

// Transfer-Preview, Transfer-Complete and Transfer-Ignore: file extensions in lower case, without
// the dot. One that stands in several lists is in the one that shows the scanner the most: complete
// before preview before ignore.
struct transfer_lists {
  std::vector<std::string> preview, complete, ignore;
  std::optional<transfer> others;  // where "*" stands
  bool empty() const { return preview.empty() && complete.empty() && ignore.empty() && !others; }
};

// The defaults are what is assumed of a server that did not say otherwise.
struct service_options {
  bool respmod = true, reqmod = true;
  std::optional<std::size_t> preview;  // bytes; none advertised: no preview is sent
  bool allow_204 = false, allow_206 = false;
  std::optional<std::size_t> max_connections;             // never 0
  std::optional<std::chrono::seconds> ttl;                // as said, and at most max_ttl
  std::string istag, service, service_id;                 // istag without quotes
  bool wants_client_ip = false, wants_server_ip = false;  // X-Include
  bool wants_authenticated_user = false, wants_authenticated_groups = false;
  transfer_lists transfer;
};

inline constexpr std::chrono::seconds max_ttl = std::chrono::hours(24 * 365);

// Reads a complete answer to OPTIONS. Field names and tokens in any case; lists may be split over
// several fields. A number that can't be read counts as not said; one too large is the largest.
// Errors: icap_status_busy (503, 506), icap_status_error (other 4xx, 5xx), icap_status_unexpected
// (neither these nor 2xx; 204, too), icap_answer_invalid (a head that can't be read).
result<service_options> parse_options(const answer& a);

// How to send a body for that request path. Without any list a Preview is used where there is one;
// an extension in no list, and no "*" anywhere, is scanned. Never `preview` without a Preview.
transfer transfer_of(const service_options& options, std::string_view request_path);

// When to ask again: at 80 % of the TTL, which is taken into min..max first. No TTL: `missing`.
std::chrono::seconds refresh_after(const service_options& options, std::chrono::seconds missing,
                                   std::chrono::seconds min, std::chrono::seconds max);

}  // namespace icapgate::icap
