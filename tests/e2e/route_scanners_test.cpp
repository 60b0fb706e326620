// Routes with scanners and limits of their own.
#include "kit/lab.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace e2e;

namespace {

std::string local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

std::string scanner_url(std::uint16_t port) {
  return "icap://" + local(port) + "/avscan";
}

// A [[route]] of that host; `more`: further lines of it.
std::string route_to(const std::string& name, const std::string& origin, const std::string& more) {
  return "[[route]]\nname = '" + name + "'\nhost = '" + name + ".test'\norigin = '" + origin +
         "'\n" + more + "\n";
}

std::string route_to(const std::string& name, const origin_peer& origin, const std::string& more) {
  return route_to(name, "http://" + local(origin.port()), more);
}

std::string scanned_by(std::uint16_t port) {
  return "scanner.servers = '" + scanner_url(port) + "'";
}

field_list host_of(const std::string& name) {
  return {{"Host", name + ".test"}};
}

// On a connection of its own.
response get(stage& on, const std::string& name, const std::string& target = "/a") {
  auto client = on.client();
  client.wire().write("GET " + target + " HTTP/1.1\r\nHost: " + name +
                      ".test\r\nConnection: close\r\n\r\n");
  return client.receive();
}

boost::json::array scanners_of(stage& on) {
  return boost::json::parse(admin(on, "/status").body).at("scanners").as_array();
}

// OPTIONS that shut it, for a second.
std::string lame() {
  auto options = options_answer({{"Options-TTL", "1"}});
  return options.replace(options.find("RESPMOD"), 7, "REQMOD");
}

}  // namespace

TEST_CASE("route: each one's responses go to its own scanners") {
  origin_peer shop;
  icap_peer finder, standby;
  const reserved_port nobody;
  stage on({.config = route_to("shop", shop, scanned_by(finder.port())) +
                      route_to("spare", shop,
                               "scanner = { servers = '" + scanner_url(nobody.number()) +
                                   "', standby = '" + scanner_url(standby.port()) + "' }")});
  for (auto* peer : {&on.origin, &shop}) peer->when("/a", {.body = "a body"});
  finder.always(block_page());
  CHECK(get(on, "other").body == "a body");
  CHECK(get(on, "shop").status == 403);
  CHECK(get(on, "spare").body == "a body");
  CHECK(on.scanner.scans().size() == 1);
  CHECK(finder.scans().size() == 1);
  CHECK(standby.scans().size() == 1);
  const auto lines = on.icapgate.lines(3);
  CHECK(lines[0].text("scanner") == scanner_url(on.scanner.port()));
  CHECK(lines[1].text("scanner") == scanner_url(finder.port()));
  CHECK(lines[2].text("scanner") == scanner_url(standby.port()));
  const auto all = scanners_of(on);
  REQUIRE(all.size() == 4);
  CHECK(all.at(3).at("group").as_string() == "standby");
}

TEST_CASE("route: a scanner stands once in the process, however many routes name it") {
  icap_peer shared;
  origin_peer origin;
  stage on({.env = {{setting::scanner_connections, "1"}, {setting::scanner_queue, "0"}},
            .canary = "warn",
            .config = route_to("a", origin, scanned_by(shared.port())) +
                      route_to("b", origin, scanned_by(shared.port()))});
  origin.when("/a", {.body = "a body"});
  on.origin.when("/a", {.body = "a body"});
  wait_until("the canaries are done", [&] {
    for (const auto& one : scanners_of(on))
      if (one.at("canary").as_string() != "passed") return false;
    return true;
  });
  CHECK(scanners_of(on).size() == 2);
  CHECK(shared.options_asked() == 1);
  CHECK(shared.canaries().size() == 2);
  happening scanned, go_on;
  shared.play([&](exchange& with) {
    scanned.tell();
    go_on.wait();
    with.body();
    with.answer(no_modification());
  });
  auto busy = on.client();
  busy.send("GET", "/a", host_of("a"));
  scanned.wait();
  // Its one place is taken for the other route as well, and not for those with another scanner.
  CHECK(get(on, "b").status == 503);
  CHECK(get(on, "other").status == 200);
  go_on.tell();
  CHECK(busy.receive().status == 200);
  CHECK(get(on, "b").status == 200);
}

