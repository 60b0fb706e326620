// delivery = "trickle": a beginning of the body before the verdict, never its last 64 KiB, and
// never a good end for what turns out to be bad.
#include "kit/held_scans.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

using clock = std::chrono::steady_clock;
using ending = response::ending;

constexpr std::size_t tail = 65'536;

struct drip {
  std::string delay = "150ms";
  std::string rate = "64MiB";  // all that may leave, in one step
};

gate_settings dripping(const drip& how = {}, const std::string& more = {}) {
  return {.config = "[policy]\ndelivery = \"trickle\"\ntrickle = { delay = \"" + how.delay +
                    "\", rate = \"" + how.rate + "\" }\n" + more};
}

// A client in the middle of a response.
class listener_to {
 public:
  listener_to(stage& on, const std::string& target, const std::string& version = "1.1",
              const std::string& fields = {})
      : wire_(connection::to(on.icapgate.port())) {
    wire_.write("GET " + target + " HTTP/" + version + "\r\nHost: shop.example\r\n" + fields +
                "\r\n");
  }

  // Until it has `count` bytes of the body, or more.
  void take(std::size_t count) {
    if (head_.wire.empty()) head_ = parse_head(wire_.read_until("\r\n\r\n"));
    while (body_.size() < count) body_ += piece(count - body_.size());
  }

  // To the end, whatever it is.
  ending finish() {
    try {
      take(0);
      if (form() == framing::length) take(std::stoull(value(head_.fields, "Content-Length")));
      std::string part;
      do {
        part = form() == framing::length ? "" : piece(tail);
        body_ += part;
      } while (!part.empty());
      if (form() == framing::chunked) read_trailers(wire_);
      return form() == framing::close ? ending::closed : ending::complete;
    } catch (const peer_gone&) {
      return ending::cut;
    }
  }

  framing form() const {
    if (has(head_.fields, "Transfer-Encoding")) return framing::chunked;
    return has(head_.fields, "Content-Length") ? framing::length : framing::close;
  }
  const std::string& status() const { return head_.second; }
  const field_list& fields() const { return head_.fields; }
  const std::string& body() const { return body_; }
  connection& wire() { return wire_; }

 private:
  std::string piece(std::size_t most) {
    if (form() == framing::chunked) return read_chunk(wire_).data;
    auto part = wire_.read_some(most);
    if (part.empty() && form() == framing::length) throw peer_gone("in the body");
    return part;
  }

  connection wire_;
  http_head head_;
  std::string body_;
};

struct form_case {
  framing origin;
  std::string client;  // HTTP version
  framing delivered;
};

const std::vector<form_case>& every_form() {
  static const std::vector<form_case> all = {
      {framing::length, "1.1", framing::length}, {framing::chunked, "1.1", framing::chunked},
      {framing::close, "1.1", framing::chunked}, {framing::length, "1.0", framing::length},
      {framing::chunked, "1.0", framing::close}, {framing::close, "1.0", framing::close}};
  return all;
}

// All of a body but its end: what has no length is delivered without one only while it is not
// whole.
class unended_body {
 public:
  unended_body(stage& on, const std::string& target, const std::string& body, framing form) {
    const auto wire = response_text{.body = body, .form = form}.wire();
    const std::size_t end = form == framing::chunked ? 5 : 0;
    on.origin.when(target,
                   [ended = ended_, wire, end, form](connection& to, const origin_request&) {
                     to.write(std::string_view(wire).substr(0, wire.size() - end));
                     ended->wait();
                     to.write(std::string_view(wire).substr(wire.size() - end));
                     if (form == framing::close) to.close();
                   });
  }
  ~unended_body() { end(); }
  void end() { ended_->tell(); }

 private:
  std::shared_ptr<happening> ended_ = std::make_shared<happening>();
};

}  // namespace

