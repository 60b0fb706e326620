// Content codings (RFC 9110 8.4): what the origin is asked for, what the scanner gets to see, and
// what the client gets.
#include "kit/codings.hpp"
#include "kit/lab.hpp"
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <array>
#include <csignal>
#include <sstream>

using namespace e2e;

namespace {

constexpr std::array framings{framing::length, framing::chunked, framing::close};

gate_settings with_env(std::map<std::string, std::string> env) {
  return {.env = std::move(env)};
}

gate_settings with_mode(const std::string& mode, std::map<std::string, std::string> env = {}) {
  env.emplace("ICAPGATE_POLICY__ENCODING", mode);
  return with_env(std::move(env));
}

const auto pass_unscannable = std::pair{"ICAPGATE_POLICY__ON_UNSCANNABLE", "pass"};

// Text that a coding makes smaller, but not by much.
std::string prose(std::size_t size) {
  std::string out;
  for (unsigned i = 0; out.size() < size; ++i) {
    out += "line " + std::to_string(i * 7919) + " of " + std::to_string(size) + "\n";
  }
  out.resize(size);
  return out;
}

// A body as the origin sends it.
struct coded {
  std::string name;  // of the coding or the chain, as Content-Encoding has it
  std::string wire;
};

std::vector<coded> codings_of(const std::string& body) {
  return {{"gzip", gzip(body)},
          {"X-GZip", gzip(body)},
          {"deflate", zlib(body)},
          {"deflate", bare_deflate(body)},
          {"br", brotli(body)},
          {"zstd", zstd(body)},
          {"identity, gzip", gzip(body)},
          {"gzip", gzip(body.substr(0, body.size() / 2)) + gzip(body.substr(body.size() / 2))},
          {"deflate, gzip", gzip(zlib(body))},
          {"deflate, gzip, br", brotli(gzip(zlib(body)))}};
}

response_text text_of(const coded& one, framing form = framing::length) {
  return {.fields = {{"Content-Type", "text/plain"},
                     {"ETag", "\"v1\""},
                     {"Content-Encoding", one.name},
                     {"Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="},
                     {"Digest", "sha-256=AAAA"},
                     {"Vary", "Accept-Encoding"},
                     {"Date", "Thu, 01 Jan 2026 00:00:00 GMT"}},
          .body = one.wire,
          .form = form};
}

// The origin's response as it is.
void check_original(const response& got, const coded& one) {
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(lines(end_to_end(got.fields())) == lines(text_of(one).fields));
  CHECK(difference(got.body, one.wire) == "");
}

// The body without its codings, and a head that tells of none.
void check_seen_decoded(const scan& seen, const std::string& body) {
  CHECK(seen.whole);
  CHECK(difference(seen.body, body) == "");
  CHECK(lines(seen.response.fields) ==
        std::vector<std::string>{"Content-Type: text/plain", "ETag: \"v1\"",
                                 "Vary: Accept-Encoding", "Date: Thu, 01 Jan 2026 00:00:00 GMT"});
}

// Our page, and nothing of the origin's response.
void check_page(const response& got) {
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(value(got.fields(), "Cache-Control") == "no-store");
  CHECK_FALSE(has(got.fields(), "Content-Encoding"));
  CHECK_FALSE(has(got.fields(), "ETag"));
  CHECK(got.body.size() < 4096);
  const auto id = value(got.fields(), "X-Request-Id");
  CHECK(id.size() > 8);
  CHECK(got.body.find(id) != std::string::npos);
}

using text_list = std::vector<std::string>;

// What the access lines tell: verdict, action, why unscanned, reason of the end. The log is written
// once a second, so a play looks at it once.
const std::string clean = "clean deliver - complete";
const std::string found = "blocked block - blocked";
const std::string unscannable = "unscannable block - policy_unscannable";
const std::string oversize = "unscannable block - policy_oversize";
const std::string passed_unscannable = "unscannable pass unscannable complete";
const std::string passed_oversize = "unscannable pass oversize complete";

text_list told(stage& on) {
  text_list out;
  for (const auto& line : on.icapgate.lines(on.asked)) {
    const auto why = line.text("unscanned");
    out.push_back(line.text("verdict") + " " + line.text("action") + " " + (why == "" ? "-" : why) +
                  " " + line.text("reason"));
  }
  return out;
}

// Finds EICAR where it can be seen.
void find_eicar(exchange& with) {
  with.answer(with.body().find(eicar()) == std::string::npos ? no_modification() : block_page());
}

// What the origin was asked to send, by the client's fields.
std::vector<std::string> accepted(stage& on, const field_list& fields,
                                  const std::string& target = "/a") {
  on.origin.when(target, {.body = "a body"});
  CHECK(on.get(target, fields).status == 200);
  return values(on.origin.request(target).head.fields, "Accept-Encoding");
}

field_list signed_over(const std::string& names) {
  return {{"Accept-Encoding", "gzip, sdch"},
          {"Authorization",
           "AWS4-HMAC-SHA256 Credential=K/20240101/eu/s3/aws4_request, "
           "SignedHeaders=" +
               names + ", Signature=0123456789abcdef"}};
}

// The most memory the process ever had, in MiB.
std::size_t peak_memory(pid_t id) {
  std::istringstream in(file_text("/proc/" + std::to_string(id) + "/status"));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) / 1024;
  }
  throw std::runtime_error("no VmHWM");
}

}  // namespace

