// What becomes of a response that can't be judged, and which responses a rule takes out.
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

constexpr std::size_t limit = 1000;

const std::string passing =
    "[policy]\nmax_scan_size = 1000\nmax_body_time = \"300ms\"\n"
    "on_oversize = \"pass\"\non_unscannable = \"pass\"\non_error = \"pass\"\n";
const std::string blocking =
    "[policy]\nmax_scan_size = 1000\nmax_body_time = \"300ms\"\n"
    "on_oversize = \"block\"\non_unscannable = \"block\"\non_error = \"block\"\n";

std::string form_name(framing form) {
  return form == framing::length ? "length" : form == framing::chunked ? "chunked" : "close";
}

// A page that explains itself, without an invitation to try again.
void check_final_page(const response& got, const access_line& line, const std::string& reason) {
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK_FALSE(has(got.fields(), "Retry-After"));
  CHECK(value(got.fields(), "Cache-Control") == "no-store");
  CHECK(got.body.find(line.text("request_id")) != std::string::npos);
  CHECK(got.body.find("Another try will not help") != std::string::npos);
  CHECK(line.number("status") == 403);
  CHECK(line.text("reason") == reason);
  CHECK(line.text("verdict") == "unscannable");
  CHECK(line.text("action") == "block");
  CHECK(line.text("unscanned") == "");
}

// Of a get() of that target.
void check_final_page(stage& on, const std::string& target, const std::string& reason) {
  const auto got = on.get(target);
  check_final_page(got, on.last_line(), reason);
}

void check_passed(const response& got, const std::string& body, const access_line& line,
                  const std::string& why) {
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, body) == "");
  CHECK(line.number("status") == 200);
  CHECK(line.text("action") == "pass");
  CHECK(line.text("unscanned") == why);
  CHECK(line.text("verdict") == "unscannable");
  CHECK(line.text("reason") == "complete");
}

// Sends something again and again, until the gateway has had enough or `enough` is told.
void drip(connection& to, const happening& enough) {
  to.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
  while (!enough.told()) {
    to.write(chunked("drop", {}).substr(0, 9));
    if (!to.is_quiet(20ms)) return to.close();  // the gateway has left
  }
  to.write("0\r\n\r\n");
}

bool some_whole_scan(stage& on) {
  const auto all = on.scanner.scans();
  return std::any_of(all.begin(), all.end(), [](const scan& one) { return one.whole; });
}

const std::string encrypted =
    adapted(page_head(), page_body(), {{"X-Infection-Found", "Type=2; Resolution=0; Threat=Zip;"}});

gate_settings impatient(const std::string& config) {
  return {.env = {{setting::scanner_idle, "400ms"},
                  {setting::scanner_after_body, "400ms"},
                  {setting::scanner_queue, "0"},
                  {"ICAPGATE_SCANNER__BREAKER", "false"}},
          .config = config};
}

void answer_nothing(exchange& with) {
  with.body();
  with.wire().read_to_end();
}

void answer_garbage(exchange& with) {
  with.body();
  with.answer("HTTP/1.1 204 No Content\r\n\r\n");
  with.wire().close();
}

}  // namespace

// --- sizes

TEST_CASE("policy: one byte over max_scan_size is refused by its Content-Length alone") {
  happening answered;
  stage on({.config = blocking});
  on.origin.when("/over", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 1001\r\n\r\n");
    answered.wait();
    to.close();
  });
  auto client = on.client();
  const auto got = client.get("/over");
  answered.tell();
  check_final_page(got, on.icapgate.line(1), "policy_oversize");
  CHECK(got.body.find("larger than") != std::string::npos);
  CHECK_FALSE(has(got.fields(), "ETag"));
  CHECK(on.scanner.scans().empty());
  CHECK(unscanned(on, "oversize") == 0);
  CHECK(metric(on, "transactions_total{reason=\"policy_oversize\"}") == 1);

  for (const auto size : {limit - 1, limit}) {
    const auto target = "/" + std::to_string(size);
    on.origin.when(target, {.body = noise(size)});
    const auto fits = client.get(target);
    CHECK(fits.status == 200);
    CHECK(difference(fits.body, noise(size)) == "");
    CHECK(on.scanner.scan_of(target).whole);
  }
}

