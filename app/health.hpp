// icapgate health: asks a running gateway of the same settings whether it lives.
#pragma once

#include "base/config.hpp"

#include <string>

namespace icapgate {

struct health {
  bool good = false;
  std::string why;  // one sentence, without its end
};

// Asks the admin listener for /livez, or for /readyz if `ready`. Without an admin listener a
// connection to the listening address has to do; it tells nothing of readiness. Blocks. Takes at
// most two seconds: then it writes that to standard output and ends the process with status 1.
health ask_for_health(const config& settings, bool ready);

}  // namespace icapgate
