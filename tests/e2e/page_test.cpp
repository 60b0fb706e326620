// What a client sees instead of a response, and which of the origin's fields outlive a change of
// its body.
#include "kit/numbers.hpp"

#include "catch.hpp"

#include <boost/json/parse.hpp>

using namespace e2e;

namespace {

const field_list of_origin = {{"ETag", "\"origin\""},
                              {"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"},
                              {"Content-Disposition", "attachment; filename=virus.exe"},
                              {"Set-Cookie", "session=1"},
                              {"Expires", "Sat, 29 Oct 2044 19:43:31 GMT"},
                              {"Accept-Ranges", "bytes"},
                              {"Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="},
                              {"Digest", "sha-256=abc"},
                              {"Content-Digest", "sha-256=:abc=:"},
                              {"Repr-Digest", "sha-256=:abc=:"}};

const std::string bare_detection =
    "ICAP/1.0 200 OK\r\nISTag: \"play-1\"\r\nX-Infection-Found: " + std::string(infection) +
    "\r\nEncapsulated: null-body=0\r\n\r\n";

// How a response can come to be blocked with a page of ours.
struct blocked_play {
  std::string target;
  response_text text;
  std::string cause;
};

std::vector<blocked_play> blocked_plays() {
  auto coded = of_origin;
  coded.push_back({"Content-Encoding", "made-up"});
  return {
      {"/harmful", {.fields = of_origin, .body = "a harmful body"}, "harmful"},
      {"/large", {.fields = of_origin, .body = noise(2000)}, "oversize"},
      {"/chunks", {.fields = of_origin, .body = noise(2000), .form = framing::chunked}, "oversize"},
      {"/coded", {.fields = coded, .body = "an odd body"}, ""}};
}

stage& set_up(stage& on) {
  for (const auto& play : blocked_plays()) on.origin.when(play.target, play.text);
  on.scanner.always(bare_detection);
  return on;
}

gate_settings with_policy(const std::string& more) {
  return {.config = "[policy]\nmax_scan_size = 1000\n" + more};
}

void check_nothing_of_origin(const response& got) {
  for (const auto& one : of_origin) {
    INFO(one.name);
    CHECK_FALSE(has(got.fields(), one.name));
  }
  CHECK_FALSE(has(got.fields(), "Content-Encoding"));
}

void check_never_kept(const response& got) {
  CHECK(values(got.fields(), "Cache-Control") == std::vector<std::string>{"no-store"});
  CHECK(values(got.fields(), "X-Content-Type-Options") == std::vector<std::string>{"nosniff"});
}

}  // namespace

TEST_CASE("page: browsers get HTML with the request id, and nothing of the origin's response") {
  stage on(with_policy(""));
  set_up(on);
  std::vector<response> all;
  for (const auto& play : blocked_plays()) {
    for (const std::string accept :
         {"", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
          "application/json;q=0.1, text/html"}) {
      INFO(play.target << " Accept: " << accept);
      const auto more = accept.empty() ? field_list() : field_list{{"Accept", accept}};
      const auto& got = all.emplace_back(on.get(play.target, more));
      CHECK(got.status == 403);
      CHECK(got.whole());
      CHECK(value(got.fields(), "Content-Type") == "text/html; charset=utf-8");
      check_never_kept(got);
      check_nothing_of_origin(got);
      CHECK(got.body.starts_with("<!doctype html>"));
      CHECK(got.body.find("was not delivered") != std::string::npos);
    }
  }
  const auto lines = on.icapgate.lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto id = lines[i].text("request_id");
    CHECK(id.size() > 4);
    CHECK(value(all[i].fields(), "X-Request-Id") == id);
    CHECK(all[i].body.find(id) != std::string::npos);
  }
}

