#include "banner.hpp"

#include "base/help.hpp"

#include <boost/version.hpp>

#include <openssl/crypto.h>

#include <algorithm>

namespace icapgate {

namespace {

std::string named() {
  return "icapgate " + std::string(program_version());
}

std::string scanner_names(const config& settings) {
  std::string names;
  for (const auto& [scanner, standby] : distinct_scanners(settings.routes))
    if (!standby) (names += names.empty() ? "" : ", ") += scanner.to_string();
  if (std::ranges::any_of(settings.routes, [](const route& r) { return r.scanners.embedded; }))
    names += std::string(names.empty() ? "" : ", ") +
             "the embedded scanner (EICAR and listed hashes only: NOT an antivirus)";
  return names;
}

std::string origin_names(const config& settings) {
  std::string names;
  for (const auto& origin : distinct_origins(settings.routes))
    (names += names.empty() ? "" : ", ") += origin.to_string();
  return names;
}

std::string name_of(scan_mode mode) {
  return mode == scan_mode::off ? "off" : mode == scan_mode::monitor ? "monitor" : "enforce";
}

std::string exceptions(const config& settings) {
  std::string text;
  for (const auto port : settings.avoid_ports)
    (text += text.empty() ? "; not scanned: origin port " : ", ") += std::to_string(port);
  const auto& policy = settings.scan_policy;
  if (policy.mode == scan_mode::off) text += "; mode off: NOTHING IS SCANNED";
  if (policy.mode == scan_mode::monitor) text += "; mode monitor: NOTHING IS BLOCKED";
  if (policy.on_error == remedy::pass)
    text += "; delivers UNSCANNED when the scanner is in trouble";
  for (const auto& r : settings.routes)
    if (r.base.mode != policy.mode) text += "; route " + r.name + ": mode " + name_of(r.base.mode);
  return text;
}

// An address that a client on this machine can connect to.
endpoint reachable(endpoint listen) {
  if (listen.host == "0.0.0.0") listen.host = "127.0.0.1";
  if (listen.host == "::") listen.host = "::1";
  return listen;
}

std::string address_for_curl(const endpoint& listen) {
  if (!listen.unix_socket.empty())
    return "--unix-socket " + listen.unix_socket + " http://localhost";
  return "http://" + reachable(listen).to_string();
}

std::string compiler() {
#ifdef __clang__
  return "clang " + std::to_string(__clang_major__) + '.' + std::to_string(__clang_minor__) + '.' +
         std::to_string(__clang_patchlevel__);
#else
  return "g++ " + std::string(__VERSION__);
#endif
}

}  // namespace

std::string banner(const config& settings, const std::vector<endpoint>& listen) {
  std::string addresses;
  for (const auto& one : listen) (addresses += addresses.empty() ? "" : ", ") += one.to_string();
  return named() + " protects " + origin_names(settings) + " on " + addresses + "\nscanned by " +
         scanner_names(settings) + exceptions(settings) + "\ntry: curl -v " +
         address_for_curl(listen.front()) + "/\n";
}

std::string version_text() {
  const std::string commit = ICAPGATE_COMMIT;  // empty: not built in a git checkout
  return named() + (commit.empty() ? "" : " (" + commit + ')') + "\nbuilt with " + compiler() +
         ", Boost " + std::to_string(BOOST_VERSION / 100000) + '.' +
         std::to_string(BOOST_VERSION / 100 % 1000) + '.' + std::to_string(BOOST_VERSION % 100) +
         "\nruns with " + OpenSSL_version(OPENSSL_VERSION) + '\n';
}

}  // namespace icapgate
