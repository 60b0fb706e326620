#include "kit/origin_peer.hpp"

namespace e2e {

namespace {

std::string read_body(connection& wire, const field_list& fields) {
  if (lower(value(fields, "Expect")) == "100-continue") wire.write("HTTP/1.1 100 Continue\r\n\r\n");
  if (const auto length = value(fields, "Content-Length"); !length.empty()) {
    return wire.read_exact(std::stoull(length));
  }
  std::string body;
  if (!has(fields, "Transfer-Encoding")) return body;
  for (auto part = read_chunk(wire); !part.data.empty(); part = read_chunk(wire)) {
    body += part.data;
  }
  read_trailers(wire);
  return body;
}

}  // namespace

origin_peer::origin_peer(std::function<void(connection&)> begin, const std::string& path)
    : begin_(std::move(begin)),
      server_([this](connection& wire, int number) { serve(wire, number); }, path) {}

void origin_peer::when(const std::string& target, script play) {
  const std::lock_guard lock(mutex_);
  scripts_[target] = std::move(play);
}

void origin_peer::when(const std::string& target, const response_text& text) {
  when(target, [text, wire = text.wire()](connection& to, const origin_request& request) {
    to.write(request.method == "HEAD" ? text.head() : wire);
    if (text.form != framing::close) return;
    to.end();
    to.close();
  });
}

std::vector<origin_request> origin_peer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

origin_request origin_peer::request(const std::string& target) const {
  const auto all = requests();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (it->target == target) return *it;
  }
  throw std::runtime_error("the origin was never asked for " + target);
}

origin_peer::script origin_peer::find(const std::string& target) const {
  const std::lock_guard lock(mutex_);
  const auto it = scripts_.find(target);
  if (it == scripts_.end()) throw std::runtime_error("no script for " + target);
  return it->second;
}

void origin_peer::serve(connection& wire, int number) {
  if (begin_) begin_(wire);
  while (wire.open()) {
    origin_request request;
    request.connection = number;
    try {
      request.head = parse_head(wire.read_until("\r\n\r\n"));
    } catch (const timed_out&) {
      return;  // an idle connection
    }
    request.method = request.head.first;
    request.target = request.head.second;
    request.body = read_body(wire, request.head.fields);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    find(request.target)(wire, request);
  }
}

}  // namespace e2e
