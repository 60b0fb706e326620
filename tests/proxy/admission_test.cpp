#include "proxy/admission.hpp"

#include "catch.hpp"

#include <sys/resource.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

using namespace icapgate;
using proxy::admission;

namespace {

ip_address address(const char* text) {
  return *ip_address::parse(text);
}

}  // namespace

TEST_CASE("as many clients come in as may, and one more for each that goes") {
  admission all({.all = 2});
  auto first = all.enter();
  auto second = all.enter();
  CHECK((first && second));
  CHECK_FALSE(all.enter());
  CHECK_FALSE(all.enter());
  first.reset();
  auto third = all.enter();
  CHECK(third);
  CHECK_FALSE(all.enter());
}

TEST_CASE("without limits everybody comes in") {
  admission all({});
  std::vector<admission::ticket> tickets;
  for (int i = 0; i < 1000; ++i) {
    auto one = all.enter();
    REQUIRE(one);
    CHECK(one->count(address("192.0.2.1")));
    tickets.push_back(*std::move(one));
  }
  CHECK(all.may_use(1 << 30));
}

TEST_CASE("one address has its share, and another's is its own") {
  admission all({.per_address = 2});
  auto a = all.enter(), b = all.enter(), c = all.enter(), d = all.enter();
  CHECK(a->count(address("192.0.2.1")));
  CHECK(b->count(address("::ffff:192.0.2.1")));
  CHECK_FALSE(c->count(address("192.0.2.1")));
  CHECK(d->count(address("192.0.2.2")));
  c.reset();  // gives back no place that it didn't have
  auto e = all.enter();
  CHECK_FALSE(e->count(address("192.0.2.1")));
  a.reset();
  auto f = all.enter();
  CHECK(f->count(address("192.0.2.1")));
}

TEST_CASE("an IPv6 /64 is one address") {
  admission all({.per_address = 1});
  auto a = all.enter(), b = all.enter(), c = all.enter();
  CHECK(a->count(address("2001:db8:0:1::1")));
  CHECK_FALSE(b->count(address("2001:db8:0:1:ffff:ffff:ffff:ffff")));
  CHECK(c->count(address("2001:db8:0:2::")));
}

TEST_CASE("a place that was moved is given back once") {
  admission all({.all = 1, .per_address = 1});
  {
    auto first = all.enter();
    CHECK(first->count(address("192.0.2.1")));
    const admission::ticket moved(*std::move(first));
    first.reset();
    CHECK_FALSE(all.enter());
  }
  auto again = all.enter();
  REQUIRE(again);
  CHECK(again->count(address("192.0.2.1")));
  CHECK_FALSE(all.enter());
}

TEST_CASE("a quarter of the descriptors is not for clients") {
  const admission few({.descriptors = 100});
  CHECK(few.may_use(74));
  CHECK_FALSE(few.may_use(75));
  const admission many({.descriptors = 1'000'000});
  CHECK(many.may_use(1'000'000 - 4096 - 1));
  CHECK_FALSE(many.may_use(1'000'000 - 4096));
}

TEST_CASE("the limit of descriptors is raised to what the system allows") {
  const auto got = proxy::raise_descriptor_limit();
  rlimit now{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &now) == 0);
  CHECK(now.rlim_cur == now.rlim_max);
  CHECK(got == (now.rlim_cur == RLIM_INFINITY ? 0 : now.rlim_cur));
}

TEST_CASE("the limits hold with many threads at once") {
  admission all({.all = 3, .per_address = 2});
  std::atomic<int> inside{0}, same{0};
  std::atomic<bool> broken{false};
  const auto visit = [&] {
    for (int i = 0; i < 5'000; ++i) {
      auto one = all.enter();
      if (!one) continue;
      if (++inside > 3) broken = true;
      if (one->count(address("192.0.2.1"))) {
        if (++same > 2) broken = true;
        --same;
      }
      --inside;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(visit);
  for (auto& t : threads) t.join();
  CHECK_FALSE(broken);
  auto a = all.enter(), b = all.enter(), c = all.enter();
  CHECK((a && b && c));
  CHECK((a->count(address("192.0.2.1")) && b->count(address("192.0.2.1"))));
  CHECK_FALSE(c->count(address("192.0.2.1")));
}
