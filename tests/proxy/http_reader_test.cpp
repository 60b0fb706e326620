#include "proxy/http_reader.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace icapgate;
using proxy::http_reader;
using head_status = http_reader::head_status;
using body_status = http_reader::body_status;
using http::body_framing;

namespace {

constexpr std::size_t max_head = 65536;

// A reader and the peer that it reads from.
struct connection : test::wire {
  explicit connection(std::size_t limit = max_head) : reader(stream(), blocks, limit) {}

  proxy::block_pool blocks;
  http_reader reader;
};

http::message_head framed(body_framing framing, std::uint64_t length = 0) {
  http::message_head head;
  head.framing = framing;
  head.content_length = length;
  return head;
}

std::string text(std::size_t size) {
  std::string bytes(size, 'x');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>('a' + i * 7 % 26 + i / 1000 % 5);
  return bytes;
}

// Reads the body into buffers of `room` bytes until there is nothing more to get now.
body_status drain(http_reader& reader, std::size_t room, std::string& body) {
  std::string memory(room, '\0');
  for (;;) {
    proxy::mutable_buffers into;
    into.push(asio::mutable_buffer(memory.data(), room / 2));
    into.push(asio::mutable_buffer(memory.data() + room / 2, room - room / 2));
    const auto got = reader.try_read_body(into);
    if (got.status != body_status::data) return got.status;
    REQUIRE(got.bytes > 0);
    REQUIRE(got.bytes <= room);
    body.append(memory, 0, got.bytes);
  }
}

std::string chunked(const std::string& body, std::size_t step) {
  std::string coded;
  for (std::size_t at = 0; at < body.size(); at += step) {
    const auto piece = body.substr(at, step);
    coded.append(chunk_size_line(piece.size()).view()).append(piece).append("\r\n");
  }
  return coded + "0\r\nX-Trailer: 1\r\n\r\n";
}

// The body of a message that comes in two parts, with another message behind it.
void read_in_two(body_framing framing, const std::string& coded, const std::string& body,
                 std::size_t split, std::size_t room) {
  CAPTURE(static_cast<int>(framing), split, room);
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  const std::string next = framing == body_framing::until_close ? "" : "HTTP/1.1 404 x\r\n\r\n";
  const auto all = head + coded + next;
  connection c;
  c.send(all.substr(0, head.size() + split));
  REQUIRE(c.reader.try_read_head() == head_status::complete);
  c.reader.begin_body(framed(framing, body.size()));
  std::string got;
  auto status = drain(c.reader, room, got);
  REQUIRE((status == body_status::would_block || status == body_status::end));
  c.send(all.substr(head.size() + split));
  if (framing == body_framing::until_close) c.hang_up();
  status = drain(c.reader, room, got);
  REQUIRE(status == body_status::end);
  REQUIRE(got == body);
  REQUIRE(c.reader.body_ended());
  REQUIRE(c.reader.head() == head);
  c.reader.finish_message();
  if (next.empty()) return;
  REQUIRE(c.reader.try_read_head() == head_status::complete);
  REQUIRE(c.reader.head() == next);
}

}  // namespace

TEST_CASE("reader: a head is the same wherever it is split") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const std::string blank : {"", "\r\n", "\r\n\r\n\r\n"}) {
    const auto all = blank + head;
    for (std::size_t split = 0; split < all.size(); ++split) {
      CAPTURE(blank, split);
      connection c;
      c.send(all.substr(0, split));
      CHECK(c.reader.try_read_head() == head_status::would_block);
      c.send(all.substr(split));
      REQUIRE(c.reader.try_read_head() == head_status::complete);
      CHECK(c.reader.head() == head);
      CHECK_FALSE(c.reader.has_input());
    }
  }
}

TEST_CASE("reader: a head that comes byte by byte, and the next one behind it") {
  const std::string head = "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
  connection c;
  for (int message = 0; message < 3; ++message) {
    for (std::size_t i = 0; i < head.size(); ++i) {
      CHECK(c.reader.try_read_head() == head_status::would_block);
      c.send(head.substr(i, 1));
    }
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    CHECK(c.reader.head() == head.substr(4));
    c.reader.begin_body(framed(body_framing::none));
    CHECK(c.reader.body_ended());
    c.reader.finish_message();
  }
}

