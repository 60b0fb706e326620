// One ICAP connection to the embedded test scanner. Only .cpp files include this.
#pragma once

#include "embedded/detector.hpp"
#include "embedded/loopback_server.hpp"
#include "embedded/scan_request.hpp"

#include <boost/beast/core/flat_buffer.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace icapgate::embedded {

// What all sessions share, read-only.
struct scan_rules {
  std::vector<std::string> listed;  // SHA-256s, lower-case hex, sorted
  std::string istag;                // changes with `listed` (RFC 3507 4.7), without quotes
};

// Serves requests one after the other, until either side closes. Nothing but 1 MiB is held of a
// body, and that only for a client that can't be answered with 204. Borrows both arguments.
class scan_session {
 public:
  scan_session(connection& peer, const scan_rules& rules) : peer_(peer), rules_(rules) {}

  boost::asio::awaitable<void> run();

 private:
  enum class step { next, close };
  enum class body_end { complete, invalid, closed };
  struct body;

  boost::asio::awaitable<bool> fill();
  boost::asio::awaitable<bool> send(std::string_view bytes);
  boost::asio::awaitable<bool> read_head(std::string& head);
  boost::asio::awaitable<step> serve(scan_request request);
  boost::asio::awaitable<step> respmod(scan_request request);
  boost::asio::awaitable<body_end> read_body(body& into);
  boost::asio::awaitable<body_end> read_previewed(body& into, bool preview);
  boost::asio::awaitable<step> answer(scan_request request, body& scanned, std::string_view http);
  boost::asio::awaitable<step> refuse(unsigned status);

  std::string head(std::string_view status, bool close) const;
  std::string_view pending() const;

  connection& peer_;
  const scan_rules& rules_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace icapgate::embedded
