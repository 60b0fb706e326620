// The demo's own HTTP client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate {

struct fetched {
  unsigned status = 0;      // 0: no response head came
  std::uint64_t bytes = 0;  // of the body
  std::string sha256;       // of the body
  std::string beginning;    // the body's first few KiB
  std::string error;        // why the response is not whole; empty if it is
};

// GET http://127.0.0.1:<port><target> on a connection of its own. Blocks; gives up after a minute.
fetched fetch(std::uint16_t port, std::string_view target);

}  // namespace icapgate