TEST_CASE("policy: one byte over max_scan_size is refused where no length was told") {
  stage on({.config = blocking});
  for (const auto form : {framing::chunked, framing::close}) {
    for (const auto size : {limit - 1, limit, limit + 1, std::size_t{3'000'000}}) {
      const auto target = "/" + form_name(form) + "/" + std::to_string(size);
      INFO(target);
      on.origin.when(target, {.body = noise(size), .form = form});
      const auto got = on.get(target);
      if (size > limit) {
        check_final_page(got, on.last_line(), "policy_oversize");
        CHECK(got.body.find("larger than") != std::string::npos);
        continue;
      }
      CHECK(got.status == 200);
      CHECK(difference(got.body, noise(size)) == "");
      CHECK(on.scanner.scan_of(target).whole);
      on.scanner.forget_scans();
    }
  }
  CHECK_FALSE(some_whole_scan(on));
  CHECK(unscanned(on, "oversize") == 0);
}

TEST_CASE("policy: on_oversize = pass delivers the whole, and tells and counts it") {
  stage on({.config = passing});
  std::vector<response> all;
  std::vector<std::size_t> sizes;
  int passed = 0;
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    for (const auto size : {limit, limit + 1, std::size_t{3'000'000}}) {
      const auto target = "/" + form_name(form) + "/" + std::to_string(size);
      INFO(target);
      on.origin.when(target, {.fields = {{"ETag", "\"1\""}}, .body = noise(size), .form = form});
      on.scanner.forget_scans();
      all.push_back(on.get(target));
      sizes.push_back(size);
      CHECK(value(all.back().fields(), "ETag") == "\"1\"");
      CHECK(some_whole_scan(on) == (size == limit));
      if (size > limit) CHECK(unscanned(on, "oversize") == ++passed);
    }
  }
  const auto lines = on.icapgate.lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (sizes[i] > limit) {
      check_passed(all[i], noise(sizes[i]), lines[i], "oversize");
    } else {
      CHECK(difference(all[i].body, noise(sizes[i])) == "");
      CHECK(lines[i].text("action") == "deliver");
    }
  }
}

TEST_CASE("policy: an oversize body that passes is still cut where the origin cut it") {
  stage on({.config = passing});
  on.origin.when("/a", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
             chunked(noise(5000)).substr(0, 5000));
    to.close();
  });
  on.origin.when("/b", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + noise(4999));
    to.close();
  });
  for (const auto target : {"/a", "/b"}) {
    INFO(target);
    CHECK_FALSE(on.get(target).whole());
    CHECK(on.last_line().text("reason") == "origin_body_eof");
  }
}

// --- time

TEST_CASE("policy: a body without a length that outlives max_body_time is refused") {
  happening never;
  stage on({.config = blocking});
  on.origin.when("/drips", [&](connection& to, const origin_request&) { drip(to, never); });
  const auto got = on.get("/drips");
  check_final_page(got, on.last_line(), "policy_unscannable");
  CHECK(got.body.find("drop") == std::string::npos);
  CHECK_FALSE(some_whole_scan(on));
}

TEST_CASE("policy: max_body_time does not wait for another byte") {
  stage on({.config = blocking});
  on.origin.when("/pauses", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndrop\r\n");
    to.read_to_end();
    to.close();
  });
  check_final_page(on, "/pauses", "policy_unscannable");
}

TEST_CASE("policy: a body that outlives max_body_time goes on to the client by on_unscannable") {
  happening enough;
  stage on({.config = passing});
  on.origin.when("/drips", [&](connection& to, const origin_request&) { drip(to, enough); });
  auto client = on.client();
  client.send("GET", "/drips");
  CHECK(client.wire().read_until("drop").find("200 OK") != std::string::npos);
  enough.tell();
  client.wire().read_until("0\r\n\r\n");
  const auto line = on.icapgate.line();
  CHECK(line.text("action") == "pass");
  CHECK(line.text("unscanned") == "unscannable");
  CHECK(line.text("reason") == "complete");
  CHECK(unscanned(on, "unscannable") == 1);
}

