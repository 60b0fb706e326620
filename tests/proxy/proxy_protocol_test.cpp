#include "proxy/proxy_protocol.hpp"

#include "catch.hpp"

#include <string>

using namespace icapgate;
using namespace std::string_literals;
using proxy::parse_proxy_header;
using status = proxy::proxy_header::status;

namespace {

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

// Version 2. `size`: what the header says of its rest; -1: the truth.
std::string binary(char command, char family, const std::string& rest, int size = -1) {
  const auto told = size < 0 ? rest.size() : static_cast<std::size_t>(size);
  return signature + command + family + static_cast<char>(told >> 8) +
         static_cast<char>(told & 255) + rest;
}

const std::string v4_rest = "\xc0\x00\x02\x01\x0a\x00\x00\x01\x30\x39\x01\xbb"s;
const std::string v6_rest =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"s + std::string(16, '\0') + "\x30\x39\x01\xbb";

// Whole, and every beginning of it needs more; what follows is not looked at.
proxy::proxy_header whole(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    INFO(i);
    CHECK(parse_proxy_header(text.substr(0, i)).state == status::need_more);
  }
  const auto got = parse_proxy_header(text);
  CHECK(got.state == status::complete);
  CHECK(got.size == text.size());
  for (const auto& more : {"G"s, "GET / HTTP/1.1\r\n"s, "\0\r\n"s, text}) {
    const auto with = parse_proxy_header(text + more);
    CHECK(with.state == status::complete);
    CHECK(with.size == text.size());
    CHECK(with.client == got.client);
  }
  return got;
}

// Refused, and at no point is a beginning of it complete.
void refused(const std::string& text) {
  INFO(text);
  CHECK(parse_proxy_header(text).state == status::invalid);
  for (std::size_t i = 0; i < text.size(); ++i)
    CHECK(parse_proxy_header(text.substr(0, i)).state != status::complete);
}

std::string line(const std::string& words) {
  return "PROXY " + words + "\r\n";
}

}  // namespace

TEST_CASE("a line names the client's address and port") {
  auto got = whole(line("TCP4 192.0.2.1 10.0.0.1 12345 443"));
  CHECK(got.client == ip_address::parse("192.0.2.1"));
  CHECK(got.client_port == 12345);
  got = whole(line("TCP6 2001:db8::1 ::1 65535 0"));
  CHECK(got.client == ip_address::parse("2001:db8::1"));
  CHECK(got.client_port == 65535);
  CHECK(whole(line("TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 1 2")).client ==
        ip_address::parse("192.0.2.1"));
}

TEST_CASE("a line of an unknown protocol is passed over, whatever it holds") {
  CHECK_FALSE(whole(line("UNKNOWN")).client);
  CHECK_FALSE(whole(line("UNKNOWN ffff:f...f:ffff ::1 65535 65535")).client);
}

TEST_CASE("a line is exact") {
  for (const auto* words : {"",
                            "TCP4",
                            "TCP5 192.0.2.1 10.0.0.1 1 2",
                            "tcp4 192.0.2.1 10.0.0.1 1 2",
                            "UNKNOWNX",
                            "TCP4 192.0.2.1 10.0.0.1 1",
                            "TCP4 192.0.2.1 10.0.0.1 1 2 3",
                            "TCP4 192.0.2.1 10.0.0.1 1 2 ",
                            "TCP4  192.0.2.1 10.0.0.1 1 2",
                            "TCP4\t192.0.2.1 10.0.0.1 1 2",
                            "TCP4 ::1 ::1 1 2",
                            "TCP6 192.0.2.1 10.0.0.1 1 2",
                            "TCP4 192.0.2.1 ::1 1 2",
                            "TCP4 192.0.2.256 10.0.0.1 1 2",
                            "TCP4 192.0.2.1 10.0.0.1 65536 2",
                            "TCP4 192.0.2.1 10.0.0.1 1 65536",
                            "TCP4 192.0.2.1 10.0.0.1 01 2",
                            "TCP4 192.0.2.1 10.0.0.1 -1 2",
                            "TCP4 192.0.2.1 10.0.0.1 +1 2",
                            "TCP4 192.0.2.1 10.0.0.1 1a 2",
                            "TCP4 192.0.2.1 10.0.0.1  2",
                            "TCP6 fe80::1%a ::1 1 2",
                            "TCP6 [::1] ::1 1 2"})
    refused(line(words));
  for (const auto& text :
       {"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n\r\n"s, "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\rX"s,
        "proxy UNKNOWN\r\n"s, " PROXY UNKNOWN\r\n"s, "PROXYUNKNOWN\r\n"s, "GET / HTTP/1.1\r\n"s,
        "PROXZ"s, "X"s, "\r\n\r\nX"s, "\x16\x03\x01"s})
    refused(text);
}

