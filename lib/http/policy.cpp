#include "http/policy.hpp"

#include "base/patterns.hpp"
#include "http/authority.hpp"
#include "http/body_kind.hpp"

#include <algorithm>
#include <string>

namespace icapgate::http {

namespace {

bool fulfils_method(const rule& r, const request_head& request) {
  return r.methods.empty() || std::ranges::find(r.methods, request.method) != r.methods.end();
}

bool fulfils_path(const rule& r, const request_head& request) {
  if (r.paths.empty()) return true;
  const auto path = request.origin_form.substr(0, request.origin_form.find('?'));
  return is_plain_path(path) && std::ranges::any_of(r.paths, [&](const auto& pattern) {
           return matches_pattern(pattern, path);
         });
}

bool fulfils_host(const rule& r, const request_head& request) {
  if (r.hosts.empty()) return true;
  const auto name = host_name(request.host);
  return !name.empty() && std::ranges::any_of(r.hosts, [&](const auto& pattern) {
    return matches_pattern_any_case(pattern, name);
  });
}

bool fulfils_status(const rule& r, const response_head& response) {
  constexpr unsigned largest_class = 9;
  return r.statuses.empty() || std::ranges::any_of(r.statuses, [&](unsigned wanted) {
           return wanted == (wanted <= largest_class ? response.status / 100 : response.status);
         });
}

bool fulfils_media_type(const rule& r, const response_head& response) {
  if (r.media_types.empty()) return true;
  const auto type = media_type_of(response);
  return !type.empty() && std::ranges::any_of(r.media_types, [&](const auto& pattern) {
    return matches_pattern_any_case(pattern, type);
  });
}

bool fulfils_size(const rule& r, const response_head& response) {
  if (!r.min_size && !r.max_size) return true;
  if (response.framing != body_framing::length) return false;
  const auto size = response.content_length;
  return (!r.min_size || size >= *r.min_size) && (!r.max_size || size <= *r.max_size);
}

bool fulfils(const rule& r, const request_head& request) {
  return fulfils_method(r, request) && fulfils_path(r, request) && fulfils_host(r, request);
}

bool fulfils(const rule& r, const response_head& response) {
  return fulfils_status(r, response) && fulfils_media_type(r, response) &&
         fulfils_size(r, response);
}

}  // namespace

chosen_policy choose_policy(const std::vector<rule>& rules, const policy& base,
                            const request_head& request) {
  for (const auto& r : rules)
    if (fulfils(r, request))
      return r.needs_response() ? chosen_policy{&base} : chosen_policy{&r.effects, &r};
  return {&base};
}

chosen_policy choose_upgrade_policy(const std::vector<rule>& rules, const policy& base,
                                    const request_head& request) {
  for (const auto& r : rules)
    if (!r.needs_response() && fulfils(r, request)) return {&r.effects, &r};
  return {&base};
}

chosen_policy choose_policy(const std::vector<rule>& rules, const policy& base,
                            const request_head& request, const response_head& response) {
  for (const auto& r : rules)
    if (fulfils(r, request) && fulfils(r, response)) return {&r.effects, &r};
  return {&base};
}

bool is_scanner_trouble(errc reason) {
  return describe(reason).token.starts_with("icap_");
}

action decide(const result<icap::judgement>& outcome, const policy& settings) {
  if (!outcome) {
    const bool passes = settings.on_error == remedy::pass && is_scanner_trouble(outcome.error());
    return passes ? action::relay : action::fail;
  }
  switch (outcome->kind) {
    case icap::verdict::clean:
      return action::relay;
    case icap::verdict::adapted:
      return action::adapt;
    case icap::verdict::blocked:
      return action::block;
    case icap::verdict::unscannable:
      return settings.on_unscannable == remedy::pass ? action::relay : action::block;
  }
  return action::fail;
}

}  // namespace icapgate::http
