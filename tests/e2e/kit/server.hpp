// What every peer that listens has in common: a port, a thread for each connection, and a list of
// what went against the protocol.
#pragma once

#include "kit/tcp.hpp"

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <thread>
#include <vector>

namespace e2e {

// Something that happens once, in one thread, and that others wait for.
class happening {
 public:
  void tell();
  bool told() const;
  // Throws timed_out.
  void wait(std::chrono::milliseconds within = patience) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool told_ = false;
};

class server {
 public:
  // Runs once per connection; the number counts from 0. peer_gone ends it quietly; anything else
  // that it throws is a failure of the play.
  using handler = std::function<void(connection&, int)>;
  // Without a path it listens on a TCP port, else on a unix socket there.
  explicit server(handler serve, const std::string& path = {});
  ~server();

  std::uint16_t port() const { return listener_.port(); }
  int connections() const;
  std::vector<std::string> failures() const;
  void report(const std::string& failure);
  // Ends every connection; new ones are refused.
  void stop();

 private:
  struct visit {
    connection wire;
    std::thread thread;
  };
  void accept_all();
  void serve_one(connection& wire, int number);

  handler serve_;
  listener listener_;
  mutable std::mutex mutex_;
  std::list<visit> visits_;
  std::vector<std::string> failures_;
  bool stopped_ = false;
  std::thread acceptor_;
};

}  // namespace e2e
