#include "http/policy.hpp"

#include <algorithm>

namespace icapgate::http {

scan_decision must_scan(const response_head& response, std::uint16_t origin_port,
                        const std::vector<std::uint16_t>& avoid_ports) {
  if (response.framing == body_framing::none) return scan_decision::no_body;
  const bool avoided =
      std::find(avoid_ports.begin(), avoid_ports.end(), origin_port) != avoid_ports.end();
  return avoided ? scan_decision::avoid_port : scan_decision::scan;
}

bool is_scanner_trouble(errc reason) {
  return describe(reason).token.starts_with("icap_");
}

action decide(const result<icap::judgement>& outcome, bool debug_fallback) {
  if (!outcome) {
    const bool fallback = debug_fallback && is_scanner_trouble(outcome.error());
    return fallback ? action::relay : action::fail;
  }
  switch (outcome->kind) {
    case icap::verdict::clean:
      return action::relay;
    case icap::verdict::adapted:
      return action::adapt;
    case icap::verdict::blocked:
    case icap::verdict::unscannable:
      return action::block;
  }
  return action::fail;
}

}  // namespace icapgate::http
