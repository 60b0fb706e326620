// The user name and password that a scanner may want.
#pragma once

#include "base/config.hpp"

#include <string>
#include <string_view>

namespace icapgate {

// RFC 7617: the value of an Authorization field, "Basic ...".
std::string basic_authorization(std::string_view user, std::string_view password);

// Fills `scanner_authorization` from the user and the password file. false: `why` names the setting
// and the file, never what is in it.
bool read_credentials(config& settings, std::string& why);

}  // namespace icapgate
