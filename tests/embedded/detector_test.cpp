#include "embedded/detector.hpp"

#include "catch.hpp"

#include <fstream>
#include <iterator>

using icapgate::eicar_text;
using icapgate::embedded::detector;
using icapgate::embedded::sha256;

namespace {

const std::vector<std::string> nothing_listed;

std::string threat_in(const std::vector<std::string>& pieces,
                      const std::vector<std::string>& listed = nothing_listed) {
  detector search(listed);
  for (const std::string& piece : pieces) search.update(piece);
  return std::string(search.threat());
}

std::string digest_of(std::string_view text) {
  sha256 digest;
  digest.update(text);
  return digest.hex();
}

}  // namespace

TEST_CASE("the EICAR text is the published one") {
  // The published digest of the 68-byte file.
  CHECK(digest_of(eicar_text()) ==
        "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f");
}

TEST_CASE("no program that can make the EICAR text contains it") {
  std::ifstream self("/proc/self/exe", std::ios::binary);
  REQUIRE(self.good());
  const std::string program{std::istreambuf_iterator<char>(self), {}};
  REQUIRE(program.size() > 10'000);
  CHECK(program.find(eicar_text()) == std::string::npos);
}

TEST_CASE("EICAR is found at any offset") {
  for (std::size_t offset = 0; offset < 200; ++offset) {
    CHECK(threat_in({std::string(offset, 'X') + eicar_text() + "tail"}) == "EICAR-Test-String");
  }
}

TEST_CASE("EICAR is found across every split") {
  const std::string body = "before" + eicar_text() + "after";
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    CHECK(threat_in({body.substr(0, cut), body.substr(cut)}) == "EICAR-Test-String");
  }
  std::vector<std::string> bytes;
  for (const char c : body) bytes.emplace_back(1, c);
  CHECK(threat_in(bytes) == "EICAR-Test-String");
}

TEST_CASE("EICAR is found right after its own beginning") {
  for (std::size_t length = 0; length < eicar_text().size(); ++length) {
    CHECK(threat_in({eicar_text().substr(0, length) + eicar_text()}) == "EICAR-Test-String");
  }
}

TEST_CASE("a damaged EICAR is not found") {
  for (std::size_t at = 0; at < eicar_text().size(); ++at) {
    std::string damaged = eicar_text();
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK(threat_in({damaged}).empty());
    CHECK(threat_in({eicar_text().substr(0, at)}).empty());
  }
}

TEST_CASE("a listed body is found by its SHA-256, and only the whole of it") {
  // SHA-256 of "abc" (FIPS 180-2) and of the empty text.
  const std::vector<std::string> listed{
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  };
  CHECK(threat_in({"abc"}, listed) == "Listed-SHA256");
  CHECK(threat_in({"a", "", "bc"}, listed) == "Listed-SHA256");
  CHECK(threat_in({}, listed) == "Listed-SHA256");
  CHECK(threat_in({"abcd"}, listed).empty());
  CHECK(threat_in({"abc"}).empty());
}
