#include "proxy/scanner_state.hpp"

#include "catch.hpp"

#include <vector>

using namespace icapgate;
using namespace std::chrono_literals;
using proxy::scanner_state;
using admission = scanner_state::admission;
using outcome = scanner_state::outcome;

namespace {

constexpr scanner_state::clock::time_point start{1000h};

config with_limit(std::size_t connections) {
  config out;
  out.icap_limits.connections = connections;
  return out;
}

scanner_state scanner_of(const config& settings) {
  return scanner_state({"icap", "scanner.test", 1344, "/avscan"}, 0, settings, nullptr);
}

// As many exchanges as it grants, `most` at most.
std::size_t fill(scanner_state& it, std::size_t most, scanner_state::clock::time_point now) {
  std::size_t granted = 0;
  while (granted < most && it.begin(now) == admission::granted) ++granted;
  return granted;
}

icap::service_options without_respmod() {
  icap::service_options out;
  out.respmod = false;
  return out;
}

}  // namespace

TEST_CASE("RFC 3507 row 13: after a 503 no more than were under way beside it") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  REQUIRE(fill(it, 10, start) == 10);
  it.end(outcome::busy, start);
  CHECK(it.begin(start) == admission::full);
  CHECK(it.look(start).limit == 9);
  CHECK(it.look(start).busy_answers == 1);
  it.end(outcome::answered, start);
  CHECK(it.begin(start) == admission::granted);
  CHECK(it.begin(start) == admission::full);
}

TEST_CASE("RFC 3507 row 13: the limit that a 503 leaves counts for open connections, too") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  for (int i = 0; i < 4; ++i) REQUIRE(it.try_open(start));
  REQUIRE(fill(it, 3, start) == 3);
  CHECK_FALSE(it.room_wanted(start));
  it.end(outcome::busy, start);
  // Two are in use: idle ones have to go.
  CHECK(it.room_wanted(start));
  CHECK_FALSE(it.try_open(start));
}

TEST_CASE("RFC 3507 row 13: however busy the scanner is, one may go there") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(it.begin(start) == admission::granted);
    it.end(outcome::busy, start);
    CHECK(it.look(start).limit == 1);
  }
}

TEST_CASE("RFC 3507 row 13: many 503s at once leave as many as were not refused") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  REQUIRE(fill(it, 100, start) == 100);
  for (int i = 0; i < 60; ++i) it.end(outcome::busy, start);
  CHECK(it.look(start).limit == 40);
}

TEST_CASE("RFC 3507 row 13: each second raises the limit by a twentieth of the full one") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  REQUIRE(it.begin(start) == admission::granted);
  it.end(outcome::busy, start);
  CHECK(it.look(start + 999ms).limit == 1);
  CHECK(it.look(start + 1s).limit == 6);
  CHECK(it.look(start + 2s).limit == 11);
  CHECK(it.look(start + 19s).limit == 96);
  CHECK(it.look(start + 20s).limit == 100);
  CHECK(it.look(start + 240h).limit == 100);
  CHECK(fill(it, 1000, start + 2s) == 11);
  // A 503 on the way up begins anew, from there.
  it.end(outcome::busy, start + 3s);
  CHECK(it.look(start + 3s).limit == 10);
  CHECK(it.look(start + 4s).limit == 15);
}

TEST_CASE("RFC 3507 row 13: a small limit rises by one each second") {
  const auto settings = with_limit(3);
  auto it = scanner_of(settings);
  REQUIRE(it.begin(start) == admission::granted);
  it.end(outcome::busy, start);
  CHECK(it.look(start + 1s).limit == 2);
  CHECK(it.look(start + 2s).limit == 3);
  CHECK(it.look(start + 3s).limit == 3);
}

TEST_CASE("RFC 3507 row 13: a busy scanner is none that fails") {
  const auto settings = with_limit(100);
  auto it = scanner_of(settings);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(it.begin(start) == admission::granted);
    it.end(outcome::busy, start);
  }
  CHECK_FALSE(it.is_shut(start));
  CHECK(it.look(start).up);
}

TEST_CASE("RFC 3507 rows 11 and 43: no exchange begins while OPTIONS don't list RESPMOD") {
  const config settings;
  auto it = scanner_of(settings);
  CHECK(it.begin(start) == admission::granted);
  it.set_options(without_respmod(), start);
  CHECK(it.begin(start) == admission::shut);
  CHECK(it.is_shut(start));
  CHECK_FALSE(it.look(start).up);
  CHECK_FALSE(it.look(start).respmod);
  it.options_failed();
  CHECK(it.begin(start) == admission::shut);
  it.set_options({}, start);
  CHECK(it.begin(start) == admission::granted);
  CHECK(it.look(start).respmod);
}

TEST_CASE("a scanner's breaker shuts it until a trial is due, and one trial at a time") {
  const config settings;
  auto it = scanner_of(settings);
  for (std::size_t i = 0; i < icap::breaker::failures_in_a_row; ++i) {
    REQUIRE(it.begin(start) == admission::granted);
    it.end(outcome::failed, start);
  }
  CHECK(it.is_shut(start));
  CHECK(it.begin(start) == admission::shut);
  const auto later = start + icap::breaker::first_pause;
  CHECK_FALSE(it.is_shut(later));
  CHECK_FALSE(it.look(later).up);
  CHECK(it.begin(later) == admission::granted);
  CHECK(it.is_shut(later));
  it.end(outcome::answered, later);
  CHECK(it.look(later).up);
}

TEST_CASE("warm connections: no more than asked for, and none over the limit") {
  auto settings = with_limit(3);
  settings.icap_limits.warm_connections = 2;
  auto it = scanner_of(settings);
  CHECK(it.try_open_warm(start));
  CHECK(it.try_open_warm(start));
  CHECK_FALSE(it.try_open_warm(start));
  settings.icap_limits.warm_connections = 5;
  auto other = scanner_of(settings);
  for (int i = 0; i < 3; ++i) CHECK(other.try_open_warm(start));
  CHECK_FALSE(other.try_open_warm(start));
  CHECK_FALSE(scanner_of(with_limit(3)).try_open_warm(start));
}

TEST_CASE("warm connections: none while somebody waits for a place, none to a shut scanner") {
  auto settings = with_limit(2);
  settings.icap_limits.warm_connections = 2;
  auto it = std::make_shared<scanner_state>(url{"icap", "scanner.test", 1344, "/avscan"}, 0,
                                            settings, nullptr);
  REQUIRE(it->try_open(start));
  {
    REQUIRE(it->try_open(start));
    const scanner_state::open_connection closes(it);
    CHECK_FALSE(it->try_open(start));
  }
  CHECK_FALSE(it->try_open_warm(start));
  CHECK(it->try_open_warm(start + 1s));

  auto shut = scanner_of(settings);
  shut.set_options(without_respmod(), start);
  CHECK_FALSE(shut.try_open_warm(start));
  settings.canary = "enforce";
  auto unproven = scanner_of(settings);
  CHECK_FALSE(unproven.try_open_warm(start));
  unproven.set_trusted(true, start);
  CHECK(unproven.try_open_warm(start));
  settings.vendor = "fortisandbox";
  settings.canary = "off";
  CHECK_FALSE(scanner_of(settings).try_open_warm(start));
}
