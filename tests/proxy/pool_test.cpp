#include "proxy/pool.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <vector>

using namespace icapgate;
using namespace std::chrono_literals;
using proxy::idle_limit;

namespace {

constexpr proxy::clock::time_point start{1000h};

struct connection {
  std::unique_ptr<proxy::stream> socket;
};

// A pooled connection, and the peer's end of it.
struct pooled {
  std::unique_ptr<connection> it;
  int peer;
};

pooled make(test::wire& w) {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  auto made = std::make_unique<connection>();
  made->socket = std::make_unique<proxy::stream>(proxy::descriptor(ends[0]), w.all());
  return {std::move(made), ends[1]};
}

}  // namespace

TEST_CASE("idle limit: what the settings allow, as long as the peer keeps its connections") {
  idle_limit limit(50s);
  CHECK(limit.now(start) == 50s);
  limit.closed_by_peer(80s, start);
  CHECK(limit.now(start) == 50s);
  idle_limit endless(0ms);
  CHECK(endless.now(start) == 0ms);
}

TEST_CASE("idle limit: three quarters of the age at which the peer closed, one second at least") {
  idle_limit limit(50s);
  limit.closed_by_peer(40s, start);
  CHECK(limit.now(start) == 30s);
  limit.closed_by_peer(8s, start);
  CHECK(limit.now(start) == 6s);
  // Closed later than we would have kept it: nothing new.
  limit.closed_by_peer(20s, start);
  CHECK(limit.now(start) == 6s);
  limit.closed_by_peer(3ms, start);
  CHECK(limit.now(start) == 1s);
  idle_limit endless(0ms);
  endless.closed_by_peer(4s, start);
  CHECK(endless.now(start) == 3s);
  idle_limit tiny(500ms);
  tiny.closed_by_peer(1ms, start);
  CHECK(tiny.now(start) == 500ms);
}

TEST_CASE(
    "idle limit: a lesson is forgotten by a half each minute, up to what the settings allow") {
  idle_limit limit(50s);
  limit.closed_by_peer(16s, start);
  CHECK(limit.now(start + 59s) == 12s);
  CHECK(limit.now(start + 60s) == 18s);
  CHECK(limit.now(start + 119s) == 18s);
  CHECK(limit.now(start + 120s) == 27s);
  CHECK(limit.now(start + 24h) == 50s);
  limit.closed_by_peer(16s, start + 25h);
  CHECK(limit.now(start + 25h) == 12s);
  idle_limit endless(0ms);
  endless.closed_by_peer(4s, start);
  CHECK(endless.now(start + 240h) == 0ms);
}

TEST_CASE("pool: the most recently used connection is taken first") {
  test::wire w;
  proxy::idle_pool<connection> pool(2, 50s);
  std::vector<int> peers;
  std::vector<connection*> order;
  for (int i = 0; i < 3; ++i) {
    auto one = make(w);
    peers.push_back(one.peer);
    order.push_back(one.it.get());
    pool.put(std::move(one.it));
  }
  CHECK(pool.size() == 2);
  CHECK(pool.take().get() == order[1]);
  CHECK(pool.take().get() == order[0]);
  CHECK(pool.take() == nullptr);
  for (const int peer : peers) ::close(peer);
}

TEST_CASE("pool: what the peer closed or spoke on is dropped at the next look, the rest is kept") {
  test::wire w;
  proxy::idle_pool<connection> pool(10, 50s);
  std::vector<int> peers;
  for (int i = 0; i < 4; ++i) {
    auto one = make(w);
    peers.push_back(one.peer);
    pool.put(std::move(one.it));
  }
  pool.reap();
  CHECK(pool.size() == 4);
  ::close(peers[1]);
  REQUIRE(::send(peers[3], "x", 1, MSG_NOSIGNAL) == 1);
  pool.reap();
  CHECK(pool.size() == 2);
  ::close(peers[0]);
  ::close(peers[2]);
  CHECK(pool.take() == nullptr);
  CHECK(pool.size() == 0);
  ::close(peers[3]);
}

TEST_CASE("pool: an expired connection is closed") {
  test::wire w;
  proxy::idle_pool<connection> pool(10, 50s);
  auto one = make(w);
  auto* socket = one.it->socket.get();
  pool.put(std::move(one.it));
  socket->expire_now();
  pool.reap();
  CHECK(pool.size() == 0);
  char byte;
  CHECK(::recv(one.peer, &byte, 1, MSG_DONTWAIT) == 0);
  ::close(one.peer);
}
