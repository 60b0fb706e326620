// Waits for the readiness of sockets, as streams have them.
#include "proxy/poller.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace icapgate;
using namespace std::chrono_literals;
using proxy::first_of;
using proxy::task;

namespace {

using trace = std::vector<std::string>;

// Writes until the socket is full.
void fill(proxy::stream& to) {
  const std::string much(1 << 20, 'x');
  proxy::const_buffers out;
  out.push(std::string_view(much));
  while (to.try_write(out).status == io_status::ok) continue;
}

// Takes `bytes` at most.
std::size_t drain(int from, std::size_t bytes) {
  std::string taken(bytes, '\0');
  const auto got = ::recv(from, taken.data(), taken.size(), MSG_DONTWAIT);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

std::string read(proxy::stream& from, std::size_t bytes) {
  std::string into(bytes, '\0');
  const auto got = from.try_read(asio::buffer(into));
  into.resize(got.status == io_status::ok ? got.bytes : 0);
  return into;
}

// Runs what is due now.
void settle(test::wire& w) {
  w.context().restart();
  while (w.context().poll() > 0) w.context().restart();
}

// Tells `word` once the stream is ready.
task<void> tell_when_readable(proxy::stream& one, trace& told, std::string word) {
  co_await one.wait_readable();
  told.push_back(std::move(word));
}

task<void> tell_when_writable(proxy::stream& one, trace& told, std::string word) {
  co_await one.wait_writable();
  told.push_back(std::move(word));
}

}  // namespace

TEST_CASE("poller: bytes that are left unread are not waited for again") {
  test::wire w;
  trace told;
  w.send("abcdef");
  CHECK(read(w.stream(), 2) == "ab");
  start(w.context(), tell_when_readable(w.stream(), told, "more"), proxy::unwatched);
  settle(w);
  CHECK(told == trace{"more"});
  CHECK(read(w.stream(), 100) == "cdef");
  start(w.context(), tell_when_readable(w.stream(), told, "new"), proxy::unwatched);
  settle(w);
  CHECK(told == trace{"more"});
  w.send("g");
  settle(w);
  CHECK(told == trace{"more", "new"});
}

TEST_CASE("poller: an end that came together with the last bytes is seen") {
  test::wire w;
  trace told;
  w.send("last");
  w.hang_up();
  start(w.context(), tell_when_readable(w.stream(), told, "bytes"), proxy::unwatched);
  settle(w);
  CHECK(read(w.stream(), 100) == "last");
  start(w.context(), tell_when_readable(w.stream(), told, "end"), proxy::unwatched);
  settle(w);
  CHECK(told == trace{"bytes", "end"});
  CHECK(read(w.stream(), 100).empty());
}

TEST_CASE("poller: a peer that sends no more may still be too slow to write to") {
  test::wire w;
  trace told;
  ::shutdown(w.peer(), SHUT_WR);
  fill(w.stream());
  start(w.context(), tell_when_writable(w.stream(), told, "room"), proxy::unwatched);
  settle(w);
  CHECK(told.empty());  // and the loop does not turn for nothing: settle() came back
  while (drain(w.peer(), 1 << 20) > 0) continue;
  settle(w);
  CHECK(told == trace{"room"});
}

TEST_CASE("poller: of two streams whichever is ready ends the wait, once") {
  test::wire a, b;
  trace told;
  proxy::stream other(proxy::descriptor(::dup(b.stream().number())), a.all());
  const auto wait = [&]() -> task<void> {
    co_await first_of(a.stream().readable(), other.readable());
    told.emplace_back("one");
    co_await first_of(a.stream().readable(), other.readable());
    told.emplace_back("two");
  };
  start(a.context(), wait(), proxy::unwatched);
  settle(a);
  CHECK(told.empty());
  b.send("x");
  settle(a);
  CHECK(told.front() == "one");
  CHECK(read(other, 100) == "x");
  a.send("y");
  settle(a);
  CHECK(told == trace{"one", "two"});
}

TEST_CASE("poller: transfers that are always ready let others have their turn") {
  test::wire w;
  trace told;
  int turns = 0;
  const auto busy = [&]() -> task<void> {
    for (; told.size() < 2; ++turns) co_await w.stream().wait_writable();
  };
  start(w.context(), busy(), proxy::unwatched);
  asio::post(w.context(), [&] { told.emplace_back("posted"); });
  asio::steady_timer soon(w.context(), 1ms);
  soon.async_wait([&](const boost::system::error_code&) { told.emplace_back("timer"); });
  w.context().run();
  CHECK(told == trace{"posted", "timer"});
  CHECK(turns > 1);
}

TEST_CASE("poller: who waits for a stream that is closed goes on") {
  test::wire w;
  trace told;
  start(w.context(), tell_when_readable(w.stream(), told, "closed"), proxy::unwatched);
  settle(w);
  w.stream().reset();
  settle(w);
  CHECK(told == trace{"closed"});
}

TEST_CASE("poller: who waits for a stream that is destroyed goes on") {
  const bool first = GENERATE(true, false);
  test::wire w;
  trace told;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const proxy::descriptor peer(ends[1]);
  auto gone = std::make_unique<proxy::stream>(proxy::descriptor(ends[0]), w.all());
  const auto wait = [&](proxy::stream_event one, proxy::stream_event other) -> task<void> {
    const auto ready = co_await first_of(one, other);
    told.emplace_back(ready == io_status::ok ? "ok" : "gone");
  };
  const auto it = gone->readable(), stays = w.stream().readable();
  start(w.context(), first ? wait(it, stays) : wait(stays, it), proxy::unwatched);
  settle(w);
  CHECK(told.empty());
  gone.reset();
  settle(w);
  CHECK(told == trace{first ? "gone" : "ok"});
}

TEST_CASE("poller: the loop ends once nobody waits any more") {
  test::wire w;
  trace told;
  proxy::cancellation cancel;
  start(w.context(), tell_when_readable(w.stream(), told, "ready"), proxy::unwatched, &cancel);
  settle(w);
  cancel.emit();
  w.context().restart();
  w.context().run();
  CHECK(told.empty());
  // And it waits again for who comes after it.
  cancel.reset();
  start(w.context(), tell_when_readable(w.stream(), told, "ready"), proxy::unwatched, &cancel);
  w.send("x");
  w.context().restart();
  w.context().run();
  CHECK(told == trace{"ready"});
}

TEST_CASE("poller: where the event loop ends, those who wait end with it") {
  struct witness {
    ~witness() { gone = true; }
    bool& gone;
  };
  bool gone = false, went_on = false;
  {
    test::wire w;
    const auto wait = [&]() -> task<void> {
      const witness here{gone};
      co_await w.stream().wait_readable();
      went_on = true;
    };
    start(w.context(), wait(), proxy::unwatched);
    settle(w);
    CHECK_FALSE(gone);
  }
  CHECK(gone);
  CHECK_FALSE(went_on);
}

TEST_CASE("poller: two that wait for the same both go on") {
  test::wire w;
  trace told;
  start(w.context(), tell_when_readable(w.stream(), told, "one"), proxy::unwatched);
  start(w.context(), tell_when_readable(w.stream(), told, "other"), proxy::unwatched);
  settle(w);
  CHECK(told.empty());
  w.send("x");
  settle(w);
  CHECK(told == trace{"one", "other"});

  CHECK(read(w.stream(), 100) == "x");
  start(w.context(), tell_when_readable(w.stream(), told, "late"), proxy::unwatched);
  start(w.context(), tell_when_readable(w.stream(), told, "later"), proxy::unwatched);
  settle(w);
  w.stream().expire_now();
  settle(w);
  CHECK(told == trace{"one", "other", "late", "later"});
}
