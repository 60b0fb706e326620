// Routes: which origin gets a request, and by which policy; several origins of which one is down.
#include "kit/numbers.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

std::string url_of(std::uint16_t port) {
  return "http://127.0.0.1:" + std::to_string(port);
}

// The origins of the default route, in place of the one that the stage knows.
gate_settings with_origins(const std::vector<std::uint16_t>& more) {
  gate_settings settings;
  for (const auto port : more)
    settings.more.insert(settings.more.end(), {"--origin", url_of(port)});
  return settings;
}

response get(stage& on, const std::string& target, const std::string& host) {
  auto client = on.client();
  client.wire().write("GET " + target + " HTTP/1.1\r\nHost: " + host +
                      "\r\nConnection: close\r\n\r\n");
  return client.receive();
}

double of_origin(stage& on, const std::string& name, std::uint16_t port) {
  return metric(on, "" + name + "{origin=\"" + url_of(port) + "\"}");
}

const std::string unknown = "client_host_unknown";

}  // namespace

TEST_CASE("route: host and path choose the origin") {
  origin_peer shop, api;
  stage on({.config = "[[route]]\nname = 'shop'\nhost = 'shop.test'\norigin = '" +
                      url_of(shop.port()) + "'\n[[route]]\nname = 'api'\nhost = 'shop.test'\n" +
                      "path = '/api'\norigin = '" + url_of(api.port()) + "'\n"});
  for (auto* peer : {&on.origin, &shop, &api}) {
    const std::string body = peer == &shop ? "shop" : peer == &api ? "api" : "default";
    for (auto target : {"/", "/api/x", "/apix", "/api/../x"}) peer->when(target, {.body = body});
  }
  CHECK(get(on, "/", "Shop.test:99").body == "shop");
  CHECK(get(on, "/apix", "shop.test").body == "shop");
  CHECK(get(on, "/api/../x", "shop.test").body == "shop");
  CHECK(get(on, "/api/x", "shop.test").body == "api");
  CHECK(get(on, "/api/x", "other").body == "default");
  const auto lines = on.icapgate.lines(5);
  CHECK(lines[0].text("route") == "shop");
  CHECK(lines[3].text("route") == "api");
  CHECK(lines[3].text("origin") == url_of(api.port()));
  CHECK(lines[4].text("route") == "default");
  // The host goes on as it came.
  CHECK(value(shop.request("/").head.fields, "Host") == "Shop.test:99");
}

