#include "proxy/scan.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <string>
#include <string_view>

using namespace icapgate;
using namespace icapgate::proxy;

namespace {

const std::string spool_dir = "/tmp";

http::message_head with_length(std::uint64_t length) {
  http::message_head head;
  head.framing = http::body_framing::length;
  head.content_length = length;
  return head;
}

// Deflate data of nothing, much of it, and three bytes in the end.
std::string much_of_little() {
  std::string out;
  for (int i = 0; i < 1'000'000; ++i) out.append("\0\0\0\xff\xff", 5);
  return out.append("\1\3\0\xfc\xff", 5).append("abc");
}

// Reads what the gateway has sent so far.
void take_request(int from, std::string& into) {
  std::string piece(65536, '\0');
  const auto got = ::recv(from, piece.data(), piece.size(), MSG_DONTWAIT);
  if (got > 0) into.append(piece, 0, static_cast<std::size_t>(got));
}

}  // namespace

TEST_CASE("scan: a body that is long to decode and gives little lets others have their turn") {
  test::wire scanner;
  auto& all = scanner.all();
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const descriptor origin_end(ends[1]);
  stream origin(descriptor(ends[0]), all);

  block_pool blocks;
  spool_budget budget(64 << 20, 0);
  body_spool body(blocks, budget, 16 << 20, spool_dir), decoded(blocks, budget, 1 << 20, spool_dir),
      adapted(blocks, budget, 1 << 20, spool_dir);
  http_reader reader(origin, blocks, 1024);
  reader.begin_body(with_length(1));
  body_intake intake(reader, body, {milliseconds(10'000)});
  intake.decode({content_coding::deflate}, decoded);
  // All but the last byte of it is there already.
  const auto encoded = much_of_little();
  const_buffers most;
  most.push(std::string_view(encoded).substr(0, encoded.size() - 1));
  intake.copy(most);
  REQUIRE(::send(origin_end.number(), "c", 1, MSG_NOSIGNAL) == 1);

  const config settings;
  scan one(scanner.stream(), blocks, intake, adapted, settings);
  int turns = 0;
  std::string request;
  const auto other = [&]() -> task<void> {
    for (; !request.ends_with("\r\n3\r\nabc\r\n0\r\n\r\n"); ++turns) {
      take_request(scanner.peer(), request);
      co_await origin.wait_writable();
    }
    scanner.send("ICAP/1.0 204 No Content\r\n\r\n");
  };
  start(scanner.context(), other(), unwatched);
  icap::exchange_request asked;
  asked.uri = "icap://scanner/avscan";
  CHECK(test::run(scanner.context(), all, one.run(asked)) == errc::complete);
  CHECK(one.reusable());
  CHECK(turns >= 8);
}
