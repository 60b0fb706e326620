#include "base/text_writer.hpp"

#include "catch.hpp"

#include <cstdint>
#include <string>

using namespace icapgate;

TEST_CASE("text writer: what is put stands behind what was there, whatever the room") {
  const std::string piece(100, 'x');
  for (std::size_t room : {0, 1, 99, 100, 101, 1000}) {
    CAPTURE(room);
    std::string text = "before";
    {
      text_writer out(text, room);
      out.put("").put(piece).put({}).put_field("A", "b").put(piece);
    }
    CHECK(text == "before" + piece + "A: b\r\n" + piece);
  }
}

TEST_CASE("text writer: nothing put leaves the text as it was") {
  std::string text = "before";
  text_writer(text, 1000);
  CHECK(text == "before");
}

TEST_CASE("text writer: a number has its digits alone") {
  for (std::uint64_t number : {UINT64_C(0), UINT64_C(7), UINT64_C(10), UINT64_C(200), UINT64_MAX}) {
    std::string text;
    {
      text_writer out(text, 0);
      out.put_number(number);
    }
    CHECK(text == std::to_string(number));
  }
}
