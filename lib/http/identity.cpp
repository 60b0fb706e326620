#include "http/identity.hpp"

#include "base/base64.hpp"
#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace icapgate::http {
namespace {

// Nothing is passed on where there are more than `most`, or too much of it.
void append_fields(std::string& lines, const message_head& head, field_id id, std::size_t most) {
  if (!head.find(id)) return;
  std::string found;
  std::size_t count = 0;
  for (const auto& f : head.fields) {
    if (f.id != id) continue;
    if (++count > most || !std::ranges::all_of(f.value, is_field_text)) return;
    append_field(found, f.name, f.value);
    if (found.size() > max_proxy_fields) return;
  }
  lines.append(found);
}

}  // namespace

std::string basic_user(const request_head& request) {
  const auto value = request.sole_value(field_id::authorization);
  if (!value) return {};
  auto rest = *value;
  if (!iequals(split_off(rest, " "), "basic")) return {};
  auto credentials = from_base64(trim(rest));
  if (!credentials) return {};
  const auto colon = credentials->find(':');
  if (colon == std::string::npos || colon > max_user) return {};
  credentials->resize(colon);
  return std::ranges::any_of(*credentials, is_control) ? std::string() : *std::move(credentials);
}

void append_proxy_challenges(std::string& lines, const response_head& response) {
  append_fields(lines, response, field_id::proxy_authenticate, max_proxy_fields);
}

void append_proxy_credentials(std::string& lines, const request_head& request) {
  append_fields(lines, request, field_id::proxy_authorization, 1);
}

}  // namespace icapgate::http
