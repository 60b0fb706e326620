// How long, and how slowly, a peer may move bytes.
#include "proxy/patience.hpp"

#include "catch.hpp"

using namespace icapgate::proxy;
using namespace std::chrono_literals;
using verdict = patience::verdict;

namespace {

// A peer on a clock of its own.
struct waits {
  explicit waits(const patience_limits& limits) : of(limits) {}

  // Waits for `time` in which `bytes` are moved, and the peer takes them.
  verdict wait(milliseconds time, std::uint64_t bytes, bool expired = false) {
    of.begin(now, moved);
    now += time;
    moved += bytes;
    return of.end(now, expired, [this]() -> std::optional<std::uint64_t> { return taken(); });
  }
  std::uint64_t taken() const { return moved - held; }

  patience of;
  clock::time_point now{1h};
  std::uint64_t moved = 0;
  std::uint64_t held = 0;  // by the system, for the peer
};

}  // namespace

TEST_CASE("patience: who moves the bytes that it must is waited for without end") {
  waits peer({60s, 500, 30s});
  for (int i = 0; i < 1000; ++i) CHECK(peer.wait(1s, 500) == verdict::go_on);
}

TEST_CASE("patience: who moves fewer is too slow once the window is over, and not before") {
  waits peer({60s, 500, 30s});
  for (int i = 0; i < 29; ++i) CHECK(peer.wait(1s, 499) == verdict::go_on);
  CHECK(peer.wait(1s, 499) == verdict::too_slow);
}

TEST_CASE("patience: what came fast at first does not count in the next window") {
  waits peer({60s, 500, 30s});
  CHECK(peer.wait(30s, 1'000'000) == verdict::go_on);
  for (int i = 0; i < 29; ++i) CHECK(peer.wait(1s, 1) == verdict::go_on);
  CHECK(peer.wait(1s, 1) == verdict::too_slow);
}

TEST_CASE("patience: only time in which the peer is waited for counts") {
  waits peer({60s, 500, 30s});
  for (int i = 0; i < 100; ++i) {
    CHECK(peer.wait(250ms, 125) == verdict::go_on);
    peer.now += 1h;
  }
}

TEST_CASE("patience: a rate of 0 is none") {
  waits peer({60s, 0, 30s});
  for (int i = 0; i < 100; ++i) CHECK(peer.wait(59s, 1) == verdict::go_on);
}

TEST_CASE("patience: who moves nothing is idle after that time, however it is woken meanwhile") {
  waits peer({60s, 0, 30s});
  CHECK(peer.of.begin(peer.now, 0) == 60s);
  CHECK(peer.wait(20s, 0) == verdict::go_on);
  CHECK(peer.of.begin(peer.now, 0) == 40s);
  CHECK(peer.wait(40s, 0, true) == verdict::idle);
}

TEST_CASE("patience: every byte begins the idle time anew") {
  waits peer({60s, 0, 30s});
  for (int i = 0; i < 10; ++i) CHECK(peer.wait(59s, 1) == verdict::go_on);
  CHECK(peer.of.begin(peer.now, peer.moved) == 60s);
}

TEST_CASE("patience: a wait is looked at when the nearer of both is due") {
  waits peer({60s, 500, 30s});
  CHECK(peer.wait(20s, 20'000) == verdict::go_on);
  CHECK(peer.of.begin(peer.now, peer.moved) == 10s);
  waits hasty({5s, 500, 30s});
  CHECK(hasty.of.begin(hasty.now, 0) == 5s);
  waits patient({0s, 0, 30s});
  CHECK(patient.of.begin(patient.now, 0) == 0s);
}

// A full socket takes nothing for long while the system sends what it holds.
TEST_CASE("patience: a peer that takes what the system holds for it is neither idle nor too slow") {
  waits peer({60s, 500, 30s});
  peer.moved = peer.held = 1'000'000;
  while (peer.held > 0) {
    peer.held -= 20'000;
    CHECK(peer.wait(30s, 0, true) == verdict::go_on);
  }
  CHECK(peer.wait(30s, 0, true) == verdict::too_slow);
}

TEST_CASE("patience: where nobody can tell what a peer took, no rate is asked for") {
  patience of({60s, 500, 30s});
  const clock::time_point began{1h};
  const auto unknown = []() -> std::optional<std::uint64_t> { return std::nullopt; };
  of.begin(began, 1);
  CHECK(of.end(began + 30s, true, unknown) == verdict::go_on);
  CHECK(of.begin(began + 30s, 1) == 30s);
  CHECK(of.end(began + 60s, true, unknown) == verdict::idle);
}

TEST_CASE("patience: a wait that somebody else gave up is over") {
  waits peer({60s, 500, 30s});
  CHECK(peer.wait(1s, 0, true) == verdict::idle);
  waits endless({0s, 0, 30s});
  CHECK(endless.wait(1s, 0, true) == verdict::idle);
}
