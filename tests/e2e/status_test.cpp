// What the admin listener says of the scanners: /status, /readyz and the metrics of them.
#include "kit/held_scans.hpp"
#include "kit/lab.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <atomic>

using namespace e2e;

namespace {

boost::json::object status(stage& on) {
  return boost::json::parse(admin(on, "/status").body).as_object();
}

boost::json::object scanner(stage& on, std::size_t number = 0) {
  return status(on).at("scanners").as_array().at(number).as_object();
}

std::string without_respmod(std::string options) {
  return options.replace(options.find("RESPMOD"), 7, "REQMOD");
}

void fail(exchange& with) {
  with.wire().close();
}

void pass_everything(exchange& with) {
  with.body();
  with.answer(no_modification());
}

void wait_ready(stage& on, bool so) {
  wait_until(so ? "it is ready" : "it is not ready",
             [&] { return admin(on, "/readyz").status == (so ? 200 : 503); });
}

}  // namespace

TEST_CASE("status: it is JSON and tells of each scanner what the gateway knows of it") {
  icap_peer second;
  icap_peer standby;
  stage on({.env = {{setting::scanner_standby,
                     "icap://127.0.0.1:" + std::to_string(standby.port()) + "/avscan"}},
            .canary = "warn"},
           {.options = options_answer({{"Max-Connections", "7"}})});
  wait_until("canary and OPTIONS are done", [&] {
    const auto now = scanner(on);
    return now.at("canary").as_string() == "passed" && now.at("options").as_string() == "known";
  });
  const auto head = admin(on, "/status");
  CHECK(value(head.fields(), "Content-Type") == "application/json");
  on.origin.when("/a", {.body = "a body"});
  held_scans held(on.scanner);
  auto client = on.client();
  client.send("GET", "/a");
  held.wait_for_one();
  const auto all = status(on);
  CHECK(all.at("state").as_string() == "serving");
  CHECK(all.at("ready").as_bool());
  REQUIRE(all.at("scanners").as_array().size() == 2);
  const auto first = all.at("scanners").at(0).as_object();
  CHECK(first.at("uri").as_string() ==
        "icap://127.0.0.1:" + std::to_string(on.scanner.port()) + "/avscan");
  CHECK(first.at("group").as_string() == "servers");
  CHECK(first.at("in_flight").to_number<int>() == 1);
  CHECK(first.at("connections").to_number<int>() == 1);
  CHECK(first.at("limit").to_number<int>() == 7);
  CHECK(first.at("breaker").as_string() == "closed");
  CHECK(first.at("canary_age_ms").to_number<double>() >= 0);
  CHECK(first.at("options_age_ms").to_number<double>() >= 0);
  CHECK(first.at("istag").as_string() == "play-1");
  CHECK(first.at("service").as_string() == "scanner of a play");
  CHECK_FALSE(first.at("shut").as_bool());
  CHECK(all.at("scanners").at(1).at("group").as_string() == "standby");
  held.decide();
  CHECK(client.receive().body == "a body");
}

TEST_CASE("status: not ready while the only scanner lists no RESPMOD, and alive all the time") {
  stage on({.env = {{setting::options_min, "1s"}}},
           {.options = without_respmod(options_answer({{"Options-TTL", "1"}}))});
  wait_ready(on, false);
  CHECK(admin(on, "/livez").status == 200);
  CHECK_FALSE(status(on).at("ready").as_bool());
  CHECK(scanner(on).at("shut").as_bool());
  CHECK_FALSE(scanner(on).at("respmod").as_bool());
  on.scanner.offer(options_answer());
  wait_ready(on, true);
  CHECK(scanner(on).at("respmod").as_bool());
}

TEST_CASE("status: ready while one of two scanners may be asked, or where the fallback delivers") {
  const icap_service lame{.options = without_respmod(options_answer())};
  for (const bool fallback : {false, true}) {
    icap_peer bad(lame);
    icap_peer good;
    gate_settings settings;
    settings.scanners = {bad.port()};
    if (!fallback) settings.scanners.push_back(good.port());
    settings.fallback = fallback;
    stage on(settings);
    wait_until("it is shut", [&] { return scanner(on).at("shut").as_bool(); });
    CHECK(admin(on, "/readyz").status == 200);
  }
}

TEST_CASE("status: with canary = enforce not ready before EICAR was detected") {
  std::atomic<bool> detects = false;
  stage on({.env = {{setting::canary_interval, "1s"}}, .canary = "enforce"});
  on.scanner.on_canary([&](exchange& with) {
    const bool found = with.body().find(eicar()) != std::string::npos;
    with.answer(found && detects ? block_page() : no_modification());
  });
  wait_until("the canary failed", [&] {
    const auto state = scanner(on).at("canary").as_string();
    return state == "failed" && admin(on, "/readyz").status == 503;
  });
  detects = true;
  wait_ready(on, true);
  CHECK(scanner(on).at("canary").as_string() == "passed");
}

TEST_CASE("status: a scanner that fails makes it not ready until a trial is due") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play(fail);
  while (scanner(on).at("breaker").as_string() != "open") {
    REQUIRE(on.asked < 100);
    on.get("/a");
  }
  CHECK(admin(on, "/readyz").status == 503);
  CHECK(admin(on, "/livez").status == 200);
  // Without clients there would be no trial: the pause alone makes it ready again.
  on.scanner.play(pass_everything);
  wait_ready(on, true);
  CHECK(on.get("/a").body == "a body");
  CHECK(scanner(on).at("breaker").as_string() == "closed");
}

TEST_CASE("status: access lines that are lost are counted") {
  stage on({.access_log = "/dev/full"});
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 200);
  wait_until("the lost line is counted", [&] {
    return admin(on, "/metrics").body.find("icapgate_access_log_lost_lines_total 1\n") !=
           std::string::npos;
  });
}