TEST_CASE("policy: a body with a length may take longer than max_body_time") {
  happening client_waited;
  stage on({.config = blocking});
  on.origin.when("/slow", [&](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow");
    client_waited.wait();
    to.write("body");
  });
  auto client = on.client();
  client.send("GET", "/slow");
  CHECK(client.wire().is_quiet(600ms));
  client_waited.tell();
  CHECK(client.receive().body == "slowbody");
}

// --- the scanner's word that it could not look into it

TEST_CASE("policy: what the scanner calls unscannable is blocked or passed by on_unscannable") {
  const response_text secret = {.fields = {{"ETag", "\"1\""}}, .body = "an encrypted archive"};
  {
    stage on({.config = blocking});
    on.origin.when("/zip", secret);
    on.scanner.always(encrypted);
    const auto got = on.get("/zip");
    CHECK(got.status == 403);
    CHECK(got.body == page_body());
    CHECK_FALSE(has(got.fields(), "ETag"));
    const auto line = on.last_line();
    CHECK(line.text("verdict") == "unscannable");
    CHECK(line.text("action") == "block");
    CHECK(unscanned(on, "unscannable") == 0);
  }
  {
    stage on({.config = passing});
    on.origin.when("/zip", secret);
    on.scanner.always(encrypted);
    const auto got = on.get("/zip");
    check_passed(got, secret.body, on.last_line(), "unscannable");
    CHECK(value(got.fields(), "ETag") == "\"1\"");
    CHECK(unscanned(on, "unscannable") == 1);
  }
}

TEST_CASE("policy: what is unscannable without a page of the scanner's gets ours") {
  stage on({.config = blocking});
  on.origin.when("/zip", {.body = "an encrypted archive"});
  on.scanner.always(
      icap_status("204 Unmodified", {{"X-Infection-Found", "Type=2; Resolution=0; Threat=Zip;"}}));
  const auto got = on.get("/zip");
  CHECK(got.status == 403);
  CHECK(got.body.find("could not be checked") != std::string::npos);
  CHECK(got.body.find("encrypted archive") == std::string::npos);
  CHECK(on.last_line().text("verdict") == "unscannable");
}

// --- trouble with the scanners

TEST_CASE("policy: on_error says what trouble with every scanner comes to") {
  struct {
    std::string config;
    bool fallback, passes;
  } const all[] = {{blocking, false, false}, {passing, false, true}, {blocking, true, true}};
  const std::vector<std::string> reasons = {"icap_answer_timeout", "icap_answer_invalid", "icap_"};
  for (const auto& one : all) {
    INFO(one.config << "fallback " << one.fallback);
    auto settings = impatient(one.config);
    settings.fallback = one.fallback;
    stage on(settings);
    on.origin.when("/a", {.body = "the origin's body"});
    std::vector<response> got;
    on.scanner.play(answer_nothing);
    got.push_back(on.get("/a"));
    on.scanner.play(answer_garbage);
    got.push_back(on.get("/a"));
    on.scanner.stop();
    got.push_back(on.get("/a"));
    CHECK(unscanned(on, "on_error") == (one.passes ? 3 : 0));
    const auto lines = on.icapgate.lines(got.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      INFO(reasons[i]);
      CHECK(lines[i].text("verdict") == "error");
      CHECK(lines[i].text("reason").starts_with(reasons[i]));
      CHECK(lines[i].text("action") == (one.passes ? "fallback" : "fail"));
      CHECK(lines[i].text("unscanned") == (one.passes ? "on_error" : ""));
      if (!one.passes) check_refusal(got[i], lines[i]);
      CHECK((got[i].status == 200) == one.passes);
      CHECK((got[i].body == "the origin's body") == one.passes);
    }
  }
}

TEST_CASE("policy: a rule that names on_error is stronger than debug_fallback") {
  stage on({.fallback = true,
            .config = "[[policy.rule]]\nreason = \"never unscanned\"\npath = \"/strict/*\"\n"
                      "on_error = \"block\"\n"
                      "[[policy.rule]]\nreason = \"says nothing of it\"\npath = \"/other/*\"\n"
                      "max_scan_size = 5000\n"});
  for (const auto target : {"/strict/a", "/other/a", "/a"}) on.origin.when(target, {.body = "a"});
  on.scanner.play(answer_garbage);
  check_refusal(on, "/strict/a");
  CHECK(on.last_line().text("rule") == "never unscanned");
  CHECK(on.get("/other/a").status == 200);
  CHECK(on.last_line().text("rule") == "says nothing of it");
  CHECK(on.get("/a").status == 200);
  CHECK(on.last_line().text("rule") == "");
  CHECK(unscanned(on, "on_error") == 2);
}