TEST_CASE("page: programs get a problem in JSON that says the same") {
  stage on(with_policy(""));
  set_up(on);
  std::vector<std::string> ids;
  for (const auto& play : blocked_plays()) {
    for (const std::string accept :
         {"application/json", "application/problem+json", "text/html;q=0.5, application/json"}) {
      INFO(play.target << " Accept: " << accept);
      const auto got = on.get(play.target, {{"Accept", accept}});
      CHECK(got.status == 403);
      CHECK(value(got.fields(), "Content-Type") == "application/problem+json");
      check_never_kept(got);
      check_nothing_of_origin(got);
      const auto problem = boost::json::parse(got.body).as_object();
      CHECK(problem.at("status").to_number<int>() == 403);
      CHECK(problem.at("type") == "about:blank");
      CHECK(problem.at("title") == "Forbidden");
      CHECK(problem.at("detail").as_string().size() > 10);
      if (!play.cause.empty()) CHECK(std::string(problem.at("cause").as_string()) == play.cause);
      ids.emplace_back(problem.at("request_id").as_string());
    }
  }
  const auto lines = on.icapgate.lines(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) CHECK(lines[i].text("request_id") == ids[i]);
}

TEST_CASE("page: the scanner's page is relayed, or ours is sent in its place") {
  const response_text harmful = {.fields = of_origin, .body = "a harmful body"};
  stage its({.config = "[policy.block_page]\nsource = \"scanner\"\nstatus = 451\n"});
  stage ours({.config = "[policy.block_page]\nsource = \"own\"\nstatus = 451\n"});
  for (auto* on : {&its, &ours}) {
    on->origin.when("/virus", harmful);
    on->scanner.always(block_page());
    const auto got = on->get("/virus");
    check_never_kept(got);
    check_nothing_of_origin(got);
    CHECK(on->last_line().text("reason") == "blocked");
    if (on == &its) {
      CHECK(got.status == 403);
      CHECK(got.body == page_body());
      CHECK(value(got.fields(), "Content-Language") == "en");
    } else {
      CHECK(got.status == 451);
      CHECK(got.body.find("VIRUS FOUND") == std::string::npos);
      CHECK(got.body.find(on->last_line().text("request_id")) != std::string::npos);
      CHECK_FALSE(has(got.fields(), "Content-Language"));
    }
    CHECK(on->last_line().number("status") == got.status);
  }
}

TEST_CASE("page: our block pages have the status that the settings name") {
  stage on(with_policy("block_page = { status = 451 }\n"));
  set_up(on);
  for (const auto& play : blocked_plays()) {
    INFO(play.target);
    const auto got = on.get(play.target, {{"Accept", "application/json"}});
    CHECK(got.status == 451);
    CHECK(boost::json::parse(got.body).as_object().at("status").to_number<int>() == 451);
    CHECK(on.last_line().number("status") == 451);
  }
}

TEST_CASE("page: a rule may have block pages of another kind") {
  stage on({.config = "[[policy.rule]]\nreason = \"legal\"\npath = \"/legal/*\"\n"
                      "block_page = { source = \"own\", status = 451 }\n"});
  on.scanner.always(block_page());
  on.origin.when("/legal/a", {.body = "a harmful body"});
  on.origin.when("/a", {.body = "a harmful body"});
  CHECK(on.get("/legal/a").status == 451);
  CHECK(on.last_line().text("rule") == "legal");
  CHECK(on.get("/a").body == page_body());
}

TEST_CASE("page: a template is filled in, and what a client wrote is escaped") {
  const temporary_folder folder;
  const auto file = folder.path() / "page.html";
  write_file(file,
             "<p>{{status}}|{{request_id}}|{{title}}|{{host}}|{{unknown}}|{{ status }}</p>\n");
  stage on(with_policy("block_page = { template = \"" + file.string() + "\" }\n"));
  set_up(on);
  const auto get = [&](const std::string& target, const std::string& host) {
    return on.get(target, {{"Host", host}});
  };
  for (const auto target : {"/harmful", "/large"}) {
    const auto got = get(target, "a&b'{{status}}.example");
    const auto line = on.last_line();
    if (got.status == 403) {
      CHECK(got.body.find("|a&amp;b&#39;{{status}}.example|") != std::string::npos);
    } else {
      CHECK(got.status == 400);
    }
    const auto plain = get(target, "a&b'c.example");
    CHECK(plain.status == 403);
    CHECK(value(plain.fields(), "Content-Type") == "text/html; charset=utf-8");
    check_never_kept(plain);
    const auto id = on.last_line().text("request_id");
    CHECK(plain.body.starts_with("<p>403|" + id + "|"));
    CHECK(plain.body.ends_with("|a&amp;b&#39;c.example|{{unknown}}|{{ status }}</p>\n"));
  }
  for (const std::string hostile : {"<script>alert(1)</script>", "a\"onload=\"x"}) {
    INFO(hostile);
    const auto got = get("/harmful", hostile);
    CHECK(got.status >= 400);
    CHECK(got.body.find(hostile) == std::string::npos);
  }
  // A program is not served with HTML, and an error is no block page.
  CHECK(boost::json::parse(on.get("/large", {{"Accept", "application/json"}}).body).is_object());
  on.origin.stop();
  const auto error = on.get("/harmful");
  CHECK(error.status == 502);
  CHECK(error.body.find("{{unknown}}") == std::string::npos);
}

