// What is true of an origin's connection once its response has begun.
#include "proxy/origin_client.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <array>
#include <string>

using namespace icapgate;

namespace {

// An origin whose socket takes one more write: it does not read.
struct full_origin {
  explicit full_origin(test::wire& client) {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const std::string filler(4096, 'x');
    while (::send(ends[0], filler.data(), filler.size(), MSG_DONTWAIT) > 0) continue;
    std::string taken(2 * filler.size(), '\0');
    REQUIRE(::recv(ends[1], taken.data(), taken.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(taken.size()));
    connection = std::make_unique<proxy::origin_connection>(
        std::make_unique<proxy::stream>(proxy::descriptor(ends[0]), client.all()), blocks, 65536);
  }
  ~full_origin() { ::close(ends[1]); }

  std::array<int, 2> ends{};
  proxy::block_pool blocks;
  std::unique_ptr<proxy::origin_connection> connection;
};

}  // namespace

TEST_CASE("origin exchange: a request whose last chunk is unsent was not sent") {
  test::wire client;
  full_origin origin(client);
  // Larger than the room that is left: the kernel takes it whole, and nothing after it.
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3a98\r\n" +
              std::string(15000, 'b') + "\r\n0\r\n\r\n");
  const std::string_view early = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  REQUIRE(::send(origin.ends[1], early.data(), early.size(), 0) ==
          static_cast<ssize_t>(early.size()));

  proxy::block_pool blocks;
  proxy::http_reader reader(client.stream(), blocks, 65536);
  REQUIRE(reader.try_read_head() == proxy::http_reader::head_status::complete);
  http::request_head request;
  REQUIRE(http::parse_request(reader.head(), request) == errc::complete);
  reader.begin_body(request);
  const config settings;
  proxy::client_watch watch(client.all(), client.stream(), nullptr);
  proxy::origin_exchange exchange(*origin.connection, reader, request, {}, settings,
                                  settings.limits, watch, false);
  http::response_head response;
  errc outcome = errc::gateway_internal;
  proxy::start(client.context(), exchange.run(response),
               [&](const std::exception_ptr&, errc reason) { outcome = reason; });
  client.context().run();
  CHECK(outcome == errc::complete);
  CHECK(reader.body_ended());
  CHECK(exchange.body_bytes() == 15000);
  // The origin would take what is sent next on this connection for the rest of this request.
  CHECK_FALSE(exchange.request_sent());
}
