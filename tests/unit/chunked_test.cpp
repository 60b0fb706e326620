#include "base/chunked.hpp"

#include "catch.hpp"

#include <limits>
#include <string>

using namespace icapgate;
using namespace std::string_literals;
using event = chunk_decoder::event;

namespace {

struct decoded {
  event last = event::need_input;
  std::string body, extension, trailers, left;
};

// Gives the decoder pieces of `size` bytes; stops where it stops.
decoded decode(std::string_view wire, std::size_t size) {
  chunk_decoder decoder;
  decoded out;
  while (!wire.empty()) {
    std::string_view input = wire.substr(0, size);
    wire.remove_prefix(input.size());
    do {
      std::string_view data;
      out.last = decoder.next(input, data);
      out.body += data;
    } while (out.last == event::data);
    if (out.last != event::need_input) {
      out.left = std::string(input) + std::string(wire);
      break;
    }
  }
  if (out.last == event::complete) {
    out.extension = decoder.last_extension();
    out.trailers = decoder.trailers();
  }
  return out;
}

// Whole and in pieces of 1, 2, 3, 5 bytes: one outcome.
decoded decode(std::string_view wire) {
  const decoded whole = decode(wire, std::string_view::npos);
  for (const std::size_t size : {1u, 2u, 3u, 5u}) {
    CAPTURE(size, std::string(wire.substr(0, 200)));
    const decoded pieces = decode(wire, size);
    CHECK(pieces.last == whole.last);
    CHECK(pieces.body == whole.body);
    CHECK(pieces.extension == whole.extension);
    CHECK(pieces.trailers == whole.trailers);
    if (whole.last == event::complete) CHECK(pieces.left == whole.left);
  }
  return whole;
}

}  // namespace

TEST_CASE("chunked: a body of two chunks is decoded and what follows is left") {
  const auto out = decode("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nICAP/1.0");
  CHECK(out.last == event::complete);
  CHECK(out.body == "hello world");
  CHECK(out.left == "ICAP/1.0");
  CHECK(out.extension.empty());
  CHECK(out.trailers.empty());
}

TEST_CASE("chunked: data are views into the input") {
  chunk_decoder decoder;
  const std::string wire = "5\r\nhello\r\n";
  std::string_view input = wire, data;
  REQUIRE(decoder.next(input, data) == event::data);
  CHECK(data.data() == wire.data() + 3);
  CHECK(data.size() == 5);
}

TEST_CASE("chunked: an empty body is complete at the last chunk") {
  CHECK(decode(last_chunk).last == event::complete);
  CHECK(decode("000\r\n\r\n").last == event::complete);
  CHECK(decode("0\r\n").last == event::need_input);
}

TEST_CASE("chunked: sizes in either case with leading zeros are read") {
  const std::string data(0xaB, 'x');
  CHECK(decode("00aB\r\n" + data + "\r\n0\r\n\r\n").body == data);
}

TEST_CASE("chunked: only the last chunk's extension is kept, without the blanks around it") {
  const auto out = decode("1;a=b\r\nx\r\n0 \t; use-original-body=42 \r\n\r\n");
  CHECK(out.last == event::complete);
  CHECK(out.extension == "use-original-body=42");
  CHECK(decode("0;ieof\r\n\r\n").extension == "ieof");
  CHECK(decode("1;a=b\r\nx\r\n0\r\n\r\n").extension.empty());
}

TEST_CASE("chunked: trailers are kept as they came") {
  const auto out = decode("0\r\nX-Infection-Found: yes\r\nB:c\r\n\r\nrest");
  CHECK(out.last == event::complete);
  CHECK(out.trailers == "X-Infection-Found: yes\r\nB:c\r\n");
  CHECK(out.left == "rest");
}

TEST_CASE("chunked: what is not a chunk-size line is refused") {
  for (const std::string bad :
       {"\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1_0\r\n", "1\n",
        "1x\r\n", "1;a\n", "1\rx", ";ieof\r\n", "g\r\n", "1 2\r\n"}) {
    CAPTURE(bad);
    CHECK(decode(bad).last == event::invalid);
  }
  CHECK(decode("1;a\0b\r\n"s).last == event::invalid);
  CHECK(decode("\0"s).last == event::invalid);
}

