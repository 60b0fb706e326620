#include "base/credentials.hpp"

#include "base/base64.hpp"
#include "base/characters.hpp"
#include "base/config_file.hpp"
#include "base/options.hpp"

#include <algorithm>

namespace icapgate {

namespace {

constexpr std::string_view off = "off";
constexpr std::size_t largest_password_file = 4096;

}  // namespace

std::string basic_authorization(std::string_view user, std::string_view password) {
  return "Basic " + to_base64(std::string(user) + ':' + std::string(password));
}

bool read_credentials(config& settings, std::string& why) {
  const auto& user = settings.scanner_user;
  const auto& file = settings.scanner_password_file;
  settings.scanner_authorization.clear();
  if (user == off && file == off) return true;
  if (user == off || file == off) {
    why = "the scanner's user and password_path belong together; one of them is missing";
    return false;
  }
  // RFC 7617 2: the first colon ends the name.
  if (user.find(':') != std::string::npos) {
    why = "the scanner's user " + in_quotes(user) + " has a colon in it";
    return false;
  }
  std::string problem;
  const auto text = read_whole_file(file, largest_password_file, problem);
  if (!text) {
    why = "the scanner's password_path " + in_quotes(file) + ' ' + problem;
    return false;
  }
  std::string_view password = *text;
  if (password.ends_with('\n')) password.remove_suffix(1);
  if (password.ends_with('\r')) password.remove_suffix(1);
  if (password.empty() || std::ranges::any_of(password, is_control)) {
    why = "the scanner's password_path " + in_quotes(file) + " does not hold one line of text";
    return false;
  }
  settings.scanner_authorization =
      "Proxy-Authorization: " + basic_authorization(user, password) + "\r\n";
  return true;
}

}  // namespace icapgate
