// A client that says exactly what it is told to and tells exactly what came back.
#pragma once

#include "kit/http.hpp"

namespace e2e {

struct response {
  enum class ending {
    complete,  // by Content-Length, last chunk, or no body at all
    closed,    // framed by the end of the connection, which was a clean one
    cut,       // the connection ended before the framing said so
  };
  int status = 0;
  http_head head;
  std::string body;
  framing form = framing::length;
  ending end = ending::cut;

  const field_list& fields() const { return head.fields; }
  bool whole() const { return end != ending::cut; }
};

class http_client {
 public:
  explicit http_client(std::uint16_t port) : wire_(connection::to(port)) {}
  explicit http_client(connection wire) : wire_(std::move(wire)) {}

  // One request and its response; the connection stays open.
  response get(const std::string& target, const field_list& more = {});
  response request(const std::string& method, const std::string& target,
                   const field_list& more = {}, std::string_view body = {});

  // The halves of it.
  void send(const std::string& method, const std::string& target, const field_list& more = {},
            std::string_view body = {});
  // Interim responses are passed over. `to_head`: the request was HEAD.
  response receive(bool to_head = false);

  // The gateway ended the connection, and nothing came before that.
  bool ended();
  connection& wire() { return wire_; }

 private:
  void read_body(response& into);
  connection wire_;
};

}  // namespace e2e
