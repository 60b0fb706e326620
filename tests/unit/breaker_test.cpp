#include "icap/breaker.hpp"

#include "catch.hpp"

using icapgate::icap::breaker;
using namespace std::chrono_literals;

namespace {

const breaker::clock::time_point start = breaker::clock::time_point(1h);

void fail_in_a_row(breaker& b, breaker::clock::time_point now) {
  for (int i = 0; i < 5; ++i) {
    REQUIRE(b.admit(now));
    b.failed(now);
  }
}

}  // namespace

TEST_CASE("Breaker: five failures in a row leave a scanner alone for five seconds") {
  breaker b;
  fail_in_a_row(b, start);
  CHECK(b.is_open());
  CHECK_FALSE(b.admit(start + 4999ms));
  CHECK(b.admit(start + 5s));
}

TEST_CASE("Breaker: a success between failures keeps it closed") {
  breaker b;
  for (int i = 0; i < 4; ++i) b.failed(start);
  b.succeeded(start);
  for (int i = 0; i < 4; ++i) b.failed(start);
  CHECK_FALSE(b.is_open());
}

TEST_CASE("Breaker: half of twenty scans failing within ten seconds opens it") {
  breaker b;
  for (int i = 0; i < 10; ++i) {
    b.succeeded(start + i * 100ms);
    CHECK_FALSE(b.is_open());
    b.failed(start + i * 100ms);
  }
  CHECK(b.is_open());
}

TEST_CASE("Breaker: the same failures spread over a minute do not open it") {
  breaker b;
  for (int i = 0; i < 20; ++i) {
    b.succeeded(start + i * 3s);
    b.failed(start + i * 3s);
  }
  CHECK_FALSE(b.is_open());
}

TEST_CASE("Breaker: after the pause one trial decides, and others wait for it") {
  breaker b;
  fail_in_a_row(b, start);
  REQUIRE(b.admit(start + 5s));
  CHECK_FALSE(b.admit(start + 5s));
  b.succeeded(start + 6s);
  CHECK_FALSE(b.is_open());
  CHECK(b.admit(start + 6s));
}

TEST_CASE("Breaker: a trial that was given up can be had by another") {
  breaker b;
  fail_in_a_row(b, start);
  REQUIRE(b.admit(start + 5s));
  b.abandoned();
  CHECK(b.admit(start + 5s));
}

TEST_CASE("Breaker: failing trials double the pause, up to a minute") {
  breaker b;
  fail_in_a_row(b, start);
  auto now = start;
  for (const auto pause : {5s, 10s, 20s, 40s, 60s, 60s}) {
    CHECK_FALSE(b.admit(now + pause - 1ms));
    now += pause;
    REQUIRE(b.admit(now));
    b.failed(now);
  }
}

TEST_CASE("Breaker: a trial that succeeds makes the next pause short again") {
  breaker b;
  fail_in_a_row(b, start);
  REQUIRE(b.admit(start + 5s));
  b.failed(start + 5s);
  REQUIRE(b.admit(start + 15s));
  b.succeeded(start + 15s);
  fail_in_a_row(b, start + 16s);
  CHECK(b.admit(start + 21s));
}
