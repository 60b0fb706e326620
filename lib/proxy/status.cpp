#include "proxy/status.hpp"

#include "base/json.hpp"

#include <string_view>

namespace icapgate::proxy {
namespace {

// Of what a scanner calls itself.
constexpr std::size_t longest_text = 256;

std::string_view name_of(icap::breaker::state state) {
  switch (state) {
    case icap::breaker::state::closed:
      return "closed";
    case icap::breaker::state::open:
      return "open";
    case icap::breaker::state::half_open:
      break;
  }
  return "half_open";
}

std::string_view name_of(scanner_status::options state) {
  switch (state) {
    case scanner_status::options::known:
      return "known";
    case scanner_status::options::failed:
      return "failed";
    case scanner_status::options::unknown:
      break;
  }
  return "unknown";
}

std::string_view canary_of(const scanner_metrics& numbers) {
  if (!numbers.probed) return "unknown";
  return numbers.detects ? "passed" : "failed";
}

void add_age(json_object& to, std::string_view key,
             const std::optional<std::chrono::duration<double>>& age) {
  if (age)
    to.add(key, *age);
  else
    to.add_null(key);
}

std::string scanner_json(const scanner_status& one) {
  const auto& numbers = one.numbers;
  json_object out;
  out.add("uri", numbers.uri)
      .add("group", one.group == 0 ? "servers" : "standby")
      .add_flag("shut", one.shut)
      .add("in_flight", std::uint64_t{numbers.in_flight})
      .add("connections", std::uint64_t{numbers.connections})
      .add("limit", std::uint64_t{numbers.limit})
      .add("breaker", name_of(one.breaker))
      .add("canary", canary_of(numbers));
  add_age(out, "canary_age_ms", one.canary_age);
  out.add("options", name_of(one.options_state));
  add_age(out, "options_age_ms", one.options_age);
  out.add_flag("respmod", numbers.respmod)
      .add("istag", std::string_view(one.istag).substr(0, longest_text))
      .add("service", std::string_view(one.service).substr(0, longest_text));
  return out.end();
}

}  // namespace

std::string status_json(bool draining, bool ready, const std::vector<scanner_status>& scanners) {
  std::string list;
  for (const auto& one : scanners) (list += list.empty() ? "[" : ",") += scanner_json(one);
  return json_object()
             .add("state", draining ? "draining" : "serving")
             .add_flag("ready", ready)
             .add_raw("scanners", list.empty() ? "[]" : list + ']')
             .end() +
         '\n';
}

}  // namespace icapgate::proxy
