// Range requests (RFC 9110 14) where a response is scanned: the origin is asked for the whole, and
// the client gets its part of what was found clean.
#include "kit/held_scans.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <array>

using namespace e2e;

namespace {

constexpr std::array framings{framing::length, framing::chunked, framing::close};

gate_settings with_env(std::map<std::string, std::string> env) {
  return {.env = std::move(env)};
}

// --- one file, and a client that asks for parts of it over one connection

const field_list file_fields = {{"Date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                                {"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"},
                                {"ETag", "\"v1\""},
                                {"Content-Type", "application/x-play; a=\"b;c\""}};

class file_play {
 public:
  explicit file_play(std::size_t size, gate_settings settings = {}, icap_service service = {},
                     framing form = framing::length)
      : on(std::move(settings), std::move(service)), body(noise(size)), client_(on.client()) {
    serve({.fields = file_fields, .body = body, .form = form});
    on.origin.when("/next", {.body = "the next one"});
  }

  void serve(const response_text& text) { on.origin.when("/file", text); }

  response ask(const field_list& fields, const std::string& method = "GET") {
    ++asked_;
    return client_.request(method, "/file", fields);
  }
  response ask(const std::string& range) { return ask({{"Range", range}}); }
  access_line line() { return on.icapgate.line(static_cast<std::size_t>(asked_)); }

  // The connection is as good as before.
  void check_next(const field_list& fields = {}) {
    ++asked_;
    const auto got = client_.get("/next", fields);
    CHECK(got.status == 200);
    CHECK(got.body == "the next one");
  }

  void check_whole(const response& got) const {
    CHECK(got.status == 200);
    CHECK(got.whole());
    CHECK_FALSE(has(got.fields(), "Content-Range"));
    CHECK(difference(got.body, body) == "");
  }

  // 206 with the bytes from `first` to `last` alone.
  void check_part(const response& got, std::size_t first, std::size_t last) const {
    CHECK(got.status == 206);
    CHECK(got.head.third == "Partial Content");
    CHECK(got.whole());
    CHECK(got.form == framing::length);
    CHECK(values(got.fields(), "Content-Range") == std::vector{content_range(first, last)});
    CHECK(value(got.fields(), "Content-Type") == "application/x-play; a=\"b;c\"");
    CHECK(difference(got.body, slice(first, last)) == "");
  }

  std::string content_range(std::size_t first, std::size_t last) const {
    return "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
           std::to_string(body.size());
  }
  std::string slice(std::size_t first, std::size_t last) const {
    return body.substr(first, last - first + 1);
  }

  stage on;
  const std::string body;

 private:
  http_client client_;
  int asked_ = 0;
};

// --- multipart/byteranges, read as strictly as it may be written (RFC 2046 5.1.1, RFC 9110 14.6)

struct part {
  field_list fields;
  std::string body;
};

std::string boundary_of(const response& got) {
  const std::string start = "multipart/byteranges; boundary=";
  const auto type = value(got.fields(), "Content-Type");
  REQUIRE(type.starts_with(start));
  return type.substr(start.size());
}

std::size_t size_of(const part& one) {
  const auto range = value(one.fields, "Content-Range");
  const auto dash = range.find('-');
  REQUIRE(range.starts_with("bytes "));
  REQUIRE(dash != std::string::npos);
  return std::stoull(range.substr(dash + 1)) - std::stoull(range.substr(6)) + 1;
}

std::vector<part> parts_of(const response& got) {
  const auto delimiter = "--" + boundary_of(got);
  std::vector<part> parts;
  std::string_view rest = got.body;
  const auto take = [&](std::string_view text) {
    REQUIRE(rest.starts_with(text));
    rest.remove_prefix(text.size());
  };
  for (take(delimiter); !rest.starts_with("--"); take(delimiter)) {
    take("\r\n");
    const auto end = rest.find("\r\n\r\n");
    REQUIRE(end != std::string_view::npos);
    part next;
    next.fields = parse_head("part of it\r\n" + std::string(rest.substr(0, end + 4))).fields;
    rest.remove_prefix(end + 4);
    const auto size = size_of(next);
    REQUIRE(rest.size() > size);
    next.body = rest.substr(0, size);
    rest.remove_prefix(size);
    take("\r\n");
    parts.push_back(std::move(next));
  }
  CHECK(rest == "--\r\n");
  return parts;
}

using span = std::pair<std::size_t, std::size_t>;  // first and last byte

void check_parts(const file_play& play, const response& got, const std::vector<span>& expected) {
  CHECK(got.status == 206);
  CHECK(got.whole());
  CHECK_FALSE(has(got.fields(), "Content-Range"));
  const auto parts = parts_of(got);
  REQUIRE(parts.size() == expected.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto [first, last] = expected[i];
    CHECK(lines(parts[i].fields) ==
          std::vector<std::string>{"Content-Type: application/x-play; a=\"b;c\"",
                                   "Content-Range: " + play.content_range(first, last)});
    CHECK(difference(parts[i].body, play.slice(first, last)) == "");
  }
}

// --- requests that are signed

const std::string signature = ", Signature=0123456789abcdef";

field_list signed_over(const std::string& names) {
  return {{"Range", "bytes=10-19"},
          {"Authorization",
           "AWS4-HMAC-SHA256 Credential=K/20240101/eu/s3/aws4_request, SignedHeaders=" + names +
               signature}};
}

// An origin that obeys Range.
void serve_part(stage& on, const std::string& target, const std::string& body) {
  on.origin.when(target, {.status = "206 Partial Content",
                          .fields = {{"Content-Range", "bytes 10-19/10000"}, {"ETag", "\"v1\""}},
                          .body = body.substr(10, 10)});
}

// The origin's 206 as it is.
void check_passed_part(const response& got, const std::string& body) {
  CHECK(got.status == 206);
  CHECK(got.whole());
  CHECK(value(got.fields(), "Content-Range") == "bytes 10-19/10000");
  CHECK(difference(got.body, body.substr(10, 10)) == "");
}

void check_range_refused(const response& got, const access_line& line) {
  CHECK(got.status == 416);
  CHECK(got.whole());
  CHECK(value(got.fields(), "Cache-Control") == "no-store");
  CHECK(got.body.find(line.text("request_id")) != std::string::npos);
  CHECK(line.text("reason") == "policy_range_refused");
  CHECK(line.number("status") == 416);
  CHECK(line.text("action") == "fail");
}

}  // namespace

// --- served

TEST_CASE("range: the origin is asked for the whole, the scanner gets it, the client its part") {
  for (const auto form : framings) {
    file_play play(10'000, {}, {}, form);
    const auto got = play.ask({{"Range", "bytes=100-199"},
                               {"If-Range", "\"v1\""},
                               {"Request-Range", "bytes=100-199"},
                               {"X-Other", "stays"}});
    play.check_part(got, 100, 199);
    CHECK(value(got.fields(), "ETag") == "\"v1\"");
    CHECK(value(got.fields(), "Last-Modified") == "Sat, 29 Oct 1994 19:43:31 GMT");
    CHECK(values(got.fields(), "Accept-Ranges") == std::vector<std::string>{"bytes"});

    const auto asked = play.on.origin.request("/file").head.fields;
    CHECK_FALSE(has(asked, "Range"));
    CHECK_FALSE(has(asked, "If-Range"));
    CHECK_FALSE(has(asked, "Request-Range"));
    CHECK(value(asked, "X-Other") == "stays");
    const auto seen = play.on.scanner.scan_of("/file");
    CHECK(seen.response.second == "200");
    CHECK(difference(seen.body, play.body) == "");

    const auto line = play.line();
    CHECK(line.number("status") == 206);
    CHECK(line.text("verdict") == "clean");
    CHECK(line.text("action") == "deliver");
    CHECK(line.text("unscanned") == "");
    CHECK(line.text("reason") == "complete");
    play.check_next();
  }
}

TEST_CASE("range: each form of one range gives exactly its bytes") {
  file_play play(10'000);
  struct row {
    std::string range;
    std::size_t first, last;
  };
  const std::vector<row> rows = {{"bytes=0-0", 0, 0},
                                 {"bytes=0-9998", 0, 9998},
                                 {"bytes=0-9999", 0, 9999},
                                 {"bytes=0-10000", 0, 9999},
                                 {"bytes=0-", 0, 9999},
                                 {"bytes=1-", 1, 9999},
                                 {"bytes=5000-5000", 5000, 5000},
                                 {"bytes=9998-9999", 9998, 9999},
                                 {"bytes=9999-9999", 9999, 9999},
                                 {"bytes=9999-10000", 9999, 9999},
                                 {"bytes=9999-", 9999, 9999},
                                 {"bytes=-1", 9999, 9999},
                                 {"bytes=-9999", 1, 9999},
                                 {"bytes=-10000", 0, 9999},
                                 {"bytes=-10001", 0, 9999},
                                 {"bytes=-99999999999999999999999", 0, 9999},
                                 {"bytes=7-99999999999999999999999", 7, 9999},
                                 {"BYTES=3-4", 3, 4},
                                 {"bytes=,3-4 , ,", 3, 4}};
  for (const auto& [range, first, last] : rows) {
    INFO(range);
    play.check_part(play.ask(range), first, last);
  }
  play.check_next();
}

TEST_CASE("range: where no range lies within the body it is 416 with the size and nothing else") {
  file_play play(10'000);
  for (const std::string range : {"bytes=10000-", "bytes=10000-10000", "bytes=10001-", "bytes=-0",
                                  "bytes=10000-20000, -0", "bytes=99999999999999999999999-"}) {
    INFO(range);
    const auto got = play.ask(range);
    CHECK(got.status == 416);
    CHECK(got.whole());
    CHECK(value(got.fields(), "Content-Range") == "bytes */10000");
    CHECK(value(got.fields(), "Content-Length") == "0");
    CHECK(got.body == "");
    CHECK_FALSE(has(got.fields(), "ETag"));
    CHECK_FALSE(has(got.fields(), "Content-Type"));
    CHECK(value(got.fields(), "Cache-Control") == "no-store");
  }
  CHECK(play.line().number("status") == 416);
  CHECK(play.line().text("verdict") == "clean");
  play.check_next();
}

TEST_CASE("range: what is no valid set of byte ranges is ignored") {
  file_play play(3'000);
  for (const std::string range :
       {"bytes", "bytes=", "bytes=-", "bytes=,", "bytes=a-b", "bytes=5-4", "bytes=1-2-3",
        "bytes 0-1", "items=0-1", "bytes=0-1,x", "bytes=0-1,5-4", "bytes=0x1-2", "bytes=+0-1",
        "bytes=--1", "none", "", "bytes=0-1;bytes=3-4"}) {
    INFO(range);
    play.check_whole(play.ask(range));
  }
  INFO("two fields");
  play.check_whole(play.ask({{"Range", "bytes=0-1"}, {"Range", "bytes=0-1"}}));
  CHECK_FALSE(has(play.on.origin.request("/file").head.fields, "Range"));
  play.check_next();
}

TEST_CASE("range: an empty body goes whole, whatever part of it is asked for") {
  file_play play(0);
  for (const auto form : framings) {
    play.serve({.fields = file_fields, .form = form});
    const auto got = play.ask("bytes=0-0");
    CHECK(got.status == 200);
    CHECK(got.body == "");
    CHECK(got.whole());
  }
}

TEST_CASE("range: several ranges come as multipart/byteranges, in the order they were asked for") {
  file_play play(10'000);
  check_parts(play, play.ask("bytes=0-0,-1"), {{0, 0}, {9999, 9999}});
  check_parts(play, play.ask("bytes=9900-, 0-99, 200-299"), {{9900, 9999}, {0, 99}, {200, 299}});
  check_parts(play, play.ask("bytes=0-4998,5000-"), {{0, 4998}, {5000, 9999}});
  CHECK(play.line().number("status") == 206);
  INFO("what lies behind the end is left out");
  check_parts(play, play.ask("bytes=0-1,10000-,4-5,-0"), {{0, 1}, {4, 5}});
  play.check_part(play.ask("bytes=20000-,7-8"), 7, 8);
  play.check_next();
}

TEST_CASE("range: ranges that overlap or touch are one, so that no byte is sent twice") {
  file_play play(10'000);
  play.check_part(play.ask("bytes=0-99,100-199"), 0, 199);
  play.check_part(play.ask("bytes=100-199,0-99"), 0, 199);
  play.check_part(play.ask("bytes=0-,-1,0-0,5-"), 0, 9999);
  check_parts(play, play.ask("bytes=500-600,0-9,550-700,9-20"), {{500, 700}, {0, 20}});
  play.check_next();
}

TEST_CASE("range: sixteen ranges are served, and one more is too many") {
  file_play play(10'000);
  std::string ranges = "bytes=0-1";
  std::vector<span> expected = {{0, 1}};
  for (std::size_t i = 1; i < 16; ++i) {
    ranges += "," + std::to_string(i * 100) + "-" + std::to_string(i * 100 + 1);
    expected.emplace_back(i * 100, i * 100 + 1);
  }
  check_parts(play, play.ask(ranges), expected);
  play.check_whole(play.ask(ranges + ",5000-5001"));
  play.check_next();
}

TEST_CASE("range: no two answers have the same boundary") {
  file_play play(10'000);
  const auto one = boundary_of(play.ask("bytes=0-0,-1"));
  CHECK(one.size() >= 32);
  CHECK(one.size() <= 70);
  CHECK(boundary_of(play.ask("bytes=0-0,-1")) != one);
}

TEST_CASE("range: sums of the whole body do not go with a part of it") {
  file_play play(1'000);
  auto fields = file_fields;
  fields.insert(fields.end(), {{"Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="},
                               {"Content-Digest", "sha-256=:AAAA:"},
                               {"Repr-Digest", "sha-256=:BBBB:"}});
  play.serve({.fields = fields, .body = play.body});
  const auto part = play.ask("bytes=0-9");
  play.check_part(part, 0, 9);
  CHECK_FALSE(has(part.fields(), "Content-MD5"));
  CHECK_FALSE(has(part.fields(), "Content-Digest"));
  CHECK(value(part.fields(), "Repr-Digest") == "sha-256=:BBBB:");
  const auto whole = play.ask("none");
  play.check_whole(whole);
  CHECK(value(whole.fields(), "Content-MD5") == "Q2hlY2sgSW50ZWdyaXR5IQ==");
}

TEST_CASE("range: If-Range with the file's strong tag or date gives the part, else the whole") {
  file_play play(1'000);
  const auto ask = [&](const std::string& condition) {
    return play.ask({{"Range", "bytes=10-19"}, {"If-Range", condition}});
  };
  play.check_part(ask("\"v1\""), 10, 19);
  play.check_part(ask("Sat, 29 Oct 1994 19:43:31 GMT"), 10, 19);
  for (const std::string other : {"\"v2\"", "W/\"v1\"", "v1", "Sat, 29 Oct 1994 19:43:30 GMT",
                                  "Sat, 29 Oct 1994 19:43:32 GMT", "never", ""}) {
    INFO(other);
    play.check_whole(ask(other));
  }
  INFO("two fields");
  play.check_whole(
      play.ask({{"Range", "bytes=10-19"}, {"If-Range", "\"v1\""}, {"If-Range", "\"v1\""}}));
  INFO("a condition that fails goes before a range that can't be had");
  play.check_whole(play.ask({{"Range", "bytes=5000-"}, {"If-Range", "\"v2\""}}));
  play.check_next();
}

TEST_CASE("range: If-Range never matches a weak tag, nor a date of the same second") {
  file_play play(1'000);
  play.serve({.fields = {{"ETag", "W/\"v1\""},
                         {"Date", "Sat, 29 Oct 1994 19:43:31 GMT"},
                         {"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"}},
              .body = play.body});
  for (const std::string condition : {"W/\"v1\"", "\"v1\"", "Sat, 29 Oct 1994 19:43:31 GMT"}) {
    INFO(condition);
    play.check_whole(play.ask({{"Range", "bytes=10-19"}, {"If-Range", condition}}));
  }
}

TEST_CASE("range: HEAD and POST get the whole response, and the origin still sees no Range") {
  file_play play(1'000);
  const auto head = play.ask({{"Range", "bytes=10-19"}}, "HEAD");
  CHECK(head.status == 200);
  CHECK(value(head.fields(), "Content-Length") == "1000");
  CHECK_FALSE(has(head.fields(), "Content-Range"));
  CHECK_FALSE(has(play.on.origin.request("/file").head.fields, "Range"));
  play.check_next();
  play.check_whole(play.ask({{"Range", "bytes=10-19"}, {"Content-Length", "0"}}, "POST"));
  CHECK_FALSE(has(play.on.origin.request("/file").head.fields, "Range"));
  CHECK(difference(play.on.scanner.scan_of("/file").body, play.body) == "");
  play.check_next();
}

TEST_CASE("range: a status other than 200 is delivered whole") {
  file_play play(1'000);
  for (const std::string status : {"201 Created", "203 Changed", "404 Not Found", "500 Oh No"}) {
    INFO(status);
    play.serve({.status = status, .body = play.body});
    const auto got = play.ask("bytes=0-9");
    CHECK(std::to_string(got.status) == status.substr(0, 3));
    CHECK(difference(got.body, play.body) == "");
  }
  play.check_next();
}

TEST_CASE("range: an HTTP/1.0 client gets its part and then the end") {
  stage on;
  for (const auto form : framings) {
    on.origin.when("/file", {.body = noise(1'000), .form = form});
    auto client = on.client();
    client.wire().write("GET /file HTTP/1.0\r\nHost: shop.example\r\nRange: bytes=-5\r\n\r\n");
    const auto got = client.receive();
    CHECK(got.status == 206);
    CHECK(got.body == noise(1'000).substr(995));
    CHECK(client.ended());
  }
}

TEST_CASE("range: parts of a body that lies in a file, and across the file's beginning") {
  const std::size_t size = 5'000'001, border = 65'536;
  for (const auto form : {framing::length, framing::chunked}) {
    file_play play(size, with_env({{setting::spool_memory, "64KiB"}}), {}, form);
    struct row {
      std::string range;
      std::size_t first, last;
    };
    const std::vector<row> rows = {{"bytes=0-", 0, size - 1},
                                   {"bytes=0-65535", 0, border - 1},
                                   {"bytes=65535-65535", border - 1, border - 1},
                                   {"bytes=65535-65536", border - 1, border},
                                   {"bytes=65536-65536", border, border},
                                   {"bytes=65537-4000000", border + 1, 4'000'000},
                                   {"bytes=-1", size - 1, size - 1},
                                   {"bytes=-3000000", size - 3'000'000, size - 1}};
    for (const auto& [range, first, last] : rows) {
      INFO(range);
      play.check_part(play.ask(range), first, last);
    }
    check_parts(play, play.ask("bytes=3000000-3999999,0-70000,-1"),
                {{3'000'000, 3'999'999}, {0, 70'000}, {size - 1, size - 1}});
    play.check_next();
  }
}

// --- what the scanner says goes for parts as well

TEST_CASE("range: of a blocked body the client gets the page, and not a byte") {
  for (const auto form : framings) {
    file_play play(100'000, {}, {}, form);
    play.on.scanner.always(block_page());
    for (const std::string range : {"bytes=0-9", "bytes=-1", "bytes=0-0,50-60", "bytes=100000-"}) {
      INFO(range);
      const auto got = play.ask(range);
      CHECK(got.status == 403);
      CHECK(got.whole());
      CHECK(got.body == page_body());
      CHECK_FALSE(has(got.fields(), "Content-Range"));
    }
    CHECK(play.line().text("verdict") == "blocked");
    CHECK(play.line().text("action") == "block");
    play.on.scanner.always(no_modification());
    play.check_next();
  }
}

TEST_CASE("range: an adapted body is delivered whole") {
  file_play play(1'000);
  const auto other = noise(2'000, 2);
  play.on.scanner.always(adapted("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", other));
  const auto got = play.ask({{"Range", "bytes=0-9"}, {"If-Range", "\"v1\""}});
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK_FALSE(has(got.fields(), "Content-Range"));
  CHECK(difference(got.body, other) == "");
  CHECK(play.line().text("verdict") == "adapted");
  play.on.scanner.always(no_modification());
  play.check_next();
}

TEST_CASE("range: with the scanner in trouble there is no part, unless the policy lets it pass") {
  {
    file_play play(1'000);
    play.on.scanner.always(icap_status("500 Error"));
    const auto refused = play.ask("bytes=0-9");
    check_refusal(refused, play.line());
  }
  file_play play(1'000, {.fallback = true});
  play.on.scanner.always(icap_status("500 Error"));
  play.check_part(play.ask("bytes=10-19"), 10, 19);
  CHECK(play.line().text("action") == "fallback");
  CHECK(play.line().text("unscanned") == "on_error");
  CHECK(unscanned(play.on, "on_error") == 1);
  play.check_next();
}

namespace {

// A scanner that is content with the preview, and an origin that sends the rest only then: all but
// the first 6000 bytes of `wire`, of which it may keep some.
class preview_play : public file_play {
 public:
  explicit preview_play(std::size_t size, gate_settings settings = {})
      : file_play(size, std::move(settings),
                  {.options = options_answer({{"Preview", "1024"}, {"Transfer-Preview", "*"}})}) {
    on.learn_options();
    on.scanner.play([this](exchange& with) {
      with.preview();
      with.answer(no_modification());
      judged_.tell();
    });
  }

  void serve_in_two(framing form, std::size_t missing = 0) {
    const auto wire = response_text{.fields = file_fields, .body = body, .form = form}.wire();
    on.origin.when("/file", [this, wire, missing](connection& to, const origin_request&) {
      to.write(std::string_view(wire).substr(0, 6'000));
      judged_.wait();
      to.write(std::string_view(wire).substr(6'000, wire.size() - 6'000 - missing));
      if (missing > 0) to.close();
    });
  }

 private:
  happening judged_;
};

}  // namespace

TEST_CASE("range: a scanner that says clean after the preview, when the part has not come yet") {
  struct row {
    framing form;
    std::string range;
    std::vector<span> parts;
  };
  const std::vector<row> rows = {{framing::length, "bytes=150000-150099", {{150'000, 150'099}}},
                                 {framing::chunked, "bytes=-1", {{199'999, 199'999}}},
                                 {framing::length, "bytes=0-0,-1", {{0, 0}, {199'999, 199'999}}},
                                 {framing::chunked, "bytes=200000-", {}}};
  for (const auto& [form, range, parts] : rows) {
    INFO(range);
    preview_play play(200'000);
    play.serve_in_two(form);
    auto client = play.on.client();
    const auto got = client.get("/file", {{"Range", range}});
    if (parts.empty()) CHECK(got.status == 416);
    if (parts.size() == 1) play.check_part(got, parts[0].first, parts[0].second);
    if (parts.size() > 1) check_parts(play, got, parts);
    CHECK(play.on.scanner.scan_of("/file").body.size() == 1'024);
  }
}

TEST_CASE("range: a body that breaks off behind a clean preview gives no part of it") {
  preview_play play(200'000);
  play.serve_in_two(framing::length, 1);
  auto client = play.on.client();
  const auto got = client.get("/file", {{"Range", "bytes=0-9"}});
  CHECK(got.status == 502);
  CHECK(got.whole());
}

TEST_CASE("range: a clean body that grew too large to keep goes whole") {
  preview_play play(500'000, with_env({{setting::max_scan_size, "100KiB"}}));
  play.serve_in_two(framing::chunked);
  auto client = play.on.client();
  play.check_whole(client.get("/file", {{"Range", "bytes=0-9"}}));
}

TEST_CASE("range: where bodies trickle, a part still waits for the verdict") {
  stage on(with_env(
      {{"ICAPGATE_POLICY__DELIVERY", "trickle"}, {"ICAPGATE_POLICY__TRICKLE__DELAY", "0s"}}));
  on.origin.when("/file", {.body = noise(200'000)});
  held_scans held(on.scanner, block_page());
  auto part = on.client();
  part.send("GET", "/file", {{"Range", "bytes=0-9"}});
  wait_until("the part's body is at the scanner", [&] {
    const auto all = on.scanner.scans();
    return !all.empty() && all.front().whole;
  });
  auto whole = on.client();
  whole.send("GET", "/file");
  CHECK(parse_head(whole.wire().read_until("\r\n\r\n")).second == "200");
  held.decide();
  const auto got = part.receive();
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
}

// --- strip and reject

TEST_CASE("range: strip sends the whole and says that there are no ranges") {
  file_play play(1'000, with_env({{"ICAPGATE_POLICY__RANGE", "strip"}}));
  for (const auto form : framings) {
    auto fields = file_fields;
    fields.push_back({"Accept-Ranges", "bytes"});
    play.serve({.fields = fields, .body = play.body, .form = form});
    for (const std::string range : {"bytes=10-19", "bytes=0-0,-1", "bytes=5000-", "nonsense"}) {
      INFO(range);
      const auto got = play.ask({{"Range", range}, {"If-Range", "\"v1\""}});
      play.check_whole(got);
      CHECK(values(got.fields(), "Accept-Ranges") == std::vector<std::string>{"none"});
      CHECK_FALSE(has(play.on.origin.request("/file").head.fields, "Range"));
      CHECK_FALSE(has(play.on.origin.request("/file").head.fields, "If-Range"));
    }
  }
  CHECK(play.line().text("verdict") == "clean");
  play.check_next();
}

TEST_CASE("range: reject answers 416 without asking the origin") {
  file_play play(1'000, with_env({{"ICAPGATE_POLICY__RANGE", "reject"}}));
  const auto refused = play.ask("bytes=10-19");
  check_range_refused(refused, play.line());
  CHECK(play.on.origin.requests().empty());
  const auto json = play.ask({{"Range", "bytes=0-"}, {"Accept", "application/json"}});
  check_range_refused(json, play.line());
  CHECK(value(json.fields(), "Content-Type") == "application/problem+json");
  CHECK(play.on.origin.requests().empty());
  CHECK(play.on.scanner.scans().empty());
  play.check_next();
  CHECK(metric(play.on, "transactions_total{reason=\"policy_range_refused\"}") == 2);
  play.check_whole(play.ask(field_list{}));
}

// --- parts that nobody asked for

TEST_CASE("range: a 206 that nobody asked for is blocked") {
  file_play play(10'000);
  for (const field_list& fields : {field_list{}, field_list{{"Range", "bytes=10-19"}}}) {
    serve_part(play.on, "/file", play.body);
    const auto got = play.ask(fields);
    CHECK(got.status == 403);
    CHECK(got.whole());
    CHECK_FALSE(has(got.fields(), "Content-Range"));
    CHECK_FALSE(has(got.fields(), "ETag"));
    CHECK(got.body.find(play.body.substr(10, 10)) == std::string::npos);
    const auto line = play.line();
    CHECK(got.body.find(line.text("request_id")) != std::string::npos);
    CHECK(line.text("reason") == "policy_unscannable");
    CHECK(line.text("verdict") == "unscannable");
    CHECK(line.text("action") == "block");
    CHECK(line.text("unscanned") == "");
    play.check_next();
  }
  CHECK(unscanned(play.on, "unscannable") == 0);
  CHECK(metric(play.on, "scans_total{verdict=\"unscannable\"}") == 2);
}

TEST_CASE("range: a 206 that nobody asked for passes where the policy says so, and is counted") {
  file_play play(10'000, with_env({{"ICAPGATE_POLICY__ON_UNSCANNABLE", "pass"}}));
  serve_part(play.on, "/file", play.body);
  check_passed_part(play.ask(field_list{}), play.body);
  const auto line = play.line();
  CHECK(line.text("unscanned") == "unscannable");
  CHECK(line.text("action") == "pass");
  CHECK(line.text("reason") == "complete");
  CHECK(play.on.scanner.scans().empty());
  CHECK(unscanned(play.on, "unscannable") == 1);
  play.check_next();
}

// --- signed requests

TEST_CASE("range: a signed range is refused without asking the origin") {
  file_play play(10'000);
  for (const auto signed_fields : {"host;range;x-amz-date", "host;if-range"}) {
    const auto refused = play.ask(signed_over(signed_fields));
    check_range_refused(refused, play.line());
  }
  auto client = play.on.client();
  const auto got =
      client.get("/file?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host%3Brange",
                 {{"Range", "bytes=10-19"}});
  CHECK(got.status == 416);
  CHECK(play.on.origin.requests().empty());
  CHECK(play.on.scanner.scans().empty());
}

TEST_CASE("range: a signature that does not cover the range is no obstacle") {
  file_play play(10'000);
  play.check_part(play.ask(signed_over("host;x-amz-date")), 10, 19);
  const auto asked = play.on.origin.request("/file").head.fields;
  CHECK_FALSE(has(asked, "Range"));
  CHECK(value(asked, "Authorization").ends_with(signature));
  play.check_next();
}

TEST_CASE("range: where the policy lets it pass, a signed range goes to the origin as it is") {
  const std::string presigned = "/file?X-Amz-SignedHeaders=host%3Brange&X-Amz-Signature=01";
  file_play play(10'000, with_env({{"ICAPGATE_POLICY__ON_UNSCANNABLE", "pass"}}));
  serve_part(play.on, "/file", play.body);
  serve_part(play.on, presigned, play.body);
  auto fields = signed_over("host;range");
  fields.insert(fields.end(), {{"If-Range", "\"v1\""}});
  check_passed_part(play.ask(fields), play.body);
  auto asked = play.on.origin.request("/file").head.fields;
  CHECK(values(asked, "Range") == std::vector<std::string>{"bytes=10-19"});
  CHECK(values(asked, "If-Range") == std::vector<std::string>{"\"v1\""});
  CHECK(value(asked, "Authorization") == fields[1].value);
  CHECK(play.line().text("unscanned") == "unscannable");
  CHECK(play.line().text("action") == "pass");
  CHECK(play.on.scanner.scans().empty());

  auto client = play.on.client();
  check_passed_part(client.get(presigned, {{"Range", "bytes=10-19"}}), play.body);
  asked = play.on.origin.request(presigned).head.fields;
  CHECK(values(asked, "Range") == std::vector<std::string>{"bytes=10-19"});
  CHECK(unscanned(play.on, "unscannable") == 2);
}

TEST_CASE("range: a signed range that the origin ignores is scanned like any response") {
  file_play play(10'000, with_env({{"ICAPGATE_POLICY__ON_UNSCANNABLE", "pass"}}));
  play.check_whole(play.ask(signed_over("range")));
  CHECK(play.line().text("verdict") == "clean");
  CHECK(difference(play.on.scanner.scan_of("/file").body, play.body) == "");
  play.on.scanner.always(block_page());
  CHECK(play.ask(signed_over("range")).status == 403);
}

// --- unscanned routes

TEST_CASE("range: an avoided port serves its own ranges") {
  origin_peer origin;
  stage on({.origin = origin.port(), .avoid_ports = {origin.port()}});
  const auto body = noise(10'000);
  origin.when("/file", {.status = "206 Partial Content",
                        .fields = {{"Content-Range", "bytes 10-19/10000"}},
                        .body = body.substr(10, 10)});
  check_passed_part(on.get("/file", {{"Range", "bytes=10-19"}, {"If-Range", "\"v1\""}}), body);
  const auto asked = origin.request("/file").head.fields;
  CHECK(values(asked, "Range") == std::vector<std::string>{"bytes=10-19"});
  CHECK(values(asked, "If-Range") == std::vector<std::string>{"\"v1\""});
  CHECK(on.last_line().text("unscanned") == "avoid_port");
}

TEST_CASE("range: without a scan the origin serves its own ranges") {
  struct row {
    gate_settings settings;
    std::string unscanned;
  };
  const std::vector<row> rows = {
      {with_env({{"ICAPGATE_MODE", "off"}}), "mode_off"},
      {{.config = "[[policy.rule]]\nreason = \"trusted\"\npath = \"/fi*\"\nmode = \"off\"\n"},
       "rule"}};
  for (const auto& [settings, reason] : rows) {
    stage on(settings);
    const auto body = noise(10'000);
    serve_part(on, "/file", body);
    check_passed_part(on.get("/file", {{"Range", "bytes=10-19"}, {"If-Range", "\"v1\""}}), body);
    const auto asked = on.origin.request("/file").head.fields;
    CHECK(values(asked, "Range") == std::vector<std::string>{"bytes=10-19"});
    CHECK(values(asked, "If-Range") == std::vector<std::string>{"\"v1\""});
    CHECK(on.last_line().text("unscanned") == reason);
    CHECK(on.last_line().text("action") == "pass");
    CHECK(on.scanner.scans().empty());
  }
}

TEST_CASE("range: in monitor mode the client gets the origin's own part, unscanned") {
  stage on(with_env({{"ICAPGATE_MODE", "monitor"}}));
  const auto body = noise(10'000);
  serve_part(on, "/file", body);
  check_passed_part(on.get("/file", {{"Range", "bytes=10-19"}}), body);
  CHECK(value(on.origin.request("/file").head.fields, "Range") == "bytes=10-19");
  CHECK(on.last_line().text("verdict") == "unscannable");
  CHECK(on.last_line().text("action") == "monitored");
  CHECK(on.scanner.scans().empty());
}

// --- rules

TEST_CASE("range: rules say by path what a request for ranges gets") {
  stage on({.config = R"(
[policy]
range = "reject"
[[policy.rule]]
reason = "whole ones"
path = "/whole/*"
range = "strip"
[[policy.rule]]
reason = "downloads"
path = "/served/*"
range = "serve"
)"});
  for (const std::string target : {"/whole/a", "/served/a", "/a"}) {
    on.origin.when(target, {.body = noise(1'000)});
  }
  const field_list part = {{"Range", "bytes=10-19"}};
  const auto whole = on.get("/whole/a", part);
  CHECK(whole.status == 200);
  CHECK(value(whole.fields(), "Accept-Ranges") == "none");
  CHECK(difference(whole.body, noise(1'000)) == "");
  CHECK(on.last_line().text("rule") == "whole ones");
  const auto served = on.get("/served/a", part);
  CHECK(served.status == 206);
  CHECK(served.body == noise(1'000).substr(10, 10));
  CHECK(on.last_line().text("rule") == "downloads");
  const auto refused = on.get("/a", part);
  check_range_refused(refused, on.last_line());
  CHECK(on.last_line().text("rule") == "");
  CHECK(rule_hits(on, "whole ones") == 1);
  CHECK(rule_hits(on, "downloads") == 1);
}

TEST_CASE("range: a rule that asks for something of the response comes too late for the range") {
  for (const std::string late : {"strip", "reject"}) {
    INFO(late);
    stage on({.config = "[[policy.rule]]\nreason = \"late\"\nmedia_type = \"text/*\"\nrange = \"" +
                        late + "\"\n"});
    on.origin.when("/a", {.fields = {{"Content-Type", "text/plain"}}, .body = noise(1'000)});
    const auto got = on.get("/a", {{"Range", "bytes=10-19"}});
    CHECK(got.status == 206);
    CHECK(got.body == noise(1'000).substr(10, 10));
    CHECK(on.last_line().text("rule") == "late");
  }
}
