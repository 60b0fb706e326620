// Scanners that people run, as data: where the service is and what it does otherwise than RFC 3507
// says. A profile never decides which detection headers are read: all of them are, always.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace icapgate::icap {

struct profile {
  std::string_view name = {};  // in the configuration; lower case
  std::string_view path = {};  // of the RESPMOD service, without the first '/', with its query.
                               // Empty: the administrator of the scanner chooses it
  bool preview = true;         // false: none is sent, whatever OPTIONS says
  bool keep_alive = true;      // false: one exchange on each connection
  bool allow_204 = true;       // false: not offered
  bool violations_are_scan_errors = false;  // X-Violations-Found lists what could not be scanned
  std::string_view fields = {};  // further ICAP fields for each request, whole lines with CRLF
};

// All of them; the first is "generic".
std::span<const profile> profiles();

// An address that names no service ("" or "/") gets the product's usual one. False: it has none.
bool complete_path(const profile& of, std::string& path);

// nullptr: no such profile. Valid for ever.
const profile* find_profile(std::string_view name);

}  // namespace icapgate::icap
