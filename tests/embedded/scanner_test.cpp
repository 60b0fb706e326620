#include "embedded/scanner.hpp"

#include "catch.hpp"
#include "embedded/detector.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <sstream>

using boost::asio::ip::tcp;
using icapgate::eicar_text;
using icapgate::embedded::scanner;

namespace {

const std::string request_head = "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string response_head = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";
const std::string allow = "Allow: 204\r\n";

// A RESPMOD request up to its body.
std::string respmod(const std::string& fields, const std::string& body_kind = "res-body") {
  return "RESPMOD icap://s/scan ICAP/1.0\r\nHost: s\r\n" + fields +
         "Encapsulated: req-hdr=0, res-hdr=" + std::to_string(request_head.size()) + ", " +
         body_kind + "=" + std::to_string(request_head.size() + response_head.size()) + "\r\n\r\n" +
         request_head + response_head;
}

std::string chunk(const std::string& bytes) {
  std::ostringstream out;
  out << std::hex << bytes.size() << "\r\n" << bytes << "\r\n";
  return out.str();
}

std::string chunked(const std::string& bytes) {
  return (bytes.empty() ? "" : chunk(bytes)) + "0\r\n\r\n";
}

class icap_connection {
 public:
  explicit icap_connection(const scanner& peer) {
    stream_.expires_after(std::chrono::seconds(30));
    stream_.connect(tcp::endpoint(boost::asio::ip::address_v4::loopback(), peer.port()));
    REQUIRE(stream_.good());
  }

  void send(const std::string& bytes) { stream_ << bytes << std::flush; }

  // Up to and with the next empty line.
  std::string read_head() {
    std::string head;
    for (char c; !head.ends_with("\r\n\r\n") && stream_.get(c);) head += c;
    return head;
  }

  std::string read(std::size_t count) {
    std::string bytes(count, '\0');
    stream_.read(bytes.data(), static_cast<std::streamsize>(count));
    bytes.resize(static_cast<std::size_t>(stream_.gcount()));
    return bytes;
  }

  // Says that no more requests come, and reads all answers.
  std::string finish() {
    boost::system::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    return read_rest();
  }

  std::string read_rest() {
    std::ostringstream all;
    all << stream_.rdbuf();
    return all.str();
  }

