// What the program says when it begins, and with --version.
#pragma once

#include "base/config.hpp"

#include <string>
#include <vector>

namespace icapgate {

// What is protected, by which scanner, and one command to try. `listen`: each with its real port.
std::string banner(const config& settings, const std::vector<endpoint>& listen);

std::string version_text();

}  // namespace icapgate
