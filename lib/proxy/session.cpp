#include "proxy/session.hpp"

#include "base/base64.hpp"
#include "http/pages.hpp"
#include "http/route.hpp"
#include "proxy/proxy_protocol.hpp"
#include "proxy/tls_server.hpp"
#include "proxy/transaction.hpp"

#include <algorithm>
#include <array>

namespace icapgate::proxy {
namespace {

// How long and how far a client that still sends is listened to after its last response, so that a
// reset does not destroy what it has not read yet (RFC 9112 9.6).
constexpr milliseconds linger_time{2000};
constexpr std::size_t linger_bytes = 4 << 20;
// RFC 8446 5.1: the type of the record that a client begins TLS with.
constexpr unsigned char handshake_record = 22;

errc head_failure(http_reader::head_status status) {
  switch (status) {
    case http_reader::head_status::too_large:
      return errc::client_head_too_large;
    case http_reader::head_status::line_too_long:
      return errc::client_target_too_long;
    case http_reader::head_status::invalid:
      return errc::client_head_invalid;
    default:
      return errc::client_closed;
  }
}

// Counts as in flight until it is gone.
class open_transaction {
 public:
  explicit open_transaction(worker_metrics& in) : in_(in) { in_.transactions_open.add(); }
  ~open_transaction() { in_.transactions_open.subtract(); }
  open_transaction(const open_transaction&) = delete;
  open_transaction& operator=(const open_transaction&) = delete;

 private:
  worker_metrics& in_;
};

// In texts that the worker lends.
struct lent_forwarding {
  explicit lent_forwarding(recycler<std::string>& from) : texts(from) {
    it.request_id = texts.take();
    it.lines = texts.take();
  }
  ~lent_forwarding() {
    texts.give_back(std::move(it.request_id));
    texts.give_back(std::move(it.lines));
  }
  lent_forwarding(const lent_forwarding&) = delete;
  lent_forwarding& operator=(const lent_forwarding&) = delete;

