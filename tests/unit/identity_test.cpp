// What a scanner is told about a transaction: out of the heads, and into its ICAP head.
#include "http/identity.hpp"
#include "base/base64.hpp"
#include "icap/identity.hpp"
#include "icap/message.hpp"
#include "icap/profile.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using namespace icapgate;
using namespace std::string_literals;

namespace {

std::string user_of(const std::string& fields) {
  const auto text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  http::request_head head;
  REQUIRE(http::parse_request(text, head) == errc::complete);
  return http::basic_user(head);
}

std::string user_in(const std::string& credentials) {
  return user_of("Authorization: Basic " + to_base64(credentials) + "\r\n");
}

std::string credentials_of(const std::string& fields) {
  const auto text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  http::request_head head;
  REQUIRE(http::parse_request(text, head) == errc::complete);
  std::string lines;
  http::append_proxy_credentials(lines, head);
  return lines;
}

std::string challenges_of(const std::string& fields) {
  const auto text = "HTTP/1.1 407 No\r\nContent-Length: 0\r\n" + fields + "\r\n";
  http::response_head head;
  REQUIRE(http::parse_response(text, false, head) == errc::complete);
  std::string lines;
  http::append_proxy_challenges(lines, head);
  return lines;
}

using words = std::vector<std::string>;

std::string told(const icap::identity& of, const icap::service_options& asked,
                 const words& unasked = {}) {
  std::string fields;
  icap::append_identity(fields, of, asked, unasked);
  return fields;
}

icap::service_options asking_for_all() {
  icap::service_options all;
  all.wants_client_ip = all.wants_server_ip = all.wants_authenticated_user = true;
  return all;
}

constexpr icap::identity somebody{
    .request_id = "7", .client_ip = "192.0.2.1", .server_ip = "2001:db8::2", .user = "martin"};

}  // namespace

TEST_CASE("base64: the examples of RFC 4648 10, there and back") {
  const std::vector<std::pair<std::string, std::string>> rows = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\xff\xfe\0"s, "//4A"}};
  for (const auto& [plain, encoded] : rows) {
    CHECK(to_base64(plain) == encoded);
    CHECK(from_base64(encoded) == plain);
  }
}

TEST_CASE("base64: what is not exact is refused") {
  for (const auto* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v=", "Zg==Zg==", "Z g=",
                           "Zh==", "Zm9=", "Zm9v\n", "Zm-_", "Zm9vZ"}) {
    INFO(text);
    CHECK_FALSE(from_base64(text).has_value());
  }
}

TEST_CASE("identity: the user name is that of exact Basic credentials") {
  CHECK(user_of("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n") == "Aladdin");
  CHECK(user_of("AUTHORIZATION: bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n") == "Aladdin");
  CHECK(user_in("a:") == "a");
  CHECK(user_in("a:b:c") == "a");
  CHECK(user_in("m\xc3\xbcller/x@y z:p") == "m\xc3\xbcller/x@y z");
  CHECK(user_in(std::string(http::max_user, 'a') + ":p").size() == http::max_user);
}

TEST_CASE("identity: whatever else an Authorization holds names nobody") {
  for (const std::string credentials :
       {"nocolon", ":p", "", "a\r\nX-Evil: 1:p", "a\n:p", "a\t:p", "a\x7f:p", "\x1b[2J:p"})
    CHECK(user_in(credentials).empty());
  CHECK(user_in("a\0b:p"s).empty());
  CHECK(user_in(std::string(http::max_user + 1, 'a') + ":p").empty());
  for (const std::string field : {"", "Basic", "Basic ", "Basic a:b", "Basic QTpi QTpi",
                                  "BasicQTpi", "Bearer QTpi", "Digest username=\"a\""}) {
    INFO(field);
    CHECK(user_of("Authorization: " + field + "\r\n").empty());
  }
  CHECK(user_of("").empty());
  CHECK(user_of("Authorization: Basic QTpi\r\nAuthorization: Basic QTpi\r\n").empty());
  CHECK(user_of("Proxy-Authorization: Basic QTpi\r\n").empty());
}

TEST_CASE("identity: a scanner is told what it asked for, encoded as the subscriber draft says") {
  CHECK(told(somebody, asking_for_all()) ==
        "X-Request-Id: 7\r\nX-Client-IP: 192.0.2.1\r\nX-Server-IP: 2001:db8::2\r\n"
        "X-Authenticated-User: TG9jYWw6Ly9tYXJ0aW4=\r\n");
  icap::service_options one;
  CHECK(told(somebody, one) == "X-Request-Id: 7\r\n");
  one.wants_server_ip = true;
  CHECK(told(somebody, one) == "X-Request-Id: 7\r\nX-Server-IP: 2001:db8::2\r\n");
  CHECK(told({}, asking_for_all()).empty());
}

TEST_CASE("identity: the settings tell what was not asked for, each once") {
  CHECK(told(somebody, {}, {"client_ip"}) == "X-Request-Id: 7\r\nX-Client-IP: 192.0.2.1\r\n");
  CHECK(told(somebody, {}, {"server_ip"}) == "X-Request-Id: 7\r\nX-Server-IP: 2001:db8::2\r\n");
  CHECK(told(somebody, asking_for_all(), {"user", "user", "client_ip"}) ==
        told(somebody, asking_for_all()));
}

TEST_CASE("identity: addresses are told without a zone, IPv4 as IPv4") {
  CHECK(told({.client_ip = "::ffff:192.0.2.1", .server_ip = "fe80::1%eth0"}, asking_for_all()) ==
        "X-Client-IP: 192.0.2.1\r\nX-Server-IP: fe80::1\r\n");
  CHECK(told({.client_ip = "::ffff:0:1"}, asking_for_all()) == "X-Client-IP: ::ffff:0:1\r\n");
}

TEST_CASE("RFC 3507 row 6: our extension fields begin with X-") {
  auto text = told(somebody, asking_for_all());
  for (const auto& row : icap::profiles()) text += row.fields;
  std::vector<icap::field> fields;
  REQUIRE(icap::parse_fields(text, fields));
  CHECK(fields.size() >= 5);
  for (const auto& f : fields) {
    INFO(f.name);
    CHECK(f.name.starts_with("X-"));
  }
}

TEST_CASE("RFC 3507 row 23: Proxy-Authenticate and Proxy-Authorization become ICAP fields") {
  const auto two = "Proxy-Authenticate: Basic realm=\"a\"\r\nProxy-Authenticate: Negotiate\r\n"s;
  CHECK(challenges_of("A: 1\r\n" + two) == two);
  CHECK(challenges_of("WWW-Authenticate: Basic\r\n").empty());
  CHECK(credentials_of("Proxy-Authorization: Basic QTpi\r\n") ==
        "Proxy-Authorization: Basic QTpi\r\n");
  CHECK(credentials_of("Authorization: Basic QTpi\r\n").empty());
  CHECK(told({.proxy_fields = two}, {}) == two);
}

TEST_CASE("identity: Proxy fields that are too many or too long stay here") {
  CHECK(credentials_of("Proxy-Authorization: a\r\nProxy-Authorization: b\r\n").empty());
  const auto longest = http::max_proxy_fields - "Proxy-Authorization: \r\n"s.size();
  CHECK_FALSE(credentials_of("Proxy-Authorization: " + std::string(longest, 'a') + "\r\n").empty());
  CHECK(credentials_of("Proxy-Authorization: " + std::string(longest + 1, 'a') + "\r\n").empty());
  std::string many;
  for (int i = 0; i < 500; ++i) many += "Proxy-Authenticate: Negotiate\r\n";
  CHECK(challenges_of(many).empty());
}