TEST_CASE("route: routes that are asked in turn use all of their scanners") {
  origin_peer origin;
  icap_peer a, b, c, d;
  const auto both = [](const icap_peer& one, const icap_peer& two) {
    return "scanner.servers = ['" + scanner_url(one.port()) + "', '" + scanner_url(two.port()) +
           "']";
  };
  stage on({.config = route_to("a", origin, both(a, b)) + route_to("c", origin, both(c, d))});
  origin.when("/a", {.body = "a body"});
  for (int i = 0; i < 4; ++i)
    for (const auto* name : {"a", "c"}) CHECK(get(on, name).status == 200);
  for (const auto* peer : {&a, &b, &c, &d}) CHECK(peer->scans().size() == 2);
}

TEST_CASE("route: one whose scanner is dead fails alone, and ready means that another can serve") {
  icap_peer of_shop({.options = lame()});
  origin_peer origin;
  stage on({.config = route_to("shop", origin, scanned_by(of_shop.port())) +
                      route_to("raw", origin, "policy.mode = 'off'")},
           {.options = options_answer({{"Options-TTL", "1"}})});
  for (auto* peer : {&on.origin, &origin}) peer->when("/a", {.body = "a body"});
  const auto shut = [&](std::size_t number) {
    return scanners_of(on).at(number).at("shut").as_bool();
  };
  wait_until("the shop's is shut", [&] { return shut(0) != shut(1); });
  CHECK(get(on, "shop").status == 503);
  CHECK(get(on, "other").status == 200);
  CHECK(admin(on, "/readyz").status == 200);
  on.scanner.offer(lame());
  wait_until("the other is shut as well", [&] { return shut(0) && shut(1); });
  CHECK(admin(on, "/readyz").status == 503);
  CHECK(get(on, "other").status == 503);
  CHECK(get(on, "raw").status == 200);
  of_shop.offer(options_answer());
  wait_until("it is ready again", [&] { return admin(on, "/readyz").status == 200; });
  CHECK(get(on, "shop").status == 200);
  CHECK(get(on, "other").status == 503);
}

TEST_CASE("route: one may have the embedded scanner, and none needs --icap then") {
  origin_peer origin;
  origin.when("/eicar", {.body = eicar()});
  const auto config = route_to("a", origin, "scanner.servers = 'embedded:'") +
                      route_to("b", origin, "scanner.servers = ['embedded:']");
  gate one({.config = config});
  for (const auto* name : {"a", "b"}) {
    http_client client(one.port());
    client.wire().write("GET /eicar HTTP/1.1\r\nHost: " + std::string(name) + ".test\r\n\r\n");
    CHECK(client.receive().status == 403);
  }
  CHECK(one.finish() == "");
}

