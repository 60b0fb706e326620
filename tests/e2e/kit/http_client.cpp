#include "kit/http_client.hpp"

namespace e2e {

response http_client::get(const std::string& target, const field_list& more) {
  return request("GET", target, more);
}

response http_client::request(const std::string& method, const std::string& target,
                              const field_list& more, std::string_view body) {
  send(method, target, more, body);
  return receive(method == "HEAD");
}

void http_client::send(const std::string& method, const std::string& target, const field_list& more,
                       std::string_view body) {
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  if (!has(more, "Host")) text += "Host: shop.example\r\n";
  text += to_wire(more) + "\r\n";
  text += body;
  wire_.write(text);
}

response http_client::receive(bool to_head) {
  response out;
  do {
    out.head = parse_head(wire_.read_until("\r\n\r\n"));
    out.status = std::stoi(out.head.second);
  } while (out.status < 200);
  if (to_head || out.status == 204 || out.status == 304) {
    out.end = response::ending::complete;
  } else {
    read_body(out);
  }
  return out;
}

void http_client::read_body(response& into) {
  const auto length = value(into.fields(), "Content-Length");
  const bool is_chunked = has(into.fields(), "Transfer-Encoding");
  if (is_chunked && !length.empty()) throw protocol_error("two framings in one response");
  into.form = is_chunked ? framing::chunked : length.empty() ? framing::close : framing::length;
  try {
    if (is_chunked) {
      for (auto part = read_chunk(wire_); !part.data.empty(); part = read_chunk(wire_)) {
        into.body += part.data;
      }
      read_trailers(wire_);
      into.end = response::ending::complete;
    } else if (into.form == framing::length) {
      const auto size = std::stoull(length);
      into.body.reserve(size);
      while (into.body.size() < size) {
        const auto part = wire_.read_some(size - into.body.size());
        if (part.empty()) return;
        into.body += part;
      }
      into.end = response::ending::complete;
    } else {
      for (auto part = wire_.read_some(); !part.empty(); part = wire_.read_some()) {
        into.body += part;
      }
      into.end = response::ending::closed;
    }
  } catch (const peer_gone&) {
    into.end = response::ending::cut;
  }
}

bool http_client::ended() {
  try {
    return wire_.read_some().empty();
  } catch (const was_reset&) {
    return true;
  }
}

}  // namespace e2e
