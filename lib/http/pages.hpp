// The gateway's own responses: errors, and the page for a detection that came without one.
#pragma once

#include "base/error.hpp"
#include "http/head.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate::http {

enum class page_format : std::uint8_t {
  html,
  problem,  // application/problem+json (RFC 9457)
};

// By the request's Accept (RFC 9110 12.5.1): a program that would rather have JSON gets a problem,
// everyone else HTML. A page is never stored, so that Vary would tell nobody anything.
page_format wanted_format(const message_head& request);

// Why a block page is sent.
enum class block_cause : std::uint8_t {
  harmful,
  unscannable,
  oversize,
};

struct page {
  unsigned status;
  std::string_view title;       // a few words
  std::string_view text;        // a sentence or two; what the reader can do
  std::string_view request_id;  // of the gateway's own making: it goes into a field, too
  std::string_view cause = {};  // of a block page: one word for a program
  std::string_view host = {};   // that the client asked for, as it wrote it
  std::string_view date = {};   // as in client_response
  std::string_view html = {};   // template of a block page; empty: the built-in one
  page_format format = page_format::html;
  bool retry_after = false;  // tells when to come again
  bool keep_alive = true;
  bool to_head = false;  // answers a HEAD request: the head alone
};

// Appends the whole response: never stored by a cache, never sniffed.
// In `html` {{request_id}}, {{status}}, {{title}}, {{text}} and {{host}} are replaced by the
// values, escaped; all else stays. Pages without a `cause` do not use it.
void append_page(std::string& wire, const page& content);

// The page for a transaction that failed before anything was sent.
page error_page(errc reason, std::string_view request_id);

// The page for a blocked response without a page of the scanner's.
page block_page(std::string_view request_id, unsigned status = 403,
                block_cause cause = block_cause::harmful);

}  // namespace icapgate::http
