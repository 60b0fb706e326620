// Questions to DNS servers and the hosts file: c-ares on an event loop. The only part that knows
// c-ares.
#pragma once

#include "base/config.hpp"
#include "base/srv.hpp"
#include "proxy/io.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct ares_channeldata;

namespace icapgate::proxy {

// What one look-up came to.
struct dns_answer {
  std::string trouble;                       // for a person; empty: something was found
  bool unanswered = false;                   // nothing that makes sense came from any server
  std::vector<asio::ip::address> addresses;  // of a host, those to prefer (RFC 6724) first
  std::vector<srv_target> targets;           // of a service
  std::chrono::seconds ttl{0};
};

// One thread only: that of the loop.
class dns_channel {
 public:
  // Addresses of one name that are kept; of more, the first.
  static constexpr std::size_t most_addresses = 64;
  // Questions to one server until it is given up.
  static constexpr int tries = 3;

  using handler = std::function<void(dns_answer)>;

  // `resolv_conf`: where the servers are named, unless the settings name some, and the domains to
  // search; read once.
  dns_channel(asio::io_context& context, const dns_settings& settings,
              const std::string& resolv_conf);
  // The handlers of what is still asked are not called. Not to be destroyed by a handler.
  ~dns_channel();
  dns_channel(const dns_channel&) = delete;
  dns_channel& operator=(const dns_channel&) = delete;

  // Calls the handler once, perhaps before this returns.
  void find_addresses(const std::string& host, handler then);
  void find_targets(const std::string& service, handler then);

  bool is_idle() const { return asked_ == 0; }

 private:
  struct watched;
  struct question;

  static void on_state(void* self, int socket, int readable, int writable);
  void watch(int socket, bool readable, bool writable);
  void wait(const std::shared_ptr<watched>& one);
  void process(int readable, int writable);
  void arm_timer();
  question* ask(handler then);
  static void answer(question* asked, dns_answer found);

  asio::io_context& context_;
  asio::steady_timer timer_;
  ares_channeldata* channel_ = nullptr;
  std::string trouble_;  // why there is none
  std::map<int, std::shared_ptr<watched>> sockets_;
  std::size_t asked_ = 0;
  bool ending_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace icapgate::proxy
