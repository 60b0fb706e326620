// What --help shows, made from the table of options.
#pragma once

#include <string>
#include <string_view>

namespace icapgate {

std::string_view program_version();

// The frequent options: at most 24 lines of 80 columns.
std::string help_text();

// The limits and timeouts, which have no flag.
std::string help_limits_text();

}  // namespace icapgate
