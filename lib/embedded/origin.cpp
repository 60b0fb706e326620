#include "embedded/origin.hpp"

#include "embedded/detector.hpp"
#include "embedded/loopback_server.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/optional/optional.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace icapgate::embedded {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::size_t block_size = 65536;  // of /large.bin
constexpr std::size_t max_head = 16384;
constexpr std::size_t max_body = 65536;  // of a request

// A small body is read and ignored, so that a refused POST gets its answer.
using request = http::request<http::string_body>;

std::string clean_text() {
  std::string text = "A clean file: nothing in here is for a scanner to find.\n";
  for (int line = 1; line <= 20; ++line) text += "line " + std::to_string(line) + "\n";
  return text;
}

std::string index_page(std::uint64_t large_size) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<title>icapgate demo</title></head>\n<body><h1>The demo's origin</h1>\n<ul>\n"
         "<li><a href=\"/clean.txt\">clean.txt</a>: a clean file</li>\n"
         "<li><a href=\"/eicar.com\">eicar.com</a>: the EICAR test file, harmless, made to be found"
         "</li>\n<li><a href=\"/large.bin\">large.bin</a>: clean, " +
         std::to_string(large_size) + " bytes</li>\n</ul>\n</body></html>\n";
}

struct file {
  http::status status;
  std::string_view type;
  std::string text;
};

file find_file(std::string_view path, std::uint64_t large_size) {
  using http::status;
  if (path == "/") return {status::ok, "text/html; charset=utf-8", index_page(large_size)};
  if (path == "/clean.txt") return {status::ok, "text/plain; charset=utf-8", clean_text()};
  if (path == "/eicar.com") return {status::ok, "application/octet-stream", eicar_text()};
  return {status::not_found, "text/plain; charset=utf-8", "There is no such file here.\n"};
}

// Fills one block of the large file. SplitMix64 of the position: the same bytes each time, and
// nothing that compresses.
void fill_block(std::uint64_t position, std::vector<char>& block) {
  for (std::size_t i = 0; i < block.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t z = (position + i) * 0x9e3779b97f4a7c15u + 0x1234567u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    std::memcpy(block.data() + i, &z, sizeof z);
  }
}

template <class Body>
http::response<Body> respond(const request& asked, http::status status, std::string_view type) {
  http::response<Body> response(status, 11);
  response.set(http::field::server, "icapgate-demo-origin");
  response.set(http::field::content_type, type);
  response.keep_alive(asked.keep_alive());
  return response;
}

asio::awaitable<bool> send_large_body(connection& peer, std::uint64_t size) {
  std::vector<char> block(block_size);
  for (std::uint64_t sent = 0; sent < size;) {
    fill_block(sent, block);
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(block_size, size - sent));
    auto [error, count] =
        co_await asio::async_write(peer.socket, asio::buffer(block.data(), length), use_op);
    if (error) co_return false;
    peer.touch();
    sent += length;
  }
  co_return true;
}

asio::awaitable<bool> send_large(connection& peer, const request& asked, std::uint64_t size) {
  auto response = respond<http::empty_body>(asked, http::status::ok, "application/octet-stream");
  response.content_length(size);
  http::response_serializer<http::empty_body> serializer(response);
  auto [error, count] = co_await http::async_write_header(peer.socket, serializer, use_op);
  if (error) co_return false;
  if (asked.method() == http::verb::head) co_return true;
  co_return co_await send_large_body(peer, size);
}

asio::awaitable<bool> send_small(connection& peer, const request& asked, file found) {
  auto response = respond<http::string_body>(asked, found.status, found.type);
  response.body() = std::move(found.text);
  response.prepare_payload();
  http::response_serializer<http::string_body> serializer(response);
  boost::system::error_code error;
  if (asked.method() == http::verb::head) {
    auto [ec, count] = co_await http::async_write_header(peer.socket, serializer, use_op);
    error = ec;
  } else {
    auto [ec, count] = co_await http::async_write(peer.socket, serializer, use_op);
    error = ec;
  }
  co_return !error;
}

asio::awaitable<bool> serve_one(connection& peer, const request& asked, std::uint64_t large_size) {
  const std::string_view target(asked.target().data(), asked.target().size());
  const auto path = target.substr(0, target.find('?'));
  const bool reads = asked.method() == http::verb::get || asked.method() == http::verb::head;
  if (!reads) {
    file refusal{http::status::method_not_allowed, "text/plain", "Only GET and HEAD.\n"};
    co_return co_await send_small(peer, asked, std::move(refusal));
  }
  if (path == "/large.bin") co_return co_await send_large(peer, asked, large_size);
  file found = find_file(path, large_size);
  co_return co_await send_small(peer, asked, std::move(found));
}

asio::awaitable<void> serve(connection& peer, std::uint64_t large_size) {
  boost::beast::flat_buffer buffer(max_head + max_body);
  for (bool open = true; open;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(max_head);
    parser.body_limit(max_body);
    auto [error, count] = co_await http::async_read(peer.socket, buffer, parser, use_op);
    if (error) co_return;
    peer.touch();
    const bool sent = co_await serve_one(peer, parser.get(), large_size);
    peer.touch();
    open = sent && parser.get().keep_alive();
  }
}

}  // namespace

class origin::impl {
 public:
  explicit impl(std::uint64_t large_size)
      : server_("demo origin", [large_size](connection& peer) { return serve(peer, large_size); }) {
  }

  loopback_server& server() { return server_; }

 private:
  loopback_server server_;
};

origin::origin(std::uint64_t large_size) : impl_(std::make_unique<impl>(large_size)) {}

origin::~origin() = default;

std::uint16_t origin::port() const {
  return impl_->server().port();
}

void origin::stop() {
  impl_->server().stop();
}

}  // namespace icapgate::embedded
