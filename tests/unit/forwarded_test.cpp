#include "http/forwarded.hpp"

#include "catch.hpp"
#include "http/rules.hpp"

using namespace icapgate;

namespace {

struct sent {
  explicit sent(const std::string& fields, const std::string& host = "app.example")
      : text("GET /a HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n") {
    REQUIRE(http::parse_request(text, head) == errc::complete);
  }
  std::string text;
  http::request_head head;
};

network_set trusted_set() {
  std::vector<network> all(3);
  std::string why;
  REQUIRE(parse_network("10.0.0.0/8", all[0], why));
  REQUIRE(parse_network("2001:db8::/32", all[1], why));
  REQUIRE(parse_network("unix", all[2], why));
  return network_set(all);
}

http::forwarding told(const std::string& fields, const char* peer, bool secure = false,
                      http::trusted_header believed = http::trusted_header::x_forwarded_for) {
  const sent request(fields);
  const auto set = trusted_set();
  http::arrival from;
  if (peer) from.peer = ip_address::parse(peer);
  from.trusted = from.peer ? set.contains(*from.peer) : set.contains_local();
  from.secure = secure;
  http::forwarding out;
  out.lines = "of an earlier request";
  http::describe_arrival(out, request.head, from, set, believed, "own-id");
  return out;
}

http::forwarding by_rfc(const std::string& fields, const char* peer = "10.0.0.1") {
  return told(fields, peer, false, http::trusted_header::forwarded);
}

// The value of one of the lines; there must be one.
std::string line(const http::forwarding& of, const std::string& name) {
  const auto key = "\r\n" + name + ": ";
  const auto all = "\r\n" + of.lines;
  const auto at = all.find(key);
  INFO(of.lines);
  REQUIRE(at != all.npos);
  CHECK(all.find(key, at + 1) == all.npos);
  return all.substr(at + key.size(), all.find("\r\n", at + 2) - at - key.size());
}

bool has(const http::forwarding& of, const std::string& name) {
  return ("\r\n" + of.lines).find("\r\n" + name + ": ") != std::string::npos;
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

const std::string parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

}  // namespace

TEST_CASE("of an untrusted peer nothing is believed, and all is set from the connection") {
  const auto got = told(
      "X-Forwarded-For: 10.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
      "Forwarded: for=10.9.9.9;proto=https\r\nX-Request-Id: theirs\r\nX-Forwarded-Port: 1\r\n"
      "X-Real-IP: 10.9.9.9\r\nX_Forwarded_For: 10.9.9.9\r\n",
      "192.0.2.7");
  CHECK(got.client == "192.0.2.7");
  CHECK(got.request_id == "own-id");
  CHECK_FALSE(got.secure);
  CHECK(got.lines ==
        "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app.example\r\n"
        "Forwarded: for=192.0.2.7;host=\"app.example\";proto=http\r\nX-Request-Id: own-id\r\n");
}

TEST_CASE("IPv6 stands in brackets and quotes in Forwarded alone, and TLS is told") {
  const auto got = told("", "2001:bad::1", true);
  CHECK(got.client == "2001:bad::1");
  CHECK(got.secure);
  CHECK(line(got, "X-Forwarded-For") == "2001:bad::1");
  CHECK(line(got, "X-Forwarded-Proto") == "https");
  CHECK(line(got, "Forwarded") == "for=\"[2001:bad::1]\";host=\"app.example\";proto=https");
}

TEST_CASE("the client is the nearest hop that is not trusted") {
  struct row {
    const char* list;
    const char* client;
  };
  for (const auto& [list, client] : {
           row{"192.0.2.1", "192.0.2.1"},
           row{"192.0.2.9, 192.0.2.1", "192.0.2.1"},
           row{"192.0.2.1, 10.1.1.1, 10.2.2.2", "192.0.2.1"},
           row{"10.3.3.3, 10.2.2.2", "10.3.3.3"},
           row{"192.0.2.1:1234", "192.0.2.1"},
           row{"[2001:bad::1]:80, 2001:db8::5", "2001:bad::1"},
           row{"::ffff:192.0.2.1", "192.0.2.1"},
           row{" ,, 192.0.2.1 , ", "192.0.2.1"},
           // What can't be read ends the search at whoever told it.
           row{"192.0.2.1, junk, 10.2.2.2", "10.2.2.2"},
           row{"192.0.2.1, unknown", "10.0.0.1"},
           row{"192.0.2.1, \"10.2.2.2\"", "10.0.0.1"},
           row{"192.0.2.1, 10.2.2.2:", "10.0.0.1"},
           row{"192.0.2.1, 10.2.2.2:x", "10.0.0.1"},
           row{"192.0.2.1, 10.2.2.2:123456", "10.0.0.1"},
           row{"192.0.2.1, [10.2.2.2]", "10.0.0.1"},
           row{"192.0.2.1, [2001:db8::1]x", "10.0.0.1"},
           row{"192.0.2.1, [2001:db8::1", "10.0.0.1"},
           row{"192.0.2.1, fe80::1%eth0", "10.0.0.1"},
           row{"", "10.0.0.1"},
       }) {
    INFO(list);
    CHECK(told(std::string("X-Forwarded-For: ") + list + "\r\n", "10.0.0.1").client == client);
  }
}

TEST_CASE("several fields of one name are one list") {
  const auto got =
      told("X-Forwarded-For: 192.0.2.1\r\nAccept: a\r\nx-forwarded-for: 10.1.1.1\r\n", "10.0.0.1");
  CHECK(got.client == "192.0.2.1");
  CHECK(line(got, "X-Forwarded-For") == "192.0.2.1, 10.1.1.1, 10.0.0.1");
}

TEST_CASE("a trusted peer's word is kept, and the peer added") {
  const auto got = told(
      "X-Forwarded-For: 192.0.2.1, 10.1.1.1\r\nX-Forwarded-Proto: HTTPS\r\n"
      "X-Forwarded-Host: www.example:8443\r\nForwarded: for=203.0.113.1\r\n"
      "X-Request-Id: theirs-1\r\nX-Forwarded-Port: 8443\r\nX-Real-IP: 192.0.2.1\r\n"
      "X_Forwarded_For: 10.9.9.9\r\n",
      "10.0.0.1");
  CHECK(got.client == "192.0.2.1");
  CHECK(got.secure);
  CHECK(got.request_id == "theirs-1");
  CHECK(line(got, "X-Forwarded-For") == "192.0.2.1, 10.1.1.1, 10.0.0.1");
  CHECK(line(got, "X-Forwarded-Proto") == "https");
  CHECK(line(got, "X-Forwarded-Host") == "www.example:8443");
  CHECK(line(got, "Forwarded") ==
        "for=192.0.2.1;host=\"www.example:8443\";proto=https, for=10.1.1.1, "
        "for=10.0.0.1;host=\"app.example\";proto=http");
  CHECK(line(got, "X-Forwarded-Port") == "8443");
  CHECK(line(got, "X-Real-IP") == "192.0.2.1");
  CHECK_FALSE(has(got, "X_Forwarded_For"));
}

TEST_CASE("of a trusted peer too, only what is well-formed counts") {
  const auto got = told(
      "X-Forwarded-Proto: javascript\r\nX-Forwarded-Host: a\"b\r\nX-Request-Id: a b\r\n"
      "X-Forwarded-For: <script>, _hidden, unknown\r\n",
      "10.0.0.1");
  CHECK(line(got, "X-Forwarded-Proto") == "http");
  CHECK(line(got, "X-Forwarded-Host") == "app.example");
  CHECK(got.request_id == "own-id");
  CHECK(line(got, "X-Forwarded-For") == "unknown, _hidden, unknown, 10.0.0.1");
  const auto twice = told("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "10.0.0.1");
  CHECK_FALSE(twice.secure);
}

TEST_CASE("a request identifier is kept up to its limit") {
  const auto with = [](const std::string& id) {
    return told("X-Request-Id: " + id + "\r\n", "10.0.0.1").request_id;
  };
  CHECK(with("aZ0._-") == "aZ0._-");
  CHECK(with(std::string(64, 'a')) == std::string(64, 'a'));
  for (const auto& bad : {std::string(65, 'a'), std::string(), std::string("a,b"),
                          std::string("<b>"), std::string("a/b"), std::string("\xc3\xa4")})
    CHECK(with(bad) == "own-id");
  CHECK(told("X-Request-Id: a\r\nX-Request-Id: b\r\n", "10.0.0.1").request_id == "own-id");
}

TEST_CASE("a list that is too long loses what stands left of the limit") {
  const auto most = repeated("192.0.2.1, ", http::max_hops - 1) + "192.0.2.2";
  auto got = told("X-Forwarded-For: " + most + "\r\n", "10.0.0.1");
  CHECK(line(got, "X-Forwarded-For") == most + ", 10.0.0.1");
  got = told("X-Forwarded-For: 192.0.2.9, " + most + "\r\n", "10.0.0.1");
  CHECK(line(got, "X-Forwarded-For") == most + ", 10.0.0.1");
  CHECK(got.client == "192.0.2.2");
  const std::string long_name(http::max_hops_text - 9, 'a');
  got = told("X-Forwarded-For: _" + long_name + ", 10.1.1.1\r\n", "10.0.0.1");
  CHECK(line(got, "X-Forwarded-For") == "_" + long_name + ", 10.1.1.1, 10.0.0.1");
  got = told("X-Forwarded-For: _" + long_name + "a, 10.1.1.1\r\n", "10.0.0.1");
  CHECK(line(got, "X-Forwarded-For") == "10.1.1.1, 10.0.0.1");
  got = told("X-Forwarded-For: " + repeated(",", 30'000) + "192.0.2.1\r\n", "10.0.0.1");
  CHECK(got.client == "192.0.2.1");
}

TEST_CASE("Forwarded is believed where the settings say so, and X-Forwarded-For is not") {
  const auto got = by_rfc(
      "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: http\r\n"
      "Forwarded: for=203.0.113.2;proto=http, For=\"192.0.2.1:80\";Host=\"www.example\";"
      "proto=https;by=_x\r\nForwarded: for=\"[2001:db8::7]:123\"\r\n");
  CHECK(got.client == "192.0.2.1");
  CHECK(got.secure);
  CHECK(line(got, "X-Forwarded-For") == "203.0.113.2, 192.0.2.1, 2001:db8::7, 10.0.0.1");
  CHECK(line(got, "X-Forwarded-Proto") == "https");
  CHECK(line(got, "X-Forwarded-Host") == "www.example");
  CHECK(line(got, "Forwarded") ==
        "for=203.0.113.2;proto=http, for=192.0.2.1;host=\"www.example\";proto=https, "
        "for=\"[2001:db8::7]\", for=10.0.0.1;host=\"app.example\";proto=http");
}

TEST_CASE("a Forwarded that can't be parsed is lost with all before it") {
  for (const auto* bad :
       {"for", "for=", "for=\"192.0.2.1", "for=192.0.2.1;for=192.0.2.2", "for=a b", "=192.0.2.1",
        "for=\"192.0.2.1\"x", "f or=192.0.2.1", "for=192.0.2.1;proto=\"https\"\"\"", "for=\"a\\",
        // An open quote of the client's must not swallow what the proxy adds.
        "for=\"6.6.6.6, for=\"[2001:db8::1]\"", "for=x;y=\", for=192.0.2.1;by=\"[::1]\""}) {
    INFO(bad);
    const auto got = by_rfc("Forwarded: for=192.0.2.5\r\nForwarded: " + std::string(bad) + "\r\n");
    CHECK(got.client == "10.0.0.1");
    CHECK(line(got, "X-Forwarded-For") == "unknown, 10.0.0.1");
    const auto after =
        by_rfc("Forwarded: " + std::string(bad) + "\r\nForwarded: for=192.0.2.6\r\n");
    CHECK(after.client == "192.0.2.6");
  }
}

TEST_CASE("blanks, empty elements, escapes and hidden names in Forwarded are understood") {
  CHECK(by_rfc("Forwarded: , for=192.0.2.1 ; proto=http ,, \r\n").client == "192.0.2.1");
  CHECK(by_rfc("Forwarded: ;;for=192.0.2.1;;\r\n").client == "192.0.2.1");
  CHECK(by_rfc("Forwarded: for=\"192.0.2.\\1\"\r\n").client == "10.0.0.1");
  CHECK(by_rfc("Forwarded: for=[2001:bad::1]\r\n").client == "2001:bad::1");
  CHECK(by_rfc("Forwarded: for=192.0.2.1;ext=\"a,b;c=\\\"\"\r\n").client == "192.0.2.1");
  CHECK(line(by_rfc("Forwarded: for=_Hidden, for=unknown, proto=http\r\n"), "Forwarded") ==
        "for=_Hidden, for=unknown, for=unknown;proto=http, "
        "for=10.0.0.1;host=\"app.example\";proto=http");
  const auto many = by_rfc("Forwarded: " + repeated("for=192.0.2.1,", 5'000) + "\r\n");
  CHECK(line(many, "X-Forwarded-For") == repeated("192.0.2.1, ", http::max_hops) + "10.0.0.1");
}

TEST_CASE("whoever comes over a unix socket has no address") {
  auto got = told("", nullptr);
  CHECK(got.client == "unix");
  CHECK(line(got, "X-Forwarded-For") == "unknown");
  CHECK(line(got, "Forwarded") == "for=unknown;host=\"app.example\";proto=http");
  got = told("X-Forwarded-For: 192.0.2.1\r\n", nullptr);
  CHECK(got.client == "192.0.2.1");
  CHECK(line(got, "X-Forwarded-For") == "192.0.2.1, unknown");
}

TEST_CASE("a valid traceparent goes on from anybody, with its tracestate; another does not") {
  for (const auto* peer : {"10.0.0.1", "192.0.2.1"}) {
    const auto got =
        told("TraceParent: " + parent + "\r\ntracestate: a=1\r\nTracestate: b=2\r\n", peer);
    CHECK(line(got, "traceparent") == parent);
    CHECK(got.lines.find("tracestate: a=1\r\ntracestate: b=2\r\n") != std::string::npos);
    for (const auto& bad : {"traceparent: " + parent + "0\r\n", std::string(),
                            "traceparent: " + parent + "\r\ntraceparent: " + parent + "\r\n"}) {
      const auto without = told(bad + "tracestate: a=1\r\n", peer);
      CHECK_FALSE(has(without, "traceparent"));
      CHECK_FALSE(has(without, "tracestate"));
    }
  }
}

TEST_CASE("traceparent has exact lengths, lower case and no zeros") {
  CHECK(http::is_traceparent(parent));
  CHECK(http::is_traceparent("01" + parent.substr(2)));
  CHECK(http::is_traceparent("01" + parent.substr(2) + "-more"));
  for (const auto& bad :
       {parent.substr(1), parent.substr(0, 54), parent + "-", parent + "-00",
        "ff" + parent.substr(2), "01" + parent.substr(2) + "x", "0g" + parent.substr(2),
        "00-" + std::string(32, '0') + parent.substr(35),
        parent.substr(0, 36) + std::string(16, '0') + "-01",
        parent.substr(0, 3) + "4BF92F3577B34DA6A3CE929D0E0E4736" + parent.substr(35),
        parent.substr(0, 35) + "_" + parent.substr(36), std::string()}) {
    INFO(bad);
    CHECK_FALSE(http::is_traceparent(bad));
  }
}

TEST_CASE("fields that tell of the way are known by name, with _ for - and in any case") {
  for (const auto* name :
       {"Forwarded", "x-forwarded-for", "X-FORWARDED-FOR", "X_Forwarded-Proto", "X-Forwarded-User",
        "X_Real_IP", "X-Request-ID", "traceparent", "Tracestate"}) {
    INFO(name);
    CHECK(http::is_forwarding_field(name));
  }
  for (const auto* name : {"X-Forwarded", "X-Forwarded-", "XForwarded-For", "Via", "Forwarde",
                           "X-Request-Ids", "Host"}) {
    INFO(name);
    CHECK_FALSE(http::is_forwarding_field(name));
  }
}

TEST_CASE("origin and scanner get the new fields in place of the old, even nominated ones") {
  const sent request(
      "Connection: X-Forwarded-For, Forwarded\r\nX-Forwarded-For: 6.6.6.6\r\nA: b\r\n"
      "X-Request-Id: theirs\r\n");
  http::arrival from;
  from.peer = ip_address::parse("192.0.2.1");
  http::forwarding path;
  http::describe_arrival(path, request.head, from, {}, http::trusted_header::x_forwarded_for,
                         "own-id");
  std::string to_origin, to_scanner;
  http::append_origin_request(to_origin, request.head, {.path = &path});
  http::append_scanner_request(to_scanner, request.head, true, {.path = &path});
  for (const auto* wire : {&to_origin, &to_scanner}) {
    CHECK(wire->find(path.lines) != wire->npos);
    CHECK(wire->find("A: b\r\n") != wire->npos);
    CHECK(wire->find("6.6.6.6") == wire->npos);
    CHECK(wire->find("theirs") == wire->npos);
  }
}