// --- what the origin is asked for

TEST_CASE("encoding: by default the origin is asked for no coding at all") {
  stage on;
  CHECK(accepted(on, {{"Accept-Encoding", "gzip, br;q=0.5"}}) == text_list{"identity"});
  CHECK(accepted(on, {{"Accept-Encoding", "gzip"}, {"Accept-Encoding", "*"}}) ==
        text_list{"identity"});
  CHECK(accepted(on, {}) == text_list{"identity"});
  auto client = on.client();
  client.request("HEAD", "/a", {{"Accept-Encoding", "gzip"}});
  CHECK(values(on.origin.request("/a").head.fields, "Accept-Encoding") == text_list{"identity"});
}

TEST_CASE("encoding: decode asks for what the client wants, as far as it can be decoded") {
  stage on(with_mode("decode"));
  CHECK(accepted(on, {{"Accept-Encoding", "gzip, deflate, br, zstd"}}) ==
        text_list{"gzip, deflate, br, zstd"});
  CHECK(accepted(on, {{"Accept-Encoding", "sdch, gzip;q=0.8, compress, br;q=1, *;q=0"}}) ==
        text_list{"gzip;q=0.8, br, *;q=0"});
  CHECK(accepted(on, {{"Accept-Encoding", "sdch"}, {"Accept-Encoding", "x-gzip"}}) ==
        text_list{"gzip"});
  CHECK(accepted(on, {{"Accept-Encoding", "sdch, *"}}) == text_list{"identity"});
  CHECK(accepted(on, {}) == text_list{"identity"});
}

TEST_CASE("encoding: pass asks for what the client wants") {
  stage on(with_mode("pass"));
  CHECK(accepted(on, {{"Accept-Encoding", "sdch, gzip;q=0.8, *;q=0.1"}}) ==
        text_list{"sdch, gzip;q=0.8, *;q=0.1"});
  CHECK(accepted(on, {}).empty());
}

TEST_CASE("encoding: a signed Accept-Encoding is not changed") {
  for (const std::string mode : {"identity", "decode"}) {
    INFO(mode);
    stage on(with_mode(mode));
    CHECK(accepted(on, signed_over("accept-encoding;host")) == text_list{"gzip, sdch"});
    CHECK(accepted(on, {{"Accept-Encoding", "gzip, sdch"}},
                   "/a?X-Amz-SignedHeaders=host%3Baccept-encoding") == text_list{"gzip, sdch"});
    CHECK(accepted(on, signed_over("host")) == text_list{mode == "identity" ? "identity" : "gzip"});
  }
}

