#include "embedded/scan_session.hpp"

#include "base/chunked.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include <optional>
#include <utility>

namespace icapgate::embedded {

namespace asio = boost::asio;

namespace {

constexpr std::size_t read_size = 65536;
constexpr std::size_t max_held = 1 << 20;     // of a body that may have to be sent back
constexpr std::size_t max_drained = 1 << 20;  // of a refused request

std::string_view status_line(unsigned status) {
  switch (status) {
    case 405:
      return "405 Method Not Allowed";
    case 500:
      return "500 Server Error";
    case 501:
      return "501 Method Not Implemented";
    case 505:
      return "505 ICAP Version Not Supported";
    default:
      return "400 Bad Request";
  }
}

bool ends_with_empty_line(std::string_view head) {
  return head.empty() || head.ends_with("\r\n\r\n");
}

std::string block_page(std::string_view threat) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
      "charset=\"utf-8\"><title>Blocked</title></head>\n"
      "<body><h1>Blocked</h1>\n<p>The test scanner found <strong>";
  page.append(threat).append(
      "</strong> in this response, so it was not delivered.</p>\n</body></html>\n");
  return page;
}

void append_chunked(std::string& wire, std::string_view body) {
  if (!body.empty()) wire.append(chunk_size_line(body.size()).view()).append(body).append("\r\n");
  wire.append(last_chunk);
}

// The encapsulated answer that takes an infected response's place. A cache must not keep it.
std::string blocked_answer(std::string_view threat) {
  const std::string page = block_page(threat);
  const std::string http =
      "HTTP/1.1 403 Forbidden\r\nServer: icapgate-test-scanner\r\n"
      "Content-Type: text/html; charset=utf-8\r\nContent-Length: " +
      std::to_string(page.size()) + "\r\nCache-Control: no-store\r\n\r\n";
  std::string wire = "X-Infection-Found: Type=0; Resolution=2; Threat=";
  wire.append(threat)
      .append(";\r\nEncapsulated: res-hdr=0, res-body=")
      .append(std::to_string(http.size()))
      .append("\r\n\r\n")
      .append(http);
  append_chunked(wire, page);
  return wire;
}

// The response as it came, for a client that did not allow 204.
std::string echo_answer(std::string_view response_head, std::string_view held, bool has_body) {
  std::string wire = "Encapsulated: ";
  if (!response_head.empty()) wire.append("res-hdr=0, ");
  wire.append(has_body ? "res-body=" : "null-body=")
      .append(std::to_string(response_head.size()))
      .append("\r\n\r\n")
      .append(response_head);
  if (has_body) append_chunked(wire, held);
  return wire;
}

}  // namespace

struct scan_session::body {
  detector search;
  bool hold;  // keep the bytes: they may have to be sent back
  std::string held{};
  bool too_large = false;  // more came than may be held
  bool ieof = false;       // all of it was in the preview (RFC 3507 4.5)

  void add(std::string_view bytes) {
    search.update(bytes);
    if (!hold) return;
    too_large = too_large || bytes.size() > max_held - held.size();
    if (too_large) {
      std::string().swap(held);
    } else {
      held.append(bytes);
    }
  }
};

asio::awaitable<void> scan_session::run() {
  std::string head;
  for (step then = step::next; then == step::next;) {
    const bool whole = co_await read_head(head);
    if (!whole) {
      // Bytes that never became a head: too many of them, or the client closed.
      if (buffer_.size() > max_request_head) co_await refuse(400);
      co_return;
    }
    scan_request request;
    const unsigned status = parse_scan_request(head, request);
    if (status == 200) {
      then = co_await serve(request);
    } else {
      then = co_await refuse(status);
    }
  }
}

asio::awaitable<scan_session::step> scan_session::serve(scan_request request) {
  if (request.what == scan_request::method::respmod) co_return co_await respmod(request);
  std::string wire = head("200 OK", request.close);
  wire +=
      "Methods: RESPMOD\r\nService: icapgate embedded TEST scanner, not an antivirus\r\n"
      "Allow: 204\r\nOptions-TTL: 3600\r\nMax-Connections: 1000\r\nEncapsulated: "
      "null-body=0\r\n\r\n";
  const bool sent = co_await send(wire);
  co_return sent && !request.close ? step::next : step::close;
}

asio::awaitable<scan_session::step> scan_session::respmod(scan_request request) {
  while (buffer_.size() < request.heads) {
    const bool more = co_await fill();
    if (!more) co_return step::close;
  }
  const std::string heads(pending().substr(0, request.heads));
  buffer_.consume(request.heads);
  const std::string_view view = heads;
  if (!ends_with_empty_line(view.substr(0, request.response_head)) ||
      !ends_with_empty_line(view.substr(request.response_head))) {
    co_return co_await refuse(400);
  }

  body scanned{.search = detector(rules_.listed), .hold = !request.allow_204};
  if (request.has_body) {
    const body_end end = co_await read_previewed(scanned, request.preview);
    if (end == body_end::closed) co_return step::close;
    if (end == body_end::invalid) co_return co_await refuse(400);
  }
  co_return co_await answer(request, scanned, view.substr(request.response_head));
}

