// Deadlines without a timer each: a worker looks at all of them ten times a second.
#pragma once

#include "proxy/io.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>

#include <functional>

namespace icapgate::proxy {

class deadlines;

// A point in time after which an operation is given up. Worker thread only; lives no longer than
// its deadlines.
class deadline : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit deadline(deadlines& all);
  virtual ~deadline() = default;
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;

  // From now on; up to two ticks late. Zero: never.
  void expires_after(milliseconds time);
  // When all are looked at next.
  void expires_at_tick();
  // As if the time had come.
  void expire_now();
  bool expired() const { return expired_; }
  // The time at the last tick, which costs nothing.
  clock::time_point now() const;
  asio::io_context& context() const;

 protected:
  // The time has come: whatever waits must be woken.
  virtual void on_expired() = 0;

 private:
  friend class deadlines;
  deadlines& all_;
  clock::time_point at_ = clock::time_point::max();
  bool since_tick_ =
      false;  // set after the last tick, which may be long ago where the loop is late
  bool expired_ = false;
};

// All deadlines of one worker.
class deadlines {
 public:
  static constexpr milliseconds tick{100};

  // `on_tick` is called at each tick, for what else has to be done now and then.
  deadlines(asio::io_context& context, std::function<void()> on_tick);

  // Ticks until stop().
  void start();
  void stop();

  // The time at the last tick.
  clock::time_point now() const { return now_; }
  asio::io_context& context() { return context_; }

  // Expires all that are there and all that will be set.
  void expire_all();
  bool are_over() const { return given_up_; }

 private:
  friend class deadline;
  using list = boost::intrusive::list<deadline, boost::intrusive::constant_time_size<false>>;

  void arm();
  void look(clock::duration late);

  asio::io_context& context_;
  asio::steady_timer timer_;
  std::function<void()> on_tick_;
  clock::time_point now_ = clock::now();
  list all_;
  bool given_up_ = false;
  bool stopped_ = false;
};

}  // namespace icapgate::proxy
