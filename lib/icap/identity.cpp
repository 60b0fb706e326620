#include "icap/identity.hpp"

#include "base/base64.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace icapgate::icap {
namespace {

// Nothing where it is not known.
void append_known(std::string& fields, std::string_view name, std::string_view value) {
  if (!value.empty()) append_field(fields, name, value);
}

// As a scanner would look it up: without a zone, and IPv4 that came through an IPv6 socket as IPv4.
std::string_view plain_address(std::string_view text) {
  constexpr std::string_view mapped = "::ffff:";
  text = text.substr(0, text.find('%'));
  if (text.starts_with(mapped) && text.find('.') != text.npos) text.remove_prefix(mapped.size());
  return text;
}

// The name in a URI, since others have theirs from a directory; encoded, so that no byte of it is
// one of the head.
std::string local_user(std::string_view name) {
  return name.empty() ? std::string() : to_base64("Local://" + std::string(name));
}

}  // namespace

void append_identity(std::string& fields, const identity& of, const service_options& asked,
                     const std::vector<std::string>& told) {
  const auto wants = [&](bool was_asked, std::string_view word) {
    return was_asked || std::ranges::find(told, word) != told.end();
  };
  append_known(fields, "X-Request-Id", of.request_id);
  if (wants(asked.wants_client_ip, "client_ip"))
    append_known(fields, "X-Client-IP", plain_address(of.client_ip));
  if (wants(asked.wants_server_ip, "server_ip"))
    append_known(fields, "X-Server-IP", plain_address(of.server_ip));
  if (wants(asked.wants_authenticated_user, "user"))
    append_known(fields, "X-Authenticated-User", local_user(of.user));
  fields.append(of.proxy_fields);
}

}  // namespace icapgate::icap
