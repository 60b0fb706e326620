// What one reading of the settings made for the whole process. A reload makes another one; what
// runs goes on with its own.
#pragma once

#include "base/config.hpp"
#include "base/network.hpp"
#include "http/forwarded.hpp"
#include "proxy/scanner_state.hpp"
#include "proxy/tls_server.hpp"

#include <map>
#include <memory>
#include <string>

namespace icapgate::proxy {

// Never changes; any thread.
struct generation {
  config settings;        // checked
  scanner_list scanners;  // make_scanners(settings)
  // For connections to the https:// origins, by URL: what is wrong with their files shows before
  // anything has changed.
  std::map<std::string, std::shared_ptr<tls_client>> origin_tls;

  std::shared_ptr<tls_client> tls_of(const url& origin) const {
    const auto found = origin_tls.find(origin.to_string());
    return found == origin_tls.end() ? nullptr : found->second;
  }
};

// How clients are met that come in by one listener. Never changes; any thread.
struct entrance {
  entrance(const listener& its, std::shared_ptr<tls_listener> its_tls)
      : settings(its),
        tls(std::move(its_tls)),
        trusted_proxies(its.trusted_proxies),
        believed_header(its.trusted_header == listener::forwarded
                            ? http::trusted_header::forwarded
                            : http::trusted_header::x_forwarded_for) {}

  const listener settings;
  const std::shared_ptr<tls_listener> tls;  // nullptr: plain HTTP
  const network_set trusted_proxies;
  const http::trusted_header believed_header;
};

}  // namespace icapgate::proxy
