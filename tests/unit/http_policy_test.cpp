#include "http/policy.hpp"

#include "catch.hpp"

using namespace icapgate;
using http::action;
using http::body_framing;

namespace {

http::response_head response(unsigned status, body_framing framing) {
  http::response_head head;
  head.status = status;
  head.framing = framing;
  return head;
}

// The rules of one test and the base that is left when none decides.
struct settings {
  policy base;
  std::vector<rule> rules;

  rule& add(const std::string& reason) {
    rules.emplace_back().reason = reason;
    return rules.back();
  }

  std::string before_fetch(const http::request_head& request) const {
    const auto chosen = http::choose_policy(rules, base, request);
    return name_of(chosen);
  }

  std::string with(const http::request_head& request, const http::response_head& head) const {
    return name_of(http::choose_policy(rules, base, request, head));
  }

  std::string name_of(const http::chosen_policy& chosen) const {
    CHECK(chosen.settings == (chosen.by ? &chosen.by->effects : &base));
    return chosen.by ? chosen.by->reason : "base";
  }
};

http::request_head get(std::string_view target, std::string_view host = "app") {
  http::request_head head;
  head.method = "GET";
  head.origin_form = target;
  head.host = host;
  return head;
}

http::response_head of_size(std::uint64_t size) {
  auto head = response(200, body_framing::length);
  head.content_length = size;
  return head;
}

http::response_head of_types(std::initializer_list<std::string_view> types) {
  auto head = response(200, body_framing::chunked);
  for (auto t : types) head.fields.push_back({http::field_id::content_type, "Content-Type", t});
  return head;
}

bool path_fits(const std::string& pattern, std::string_view target) {
  settings s;
  s.add("r").paths = {pattern};
  return s.before_fetch(get(target)) == "r";
}

bool host_fits(const std::string& pattern, std::string_view host) {
  settings s;
  s.add("r").hosts = {pattern};
  return s.before_fetch(get("/", host)) == "r";
}

bool type_fits(const std::string& pattern, std::initializer_list<std::string_view> types) {
  settings s;
  s.add("r").media_types = {pattern};
  return s.with(get("/"), of_types(types)) == "r";
}

}  // namespace

TEST_CASE("policy: a verdict decides, with or without fallback") {
  for (const auto on_error : {remedy::block, remedy::pass}) {
    const policy settings{.on_error = on_error};
    CHECK(http::decide(icap::judgement{icap::verdict::clean, ""}, settings) == action::relay);
    CHECK(http::decide(icap::judgement{icap::verdict::adapted, ""}, settings) == action::adapt);
    CHECK(http::decide(icap::judgement{icap::verdict::blocked, "x"}, settings) == action::block);
  }
}

TEST_CASE("policy: fallback makes up for the scanner's trouble and for nobody else's") {
  const auto first = static_cast<std::size_t>(errc::icap_resolve_failed);
  const auto last = static_cast<std::size_t>(errc::icap_tls_certificate);
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const auto reason = static_cast<errc>(i);
    CAPTURE(describe(reason).token);
    const bool scanner = i >= first && i <= last;
    CHECK(http::is_scanner_trouble(reason) == scanner);
    CHECK(http::decide(reason, {.on_error = remedy::block}) == action::fail);
    CHECK(http::decide(reason, {.on_error = remedy::pass}) ==
          (scanner ? action::relay : action::fail));
  }
}

TEST_CASE("policy: without rules the base decides, before the fetch and after it") {
  const settings s;
  CHECK(s.before_fetch(get("/")) == "base");
  CHECK(s.with(get("/"), of_size(1)) == "base");
}

TEST_CASE("policy: the first rule whose conditions all hold decides") {
  settings s;
  s.add("a").paths = {"/a/*"};
  s.rules.back().methods = {"GET", "HEAD"};
  s.add("b").paths = {"/a/*", "/b"};
  s.add("rest");
  auto post = get("/a/x");
  post.method = "POST";
  for (const auto& [request, reason] : std::vector<std::pair<http::request_head, std::string>>{
           {get("/a/x"), "a"}, {post, "b"}, {get("/b"), "b"}, {get("/c"), "rest"}}) {
    CHECK(s.before_fetch(request) == reason);
    CHECK(s.with(request, of_size(1)) == reason);
  }
}

TEST_CASE("policy: before the fetch the base serves where the response has to be asked") {
  settings s;
  s.add("small").paths = {"/a/*"};
  s.rules.back().max_size = 10;
  s.add("a").paths = {"/a/*"};
  CHECK(s.before_fetch(get("/a/x")) == "base");
  CHECK(s.before_fetch(get("/b")) == "base");
  CHECK(s.with(get("/a/x"), of_size(10)) == "small");
  CHECK(s.with(get("/a/x"), of_size(11)) == "a");
  CHECK(s.with(get("/b"), of_size(10)) == "base");
}