TEST_CASE("encoding: what is not scanned, or only watched, is asked for as the client wants it") {
  for (const std::string mode : {"off", "monitor"}) {
    INFO(mode);
    stage on(with_env({{"ICAPGATE_MODE", mode}}));
    CHECK(accepted(on, {{"Accept-Encoding", "gzip, sdch"}}) == text_list{"gzip, sdch"});
  }
  origin_peer origin;
  stage on({.origin = origin.port(), .avoid_ports = {origin.port()}});
  origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a", {{"Accept-Encoding", "gzip, sdch"}}).status == 200);
  CHECK(values(origin.request("/a").head.fields, "Accept-Encoding") == text_list{"gzip, sdch"});
}

TEST_CASE("encoding: rules say by path what is asked for and what the scanner gets") {
  stage on({.config = R"(
[[policy.rule]]
reason = "raw"
path = "/raw/*"
encoding = "pass"
[[policy.rule]]
reason = "decoded"
path = "/decoded/*"
encoding = "decode"
)"});
  const field_list wanted = {{"Accept-Encoding", "gzip, sdch"}};
  CHECK(accepted(on, wanted, "/raw/a") == text_list{"gzip, sdch"});
  CHECK(on.last_line().text("rule") == "raw");
  CHECK(accepted(on, wanted, "/decoded/a") == text_list{"gzip"});
  CHECK(on.last_line().text("rule") == "decoded");
  CHECK(accepted(on, wanted, "/else") == text_list{"identity"});

  const coded one{"gzip", gzip("a body")};
  for (const std::string target : {"/raw/a", "/decoded/a", "/else"}) {
    INFO(target);
    on.origin.when(target, text_of(one));
    check_original(on.get(target), one);
    CHECK(on.scanner.scan_of(target).body == (target == "/raw/a" ? one.wire : "a body"));
  }
}

// --- clean bodies

TEST_CASE("encoding: the scanner sees the decoded body, the client gets the original") {
  const auto body = prose(100'000);
  for (const std::string mode : {"identity", "decode"}) {
    stage on(with_mode(mode));
    for (const auto& one : codings_of(body)) {
      for (const auto form : framings) {
        INFO(mode << ", " << one.name);
        on.origin.when("/a", text_of(one, form));
        check_original(on.get("/a"), one);
        check_seen_decoded(on.scanner.scan_of("/a"), body);
      }
    }
    CHECK(told(on) == text_list(on.asked, clean));
    CHECK(metric(on, "scanned_bytes_total") ==
          static_cast<double>(codings_of(body).size() * framings.size() * body.size()));
  }
}

TEST_CASE("encoding: with pass the scanner sees the bytes and the head as they are") {
  stage on(with_mode("pass"));
  auto codings = codings_of(prose(10'000));
  codings.push_back({"sdch", "whatever this is"});
  codings.push_back({"gzip", "not gzip at all"});
  for (const auto& one : codings) {
    INFO(one.name);
    on.origin.when("/a", text_of(one));
    check_original(on.get("/a"), one);
    const auto seen = on.scanner.scan_of("/a");
    CHECK(difference(seen.body, one.wire) == "");
    CHECK(value(seen.response.fields, "Content-Encoding") == one.name);
    CHECK(value(seen.response.fields, "Content-Length") == std::to_string(one.wire.size()));
  }
  CHECK(told(on) == text_list(codings.size(), clean));
}

TEST_CASE("encoding: several Content-Encoding fields are one list") {
  stage on;
  const auto wire = brotli(gzip("a body"));
  on.origin.when(
      "/a", {.fields = {{"Content-Encoding", "gzip"}, {"Content-Encoding", "br"}}, .body = wire});
  const auto got = on.get("/a");
  CHECK(values(got.fields(), "Content-Encoding") == text_list{"gzip", "br"});
  CHECK(got.body == wire);
  CHECK(on.scanner.scan_of("/a").body == "a body");
}

TEST_CASE("encoding: identity, or none at all, is no coding") {
  stage on;
  for (const std::string none : {"identity", "", ",", "identity, Identity"}) {
    INFO(none);
    on.origin.when("/a", {.fields = {{"Content-Encoding", none}}, .body = "a body"});
    const auto got = on.get("/a");
    CHECK(got.body == "a body");
    CHECK(value(got.fields(), "Content-Encoding") == none);
    const auto seen = on.scanner.scan_of("/a");
    CHECK(seen.body == "a body");
    CHECK(value(seen.response.fields, "Content-Length") == "6");
  }
}

TEST_CASE("encoding: a body without a byte is whole in any coding") {
  stage on;
  for (const std::string name : {"gzip", "br", "zstd", "deflate, gzip"}) {
    for (const auto form : framings) {
      INFO(name);
      on.origin.when("/a", text_of({name, ""}, form));
      check_original(on.get("/a"), {name, ""});
    }
  }
}

TEST_CASE("encoding: a byte at a time is as good as all at once") {
  stage on;
  const auto body = prose(3'000);
  for (const auto& one : codings_of(body)) {
    INFO(one.name);
    auto text = text_of(one, framing::chunked);
    text.chunks.size = 1;
    on.origin.when("/a", text);
    check_original(on.get("/a"), one);
    check_seen_decoded(on.scanner.scan_of("/a"), body);
  }
}

TEST_CASE("encoding: large bodies, coded and decoded ones, lie in files") {
  stage on(with_env({{setting::spool_memory, "64KiB"}}));
  const auto body = prose(4'000'001) + noise(300'000);
  for (const coded& one : {coded{"gzip", gzip(body)}, coded{"gzip, zstd", zstd(gzip(body))}}) {
    for (const auto form : framings) {
      INFO(one.name);
      on.origin.when("/a", text_of(one, form));
      check_original(on.get("/a"), one);
      check_seen_decoded(on.scanner.scan_of("/a"), body);
    }
  }
}

TEST_CASE("encoding: what has a coding but no body is delivered") {
  stage on;
  on.origin.when("/a", {.fields = {{"Content-Encoding", "sdch"}}, .body = "coded"});
  auto client = on.client();
  const auto head = client.request("HEAD", "/a");
  CHECK(head.status == 200);
  CHECK(value(head.fields(), "Content-Encoding") == "sdch");
  CHECK(value(head.fields(), "Content-Length") == "5");
  on.origin.when("/a", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 304 Not Modified\r\nContent-Encoding: sdch\r\n\r\n");
  });
  CHECK(client.get("/a").status == 304);
  CHECK(on.scanner.scans().empty());
}

TEST_CASE("encoding: a preview is a preview of the decoded body") {
  stage on({}, {.options = options_answer({{"Preview", "16"}, {"Transfer-Preview", "*"}})});
  on.learn_options();
  on.scanner.play([](exchange& with) {
    with.preview();
    with.answer(no_modification());
  });
  for (const std::size_t size : {15u, 16u, 17u, 100'000u}) {
    INFO(size);
    const coded one{"gzip", gzip(prose(size))};
    on.origin.when("/a", text_of(one));
    check_original(on.get("/a"), one);
    const auto seen = on.scanner.scan_of("/a");
    CHECK(seen.previewed == prose(size).substr(0, 16));
    CHECK(seen.ieof == (size <= 16));
  }
}

TEST_CASE("encoding: ranges are cut from the coded bytes, which are what the client knows") {
  stage on;
  const coded one{"gzip", gzip(prose(50'000))};
  on.origin.when("/a", text_of(one));
  const auto got = on.get("/a", {{"Range", "bytes=10-99"}});
  CHECK(got.status == 206);
  CHECK(value(got.fields(), "Content-Encoding") == "gzip");
  CHECK(value(got.fields(), "Content-Range") == "bytes 10-99/" + std::to_string(one.wire.size()));
  CHECK(got.body == one.wire.substr(10, 90));
  check_seen_decoded(on.scanner.scan_of("/a"), prose(50'000));
}

TEST_CASE("encoding: in monitor mode the scanner's copy is decoded") {
  stage on(with_env({{"ICAPGATE_MODE", "monitor"}}));
  on.scanner.play(find_eicar);
  const coded one{"gzip", gzip(eicar())};
  on.origin.when("/a", text_of(one));
  check_original(on.get("/a"), one);
  CHECK(on.last_line().text("verdict") == "blocked");
  CHECK(on.last_line().text("action") == "monitored");
  check_seen_decoded(on.scanner.scan_of("/a"), eicar());
}

// --- blocked and adapted bodies

TEST_CASE("encoding: EICAR is found in every coding, and no byte of it is delivered") {
  stage on;
  on.scanner.play(find_eicar);
  for (const auto& one : codings_of(prose(1'000) + eicar() + prose(1'000))) {
    for (const auto form : framings) {
      INFO(one.name);
      on.origin.when("/a", text_of(one, form));
      const auto got = on.get("/a");
      CHECK(got.status == 403);
      CHECK(got.body == page_body());
      CHECK_FALSE(has(got.fields(), "Content-Encoding"));
      CHECK_FALSE(has(got.fields(), "ETag"));
    }
  }
  CHECK(told(on) == text_list(on.asked, found));
}

TEST_CASE("encoding: with pass a scanner that can't decode finds nothing") {
  stage on(with_mode("pass"));
  on.scanner.play(find_eicar);
  const coded one{"gzip", gzip(prose(1'000) + eicar())};
  on.origin.when("/a", text_of(one));
  check_original(on.get("/a"), one);
}

TEST_CASE("encoding: an adapted body comes without the origin's coding, with its own length") {
  stage on;
  const auto body = prose(20'000);
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Accept-Encoding\r\n";
  for (const std::string length : {"", "Content-Length: 20000\r\n"}) {
    on.scanner.always(adapted(head + length + "\r\n", body));
    on.origin.when("/a", text_of({"gzip", gzip(prose(90'000))}));
    const auto got = on.get("/a");
    CHECK(got.status == 200);
    CHECK(got.whole());
    CHECK_FALSE(has(got.fields(), "Content-Encoding"));
    CHECK_FALSE(has(got.fields(), "Content-MD5"));
    CHECK(values(got.fields(), "Content-Length") == text_list{"20000"});
    CHECK(difference(got.body, body) == "");
  }
  CHECK(told(on) == text_list(2, "adapted deliver - complete"));
}

TEST_CASE("encoding: a scanner that sends the decoded body back has it delivered so") {
  stage on;
  const auto body = prose(20'000);
  on.scanner.play([](exchange& with) {
    const auto all = with.body();
    with.answer(adapted(with.seen().response.wire, all));
  });
  on.origin.when("/a", text_of({"gzip", gzip(body)}));
  const auto got = on.get("/a");
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK_FALSE(has(got.fields(), "Content-Encoding"));
  CHECK_FALSE(has(got.fields(), "ETag"));  // it names the coded bytes
  CHECK(difference(got.body, body) == "");
}

TEST_CASE("encoding: a scanner that drips the beginning of a decoded body blocks it") {
  stage on;
  on.scanner.play([](exchange& with) {
    const auto all = with.body();
    with.answer(adapted(with.seen().response.wire, all.substr(0, all.size() - 1)));
  });
  on.origin.when("/a", text_of({"gzip", gzip(prose(20'000))}));
  CHECK(on.get("/a").status == 403);
  CHECK(told(on) == text_list{found});
}

// --- bodies that can't be decoded

TEST_CASE("encoding: an unknown coding is unscannable before the body is fetched") {
  for (const bool pass : {false, true}) {
    stage on(pass ? with_env({pass_unscannable}) : gate_settings{});
    for (const std::string name : {"sdch", "compress", "gzip, sdch", "sdch, gzip",
                                   "gzip, gzip, gzip, gzip", "br, zstd", "gz ip"}) {
      INFO(name);
      const coded one{name, gzip("whatever")};
      on.origin.when("/a", text_of(one));
      const auto got = on.get("/a");
      if (pass) check_original(got, one);
      if (!pass) check_page(got);
    }
    CHECK(told(on) == text_list(on.asked, pass ? passed_unscannable : unscannable));
    const auto count = static_cast<double>(on.asked);
    CHECK(on.scanner.scans().empty());
    CHECK(metric(on, "scans_total{verdict=\"unscannable\"}") == count);
    CHECK(unscanned(on, "unscannable") == (pass ? count : 0));
  }
}

TEST_CASE("encoding: the page for an unknown coding does not wait for the body") {
  happening answered;
  stage on;
  on.origin.when("/a", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Encoding: sdch\r\nContent-Length: 1000\r\n\r\n");
    answered.wait();
  });
  const auto got = on.get("/a");
  answered.tell();
  check_page(got);
  CHECK(told(on) == text_list{unscannable});
}

TEST_CASE("encoding: a damaged or cut body is unscannable") {
  auto damaged = gzip(prose(100'000));
  damaged[damaged.size() / 2] = static_cast<char>(~damaged[damaged.size() / 2]);
  damaged[damaged.size() - 6] = static_cast<char>(~damaged[damaged.size() - 6]);
  const auto whole = gzip(prose(100'000));
  const std::vector<coded> bad = {{"gzip", damaged},
                                  {"gzip", whole.substr(0, whole.size() - 1)},
                                  {"gzip", whole.substr(0, 5)},
                                  {"gzip", whole + "and more"},
                                  {"gzip", prose(1'000)},
                                  {"gzip", zlib(prose(1'000))},
                                  {"deflate", gzip(prose(1'000))},
                                  {"deflate", zlib(prose(1'000)) + "x"},
                                  {"br", brotli(prose(1'000)) + "x"},
                                  {"br", brotli(prose(100'000)).substr(0, 1'000)},
                                  {"zstd", zstd(prose(1'000)) + "x"},
                                  {"zstd", zstd(prose(100'000)).substr(0, 1'000)},
                                  {"gzip, br", gzip(prose(1'000))},
                                  {"gzip, br", brotli(whole.substr(0, whole.size() - 1))}};
  for (const bool pass : {false, true}) {
    stage on(pass ? with_env({pass_unscannable}) : gate_settings{});
    for (const auto& one : bad) {
      for (const auto form : framings) {
        INFO(one.name << ", " << one.wire.size() << " bytes");
        on.origin.when("/a", text_of(one, form));
        const auto got = on.get("/a");
        if (pass) check_original(got, one);
        if (!pass) check_page(got);
      }
    }
    for (const auto& seen : on.scanner.scans()) CHECK_FALSE(seen.whole);
    CHECK(told(on) == text_list(on.asked, pass ? passed_unscannable : unscannable));
    const auto count = static_cast<double>(on.asked);
    CHECK(metric(on, "scans_total{verdict=\"unscannable\"}") == count);
    CHECK(unscanned(on, "unscannable") == (pass ? count : 0));
    CHECK(metric(on, "scans_total{verdict=\"error\"}") == 0);
  }
}

TEST_CASE("encoding: damage behind a good half is never ended well towards the scanner") {
  const coded one{"gzip", gzip(noise(300'000)) + "damage"};
  for (const bool pass : {false, true}) {
    happening begun;
    stage on(pass ? with_env({pass_unscannable}) : gate_settings{});
    on.scanner.play([&](exchange& with) {
      with.next();
      begun.tell();
      with.body();
      with.answer(no_modification());
    });
    on.origin.when("/a", [&, wire = text_of(one).wire()](connection& to, const origin_request&) {
      to.write(std::string_view(wire).substr(0, 200'000));
      begun.wait();
      to.write(std::string_view(wire).substr(200'000));
    });
    const auto got = on.get("/a");
    if (pass) check_original(got, one);
    if (!pass) check_page(got);
    CHECK(told(on) == text_list{pass ? passed_unscannable : unscannable});
    CHECK_FALSE(on.scanner.scan_of("/a").whole);
  }
}

TEST_CASE("encoding: a detection in the good half of a damaged body blocks it all the same") {
  happening detected;
  stage on(with_env({pass_unscannable}));
  on.scanner.play([&](exchange& with) {
    std::string seen;
    while (seen.find(eicar()) == std::string::npos) seen += with.next();
    with.answer(block_page());
    detected.tell();
  });
  const auto wire = text_of({"gzip", gzip(eicar() + noise(300'000)) + "damage"}).wire();
  on.origin.when("/a", [&, wire](connection& to, const origin_request&) {
    to.write(std::string_view(wire).substr(0, 200'000));
    detected.wait();
    to.write(std::string_view(wire).substr(200'000));
  });
  const auto got = on.get("/a");
  CHECK(got.status == 403);
  CHECK(got.body == page_body());
  CHECK(told(on) == text_list{found});
}

TEST_CASE("encoding: a long page that stands unread when the body breaks is the answer") {
  happening asked, read_on, detected, broken;
  stage on(with_env({pass_unscannable}));
  const auto page = page_body() + std::string(100'000, ' ');
  const auto answer = adapted(page_head(), page, {{"X-Infection-Found", std::string(infection)}});
  on.scanner.play([&](exchange& with) {
    std::string seen;
    while (seen.find(eicar()) == std::string::npos) seen += with.next();
    asked.tell();
    read_on.wait();
    with.answer(answer);
    detected.tell();
  });
  const auto wire = text_of({"gzip", gzip(eicar() + noise(300'000)) + "damage"}).wire();
  on.origin.when("/a", [&, wire](connection& to, const origin_request&) {
    to.write(std::string_view(wire).substr(0, 200'000));
    asked.wait();
    // Page and damage come in one moment.
    on.icapgate.signal(SIGSTOP);
    read_on.tell();
    detected.wait();
    to.write(std::string_view(wire).substr(200'000));
    on.icapgate.signal(SIGCONT);
    broken.tell();
  });
  const auto got = on.get("/a");
  CHECK(got.status == 403);
  CHECK(difference(got.body, page) == "");
  CHECK(told(on) == text_list{found});
}

TEST_CASE("encoding: a page on its way when the body breaks is waited for, but not for long") {
  const auto wire = text_of({"gzip", gzip(eicar() + noise(300'000)) + "damage"}).wire();
  for (const bool goes_on : {true, false}) {
    happening begun, broken, over;
    stage on(with_env({pass_unscannable}));
    on.scanner.play([&](exchange& with) {
      const auto answer = adapted(page_head(), page_body());
      std::string seen;
      while (seen.find(eicar()) == std::string::npos) seen += with.next();
      const auto first_line = answer.find('\n') + 1;
      with.answer(std::string_view(answer).substr(0, first_line));
      begun.tell();
      broken.wait();
      if (goes_on) with.answer(std::string_view(answer).substr(first_line));
      if (!goes_on) over.wait();
    });
    on.origin.when("/a", [&](connection& to, const origin_request&) {
      to.write(std::string_view(wire).substr(0, 200'000));
      begun.wait();
      to.write(std::string_view(wire).substr(200'000));
      broken.tell();
    });
    const auto got = on.get("/a");
    over.tell();
    CHECK(got.status == (goes_on ? 403 : 200));
    CHECK(told(on) == text_list{goes_on ? found : passed_unscannable});
  }
}

TEST_CASE("encoding: an origin that breaks off in a coded body is the origin's trouble") {
  stage on(with_env({pass_unscannable}));
  const auto wire = text_of({"gzip", gzip(prose(100'000))}).wire();
  on.origin.when("/a", [wire](connection& to, const origin_request&) {
    to.write(std::string_view(wire).substr(0, wire.size() - 1));
    to.close();
  });
  const auto got = on.get("/a");
  CHECK(got.status == 502);
  CHECK(on.last_line().text("reason") == "origin_body_eof");
  for (const auto& seen : on.scanner.scans()) CHECK_FALSE(seen.whole);
}

// --- limits

TEST_CASE("encoding: max_scan_size holds for the decoded body, to the byte") {
  const std::string limit = "100000";
  for (const bool pass : {false, true}) {
    stage on(with_env({{setting::max_scan_size, limit},
                       {"ICAPGATE_POLICY__ON_OVERSIZE", pass ? "pass" : "block"}}));
    text_list expected;
    for (const std::size_t size : {99'999u, 100'000u, 100'001u, 300'000u}) {
      for (const auto& one : codings_of(prose(size))) {
        INFO(one.name << ", " << size);
        REQUIRE(one.wire.size() < 100'000);
        on.origin.when("/a", text_of(one, framing::chunked));
        const auto got = on.get("/a");
        const bool fits = size <= 100'000;
        if (fits || pass) check_original(got, one);
        if (!fits && !pass) check_page(got);
        expected.push_back(fits ? clean : pass ? passed_oversize : oversize);
      }
    }
    CHECK(told(on) == expected);
    CHECK(unscanned(on, "oversize") == (pass ? expected.size() / 2.0 : 0));
  }
}

TEST_CASE("encoding: max_scan_size holds for the coded body, too") {
  stage on(with_env({{setting::max_scan_size, "100000"}}));
  for (const auto form : framings) {
    on.origin.when("/a", text_of({"gzip", gzip(noise(100'001))}, form));
    check_page(on.get("/a"));
  }
  CHECK(told(on) == text_list(3, oversize));
}

// A GiB of zeros that comes as a MB of gzip.
void check_bomb(stage& on, const std::string& end) {
  on.origin.when("/small", text_of({"gzip", gzip(prose(100'000))}));
  CHECK(on.get("/small").status == 200);
  const auto before = peak_memory(on.icapgate.id());
  on.origin.when("/bomb", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n");
    gzip_zeros(std::uint64_t{1} << 30, [&](std::string_view part) { to.write(part); });
    to.close();
  });
  check_page(on.get("/bomb"));
  CHECK(told(on) == text_list{clean, end});
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
}

TEST_CASE("encoding: a gigabyte of zeros in gzip is blocked at once, and costs nothing") {
  stage on(with_env({{"ASAN_OPTIONS", "quarantine_size_mb=1"}}));
  check_bomb(on, unscannable);
  CHECK(on.last_line().number("total_ms") < 5'000);
}

TEST_CASE("encoding: without a ratio a bomb ends at max_scan_size") {
  stage on(with_env({{"ASAN_OPTIONS", "quarantine_size_mb=1"},
                     {"ICAPGATE_POLICY__MAX_RATIO", "0"},
                     {setting::max_scan_size, "16MiB"}}));
  check_bomb(on, oversize);
}

TEST_CASE("encoding: a bomb in a bomb is one") {
  stage on;
  std::string bomb;
  gzip_zeros(64 << 20, [&](std::string_view part) { bomb += part; });
  on.origin.when("/a", text_of({"gzip, gzip, gzip", gzip(gzip(bomb))}));
  check_page(on.get("/a"));
  on.origin.when("/a", text_of({"gzip, br", brotli(bomb)}));
  check_page(on.get("/a"));
  CHECK(told(on) == text_list(2, unscannable));
}

TEST_CASE("encoding: the ratio counts from the first MiB on") {
  constexpr std::size_t floor = 1 << 20;
  for (const bool pass : {false, true}) {
    stage on(pass ? with_env({pass_unscannable}) : gate_settings{});
    for (const std::size_t size : {floor - 1, floor, floor + 1}) {
      INFO(size);
      const coded one{"gzip", gzip(std::string(size, '\0'))};
      on.origin.when("/a", text_of(one));
      const auto got = on.get("/a");
      if (size <= floor || pass) check_original(got, one);
      if (size > floor && !pass) check_page(got);
    }
    CHECK(told(on) == text_list{clean, clean, pass ? passed_unscannable : unscannable});
  }
}

TEST_CASE("encoding: the ratio is a setting, and 0 is none") {
  const coded one{"gzip", gzip(prose(2 << 20))};
  const auto ratio = (2 << 20) / one.wire.size();
  REQUIRE(ratio > 2);
  for (const auto& most : {std::to_string(ratio / 2), std::to_string(ratio * 2)}) {
    INFO(most);
    stage on(with_env({{"ICAPGATE_POLICY__MAX_RATIO", most}}));
    on.origin.when("/a", text_of(one));
    const auto got = on.get("/a");
    if (most == std::to_string(ratio / 2)) check_page(got);
    if (most == std::to_string(ratio * 2)) check_original(got, one);
  }
  stage on(with_env({{"ICAPGATE_POLICY__MAX_RATIO", "0"}}));
  const coded zeros{"gzip", gzip(std::string(4 << 20, '\0'))};
  on.origin.when("/a", text_of(zeros));
  check_original(on.get("/a"), zeros);
  CHECK(on.scanner.scan_of("/a").body == std::string(4 << 20, '\0'));
}
