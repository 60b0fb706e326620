// What another reading of the settings makes, and what it can't change.
#pragma once

#include "proxy/generation.hpp"

#include <memory>

namespace icapgate::proxy {

// Takes over from `before`, where there is one, what is known of scanners. Throws
// std::runtime_error for files that TLS needs.
std::shared_ptr<const generation> make_generation(config settings, const generation* before);

// Puts back into `next` what a running process can't change, and tells that a restart would.
void keep_what_stays(config& next, const config& now);

}  // namespace icapgate::proxy
