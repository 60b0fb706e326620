// Bodies that are relayed as they come: pipes, pieces, and the way to the client.
#include "proxy/relay_piece.hpp"

#include "catch.hpp"
#include "proxy/client_writer.hpp"
#include "wire.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace asio = boost::asio;
using namespace icapgate;
using http::body_framing;
using proxy::pipe_pool;
using proxy::relay_piece;
using body_status = proxy::http_reader::body_status;
using namespace std::chrono_literals;

namespace {

bool is_open(int descriptor) {
  return ::fcntl(descriptor, F_GETFD) >= 0;
}

std::string text(std::size_t size) {
  std::string bytes(size, 'x');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>('a' + i * 7 % 26 + i / 1000 % 5);
  return bytes;
}

std::string joined(const proxy::const_buffers& parts) {
  std::string all;
  for (const auto& part : parts) all.append(static_cast<const char*>(part.data()), part.size());
  return all;
}

// Takes out of the pipe what is in it.
std::string drained(proxy::pipe& from) {
  if (from.bytes() == 0) return {};
  std::string all(from.bytes(), '\0');
  REQUIRE(::read(from.out(), all.data(), all.size()) == static_cast<ssize_t>(all.size()));
  from.gave(all.size());
  return all;
}

// Descriptors may not be opened while it lives.
class no_more_descriptors {
 public:
  no_more_descriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit none{0, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~no_more_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// A reader behind a response's head, and the origin that it reads from.
struct origin : test::wire {
  origin(body_framing framing, std::uint64_t length, std::string_view early = {})
      : reader(stream(), blocks, 65536) {
    send("HTTP/1.1 200 OK\r\n\r\n" + std::string(early));
    REQUIRE(reader.try_read_head() == proxy::http_reader::head_status::complete);
    http::message_head head;
    head.framing = framing;
    head.content_length = length;
    reader.begin_body(head);
  }

  proxy::block_pool blocks;
  proxy::http_reader reader;
};

// Reads all of what comes to `from`, until its end.
std::string read_all(int from) {
  std::string all;
  std::string piece(100'000, '\0');
  for (;;) {
    const auto n = ::recv(from, piece.data(), piece.size(), 0);
    if (n <= 0) return all;
    all.append(piece, 0, static_cast<std::size_t>(n));
  }
}

// A client, and the body that goes to it out of a pipe.
struct delivery : test::wire {
  delivery() : writer(stream(), blocks, settings) { pipe = pipes.acquire(); }

  void fill(std::string_view bytes) {
    REQUIRE(::write(pipe.in(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    pipe.took(bytes.size());
  }
  errc send(std::string_view first = {}) {
    proxy::const_buffers bytes;
    bytes.push(first);
    return test::run(context(), all(), writer.send(bytes, pipe));
  }

  config settings;
  proxy::block_pool blocks;
  proxy::client_writer writer;
  pipe_pool pipes;
  proxy::pipe pipe;
};

}  // namespace

// --- pipes

TEST_CASE("pipes: an empty one is lent again, one that holds bytes is closed") {
  pipe_pool pool;
  int in = -1;
  {
    const auto one = pool.acquire();
    REQUIRE(one);
    in = one.in();
  }
  {
    auto again = pool.acquire();
    CHECK(again.in() == in);
    REQUIRE(::write(again.in(), "left", 4) == 4);
    again.took(4);
  }
  CHECK_FALSE(is_open(in));
  char byte;
  const auto fresh = pool.acquire();
  CHECK(::read(fresh.out(), &byte, 1) < 0);
  CHECK(errno == EAGAIN);
}

TEST_CASE("pipes: so many are lent at most, and few are kept at rest") {
  pipe_pool pool;
  std::vector<proxy::pipe> all;
  for (std::size_t i = 0; i < pipe_pool::max_open; ++i) {
    all.push_back(pool.acquire());
    REQUIRE(all.back());
    CHECK(::fcntl(all.back().in(), F_GETPIPE_SZ) >= static_cast<int>(pipe_pool::room));
  }
  CHECK_FALSE(pool.acquire());
  std::vector<int> ends;
  for (const auto& one : all) ends.push_back(one.in());
  all.pop_back();
  CHECK(pool.acquire());
  all.clear();
  const auto still_open = [&] { return std::count_if(ends.begin(), ends.end(), is_open); };
  CHECK(still_open() == pipe_pool::max_open);
  pool.rest();
  CHECK(still_open() == pipe_pool::max_at_rest);
}

TEST_CASE("pipes: where the system gives none it is not asked again before a rest") {
  pipe_pool pool;
  {
    const no_more_descriptors full;
    CHECK_FALSE(pool.acquire());
  }
  CHECK_FALSE(pool.acquire());
  pool.rest();
  CHECK(pool.acquire());
}

// --- pieces

TEST_CASE("relay: what came with the head is not copied") {
  origin from(body_framing::length, 5, "early, and the next response");
  CHECK(from.reader.take_early() == "early");
  CHECK(from.reader.body_ended());
  CHECK(from.reader.body_bytes() == 5);
  CHECK(from.reader.take_early().empty());
  from.reader.finish_message();
  CHECK(from.reader.has_input());
}

TEST_CASE("relay: pieces that are there go together") {
  for (const auto form : {body_framing::length, body_framing::until_close}) {
    pipe_pool pipes;
    origin from(form, 30'000, "abc");
    from.send(text(20'000));
    relay_piece first;
    CHECK(first.take(from.reader, nullptr) == body_status::would_block);
    CHECK(joined(first.bytes()) == "abc" + text(20'000));
    CHECK(from.reader.body_bytes() == 20'003);
    relay_piece none;
    CHECK(none.take(from.reader, nullptr) == body_status::would_block);
    CHECK(none.size() == 0);
  }
  origin coded(body_framing::chunked, 0, "3\r\nabc\r\n2\r\nde\r\n");
  coded.send("5\r\nfghij\r\n0\r\n\r\n");
  pipe_pool pipes;
  relay_piece all;
  CHECK(all.take(coded.reader, &pipes) == body_status::data);
  CHECK(joined(all.bytes()) == "abcdefghij");
  CHECK(coded.reader.body_ended());
}

TEST_CASE("relay: a large body goes through a pipe, and not a byte behind it") {
  pipe_pool pipes;
  const auto body = text(150'000);
  origin from(body_framing::length, body.size(), body.substr(0, 100));
  from.send(body.substr(100) + "more");
  relay_piece piece;
  CHECK(piece.take(from.reader, &pipes) == body_status::data);
  CHECK(joined(piece.bytes()) == body.substr(0, 100));
  CHECK(piece.size() == body.size());
  CHECK(drained(piece.piped()) == body.substr(100));
  CHECK(from.reader.body_ended());
  CHECK(from.reader.body_bytes() == body.size());
  CHECK_FALSE(from.stream().is_quiet());
}

TEST_CASE("relay: through memory where there is no pipe, or little is left") {
  pipe_pool pipes;
  const auto body = text(50'000);
  {
    const no_more_descriptors full;
    CHECK_FALSE(pipes.acquire());
  }
  origin from(body_framing::length, body.size());
  from.send(body);
  relay_piece piece;
  CHECK(piece.take(from.reader, &pipes) == body_status::data);
  CHECK(joined(piece.bytes()) == body);
  pipes.rest();
  origin little(body_framing::length, 100);
  little.send(text(100));
  relay_piece small;
  CHECK(small.take(little.reader, &pipes) == body_status::data);
  CHECK(joined(small.bytes()) == text(100));
}

TEST_CASE("relay: an end in the middle of a counted body is told apart from one that is the end") {
  pipe_pool pipes;
  for (const bool piped : {true, false}) {
    INFO(piped);
    const auto by = piped ? &pipes : nullptr;
    origin cut(body_framing::length, 100'000);
    cut.send(text(50'000));
    cut.hang_up();
    relay_piece piece;
    if (piped) {
      CHECK(piece.take(cut.reader, by) == body_status::data);
      drained(piece.piped());
    } else {
      CHECK(piece.take(cut.reader, by) == body_status::eof);
      CHECK(joined(piece.bytes()) == text(50'000));
    }
    relay_piece nothing;
    CHECK(nothing.take(cut.reader, by) == body_status::eof);
    CHECK_FALSE(cut.reader.body_ended());

    origin whole(body_framing::until_close, 0);
    whole.send(text(50'000));
    whole.hang_up();
    std::string all;
    while (!whole.reader.body_ended()) {
      relay_piece next;
      const auto came = next.take(whole.reader, by);
      CHECK((came == body_status::data || came == body_status::end));
      all += joined(next.bytes()) + drained(next.piped());
    }
    CHECK(all == text(50'000));
  }
}

TEST_CASE("relay: a reset is never the end of a body") {
  pipe_pool pipes;
  for (const bool piped : {true, false}) {
    INFO(piped);
    origin from(body_framing::until_close, 0);
    REQUIRE(::send(from.stream().number(), "unread", 6, 0) == 6);
    from.hang_up();
    relay_piece piece;
    CHECK(piece.take(from.reader, piped ? &pipes : nullptr) == body_status::reset);
    CHECK_FALSE(from.reader.body_ended());
  }
}

// --- to the client

TEST_CASE("client: head, bytes and pipe arrive in that order, however slowly it reads") {
  delivery to;
  to.writer.begin(200, false) = "head ";
  const auto large = text(200'000);
  std::string got;
  std::thread reader([&] { got = read_all(to.peer()); });
  std::string expected = "head ";
  for (int step = 0; step < 20; ++step) {
    to.fill(large);
    CHECK(to.send("first ") == errc::complete);
    CHECK(to.pipe.bytes() == 0);
    expected += "first " + large;
  }
  to.stream().shutdown();
  reader.join();
  CHECK(got == expected);
  CHECK(to.writer.sent_bytes() == expected.size());
}

TEST_CASE("client: one that takes nothing more out of a pipe is cut in time") {
  delivery to;
  to.settings.client.progress = 1ms;
  proxy::client_writer writer(to.stream(), to.blocks, to.settings);
  proxy::const_buffers none;
  auto reason = errc::complete;
  std::uint64_t filled = 0;
  while (reason == errc::complete) {
    to.fill(text(200'000));
    filled += 200'000;
    reason = test::run(to.context(), to.all(), writer.send(none, to.pipe));
  }
  CHECK(reason == errc::client_write_timeout);
  CHECK(writer.is_cut());
  CHECK(writer.sent_bytes() == filled - to.pipe.bytes());
}

TEST_CASE("client: one that left is told as such where a pipe is written") {
  delivery to;
  to.hang_up();
  to.fill(text(1000));
  CHECK(to.send() == errc::client_write_failed);
  CHECK(to.writer.is_cut());
  CHECK(to.writer.sent_bytes() == 0);
}
