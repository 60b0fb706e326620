// Which responses are scanned, and what becomes of one after the scan.
#pragma once

#include "http/head.hpp"
#include "icap/verdict.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace icapgate::http {

enum class scan_decision {
  scan,
  no_body,     // nothing to scan: HEAD, 1xx, 204, 304, Content-Length: 0
  avoid_port,  // the response came from a port that the settings exempt
};

// The status is no reason: error pages and partial responses carry bodies, too.
scan_decision must_scan(const response_head& response, std::uint16_t origin_port,
                        const std::vector<std::uint16_t>& avoid_ports);

enum class action {
  relay,  // the origin's response as it is
  adapt,  // the scanner's version of it
  block,  // the scanner's page, or ours
  fail,   // an error to the client
};

// `debug_fallback`: scanner trouble delivers the origin's response instead of an error. Trouble
// with the origin or the spool is never made up for.
action decide(const result<icap::judgement>& outcome, bool debug_fallback);

// True for reasons that lie with the scanner.
bool is_scanner_trouble(errc reason);

}  // namespace icapgate::http
