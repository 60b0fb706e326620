// Bodies and protocols without an end: event streams, and what an Upgrade leads to.
#include "kit/numbers.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

// --- event streams

const std::string events_rule =
    "[policy]\nmax_body_time = \"300ms\"\n"
    "[[policy.rule]]\nreason = \"live\"\npath = \"/events\"\nevent_stream = true\n";
const std::string first_event = "data: first\n\n";
const std::string second_event = "data: second\n\n";
const field_list wants_events = {{"Accept", "text/event-stream"}};

std::string stream_head(const std::string& type, framing form) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nCache-Control: no-cache\r\n" +
         (form == framing::chunked ? "Transfer-Encoding: chunked\r\n\r\n"
                                   : "Connection: close\r\n\r\n");
}

std::string framed(const std::string& event, framing form) {
  if (form == framing::close) return event;
  const auto whole = chunked(event);
  return whole.substr(0, whole.size() - 5);
}

// The second event, and the end, come when the client has the first one.
origin_peer::script two_events(framing form, const happening& got_first) {
  return [form, &got_first](connection& to, const origin_request&) {
    to.write(stream_head("text/event-stream", form) + framed(first_event, form));
    got_first.wait();
    to.write(framed(second_event, form) + (form == framing::chunked ? "0\r\n\r\n" : ""));
    if (form == framing::close) to.close();
  };
}

// One event after the other until the gateway has left.
origin_peer::script endless_events(const std::string& type) {
  return [type](connection& to, const origin_request&) {
    to.write(stream_head(type, framing::chunked));
    do {
      to.write(framed(first_event, framing::chunked));
    } while (to.is_quiet(20ms));
    to.close();
  };
}

// --- upgrades

const field_list asks_for_websocket = {{"Connection", "keep-alive, Upgrade"},
                                       {"Upgrade", "websocket"},
                                       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                       {"Sec-WebSocket-Version", "13"}};
const std::string switching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// A tunnel in which the origin is silent, up to the other side's end.
origin_peer::script until_end(happening& left) {
  return [&left](connection& to, const origin_request&) {
    to.write(switching);
    to.read_to_end();
    left.tell();
    to.close();
  };
}

gate_settings tunnelling(std::map<std::string, std::string> env = {}) {
  return {.env = std::move(env),
          .config =
              "[[policy.rule]]\nreason = \"sockets\"\npath = \"/socket/*\"\n"
              "upgrade = true\n"};
}

http_head open_tunnel(http_client& client, const std::string& early = {}) {
  client.send("GET", "/socket/a", asks_for_websocket, early);
  return parse_head(client.wire().read_until("\r\n\r\n"));
}

}  // namespace

TEST_CASE("streams: events pass one by one where rule, request and response say so") {
  for (const auto form : {framing::chunked, framing::close}) {
    for (const std::string accept :
         {"text/event-stream", "text/html, Text/Event-Stream;q=0.5, */*"}) {
      INFO(static_cast<int>(form) << " " << accept);
      happening got_first;
      stage on({.config = events_rule});
      on.origin.when("/events", two_events(form, got_first));
      auto client = on.client();
      client.send("GET", "/events", {{"Accept", accept}});
      const auto begin = client.wire().read_until(first_event);
      CHECK(begin.find("Cache-Control: no-cache") != std::string::npos);
      got_first.tell();
      client.wire().read_until(second_event);
      const auto line = on.icapgate.line();
      CHECK(line.text("unscanned") == "event_stream");
      CHECK(line.text("rule") == "live");
      CHECK(line.text("action") == "pass");
      CHECK(line.text("verdict") == "skipped");
      CHECK(line.text("reason") == "complete");
      CHECK(unscanned(on, "event_stream") == 1);
      CHECK(rule_hits(on, "live") == 1);
      CHECK(on.scanner.scans().empty());
    }
  }
}

TEST_CASE("streams: without rule, request and response all saying so it is held and refused") {
  struct {
    std::string target, accept, type;
  } const all[] = {{"/other", "text/event-stream", "text/event-stream"},
                   {"/events", "*/*", "text/event-stream"},
                   {"/events", "text/event-stream;q=0", "text/event-stream"},
                   {"/events", "text/event-stream", "text/plain"},
                   {"/events", "text/event-stream", "text/event-stream-like"}};
  stage on({.config = events_rule});
  for (const auto& one : all) {
    INFO(one.target << ", Accept: " << one.accept << ", Content-Type: " << one.type);
    on.origin.when(one.target, endless_events(one.type));
    const auto got = on.get(one.target, {{"Accept", one.accept}});
    CHECK(got.status == 403);
    CHECK(got.body.find("data: first") == std::string::npos);
    const auto line = on.last_line();
    CHECK(line.text("reason") == "policy_unscannable");
    CHECK(line.text("verdict") == "unscannable");
    CHECK(line.text("action") == "block");
  }
  CHECK(unscanned(on, "event_stream") == 0);
}

