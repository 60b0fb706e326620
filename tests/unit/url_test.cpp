#include "base/url.hpp"
#include "catch.hpp"

#include <array>
#include <random>
#include <string>

using namespace icapgate;

namespace {

url parsed(std::string_view text) {
  url out;
  std::string why;
  INFO(text);
  const bool good = parse_url(text, out, why);
  INFO(why);
  REQUIRE(good);
  CHECK(why.empty());
  return out;
}

std::string refusal(std::string_view text) {
  url out{"kept", "kept", 1, "kept", "kept"};
  const url before = out;
  std::string why;
  INFO(text);
  CHECK_FALSE(parse_url(text, out, why));
  CHECK(out == before);
  CHECK_FALSE(why.empty());
  return why;
}

std::string endpoint_text(std::string_view text) {
  endpoint out;
  std::string why;
  return parse_endpoint(text, out, why) ? out.to_string() : "refused: " + why;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a URL is read part by part") {
  const auto u = parsed("ICAP://Scanner.Example:11344/AvScan?allow204=on&x=%41");
  CHECK(u.scheme == "icap");
  CHECK(u.host == "scanner.example");
  CHECK(u.port == 11344);
  CHECK(u.path == "/AvScan?allow204=on&x=%41");
}

TEST_CASE("a URL without a port has its scheme's") {
  CHECK(parsed("http://app").port == 80);
  CHECK(parsed("icap://av/x").port == 1344);
  CHECK(parsed("icaps://av/x").port == 11344);
  CHECK(parsed("icaps://av:11344/x").authority() == "av");
  CHECK(parsed("http://app").authority() == "app");
  CHECK(parsed("http://app:80").authority() == "app");
  CHECK(parsed("http://app:3000/").authority() == "app:3000");
  CHECK(parsed("icap://av:80/x").authority() == "av:80");
}

TEST_CASE("an IPv6 host loses its brackets and gets them back") {
  const auto u = parsed("http://[2001:DB8::1]:8080");
  CHECK(u.host == "2001:db8::1");
  CHECK(u.authority() == "[2001:db8::1]:8080");
  CHECK(parsed("icap://[::1]/a").to_string() == "icap://[::1]/a");
}

TEST_CASE("a scanner behind a unix socket is named by the socket's path and the service") {
  const auto u = parsed("ICAP+Unix:/run/C-icap/s.sock:/AvScan?allow204=on");
  CHECK(u.scheme == "icap+unix");
  CHECK(u.unix_socket == "/run/C-icap/s.sock");
  CHECK(u.path == "/AvScan?allow204=on");
  CHECK(u.host == "localhost");
  CHECK(u.authority() == "localhost");
  CHECK(u.to_string() == "icap+unix:/run/C-icap/s.sock:/AvScan?allow204=on");
  CHECK(u.request_uri() == "icap://localhost/AvScan?allow204=on");
  CHECK(parsed("icap+unix:/a:b:/c:/d").path == "/c:/d");
  CHECK(parsed("icap+unix:/" + std::string(106, 's') + ":/x").unix_socket.size() == 107);
}

TEST_CASE("an origin behind a unix socket is named by the socket's path alone") {
  const auto u = parsed("HTTP+Unix:/run/App.sock");
  CHECK(u.scheme == "http+unix");
  CHECK(u.unix_socket == "/run/App.sock");
  CHECK(u.path.empty());
  CHECK(u.port == 0);
  CHECK(u.authority() == "localhost");
  CHECK(u.to_string() == "http+unix:/run/App.sock");
  for (auto text : {"http+unix:", "http+unix:run/s", "http+unix://run/s", "http+unix:/run/"})
    CHECK(contains(refusal(text), "absolute path"));
  CHECK(contains(refusal("http+unix:/run/s:/x"), "behind the socket's path"));
  CHECK(contains(refusal("http+unix:/" + std::string(107, 's')), "107"));
}

TEST_CASE("in a request a URL over TCP stands as it was written") {
  for (auto text : {"icap://av/x?y", "icaps://av:1/x", "icap://[::1]:1345/x"})
    CHECK(parsed(text).request_uri() == text);
}

TEST_CASE("unix sockets that no system call takes are refused with a reason") {
  for (auto text : {"icap+unix:", "icap+unix:run/s:/x", "icap+unix:///run/s:/x", "icap+unix:/:/x",
                    "icap+unix:/run/:/x", "icap+unix:@name:/x"})
    CHECK(contains(refusal(text), "absolute path"));
  CHECK(contains(refusal("icap+unix:/run/s"), "service"));
  CHECK(contains(refusal("icap+unix:/run/s:x"), "service"));
  CHECK(contains(refusal("icap+unix:/run/s:/x#y"), "fragment"));
  CHECK(contains(refusal("icap+unix:/" + std::string(107, 's') + ":/x"), "107"));
  refusal("icap+unix:/run/s s:/x");
  refusal(std::string("icap+unix:/run\0/s:/x", 20));
  refusal("http+unix:/run/s:/x");
}

TEST_CASE("of a service the name in DNS is kept, and the host without the labels in front") {
  const auto u = parsed("ICAPS+SRV://_ICAP._tcp.Scan.example/AvScan?x");
  CHECK(u.scheme == "icaps+srv");
  CHECK(u.srv_name == "_icap._tcp.scan.example");
  CHECK(u.host == "scan.example");
  CHECK(u.port == 0);
  CHECK(u.path == "/AvScan?x");
  CHECK(u.secured());
  CHECK(u.authority() == "scan.example");
  CHECK(u.to_string() == "icaps+srv://_icap._tcp.scan.example/AvScan?x");
  CHECK(u.request_uri() == "icaps://scan.example/AvScan?x");
  CHECK(parsed("http+srv://app.service.consul").host == "app.service.consul");
  CHECK(parsed("http+srv://app.service.consul").srv_name == "app.service.consul");
  CHECK(contains(refusal("icap+srv://_icap._tcp.a:1344/x"), "port"));
  for (auto text : {"icap+srv://10.0.0.1/x", "icap+srv://[::1]/x", "icap+srv://_icap._tcp/x"})
    CHECK(contains(refusal(text), "_icap._tcp"));
  CHECK(contains(refusal("ftp+srv://a/x"), "ftp+srv"));
  CHECK(contains(refusal("+srv://a/x"), "URL"));
}

TEST_CASE("a URL says whether its connections are secured") {
  for (auto text : {"https://a", "icaps://a/x", "https+srv://a", "icaps+srv://a/x"})
    CHECK(parsed(text).secured());
  for (auto text : {"http://a", "icap://a/x", "http+srv://a", "icap+srv://a/x", "http+unix:/a/b",
                    "icap+unix:/a/b:/x"})
    CHECK_FALSE(parsed(text).secured());
}

TEST_CASE("the path of a URL is kept byte for byte") {
  for (auto path : {"/a/../b", "/%2e%2E/", "//x", "/a%20b", "/a;b=c,d", "/~u/?", "/?a=/b?c"}) {
    CHECK(parsed("icap://h" + std::string(path)).path == path);
  }
}

TEST_CASE("hosts that a resolver could find are taken") {
  for (auto host :
       {"a", "my_app", "a-b.c", "example.org.", "1a", "127.0.0.1", "xn--bcher-kva.de"}) {
    CHECK(parsed("http://" + std::string(host)).host == host);
  }
}

TEST_CASE("hostile and mistaken URLs are refused with a reason") {
  CHECK(contains(refusal("app:3000"), "scheme"));
  CHECK(contains(refusal("ftp://app"), "\"ftp\""));
  CHECK(contains(refusal("http://"), "no host"));
  CHECK(contains(refusal("http:///path"), "no host"));
  CHECK(contains(refusal("http://user@app"), "user name"));
  CHECK(contains(refusal("http://user:pw@app"), "user name"));
  CHECK(contains(refusal("http://app/#x"), "fragment"));
  for (auto port : {"0", "65536", "99999", "123456", "", "+80", "8o", "-1", "80:80", "00000080"}) {
    refusal("http://app:" + std::string(port));
  }
  for (auto host : {"a b", "-a", "a-", "a..b", ".a", "a%20b", "a$b", "a!b", "300.1.1.1", "1.2.3",
                    "1", "[::1", "[::g]", "[1.2.3.4]", "[v1.x]", "::1", "a\\b", "\xc3\xbc"}) {
    refusal("http://" + std::string(host));
  }
  refusal(std::string("http://a\0b", 10));
  refusal("http://app/a b");
  refusal("http://app/a\r\nX: y");
  refusal("http://app\t");
  refusal(" http://app");
  refusal("http://" + std::string(64, 'a'));
  std::string long_name = "a";
  while (long_name.size() <= 253) long_name += ".a";
  refusal("http://" + long_name);
  refusal("http://app/\x7f");
  refusal("");
}

TEST_CASE("a URL that was read and shown reads the same again, whatever the bytes") {
  constexpr std::string_view letters = "aZ09.-_:/@?#[]%2 \t\\~$&,;=+\x80";
  std::mt19937 random(7);
  int taken = 0;
  for (int i = 0; i < 50000; ++i) {
    constexpr std::array beginnings{"http://a", "icap://a", "icap+unix:/a:/"};
    std::string text = beginnings[static_cast<std::size_t>(i) % beginnings.size()];
    for (auto n = random() % 9; n > 0; --n) text += letters[random() % letters.size()];
    url first, second;
    std::string why;
    if (!parse_url(text, first, why)) {
      CHECK_FALSE(why.empty());
      continue;
    }
    ++taken;
    INFO(text);
    CHECK(first.port > 0);
    CHECK_FALSE(first.host.empty());
    REQUIRE(parse_url(first.to_string(), second, why));
    CHECK(second == first);
  }
  CHECK(taken > 1000);
}

TEST_CASE("endpoints are HOST:PORT") {
  CHECK(endpoint_text("0.0.0.0:8080") == "0.0.0.0:8080");
  CHECK(endpoint_text("[::]:0") == "[::]:0");
  CHECK(endpoint_text("localhost:65535") == "localhost:65535");
  for (auto text : {"", "8080", ":8080", "localhost", "localhost:", "localhost:65536", "::1:80",
                    "[::1]80", "[::1]", "[]:80", "a b:80", "*:80", "http://x:80", "unix:", "unix:/",
                    "1.2.3.4.5:80", "[1.2.3.4]:80", "a:80 ", "a:-1"}) {
    INFO(text);
    CHECK(contains(endpoint_text(text), "refused: "));
  }
}

TEST_CASE("an endpoint may be a unix socket") {
  endpoint out;
  std::string why;
  REQUIRE(parse_endpoint("unix:/run/icapgate.sock", out, why));
  CHECK(out.unix_socket == "/run/icapgate.sock");
  CHECK(out.to_string() == "unix:/run/icapgate.sock");
  CHECK(parse_endpoint("unix:/" + std::string(106, 's'), out, why));
  CHECK(contains(endpoint_text("unix:/" + std::string(107, 's')), "107"));
  for (auto text : {"unix:run/x", "unix:/run/", "unix:/run/a b", "/run/x", "UNIX:/run/x"}) {
    INFO(text);
    CHECK(contains(endpoint_text(text), "refused: "));
  }
}

TEST_CASE("a port alone is answered with the host that is missing") {
  CHECK(contains(endpoint_text("8901"), "has no host"));
  CHECK(contains(endpoint_text("8901"), "127.0.0.1:8901"));
  CHECK(contains(endpoint_text(":8901"), "127.0.0.1:8901"));
  CHECK(contains(endpoint_text("99999"), "has no host"));
  CHECK_FALSE(contains(endpoint_text("99999"), ":99999"));
  CHECK(contains(endpoint_text("localhost"), "has no port"));
  CHECK(contains(endpoint_text("127.0.0.1"), "has no port"));
}

TEST_CASE("passwords in URLs are not shown") {
  CHECK(without_user_info("http://u:secret@h/p@q") == "http://-@h/p@q");
  CHECK(without_user_info("http://u:se@cret@h") == "http://-@h");
  CHECK(without_user_info("http://h/p?a=b@c") == "http://h/p?a=b@c");
  CHECK(without_user_info("/p@q") == "/p@q");
}
