#include "http/field_roles.hpp"

#include "base/text.hpp"
#include "http/forwarded.hpp"
#include "http/head.hpp"

#include <algorithm>
#include <array>

namespace icapgate::http {
namespace {

template <std::size_t N>
bool is_taken_for_any(std::string_view name, const std::array<std::string_view, N>& known) {
  return std::ranges::any_of(known, [&](auto one) { return is_taken_for(name, one); });
}

field_roles roles_of_c(std::string_view name) {
  static constexpr std::array<std::string_view, 2> certificates{"client-cert", "client-cert-chain"};
  if (is_taken_for_any(name, certificates)) return role::client_certificate;
  if (iequals(name, "Content-Digest")) return role::content_sum;
  return is_taken_for(name, "content-length") ? role::disguised : 0;
}

field_roles forwarding_role(std::string_view name) {
  return is_forwarding_field(name) ? role::forwarding : 0;
}

// Of the fields that Beast has no name for, or that some programs take for others: "_" is "-" to
// them.
field_roles roles_by_name(std::string_view name) {
  if (name.empty()) return 0;
  switch (ascii_lower(name.front())) {
    case 'c':
      return roles_of_c(name);
    case 'r':
      return iequals(name, "Request-Range") ? role::range_request : 0;
    case 'f':
      return forwarding_role(name);
    case 't':
      return is_taken_for(name, "transfer-encoding") ? role::disguised : forwarding_role(name);
    case 'x':
      return iequals(name, "X-Content-Type-Options") ? role::type_options : forwarding_role(name);
    default:
      return 0;
  }
}

}  // namespace

field_roles roles_of(field_id id, std::string_view name) {
  switch (id) {
    case field_id::host:
      return role::host;
    case field_id::connection:
      return role::connection;
    case field_id::upgrade:
      return role::upgrade;
    case field_id::content_length:
      return role::content_length;
    case field_id::transfer_encoding:
      return role::transfer_encoding;
    case field_id::keep_alive:
    case field_id::proxy_connection:
    case field_id::te:
    case field_id::trailer:
      return role::other_hop;
    case field_id::expect:
      return role::expect;
    case field_id::max_forwards:
      return role::max_forwards;
    case field_id::via:
      return role::via;
    case field_id::date:
      return role::date;
    case field_id::authorization:
    case field_id::cookie:
      return role::credential;
    case field_id::proxy_authenticate:
    case field_id::proxy_authorization:
      return role::for_proxies;
    case field_id::accept_encoding:
      return role::accept_encoding;
    case field_id::range:
    case field_id::if_range:
      return role::range_request;
    case field_id::cache_control:
      return role::cache_control;
    case field_id::accept_ranges:
      return role::accept_ranges;
    case field_id::content_range:
      return role::content_range;
    case field_id::content_type:
      return role::content_type;
    case field_id::content_md5:
      return role::content_sum;
    default:
      return roles_by_name(name);
  }
}

}  // namespace icapgate::http
