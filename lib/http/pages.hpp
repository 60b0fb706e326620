// The gateway's own responses: errors, and the page for a detection that came without one.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>

namespace icapgate::http {

struct page {
  unsigned status;
  std::string_view title;       // a few words
  std::string_view text;        // one sentence; what the reader can do
  std::string_view request_id;  // of the gateway's own making: it goes into a field, too
  bool retry_after = false;     // tells when to come again
  bool keep_alive = true;
  bool to_head = false;  // answers a HEAD request: the head alone
};

// Appends the whole response: never stored by a cache, never sniffed.
void append_page(std::string& wire, const page& content);

// The page for a transaction that failed before anything was sent.
page error_page(errc reason, std::string_view request_id);

// The page for a blocked response without a page of the scanner's.
page block_page(std::string_view request_id);

}  // namespace icapgate::http
