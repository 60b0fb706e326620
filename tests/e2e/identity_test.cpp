// What a scanner is told about a transaction beside the messages, and how the gateway proves to it
// who it is.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>

using namespace e2e;

namespace {

// Aladdin's, RFC 7617 2.
constexpr auto basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
constexpr auto aladdin = "TG9jYWw6Ly9BbGFkZGlu";  // Local://Aladdin
constexpr auto loopback = "127.0.0.1";

constexpr auto tell = "ICAPGATE_SCANNER__TELL";
constexpr auto credentials = "ICAPGATE_SCANNER__CREDENTIALS";
constexpr auto user = "ICAPGATE_SCANNER__USER";
constexpr auto password_path = "ICAPGATE_SCANNER__PASSWORD_PATH";

// scanner:s3cret-word
constexpr std::string_view password = "s3cret-word";
constexpr std::string_view encoded = "c2Nhbm5lcjpzM2NyZXQtd29yZA==";

using texts = std::vector<std::string>;

std::string asking_for_all() {
  return options_answer({{"X-Include", "X-Server-IP, x-authenticated-user"}});
}

scan scanned(stage& on, const field_list& more, const response_text& text = {.body = "a body"}) {
  on.origin.when("/scanned", text);
  on.get("/scanned", more);
  return on.scanner.scan_of("/scanned");
}

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

// The fields of an ICAP head that RFC 3507 4.3 knows, of those that the gateway has a use for.
bool is_of_the_rfc(const std::string& name) {
  static const texts known = {"host", "allow", "preview", "encapsulated", "connection",
                              // 4.4.2, 7.1
                              "proxy-authorization", "proxy-authenticate"};
  return std::ranges::find(known, lower(name)) != known.end();
}

void check_names(const std::vector<scan>& all) {
  REQUIRE_FALSE(all.empty());
  for (const auto& one : all)
    for (const auto& f : one.icap.fields) {
      INFO(f.name);
      CHECK((is_of_the_rfc(f.name) || f.name.starts_with("X-")));
    }
}

// The scanner's user and password, as settings.
struct own_credentials {
  explicit own_credentials(std::string_view text) { write_file(file, text); }
  std::map<std::string, std::string> settings() const {
    return {{user, "scanner"}, {password_path, file}, {"ICAPGATE_LOG_LEVEL", "trace"}};
  }
  temporary_folder folder;
  std::filesystem::path file = folder.path() / "password";
};

icap_service guarded() {
  return {.authorization = "Basic " + std::string(encoded)};
}

}  // namespace

TEST_CASE("identity: a scanner is told what its X-Include asks for, and never a password") {
  stage on({}, {.options = asking_for_all()});
  on.learn_options();
  const auto seen = scanned(on, {{"Authorization", basic}});
  CHECK(values(seen.icap.fields, "X-Client-IP") == texts{loopback});
  CHECK(values(seen.icap.fields, "X-Server-IP") == texts{loopback});
  CHECK(values(seen.icap.fields, "X-Authenticated-User") == texts{aladdin});
  for (const auto& wire : {seen.icap.wire, seen.request.wire, seen.response.wire}) {
    CHECK_FALSE(holds(wire, "open sesame"));
    CHECK_FALSE(holds(wire, basic));
  }
}

TEST_CASE("identity: X-Request-Id is that of the access line") {
  stage on;
  const auto seen = scanned(on, {{"X-Request-Id", "the-client-s-own"}});
  CHECK(values(seen.icap.fields, "X-Request-Id") == texts{on.last_line().text("request_id")});
}

TEST_CASE("identity: a scanner that asks for nothing is told nothing") {
  const std::string asks_nothing =
      "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nISTag: \"play-1\"\r\nAllow: 204\r\nPreview: 1\r\n"
      "Encapsulated: null-body=0\r\n\r\n";
  stage on({}, {.options = asks_nothing});
  scan seen;
  // The preview shows that its options are known.
  wait_until("a preview", [&] {
    seen = scanned(on, {{"Authorization", basic}});
    return seen.preview.has_value();
  });
  for (const auto* name : {"X-Client-IP", "X-Server-IP", "X-Authenticated-User"})
    CHECK_FALSE(has(seen.icap.fields, name));
  CHECK(has(seen.icap.fields, "X-Request-Id"));
}

