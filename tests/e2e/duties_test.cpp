// What a gateway owes both sides beside the message itself: dates, interim responses, Via, order,
// and an end for whoever has left.
#include "kit/codings.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace e2e;

namespace {

using texts = std::vector<std::string>;

constexpr auto unscanned_policy = "[policy]\nmode = \"off\"\n";

// RFC 9110 5.6.7, the form of a date that may be generated.
bool is_date(const std::string& text) {
  const std::string form = "Aaa, 00 Aaa 0000 00:00:00 GMT";
  if (text.size() != form.size() || !text.ends_with(" GMT")) return false;
  for (std::size_t i = 0; i < form.size() - 3; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (form[i] == '0' && !std::isdigit(c)) return false;
    if (std::isalpha(static_cast<unsigned char>(form[i])) && !std::isalpha(c)) return false;
    if (std::ispunct(static_cast<unsigned char>(form[i])) && c != form[i]) return false;
  }
  return true;
}

// A port at which nobody answers: the queue of its listener is full, so that whoever connects goes
// on asking.
class full_listener {
 public:
  full_listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd_, 0) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
    bool taken = true;
    while (taken) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      waiting_.push_back(fd);
      ::connect(fd, reinterpret_cast<sockaddr*>(&at), size);
      pollfd ready{fd, POLLOUT, 0};
      taken = ::poll(&ready, 1, 500) > 0;
    }
  }
  ~full_listener() {
    for (const int fd : waiting_) ::close(fd);
    ::close(fd_);
  }
  full_listener(const full_listener&) = delete;
  full_listener& operator=(const full_listener&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
  std::vector<int> waiting_;
};

// Sends its head's beginning and tells when the gateway has ended the connection.
origin_peer::script silent_origin(happening& asked, happening& left, std::string begin = {}) {
  return [&asked, &left, begin](connection& to, const origin_request&) {
    to.write(begin);
    asked.tell();
    try {
      to.read_to_end();
    } catch (const was_reset&) {
    }
    left.tell();
    to.close();
  };
}

}  // namespace

// --- Date