TEST_CASE("policy: a method fits as it is written") {
  settings s;
  s.add("r").methods = {"GET"};
  auto request = get("/");
  CHECK(s.before_fetch(request) == "r");
  for (auto other : {"get", "HEAD", "GETS", "GE", ""}) {
    request.method = other;
    CHECK(s.before_fetch(request) == "base");
  }
}

TEST_CASE("policy: a path fits byte by byte, without the query") {
  CHECK(path_fits("/a", "/a"));
  CHECK(path_fits("/a", "/a?x=/b"));
  CHECK(path_fits("/a", "/a?"));
  CHECK(path_fits("/", "/"));
  CHECK(path_fits("/a/", "/a/"));
  CHECK(path_fits("/a%20b", "/a%20b"));
  CHECK(path_fits("/v1.2/*", "/v1.2/a-_~!$&'()*+,=:@z"));
  CHECK_FALSE(path_fits("/a", "/A"));
  CHECK_FALSE(path_fits("/a", "/a/"));
  CHECK_FALSE(path_fits("/a", "/ab"));
  CHECK_FALSE(path_fits("/a", "/b/a"));
  CHECK_FALSE(path_fits("/a?x", "/a?x"));
  CHECK_FALSE(path_fits("*.png", "/evil?.png"));
}

TEST_CASE("policy: a star is any text, also none") {
  CHECK(path_fits("*", "/a/b"));
  CHECK(path_fits("/a*", "/a"));
  CHECK(path_fits("/a/*", "/a/"));
  CHECK(path_fits("/a/*", "/a/b/c"));
  CHECK(path_fits("*.png", "/a/b.png"));
  CHECK(path_fits("/*/x/*.iso", "/a/b/x/c/d.iso.iso"));
  CHECK(path_fits("/**b*", "/aabab"));
  CHECK_FALSE(path_fits("/a/*", "/a"));
  CHECK_FALSE(path_fits("*.png", "/b.pngx"));
  CHECK_FALSE(path_fits("/*/x/*.iso", "/x/d.iso"));
  CHECK_FALSE(path_fits("*ab*ab*", "/aab"));
}

TEST_CASE("policy: a path that somebody could read in another way fits no pattern") {
  for (std::string_view trick : {"/s/../up/evil",
                                 "/s/..",
                                 "/s/.",
                                 "/s/./evil",
                                 "/s/.../evil",
                                 "/s//evil",
                                 "//s/evil",
                                 "/s/evil//",
                                 "/s/%2e%2e/up/evil",
                                 "/s/%2E%2e/up",
                                 "/s/..%2fup",
                                 "/s/%2fup",
                                 "/s/%5c..%5cup",
                                 "/s/\\..\\up",
                                 "/s/..;/up",
                                 "/s/;x=1/up",
                                 "/s/evil;.png",
                                 "/s/evil%3b.png",
                                 "/s/evil%00.png",
                                 "/s/%65vil",
                                 "/s/%zz",
                                 "/s/%",
                                 "/s/%2",
                                 "/s/%252e%252e/up",
                                 "/s/%c0%ae%c0%ae/up",
                                 "/s/%C3%A4",
                                 "/s/\xc3\xa4",
                                 "/s/a b",
                                 "/s/a#b",
                                 "/s/a|b",
                                 "s/a",
                                 "",
                                 "*"}) {
    CAPTURE(trick);
    for (const std::string pattern : {"*", "/s/*", "*.png"}) CHECK_FALSE(path_fits(pattern, trick));
    settings s;
    s.add("everywhere");
    CHECK(s.before_fetch(get(trick)) == "everywhere");
  }
  // In the query they are nobody's path.
  CHECK(path_fits("/s/*", "/s/a?b=/../%2e%00;//"));
}

TEST_CASE("policy: a host fits in any case, with any port and with the dot of the root") {
  CHECK(host_fits("a.example.com", "A.Example.COM"));
  CHECK(host_fits("a.example.com", "a.example.com:8080"));
  CHECK(host_fits("a.example.com", "a.example.com."));
  CHECK(host_fits("a.example.com", "a.example.com.:80"));
  CHECK(host_fits("a.example.com", "a.example.com:"));
  CHECK(host_fits("*.example.com", "x.y.example.com"));
  CHECK(host_fits("[2001:db8::1]", "[2001:DB8::1]:443"));
  CHECK(host_fits("10.0.0.*", "10.0.0.1"));
  CHECK_FALSE(host_fits("*.example.com", "example.com"));
  CHECK_FALSE(host_fits("*.example.com", "a.example.com.evil"));
  CHECK_FALSE(host_fits("a.example.com", "xa.example.com"));
  CHECK_FALSE(host_fits("a", "a.."));
  for (auto invalid : {"", ".", ":80", "a:b", "a:80:80", "u@a", "a/b", "[::1", "[]", "*", "a b"})
    CHECK_FALSE(host_fits("*", invalid));
}