TEST_CASE("page: HEAD gets a refusal's head alone, and the connection stays usable") {
  stage on;
  on.origin.when("/a", {.body = "a page"});
  auto client = on.client();
  const field_list upgrade = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}};
  const auto head = client.request("HEAD", "/a", upgrade);
  const auto whole = client.get("/a", upgrade);
  CHECK(head.status == 501);
  CHECK(whole.status == 501);
  CHECK(value(head.fields(), "Content-Length") == value(whole.fields(), "Content-Length"));
  check_never_kept(head);
  CHECK(value(head.fields(), "X-Request-Id") == on.icapgate.line(1).text("request_id"));
  CHECK(client.get("/a").body == "a page");
}

TEST_CASE("page: HEAD of something too large to be scanned is answered by the origin") {
  stage on(with_policy(""));
  on.origin.when("/large", {.fields = {{"ETag", "\"1\""}}, .body = noise(2000)});
  auto client = on.client();
  const auto got = client.request("HEAD", "/large");
  CHECK(got.status == 200);
  CHECK(value(got.fields(), "ETag") == "\"1\"");
  CHECK(client.get("/large").status == 403);
}

TEST_CASE("page: a scanner's page loses what it copied from the origin's response") {
  stage on;
  on.origin.when("/virus", {.fields = of_origin, .body = "a harmful body"});
  auto copied = of_origin;
  copied.push_back({"Cache-Control", "public, max-age=31536000"});
  on.scanner.always(adapted("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n" +
                                to_wire(copied) + "X-Page: yes\r\n\r\n",
                            "the scanner's page", {{"X-Infection-Found", std::string(infection)}}));
  const auto got = on.get("/virus");
  CHECK(got.status == 403);
  CHECK(got.body == "the scanner's page");
  CHECK(value(got.fields(), "X-Page") == "yes");
  CHECK(value(got.fields(), "Content-Type") == "text/html");
  check_never_kept(got);
  check_nothing_of_origin(got);
}

TEST_CASE("page: an adapted body loses the copied tags and sums, and keeps the scanner's own") {
  const field_list tells = {{"ETag", "\"origin\""},
                            {"Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="},
                            {"Digest", "sha-256=abc"},
                            {"Content-Digest", "sha-256=:abc=:"},
                            {"Repr-Digest", "sha-256=:abc=:"}};
  stage on;
  auto fields = tells;
  fields.push_back({"Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"});
  fields.push_back({"Set-Cookie", "a=1"});
  on.origin.when("/doc", {.fields = fields, .body = "a document with a macro"});
  const auto answer = [&](const field_list& head, const std::string& body) {
    on.scanner.always(
        adapted("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + to_wire(head) + "\r\n", body));
    return on.get("/doc");
  };

  const auto changed = answer(fields, "a clean document");
  CHECK(changed.body == "a clean document");
  for (const auto& one : tells) {
    INFO(one.name);
    CHECK_FALSE(has(changed.fields(), one.name));
  }
  CHECK(value(changed.fields(), "Last-Modified") == "Sat, 29 Oct 1994 19:43:31 GMT");
  CHECK(value(changed.fields(), "Set-Cookie") == "a=1");
  CHECK(on.last_line().text("verdict") == "adapted");

  auto anew = fields;
  for (auto& one : anew) one.value = one.name == "ETag" ? "\"mine\"" : one.value + "1";
  const auto recalculated = answer(anew, "a clean document");
  for (const auto& one : anew) CHECK(value(recalculated.fields(), one.name) == one.value);

  // Only the head was adapted: the sums still hold.
  auto more = fields;
  more.push_back({"X-Scanned", "yes"});
  const auto same = answer(more, "a document with a macro");
  CHECK(same.body == "a document with a macro");
  for (const auto& one : more) CHECK(value(same.fields(), one.name) == one.value);
}
