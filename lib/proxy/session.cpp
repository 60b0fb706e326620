#include "proxy/session.hpp"

#include "http/pages.hpp"
#include "proxy/transaction.hpp"

namespace icapgate::proxy {
namespace {

// How long and how far a client that still sends is listened to after its last response, so that a
// reset does not destroy what it has not read yet (RFC 9112 9.6).
constexpr milliseconds linger_time{2000};
constexpr std::size_t linger_bytes = 4 << 20;

}  // namespace

session::session(worker_resources& resources, stream::socket_type socket,
                 std::string client_address)
    : resources_(resources),
      client_(std::move(socket), resources.all_deadlines),
      reader_(client_, resources.blocks, resources.settings.max_head),
      client_address_(std::move(client_address)) {}

task<void> session::run() {
  bool more = true;
  while (more) {
    const auto reason = co_await read_request();
    if (reason == errc::complete) {
      more = co_await serve_request();
      continue;
    }
    if (!idle_) co_await refuse(reason);
    more = false;
  }
  if (client_.is_open() && !is_silent()) co_await linger();
}

// Reads the next head. Before its first byte nothing is owed to the client: idle_ is true.
task<errc> session::read_request() {
  const auto& limits = resources_.settings.client;
  idle_ = !reader_.has_input();
  head_began_ = clock::now();
  client_.expires_after(idle_ ? limits.idle : limits.header);
  for (;;) {
    if (idle_ && resources_.draining) co_return errc::client_closed;
    if (idle_) {
      const auto ready = co_await client_.wait_readable();
      if (ready != io_status::ok) co_return errc::client_head_timeout;
    }
    const auto status = reader_.try_read_head();
    if (idle_ && (reader_.has_input() || status == http_reader::head_status::complete)) {
      idle_ = false;
      head_began_ = clock::now();
      client_.expires_after(limits.header);
    }
    if (status != http_reader::head_status::would_block) co_return parse_request(status);
    if (idle_) continue;
    const auto ready = co_await client_.wait_readable();
    if (ready != io_status::ok) co_return errc::client_head_timeout;
  }
}

errc session::parse_request(http_reader::head_status status) {
  if (status == http_reader::head_status::too_large) return errc::client_head_too_large;
  if (status != http_reader::head_status::complete) return errc::client_closed;
  const auto parsed = http::parse_request(reader_.head(), request_);
  // An HTTP/1.0 client may not say which host it means; the origin has to be told one.
  if (request_.host.empty()) request_.host = resources_.origin.authority();
  return parsed;
}

// True: the connection may carry another request.
task<bool> session::serve_request() {
  reader_.begin_body(request_);
  auto& metrics = resources_.metrics;
  metrics.transactions_open.add();
  bool keep_alive = false;
  {
    transaction current(resources_, reader_, client_address_, request_);
    const auto reason = co_await current.run();
    current.account(reason);
    keep_alive = current.keep_alive();
  }
  metrics.transactions_open.subtract();
  if (keep_alive) reader_.finish_message();
  co_return keep_alive;
}

// A request that can't be understood gets an answer, and what follows it is never read as a
// request.
task<void> session::refuse(errc reason) {
  const auto id = resources_.next_request_id();
  const auto& row = describe(reason);
  std::string wire;
  if (row.status != 0) {
    auto content = http::error_page(reason, id);
    content.keep_alive = false;
    http::append_page(wire, content);
    const_buffers out;
    out.push(std::string_view(wire));
    const auto written = co_await client_.write_all(out, resources_.settings.client.progress);
    if (written != io_status::ok) wire.clear();
  }
  access_record record;
  record.ts = std::chrono::system_clock::now();
  record.request_id = id;
  record.client = client_address_;
  record.status = wire.empty() ? 0 : row.status;
  record.bytes_out = wire.size();
  record.reason = row.token;
  record.total_ms = clock::now() - head_began_;
  resources_.account(record, reason);
  if (!wire.empty()) co_await linger();
}

// Nothing more has come, nor will come as far as this request tells.
bool session::is_silent() {
  return reader_.body_ended() && !reader_.has_input() && client_.is_quiet();
}

task<void> session::linger() {
  client_.shutdown();
  client_.expires_after(linger_time);
  auto sink = resources_.blocks.acquire();
  std::size_t left = linger_bytes;
  while (left > 0) {
    const auto got = client_.try_read({sink.data(), block::size});
    if (got.status == io_status::ok) {
      left -= std::min(left, got.bytes);
      continue;
    }
    if (got.status != io_status::would_block) co_return;
    const auto ready = co_await client_.wait_readable();
    if (ready != io_status::ok) co_return;
  }
}

void session::close_if_idle() {
  if (idle_) client_.expire_now();
}

}  // namespace icapgate::proxy