TEST_CASE("duties: a response without a date gets one, and only the client sees it") {
  stage on;
  on.origin.when("/none", {.body = "x"});
  on.origin.when("/own", {.fields = {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"}}, .body = "x"});
  on.origin.when("/empty", {.status = "204 No Content"});
  for (const auto target : {"/none", "/empty"}) {
    INFO(target);
    const auto got = on.get(target).fields();
    CHECK(values(got, "Date").size() == 1);
    CHECK(is_date(value(got, "Date")));
  }
  CHECK_FALSE(has(on.scanner.scan_of("/none").response.fields, "Date"));
  const auto own = on.get("/own").fields();
  CHECK(values(own, "Date") == std::vector<std::string>{"Sun, 06 Nov 1994 08:49:37 GMT"});
}

TEST_CASE("duties: the gateway's own responses have a date") {
  stage on;
  on.origin.when("/bad", {.body = "x"});
  on.origin.when("/broken", [](connection& to, const origin_request&) { to.close(); });
  on.scanner.always(icap_status("500 Server error"));
  for (const auto target : {"/bad", "/broken"}) {
    INFO(target);
    const auto got = on.get(target);
    CHECK(got.status >= 500);
    CHECK(is_date(value(got.fields(), "Date")));
  }
  auto client = on.client();
  client.wire().write("GET /\r\n\r\n");
  const auto refused = client.receive();
  CHECK(refused.status == 400);
  CHECK(is_date(value(refused.fields(), "Date")));
}

// --- interim responses

namespace {

const std::string hints =
    "HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\nX-Mine: 1\r\n"
    "Connection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 4\r\n\r\n"
    "HTTP/1.1 102 Processing\r\nX-Mine: 2\r\n\r\n"
    "HTTP/1.1 103 Early Hints\r\nLink: </y.js>\r\n\r\n";

void send_hints(connection& to, const origin_request&) {
  to.write(hints + response_text{.body = "the response"}.wire());
}

}  // namespace

TEST_CASE("duties: interim responses reach the client in order, without what ends at this hop") {
  stage on({.config = unscanned_policy});
  on.origin.when("/a", send_hints);
  auto client = on.client();
  client.send("GET", "/a");
  CHECK(client.wire().read_until("\r\n\r\n") ==
        "HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\nX-Mine: 1\r\n\r\n");
  CHECK(client.wire().read_until("\r\n\r\n") == "HTTP/1.1 102 Processing\r\nX-Mine: 2\r\n\r\n");
  CHECK(client.wire().read_until("\r\n\r\n") ==
        "HTTP/1.1 103 Early Hints\r\nLink: </y.js>\r\n\r\n");
  CHECK(client.receive().body == "the response");
  CHECK(client.get("/a").body == "the response");
}

TEST_CASE("duties: before a verdict an interim response tells its links and no more") {
  stage on;
  on.origin.when("/a", send_hints);
  on.scanner.always(icap_status("500 Server error"));
  auto client = on.client();
  client.send("GET", "/a");
  CHECK(client.wire().read_until("\r\n\r\n") ==
        "HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n");
  CHECK(client.wire().read_until("\r\n\r\n") == "HTTP/1.1 102 Processing\r\n\r\n");
  CHECK(client.wire().read_until("\r\n\r\n") ==
        "HTTP/1.1 103 Early Hints\r\nLink: </y.js>\r\n\r\n");
  const auto refused = client.receive();
  check_refusal(refused, on.icapgate.line());
}

TEST_CASE("duties: a client of version 1.0 gets no interim response") {
  stage on({.config = unscanned_policy});
  on.origin.when("/a", send_hints);
  auto client = on.client();
  client.wire().write("GET /a HTTP/1.0\r\nHost: a\r\n\r\n");
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
}

// --- Via

TEST_CASE("duties: a request that comes back is refused, another gateway's is not") {
  stage on;
  on.origin.when("/a", {.body = "x"});
  CHECK(on.get("/a", {{"Via", "1.1 icapgate, 1.0 fred (icapgate)"}}).status == 200);
  const auto via = values(on.origin.request("/a").head.fields, "Via");
  REQUIRE(via.size() == 2);
  CHECK(via.front() == "1.1 icapgate, 1.0 fred (icapgate)");
  CHECK(via.back().starts_with("1.1 icapgate-"));
  for (const auto& again : {via.back(), "1.1 a, " + via.back() + ", 1.1 b", via.back() + " (c)"}) {
    INFO(again);
    CHECK(on.get("/a", {{"Via", again}}).status == 508);
    CHECK(on.last_line().text("reason") == "client_loop_detected");
  }
  CHECK(on.origin.requests().size() == 1);
}

TEST_CASE("duties: two gateways have different names") {
  stage one, other;
  for (auto* on : {&one, &other}) {
    on->origin.when("/a", {.body = "x"});
    on->get("/a");
  }
  CHECK(value(one.origin.request("/a").head.fields, "Via") !=
        value(other.origin.request("/a").head.fields, "Via"));
}

// --- what the scanner is told of the request

TEST_CASE("duties: a response that is passed on names the gateway, one of its own does not") {
  stage on({.config = "[[policy.rule]]\nreason = \"open\"\npath = \"/open\"\nmode = \"off\"\n"});
  on.origin.when("/scanned", {.fields = {{"Via", "1.1 cache"}}, .body = "text"});
  on.origin.when("/open", {.body = "text"});
  on.origin.when("/none", {.status = "204 No Content"});
  on.origin.when("/old", [](connection& to, const origin_request&) {
    to.write("HTTP/1.0 200 OK\r\n\r\ntext");
    to.close();
  });
  const auto via = [&](const std::string& target, const field_list& more = {}) {
    return values(on.get(target, more).fields(), "Via");
  };
  const auto ours = via("/open");
  REQUIRE(ours.size() == 1);
  CHECK(ours[0].starts_with("1.1 icapgate-"));
  CHECK(ours[0] == value(on.origin.request("/open").head.fields, "Via"));
  CHECK(via("/scanned") == std::vector<std::string>{"1.1 cache", ours[0]});
  CHECK(via("/scanned", {{"Range", "bytes=0-1"}}).back() == ours[0]);
  CHECK(via("/none") == ours);
  CHECK(via("/old") == std::vector<std::string>{"1.0" + ours[0].substr(3)});
  on.scanner.always(icap_status("500 Server error"));
  CHECK(via("/scanned").empty());
}

TEST_CASE(
    "duties: what must not be transformed keeps its bytes, decoded for the scan or in parts") {
  stage on({.env = {{"ICAPGATE_POLICY__ENCODING", "decode"}}});
  const auto text = noise(50'000);
  const auto coded = gzip(text);
  const field_list fields = {{"Content-Type", "text/plain"},
                             {"Cache-Control", "no-transform, max-age=60"},
                             {"Content-Encoding", "gzip"},
                             {"ETag", "\"as it is\""}};
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    on.origin.when("/a", {.fields = fields, .body = coded, .form = form});
    const auto got = on.get("/a", {{"Accept-Encoding", "gzip"}});
    CHECK(got.status == 200);
    CHECK(difference(got.body, coded) == "");
    for (const auto& f : fields) CHECK(values(got.fields(), f.name) == texts{f.value});
    CHECK(difference(on.scanner.scan_of("/a").body, text) == "");
    const auto part = on.get("/a", {{"Accept-Encoding", "gzip"}, {"Range", "bytes=100-1099"}});
    CHECK(part.status == 206);
    CHECK(difference(part.body, coded.substr(100, 1000)) == "");
    for (const auto& f : fields) CHECK(values(part.fields(), f.name) == texts{f.value});
  }
}

TEST_CASE("duties: the scanner sees what the origin was asked, not what the client asked") {
  stage on;
  on.origin.when("/a", {.body = noise(1000)});
  const auto got = on.get("/a", {{"Range", "bytes=0-9"},
                                 {"If-Range", "\"x\""},
                                 {"Accept-Encoding", "gzip, secret"},
                                 {"X-Stays", "1"}});
  CHECK(got.status == 200);
  const auto asked = on.origin.request("/a").head.fields;
  const auto seen = on.scanner.scan_of("/a").request.fields;
  CHECK(value(seen, "X-Stays") == "1");
  CHECK(values(seen, "Accept-Encoding") == values(asked, "Accept-Encoding"));
  CHECK(values(seen, "Accept-Encoding") == std::vector<std::string>{"identity"});
  for (const auto gone : {"Range", "If-Range"}) {
    INFO(gone);
    CHECK_FALSE(has(asked, gone));
    CHECK_FALSE(has(seen, gone));
  }
}

// --- bodies in both directions

TEST_CASE("duties: trailers of a request end here, its body does not") {
  stage on;
  on.origin.when("/up", {.body = "thanks"});
  const auto body = noise(20'000);
  auto client = on.client();
  client.send("POST", "/up", {{"Transfer-Encoding", "chunked"}, {"Trailer", "X-Late"}},
              chunked(body, {.size = 900, .trailers = "X-Late: 1\r\nContent-Length: 3\r\n"}));
  CHECK(client.receive().body == "thanks");
  const auto got = on.origin.request("/up");
  CHECK(difference(got.body, body) == "");
  CHECK_FALSE(has(got.head.fields, "X-Late"));
  CHECK_FALSE(has(got.head.fields, "Trailer"));
  CHECK_FALSE(has(got.head.fields, "Content-Length"));
  CHECK(client.get("/up").body == "thanks");
}

TEST_CASE("duties: an answer that comes before the upload's end is delivered") {
  server early([](connection& to, int) {
    to.read_until("\r\n\r\n");
    to.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!");
    to.read_to_end();
  });
  stage through({.origin = early.port()});
  auto client = through.client();
  client.send("POST", "/up", {{"Content-Length", "1000000"}}, noise(1000));
  const auto got = client.receive();
  CHECK(got.status == 413);
  CHECK(got.body == "no!");
  CHECK(value(got.fields(), "Connection") == "close");
  CHECK(client.ended());
}

TEST_CASE("duties: twenty pipelined requests are answered in their order, bodies or none") {
  stage on;
  std::string requests;
  for (int i = 0; i < 20; ++i) {
    const auto target = "/" + std::to_string(i);
    on.origin.when(target, {.body = "body " + std::to_string(i), .form = framing(i % 2)});
    const auto form = chunked("upload " + std::to_string(i));
    requests += i % 3 == 0 ? "POST " + target +
                                 " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + form
                           : "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  auto client = on.client();
  client.wire().write(requests);
  for (int i = 0; i < 20; ++i) {
    const auto got = client.receive();
    CHECK(got.status == 200);
    CHECK(got.body == "body " + std::to_string(i));
    const auto asked = on.origin.request("/" + std::to_string(i));
    CHECK(asked.body == (i % 3 == 0 ? "upload " + std::to_string(i) : ""));
  }
  CHECK(on.origin.requests().size() == 20);
}

// --- a client that leaves

TEST_CASE("duties: a client that leaves a slow origin frees its connection") {
  happening asked, left;
  stage on;
  on.origin.when("/slow", silent_origin(asked, left));
  {
    auto client = on.client();
    client.send("GET", "/slow");
    asked.wait();
  }
  left.wait(5s);
  const auto line = on.icapgate.line();
  CHECK(line.text("reason") == "client_closed");
  CHECK(line.number("status") == 0);
}

TEST_CASE("duties: a client that leaves is noticed in front of requests that it sent ahead") {
  happening asked, left;
  stage on;
  on.origin.when("/slow", silent_origin(asked, left));
  {
    auto client = on.client();
    std::string ahead = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    for (int i = 0; i < 2000; ++i) ahead += "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    client.wire().write(ahead);
    asked.wait();
  }
  left.wait(5s);
  CHECK(on.icapgate.line().text("reason") == "client_closed");
  CHECK(on.origin.requests().size() == 1);
}

TEST_CASE("duties: a client that leaves while the origin is connected to ends the work") {
  const full_listener nobody;
  stage on({.origin = nobody.port(),
            .env = {{"ICAPGATE_ORIGIN__TIMEOUT__CONNECT", "1h"},
                    {"ICAPGATE_CLIENT__TIMEOUT__IDLE", "1h"}}});
  {
    auto client = on.client();
    client.send("GET", "/a");
    wait_until("it is being served", [&] { return metric(on, "http_requests_in_flight") == 1; });
  }
  const auto line = on.icapgate.line();
  CHECK(line.text("reason") == "client_closed");
  CHECK(line.number("total_ms") < 5000);
  wait_until("the connection is gone", [&] { return metric(on, "client_connections") == 0; });
}

TEST_CASE("duties: a client that leaves a slow scanner frees both connections") {
  happening scanning, over;
  stage on;
  on.learn_options();
  on.origin.when("/slow", {.body = noise(100'000)});
  on.scanner.play([&](exchange& with) {
    with.body();
    scanning.tell();
    try {
      with.wire().read_to_end();
    } catch (const was_reset&) {
    }
    over.tell();
    with.wire().close();
    throw peer_gone("the gateway left");
  });
  const auto before = on.icapgate.lines(1).size();
  {
    auto client = on.client();
    client.send("GET", "/slow");
    scanning.wait();
  }
  over.wait(5s);
  CHECK(on.icapgate.line(before + 1).text("reason") == "client_closed");
  on.scanner.always(no_modification());
  on.origin.when("/a", {.body = "x"});
  CHECK(on.get("/a").body == "x");  // nothing was held against the scanner
}

TEST_CASE("duties: a client that leaves a quiet stream of events frees the origin") {
  happening asked, left;
  stage on({.config = "[[policy.rule]]\nreason = \"live\"\npath = \"/events\"\n"
                      "event_stream = true\n"});
  on.origin.when("/events", silent_origin(asked, left,
                                          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                          "Transfer-Encoding: chunked\r\n\r\n6\r\ndata:\n\r\n"));
  {
    auto client = on.client();
    client.send("GET", "/events", {{"Accept", "text/event-stream"}});
    client.wire().read_until("data:\n");
    asked.wait();
  }
  left.wait(5s);
  CHECK(on.icapgate.line().text("reason") == "client_closed");
}

TEST_CASE("duties: a client that only ends its sending half gets an answer that comes soon") {
  stage on;
  on.origin.when("/a", {.body = noise(3'000'000)});
  auto client = on.client();
  client.send("GET", "/a");
  client.wire().end();
  const auto got = client.receive();
  CHECK(got.status == 200);
  CHECK(difference(got.body, noise(3'000'000)) == "");
}