TEST_CASE("streams: a short body in an event stream's clothes is scanned where no rule lets it") {
  stage on({.config = events_rule});
  on.scanner.always(block_page());
  on.origin.when("/other", {.fields = {{"Content-Type", "text/event-stream"}}, .body = "a virus"});
  CHECK(on.get("/other", wants_events).status == 403);
  CHECK(on.last_line().text("verdict") == "blocked");
}

TEST_CASE("streams: an event stream may pause longer than an ordinary body") {
  happening paused;
  stage on({.env = {{setting::origin_idle, "200ms"}}, .config = events_rule});
  on.origin.when("/events", two_events(framing::chunked, paused));
  auto client = on.client();
  client.send("GET", "/events", wants_events);
  client.wire().read_until(first_event + "\r\n");
  CHECK(client.wire().is_quiet(600ms));
  paused.tell();
  client.wire().read_until(second_event);
}

TEST_CASE("streams: an event stream that pauses for too long is cut") {
  stage on({.env = {{"ICAPGATE_CLIENT__TIMEOUT__STREAM", "300ms"}}, .config = events_rule});
  on.origin.when("/events", [](connection& to, const origin_request&) {
    to.write(stream_head("text/event-stream", framing::chunked) +
             framed(first_event, framing::chunked));
    to.read_to_end();
    to.close();
  });
  const auto got = on.get("/events", wants_events);
  CHECK(got.body == first_event);
  CHECK_FALSE(got.whole());
  CHECK(on.last_line().text("reason") == "origin_body_timeout");
}

// --- upgrades

TEST_CASE("streams: an upgrade without a rule is refused, and the connection stays usable") {
  stage on(tunnelling());
  on.origin.when("/a", {.body = "a page"});
  auto client = on.client();
  std::size_t asked = 0;
  for (const std::string target : {"/a", "/socket", "/socket/%2e%2e/a", "/socket/../socket/a"}) {
    INFO(target);
    const auto got = client.get(target, asks_for_websocket);
    CHECK(got.status == 501);
    CHECK(got.whole());
    CHECK(value(got.fields(), "Cache-Control") == "no-store");
    const auto line = on.icapgate.line(++asked);
    CHECK(got.body.find(line.text("request_id")) != std::string::npos);
    CHECK(line.text("reason") == "policy_upgrade_refused");
    CHECK(line.text("action") == "fail");
    CHECK(line.number("status") == 501);
  }
  CHECK(on.origin.requests().empty());
  CHECK(client.get("/a").body == "a page");
  CHECK(unscanned(on, "upgrade") == 0);
}

TEST_CASE("streams: an upgrade that nobody may see as one is an ordinary request") {
  stage on;
  on.origin.when("/a", {.body = "a page"});
  // RFC 9110 7.8: without the connection option, and in HTTP/1.0, it does not count.
  CHECK(on.get("/a", {{"Upgrade", "websocket"}}).body == "a page");
  CHECK_FALSE(has(on.origin.request("/a").head.fields, "Upgrade"));
  auto client = on.client();
  client.wire().write(
      "GET /a HTTP/1.0\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
      "Upgrade: websocket\r\n\r\n");
  CHECK(client.receive().body == "a page");
  CHECK_FALSE(has(on.origin.request("/a").head.fields, "Upgrade"));
  CHECK(on.scanner.scans().size() == 2);
}