TEST_CASE("reader: a head of any size up to the limit is read, and none above it") {
  for (const std::size_t limit : {1024u, 16384u, 20000u, 65536u}) {
    for (const std::size_t size : {limit - 1, limit, limit + 1, limit + 1000}) {
      for (const bool with_more : {false, true}) {
        CAPTURE(limit, size, with_more);
        connection c(limit);
        const auto head = text(size - 4) + "\r\n\r\n";
        const std::string more = with_more ? text(300) : "";
        c.send((head + more).substr(0, size / 2));
        CHECK(c.reader.try_read_head() == head_status::would_block);
        c.send((head + more).substr(size / 2));
        const auto status = c.reader.try_read_head();
        CHECK(status == (size <= limit ? head_status::complete : head_status::too_large));
        if (status != head_status::complete) continue;
        CHECK(c.reader.head() == head);
        c.reader.begin_body(framed(body_framing::length, more.size()));
        std::string body;
        drain(c.reader, 1000, body);
        CHECK(body == more);
      }
    }
  }
}

TEST_CASE("reader: a head without an end is given up at the limit, not later") {
  connection c(1024);
  c.send(text(1023));
  CHECK(c.reader.try_read_head() == head_status::would_block);
  c.send("x");
  CHECK(c.reader.try_read_head() == head_status::too_large);
}

TEST_CASE("reader: blank lines without an end are given up at the limit") {
  connection c(1024);
  std::string blank;
  for (int i = 0; i < 512; ++i) blank += "\r\n";
  c.send(blank);
  CHECK(c.reader.try_read_head() == head_status::would_block);
  CHECK_FALSE(c.reader.has_input());
  c.send("\r\n");
  CHECK(c.reader.try_read_head() == head_status::too_large);
}

TEST_CASE("reader: pipelined requests come out one by one") {
  std::string all;
  std::vector<std::string> heads;
  for (int i = 0; i < 500; ++i) {
    heads.push_back("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nX: " + text(i) +
                    "\r\n\r\n");
    all += heads.back();
    if (i % 3 == 0) all += "\r\n";
  }
  connection c;
  c.send(all);
  for (const auto& head : heads) {
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    REQUIRE(c.reader.head() == head);
    c.reader.begin_body(framed(body_framing::none));
    c.reader.finish_message();
  }
  CHECK(c.reader.try_read_head() == head_status::would_block);
}

TEST_CASE("reader: an interim head goes and leaves what follows it") {
  connection c;
  c.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody");
  for (const auto* status : {"100 Continue", "103 x", "200 OK"}) {
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    CHECK(c.reader.head() == "HTTP/1.1 " + std::string(status) + "\r\n\r\n");
    if (*status != '2') c.reader.next_head();
  }
  c.reader.begin_body(framed(body_framing::length, 4));
  std::string body;
  CHECK(drain(c.reader, 3, body) == body_status::end);
  CHECK(body == "body");
}

TEST_CASE("reader: a body of any framing is the same wherever it is split and whatever the room") {
  const auto body = text(150);
  for (const std::size_t room : {1u, 2u, 7u, 150u, 100000u}) {
    const auto coded = chunked(body, 40);
    for (std::size_t split = 0; split <= coded.size(); ++split)
      read_in_two(body_framing::chunked, coded, body, split, room);
    for (std::size_t split = 0; split <= body.size(); ++split) {
      read_in_two(body_framing::length, body, body, split, room);
      read_in_two(body_framing::until_close, body, body, split, room);
    }
  }
}

TEST_CASE("reader: what came of a body with its head goes away with the memory of both") {
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  const auto body = text(100);
  for (const auto framing : {body_framing::length, body_framing::until_close})
    for (const std::size_t early : {1u, 50u, 100u}) {
      CAPTURE(static_cast<int>(framing), early);
      connection c;
      c.send(head + body.substr(0, early));
      REQUIRE(c.reader.try_read_head() == head_status::complete);
      const auto seen = c.reader.head();
      c.reader.begin_body(framed(framing, body.size()));
      proxy::block taken;
      std::string got;
      c.reader.offer_early([&](proxy::block& memory, std::string_view first) {
        got = first;
        taken = std::move(memory);
        return true;
      });
      CHECK(got == body.substr(0, early));
      CHECK(seen == head);
      CHECK(c.reader.body_bytes() == early);
      c.send(body.substr(early));
      if (framing == body_framing::until_close) c.hang_up();
      CHECK(drain(c.reader, 1000, got) == body_status::end);
      CHECK(got == body);
    }
}