TEST_CASE("policy: no pass delivers what was detected") {
  stage on({.fallback = true, .config = passing});
  on.origin.when("/virus", {.body = "a harmful body"});
  const auto whole = block_page();
  const auto bare =
      "ICAP/1.0 200 OK\r\nISTag: \"play-1\"\r\nX-Infection-Found: " + std::string(infection) +
      "\r\nEncapsulated: null-body=0\r\n\r\n";
  for (const auto& answer :
       {whole, bare, whole.substr(0, whole.size() - 9),
        icap_status("500 Error", {{"X-Infection-Found", std::string(infection)}})}) {
    INFO(answer);
    on.scanner.play([&](exchange& with) {
      with.body();
      with.answer(answer);
      with.wire().close();
    });
    const auto got = on.get("/virus");
    CHECK(got.status == 403);
    CHECK(got.body.find("harmful body") == std::string::npos);
    const auto line = on.last_line();
    CHECK(line.text("verdict") == "blocked");
    CHECK(line.text("action") == "block");
    CHECK(line.text("unscanned") == "");
  }
}

TEST_CASE("policy: no pass makes up for trouble with the origin") {
  stage on({.fallback = true, .config = passing});
  on.origin.when("/cut", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + noise(499));
    to.close();
  });
  on.origin.when("/cut-chunk", [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
    to.close();
  });
  for (const auto target : {"/cut", "/cut-chunk"}) {
    INFO(target);
    const auto got = on.get(target);
    CHECK(got.status == 502);
    CHECK(on.last_line().text("reason") == "origin_body_eof");
    CHECK(on.last_line().text("action") == "fail");
  }
  on.origin.stop();
  CHECK(on.get("/cut").status == 502);
  CHECK_FALSE(some_whole_scan(on));
}

TEST_CASE("policy: no pass makes up for a full spool") {
  stage on({.fallback = true,
            .config =
                "[policy]\non_oversize = \"pass\"\non_unscannable = \"pass\"\n"
                "on_error = \"pass\"\n"
                "[policy.spool]\ntotal_memory = \"1MiB\"\ntotal_disk = \"0\"\nwait = \"0\"\n"});
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    const auto target = "/" + form_name(form);
    INFO(target);
    on.origin.when(target, {.body = noise(3'000'000), .form = form});
    const auto got = on.get(target);
    CHECK(got.status == 503);
    CHECK(has(got.fields(), "Retry-After"));
    CHECK(on.last_line().text("reason") == "spool_full");
    CHECK(on.last_line().text("action") == "fail");
    CHECK(on.last_line().text("unscanned") == "");
  }
}

// --- rules

namespace {

const std::string one_rule_each = R"(
[[policy.rule]]
reason = "by method"
method = "PUT"
mode = "off"
[[policy.rule]]
reason = "by path"
path = ["/static/*", "/exact"]
mode = "off"
[[policy.rule]]
reason = "by host"
host = "*.cdn.example"
mode = "off"
[[policy.rule]]
reason = "by status"
status = 404
mode = "off"
[[policy.rule]]
reason = "by class"
status = "5xx"
mode = "off"
[[policy.rule]]
reason = "by type"
media_type = ["image/*", "video/mp4"]
mode = "off"
[[policy.rule]]
reason = "by size"
min_size = 1000
max_size = 2000
mode = "off"
)";

struct rule_play {
  std::string target;
  response_text text;
  std::string rule;  // empty: none holds, and it is scanned
  std::string method = "GET";
  field_list more = {};
};

