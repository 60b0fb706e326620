#include "base/units.hpp"
#include "catch.hpp"

#include <limits>
#include <random>

using namespace icapgate;
using namespace std::chrono_literals;

namespace {

std::chrono::milliseconds time_of(std::string_view text) {
  std::chrono::milliseconds out{-1};
  return parse_duration(text, out) ? out : -1ms;
}

std::uint64_t bytes_of(std::string_view text) {
  std::uint64_t out = 0;
  REQUIRE(parse_size(text, out));
  return out;
}

}  // namespace

TEST_CASE("durations are read in their units") {
  CHECK(time_of("300ms") == 300ms);
  CHECK(time_of("5s") == 5s);
  CHECK(time_of("5m") == 5min);
  CHECK(time_of("1h") == 1h);
  CHECK(time_of("0") == 0ms);
  CHECK(time_of("0s") == 0ms);
}

TEST_CASE("what is not a duration is refused and leaves the value alone") {
  for (auto text : {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5min", "1m30s",
                    "0x5s", "99999999999999999999s", "9223372036854775807s", "5s\n"}) {
    INFO(text);
    CHECK(time_of(text) == -1ms);
  }
}

TEST_CASE("sizes are read in powers of 1024 and of 1000, in any case") {
  CHECK(bytes_of("65536") == 65536);
  CHECK(bytes_of("64KiB") == 65536);
  CHECK(bytes_of("64kib") == 65536);
  CHECK(bytes_of("1MiB") == 1048576);
  CHECK(bytes_of("10MB") == 10000000);
  CHECK(bytes_of("2GB") == 2000000000);
  CHECK(bytes_of("3TiB") == 3298534883328);
  CHECK(bytes_of("7B") == 7);
  CHECK(bytes_of("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("what is not a size is refused and leaves the value alone") {
  for (auto text : {"", "KiB", "1K", "1M", "1 KiB", "-1", "1.5MiB", "18446744073709551616",
                    "16777216TiB", "1KiBB", "0x10"}) {
    INFO(text);
    std::uint64_t out = 77;
    CHECK_FALSE(parse_size(text, out));
    CHECK(out == 77);
  }
}

TEST_CASE("numbers are decimal digits alone") {
  std::uint64_t out = 7;
  CHECK(parse_number("042", out));
  CHECK(out == 42);
  for (auto text : {"", "-1", "+1", "1 ", "0x1", "1e3", "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_number(text, out));
    CHECK(out == 42);
  }
}

TEST_CASE("a value that is shown reads back as itself") {
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(2h) == "2h");
  CHECK(format_duration(0ms) == "0");
  CHECK(format_size(65536) == "64KiB");
  CHECK(format_size(1000) == "1000");
  CHECK(format_size(0) == "0");
  std::mt19937_64 random(20261122);
  for (int i = 0; i < 20000; ++i) {
    const auto value = random() >> (random() % 64);
    CHECK(bytes_of(format_size(value)) == value);
    const std::chrono::milliseconds time(static_cast<std::int64_t>(value >> 1));
    CHECK(time_of(format_duration(time)) == time);
  }
}

TEST_CASE("no text of the units' letters crashes or passes without digits in front") {
  constexpr std::string_view letters = "0129KMGTiBbsmh.-+ ";
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (auto n = random() % 8; n > 0; --n) text += letters[random() % letters.size()];
    const bool digits_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
    std::chrono::milliseconds time{};
    std::uint64_t bytes = 0;
    if (parse_duration(text, time)) {
      CHECK(digits_first);
      CHECK(time >= 0ms);
    }
    if (parse_size(text, bytes)) CHECK(digits_first);
  }
}
