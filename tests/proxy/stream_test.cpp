#include "proxy/stream.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <thread>

namespace asio = boost::asio;
using namespace icapgate;
using proxy::milliseconds;
using proxy::task;
using namespace std::chrono_literals;

namespace {

template <class T>
T run(test::wire& w, task<T> one) {
  return test::run(w.context(), w.all(), std::move(one));
}

std::string received(int from) {
  std::string all(1 << 20, '\0');
  const auto n = ::recv(from, all.data(), all.size(), MSG_DONTWAIT);
  all.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return all;
}

class plain_deadline final : public proxy::deadline {
 public:
  using deadline::deadline;
  int fired = 0;

 private:
  void on_expired() override { ++fired; }
};

}  // namespace

TEST_CASE("stream: an attempt never waits and tells what came") {
  test::wire w;
  std::array<char, 8> memory{};
  CHECK(w.stream().try_read(asio::buffer(memory)).status == io_status::would_block);
  CHECK(w.stream().is_quiet());
  w.send("abc");
  CHECK_FALSE(w.stream().is_quiet());
  const auto got = w.stream().try_read(asio::buffer(memory));
  CHECK(got.status == io_status::ok);
  CHECK(std::string_view(memory.data(), got.bytes) == "abc");
  w.hang_up();
  CHECK_FALSE(w.stream().is_quiet());
  CHECK(w.stream().try_read(asio::buffer(memory)).status == io_status::eof);
  proxy::const_buffers out;
  out.push(std::string_view("x"));
  CHECK(w.stream().try_write(out).status == io_status::reset);
}

TEST_CASE("stream: a gathered write goes out whole, however slowly the peer reads") {
  test::wire w;
  const std::string large(8 << 20, 'x');
  proxy::const_buffers out;
  out.push(std::string_view("head "));
  out.push(std::string_view(large));
  out.push(std::string_view(" tail"));
  std::string all;
  std::thread reader([&] {
    std::string piece(100000, '\0');
    for (;;) {
      const auto n = ::recv(w.peer(), piece.data(), piece.size(), 0);
      if (n <= 0) break;
      all.append(piece, 0, static_cast<std::size_t>(n));
    }
  });
  const auto status = run(w, w.stream().write_all(out, 10s));
  w.stream().shutdown();
  reader.join();
  CHECK(status == io_status::ok);
  CHECK(all == "head " + large + " tail");
}

TEST_CASE("deadline: it wakes a read that waits for nothing") {
  test::wire w;
  w.stream().expires_after(1ms);
  CHECK(run(w, test::until_readable(w.stream())) == io_status::timed_out);
  CHECK(w.stream().expired());
  // From then on nothing waits at all.
  CHECK(run(w, test::until_readable(w.stream())) == io_status::timed_out);
  w.send("x");
  w.stream().expires_after(1h);
  CHECK_FALSE(w.stream().expired());
  CHECK(run(w, test::until_readable(w.stream())) == io_status::ok);
}

TEST_CASE("deadline: it wakes a write to a peer that reads nothing") {
  test::wire w;
  const std::string large(16 << 20, 'x');
  proxy::const_buffers out;
  out.push(std::string_view(large));
  CHECK(run(w, w.stream().write_all(out, 1ms)) == io_status::timed_out);
  CHECK_FALSE(received(w.peer()).empty());
}

TEST_CASE("deadline: zero means never, and takes an earlier time back") {
  asio::io_context context;
  int ticks = 0;
  proxy::deadlines* all = nullptr;
  proxy::deadlines these(context, [&] {
    if (++ticks == 5) all->stop();
  });
  all = &these;
  plain_deadline never(these), soon(these), taken_back(these), unset(these);
  never.expires_after(0ms);
  soon.expires_after(1ms);
  taken_back.expires_after(1ms);
  taken_back.expires_after(0ms);
  these.start();
  context.run();
  CHECK(ticks == 5);
  CHECK(soon.fired == 1);
  CHECK(soon.expired());
  for (const auto* d : {&never, &taken_back, &unset}) {
    CHECK(d->fired == 0);
    CHECK_FALSE(d->expired());
  }
}

TEST_CASE("deadline: never early") {
  asio::io_context context;
  proxy::deadlines all(context, [] {});
  struct timed final : proxy::deadline {
    timed(proxy::deadlines& its_all) : deadline(its_all), its(its_all) {}
    void on_expired() override {
      at = proxy::clock::now();
      its.stop();
    }
    proxy::deadlines& its;
    proxy::clock::time_point at;
  } one(all);
  all.start();
  const auto set = proxy::clock::now();
  one.expires_after(150ms);
  context.run();
  CHECK(one.at - set >= 150ms);
}

TEST_CASE("deadline: once all are given up, those that are set later expire at once") {
  test::wire w;
  plain_deadline before(w.all());
  before.expires_after(1h);
  w.all().expire_all();
  CHECK(before.fired == 1);
  before.expires_after(1h);
  CHECK(before.expired());
  CHECK(before.fired == 1);
  plain_deadline after(w.all());
  CHECK(after.fired == 0);
  after.expires_after(0ms);
  CHECK(after.fired == 1);
  CHECK(run(w, test::until_readable(w.stream())) == io_status::timed_out);
}

TEST_CASE("stream: a connection that is begun after all was given up does not begin") {
  test::wire w;
  w.all().expire_all();
  proxy::stream fresh(proxy::descriptor(), w.all());
  fresh.expires_after(1h);
  using asio::ip::tcp;
  tcp::acceptor peer(w.context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  CHECK(run(w, fresh.connect(peer.local_endpoint())) == asio::error::timed_out);
  boost::system::error_code ec;
  peer.non_blocking(true);
  peer.accept(ec);
  CHECK(ec == asio::error::would_block);
}

TEST_CASE("stream: the end of its sending half is seen by the other side, which may still send") {
  std::array<char, 8> memory{};
  test::wire w;
  w.stream().shutdown();
  CHECK(::recv(w.peer(), memory.data(), memory.size(), MSG_DONTWAIT) == 0);
  w.send("late");
  CHECK(w.stream().try_read(asio::buffer(memory)).bytes == 4);
}

TEST_CASE("buffers: consuming drops bytes from the front, across buffers") {
  for (std::size_t n = 0; n <= 7; ++n) {
    proxy::const_buffers list;
    for (const auto* part : {"ab", "", "cde", "fg"}) list.push(std::string_view(part));
    CHECK(list.bytes() == 7);
    list.consume(n);
    std::string left;
    for (const auto& b : list) left.append(static_cast<const char*>(b.data()), b.size());
    CHECK(left == std::string("abcdefg").substr(n));
    CHECK(list.empty() == (n == 7));
  }
}
