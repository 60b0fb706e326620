// Monitor mode: the client has its response; a copy is scanned for the log alone.
#pragma once

#include "proxy/inspection.hpp"

#include <memory>

namespace icapgate::proxy {

// Scans the copy, in the background of the worker, and then writes the access line of the
// transaction: `delivered` tells what the client got, and why that ended. Its texts are copied.
void start_monitored_scan(worker_resources& resources, std::unique_ptr<inspection> copy,
                          const access_record& delivered, errc reason);

}  // namespace icapgate::proxy
