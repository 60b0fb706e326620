// What the whole process knows of one scanner: its options, its load, whether it can be relied on.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "icap/breaker.hpp"
#include "icap/options.hpp"
#include "icap/profile.hpp"
#include "proxy/tls.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace icapgate::proxy {

// One scanner now, for people.
struct scanner_status {
  enum class options { unknown, known, failed };

  scanner_metrics numbers;
  unsigned group = 0;
  bool shut = false;
  icap::breaker::state breaker = icap::breaker::state::closed;
  std::optional<std::chrono::duration<double>> canary_age, options_age;
  options options_state = options::unknown;
  std::string istag, service;
};

// Any thread.
class scanner_state {
 public:
  using clock = icap::breaker::clock;

  // `group`: 0 for the ordinary ones, 1 for those that only stand by, whatever route is asked; for
  // people.
  scanner_state(const url& address, unsigned group, const config& settings,
                std::shared_ptr<tls_client> tls);

  // Whether one that is made of these would differ only in what it learned. With TLS always: files
  // with certificates may hold others by now.
  bool is_made_of(const url& address, unsigned group, const config& settings) const;
  // What another one has learned of the same scanner. Before any other use.
  void learn_from(const scanner_state& before);

  const url& address() const { return address_; }
  const std::string& uri() const { return uri_; }
  const std::string& host() const { return host_; }
  // As it stands in a request.
  const std::string& request_uri() const { return request_uri_; }
  // None for a plain connection.
  const std::shared_ptr<tls_client>& tls() const { return tls_; }
  const icap::profile& vendor() const { return vendor_; }

  // What the scanner said of itself last; what is assumed until it says something.
  std::shared_ptr<const icap::service_options> options() const;
  // Where they don't list RESPMOD (RFC 3507 4.10.2), the scanner is shut until later ones do.
  void set_options(icap::service_options fresh, clock::time_point now);
  // It was asked and did not tell. What it said before stays in use.
  void options_failed();

  // The ISTag of any answer. A change is logged, counted, and makes the next canary due.
  void saw_istag(std::string_view istag);
  // Whether the ISTag changed since this was asked last.
  bool take_istag_change();

  // What a canary showed. Not trusted: the scanner is used only where canaries are not enforced.
  void set_trusted(bool detects, clock::time_point now);
  // By the last canary; nothing before the first.
  std::optional<clock::time_point> probed_at() const;

  // --- load: an exchange begins only with a turn
  // shut: left alone for a while, not trusted, or no service for responses.
  enum class admission { granted, full, shut };
  // Where it is granted, `options` is what options() gives.
  admission begin(clock::time_point now,
                  std::shared_ptr<const icap::service_options>* options = nullptr);
  enum class outcome {
    answered,   // it gave a verdict
    failed,     // it did not
    busy,       // it said so (503, 506): the limit falls to what else is under way
    unrelated,  // others were to blame
  };
  void end(outcome how, clock::time_point now);
  std::size_t in_flight() const;
  // A turn would be granted.
  bool has_room(clock::time_point now) const;
  bool is_shut(clock::time_point now) const;

  // --- connections, idle ones counted: no more at once than the limit, in all workers together
  class open_connection {
   public:
    explicit open_connection(std::shared_ptr<scanner_state> at) : at_(std::move(at)) {}
    open_connection(open_connection&&) = default;
    open_connection& operator=(open_connection&&) = delete;
    ~open_connection() {
      if (at_) at_->closed();
    }

   private:
    std::shared_ptr<scanner_state> at_;
  };
  // False: there are as many as may be. Idle ones should be closed then: room_wanted() is true for
  // a while.
  bool try_open(clock::time_point now);
  bool room_wanted(clock::time_point now) const;
  // For one that is opened before it is needed: while there are fewer than the settings' warm ones,
  // and the scanner is in use.
  bool try_open_warm(clock::time_point now);

  scanner_metrics look(clock::time_point now) const;
  scanner_status status(clock::time_point now) const;

 private:
  bool shut(clock::time_point now) const;
  std::size_t full_limit() const;
  std::size_t limit(clock::time_point now) const;
  void lower_limit(clock::time_point now);
  void closed();

  const url address_;
  const std::string uri_;
  const std::string request_uri_;
  const std::string host_;
  const std::shared_ptr<tls_client> tls_;
  const unsigned group_;
  const icap::profile& vendor_;
  const icap_settings limits_;
  const std::size_t warm_connections_;
  const bool canary_enforced_;
  const bool breaks_;

  mutable std::mutex mutex_;
  std::shared_ptr<const icap::service_options> options_;
  icap::breaker breaker_;
  std::size_t in_flight_ = 0;
  std::size_t open_ = 0;
  // Set while the scanner was busy not long ago: the limit of that moment.
  std::optional<std::size_t> cap_;
  clock::time_point capped_at_{};
  std::uint64_t busy_answers_ = 0;
  clock::time_point room_wanted_until_{};
  std::string istag_;
  std::uint64_t istag_changes_ = 0;
  bool istag_changed_ = false;
  std::optional<clock::time_point> options_at_;  // when it told them last
  bool options_failed_ = false;                  // they could not be had when asked last
  std::optional<clock::time_point> probed_at_;   // by the last canary
  bool detects_ = false;
};

using scanner_list = std::vector<std::shared_ptr<scanner_state>>;

// Threads that serve: as set, or one per core that this process may use.
unsigned worker_count(const config& settings);

// All scanners of all routes, each once however many name it, as distinct_scanners() orders them.
// Those of `before` that would be the same are taken over, and what is known of the others.
scanner_list make_scanners(const config& settings, const scanner_list& before = {});

}  // namespace icapgate::proxy
