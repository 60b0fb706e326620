// What /status of the admin listener says: the whole process and each scanner, as JSON.
#pragma once

#include "proxy/scanner_state.hpp"

#include <string>
#include <vector>

namespace icapgate::proxy {

// `draining`: no new connections are taken; `ready`: what /readyz says.
std::string status_json(bool draining, bool ready, const std::vector<scanner_status>& scanners);

}  // namespace icapgate::proxy
