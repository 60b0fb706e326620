#include "proxy/monitor.hpp"

#include <string>

namespace icapgate::proxy {
namespace {

// One client could else ask faster than scanners scan, and fill the process with copies.
constexpr std::size_t max_monitored = 256;  // per worker

// What is left of a transaction once the client has been served.
struct monitored_scan {
  std::unique_ptr<inspection> copy;
  access_record record;
  errc reason;
  std::string request_id, client, method, target;
};

task<void> run(std::shared_ptr<worker_resources> resources, monitored_scan one) {
  auto& record = one.record;
  record.request_id = one.request_id;
  record.client = one.client;
  record.method = one.method;
  record.target = one.target;
  co_await one.copy->run();
  describe_scan(record, *one.copy);
  resources->core.account(record, one.reason);
}

}  // namespace

void start_monitored_scan(worker_resources& resources, std::unique_ptr<inspection> copy,
                          const access_record& delivered, errc reason) {
  if (resources.core.background >= max_monitored)
    copy->intake().give_up(errc::icap_acquire_timeout);
  monitored_scan one{std::move(copy),
                     delivered,
                     reason,
                     std::string(delivered.request_id),
                     std::string(delivered.client),
                     std::string(delivered.method),
                     std::string(delivered.target)};
  resources.core.spawn(run(resources.shared_from_this(), std::move(one)));
}

}  // namespace icapgate::proxy
