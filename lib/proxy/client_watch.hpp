// Sees that a client left while nothing is read from it nor written to it, and that a request has
// taken all the time that it may.
#pragma once

#include "proxy/cancellation.hpp"
#include "proxy/deadline.hpp"
#include "proxy/stream.hpp"

namespace icapgate::proxy {

// Worker thread only; belongs to a session. While it is on, it looks at the client's socket now and
// then, which costs one system call and works in front of bytes that nobody reads yet. When the
// client has ended its sending half, the session's coroutine is cancelled: what it waits for ends,
// which throws, and all that it owns closes on the way out.
class client_watch final : public deadline {
 public:
  static constexpr milliseconds interval{500};

  // `cancel` belongs to the session's coroutine; nullptr: it is only noted that the client left.
  client_watch(deadlines& all, stream& client, cancellation* cancel)
      : deadline(all), client_(client), time_(all, cancel), cancel_(cancel) {}

  // A wait for a peer during which the client is watched.
  class guard {
   public:
    explicit guard(client_watch& on) : on_(on) { on_.begin(); }
    ~guard() { on_.end(); }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;

   private:
    client_watch& on_;
  };

  bool client_left() const { return left_; }

  // One request, which may take `longest` in all (0: any time): then the session's coroutine is
  // cancelled as well.
  class request {
   public:
    request(client_watch& on, milliseconds longest) : on_(on) { on_.time_.begin(longest); }
    ~request() { on_.time_.end(); }
    request(const request&) = delete;
    request& operator=(const request&) = delete;

   private:
    client_watch& on_;
  };

  // This one has no end that could be waited for.
  void allow_any_time() { time_.end(); }
  bool is_time_over() const { return time_.is_over(); }

 private:
  class request_time final : public deadline {
   public:
    request_time(deadlines& all, cancellation* cancel) : deadline(all), cancel_(cancel) {}
    void begin(milliseconds longest);
    void end();
    bool is_over() const { return over_; }

   private:
    void on_expired() override;

    cancellation* cancel_;
    clock::time_point end_ = clock::time_point::max();
    bool over_ = false;
  };

  void begin();
  void end();
  void on_expired() override;

  stream& client_;
  request_time time_;
  cancellation* cancel_;
  bool on_ = false;
  bool left_ = false;
};

}  // namespace icapgate::proxy