  recycler<std::string>& texts;
  http::forwarding it;
};

}  // namespace

session::session(worker_core& core, std::shared_ptr<const entrance> by, descriptor socket,
                 const http::arrival& from, admission::ticket place, cancellation* cancel)
    : core_(core),
      resources_(core.current),
      entrance_(std::move(by)),
      client_(std::move(socket), core.all_deadlines),
      cancel_(cancel),
      watch_(core.all_deadlines, client_, cancel),
      reader_(client_, core.blocks, resources_->settings.max_head,
              resources_->settings.max_request_line),
      from_(from),
      place_(std::move(place)) {}

// What comes before the first request. Refused clients get no answer: they are too many, or nobody
// knows what they speak.
task<errc> session::begin() {
  head_began_ = clock::now();
  if (from_.trusted && entrance_->settings.proxy_protocol) {
    const auto reason = co_await read_proxy_header();
    if (reason != errc::complete) co_return reason;
  }
  if (!has_place()) co_return errc::client_closed;
  if (!entrance_->tls) co_return errc::complete;
  co_return co_await begin_tls();
}

// Whoever sends nothing only looked whether we listen.
task<errc> session::begin_tls() {
  client_.expires_after(resources_->settings.client.header);
  idle_ = true;
  unsigned char first = 0;
  for (;;) {
    const auto got = client_.try_peek(asio::buffer(&first, 1));
    if (got.status == io_status::ok) break;
    const bool wait = got.status == io_status::would_block;
    if (!wait || core_.draining) co_return errc::client_closed;
    const auto ready = co_await client_.wait_readable();
    if (ready != io_status::ok && !core_.draining) co_return errc::client_closed;
  }
  idle_ = false;
  if (first != handshake_record) co_return errc::client_tls_missing;
  const auto status = co_await client_.start_tls(entrance_->tls->current());
  if (status != tls_status::ok) co_return errc::client_tls_failed;
  from_.secure = true;
  if (entrance_->settings.tls.forward_client_cert)
    from_.client_certificate = to_base64(client_.peer_certificate());
  co_return errc::complete;
}

// Takes exactly the header's bytes out of the socket: what follows them is another layer's.
task<errc> session::read_proxy_header() {
  std::array<char, max_proxy_header> received;
  std::size_t size = 0;
  client_.expires_after(resources_->settings.client.header);
  for (;;) {
    const auto got = client_.try_peek(asio::buffer(received.data() + size, received.size() - size));
    const bool looked = got.status == io_status::eof && size == 0;  // whether we listen
    if (looked) co_return errc::client_closed;
    if (got.status == io_status::would_block) {
      const auto ready = co_await client_.wait_readable();
      if (ready != io_status::ok) co_return errc::client_proxy_invalid;
      continue;
    }
    if (got.status != io_status::ok) co_return errc::client_proxy_invalid;
    const auto seen = size + got.bytes;
    const auto header = parse_proxy_header({received.data(), seen});
    if (header.state == proxy_header::status::invalid) co_return errc::client_proxy_invalid;
    const bool complete = header.state == proxy_header::status::complete;
    const auto end = complete ? header.size : seen;
    client_.try_read(asio::buffer(received.data() + size, end - size));
    size = end;
    if (!complete) continue;
    if (header.client) from_.peer = header.client;
    if (header.client) from_.trusted = entrance_->trusted_proxies.contains(*header.client);
    co_return errc::complete;
  }
}

bool session::has_place() {
  if (from_.trusted || !from_.peer || place_.count(*from_.peer)) return true;
  core_.metrics.clients_refused[static_cast<std::size_t>(refusal::max_per_address)].add();
  return false;
}

session::~session() = default;

task<void> session::run() {
  const auto began = co_await begin();
  if (began == errc::client_closed) co_return;
  if (began != errc::complete) co_return co_await refuse(began);
  bool more = true;
  for (int ahead = 0; more;) {
    // Whoever sends requests ahead of the answers may never have to be waited for.
    if (reader_.has_input() && ++ahead % turn_length == 0)
      co_await asio::post(core_.context, use_op);
    const auto reason = co_await read_request();
    if (reason == errc::complete) {
      more = co_await serve_request();
      continue;
    }
    if (!idle_) co_return co_await refuse(reason);
    more = false;
  }
  if (watch_.client_left() || !client_.is_open()) co_return;
  if (!is_silent()) co_return co_await linger();
  client_.shutdown();  // with TLS the end has to be said
}

// Reads the next head. Before its first byte nothing is owed to the client: idle_ is true.
task<errc> session::read_request() {
  use_current();
  core_.field_lists.give_back(std::move(request_.fields));
  const auto& limits = resources_->settings.client;
  idle_ = !reader_.has_input();
  if (!idle_) head_began_ = clock::now();
  client_.expires_after(idle_ ? limits.idle : limits.header);
  for (;;) {
    if (idle_ && !core_.draining) {
      const auto ready = co_await client_.wait_readable();
      // A request that came before the drain woke it is served.
      if (ready != io_status::ok && !core_.draining) co_return errc::client_head_timeout;
    }
    const auto status = reader_.try_read_head();
    if (idle_ && (reader_.has_input() || status == http_reader::head_status::complete)) {
      idle_ = false;
      head_began_ = clock::now();
      client_.expires_after(resources_->settings.client.header);
    }
    if (status != http_reader::head_status::would_block) co_return parse_request(status);
    if (idle_ && core_.draining) co_return errc::client_closed;
    if (idle_) continue;
    const auto ready = co_await client_.wait_readable();
    if (ready != io_status::ok) co_return errc::client_head_timeout;
  }
}

errc session::parse_request(http_reader::head_status status) {
  if (status != http_reader::head_status::complete) return head_failure(status);
  request_.fields = core_.field_lists.take();
  const auto parsed = http::parse_request(reader_.head(), request_, from_.secure);
  if (parsed != errc::complete) return parsed;
  if (request_.fields.size() > resources_->settings.max_fields) return errc::client_head_too_large;
  // An HTTP/1.0 client may not say which host it means; the origin has to be told one.
  route_ = http::choose_route(resources_->settings.routes, request_);
  if (request_.host.empty() && route_) request_.host = resources_->origins.authority(*route_);
  reader_.begin_body(request_);
  return reader_.begins_well() ? errc::complete : errc::client_body_invalid;
}

// The origin can't tell by which listener a request came: where one of them tells it of clients'
// certificates, nobody who is not trusted may do so by another.
bool session::tells_certificates() const {
  if (entrance_->settings.tls.forward_client_cert) return true;
  return !from_.trusted && std::ranges::any_of(resources_->settings.listeners, [](const auto& l) {
    return l.tls.forward_client_cert;
  });
}

// True: the connection may carry another request.
task<bool> session::serve_request() {
  const open_transaction counted(core_.metrics);
  from_.own_client_certificate = tells_certificates();
  const auto id = core_.next_request_id();
  lent_forwarding path(core_.blocks.texts);
  http::describe_arrival(path.it, request_, from_, entrance_->trusted_proxies,
                         entrance_->believed_header, {id.data(), id.size()});
  transaction current(*resources_, reader_, watch_, path.it, request_, route_);
  const auto reason = co_await run_transaction(current);
  current.account(reason);
  const bool keep_alive = reason != errc::client_closed && current.keep_alive();
  if (keep_alive) reader_.finish_message();
  co_return keep_alive;
}

// What a client's leaving or the end of the request's time cancels ends by an exception, whatever
// it waited for.
task<errc> session::run_transaction(transaction& one) {
  const client_watch::request timed(watch_, time_left());
  try {
    co_return co_await one.run();
  } catch (const boost::system::system_error&) {
    if (!watch_.client_left() && !watch_.is_time_over()) throw;
  }
  if (watch_.client_left()) co_return errc::client_closed;
  cancel_->reset();
  co_return co_await one.give_up(errc::client_request_timeout);
}

// For the request whose head is here; 0: any time.
milliseconds session::time_left() const {
  const auto longest = resources_->settings.client.request;
  if (longest.count() == 0) return longest;
  const auto used = std::chrono::duration_cast<milliseconds>(client_.now() - head_began_);
  return std::max(longest - used, milliseconds(1));
}

// A request that can't be understood gets an answer, and what follows it is never read as a
// request.
task<void> session::refuse(errc reason) {
  const auto digits = core_.next_request_id();
  const std::string_view id(digits.data(), digits.size());
  const auto name = from_.name();
  const auto& row = describe(reason);
  std::string wire;
  if (row.status != 0) {
    auto content = http::error_page(reason, id);
    content.keep_alive = false;
    content.date = core_.date();
    http::append_page(wire, content);
    const_buffers out;
    out.push(std::string_view(wire));
    const auto written = co_await client_.write_all(out, resources_->settings.client.progress);
    if (written != io_status::ok) wire.clear();
  }
  access_record record;
  record.ts = std::chrono::system_clock::now();
  record.request_id = id;
  record.client = name;
  record.status = wire.empty() ? 0 : row.status;
  record.bytes_out = wire.size();
  record.reason = row.token;
  record.total_ms = clock::now() - head_began_;
  core_.account(record, reason);
  if (!wire.empty()) co_await linger();
}

// Nothing more has come, nor will come as far as this request tells.
bool session::is_silent() {
  return reader_.body_ended() && !reader_.has_input() && client_.is_quiet();
}

task<void> session::linger() {
  client_.shutdown();
  client_.expires_after(linger_time);
  auto sink = core_.blocks.acquire();
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

void session::adopt_if_idle() {
  if (idle_) use_current();
}

void session::use_current() {
  resources_ = core_.current;
  const auto& settings = resources_->settings;
  if (!reader_.has_input()) reader_.limit_heads(settings.max_head, settings.max_request_line);
}

}  // namespace icapgate::proxy