TEST_CASE("a line ends within 107 bytes") {
  const std::string most(proxy::max_proxy_line - line("UNKNOWN ").size(), 'a');
  CHECK(line("UNKNOWN " + most).size() == 107);
  whole(line("UNKNOWN " + most));
  refused(line("UNKNOWN " + most + "a"));
  const auto endless = "PROXY UNKNOWN " + std::string(200, 'a');
  CHECK(parse_proxy_header(endless.substr(0, 105)).state == status::need_more);
  CHECK(parse_proxy_header(endless.substr(0, 106)).state == status::invalid);
}

TEST_CASE("a binary header names the client's address and port") {
  auto got = whole(binary('\x21', '\x11', v4_rest));
  CHECK(got.client == ip_address::parse("192.0.2.1"));
  CHECK(got.client_port == 12345);
  got = whole(binary('\x21', '\x21', v6_rest));
  CHECK(got.client == ip_address::parse("2001:db8::1"));
  CHECK(got.client_port == 12345);
  CHECK(whole(binary('\x21', '\x11', v4_rest + "\x04\x00\x03...")).client);
}

TEST_CASE("a binary header without a client's address leaves the connection's own") {
  CHECK_FALSE(whole(binary('\x20', '\x00', "")).client);
  CHECK_FALSE(whole(binary('\x20', '\x11', v4_rest)).client);
  CHECK_FALSE(whole(binary('\x20', '\x77', "anything")).client);
  CHECK_FALSE(whole(binary('\x21', '\x00', "anything")).client);
  CHECK_FALSE(whole(binary('\x21', '\x31', std::string(216, 'a'))).client);
}

TEST_CASE("a binary header of another version, command, family or size is refused") {
  for (const char command : {'\x00', '\x11', '\x22', '\x2f', '\x31', '\x01'})
    refused(binary(command, '\x11', v4_rest));
  for (const char family : {'\x01', '\x10', '\x12', '\x22', '\x30', '\x32', '\x41', '\x20'})
    refused(binary('\x21', family, std::string(216, 'a')));
  refused(binary('\x21', '\x11', v4_rest.substr(1)));
  refused(binary('\x21', '\x21', v6_rest.substr(1)));
  refused(binary('\x21', '\x31', std::string(215, 'a')));
  refused(binary('\x21', '\x11', ""));
}

TEST_CASE("a binary header is at most 4096 bytes long, and refused before it is there") {
  const std::string most(proxy::max_proxy_header - 16, 'a');
  const auto longest = binary('\x21', '\x11', most);
  CHECK(longest.size() == 4096);
  CHECK(parse_proxy_header(longest.substr(0, 4095)).state == status::need_more);
  CHECK(parse_proxy_header(longest).state == status::complete);
  CHECK(parse_proxy_header(binary('\x21', '\x11', "", 4081)).state == status::invalid);
  CHECK(parse_proxy_header(binary('\x21', '\x11', "", 65535)).state == status::invalid);
}