void play_rule(stage& on, http_client& client, const rule_play& play) {
  INFO(play.method << " " << play.target << " " << play.text.status << " "
                   << (play.more.empty() ? "" : play.more[0].value));
  on.origin.when(play.target, play.text);
  on.scanner.forget_scans();
  const auto got = client.request(play.method, play.target, play.more);
  CHECK(std::to_string(got.status) == play.text.status.substr(0, 3));
  CHECK(difference(got.body, play.text.body) == "");
  CHECK(on.scanner.scans().empty() == (play.rule != ""));
}

void check_rules(stage& on, const std::vector<rule_play>& plays) {
  auto client = on.client();
  for (const auto& play : plays) play_rule(on, client, play);
  const auto lines = on.icapgate.lines(plays.size());
  for (std::size_t i = 0; i < plays.size(); ++i) {
    const auto& rule = plays[i].rule;
    INFO(i << ": " << plays[i].target);
    CHECK(lines[i].text("rule") == rule);
    CHECK(lines[i].text("action") == (rule == "" ? "deliver" : "pass"));
    CHECK(lines[i].text("unscanned") == (rule == "" ? "" : "rule"));
    CHECK(lines[i].text("verdict") == (rule == "" ? "clean" : "skipped"));
  }
}

response_text of_type(const std::string& type) {
  return {.fields = {{"Content-Type", type}}, .body = "a body"};
}

}  // namespace

TEST_CASE("policy: each condition of a rule holds for what it names and for nothing beside it") {
  const response_text plain = {.body = "a body"};
  const std::vector<rule_play> plays = {
      {"/m", plain, "by method", "PUT"},
      {"/m", plain, "", "POST"},
      {"/static/a.css", plain, "by path"},
      {"/static/", plain, "by path"},
      {"/static/a/b/c?x=%2F..", plain, "by path"},
      {"/static/with%20blank", plain, "by path"},
      {"/exact", plain, "by path"},
      {"/exact?q=1", plain, "by path"},
      {"/exactly", plain, ""},
      {"/exact/", plain, ""},
      {"/static", plain, ""},
      {"/Static/a.css", plain, ""},
      {"/a/static/a.css", plain, ""},
      {"/?/static/a.css", plain, ""},
      {"/h", plain, "by host", "GET", {{"Host", "a.cdn.example"}}},
      {"/h", plain, "by host", "GET", {{"Host", "A.CDN.Example:8080"}}},
      {"/h", plain, "", "GET", {{"Host", "cdn.example"}}},
      {"/h", plain, "", "GET", {{"Host", "a.cdn.example.evil.example"}}},
      {"/s", {.status = "404 Not Found", .body = "no"}, "by status"},
      {"/s", {.status = "403 Forbidden", .body = "no"}, ""},
      {"/s", {.status = "405 Not Allowed", .body = "no"}, ""},
      {"/s", {.status = "499 Odd", .body = "no"}, ""},
      {"/s", {.status = "500 Oh", .body = "no"}, "by class"},
      {"/s", {.status = "599 Oh", .body = "no"}, "by class"},
      {"/t", of_type("image/png"), "by type"},
      {"/t", of_type("IMAGE/Jpeg; q=\"text/html\""), "by type"},
      {"/t", of_type("video/mp4"), "by type"},
      {"/t", of_type("video/mpeg"), ""},
      {"/t", of_type("text/html; x=image/png"), ""},
      {"/t", of_type("image"), ""},
      {"/t", of_type("image/png, text/html"), ""},
      {"/t",
       {.fields = {{"Content-Type", "image/png"}, {"Content-Type", "image/png"}}, .body = "a body"},
       ""},
      {"/z", {.body = noise(999)}, ""},
      {"/z", {.body = noise(1000)}, "by size"},
      {"/z", {.body = noise(2000)}, "by size"},
      {"/z", {.body = noise(2001)}, ""},
      {"/z", {.body = noise(1500), .form = framing::chunked}, ""},
  };
  stage on({.config = one_rule_each});
  check_rules(on, plays);
  std::map<std::string, int> hits;
  int all_hits = 0;
  for (const auto& play : plays) {
    if (play.rule.empty()) continue;
    ++hits[play.rule];
    ++all_hits;
  }
  CHECK(hits.size() == 7);
  for (const auto& [rule, count] : hits) CHECK(rule_hits(on, rule) == count);
  CHECK(unscanned(on, "rule") == all_hits);
}

