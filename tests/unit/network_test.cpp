#include "base/network.hpp"

#include "catch.hpp"

using namespace icapgate;

namespace {

ip_address address(const char* text) {
  const auto parsed = ip_address::parse(text);
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}

network parsed(const std::string& text) {
  network out;
  std::string why;
  INFO(text);
  CHECK(parse_network(text, out, why));
  CHECK(why == "");
  return out;
}

std::string refusal(const std::string& text) {
  network out{address("9.9.9.9"), 9};
  const auto before = out;
  std::string why;
  INFO(text);
  CHECK_FALSE(parse_network(text, out, why));
  CHECK(out == before);
  return why;
}

network_set set_of(std::initializer_list<const char*> texts) {
  std::vector<network> all;
  for (const auto* text : texts) all.push_back(parsed(text));
  return network_set(all);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE("addresses are read as the system writes them, and nothing else is one") {
  CHECK(address("192.0.2.1").to_string() == "192.0.2.1");
  CHECK(address("2001:DB8:0:0::1").to_string() == "2001:db8::1");
  for (const auto* text :
       {"", " ", "192.0.2", "192.0.2.1.", "192.0.2.256", "192.0.2.01", "0x7f.0.0.1", "192.0.2.1:80",
        "[::1]", "::1%lo", "fe80::1%eth0", "::g", ":::1", "1::2::3", "::ffff:1.2.3", "a.example",
        "1.2.3.4 ", "1234567890123456789012345678901234567890123456789"}) {
    INFO(text);
    CHECK_FALSE(ip_address::parse(text));
  }
  CHECK_FALSE(ip_address::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST_CASE("an IPv4 address in an IPv6 one is that IPv4 address") {
  CHECK(address("::ffff:192.0.2.1") == address("192.0.2.1"));
  CHECK(address("::ffff:c000:201").to_string() == "192.0.2.1");
  CHECK(address("::ffff:192.0.2.1").is_v4());
  CHECK_FALSE(address("::192.0.2.1").is_v4());
  CHECK_FALSE(address("::fffe:192.0.2.1").is_v4());
  const std::array<std::uint8_t, 16> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3};
  CHECK(ip_address::from_bytes(mapped) == address("10.1.2.3"));
  CHECK(ip_address::from_bytes(std::span(mapped).last(4)) == address("10.1.2.3"));
  CHECK_FALSE(ip_address::from_bytes(std::span(mapped).last(5)));
}

TEST_CASE("networks are addresses, CIDR blocks or the word unix") {
  for (const auto* text : {"10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "192.0.2.128/25",
                           "2001:db8::/32", "::1", "::/0", "unix"})
    CHECK(parsed(text).to_string() == text);
  CHECK(parsed("192.0.2.1/32").to_string() == "192.0.2.1");
  CHECK(parsed("::1/128").to_string() == "::1");
  CHECK(parsed("::ffff:10.0.0.0/104").to_string() == "10.0.0.0/8");
  CHECK(parsed("::ffff:0.0.0.0/96").to_string() == "0.0.0.0/0");
}

TEST_CASE("what is no network is refused with what would be one") {
  for (const auto* text :
       {"", "10.0.0.0.0/8", "example.com", "/8", "localhost", "UNIX", "[::1]/128", " 10.0.0.0/8"})
    CHECK(contains(refusal(text), "10.0.0.0/8"));
  for (const auto* text :
       {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8",
        "10.0.0.0/255.0.0.0", "10.0.0.0/8,10.1.0.0/16", "10.0.0.0/ 8", "10.0.0.0/4294967304"})
    CHECK(contains(refusal(text), "from 0 to 32"));
  CHECK(contains(refusal("::/129"), "from 0 to 128"));
  CHECK(contains(refusal("::ffff:10.0.0.0/95"), "from 96 to 128"));
  CHECK(contains(refusal("10.0.0.1/8"), "10.0.0.0/8"));
  CHECK(contains(refusal("2001:db8::1/32"), "2001:db8::/32"));
}

TEST_CASE("a network holds its first and last address and not their neighbours") {
  const auto set = set_of({"10.0.0.0/8", "192.0.2.128/25", "198.51.100.7", "2001:db8::/33"});
  for (const auto* in : {"10.0.0.0", "10.255.255.255", "192.0.2.128", "192.0.2.255", "198.51.100.7",
                         "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"}) {
    INFO(in);
    CHECK(set.contains(address(in)));
  }
  for (const auto* out : {"9.255.255.255", "11.0.0.0", "192.0.2.127", "192.0.3.0", "198.51.100.6",
                          "198.51.100.8", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                          "2001:db8:8000::", "0.0.0.0", "255.255.255.255", "::"}) {
    INFO(out);
    CHECK_FALSE(set.contains(address(out)));
  }
  CHECK(set.contains(address("::ffff:10.1.1.1")));
  CHECK_FALSE(set.contains_local());
}

TEST_CASE("networks within others change nothing, in any order") {
  const auto set = set_of({"10.1.0.0/16", "10.0.0.0/8", "10.200.0.1", "10.0.0.0/8", "12.0.0.0/8"});
  CHECK(set.contains(address("10.200.0.2")));
  CHECK(set.contains(address("10.255.255.255")));
  CHECK_FALSE(set.contains(address("11.0.0.0")));
  CHECK(set.contains(address("12.255.255.255")));
}

TEST_CASE("all of one family is nothing of the other") {
  CHECK(set_of({"0.0.0.0/0"}).contains(address("255.255.255.255")));
  CHECK_FALSE(set_of({"0.0.0.0/0"}).contains(address("::1")));
  CHECK(set_of({"::/0"}).contains(address("ffff::")));
  CHECK_FALSE(set_of({"::/0"}).contains(address("::ffff:1.2.3.4")));
  CHECK_FALSE(network_set().contains(address("0.0.0.0")));
  CHECK_FALSE(network_set().contains_local());
  CHECK(set_of({"unix"}).contains_local());
  CHECK_FALSE(set_of({"unix"}).contains(address("0.0.0.0")));
}
