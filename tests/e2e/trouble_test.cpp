// Scanner and origin as they should not be. Nothing of it may end as a complete response that
// nobody vouched for.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

struct scanner_trouble {
  std::string name;
  icap_peer::script play;
  std::string reason;  // in the access log
};

// Reads the request and answers with these bytes, then closes.
icap_peer::script says(const std::string& bytes) {
  return [bytes](exchange& with) {
    with.body();
    with.answer(bytes);
    with.wire().close();
  };
}

// Does nothing until the gateway has given up.
void stay_silent(exchange& with) {
  with.body();
  with.wire().read_to_end();
}

std::vector<scanner_trouble> silences() {
  return {{"silent", stay_silent, "icap_answer_timeout"},
          {"silent in the middle of its head",
           [](exchange& with) {
             with.body();
             with.answer("ICAP/1.0 204 No");
             with.wire().read_to_end();
           },
           "icap_answer_stalled"}};
}

std::vector<scanner_trouble> broken_connections() {
  const auto whole = no_modification();
  return {
      {"closes at once", [](exchange& with) { with.wire().close(); }, ""},
      {"closes after the body", says(""), "icap_answer_eof"},
      {"resets at once", [](exchange& with) { with.wire().reset(); }, ""},
      {"resets after the body",
       [](exchange& with) {
         with.body();
         with.wire().reset();
       },
       "icap_answer_reset"},
      {"closes in the middle of its head", says(whole.substr(0, whole.size() - 2)),
       "icap_answer_eof"},
      {"closes before the encapsulated head",
       says("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=40\r\n\r\nHTTP/1.1 200"),
       "icap_answer_eof"},
  };
}

