#include "base/config_checks.hpp"

#include "base/config_file.hpp"
#include "base/units.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace icapgate {
namespace {

constexpr std::size_t largest_template = 65536;

const option* row_of(std::string_view key) {
  return &*std::ranges::find(options(), key, &option::key);
}

// One use: check().
class checker {
 public:
  checker(settings& all, const setting_places& places) : all_(all), places_(places) {}

  void check() {
    check_spool_dir();
    check_spool_room();
    check_hashes();
    check_addresses();
    for (const auto& l : all_.values.listeners) {
      check_proxy_protocol(l);
      check_listen_tls(l);
    }
    read_block_template();
    check_dns();
  }

 private:
  void complain(const std::string& place, const std::string& what) {
    all_.problems.push_back(place + ": " + what);
  }
  void warn(const std::string& place, const std::string& what) { warn_once(all_, place, what); }

  void check_spool_dir() {
    if (all_.values.spool_total_disk == 0) return;
    const auto& dir = all_.values.spool_dir;
    std::error_code failure;
    std::string why;
    if (!std::filesystem::is_directory(dir, failure))
      why = failure ? failure.message() : "not a directory";
    else if (::access(dir.c_str(), W_OK | X_OK) != 0)
      why = std::generic_category().message(errno);
    if (!why.empty())
      complain(places_.of("policy.spool.dir"),
               in_quotes(dir) + " is not a writable directory: " + why);
  }

  // What is to be scanned must fit somewhere, or it fails each time.
  void check_spool_room() {
    const auto& v = all_.values;
    const auto largest = v.scan_policy.max_scan_size;
    if (largest == 0 || largest <= v.spool_total_disk || largest <= v.spool_total_memory) return;
    warn(places_.of("policy.max_scan_size"),
         format_size(largest) + " is more than policy.spool.total_memory and total_disk hold");
  }

  void read_block_template() {
    auto& v = all_.values;
    if (v.block_template == "off") return;
    std::string why;
    auto text = read_whole_file(v.block_template, largest_template, why);
    if (text && text->empty()) why = "is empty";
    if (!why.empty())
      complain(places_.of("policy.block_page.template"), in_quotes(v.block_template) + ' ' + why);
    else
      v.block_template_text = std::move(*text);
  }

  void check_dns() {
    const auto& dns = all_.values.dns;
    if (dns.ttl_min > dns.ttl_max)
      complain(places_.of("dns.ttl_min"), format_duration(dns.ttl_min) +
                                              " is more than dns.ttl_max, " +
                                              format_duration(dns.ttl_max));
  }

  // A list of hashes that nobody looks at would be a protection that isn't there.
  void check_hashes() {
    const auto& routes = all_.values.routes;
    const bool embedded =
        all_.values.scanners.embedded ||
        std::ranges::any_of(routes, [](const route& r) { return r.scanners.embedded; });
    if (!all_.values.embedded_sha256.empty() && !embedded)
      complain(places_.of("embedded.sha256"),
               "only the scanner \"embedded:\" uses this list, and it is not among the scanners");
  }

  // Port 0 is another one each time.
  void check_addresses() {
    const auto& all = all_.values.listeners;
    for (auto one = all.begin(); one != all.end(); ++one) {
      const auto text = one->address.to_string();
      const auto same = [&](const listener& other) { return other.address.to_string() == text; };
      const bool free = one->address.unix_socket.empty() && one->address.port == 0;
      if (!free && std::any_of(all.begin(), one, same))
        complain(places_.of("listen.*.address", *one),
                 in_quotes(text) + " is the address of another listener");
    }
  }

  // Nobody could send what is waited for.
  void check_proxy_protocol(const listener& of) {
    if (of.proxy_protocol && of.trusted_proxies.empty())
      complain(places_.of("listen.*.proxy_protocol", of),
               "only trusted proxies may send it, and trusted_proxies names none");
  }

  // Files that nobody would look at, or that belong to nothing.
  void check_listen_tls(const listener& of) {
    const auto& tls = of.tls;
    if (!tls.keys.empty() && tls.keys.size() != tls.certificates.size())
      complain(places_.of("listen.*.tls.key", of),
               "has to name one key for each certificate, in their order, or none where the keys "
               "stand in the certificates' files");
    if (!tls.wanted() && tls.client_ca != tls_settings::off)
      complain(places_.of("listen.*.tls.client_ca", of),
               "asks clients for certificates, and tls.certificate names none of our own");
    const bool asks = tls.client_ca != tls_settings::off;
    if (!asks && !tls.wants_certificates())
      complain(places_.of("listen.*.tls.client_certificates", of),
               "nobody is asked without client_ca");
    if (!asks && tls.forward_client_cert)
      complain(places_.of("listen.*.tls.forward_client_cert", of),
               "nobody is asked without client_ca");
  }

  settings& all_;
  const setting_places& places_;
};

}  // namespace

std::string setting_places::of(std::string_view key) const {
  const auto found = once.find(row_of(key));
  return found == once.end() ? std::string(key) : found->second;
}

std::string setting_places::of(std::string_view key, const listener& whose) const {
  const auto found = of_listeners.find({whose.name, row_of(key)});
  if (found != of_listeners.end()) return found->second;
  const auto table = of_listeners.find({whose.name, nullptr});
  return table == of_listeners.end() ? "listen." + whose.name : table->second;
}

void warn_once(settings& all, const std::string& place, const std::string& what) {
  auto text = place + ": " + what;
  if (std::ranges::find(all.warnings, text) == all.warnings.end())
    all.warnings.push_back(std::move(text));
}

void check_whole(settings& all, const setting_places& places) {
  checker(all, places).check();
}

}  // namespace icapgate