TEST_CASE("route: an unknown host gets 421 where there is no default route") {
  origin_peer a;
  a.when("/", {.body = "a"});
  icap_peer scanner({.path = "avscan"});
  gate one({.origin = 0,
            .scanners = {scanner.port()},
            .config = "[[route]]\nhost = 'a.test'\norigin = '" + url_of(a.port()) + "'\n"});
  http_client client(one.port());
  for (const std::string host : {"b.test", "a.test.b", "a.test"}) {
    client.wire().write("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    CHECK(client.receive().status == (host == "a.test" ? 200 : 421));
  }
  client.wire().write("GET / HTTP/1.0\r\n\r\n");
  CHECK(client.receive().status == 421);
  const auto lines = one.lines(4);
  CHECK(lines[0].text("reason") == unknown);
  CHECK(lines[0].text("route") == "");
  CHECK(lines[2].text("reason") == "complete");
  CHECK(lines[3].text("reason") == unknown);
  CHECK(a.requests().size() == 1);
  CHECK(one.finish() == "");
}

TEST_CASE("route: one is monitored, the other enforced") {
  origin_peer watched;
  stage on({.config = "[[route]]\nname = 'watched'\nhost = 'watched.test'\norigin = '" +
                      url_of(watched.port()) + "'\npolicy.mode = 'monitor'\n"});
  for (auto* peer : {&on.origin, &watched}) peer->when("/a", {.body = "a virus"});
  on.scanner.always(block_page());
  CHECK(get(on, "/a", "watched.test").body == "a virus");
  CHECK(get(on, "/a", "other.test").status == 403);
  for (const auto& line : on.icapgate.lines(2)) {
    const bool is_watched = line.text("route") == "watched";
    CHECK(line.text("verdict") == "blocked");
    CHECK(line.text("action") == (is_watched ? "monitored" : "block"));
  }
}

TEST_CASE("route: one of two origins is down, and no GET fails") {
  const reserved_port down;
  stage on(with_origins({down.number()}));
  on.origin.when("/a", {.body = "here"});
  for (int i = 0; i < 20; ++i) CHECK(on.get("/a").body == "here");
  for (const auto& line : on.icapgate.lines(20))
    CHECK(line.text("origin") == url_of(on.origin.port()));
  const auto failures = of_origin(on, "origin_failures_total", down.number());
  CHECK(failures >= 5);  // one more after each pause
  CHECK(failures < 10);
  CHECK(metric(on, "origin_failovers_total") == failures);
  CHECK(of_origin(on, "origin_ejected", down.number()) == 1);
  CHECK(of_origin(on, "origin_ejected", on.origin.port()) == 0);
  wait_until("nothing is in flight",
             [&] { return of_origin(on, "origin_requests_in_flight", on.origin.port()) == 0; });
}

TEST_CASE("route: an origin that closes unanswered costs no GET, and gets no POST a second time") {
  origin_peer closing;
  for (auto target : {"/get", "/post"})
    closing.when(target, [](connection& to, const origin_request&) { to.close(); });
  stage on(with_origins({closing.port()}));
  on.origin.when("/get", {.body = "got"});
  on.origin.when("/post", {.body = "posted"});
  for (int i = 0; i < 4; ++i) CHECK(on.get("/get").body == "got");
  CHECK(closing.requests().size() == 2);
  int refused = 0;
  for (int i = 0; i < 4; ++i) {
    const auto got = on.client().request("POST", "/post", {{"Content-Length", "6"}}, "a body");
    refused += got.status == 502 ? 1 : 0;
  }
  CHECK(refused == 2);
  // PUT may be repeated, but its body is gone.
  refused = 0;
  for (int i = 0; i < 2; ++i) {
    const auto got = on.client().request("PUT", "/get", {{"Content-Length", "6"}}, "a body");
    refused += got.status == 502 ? 1 : 0;
  }
  CHECK(refused == 1);
  std::size_t posts = 0;
  for (const auto* peer : {&closing, &on.origin})
    for (const auto& one : peer->requests()) posts += one.method == "POST" ? 1 : 0;
  CHECK(posts == 4);
}

TEST_CASE("route: requests go to the origin with fewer of them in flight") {
  origin_peer other;
  happening go_on, begun;
  stage on(with_origins({other.port()}));
  for (auto* peer : {&on.origin, &other}) {
    peer->when("/slow", [&](connection& to, const origin_request&) {
      begun.tell();
      go_on.wait();
      to.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    peer->when("/a", {.body = "a"});
  }
  auto waiting = on.client();
  waiting.send("GET", "/slow");
  begun.wait();
  for (int i = 0; i < 6; ++i) CHECK(on.client().get("/a").status == 200);
  go_on.tell();
  CHECK(waiting.receive().status == 200);
  auto& busy = other.requests().size() == 1 ? other : on.origin;
  auto& free = &busy == &other ? on.origin : other;
  CHECK(busy.requests().size() == 1);
  CHECK(free.requests().size() == 6);
}

TEST_CASE("route: an origin that does not answer is left alone, tried again, and comes back") {
  happening well;
  origin_peer other;
  other.when("/a", [&](connection& to, const origin_request&) {
    if (well.told()) return to.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    to.read_to_end();
    to.close();
  });
  auto settings = with_origins({other.port()});
  settings.env = {{setting::origin_first_byte, "200ms"}};
  stage on(settings);
  on.origin.when("/a", {.body = "here"});
  for (int i = 0; i < 10; ++i) CHECK(on.get("/a").body == "here");
  CHECK(of_origin(on, "origin_failures_total", other.port()) >= 5);
  CHECK(of_origin(on, "origin_ejected", other.port()) == 1);
  well.tell();
  wait_until("the origin is asked again", [&] { return on.get("/a").body == "other"; });
  CHECK(of_origin(on, "origin_ejected", other.port()) == 0);
}

TEST_CASE("route: POST goes on to the next origin where nothing of it could be sent") {
  const reserved_port down;
  stage on(with_origins({down.number()}));
  on.origin.when("/post", {.body = "posted"});
  for (int i = 0; i < 4; ++i)
    CHECK(on.client().request("POST", "/post", {{"Content-Length", "6"}}, "a body").body ==
          "posted");
  CHECK(on.origin.requests().size() == 4);
  CHECK(on.origin.request("/post").body == "a body");
}

TEST_CASE("route: an only origin is asked, however often it failed") {
  const reserved_port down;
  stage on({.origin = down.number()});
  for (int i = 0; i < 8; ++i) CHECK(on.get("/a").status == 502);
  CHECK(of_origin(on, "origin_failures_total", down.number()) == 8);
  CHECK(of_origin(on, "origin_requests_total", down.number()) == 8);
}
