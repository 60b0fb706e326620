// The bodies that the doctor shows: archives by the letter of their format.
#include "doctor/samples.hpp"

#include "base/eicar.hpp"

#include "catch.hpp"

using namespace icapgate;
using namespace icapgate::doctor;

namespace {

std::uint32_t number(const std::string& from, std::size_t at, unsigned bytes) {
  std::uint32_t out = 0;
  for (unsigned i = bytes; i > 0; --i)
    out = out << 8 | static_cast<unsigned char>(from.at(at + i - 1));
  return out;
}

// CRC-32 as ISO 3309 has it, bit by bit.
std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const unsigned char c : bytes) {
    crc ^= c;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
  }
  return ~crc;
}

// The local header of the archive's last member, by way of the end record and the directory.
std::size_t last_member(const std::string& zip) {
  const auto end = zip.size() - 22;
  REQUIRE(zip.substr(end, 4) == "PK\5\6");
  auto at = number(zip, end + 16, 4);
  REQUIRE(number(zip, end + 12, 4) + at == end);
  const auto members = number(zip, end + 10, 2);
  for (unsigned i = 1; i < members; ++i) at += 46 + number(zip, at + 28, 2);
  REQUIRE(zip.substr(at, 4) == "PK\1\2");
  return number(zip, at + 42, 4);
}

}  // namespace

TEST_CASE("a padded zip has the size that was asked for and EICAR as its last member") {
  const std::size_t size = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{70'000}) +
                           static_cast<std::size_t>(smallest_padded_zip());
  const auto zip = padded_eicar_zip(size);
  REQUIRE(zip.size() == size);
  const auto at = last_member(zip);
  CHECK(zip.substr(at, 4) == "PK\3\4");
  CHECK(number(zip, at + 8, 2) == 0);
  CHECK(zip.substr(at + 30, 9) == "eicar.com");
  CHECK(zip.substr(at + 39, 68) == eicar_text());
  CHECK(number(zip, at + 14, 4) == crc32(eicar_text()));
}

TEST_CASE("the filler of a padded zip has the checksum that its header tells") {
  const auto zip = padded_eicar_zip(100'000);
  const auto length = number(zip, 18, 4);
  CHECK(number(zip, 22, 4) == length);
  CHECK(number(zip, 14, 4) == crc32(zip.substr(40, length)));
  CHECK(zip.substr(40 + length, 4) == "PK\3\4");
}

TEST_CASE("a compressed EICAR does not stand in its archive as text") {
  CHECK(eicar_zip(false).find(eicar_text()) != std::string::npos);
  const auto zip = eicar_zip(true);
  for (std::size_t at = 0; at + 8 < eicar_text().size(); ++at)
    CHECK(zip.find(eicar_text().substr(at, 8)) == std::string::npos);
  CHECK(number(zip, last_member(zip) + 8, 2) == 8);
}

TEST_CASE("a padded zip that its sink refuses ends there") {
  std::size_t taken = 0;
  CHECK_FALSE(padded_eicar_zip(1 << 20, [&](std::string_view) { return ++taken < 3; }));
  CHECK(taken == 3);
}
