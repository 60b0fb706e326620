// What the program says when it begins, and with --version.
#pragma once

#include "base/config.hpp"

#include <string>

namespace icapgate {

// What is protected, by which scanner, and one command to try. `listen` has the real port.
std::string banner(const config& settings, const endpoint& listen);

std::string version_text();

}  // namespace icapgate
