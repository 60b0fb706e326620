#include "proxy/reload.hpp"

#include "base/log.hpp"
#include "proxy/connector.hpp"

#include <utility>

namespace icapgate::proxy {
namespace {

template <class T>
void keep(T& next, const T& now, std::string_view key) {
  if (next == now) return;
  next = now;
  log::warn("reload: ", key, " stays as it was until the next start");
}

}  // namespace

std::shared_ptr<const generation> make_generation(config settings, const generation* before) {
  auto scanners = make_scanners(settings, before ? before->scanners : scanner_list());
  std::map<std::string, std::shared_ptr<tls_client>> origin_tls;
  for (const auto& one : distinct_origins(settings.routes))
    if (one.secured()) origin_tls.emplace(one.to_string(), tls_for(one, settings.origin_tls));
  return std::make_shared<const generation>(
      generation{std::move(settings), std::move(scanners), std::move(origin_tls)});
}

void keep_what_stays(config& next, const config& now) {
  keep(next.workers, now.workers, "workers");
  keep(next.admin, now.admin, "admin.address");
  keep(next.access_log, now.access_log, "log.access.to");
}

}  // namespace icapgate::proxy
