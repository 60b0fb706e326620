// From names to addresses, kept as long as DNS says.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "proxy/deadline.hpp"
#include "proxy/dns_channel.hpp"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace icapgate::proxy {

enum class dns_status { found, failed, timed_out };

// The names of one event loop; one thread only: that of the loop.
//
// An answer is used as long as its TTL says, within the settings' bounds. Then the next one who
// wants it asks anew, and whoever comes meanwhile waits for the same answer. A look-up that fails
// leaves the last good answer in use, however old that is; for a second nobody asks again.
class resolver {
 public:
  static constexpr milliseconds failure_is_kept{1'000};
  // How long a new answer is waited for where there is an old one; after a failure not at all.
  static constexpr milliseconds patience{500};
  // Names in memory at once; of more, the ones that nobody wanted for the longest time are dropped.
  static constexpr std::size_t most_names = 1000;

  using time_source = clock::time_point (*)();

  resolver(asio::io_context& context, deadlines& all, const dns_settings& settings,
           dns_metrics& metrics, time_source now = clock::now,
           std::string resolv_conf = "/etc/resolv.conf");
  ~resolver();
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  // The addresses of a host, at most 64, by RFC 6724. `timeout`: for this caller; the look-up goes
  // on. 0: as long as it takes, which is some seconds for each server.
  task<dns_status> find(const std::string& host, milliseconds timeout,
                        std::vector<asio::ip::address>& out);
  // The hosts of a service, at most 64, in an order that chance has a part in (RFC 2782).
  task<dns_status> find_service(const std::string& name, milliseconds timeout,
                                std::vector<srv_target>& out);

  // From now on; what is known stays so for its time.
  void use(const dns_settings& settings);

  // Whoever waits is told of a failure, and nothing is asked any more: the loop runs out of this
  // one's work.
  void stop();

 private:
  enum class kind : bool { host, service };
  using key = std::pair<kind, std::string>;
  class waiter;
  struct entry;
  struct file_state;

  task<dns_status> look(key wanted, milliseconds timeout, dns_answer& out);
  const std::shared_ptr<entry>& entry_of(const key& wanted);
  void drop_one();
  void start(const key& wanted, const std::shared_ptr<entry>& one);
  void ended(const key& wanted, entry& one, dns_answer found);
  dns_channel& channel();

  asio::io_context& context_;
  deadlines& all_;
  dns_settings settings_;
  dns_metrics& metrics_;
  const time_source now_;
  const std::string resolv_conf_;
  std::map<key, std::shared_ptr<entry>> entries_;
  std::unique_ptr<file_state> read_;  // resolv.conf, when the channel was opened
  std::unique_ptr<dns_channel> channel_;
  std::vector<std::unique_ptr<dns_channel>> old_;  // until their last answer
  std::minstd_rand random_;
  bool renew_ = false;  // the channel, before it is used again
  bool stopped_ = false;
};

// As connections should try them: those of the first one's family, beginning at another one for
// each `turn`, then the rest.
std::vector<asio::ip::address> in_turn(std::vector<asio::ip::address> addresses, std::size_t turn);

}  // namespace icapgate::proxy
