// The numbers that the admin port tells.
#pragma once

#include "kit/stage.hpp"

namespace e2e {

// The value of one sample by its full name: icapgate_unscanned_total{reason="rule"}. Throws where
// there is none.
double number_of(stage& on, const std::string& sample);

// How many responses were delivered without a verdict for that reason.
double unscanned(stage& on, const std::string& reason);
// How many responses a rule decided over, by the rule's reason.
double rule_hits(stage& on, const std::string& rule);

}  // namespace e2e