 private:
  tcp::iostream stream_;
};

std::string answers(const scanner& peer, const std::string& requests) {
  icap_connection client(peer);
  client.send(requests);
  return client.finish();
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string status_of(const std::string& answer) {
  return answer.substr(0, answer.find("\r\n"));
}

}  // namespace

TEST_CASE("OPTIONS tells what the scanner can do and that it is for tests") {
  const scanner peer({});
  const auto answer = answers(peer, "OPTIONS icap://s/scan ICAP/1.0\r\nHost: s\r\n\r\n");
  CHECK(status_of(answer) == "ICAP/1.0 200 OK");
  CHECK(has(answer, "\r\nMethods: RESPMOD\r\n"));
  CHECK(has(answer, "\r\nAllow: 204\r\n"));
  CHECK(has(answer, "\r\nOptions-TTL: "));
  CHECK(has(answer, "not an antivirus"));
  CHECK(has(answer, "\r\nISTag: \""));
}

TEST_CASE("the ISTag changes with the list") {
  const std::string options = "OPTIONS icap://s/scan ICAP/1.0\r\nHost: s\r\n\r\n";
  const auto tag = [&](std::vector<std::string> listed) {
    const scanner peer(std::move(listed));
    const auto answer = answers(peer, options);
    const auto begin = answer.find("ISTag: ");
    REQUIRE(begin != std::string::npos);
    const auto line = answer.substr(begin + 7, answer.find("\r\n", begin) - begin - 7);
    CHECK(line.size() <= 32);  // RFC 3507 4.7
    return line;
  };
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  CHECK(tag({}) == tag({}));
  CHECK(tag({a}) != tag({}));
  CHECK(tag({a, b}) == tag({b, a}));
}

TEST_CASE("a clean body is answered with 204 where that is allowed") {
  const scanner peer({});
  for (const std::string& body : {std::string(), std::string("clean"), std::string(300'000, 'c')}) {
    const auto answer = answers(peer, respmod(allow) + chunked(body));
    CHECK(status_of(answer) == "ICAP/1.0 204 Unmodified");
    CHECK(has(answer, "Connection: keep-alive"));
  }
  CHECK(status_of(answers(peer, respmod(allow, "null-body"))) == "ICAP/1.0 204 Unmodified");
}

TEST_CASE("EICAR is answered with a 403 page that names it") {
  const scanner peer({});
  const auto body = GENERATE(as<std::string>{}, "", "before", std::string(200'000, 'X'));
  const auto answer = answers(peer, respmod(allow) + chunked(body + eicar_text() + body));
  CHECK(status_of(answer) == "ICAP/1.0 200 OK");
  CHECK(has(answer, "X-Infection-Found: Type=0; Resolution=2; Threat=EICAR-Test-String;\r\n"));
  CHECK_FALSE(has(answer, eicar_text()));

  const auto http = answer.substr(answer.find("\r\n\r\n") + 4);
  CHECK(status_of(http) == "HTTP/1.1 403 Forbidden");
  const auto body_offset = http.find("\r\n\r\n") + 4;
  CHECK(has(answer, "Encapsulated: res-hdr=0, res-body=" + std::to_string(body_offset) + "\r\n"));
  const auto page = http.substr(http.find("\r\n", body_offset) + 2);
  CHECK(http.substr(body_offset) == chunked(page.substr(0, page.find("\r\n0\r\n"))));
  CHECK(has(http, "Content-Length: " + std::to_string(page.find("\r\n0\r\n")) + "\r\n"));
  CHECK(has(page, "EICAR-Test-String"));
}

TEST_CASE("EICAR is found across chunks and writes") {
  const scanner peer({});
  std::string bytewise;
  for (const char c : eicar_text()) bytewise += chunk(std::string(1, c));
  icap_connection client(peer);
  for (const char c : respmod(allow) + bytewise + "0\r\n\r\n") client.send(std::string(1, c));
  CHECK(has(client.finish(), "Threat=EICAR-Test-String;"));
}

TEST_CASE("a body with a listed SHA-256 is blocked") {
  const scanner peer({"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"});
  CHECK(has(answers(peer, respmod(allow) + chunked("abc")), "Threat=Listed-SHA256;"));
  CHECK(has(answers(peer, respmod(allow) + chunked("abd")), "204 Unmodified"));
}

TEST_CASE("a client that does not allow 204 gets its response back, byte for byte") {
  const scanner peer({});
  const std::string body(100'000, 'c');
  const auto answer = answers(peer, respmod("") + chunked(body));
  CHECK(status_of(answer) == "ICAP/1.0 200 OK");
  CHECK(has(answer, "Encapsulated: res-hdr=0, res-body=" + std::to_string(response_head.size())));
  CHECK(answer.substr(answer.find("\r\n\r\n") + 4) == response_head + chunked(body));
  CHECK_FALSE(has(answer, "X-Infection-Found"));

  const auto bodyless = answers(peer, respmod("", "null-body"));
  CHECK(bodyless.substr(bodyless.find("\r\n\r\n") + 4) == response_head);
}

TEST_CASE(
    "a clean body too large to be sent back is an error, and an infected one is still blocked") {
  const scanner peer({});
  const std::string large(1'100'000, 'c');
  const auto clean = answers(peer, respmod("") + chunked(large));
  CHECK(status_of(clean) == "ICAP/1.0 500 Server Error");
  const auto infected = answers(peer, respmod("") + chunked(large + eicar_text()));
  CHECK(has(infected, "Threat=EICAR-Test-String;"));
  CHECK(status_of(answers(peer, respmod(allow) + chunked(large))) == "ICAP/1.0 204 Unmodified");
}

TEST_CASE("the rest of a previewed body is asked for and scanned") {
  const scanner peer({});
  const std::string tail = GENERATE(as<std::string>{}, "clean", eicar_text().substr(4));
  icap_connection client(peer);
  client.send(respmod(allow + "Preview: 4\r\n") + chunked(eicar_text().substr(0, 4)));
  CHECK(client.read_head() == "ICAP/1.0 100 Continue\r\n\r\n");
  client.send(chunked(tail));
  const auto expected = tail == "clean" ? "ICAP/1.0 204 Unmodified" : "ICAP/1.0 200 OK";
  CHECK(status_of(client.finish()) == expected);
}

TEST_CASE("EICAR inside the preview is answered at once, and the connection goes on") {
  const scanner peer({});
  icap_connection client(peer);
  client.send(respmod("Preview: 1024\r\n") + chunked(eicar_text()));
  CHECK(has(client.read_head(), "Threat=EICAR-Test-String;"));
  client.read_head();
  const auto page = client.read_head();
  CHECK(page.ends_with("\r\n0\r\n\r\n"));
  client.send(respmod(allow) + chunked("clean"));
  CHECK(status_of(client.read_head()) == "ICAP/1.0 204 Unmodified");
}

TEST_CASE("a body that ends within the preview needs neither 100 nor leave for 204") {
  const scanner peer({});
  const std::string preview = respmod("Preview: 1024\r\n");
  CHECK(status_of(answers(peer, preview + chunk("clean") + "0; ieof\r\n\r\n")) ==
        "ICAP/1.0 204 Unmodified");
  CHECK(status_of(answers(peer, preview + "0; ieof\r\n\r\n")) == "ICAP/1.0 204 Unmodified");
  CHECK(has(answers(peer, preview + chunk(eicar_text()) + "0; ieof\r\n\r\n"), "Threat=EICAR"));
}

TEST_CASE("a connection serves many requests, and closes when asked to") {
  const scanner peer({});
  icap_connection client(peer);
  for (int i = 0; i < 20; ++i) {
    client.send(respmod(allow) + chunked("clean"));
    CHECK(status_of(client.read_head()) == "ICAP/1.0 204 Unmodified");
  }
  client.send(respmod(allow + "Connection: close\r\n") + chunked("clean"));
  CHECK(has(client.read_rest(), "\r\nConnection: close\r\n"));
}

TEST_CASE("what is no request is refused, and the connection closed") {
  const scanner peer({});
  struct play {
    std::string request;
    std::string status;
  };
  const std::string line = "RESPMOD icap://s/scan ICAP/1.0\r\n";
  const auto refused = GENERATE_COPY(values<play>({
      {"GET / HTTP/1.1\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {"\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {std::string(20'000, 'A'), "ICAP/1.0 400 Bad Request"},
      {line + "X-Long: " + std::string(2'000'000, 'A'), "ICAP/1.0 400 Bad Request"},
      {line + "no field\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {line + "Host: s\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {line + "Encapsulated: res-hdr=0\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {line + "Encapsulated: req-body=0\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {line + "Encapsulated: res-hdr=0, res-body=99999999999\r\n\r\n", "ICAP/1.0 400 Bad Request"},
      {line + "Encapsulated: res-hdr=0, res-body=4\r\n\r\nabcd0\r\n\r\n",
       "ICAP/1.0 400 Bad Request"},
      {respmod("Preview: -1\r\n"), "ICAP/1.0 400 Bad Request"},
      {respmod(allow) + "zz\r\n", "ICAP/1.0 400 Bad Request"},
      {respmod(allow) + "fffffffffffffffff\r\n", "ICAP/1.0 400 Bad Request"},
      {"RESPMOD icap://s/scan ICAP/2.0\r\n\r\n", "ICAP/1.0 505 ICAP Version Not Supported"},
      {"REQMOD icap://s/scan ICAP/1.0\r\n\r\n", "ICAP/1.0 405 Method Not Allowed"},
      {"FILEMOD icap://s/scan ICAP/1.0\r\n\r\n", "ICAP/1.0 501 Method Not Implemented"},
  }));
  CAPTURE(refused.request.substr(0, 100));
  const auto answer = answers(peer, refused.request);
  CHECK(status_of(answer) == refused.status);
  CHECK(has(answer, "\r\nConnection: close\r\n"));
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("a request that breaks off gets no answer") {
  const scanner peer({});
  const std::string whole = respmod(allow) + chunked("clean");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    CHECK(answers(peer, whole.substr(0, cut)).empty());
  }
}

TEST_CASE("a stopped scanner closes its connections and refuses new ones") {
  scanner peer({});
  icap_connection idle(peer);
  icap_connection busy(peer);
  busy.send(respmod(allow) + chunk("half"));
  peer.stop();
  CHECK(idle.read_rest().empty());
  CHECK(busy.read_rest().empty());

  boost::asio::io_context context;
  tcp::socket late(context);
  boost::system::error_code error;
  late.connect(tcp::endpoint(boost::asio::ip::address_v4::loopback(), peer.port()), error);
  CHECK(error == boost::asio::error::connection_refused);
  peer.stop();
}
