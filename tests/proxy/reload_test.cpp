#include "proxy/reload.hpp"

#include "catch.hpp"

#include <stdexcept>

using namespace icapgate;

namespace {

config with_origin(const url& origin) {
  config out;
  route one;
  one.origins = {origin};
  out.routes = {one};
  return out;
}

}  // namespace

TEST_CASE("reload: a generation has all that connections to origins need of files, or is none") {
  const url secure{"https", "shop.example", 443, {}};
  auto settings = with_origin(secure);
  settings.origin_tls.verify = false;
  const auto made = proxy::make_generation(settings, nullptr);
  CHECK(made->tls_of(secure) != nullptr);
  settings.origin_tls = {};
  settings.origin_tls.ca = "/nowhere.pem";
  CHECK_THROWS_AS(proxy::make_generation(settings, made.get()), std::runtime_error);
}

TEST_CASE("reload: a plain origin needs no file") {
  const url plain{"http", "shop.example", 80, {}};
  CHECK(proxy::make_generation(with_origin(plain), nullptr)->tls_of(plain) == nullptr);
}
