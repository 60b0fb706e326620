#include "proxy/admin.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace icapgate::proxy {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr milliseconds patience{10'000};
constexpr std::uint32_t max_head = 8192;

http::response<http::string_body> answer(const admin_source& source, http::verb method,
                                         std::string_view target) {
  http::response<http::string_body> response;
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  const auto tell = [&](bool good) {
    response.result(good ? http::status::ok : http::status::service_unavailable);
    response.body() = good ? "ok\n" : "no\n";
  };
  if (method != http::verb::get && method != http::verb::head) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, HEAD");
  } else if (target == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = source.metrics();
  } else if (target == "/status") {
    response.set(http::field::content_type, "application/json");
    response.body() = source.status();
  } else if (target == "/livez") {
    tell(source.live());
  } else if (target == "/readyz") {
    tell(source.ready());
  } else {
    response.result(http::status::not_found);
    response.body() = "There are /metrics, /status, /livez and /readyz.\n";
  }
  return response;
}

}  // namespace

admin::admin(asio::io_context& context, asio::ip::tcp::acceptor acceptor, admin_source source)
    : context_(context), acceptor_(std::move(acceptor)), source_(std::move(source)) {}

void admin::start() {
  proxy::start(context_, accept(), unwatched);
}

void admin::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

task<void> admin::accept() {
  while (acceptor_.is_open()) {
    auto [ec, client] = co_await acceptor_.async_accept(use_op);
    if (ec && acceptor_.is_open()) {
      asio::steady_timer pause(acceptor_.get_executor(), milliseconds(100));
      co_await pause.async_wait(use_op);
    }
    if (ec) continue;
    proxy::start(context_, serve(std::move(client)), unwatched);
  }
}

task<void> admin::serve(asio::ip::tcp::socket client) {
  beast::tcp_stream stream(std::move(client));
  beast::flat_buffer buffer(max_head);
  bool keep_alive = true;
  while (keep_alive) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(max_head);
    parser.body_limit(0);
    stream.expires_after(patience);
    const auto [read_failure, received] = co_await http::async_read(stream, buffer, parser, use_op);
    if (read_failure) break;
    const auto& request = parser.get();
    auto response =
        answer(source_, request.method(), {request.target().data(), request.target().size()});
    keep_alive = request.keep_alive() && acceptor_.is_open();
    response.keep_alive(keep_alive);
    response.prepare_payload();
    if (request.method() == http::verb::head) response.body().clear();
    const auto [write_failure, sent] = co_await http::async_write(stream, response, use_op);
    if (write_failure) break;
  }
  boost::system::error_code ignored;
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

}  // namespace icapgate::proxy
