#include "proxy/resolver.hpp"

#include "base/log.hpp"

#include <boost/asio/steady_timer.hpp>

#include <sys/stat.h>

#include <algorithm>

namespace icapgate::proxy {

// What is known of one name.
struct resolver::entry {
  bool is_fresh(clock::time_point now) const { return now < fresh_until; }

  dns_answer good;     // the last that was one
  bool known = false;  // there was one
  bool failing = false;
  bool running = false;
  clock::time_point fresh_until{};  // of the answer, or of the failure
  clock::time_point wanted_at{};
  std::vector<waiter*> waiting;
};

// Whether the file is still the one that was read.
struct resolver::file_state {
  explicit file_state(const std::string& path) {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return;
    inode = found.st_ino;
    size = found.st_size;
    seconds = found.st_mtim.tv_sec;
    nanoseconds = found.st_mtim.tv_nsec;
  }
  bool operator==(const file_state&) const = default;

  ino_t inode = 0;
  off_t size = 0;
  time_t seconds = 0;
  long nanoseconds = 0;
};

// Waits for a look-up, no longer than its deadline.
class resolver::waiter final : public deadline {
 public:
  waiter(deadlines& all, asio::io_context& context, std::shared_ptr<entry> on)
      : deadline(all), wake_(context, clock::time_point::max()), on_(std::move(on)) {
    on_->waiting.push_back(this);
  }
  ~waiter() override { std::erase(on_->waiting, this); }

  task<void> wait() {
    if (on_->running && !expired()) co_await wake_.async_wait(use_op);
  }
  void wake() { wake_.cancel(); }

 private:
  void on_expired() override { wake(); }

  asio::steady_timer wake_;
  std::shared_ptr<entry> on_;
};

resolver::resolver(asio::io_context& context, deadlines& all, const dns_settings& settings,
                   dns_metrics& metrics, time_source now, std::string resolv_conf)
    : context_(context),
      all_(all),
      settings_(settings),
      metrics_(metrics),
      now_(now),
      resolv_conf_(std::move(resolv_conf)),
      random_(std::random_device{}()) {}

resolver::~resolver() = default;

task<dns_status> resolver::find(const std::string& host, milliseconds timeout,
                                std::vector<asio::ip::address>& out) {
  dns_answer found;
  const auto status = co_await look({kind::host, host}, timeout, found);
  out = std::move(found.addresses);
  co_return status;
}

task<dns_status> resolver::find_service(const std::string& name, milliseconds timeout,
                                        std::vector<srv_target>& out) {
  dns_answer found;
  const auto status = co_await look({kind::service, name}, timeout, found);
  out = std::move(found.targets);
  order_targets(out, [this](std::uint32_t most) {
    return std::uniform_int_distribution<std::uint32_t>(0, most)(random_);
  });
  co_return status;
}

task<dns_status> resolver::look(key wanted, milliseconds timeout, dns_answer& out) {
  const auto one = entry_of(wanted);
  one->wanted_at = now_();
  if (one->is_fresh(one->wanted_at))
    metrics_.cache_hits.add();
  else if (!one->running && !stopped_)
    start(wanted, one);
  // Behind a server that keeps silent nobody waits twice.
  if (one->running && !(one->known && one->failing)) {
    if (one->known) timeout = timeout.count() == 0 ? patience : std::min(timeout, patience);
    waiter here(all_, context_, one);
    here.expires_after(timeout);
    co_await here.wait();
  }
  if (one->known) out = one->good;
  if (one->known) co_return dns_status::found;
  co_return one->running ? dns_status::timed_out : dns_status::failed;
}

const std::shared_ptr<resolver::entry>& resolver::entry_of(const key& wanted) {
  if (entries_.size() >= most_names && !entries_.contains(wanted)) drop_one();
  auto& one = entries_[wanted];
  if (!one) one = std::make_shared<entry>();
  return one;
}

void resolver::drop_one() {
  entries_.erase(std::ranges::min_element(entries_, {},
                                          [](const auto& one) { return one.second->wanted_at; }));
}

void resolver::start(const key& wanted, const std::shared_ptr<entry>& one) {
  metrics_.lookups.add();
  one->running = true;
  auto& to = channel();
  const auto then = [this, wanted, one](dns_answer found) {
    ended(wanted, *one, std::move(found));
  };
  if (wanted.first == kind::host)
    to.find_addresses(wanted.second, then);
  else
    to.find_targets(wanted.second, then);
}

void resolver::ended(const key& wanted, entry& one, dns_answer found) {
  const auto now = now_();
  one.running = false;
  if (found.trouble.empty()) {
    if (one.failing) log::info("DNS: ", wanted.second, " is known again");
    one.fresh_until =
        now + std::clamp<milliseconds>(found.ttl, settings_.ttl_min, settings_.ttl_max);
    one.good = std::move(found);
    one.known = true;
    one.failing = false;
  } else {
    metrics_.failures.add();
    renew_ = renew_ || found.unanswered;
    if (!one.failing)
      log::warn("DNS: ", wanted.second, " could not be looked up: ", found.trouble,
                one.known ? "; the last answer stays in use" : "");
    one.fresh_until = now + failure_is_kept;
    one.failing = true;
  }
  for (auto* waiting : one.waiting) waiting->wake();
}

// A new one for other servers or domains; what was asked before is left to the old one. And for new
// sockets after servers kept silent: c-ares 1.34 takes no more answers from one on which an empty
// datagram came.
dns_channel& resolver::channel() {
  std::erase_if(old_, [](const auto& one) { return one->is_idle(); });
  const file_state now(resolv_conf_);
  if (channel_ && *read_ == now && !renew_) return *channel_;
  if (channel_ && *read_ != now) log::info("DNS: ", resolv_conf_, " has changed");
  if (channel_) old_.push_back(std::move(channel_));
  renew_ = false;
  read_ = std::make_unique<file_state>(now);
  channel_ = std::make_unique<dns_channel>(context_, settings_, resolv_conf_);
  return *channel_;
}

void resolver::use(const dns_settings& settings) {
  renew_ = renew_ || settings != settings_;
  settings_ = settings;
}

void resolver::stop() {
  stopped_ = true;
  channel_.reset();
  old_.clear();
  for (auto& [wanted, one] : entries_) {
    one->running = false;
    for (auto* waiting : one->waiting) waiting->wake();
  }
}

std::vector<asio::ip::address> in_turn(std::vector<asio::ip::address> addresses, std::size_t turn) {
  if (addresses.empty()) return addresses;
  const auto rest = std::ranges::find_if(
      addresses, [&](const auto& one) { return one.is_v4() != addresses.front().is_v4(); });
  const auto count = rest - addresses.begin();
  // Servers turn their answers as well, and both together would leave some out.
  std::sort(addresses.begin(), rest);
  std::rotate(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(turn) % count,
              rest);
  return addresses;
}

}  // namespace icapgate::proxy
