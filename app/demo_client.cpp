#include "demo_client.hpp"

#include "embedded/detector.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/none.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>

namespace icapgate {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr auto use_op = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds patience{60};
constexpr std::size_t max_beginning = 4096;

using error_code = boost::system::error_code;
using parser = http::response_parser<http::buffer_body>;

asio::awaitable<error_code> ask(beast::tcp_stream& stream, std::uint16_t port,
                                std::string_view target) {
  const tcp::endpoint to(asio::ip::address_v4::loopback(), port);
  auto [refused] = co_await stream.async_connect(to, use_op);
  if (refused) co_return refused;
  http::request<http::empty_body> request(http::verb::get, {target.data(), target.size()}, 11);
  request.set(http::field::host, "127.0.0.1:" + std::to_string(port));
  request.set(http::field::user_agent, "icapgate-demo");
  request.keep_alive(false);
  auto [error, count] = co_await http::async_write(stream, request, use_op);
  co_return error;
}

// Reads the body in pieces: it need not fit in memory.
asio::awaitable<error_code> read_body(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                      parser& response, fetched& into) {
  embedded::sha256 digest;
  std::array<char, 65536> piece;
  error_code result;
  while (!result && !response.is_done()) {
    auto& body = response.get().body();
    body.data = piece.data();
    body.size = piece.size();
    auto [error, count] = co_await http::async_read(stream, buffer, response, use_op);
    const std::string_view got(piece.data(), piece.size() - body.size);
    digest.update(got);
    into.bytes += got.size();
    into.beginning += got.substr(0, max_beginning - std::min(max_beginning, into.beginning.size()));
    if (error != http::error::need_buffer) result = error;
  }
  into.sha256 = digest.hex();
  co_return result;
}

asio::awaitable<void> fetch_into(fetched& into, std::uint16_t port, std::string_view target) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(patience);
  error_code error = co_await ask(stream, port, target);
  if (!error) {
    beast::flat_buffer buffer;
    parser response;
    response.body_limit(boost::none);
    auto [head_error, count] = co_await http::async_read_header(stream, buffer, response, use_op);
    error = head_error;
    if (!error) {
      into.status = response.get().result_int();
      error = co_await read_body(stream, buffer, response, into);
    }
  }
  if (error) into.error = error.message();
}

}  // namespace

fetched fetch(std::uint16_t port, std::string_view target) {
  fetched result;
  asio::io_context context(1);
  asio::co_spawn(context, fetch_into(result, port, target), [&](std::exception_ptr failure) {
    if (failure) result.error = "out of memory, or a mistake in the program";
  });
  context.run();
  return result;
}

}  // namespace icapgate
