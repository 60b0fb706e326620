// The scanner inside the program: an ICAP server on loopback that knows the EICAR test string and
// the SHA-256s that the user lists. For trying and testing; it is not an antivirus.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace icapgate::embedded {

class scanner {
 public:
  // Listens on a free port of 127.0.0.1, in a thread of its own, and logs a warning that this is no
  // antivirus. `blocked_sha256`: lower-case hex, 64 digits each. Throws boost::system::system_error
  // when it can't listen.
  explicit scanner(std::vector<std::string> blocked_sha256);
  ~scanner();

  std::uint16_t port() const;

  // Closes the listener and all connections: from now on it is a scanner in trouble. Can be called
  // again.
  void stop();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace icapgate::embedded
