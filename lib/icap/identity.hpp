// The fields of an ICAP head that tell whose transaction it is (draft-stecher-icap-subid).
#pragma once

#include "icap/options.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace icapgate::icap {

// Empty: not known.
struct identity {
  std::string_view request_id = {};
  std::string_view client_ip = {}, server_ip = {};
  std::string_view user = {};          // as the client gave it, without control characters
  std::string_view proxy_fields = {};  // whole lines: the messages' Proxy-* (RFC 3507 4.4.2)
};

// Appends whole lines. Addresses and user only where the scanner asked for them, or where `told`
// has client_ip, server_ip or user.
void append_identity(std::string& fields, const identity& of, const service_options& asked,
                     const std::vector<std::string>& told);

}  // namespace icapgate::icap