TEST_CASE("chunked: a chunk that is longer or shorter than its size is refused") {
  CHECK(decode("1\r\nxy\r\n").last == event::invalid);
  CHECK(decode("3\r\nxy\r\n0\r\n\r\n").last == event::invalid);
  CHECK(decode("1\r\nx\n").last == event::invalid);
  CHECK(decode("1\r\nx\r\r").last == event::invalid);
}

TEST_CASE("chunked: sizes over 63 bits are refused before any data") {
  CHECK(decode("7fffffffffffffff\r\nab").last == event::need_input);
  CHECK(decode("7fffffffffffffff\r\nab").body == "ab");
  CHECK(decode("8000000000000000\r\n").last == event::invalid);
  CHECK(decode("ffffffffffffffff\r\n").last == event::invalid);
  CHECK(decode("00000000000000001\r\n").last == event::invalid);
}

TEST_CASE("chunked: an endless chunk-size line is cut at its limit") {
  const std::string room(chunk_decoder::max_line - 2, 'a');
  CHECK(decode("0;" + room + "\r\n\r\n").last == event::complete);
  CHECK(decode("0;" + room + "a").last == event::invalid);
  CHECK(decode("0;" + std::string(1 << 20, ' '), std::string_view::npos).last == event::invalid);
}

TEST_CASE("chunked: an endless trailer section is cut at its limit") {
  const std::string room(chunk_decoder::max_trailers - 4, 'a');
  CHECK(decode("0\r\nx:" + room + "\r\n\r\n").last == event::complete);
  CHECK(decode("0\r\nx:" + room + "a\r\n\r\n").last == event::invalid);
  std::string many = "0\r\n";
  for (int i = 0; i < 8000; ++i) many += "a:\r\n";
  CHECK(decode(many).last == event::invalid);
}

TEST_CASE("chunked: trailers with bare line ends or control characters are refused") {
  CHECK(decode("0\r\na: b\n\r\n").last == event::invalid);
  CHECK(decode("0\r\na: b\rc: d\r\n\r\n").last == event::invalid);
  CHECK(decode("0\r\n\n").last == event::invalid);
  CHECK(decode("0\r\na:\0\r\n\r\n"s).last == event::invalid);
}

TEST_CASE("chunked: a trailer line is a field") {
  for (const std::string line : {"a", "a b: c", "a : b", " a: b", ": b", "\ta: b", "a\xe9: b"})
    CHECK(decode("0\r\nx: y\r\n" + line + "\r\n\r\n").last == event::invalid);
  CHECK(decode("0\r\nA-1.~:\r\nb:\xe9\tc\r\n\r\n").last == event::complete);
}

TEST_CASE("chunked: extensions may be as long as the data, and little longer") {
  const std::string extension = ";" + std::string(1000, 'a');
  std::string few, many, large;
  for (int i = 0; i < 16; ++i) few += "1" + extension + "\r\nx\r\n";
  for (int i = 0; i < 17; ++i) many += "1" + extension + "\r\nx\r\n";
  for (int i = 0; i < 50; ++i)
    large += "400" + extension + "\r\n" + std::string(1024, 'x') + "\r\n";
  CHECK(decode(few + "0\r\n\r\n").last == event::complete);
  CHECK(decode(many + "0\r\n\r\n").last == event::invalid);
  CHECK(decode(large + "0\r\n\r\n").last == event::complete);
}

TEST_CASE("chunked: complete and invalid are final until a reset") {
  chunk_decoder decoder;
  std::string_view data, input = "0;x\r\nt: 1\r\n\r\nnext";
  REQUIRE(decoder.next(input, data) == event::complete);
  REQUIRE(decoder.next(input, data) == event::complete);
  CHECK(input == "next");
  decoder.reset();
  CHECK(decoder.next(input, data) == event::invalid);
  input = "0\r\n\r\n";
  CHECK(decoder.next(input, data) == event::invalid);
  CHECK(input == "0\r\n\r\n");
  decoder.reset();
  CHECK(decoder.next(input, data) == event::complete);
  CHECK(decoder.last_extension().empty());
  CHECK(decoder.trailers().empty());
}

TEST_CASE("chunked: a size line is hexadecimal digits and CRLF") {
  CHECK(chunk_size_line(1).view() == "1\r\n");
  CHECK(chunk_size_line(0x12ab).view() == "12ab\r\n");
  CHECK(chunk_size_line(std::numeric_limits<std::uint64_t>::max()).view() ==
        "ffffffffffffffff\r\n");
}