TEST_CASE("identity: the settings may tell what was not asked for") {
  stage on({.env = {{tell, "server_ip, user"}}}, {.options = {}});
  const auto seen = scanned(on, {{"Authorization", basic}});
  CHECK(values(seen.icap.fields, "X-Server-IP") == texts{loopback});
  CHECK(values(seen.icap.fields, "X-Authenticated-User") == texts{aladdin});
  CHECK_FALSE(has(seen.icap.fields, "X-Client-IP"));
}

TEST_CASE("identity: credentials that are not exact name nobody, and the response is scanned") {
  stage on({.env = {{tell, "user"}}});
  const std::vector<field_list> all = {
      {},
      {{"Authorization", "Basic"}},
      {{"Authorization", "Basic !!!!"}},
      {{"Authorization", "Basic QWxhZGRpbg=="}},          // no colon
      {{"Authorization", "Basic OnNlc2FtZQ=="}},          // no name
      {{"Authorization", "Basic QQ1YLUV2aWw6IDENCjp4"}},  // A, CR, ...
      {{"Authorization", "Basic QQpYLUV2aWw6IDENCjp4"}},  // A, LF, ...
      {{"Authorization", "Basic QQA6eA=="}},              // A, NUL
      {{"Authorization", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}},
      {{"Authorization", basic}, {"Authorization", basic}},
  };
  for (const auto& fields : all) {
    const auto seen = scanned(on, fields);
    INFO(seen.icap.wire);
    CHECK_FALSE(has(seen.icap.fields, "X-Authenticated-User"));
    CHECK_FALSE(has(seen.icap.fields, "X-Evil"));
  }
  const response_text refused = {.status = "401 Unauthorized", .body = "who are you?"};
  CHECK_FALSE(
      has(scanned(on, {{"Authorization", basic}}, refused).icap.fields, "X-Authenticated-User"));
  CHECK(on.scanner.scans().size() == all.size() + 1);
}

TEST_CASE("RFC 3507 row 6: every field of an ICAP head is of the RFC or begins with X-") {
  for (const std::string vendor : {"generic", "e2guardian", "fortisandbox", "kaspersky"}) {
    INFO(vendor);
    stage on({.env = {{tell, "client_ip,server_ip,user"},
                      {credentials, "true"},
                      {setting::scanner_vendor, vendor}},
              .canary = "warn"},
             {.options = options_answer({{"Preview", "4"}}), .offered_204 = vendor != "kaspersky"});
    if (vendor == "kaspersky") on.scanner.always(block_page());
    wait_until("a canary", [&] { return !on.scanner.canaries().empty(); });
    scanned(on, {{"Authorization", basic}, {"Proxy-Authorization", basic}},
            {.fields = {{"Proxy-Authenticate", "Basic realm=x"}}, .body = "a body"});
    check_names(on.scanner.scans());
    check_names(on.scanner.canaries());
  }
}

TEST_CASE("RFC 3507 row 22 and 23: Proxy-Authenticate goes into the ICAP head alone") {
  stage on;
  const texts challenges = {"Basic realm=\"a\"", "Negotiate"};
  on.origin.when("/scanned", {.fields = {{"Proxy-Authenticate", challenges[0]},
                                         {"Proxy-Authenticate", challenges[1]}},
                              .body = "a body"});
  const auto got = on.get("/scanned");
  const auto seen = on.scanner.scan_of("/scanned");
  CHECK(values(seen.icap.fields, "Proxy-Authenticate") == challenges);
  CHECK_FALSE(has(seen.response.fields, "Proxy-Authenticate"));
  CHECK(values(got.fields(), "Proxy-Authenticate") == challenges);
}

TEST_CASE("RFC 3507 row 23: the client's Proxy-Authorization goes into the ICAP head if allowed") {
  const field_list sent = {{"Proxy-Authorization", basic}};
  const own_credentials ours(password);
  auto both = ours.settings();
  both.emplace(credentials, "true");
  struct row {
    std::string name;
    std::map<std::string, std::string> env;
    texts expected;
  };
  const std::vector<row> rows = {
      {"by default", {}, {}},
      {"credentials = true", {{credentials, "true"}}, {basic}},
      {"beside our own", both, {"Basic " + std::string(encoded)}},
  };
  for (const auto& [name, env, expected] : rows) {
    INFO(name);
    stage on({.env = env});
    const auto seen = scanned(on, sent);
    CHECK(values(seen.icap.fields, "Proxy-Authorization") == expected);
    CHECK_FALSE(has(seen.request.fields, "Proxy-Authorization"));
  }
}

