// What a client would rather have: the weighted lists of Accept and Accept-Encoding (RFC 9110
// 12.4.2, 12.5.1, 12.5.3).
#pragma once

#include <optional>
#include <string_view>

namespace icapgate::http {

struct preference {
  std::string_view what;   // "text/html", "gzip", "*"; without parameters, any case
  unsigned weight = 1000;  // thousandths; 0: not wanted
};

// Takes the first element off `list`; nothing if it is empty or not well-formed. Commas and
// semicolons in quotes divide nothing.
std::optional<preference> take_preference(std::string_view& list);

// Calls `each` with every well-formed element, in order.
template <class F>
void for_each_preference(std::string_view list, F&& each) {
  while (!list.empty()) {
    if (const auto taken = take_preference(list)) each(*taken);
  }
}

}  // namespace icapgate::http