TEST_CASE("policy: all conditions of a rule have to hold") {
  stage on({.config = "[[policy.rule]]\nreason = \"small pictures\"\npath = \"/img/*\"\n"
                      "media_type = \"image/png\"\nmax_size = 100\nmode = \"off\"\n"});
  const auto large = response_text{.fields = {{"Content-Type", "image/png"}}, .body = noise(101)};
  const std::vector<rule_play> plays = {{"/img/a", of_type("image/png"), "small pictures"},
                                        {"/img/a", of_type("image/gif"), ""},
                                        {"/imp/a", of_type("image/png"), ""},
                                        {"/img/a", large, ""}};
  check_rules(on, plays);
}

TEST_CASE("policy: the first rule that holds decides, even against a later one") {
  const std::string narrow =
      "[[policy.rule]]\nreason = \"narrow\"\npath = \"/a/b/*\"\nmax_scan_size = 5\n";
  const std::string wide = "[[policy.rule]]\nreason = \"wide\"\npath = \"/a/*\"\nmode = \"off\"\n";
  {
    stage on({.config = narrow + wide});
    on.origin.when("/a/b/c", {.body = "six by"});
    CHECK(on.get("/a/b/c").status == 403);
    CHECK(on.last_line().text("rule") == "narrow");
    CHECK(on.last_line().text("reason") == "policy_oversize");
    CHECK(rule_hits(on, "narrow") == 1);
    CHECK(rule_hits(on, "wide") == 0);
  }
  {
    stage on({.config = wide + narrow});
    on.origin.when("/a/b/c", {.body = "six by"});
    CHECK(on.get("/a/b/c").status == 200);
    CHECK(on.last_line().text("rule") == "wide");
    CHECK(rule_hits(on, "narrow") == 0);
    CHECK(rule_hits(on, "wide") == 1);
  }
}

TEST_CASE("policy: no way of writing a path tricks a response past the scan") {
  stage on({.config = one_rule_each});
  on.scanner.always(block_page());
  for (const std::string target :
       {"/static/%2e%2e/virus", "/static/..%2fvirus", "/static/../virus", "/static/./virus",
        "/static//virus", "//static/virus", "/static/virus;x", "/static;x/virus",
        "/static/a%2Fvirus", "/%73tatic/virus", "/static/%2E%2E/virus", "/static/.../virus",
        "/static/%5c..%5cvirus", "/static/%00virus", "/static/%252e%252e/virus",
        "/static/v%C3%ADrus", "/static/virus%", "/x/../static/virus"}) {
    INFO(target);
    on.origin.when(target, {.body = "a harmful body"});
    const auto got = on.get(target);
    CHECK(got.status >= 400);
    CHECK(got.body.find("harmful") == std::string::npos);
  }
  for (const auto& line : on.icapgate.lines(on.asked)) CHECK(line.text("rule") == "");
  CHECK(unscanned(on, "rule") == 0);
}

TEST_CASE("policy: a rule that asks for something of the response changes nothing in the request") {
  stage on({.config = "[[policy.rule]]\nreason = \"by path\"\npath = \"/free/*\"\nmode = \"off\"\n"
                      "[[policy.rule]]\nreason = \"by type\"\npath = \"/img/*\"\n"
                      "media_type = \"image/*\"\nmode = \"off\"\n"});
  const field_list wishes = {{"Range", "bytes=0-3"}, {"Accept-Encoding", "gzip"}};
  on.origin.when("/img/a", of_type("image/png"));
  on.origin.when("/free/a", of_type("image/png"));
  CHECK(on.get("/img/a", wishes).status == 200);
  CHECK(on.last_line().text("rule") == "by type");
  const auto strict = on.origin.request("/img/a");
  CHECK_FALSE(has(strict.head.fields, "Range"));
  CHECK(value(strict.head.fields, "Accept-Encoding") == "identity");

  CHECK(on.get("/free/a", wishes).status == 200);
  const auto relaxed = on.origin.request("/free/a");
  CHECK(value(relaxed.head.fields, "Range") == "bytes=0-3");
  CHECK(value(relaxed.head.fields, "Accept-Encoding") == "gzip");
}