TEST_CASE("RFC 3507 row 24: the Via that a scanner adds passes to the client") {
  stage on;
  const std::string via = "ICAP/1.0 scanner (a scanner of a play)";
  const std::string body = "its version";
  on.scanner.always(adapted("HTTP/1.1 200 OK\r\nVia: 1.1 cache\r\nVia: " + via +
                                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                            body, {{"Via", via}}));
  on.origin.when("/adapted", {.fields = {{"Via", "1.1 cache"}}, .body = "the origin's body"});
  const auto got = on.get("/adapted");
  CHECK(got.status == 200);
  CHECK(got.body == body);
  const auto told = values(got.fields(), "Via");
  REQUIRE(told.size() == 3);
  CHECK(texts(told.begin(), told.end() - 1) == texts{"1.1 cache", via});
  CHECK(told.back().starts_with("1.1 icapgate-"));
}

TEST_CASE("RFC 3507 row 53: authentication between client and origin passes unmodified") {
  const std::string challenge = "Digest realm=\"a, b\", nonce=\"x\", Basic realm=\"c\"";
  const response_text refused = {.status = "401 Unauthorized",
                                 .fields = {{"WWW-Authenticate", challenge}},
                                 .body = "who are you?"};
  for (const bool open : {false, true}) {
    stage on({.env = {{credentials, open ? "true" : "false"}}});
    on.origin.when("/scanned", refused);
    const auto got = on.get("/scanned", {{"Authorization", basic}});
    const auto seen = on.scanner.scan_of("/scanned");
    CHECK(got.status == 401);
    CHECK(values(got.fields(), "WWW-Authenticate") == texts{challenge});
    CHECK(values(seen.response.fields, "WWW-Authenticate") == texts{challenge});
    CHECK(values(on.origin.request("/scanned").head.fields, "Authorization") == texts{basic});
    CHECK(values(seen.request.fields, "Authorization") == texts{open ? basic : "-"});
  }
}

TEST_CASE("RFC 3507 row 53: a scanner that wants a password is given it, for OPTIONS, too") {
  const own_credentials ours(password);
  stage on({.env = ours.settings(), .canary = "warn"}, guarded());
  on.learn_options();
  const auto seen = scanned(on, {});
  CHECK(on.last_line().text("verdict") == "clean");
  CHECK(values(seen.icap.fields, "Proxy-Authorization") == texts{"Basic " + std::string(encoded)});
  wait_until("a canary", [&] { return !on.scanner.canaries().empty(); });
  CHECK(has(on.scanner.canaries().front().icap.fields, "Proxy-Authorization"));
  CHECK_FALSE(holds(on.icapgate.output(), password));
  CHECK_FALSE(holds(on.icapgate.output(), encoded));
}

TEST_CASE("RFC 3507 row 53: a wrong password means 503, and no log tells it") {
  const own_credentials wrong("s3cret-slip");
  stage on({.env = wrong.settings(), .canary = "warn"}, guarded());
  on.origin.when("/refused", {.body = "the origin's body"});
  const auto got = on.get("/refused");
  const auto line = on.last_line();
  check_refusal(got, line);
  CHECK(line.text("reason") == "icap_status_auth");
  wait_until("the canary's alarm", [&] { return holds(on.icapgate.output(), "OPTIONS failed"); });
  for (const std::string_view secret : {"s3cret-slip", "c2Nhbm5lcjpzM2NyZXQtc2xpcA=="}) {
    CHECK_FALSE(holds(on.icapgate.output(), secret));
    CHECK_FALSE(holds(on.icapgate.access_log(), secret));
  }
}

TEST_CASE("RFC 3507 row 53: a scanner that wants a password and is given none means 503") {
  stage on({}, guarded());
  on.origin.when("/refused", {.body = "the origin's body"});
  check_refusal(on, "/refused");
  CHECK(on.last_line().text("reason") == "icap_status_auth");
}
