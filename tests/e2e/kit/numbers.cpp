#include "kit/numbers.hpp"

namespace e2e {

double number_of(stage& on, const std::string& sample) {
  const auto text = "\n" + admin(on, "/metrics").body;
  const auto line = "\n" + sample + " ";
  const auto at = text.find(line);
  if (at == std::string::npos) throw std::runtime_error("no such metric: " + sample);
  return std::stod(text.substr(at + line.size()));
}

double unscanned(stage& on, const std::string& reason) {
  return number_of(on, "icapgate_unscanned_total{reason=\"" + reason + "\"}");
}

double rule_hits(stage& on, const std::string& rule) {
  return number_of(on, "icapgate_rule_hits_total{rule=\"" + rule + "\"}");
}

}  // namespace e2e