TEST_CASE("policy: a status fits by its number or its class") {
  settings s;
  s.add("r").statuses = {404, 5};
  for (unsigned status : {404u, 500u, 599u})
    CHECK(s.with(get("/"), response(status, body_framing::chunked)) == "r");
  for (unsigned status : {200u, 400u, 403u, 405u, 499u, 600u, 999u, 5u})
    CHECK(s.with(get("/"), response(status, body_framing::chunked)) == "base");
}

TEST_CASE("policy: a media type fits in any case and without its parameters") {
  CHECK(type_fits("image/png", {"image/png"}));
  CHECK(type_fits("image/png", {"Image/PNG"}));
  CHECK(type_fits("text/html", {"text/html; charset=utf-8"}));
  CHECK(type_fits("text/html", {"text/html ;a=b;c"}));
  CHECK(type_fits("image/*", {"image/svg+xml"}));
  CHECK(type_fits("application/*+json", {"application/vnd.x+json"}));
  CHECK_FALSE(type_fits("image/png", {"image/pngx"}));
  CHECK_FALSE(type_fits("image/*", {"text/html; a=image/png"}));
}

TEST_CASE("policy: a media type that is missing, doubled or invalid fits nothing") {
  CHECK_FALSE(type_fits("*", {}));
  CHECK_FALSE(type_fits("image/*", {"image/png", "image/png"}));
  CHECK_FALSE(type_fits("*", {"image/png", "text/html"}));
  for (auto invalid : {"", "image", "image/", "/png", "image/png, text/html", "image/png text/html",
                       "image /png", "a/b/c", "*/*", "\"image/png\""})
    CHECK_FALSE(type_fits("*", {invalid}));
}

TEST_CASE("policy: a size fits within inclusive bounds, and only if it is known") {
  settings s;
  s.add("r").min_size = 10;
  s.rules.back().max_size = 20;
  for (std::uint64_t size : {10u, 11u, 20u}) CHECK(s.with(get("/"), of_size(size)) == "r");
  for (std::uint64_t size : {9u, 21u}) CHECK(s.with(get("/"), of_size(size)) == "base");
  CHECK(s.with(get("/"), of_size(~0ULL)) == "base");
  for (auto framing : {body_framing::none, body_framing::chunked, body_framing::until_close}) {
    auto head = of_size(15);
    head.framing = framing;
    CHECK(s.with(get("/"), head) == "base");
  }
  s.rules.back().max_size.reset();
  CHECK(s.with(get("/"), of_size(~0ULL)) == "r");
  s.rules.back().max_size = 0;
  s.rules.back().min_size.reset();
  CHECK(s.with(get("/"), of_size(0)) == "r");
  CHECK(s.with(get("/"), of_size(1)) == "base");
}

TEST_CASE("policy: each remedy passes only what it is for") {
  policy settings;
  const result<icap::judgement> unscannable = icap::judgement{icap::verdict::unscannable, ""};
  const result<icap::judgement> blocked = icap::judgement{icap::verdict::blocked, "x"};
  const result<icap::judgement> scanner = errc::icap_answer_timeout;
  const result<icap::judgement> origin = errc::origin_body_eof;
  CHECK(http::decide(unscannable, settings) == action::block);
  CHECK(http::decide(scanner, settings) == action::fail);
  settings.on_oversize = remedy::pass;
  CHECK(http::decide(unscannable, settings) == action::block);
  CHECK(http::decide(scanner, settings) == action::fail);
  settings.on_unscannable = remedy::pass;
  CHECK(http::decide(unscannable, settings) == action::relay);
  CHECK(http::decide(scanner, settings) == action::fail);
  settings.on_error = remedy::pass;
  CHECK(http::decide(scanner, settings) == action::relay);
  CHECK(http::decide(origin, settings) == action::fail);
  CHECK(http::decide(errc::spool_failed, settings) == action::fail);
  CHECK(http::decide(blocked, settings) == action::block);
  CHECK(http::decide(icap::judgement{icap::verdict::adapted, ""}, settings) == action::adapt);
  settings.on_unscannable = remedy::block;
  CHECK(http::decide(unscannable, settings) == action::block);
}
