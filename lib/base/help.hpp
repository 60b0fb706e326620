// What --help shows, made from the table of options.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate {

std::string_view program_version();

// The frequent options: at most 24 lines of 80 columns.
std::string help_text();

// The topics of `icapgate help`: keys of the file that have no flag. Each fits a screen.
std::vector<std::string_view> help_topics();
std::optional<std::string> help_about(std::string_view topic);

}  // namespace icapgate