TEST_CASE("reader: the memory of a head stays where more is in it than the body's bytes") {
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  const auto is_offered = [](connection& c) {
    bool offered = false;
    c.reader.offer_early([&](proxy::block&, std::string_view) { return offered = true; });
    return offered;
  };
  {
    connection c;  // the next response is there as well
    c.send(head + "body" + head);
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::length, 4));
    CHECK_FALSE(is_offered(c));
  }
  {
    connection c;
    c.send(head + chunked("body", 4));
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::chunked));
    CHECK_FALSE(is_offered(c));
    std::string got;
    CHECK(drain(c.reader, 10, got) == body_status::end);
    CHECK(got == "body");
  }
  {
    connection c;  // nothing of the body is there
    c.send(head);
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::length, 4));
    CHECK_FALSE(is_offered(c));
  }
  {
    connection c;  // who does not take it leaves it to be read
    c.send(head + "body");
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::length, 4));
    c.reader.offer_early([](proxy::block&, std::string_view) { return false; });
    CHECK(c.reader.head() == head);
    std::string got;
    CHECK(drain(c.reader, 10, got) == body_status::end);
    CHECK(got == "body");
  }
}

TEST_CASE("reader: large bodies, in more reads than one") {
  const auto body = text(150000);
  for (const std::size_t room : {1000u, 16384u, 400000u}) {
    for (const std::size_t split : {0u, 1u, 16384u, 70000u}) {
      read_in_two(body_framing::length, body, body, split, room);
      read_in_two(body_framing::until_close, body, body, split, room);
      for (const std::size_t step : {17u, 16384u, 150000u})
        read_in_two(body_framing::chunked, chunked(body, step), body, split, room);
    }
  }
}

TEST_CASE("reader: a chunked body is followed by pipelined requests, all in one read") {
  const std::string head = "POST / HTTP/1.1\r\n\r\n";
  connection c;
  std::string all;
  for (int i = 0; i < 50; ++i) all += head + chunked(text(300), 100);
  c.send(all);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    REQUIRE(c.reader.head() == head);
    c.reader.begin_body(framed(body_framing::chunked));
    std::string body;
    REQUIRE(drain(c.reader, 64, body) == body_status::end);
    REQUIRE(body == text(300));
    c.reader.finish_message();
  }
  CHECK_FALSE(c.reader.has_input());
}

TEST_CASE("reader: the end stays the end") {
  connection c;
  c.send("HTTP/1.1 200 OK\r\n\r\n0\r\n\r\nmore");
  REQUIRE(c.reader.try_read_head() == head_status::complete);
  c.reader.begin_body(framed(body_framing::chunked));
  std::string body;
  for (int i = 0; i < 3; ++i) CHECK(drain(c.reader, 10, body) == body_status::end);
  CHECK(body.empty());
  CHECK(c.reader.has_input());
}

TEST_CASE("reader: a peer that goes away in the middle is no end of a message") {
  const auto body = text(20), coded = chunked(body, 8);
  for (std::size_t n = 0; n < coded.size(); ++n) {
    CAPTURE(n);
    connection c;
    c.send("HTTP/1.1 200 OK\r\n\r\n" + coded.substr(0, n));
    c.hang_up();
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::chunked));
    std::string got;
    CHECK(drain(c.reader, 5, got) == body_status::eof);
    CHECK(body.starts_with(got));
    CHECK_FALSE(c.reader.body_ended());
  }
  for (std::size_t n = 0; n < body.size(); ++n) {
    connection c;
    c.send("HTTP/1.1 200 OK\r\n\r\n" + body.substr(0, n));
    c.hang_up();
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::length, body.size()));
    std::string got;
    CHECK(drain(c.reader, 50, got) == body_status::eof);
    CHECK(got == body.substr(0, n));
    CHECK_FALSE(c.reader.body_ended());
  }
  const std::string head = "GET / HTTP/1.1\r\n\r\n";
  for (std::size_t n = 0; n < head.size(); ++n) {
    connection c;
    c.send(head.substr(0, n));
    c.hang_up();
    CHECK(c.reader.try_read_head() == head_status::eof);
    CHECK(c.reader.has_input() == (n > 0));
  }
}

TEST_CASE("reader: a body that is not the chunked coding is invalid and stays so") {
  for (const std::string coded :
       {"x\r\n", "5\r\nabcdeX", "-1\r\n", "5\nabcde\r\n", " 5\r\nabcde\r\n"}) {
    CAPTURE(coded);
    connection c;
    c.send("HTTP/1.1 200 OK\r\n\r\n" + coded);
    REQUIRE(c.reader.try_read_head() == head_status::complete);
    c.reader.begin_body(framed(body_framing::chunked));
    std::string body;
    CHECK(drain(c.reader, 100, body) == body_status::invalid);
    CHECK(drain(c.reader, 100, body) == body_status::invalid);
    CHECK_FALSE(c.reader.body_ended());
  }
}
