// Rows of /metrics that many plays look at.
#pragma once

#include "kit/stage.hpp"

namespace e2e {

// How many responses were delivered without a verdict for that reason.
double unscanned(stage& on, const std::string& reason);
// How many responses a rule decided over, by the rule's reason.
double rule_hits(stage& on, const std::string& rule);

}  // namespace e2e
