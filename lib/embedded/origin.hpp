// The demo's origin: a tiny HTTP server on loopback with a clean file, EICAR and a large file.
#pragma once

#include <cstdint>
#include <memory>

namespace icapgate::embedded {

class origin {
 public:
  // Listens on a free port of 127.0.0.1, in a thread of its own. `large_size`: bytes of /large.bin,
  // which is made while it is sent and is the same each time. Throws boost::system::system_error
  // when it can't listen.
  explicit origin(std::uint64_t large_size);
  ~origin();

  std::uint16_t port() const;

  // Closes the listener and all connections. Can be called again.
  void stop();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace icapgate::embedded