std::vector<scanner_trouble> garbage() {
  const std::string invalid = "icap_answer_invalid";
  return {
      {"speaks HTTP", says("HTTP/1.1 204 No Content\r\n\r\n"), invalid},
      {"speaks no language", says(std::string("\0\1\2\r\n\r\n", 7)), invalid},
      {"names a strange version", says("ICAP/9.0 204 OK\r\n\r\n"), invalid},
      {"has no status", says("ICAP/1.0 fine\r\n\r\n"), invalid},
      {"has a status of four digits", says("ICAP/1.0 2040 OK\r\n\r\n"), invalid},
      {"has a line that is no field", says("ICAP/1.0 204 OK\r\nnonsense\r\n\r\n"), invalid},
      {"never ends its head", says("ICAP/1.0 204 OK\r\nX: " + std::string(300'000, 'x')), ""},
      {"says 200 without Encapsulated", says("ICAP/1.0 200 OK\r\n\r\n"), invalid},
      {"has an offset beyond reason",
       says("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999999\r\n\r\n"), ""},
      {"has offsets that fall",
       says("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=40, res-body=0\r\n\r\n"), invalid},
      {"encapsulates a strange status",
       says(adapted("HTTP/1.1 abc OK\r\nContent-Length: 4\r\n\r\n", "body")), invalid},
      {"encapsulates a line that is no field",
       says(adapted("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "body")), invalid},
      {"encapsulates an interim response", says(adapted("HTTP/1.1 100 Continue\r\n\r\n", "body")),
       invalid},
      {"encapsulates no HTTP",
       says("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=9\r\n\r\nnonsense\n0\r\n\r\n"),
       invalid},
  };
}

std::vector<scanner_trouble> statuses() {
  std::vector<scanner_trouble> out;
  for (const std::string busy : {"503 Service Overloaded", "506 Too Many Connections"}) {
    out.push_back({busy, says(icap_status(busy)), "icap_status_busy"});
  }
  for (const std::string error :
       {"400 Bad Request", "404 Service not found", "405 Method not allowed", "408 Timeout",
        "418 Bad composition", "500 Server error", "501 Not implemented", "502 Bad Gateway",
        "505 Version", "539 No licence", "558 Resource", "599 ?"}) {
    out.push_back({error, says(icap_status(error)), "icap_status_error"});
  }
  for (const std::string strange :
       {"202 Accepted", "206 Partial Content", "301 Moved", "304 Not Modified", "999 ?"}) {
    out.push_back({strange, says(icap_status(strange)), ""});
  }
  out.push_back({"100 without a preview", says("ICAP/1.0 100 Continue\r\n\r\n"), ""});
  return out;
}

gate_settings impatient() {
  return {.env = {{setting::scanner_idle, "400ms"},
                  {setting::scanner_after_body, "400ms"},
                  {"ICAPGATE_SCANNER__BREAKER", "false"},
                  {"ICAPGATE_SCANNER__QUEUE__WAIT", "0"}}};
}

constexpr std::string_view small_body = "the origin's body";

const std::string& large_body() {
  static const auto body = noise(2'000'000);
  return body;
}

// A small and a large response for each trouble, in that order; then what the client got.
std::vector<response> play_all(stage& on, const std::vector<scanner_trouble>& troubles) {
  on.origin.when("/small", {.fields = {{"Set-Cookie", "a=1"}}, .body = std::string(small_body)});
  on.origin.when(
      "/large",
      {.fields = {{"Set-Cookie", "a=1"}}, .body = large_body(), .form = framing::chunked});
  std::vector<response> out;
  for (const auto& trouble : troubles) {
    on.scanner.play(trouble.play);
    out.push_back(on.get("/small"));
    out.push_back(on.get("/large"));
  }
  return out;
}

// A scanner that fails five times in a row is left alone for a while, and then there is no trouble
// to see: two troubles are four failures, and the next ones have a gateway of their own.
void in_parts(const std::vector<scanner_trouble>& troubles,
              void (*check)(const std::vector<scanner_trouble>&)) {
  for (std::size_t i = 0; i < troubles.size(); i += 2) {
    const auto end = std::min(i + 2, troubles.size());
    check({troubles.begin() + static_cast<std::ptrdiff_t>(i),
           troubles.begin() + static_cast<std::ptrdiff_t>(end)});
  }
}

// Every trouble refuses the origin's response, and says why in the log.
void check_refused(const std::vector<scanner_trouble>& troubles) {
  stage on(impatient());
  const auto all = play_all(on, troubles);
  on.scanner.always(no_modification());
  CHECK(on.get("/small").status == 200);
  CHECK(on.icapgate.finish() == "");  // which writes its log
  const auto log = on.icapgate.lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& trouble = troubles[i / 2];
    INFO(trouble.name);
    check_refusal(all[i], log[i]);
    CHECK_FALSE(has(all[i].fields(), "Set-Cookie"));
    CHECK(all[i].body.find(small_body) == std::string::npos);
    CHECK_FALSE(log[i].flag("fallback"));
    CHECK(log[i].text("verdict") == "error");
    if (trouble.reason != "") CHECK(log[i].text("reason") == trouble.reason);
  }
}

// With the fallback each of them delivers the origin's response whole, and marks it.
void check_fallen_back(const std::vector<scanner_trouble>& troubles) {
  auto settings = impatient();
  settings.fallback = true;
  stage on(settings);
  const auto all = play_all(on, troubles);
  CHECK(on.icapgate.finish() == "");
  const auto log = on.icapgate.lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(troubles[i / 2].name);
    CHECK(all[i].status == 200);
    CHECK(all[i].whole());
    CHECK(value(all[i].fields(), "Set-Cookie") == "a=1");
    CHECK(difference(all[i].body, i % 2 == 0 ? small_body : large_body()) == "");
    CHECK(log[i].flag("fallback"));
    CHECK(log[i].text("verdict") == "error");
    CHECK(log[i].number("status") == 200);
  }
}

void check_refusals(const std::vector<scanner_trouble>& troubles) {
  in_parts(troubles, check_refused);
}
void check_fallbacks(const std::vector<scanner_trouble>& troubles) {
  in_parts(troubles, check_fallen_back);
}

void refuse_everything(gate_settings& settings, const reserved_port& nobody) {
  settings.scanners = {nobody.number()};
}

}  // namespace

TEST_CASE("trouble: a scanner that refuses connections means 503") {
  const reserved_port nobody;
  gate_settings settings;
  refuse_everything(settings, nobody);
  stage on(settings);
  on.origin.when("/a", {.body = "the origin's body"});
  const auto refused = on.get("/a");
  check_refusal(refused, on.icapgate.line());
  CHECK(on.icapgate.line().text("reason") == "icap_connect_refused");
}

TEST_CASE("trouble: a scanner that refuses connections falls back where the user wants it") {
  const reserved_port nobody;
  gate_settings settings;
  refuse_everything(settings, nobody);
  settings.fallback = true;
  stage on(settings);
  on.origin.when("/a", {.body = "the origin's body"});
  on.origin.when("/b", {.body = noise(5'000'000), .form = framing::chunked});
  CHECK(on.get("/a").body == "the origin's body");
  CHECK(difference(on.get("/b").body, noise(5'000'000)) == "");
  for (const auto& line : on.icapgate.lines(2)) CHECK(line.flag("fallback"));
}

TEST_CASE("trouble: a response without a body needs no scanner") {
  const reserved_port nobody;
  gate_settings settings;
  refuse_everything(settings, nobody);
  stage on(settings);
  on.origin.when("/empty", {.fields = {{"ETag", "\"1\""}}});
  const auto got = on.get("/empty");
  CHECK(got.status == 200);
  CHECK(value(got.fields(), "ETag") == "\"1\"");
}

TEST_CASE("trouble: a silent scanner means 503") {
  check_refusals(silences());
}
TEST_CASE("trouble: a silent scanner falls back") {
  check_fallbacks(silences());
}
TEST_CASE("trouble: a scanner that closes or resets means 503") {
  check_refusals(broken_connections());
}
TEST_CASE("trouble: a scanner that closes or resets falls back") {
  check_fallbacks(broken_connections());
}
TEST_CASE("trouble: a scanner that speaks garbage means 503") {
  check_refusals(garbage());
}
TEST_CASE("trouble: a scanner that speaks garbage falls back") {
  check_fallbacks(garbage());
}
TEST_CASE("trouble: every ICAP status but 200 and 201 and 204 and 403 means 503") {
  check_refusals(statuses());
}
TEST_CASE("trouble: every ICAP status but 200 and 201 and 204 and 403 falls back") {
  check_fallbacks(statuses());
}

TEST_CASE("trouble: the log has the status that the scanner gave") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play(says(icap_status("506 Too Many Connections")));
  CHECK(on.get("/a").status == 503);
  CHECK(on.icapgate.line().number("icap_status") == 506);
}

TEST_CASE("trouble: the log has no status of a scanner beside the name of another") {
  const reserved_port nobody;
  icap_peer busy;
  busy.play(says(icap_status("503 Service Overloaded")));
  stage on({.scanners = {busy.port(), nobody.number()},
            .env = {{"ICAPGATE_SCANNER__QUEUE__WAIT", "0"}}});
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 503);
  const auto line = on.icapgate.line();
  CHECK(line.text("reason") == "icap_connect_refused");
  CHECK((!line.has("icap_status") || line.number("icap_status") == 0));
}

TEST_CASE("trouble: half an adapted response is never a whole one") {
  for (const bool fallback : {false, true}) {
    const auto large = noise(3'000'000);
    const std::string head = "HTTP/1.1 200 OK\r\nX-Adapted: 1\r\n";
    const auto fixed = adapted(head + "Content-Length: 3000000\r\n\r\n", large);
    const auto open = adapted(head + "\r\n", large);
    const auto small = adapted(head + "\r\n", "a small body");
    const std::vector<std::pair<std::string, icap_peer::script>> halves = {
        {"length, cut", says(fixed.substr(0, 2'000'000))},
        {"no length, cut", says(open.substr(0, 2'000'000))},
        {"only its last chunk missing", says(open.substr(0, open.size() - 5))},
        {"small, cut", says(small.substr(0, small.size() - 10))},
        {"bad chunk", says(small.substr(0, small.size() - 5) + "zz\r\n\r\n")},
        {"longer than it says", says(adapted(head + "Content-Length: 2\r\n\r\n", "longer"))},
        {"goes silent", [&](exchange& with) {
           with.body();
           with.answer(std::string_view(open).substr(0, 1'000'000));
           with.wire().read_to_end();
         }}};
    auto settings = impatient();
    settings.fallback = fallback;
    stage on(settings);
    on.origin.when("/a", {.body = "the origin's body"});
    for (const auto& [name, play] : halves) {
      INFO(name << (fallback ? ", with fallback" : ""));
      on.scanner.play(play);
      const auto got = on.get("/a");
      const bool is_adapted = has(got.fields(), "X-Adapted");
      if (is_adapted) {
        CHECK(got.end == response::ending::cut);
      } else if (fallback) {
        CHECK(got.status == 200);
        CHECK(got.body == "the origin's body");
      } else {
        CHECK(got.status == 503);
      }
    }
  }
}

TEST_CASE("trouble: an origin that refuses connections means 502") {
  const reserved_port nobody;
  stage on({.origin = nobody.number()});
  const auto got = on.get("/a");
  CHECK(got.status == 502);
  CHECK(got.whole());
  const auto line = on.icapgate.line();
  CHECK(line.number("status") == 502);
  CHECK(line.text("reason") == "origin_connect_refused");
  CHECK(got.body.find(line.text("request_id")) != std::string::npos);
}

namespace {

struct origin_trouble {
  std::string name;
  std::string bytes;  // what it still writes
  enum { close, reset, silence } then = close;
  int status = 502;
};

origin_peer::script plays(const origin_trouble& trouble) {
  return [trouble](connection& to, const origin_request&) {
    to.write(trouble.bytes);
    if (trouble.then == origin_trouble::silence) to.read_to_end();
    if (trouble.then == origin_trouble::reset) {
      to.wait_taken();
      to.reset();
    }
    to.close();
  };
}

std::vector<origin_trouble> head_troubles() {
  return {
      {"closes without a byte", ""},
      {"resets without a byte", "", origin_trouble::reset},
      {"is silent", "", origin_trouble::silence, 504},
      {"closes in its head", "HTTP/1.1 200 OK\r\nContent-Le"},
      {"resets in its head", "HTTP/1.1 200 OK\r\nContent-Le", origin_trouble::reset},
      {"is silent in its head", "HTTP/1.1 200 OK\r\nContent-Le", origin_trouble::silence, 504},
      {"speaks no HTTP", "nonsense\r\n\r\n"},
      {"speaks no text", std::string("\0\1\2\3\r\n\r\n", 8)},
      {"speaks ICAP", "ICAP/1.0 200 OK\r\n\r\n"},
      {"has a line that is no field", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n"},
      {"has no number for a length", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"},
      {"has two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
      {"switches protocols", "HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
  };
}

std::vector<origin_trouble> body_troubles() {
  const auto fixed = response_text{.body = noise(500'000)}.wire();
  const auto chunks = response_text{.body = noise(500'000), .form = framing::chunked}.wire();
  const auto to_end = response_text{.body = noise(500'000), .form = framing::close}.wire();
  return {
      {"closes before any of its body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
      {"closes one byte early", fixed.substr(0, fixed.size() - 1)},
      {"resets in its body", fixed.substr(0, 300'000), origin_trouble::reset},
      {"is silent in its body", fixed.substr(0, 300'000), origin_trouble::silence, 504},
      {"closes in a chunk", chunks.substr(0, 300'000)},
      {"closes before its last chunk", chunks.substr(0, chunks.size() - 5)},
      {"closes in its last chunk", chunks.substr(0, chunks.size() - 2)},
      {"resets among its chunks", chunks.substr(0, 300'000), origin_trouble::reset},
      {"is silent among its chunks", chunks.substr(0, 300'000), origin_trouble::silence, 504},
      {"has a chunk size that is none", chunks.substr(0, chunks.size() - 5) + "xyz\r\n"},
      {"resets a body without a length", to_end.substr(0, 300'000), origin_trouble::reset},
  };
}

void check_origin_troubles(const std::vector<origin_trouble>& troubles, bool fallback) {
  stage on({.fallback = fallback,
            .env = {{setting::origin_first_byte, "400ms"}, {setting::origin_idle, "400ms"}}});
  std::vector<response> all;
  for (const auto& trouble : troubles) {
    INFO(trouble.name);
    on.origin.when("/a", plays(trouble));
    all.push_back(on.get("/a"));
  }
  const auto log = on.icapgate.lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(troubles[i].name);
    CHECK(all[i].status == troubles[i].status);
    CHECK(all[i].whole());
    CHECK(log[i].number("status") == troubles[i].status);
    CHECK(log[i].text("reason").starts_with("origin_"));
    CHECK_FALSE(log[i].flag("fallback"));
    CHECK(all[i].body.find(log[i].text("request_id")) != std::string::npos);
  }
  // No scan of them was ever ended as if the body had been whole.
  CHECK(on.icapgate.finish() == "");
  on.scanner.stop();
  for (const auto& scan : on.scanner.scans()) CHECK_FALSE(scan.whole);
}

}  // namespace

TEST_CASE("trouble: an origin without a usable head means 502 or 504") {
  check_origin_troubles(head_troubles(), false);
}

TEST_CASE("trouble: an origin that breaks off ends neither at the client nor at the scanner well") {
  check_origin_troubles(body_troubles(), false);
}

TEST_CASE("trouble: the fallback is for the scanner and never for the origin") {
  check_origin_troubles(head_troubles(), true);
  check_origin_troubles(body_troubles(), true);
}

TEST_CASE("trouble: an origin that breaks off during the scan of an early 204 is not made whole") {
  happening judged;
  stage on;
  on.origin.when("/a", [&](connection& to, const origin_request&) {
    const auto wire = response_text{.body = noise(1'000'000)}.wire();
    to.write(std::string_view(wire).substr(0, 600'000));
    judged.wait();
    to.close();
  });
  on.scanner.play([&](exchange& with) {
    with.next();
    with.answer(no_modification());
    with.wire().wait_taken();
    judged.tell();
    with.wire().read_to_end();
  });
  const auto got = on.get("/a");
  CHECK_FALSE((got.status == 200 && got.whole()));
}

TEST_CASE("trouble: an origin without an end of interim responses costs its own request only") {
  stage on;
  on.origin.when("/a", [](connection& to, const origin_request&) {
    std::string many;
    for (int i = 0; i < 1000; ++i) many += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (;;) to.write(many);
  });
  on.origin.when("/b", {.body = "a body"});
  CHECK(on.get("/a").status == 502);
  CHECK(on.icapgate.line().text("reason") == "origin_head_too_large");
  CHECK(on.get("/b").body == "a body");
}

TEST_CASE("trouble: a client that goes away leaves the gateway in order") {
  stage on;
  on.origin.when("/large", {.body = noise(20'000'000)});
  on.origin.when("/a", {.body = "a body"});
  {
    auto client = on.client();
    client.send("GET", "/large");
    client.wire().read_exact(100'000);
    client.wire().reset();
  }
  const auto line = on.icapgate.line();
  CHECK(line.text("reason").starts_with("client_"));
  CHECK(on.get("/a").body == "a body");
}
