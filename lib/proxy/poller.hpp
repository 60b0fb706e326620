// Which sockets of an event loop are ready: an edge-triggered epoll of our own, which Asio's loop
// waits for as for one more descriptor. A wait costs no system call, where Asio's own costs one.
#pragma once

#include "proxy/task.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/intrusive/list.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <sys/epoll.h>

namespace icapgate::proxy {

enum class io_kind : std::uint8_t { read, write };

class poll_wait;
class poller;

// One socket as the poller knows it. The system tells of changes only: until an attempt on the
// socket has blocked, it counts as ready. Its loop's thread only.
class polled {
 public:
  explicit polled(poller& by) : by_(by) {}
  ~polled();
  polled(const polled&) = delete;
  polled& operator=(const polled&) = delete;

  // An open socket whose connecting has begun at least. Until closed().
  void watch(int socket);
  // The socket is being closed: whoever waits for it goes on.
  void closed();

  // An attempt has blocked, or has taken all that there was.
  void exhausted(io_kind what) { at(what).blocked = !at(what).ended; }
  bool is_ready(io_kind what) const { return !at(what).blocked; }
  // Whoever waits for it goes on, soon.
  void wake(io_kind what);

 private:
  friend poll_wait;
  friend poller;

  // One thing that a coroutine waits for.
  struct slot : boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    explicit slot(polled* its_socket = nullptr, io_kind its_kind = io_kind::read)
        : on(its_socket), what(its_kind) {}
    polled* on;  // none, or gone
    io_kind what;
    poll_wait* who = nullptr;
  };
  // Reading and writing may wait for the same: with TLS either can need either.
  struct side {
    boost::intrusive::list<slot, boost::intrusive::constant_time_size<false>> waiting;
    bool blocked = false;
    bool ended = false;  // no attempt will block again
  };

  side& at(io_kind what) { return sides_[static_cast<std::size_t>(what)]; }
  const side& at(io_kind what) const { return sides_[static_cast<std::size_t>(what)]; }
  void note(std::uint32_t events);
  void expect(io_kind what);
  void set(int operation, std::uint32_t events);
  void end();

  poller& by_;
  int socket_ = -1;
  bool expects_room_ = false;
  std::array<side, 2> sides_;
};

using poll_hook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<poller>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// A coroutine that waits until one of up to two things is ready, or it is woken. On its frame.
class poll_wait : public cancellation::listener, public poll_hook {
 public:
  using is_waitable = void;

  poll_wait(polled& on, io_kind what) : slots_{slot(&on, what), slot()} {}
  poll_wait(polled& a, io_kind of_a, polled& b, io_kind of_b)
      : slots_{slot(&a, of_a), slot(&b, of_b)} {}
  ~poll_wait() { leave(); }
  poll_wait(const poll_wait&) = delete;
  poll_wait& operator=(const poll_wait&) = delete;

  bool await_ready() const { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    begin(waiting, *waiting.promise().of);
  }
  void await_resume() const {
    if (of_ && of_->is_cancelled()) detail::throw_cancelled();
  }

 protected:
  // The first of what is waited for has not been destroyed meanwhile.
  bool is_there() const { return slots_[0].on != nullptr; }

 private:
  friend polled;
  friend poller;

  using slot = polled::slot;

  void begin(std::coroutine_handle<> waiting, chain& of);
  void stop() override;
  void leave();

  std::array<slot, 2> slots_;
  std::coroutine_handle<> waiting_;
  chain* of_ = nullptr;
  poller* by_ = nullptr;
};

class poller final : public asio::execution_context::service {
 public:
  static asio::execution_context::id id;

  explicit poller(asio::io_context& context);
  // The one of this event loop; made where there is none yet.
  static poller& of(asio::io_context& context) { return asio::use_service<poller>(context); }

 private:
  friend polled;
  friend poll_wait;
  using wait_list = boost::intrusive::list<poll_wait, boost::intrusive::base_hook<poll_hook>,
                                           boost::intrusive::constant_time_size<false>>;

  void shutdown() override;
  void add(poll_wait& one, bool is_ready);
  void ready(poll_wait& one);
  void left();
  void run();
  void collect();
  void resume_ready();
  void look_again();
  void arm();
  void schedule();

  asio::io_context& context_;
  asio::posix::stream_descriptor epoll_;
  wait_list waiting_, ready_;
  std::array<epoll_event, 128> events_;
  bool running_ = false;
  bool armed_ = false;      // Asio's loop looks at epoll_
  bool scheduled_ = false;  // run() stands in its queue
};

}  // namespace icapgate::proxy
