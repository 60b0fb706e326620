// The origin of a play: answers by target, and remembers what it was asked.
#pragma once

#include "kit/http.hpp"
#include "kit/server.hpp"

#include <functional>
#include <map>

namespace e2e {

struct origin_request {
  int connection = 0;
  std::string method;
  std::string target;
  http_head head;
  std::string body;
};

class origin_peer {
 public:
  // Writes the answer, and may end, reset or keep the connection. It stays open for the next
  // request where the script leaves it open.
  using script = std::function<void(connection&, const origin_request&)>;

  origin_peer() : origin_peer(std::function<void(connection&)>()) {}
  // `begin`: what comes before HTTP on each connection, such as TLS. `path`: of a unix socket.
  explicit origin_peer(std::function<void(connection&)> begin, const std::string& path = {});

  void when(const std::string& target, script play);
  // The text is sent as it is (its head alone for HEAD), and the connection closed if its framing
  // needs that.
  void when(const std::string& target, const response_text& text);

  std::uint16_t port() const { return server_.port(); }
  int connections() const { return server_.connections(); }
  std::vector<origin_request> requests() const;
  // Of that target, the last one. Throws if there was none.
  origin_request request(const std::string& target) const;
  std::vector<std::string> failures() const { return server_.failures(); }
  void stop() { server_.stop(); }

 private:
  void serve(connection& wire, int number);
  script find(const std::string& target) const;

  const std::function<void(connection&)> begin_;
  mutable std::mutex mutex_;
  std::map<std::string, script> scripts_;
  std::vector<origin_request> requests_;
  server server_;
};

}  // namespace e2e
