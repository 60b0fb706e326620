#include "http/field_roles.hpp"

#include "catch.hpp"
#include "http/forwarded.hpp"

#include <boost/beast/http/field.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace icapgate;
namespace role = http::role;

namespace {

http::field_roles roles_of(std::string_view name) {
  const auto id = boost::beast::http::string_to_field({name.data(), name.size()});
  return http::roles_of(id, name);
}

}  // namespace

TEST_CASE("field roles: a name tells what is done with a field, in any case") {
  const std::vector<std::pair<std::string, http::field_roles>> expected{
      {"Host", role::host},
      {"CONNECTION", role::connection},
      {"upgrade", role::upgrade},
      {"Content-length", role::content_length},
      {"Transfer-Encoding", role::transfer_encoding},
      {"Keep-Alive", role::other_hop},
      {"Proxy-Connection", role::other_hop},
      {"TE", role::other_hop},
      {"Trailer", role::other_hop},
      {"Expect", role::expect},
      {"Max-Forwards", role::max_forwards},
      {"Via", role::via},
      {"Date", role::date},
      {"Authorization", role::credential},
      {"Cookie", role::credential},
      {"Proxy-Authenticate", role::for_proxies},
      {"Proxy-Authorization", role::for_proxies},
      {"Accept-Encoding", role::accept_encoding},
      {"Range", role::range_request},
      {"If-Range", role::range_request},
      {"request-range", role::range_request},
      {"Client-Cert", role::client_certificate},
      {"client_cert-CHAIN", role::client_certificate},
      {"Content_Length", role::disguised},
      {"transfer_encoding", role::disguised},
      {"Cache-Control", role::cache_control},
      {"Accept-Ranges", role::accept_ranges},
      {"Content-Range", role::content_range},
      {"Content-Type", role::content_type},
      {"Content-MD5", role::content_sum},
      {"content-digest", role::content_sum},
      {"x-content-type-options", role::type_options},
      {"", 0},
      {"Accept", 0},
      {"X-Content-Type", 0},
      {"Client-Certificate", 0},
      {"Content-Lengths", 0},
      {"Content_Type", 0},
  };
  for (const auto& [name, roles] : expected) {
    CAPTURE(name);
    CHECK(roles_of(name) == roles);
  }
}

TEST_CASE("field roles: what tells of a request's way is known, however it is written") {
  for (std::string name : {"X-Forwarded-For", "x_forwarded_proto", "X-Forwarded-Whatever",
                           "X-Real-IP", "FORWARDED", "X_Request-Id", "TraceParent", "tracestate"}) {
    CAPTURE(name);
    CHECK(http::is_forwarding_field(name));
    CHECK(roles_of(name) == role::forwarding);
  }
  for (std::string name : {"X-Forwarded-", "Forwarded-For", "Trace", "X-Real", "From"})
    CHECK(roles_of(name) == 0);
}
