#include "kit/numbers.hpp"

namespace e2e {

double unscanned(stage& on, const std::string& reason) {
  return metric(on, "unscanned_total{reason=\"" + reason + "\"}");
}

double rule_hits(stage& on, const std::string& rule) {
  return metric(on, "rule_hits_total{rule=\"" + rule + "\"}");
}

}  // namespace e2e
