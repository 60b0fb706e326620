#include "base/options.hpp"
#include "base/units.hpp"
#include "doctor/doctor.hpp"

#include <algorithm>
#include <utility>

namespace icapgate::doctor {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;
// What the numbers of a zip archive without extensions can hold.
constexpr std::uint64_t largest_file = 4095 * mebibyte;

std::string read_vendor(const std::string& typed, const std::string& set, order& out) {
  const auto& name = typed.empty() ? set : typed;
  out.vendor = icap::find_profile(name);
  out.vendor_named = !typed.empty() || out.vendor != icap::profiles().data();
  if (out.vendor) return {};
  std::string names;
  for (const auto& row : icap::profiles()) (names += ' ') += row.name;
  return "--vendor: " + in_quotes(name) + " is none of:" + names;
}

std::vector<listed_scanner> scanners_in(const config& settings) {
  std::vector<route> all(1);
  all[0].scanners = settings.scanners;
  all.insert(all.end(), settings.routes.begin(), settings.routes.end());
  return distinct_scanners(all);
}

std::string read_scanner(const std::string& typed, const std::vector<listed_scanner>& set,
                         order& out) {
  if (typed.empty() && set.empty())
    return "no scanner named; try: icapgate doctor icap://HOST:1344/SERVICE";
  const auto text = typed.empty() ? set.front().address.to_string() : typed;
  std::string why;
  if (!parse_url(text, out.scanner, why)) return in_quotes(text) + ' ' + why;
  if (!out.scanner.scheme.starts_with("icap"))
    return in_quotes(text) + " is no icap:// or icaps:// URL";
  if (!out.vendor || icap::complete_path(*out.vendor, out.scanner.path)) return {};
  return in_quotes(text) + " names no service; try: " + text + (text.ends_with('/') ? "" : "/") +
         "avscan, or --vendor NAME";
}

}  // namespace

std::vector<std::string> read_order(const arguments& from, const config& settings, order& out) {
  std::vector<std::string> problems;
  const auto add = [&](std::string problem) {
    if (!problem.empty()) problems.push_back(std::move(problem));
  };
  add(read_vendor(from.vendor, settings.vendor, out));
  add(read_scanner(from.scanner, scanners_in(settings), out));
  out.tls = settings.scanner_tls;
  out.dns = settings.dns;
  if (!from.ca.empty()) out.tls.ca = from.ca;
  out.user = settings.scanner_user;
  out.password_file = settings.scanner_password_file;
  out.authorization = settings.scanner_authorization;
  out.ladder = from.ladder;
  if (!from.ca.empty() && !out.scanner.secured()) add("--ca is for icaps://");
  const auto& timeout = from.timeout;
  if (!timeout.empty() && (!parse_duration(timeout, out.timeout) || out.timeout.count() == 0))
    add("--timeout: " + in_quotes(timeout) + " is no time like 500ms, 30s or 2m");
  const auto& size = from.max_size;
  if (!size.empty() &&
      (!parse_size(size, out.max_size) || out.max_size < mebibyte || out.max_size > largest_file))
    add("--max-size: " + in_quotes(size) + " is no size from 1MiB to 4095MiB");
  if (!size.empty() && !from.ladder) add("--max-size is for --ladder");
  return problems;
}

std::vector<std::string> read_orders(const arguments& from, const config& settings,
                                     std::vector<order>& out) {
  auto named = scanners_in(settings);
  if (!from.scanner.empty() || named.empty()) return read_order(from, settings, out.emplace_back());
  const auto has_tls = [](const listed_scanner& one) { return one.address.scheme == "icaps"; };
  const bool some_tls = std::ranges::any_of(named, has_tls);
  std::vector<std::string> problems;
  for (const auto& one : named) {
    auto typed = from;
    typed.scanner = one.address.to_string();
    if (some_tls && !has_tls(one)) typed.ca.clear();
    for (auto& problem : read_order(typed, settings, out.emplace_back()))
      if (std::ranges::find(problems, problem) == problems.end())
        problems.push_back(std::move(problem));
  }
  return problems;
}

}  // namespace icapgate::doctor