TEST_CASE("streams: by a rule an upgrade becomes a tunnel for both sides' bytes") {
  const auto up = noise(2'000'000, 1);
  const auto down = noise(2'000'000, 2);
  const std::string early_up = "sent with the request";
  const std::string early_down = "sent with the 101";
  std::string arrived;
  happening done;
  stage on(tunnelling());
  on.origin.when("/socket/a", [&](connection& to, const origin_request&) {
    to.write(switching + early_down);
    arrived = to.read_exact(early_up.size() + up.size());
    to.write(down);
    done.wait();
    to.close();
  });
  auto client = on.client();
  const auto head = open_tunnel(client, early_up);
  CHECK(head.second == "101");
  CHECK(value(head.fields, "Upgrade") == "websocket");
  CHECK(lower(value(head.fields, "Connection")) == "upgrade");
  CHECK(value(head.fields, "Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK_FALSE(has(head.fields, "Content-Length"));
  CHECK_FALSE(has(head.fields, "Transfer-Encoding"));
  CHECK(client.wire().read_exact(early_down.size()) == early_down);
  client.wire().write(up);
  CHECK(difference(client.wire().read_exact(down.size()), down) == "");
  CHECK(difference(arrived, early_up + up) == "");
  done.tell();
  CHECK(client.ended());
  client.wire().close();

  const auto asked = on.origin.request("/socket/a").head.fields;
  CHECK(value(asked, "Upgrade") == "websocket");
  CHECK(lower(value(asked, "Connection")) == "upgrade");
  CHECK(value(asked, "Sec-WebSocket-Key") == "dGhlIHNhbXBsZSBub25jZQ==");
  const auto line = on.icapgate.line();
  CHECK(line.number("status") == 101);
  CHECK(line.text("reason") == "complete");
  CHECK(line.text("action") == "pass");
  CHECK(line.text("verdict") == "skipped");
  CHECK(line.text("unscanned") == "upgrade");
  CHECK(line.text("rule") == "sockets");
  CHECK(line.number("bytes_in") == static_cast<double>(early_up.size() + up.size()));
  CHECK(line.number("bytes_out") ==
        static_cast<double>(head.wire.size() + early_down.size() + down.size()));
  CHECK(on.scanner.scans().empty());
  CHECK(unscanned(on, "upgrade") == 1);
  CHECK(rule_hits(on, "sockets") == 1);
}

TEST_CASE("streams: each side of a tunnel may end its half and still listen") {
  stage on(tunnelling());
  on.origin.when("/socket/a", [](connection& to, const origin_request&) {
    to.write(switching);
    const auto all = to.read_to_end();
    to.write("you said " + all);
    to.close();
  });
  {
    auto client = on.client();
    open_tunnel(client);
    client.wire().write("goodbye");
    client.wire().end();
    CHECK(client.wire().read_to_end() == "you said goodbye");
  }
  std::string last_words;
  happening heard;
  on.origin.when("/socket/a", [&](connection& to, const origin_request&) {
    to.write(switching + "goodbye");
    to.end();
    last_words = to.read_to_end();
    heard.tell();
    to.close();
  });
  {
    auto client = on.client();
    open_tunnel(client);
    CHECK(client.wire().read_to_end() == "goodbye");
    client.wire().write("and to you");
    client.wire().end();
    heard.wait();
    CHECK(last_words == "and to you");
  }
  for (const auto& line : on.icapgate.lines(2)) CHECK(line.text("reason") == "complete");
}

TEST_CASE("streams: a tunnel in which nothing moves is ended") {
  happening left;
  stage on(tunnelling({{"ICAPGATE_CLIENT__TIMEOUT__STREAM", "300ms"}}));
  on.origin.when("/socket/a", until_end(left));
  auto client = on.client();
  open_tunnel(client);
  CHECK(client.ended());
  left.wait();
  const auto line = on.icapgate.line();
  CHECK(line.text("unscanned") == "upgrade");
  CHECK(line.text("reason") == "tunnel_idle");
}

TEST_CASE("streams: a tunnel lives as long as one of its directions moves") {
  stage on(tunnelling({{"ICAPGATE_CLIENT__TIMEOUT__STREAM", "400ms"}}));
  on.origin.when("/socket/a", [](connection& to, const origin_request&) {
    to.write(switching);
    for (int i = 0; i < 10; ++i) {
      to.write("tick");
      if (!to.is_quiet(100ms)) break;
    }
    to.write("end");
    to.close();
  });
  auto client = on.client();
  open_tunnel(client);
  CHECK(client.wire().read_to_end().ends_with("tickend"));
}

TEST_CASE("streams: a peer that resets its side of a tunnel ends the other") {
  happening left;
  stage on(tunnelling());
  on.origin.when("/socket/a", [&](connection& to, const origin_request&) {
    to.write(switching);
    try {
      to.read_to_end();
    } catch (const peer_gone&) {
    }
    left.tell();
    to.close();
  });
  {
    auto client = on.client();
    open_tunnel(client);
    client.wire().reset();
  }
  left.wait();
  CHECK(on.icapgate.line().text("unscanned") == "upgrade");
  on.origin.when("/socket/a", [](connection& to, const origin_request&) {
    to.write(switching);
    to.reset();
  });
  auto client = on.client();
  open_tunnel(client);
  CHECK(client.ended());
}

TEST_CASE("streams: a drain ends a tunnel when its time is over") {
  happening left;
  stage on(tunnelling({{setting::drain, "300ms"}}));
  on.origin.when("/socket/a", until_end(left));
  auto client = on.client();
  open_tunnel(client);
  on.icapgate.terminate();
  CHECK(client.ended());
  left.wait();
  CHECK(on.icapgate.wait() == 0);
}

TEST_CASE("streams: an origin that answers an upgrade with a response gets it scanned") {
  stage on(tunnelling());
  on.origin.when("/socket/a", {.fields = {{"ETag", "\"1\""}}, .body = "no socket, but a virus"});
  auto client = on.client();
  const auto clean = client.get("/socket/a", asks_for_websocket);
  CHECK(clean.status == 200);
  CHECK(clean.body == "no socket, but a virus");
  CHECK(on.icapgate.line(1).text("verdict") == "clean");
  CHECK(on.icapgate.line(1).text("rule") == "sockets");
  on.scanner.always(block_page());
  const auto got = client.get("/socket/a", asks_for_websocket);
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
  CHECK(on.icapgate.line(2).text("verdict") == "blocked");
  CHECK(unscanned(on, "upgrade") == 0);
  CHECK(on.scanner.scans().size() == 2);
}

TEST_CASE("streams: a 101 that nobody asked for is refused") {
  stage on(tunnelling());
  on.origin.when("/socket/a", [](connection& to, const origin_request&) {
    to.write(switching + "a virus in another protocol");
    to.read_to_end();
    to.close();
  });
  const auto got = on.get("/socket/a");
  CHECK(got.status == 502);
  CHECK(got.body.find("a virus") == std::string::npos);
  CHECK(on.last_line().text("reason") == "origin_upgrade_refused");
}