// RFC 3507 4.5: the rest of a previewed body comes only when it is asked for, and it is only asked
// for as long as the preview decides nothing.
asio::awaitable<scan_session::body_end> scan_session::read_previewed(body& into, bool preview) {
  const body_end end = co_await read_body(into);
  if (end != body_end::complete || !preview || into.ieof || into.search.found()) co_return end;
  const bool asked = co_await send("ICAP/1.0 100 Continue\r\n\r\n");
  if (!asked) co_return body_end::closed;
  const body_end rest = co_await read_body(into);
  into.ieof = false;
  co_return rest;
}

asio::awaitable<scan_session::body_end> scan_session::read_body(body& into) {
  chunk_decoder decoder;
  for (;;) {
    std::string_view input = pending();
    std::string_view data;
    const auto event = decoder.next(input, data);
    if (event == chunk_decoder::event::data) into.add(data);
    buffer_.consume(buffer_.size() - input.size());
    if (event == chunk_decoder::event::invalid) co_return body_end::invalid;
    if (event == chunk_decoder::event::complete) break;
    if (event == chunk_decoder::event::data) continue;
    const bool more = co_await fill();
    if (!more) co_return body_end::closed;
  }
  into.ieof = decoder.last_extension() == "ieof";
  co_return body_end::complete;
}

asio::awaitable<scan_session::step> scan_session::answer(scan_request request, body& scanned,
                                                         std::string_view response_head) {
  const std::string_view threat = scanned.search.threat();
  // RFC 3507 4.6: 204 needs the client's leave, or a preview that is not yet gone beyond.
  const bool may_204 = request.allow_204 || (request.preview && scanned.ieof);
  std::string wire;
  if (!threat.empty()) {
    wire = head("200 OK", request.close) + blocked_answer(threat);
  } else if (may_204) {
    wire = head("204 Unmodified", request.close) + "Encapsulated: null-body=0\r\n\r\n";
  } else if (scanned.too_large) {
    // Clean, but it can't be sent back: that must not look like a verdict.
    wire = head(status_line(500), request.close) + "Encapsulated: null-body=0\r\n\r\n";
  } else {
    wire =
        head("200 OK", request.close) + echo_answer(response_head, scanned.held, request.has_body);
  }
  const bool sent = co_await send(wire);
  co_return sent && !request.close ? step::next : step::close;
}

// Reads what is left before closing: a close with unread bytes would reset the connection, and the
// client would lose the answer.
asio::awaitable<scan_session::step> scan_session::refuse(unsigned status) {
  const std::string wire = head(status_line(status), true) + "Encapsulated: null-body=0\r\n\r\n";
  bool open = co_await send(wire);
  boost::system::error_code ignored;
  peer_.socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  for (std::size_t drained = 0; open && drained < max_drained; drained += buffer_.size()) {
    buffer_.consume(buffer_.size());
    open = co_await fill();
  }
  co_return step::close;
}

asio::awaitable<bool> scan_session::read_head(std::string& head) {
  constexpr std::string_view head_end = "\r\n\r\n";
  for (;;) {
    const auto end = pending().substr(0, max_request_head).find(head_end);
    if (end != std::string_view::npos) {
      head = pending().substr(0, end + head_end.size());
      buffer_.consume(head.size());
      co_return true;
    }
    if (buffer_.size() > max_request_head) co_return false;
    const bool more = co_await fill();
    if (!more) co_return false;
  }
}

asio::awaitable<bool> scan_session::fill() {
  const auto space = buffer_.prepare(read_size);
  auto [error, count] = co_await peer_.socket.async_read_some(space, use_op);
  buffer_.commit(count);
  peer_.touch();
  co_return !error;
}

asio::awaitable<bool> scan_session::send(std::string_view bytes) {
  auto [error, count] = co_await asio::async_write(peer_.socket, asio::buffer(bytes), use_op);
  peer_.touch();
  co_return !error;
}

std::string scan_session::head(std::string_view status, bool close) const {
  std::string text = "ICAP/1.0 ";
  text.append(status)
      .append("\r\nServer: icapgate-test-scanner\r\nConnection: ")
      .append(close ? "close" : "keep-alive")
      .append("\r\nISTag: \"")
      .append(rules_.istag)
      .append("\"\r\n");
  return text;
}

std::string_view scan_session::pending() const {
  return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
}

}  // namespace icapgate::embedded
