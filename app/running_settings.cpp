#include "running_settings.hpp"

#include "base/credentials.hpp"
#include "base/log.hpp"
#include "icap/profile.hpp"
#include "proxy/tls.hpp"
#include "proxy/tls_server.hpp"

#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace icapgate {
namespace {

// Routes may have the same ones.
void add_once(std::vector<std::string>& problems, std::string text) {
  if (std::ranges::find(problems, text) == problems.end()) problems.push_back(std::move(text));
}

// A scanner's address may leave out the service where its vendor has a usual one.
void complete_scanners(config& values, std::vector<std::string>& problems) {
  const auto* vendor = icap::find_profile(values.vendor);
  const auto complete = [&](std::vector<url>& list) {
    for (auto& one : list)
      if (vendor && !icap::complete_path(*vendor, one.path))
        add_once(problems, one.to_string() + ": names no service, and vendor \"" + values.vendor +
                               "\" has no usual one; a scanner is icap://HOST[:PORT]/SERVICE, such "
                               "as icap://scanner:1344/avscan (or name its vendor)");
  };
  for (auto& route : values.routes) {
    complete(route.scanners.servers);
    complete(route.scanners.standby);
  }
}

// What the settings name and only OpenSSL or the file can tell about.
void check_secrets(config& values, std::vector<std::string>& problems) {
  std::string why;
  if (!read_credentials(values, why)) problems.push_back(why);
  for (const auto& [one, standby] : distinct_scanners(values.routes))
    if (one.secured() && !proxy::tls_client::make(values.scanner_tls, one.host, why))
      problems.push_back(one.to_string() + ": " + why);
}

void check_tls(const config& values, std::vector<std::string>& problems) {
  std::string why;
  const auto check = [&](const url& origin) {
    if (origin.secured() && !proxy::tls_client::make(values.origin_tls, origin.host, why))
      problems.push_back(origin.to_string() + ": " + why);
  };
  for (const auto& origin : values.origins) check(origin);
  for (const auto& route : values.routes)
    for (const auto& origin : route.origins) check(origin);
  for (const auto& l : values.listeners)
    if (l.tls.wanted() && !proxy::tls_server::make(l.tls, why))
      problems.push_back("TLS for clients of " + l.name + ": " + why);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text(*variable);
    const auto equals = text.find('=');
    if (equals == text.npos) continue;
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

settings read_settings(const command_line& line) {
  settings all = load_settings({line.flags, environment()});
  all.problems.insert(all.problems.begin(), line.problems.begin(), line.problems.end());
  if (all.problems.empty()) complete_scanners(all.values, all.problems);
  if (all.problems.empty()) check_secrets(all.values, all.problems);
  if (all.problems.empty()) check_tls(all.values, all.problems);
  return all;
}

running_settings::running_settings(const command_line& line, settings first)
    : line_(line), now_(std::move(first)) {}

std::optional<config> running_settings::read_again() {
  settings next = read_settings(line_);
  if (scanner_ && next.values.embedded_sha256 != now_.values.embedded_sha256)
    next.problems.emplace_back("embedded.sha256 can't be changed without a restart");
  for (const auto& text : next.problems) log::error("reload: ", text);
  if (!next.problems.empty()) return std::nullopt;
  for (const auto& text : next.warnings) log::warn("reload: ", text);
  next_ = std::move(next);
  return complete(next_->values);
}

void running_settings::adopted() {
  for (const auto& text : differences(now_, *next_)) log::info("reload: ", text);
  log::set_level(next_->values.log_level);
  now_ = std::move(*next_);
}

config running_settings::complete(config values) {
  for (auto& route : values.routes) {
    if (!route.scanners.embedded) continue;
    if (!scanner_) scanner_.emplace(values.embedded_sha256);
    route.scanners.servers.push_back({"icap", "127.0.0.1", scanner_->port(), "/avscan"});
  }
  return values;
}

}  // namespace icapgate
