// What --help shows, made from the table of options.
#pragma once

#include <string>
#include <string_view>

namespace icapgate {

std::string_view program_version();

// The frequent options: at most 24 lines of 80 columns.
std::string help_text();

// The topics of `icapgate help`: what has no flag. Each fits a screen.
std::string help_limits_text();   // limits and timeouts towards clients and origin
std::string help_tls_text();      // towards clients and origins
std::string help_policy_text();   // what is scanned, and what becomes of it; the spool
std::string help_scanner_text();  // everything about scanners

}  // namespace icapgate