TEST_CASE("trickle: a clean body is whole, in each framing, and its last 64 KiB wait") {
  const auto body = noise(tail + 70'001);
  stage on(dripping());
  for (const auto& form : every_form()) {
    INFO("origin's framing " << static_cast<int>(form.origin) << ", client's HTTP/" << form.client);
    unended_body origin(on, "/a", body, form.origin);
    held_scans scanner(on.scanner);
    listener_to client(on, "/a", form.client);
    client.take(body.size() - tail);
    CHECK(client.status() == "200");
    CHECK(client.form() == form.delivered);
    CHECK(client.body().size() == body.size() - tail);
    origin.end();
    scanner.decide();
    CHECK(client.finish() ==
          (form.delivered == framing::close ? ending::closed : ending::complete));
    CHECK(difference(client.body(), body) == "");
  }
  for (const auto& line : on.icapgate.lines(every_form().size())) {
    CHECK(line.text("verdict") == "clean");
    CHECK(line.text("action") == "deliver");
    CHECK(line.text("reason") == "complete");
  }
  CHECK(metric(on, "late_aborts_total") == 0);
}

TEST_CASE("trickle: all but the last 64 KiB drips before the verdict, to the byte") {
  stage on(dripping());
  for (const std::size_t beyond : {1, 2, 5'000}) {
    const auto body = noise(tail + beyond);
    on.origin.when("/a", {.body = body});
    held_scans scanner(on.scanner);
    listener_to client(on, "/a");
    client.take(beyond);
    // As long as a further step would take.
    CHECK(client.wire().is_quiet(1100ms));
    CHECK(client.body() == body.substr(0, beyond));
    scanner.decide();
    CHECK(client.finish() == ending::complete);
    CHECK(difference(client.body(), body) == "");
  }
}

TEST_CASE("trickle: of a body of 64 KiB nothing drips, not even its head") {
  stage on(dripping());
  on.origin.when("/a", {.body = noise(tail)});
  held_scans scanner(on.scanner, block_page());
  listener_to client(on, "/a");
  scanner.wait_for_one();
  CHECK(client.wire().is_quiet(1200ms));
  scanner.decide();
  CHECK(client.finish() == ending::complete);
  CHECK(client.status() == "403");
  CHECK(on.icapgate.line().text("reason") == "blocked");
  CHECK(metric(on, "late_aborts_total") == 0);
}

TEST_CASE("trickle: it begins after the delay and keeps to the rate") {
  stage on(dripping({.delay = "300ms", .rate = "1000"}));
  on.origin.when("/a", {.body = noise(200'000)});
  held_scans scanner(on.scanner);
  const auto began = clock::now();
  listener_to client(on, "/a");
  client.take(1);
  CHECK(clock::now() - began >= 300ms);
  CHECK(client.status() == "200");
  // In one second 1000 bytes: the 2001st comes with the third step.
  client.take(2001);
  CHECK(clock::now() - began >= 2300ms);
  scanner.decide();
  CHECK(client.finish() == ending::complete);
  CHECK(difference(client.body(), noise(200'000)) == "");
}

TEST_CASE("trickle: a body that is blocked late is cut, and no framing makes it look whole") {
  const auto body = noise(tail + 30'000);
  stage on(dripping());
  for (const auto& form : every_form()) {
    INFO("origin's framing " << static_cast<int>(form.origin) << ", client's HTTP/" << form.client);
    unended_body origin(on, "/a", body, form.origin);
    held_scans scanner(on.scanner, block_page());
    listener_to client(on, "/a", form.client);
    client.take(30'000);
    CHECK(client.form() == form.delivered);
    const auto before = client.wire().received();
    origin.end();
    scanner.decide();
    CHECK(client.finish() == ending::cut);
    CHECK(client.wire().received() == before);
    CHECK(client.body() == body.substr(0, 30'000));
  }
  for (const auto& line : on.icapgate.lines(every_form().size())) {
    CHECK(line.text("reason") == "blocked_late");
    CHECK(line.text("verdict") == "blocked");
    CHECK(line.text("action") == "block");
    CHECK(line.number("status") == 200);
  }
  CHECK(metric(on, "late_aborts_total") == 6);
  CHECK(metric(on, "late_abort_delivered_bytes_total") == 180'000);
  CHECK(metric(on, "transactions_total{reason=\"blocked_late\"}") == 6);
}

TEST_CASE("trickle: what is blocked ends at once, also for a client that takes nothing just then") {
  // More than sockets hold, in one step.
  const auto body = noise(tail + 30'000'000);
  stage on(dripping());
  for (const auto form : {framing::length, framing::chunked}) {
    on.origin.when("/a", {.body = body, .form = form});
    held_scans scanner(on.scanner, block_page());
    listener_to client(on, "/a");
    client.take(1'000);
    scanner.wait_for_one();
    scanner.decide();
    const auto line = on.icapgate.line(form == framing::length ? 1 : 2);
    CHECK(line.text("reason") == "blocked_late");
    CHECK(client.finish() == ending::cut);
    CHECK(client.body().size() < body.size() - tail);
  }
}

TEST_CASE("trickle: the bytes that leaked are added up over late aborts") {
  stage on(dripping());
  for (const std::size_t leaked : {100, 20'000}) {
    on.origin.when("/a", {.body = noise(tail + leaked)});
    held_scans scanner(
        on.scanner, icap_status("403 Forbidden", {{"X-Infection-Found", std::string(infection)}}));
    listener_to client(on, "/a");
    client.take(leaked);
    scanner.decide();
    CHECK(client.finish() == ending::cut);
  }
  on.icapgate.lines(2);
  CHECK(metric(on, "late_aborts_total") == 2);
  CHECK(metric(on, "late_abort_delivered_bytes_total") == 20'100);
}

TEST_CASE("trickle: a scanner's own version comes too late for a body that has begun") {
  stage on(dripping());
  on.origin.when("/a", {.body = noise(tail + 1'000)});
  held_scans scanner(on.scanner,
                     adapted("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", "adapted\n"));
  listener_to client(on, "/a");
  client.take(1'000);
  scanner.decide();
  CHECK(client.finish() == ending::cut);
  CHECK(client.body().size() == 1'000);
  CHECK(on.icapgate.line().text("reason") == "blocked_late");
  CHECK(metric(on, "late_aborts_total") == 1);
}

TEST_CASE("trickle: a verdict before the delay is over means no drip at all") {
  stage on(dripping({.delay = "1m"}));
  on.origin.when("/a", {.body = noise(tail + 50'000)});
  const auto clean = on.get("/a");
  CHECK(clean.status == 200);
  CHECK(difference(clean.body, noise(tail + 50'000)) == "");
  on.scanner.always(block_page());
  const auto bad = on.get("/a");
  CHECK(bad.status == 403);
  CHECK(bad.whole());
  CHECK(bad.body == page_body());
  CHECK(on.last_line().text("reason") == "blocked");
  on.scanner.always(icap_status("500 Broken"));
  const auto failed = on.get("/a");
  check_refusal(failed, on.last_line());
  CHECK(metric(on, "late_aborts_total") == 0);
  CHECK(metric(on, "late_abort_delivered_bytes_total") == 0);
}

TEST_CASE("trickle: the connection goes on with another request after a clean end") {
  stage on(dripping());
  const auto body = noise(tail + 9'000);
  on.origin.when("/a", {.body = body, .form = framing::chunked});
  held_scans scanner(on.scanner);
  auto client = on.client();
  client.send("GET", "/a");
  scanner.wait_for_one();
  client.wire().wait_for_more();
  scanner.decide();
  CHECK(difference(client.receive().body, body) == "");
  CHECK(difference(client.get("/a").body, body) == "");
}

TEST_CASE("trickle: scanner trouble after a drip cuts the connection") {
  stage on(dripping());
  on.origin.when("/a", {.body = noise(tail + 2'000)});
  held_scans scanner(on.scanner, icap_status("500 Broken"));
  listener_to client(on, "/a");
  client.take(2'000);
  scanner.decide();
  CHECK(client.finish() == ending::cut);
  CHECK(client.body().size() == 2'000);
  const auto line = on.icapgate.line();
  CHECK(line.text("reason") == "icap_status_error");
  CHECK(line.text("action") == "fail");
  // That counter is of what was found harmful.
  CHECK(metric(on, "late_aborts_total") == 0);
}

TEST_CASE("trickle: with on_error = pass scanner trouble after a drip means the whole body") {
  stage on(dripping({}, "on_error = \"pass\"\n"));
  const auto body = noise(tail + 2'000);
  on.origin.when("/a", {.body = body});
  held_scans scanner(on.scanner, "");
  listener_to client(on, "/a");
  client.take(2'000);
  scanner.decide();
  CHECK(client.finish() == ending::complete);
  CHECK(difference(client.body(), body) == "");
  const auto line = on.icapgate.line();
  CHECK(line.text("action") == "fallback");
  CHECK(line.text("unscanned") == "on_error");
  CHECK(unscanned(on, "on_error") == 1);
  CHECK(metric(on, "late_aborts_total") == 0);
}

TEST_CASE("trickle: an origin that ends early after a drip cuts the connection") {
  const auto body = noise(tail + 3'000);
  for (const bool is_chunked : {false, true}) {
    happening over;
    stage on(dripping());
    on.origin.when("/a", [&](connection& to, const origin_request&) {
      to.write(std::string("HTTP/1.1 200 OK\r\n") +
               (is_chunked ? "Transfer-Encoding: chunked\r\n\r\n" + std::string("100000\r\n")
                           : std::string("Content-Length: 1048576\r\n\r\n")) +
               body);
      over.wait();
      to.close();
    });
    listener_to client(on, "/a");
    client.take(3'000);
    over.tell();
    CHECK(client.finish() == ending::cut);
    CHECK(client.body() == body.substr(0, 3'000));
    CHECK(on.icapgate.line().text("reason") == "origin_body_eof");
    CHECK(metric(on, "late_aborts_total") == 0);
  }
}

TEST_CASE("trickle: a client that leaves in the middle of a drip harms nobody") {
  stage on(dripping({.rate = "100"}));
  on.origin.when("/a", {.body = noise(200'000)});
  on.origin.when("/b", {.body = "another"});
  {
    held_scans scanner(on.scanner);
    listener_to client(on, "/a");
    client.take(1);
    client.wire().reset();
    // The next step meets a closed connection.
    scanner.wait_for_one();
    scanner.decide();
    CHECK(on.icapgate.line().text("reason").starts_with("client_"));
  }
  on.scanner.always(no_modification());
  CHECK(on.client().get("/b").body == "another");
}

TEST_CASE("trickle: a range waits for the verdict, as with hold") {
  stage on(dripping());
  const auto body = noise(tail + 100'000);
  on.origin.when("/a", {.body = body});
  held_scans scanner(on.scanner);
  listener_to client(on, "/a", "1.1", "Range: bytes=10-19\r\n");
  scanner.wait_for_one();
  CHECK(client.wire().is_quiet(500ms));
  scanner.decide();
  CHECK(client.finish() == ending::complete);
  CHECK(client.status() == "206");
  CHECK(client.body() == body.substr(10, 10));
}

TEST_CASE("trickle: a body in a file drips out of it and is whole") {
  for (const auto form : {framing::length, framing::chunked}) {
    stage on(dripping({}, "spool.memory = \"32KiB\"\n"));
    const auto body = noise(tail + 100'000);
    on.origin.when("/a", {.body = body, .form = form});
    held_scans scanner(on.scanner);
    listener_to client(on, "/a");
    client.take(100'000);
    CHECK(metric(on, "spool_bytes{store=\"disk\"}") >= 100'000);
    CHECK(client.body() == body.substr(0, 100'000));
    scanner.decide();
    CHECK(client.finish() == ending::complete);
    CHECK(difference(client.body(), body) == "");
  }
}
