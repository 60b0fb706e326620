#include "proxy/status.hpp"

#include "catch.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace icapgate;
using namespace std::chrono_literals;
using proxy::scanner_state;

namespace {

constexpr scanner_state::clock::time_point start{1000h};

boost::json::object parsed(const std::vector<proxy::scanner_status>& scanners) {
  const auto text = proxy::status_json(false, true, scanners);
  INFO(text);
  for (const char c : text) CHECK((c == '\n' || (c >= 0x20 && c < 0x7f)));
  return boost::json::parse(text).as_object();
}

boost::json::object one(const scanner_state& state, scanner_state::clock::time_point now) {
  return parsed({state.status(now)}).at("scanners").as_array().at(0).as_object();
}

}  // namespace

TEST_CASE("status: without a word from the scanner nothing is claimed") {
  const config settings;
  const scanner_state state({"icap", "scanner.test", 1344, "/avscan"}, 1, settings, nullptr);
  const auto got = one(state, start);
  CHECK(got.at("uri").as_string() == "icap://scanner.test/avscan");
  CHECK(got.at("group").as_string() == "standby");
  CHECK(got.at("canary").as_string() == "unknown");
  CHECK(got.at("canary_age_ms").is_null());
  CHECK(got.at("options").as_string() == "unknown");
  CHECK(got.at("options_age_ms").is_null());
  CHECK(got.at("breaker").as_string() == "closed");
  CHECK_FALSE(got.at("shut").as_bool());
}

TEST_CASE("status: what was learnt has its age, and texts of the scanner do no harm") {
  const config settings;
  scanner_state state({"icap", "scanner.test", 1344, "/avscan"}, 0, settings, nullptr);
  icap::service_options options;
  options.istag = "a\"b\\c\r\n\x80";
  options.service = std::string(10'000, 'x');
  state.set_options(options, start);
  state.set_trusted(false, start + 1s);
  state.options_failed();
  const auto got = one(state, start + 3500ms);
  CHECK(got.at("group").as_string() == "servers");
  CHECK(got.at("canary").as_string() == "failed");
  CHECK(got.at("canary_age_ms").to_number<double>() == 2500.0);
  CHECK(got.at("options").as_string() == "failed");
  CHECK(got.at("options_age_ms").to_number<double>() == 3500.0);
  CHECK(got.at("istag").as_string() == "a\"b\\c\r\n\\x80");
  CHECK(got.at("service").as_string().size() < 1000);
}

TEST_CASE("status: several scanners stand in their order, and none is a list as well") {
  const config settings;
  const scanner_state a({"icap", "a", 1344, "/s"}, 0, settings, nullptr);
  const scanner_state b({"icap", "b", 1344, "/s"}, 0, settings, nullptr);
  const auto both = parsed({a.status(start), b.status(start)}).at("scanners").as_array();
  REQUIRE(both.size() == 2);
  CHECK(both[1].at("uri").as_string() == "icap://b/s");
  CHECK(parsed({}).at("scanners").as_array().empty());
}