TEST_CASE("route: how long an origin may take differs by route") {
  happening go_on;
  origin_peer slow;
  origin_peer mute([](connection& wire) { wire.read_to_end(); });  // never speaks TLS
  const std::string hasty = "timeout = { connect = '200ms', first_byte = '200ms', idle = '200ms' }";
  const auto patient = "http://" + local(slow.port());
  stage on({.origin_url = patient,
            .config = route_to("hasty", slow, hasty) +
                      route_to("mute", "https://" + local(mute.port()), hasty)});
  slow.when("/head", [&](connection& to, const origin_request& request) {
    if (value(request.head.fields, "Host") == "hasty.test") return void(to.read_to_end());
    go_on.wait();
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody");
  });
  slow.when("/body", [&](connection& to, const origin_request& request) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo");
    if (value(request.head.fields, "Host") == "hasty.test") return void(to.read_to_end());
    go_on.wait();
    to.write("dy");
  });
  auto head = on.client(), body = on.client();
  head.send("GET", "/head", host_of("other"));
  body.send("GET", "/body", host_of("other"));
  CHECK(get(on, "hasty", "/head").status == 504);
  CHECK(get(on, "hasty", "/body").status == 504);
  CHECK(get(on, "mute").status == 504);
  const auto lines = on.icapgate.lines(3);
  CHECK(lines[0].text("reason") == "origin_head_timeout");
  CHECK(lines[1].text("reason") == "origin_body_timeout");
  CHECK(lines[2].text("reason") == "origin_connect_timeout");
  go_on.tell();
  CHECK(head.receive().body == "body");
  CHECK(body.receive().body == "body");
}

TEST_CASE(
    "route: a request whose length is over the limit is refused, and the origin sees nothing") {
  stage on({.env = {{"ICAPGATE_CLIENT__MAX_BODY", "10"}}});
  on.origin.when("/up", {.body = "taken"});
  auto client = on.client();
  CHECK(client.request("POST", "/up", {{"Content-Length", "10"}}, "0123456789").body == "taken");
  const auto connections = on.origin.connections();
  // Whoever asks before sending is not told to go on, and what follows is not read as a request.
  client.wire().write(
      "POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
      "0123456789aGET /up HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto all = client.wire().read_to_end();
  CHECK(all.starts_with("HTTP/1.1 413 "));
  CHECK(all.find("Connection: close\r\n") != std::string::npos);
  CHECK(all.find("HTTP/1.1", 1) == std::string::npos);
  CHECK(on.origin.requests().size() == 1);
  CHECK(on.origin.connections() == connections);
  CHECK(on.icapgate.line(2).text("reason") == "client_body_too_large");
  CHECK(metric(on, "transactions_total{reason=\"client_body_too_large\"}") == 1);
}

TEST_CASE("route: a chunked request that grows over the limit is cut, and the client gets 413") {
  stage on({.config = "client.max_body = 10\n"});
  on.origin.when("/up", {.body = "taken"});
  const std::string head = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string first : {"a\r\n0123456789\r\n", "1\r\n0\r\n", ""}) {
    INFO(first);
    auto client = on.client();
    client.wire().write(head + first);
    client.wire().wait_taken();
    client.wire().write("a\r\n0123456789\r\n0\r\n\r\n");
    if (first.empty()) {
      CHECK(client.receive().body == "taken");
      continue;
    }
    const auto got = client.receive();
    CHECK(got.status == 413);
    CHECK(got.whole());
    CHECK(value(got.fields(), "Connection") == "close");
    CHECK(client.ended());
  }
  // Never a request that ended well, nor a connection that is used again after such a one.
  CHECK(on.origin.requests().size() == 1);
  CHECK(on.origin.connections() == 3);
  CHECK(metric(on, "transactions_total{reason=\"client_body_too_large\"}") == 2);
}

TEST_CASE("route: how large a request may be differs by route") {
  origin_peer files;
  stage on({.env = {{"ICAPGATE_CLIENT__MAX_BODY", "10"}},
            .config = route_to("files", files, "max_body = '1KiB'") +
                      route_to("any", files, "max_body = 0")});
  for (auto* peer : {&on.origin, &files}) peer->when("/up", {.body = "taken"});
  const auto status = [&](const std::string& name, std::size_t size) {
    auto fields = host_of(name);
    fields.push_back({"Content-Length", std::to_string(size)});
    return on.client().request("POST", "/up", fields, std::string(size, 'x')).status;
  };
  CHECK(status("other", 11) == 413);
  CHECK(status("files", 1024) == 200);
  CHECK(status("files", 1025) == 413);
  CHECK(status("any", 100'000) == 200);
}
