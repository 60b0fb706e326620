#include "base/characters.hpp"

#include "base/field_text.hpp"
#include "catch.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

using namespace icapgate;

namespace {

// For each kind of mask, whatever this machine has.
template <class Mask>
bool ends_where_it_should(std::size_t longest, std::size_t at, char byte) {
  std::string text(longest, 'a');
  text[at] = byte;
  const auto expected = is_field_text(byte) ? longest : at;
  const auto shorter = text.substr(0, at + 1);
  return end_of_field_text<Mask>(text, 0) == expected &&
         end_of_field_text<Mask>(text, at) == expected &&
         end_of_field_text<Mask>(text, at + 1) == longest &&
         end_of_field_text<Mask>(shorter, 0) == std::min(expected, at + 1);
}

}  // namespace

TEST_CASE("characters: a number is digits and nothing else") {
  CHECK(read_number("0") == 0);
  CHECK(read_number("007") == 7);
  CHECK(read_number("18446744073709551614") == UINT64_MAX - 1);
  for (auto text : {"", "-1", "+1", " 1", "1 ", "0x1", "1.", "a"}) {
    INFO(text);
    CHECK_FALSE(read_number(text));
  }
}

TEST_CASE("characters: a number too large for the type is its largest one") {
  for (auto text : {"18446744073709551615", "18446744073709551616", "18446744073709551620",
                    "99999999999999999999", "100000000000000000000000000"}) {
    INFO(text);
    CHECK(read_number(text) == UINT64_MAX);
  }
}

TEST_CASE("characters: an escape is two hexadecimal digits in any case") {
  CHECK(read_escape("2e") == '.');
  CHECK(read_escape("2Fx") == '/');
  CHECK(read_escape("fF") == '\xff');
  for (auto text : {"", "2", "2g", "g2", "+1", " 1"}) {
    INFO(text);
    CHECK_FALSE(read_escape(text));
  }
}

TEST_CASE("characters: every byte is of the kinds that the RFCs name") {
  for (int value = 0; value < 256; ++value) {
    INFO(value);
    const char c = static_cast<char>(value);
    CHECK(is_control(c) == (value < 32 || value == 127));
    CHECK(is_field_text(c) == (value == 9 || (value >= 32 && value != 127)));
    CHECK(is_printable(c) == (value >= 32 && value <= 126));
    const bool letter = (value >= 'a' && value <= 'z') || (value >= 'A' && value <= 'Z');
    const bool digit = value >= '0' && value <= '9';
    CHECK(is_alphanumeric(c) == (letter || digit));
    CHECK((hex_value(c) >= 0) ==
          (digit || (value >= 'a' && value <= 'f') || (value >= 'A' && value <= 'F')));
    const bool mark =
        value != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string::npos;
    CHECK(is_token({&c, 1}) == (letter || digit || mark));
  }
  CHECK_FALSE(is_token(""));
}

TEST_CASE("characters: an escaped text is printable ASCII") {
  CHECK(escaped("plain ~") == "plain ~");
  CHECK(escaped(std::string_view("\0\n\x7f\xc3\xa9", 5)) == "\\x00\\x0a\\x7f\\xc3\\xa9");
}

TEST_CASE("characters: a line's text ends at any control character but the tab") {
  constexpr std::size_t longest = 40;
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    for (std::size_t at = 0; at < longest; ++at) {
      const auto byte = static_cast<char>(c);
      CHECK(ends_where_it_should<control_mask>(longest, at, byte));
      CHECK(ends_where_it_should<control_mask_of_word>(longest, at, byte));
    }
  }
  CHECK(end_of_field_text("", 0) == 0);
  CHECK(end_of_field_text("\r\n\r\n", 1) == 1);
}
