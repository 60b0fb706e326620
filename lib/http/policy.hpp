// Which responses are scanned and by which policy, and what becomes of one after the scan.
#pragma once

#include "base/policy.hpp"
#include "http/head.hpp"
#include "icap/verdict.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace icapgate::http {

// What decides about one response. Points into the settings.
struct chosen_policy {
  const policy* settings;
  const rule* by = nullptr;  // nullptr: the base
};

// Before the fetch: for Range, Accept-Encoding and Upgrade. The first rule that the request
// fulfils decides, unless it asks for something of the response, too: the base serves until that
// is known.
chosen_policy choose_policy(const std::vector<rule>& rules, const policy& base,
                            const request_head& request);

// For a request that wants another protocol. A 101 has no body, type or size: rules that ask for
// something of the response are passed over.
chosen_policy choose_upgrade_policy(const std::vector<rule>& rules, const policy& base,
                                    const request_head& request);

// With the response: the first rule whose conditions all hold, else the base.
//
// What could be read in two ways fulfils no condition, so that no trick leads to another rule
// than the origin's answer deserves:
// - paths: of the target in origin form, without the query, byte by byte; only a plain path
//   (is_plain_path) fulfils any;
// - hosts: of the target or the Host field, any case, without the port and the dot of the root;
// - media types: of the one Content-Type; with none, several or an invalid one none is fulfilled;
// - sizes: of the Content-Length; a body without it has no size.
chosen_policy choose_policy(const std::vector<rule>& rules, const policy& base,
                            const request_head& request, const response_head& response);

enum class action {
  relay,  // the origin's response as it is
  adapt,  // the scanner's version of it
  block,  // the scanner's page, or ours
  fail,   // an error to the client
};

// After a scan that the client waits for. on_unscannable is for the scanner's word that it could
// not look into the body; on_error for trouble with the scanners. Trouble with the origin, the
// client or the spool is never made up for, nor is a detection.
action decide(const result<icap::judgement>& outcome, const policy& settings);

// True for reasons that lie with the scanner.
bool is_scanner_trouble(errc reason);

}  // namespace icapgate::http
