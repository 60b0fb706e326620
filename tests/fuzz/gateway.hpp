// The gateway's own session, transaction, pools and scans in one thread, between a client, an
// origin and a scanner that are played by hand. No clock turns: what would end by a deadline ends
// when its peers leave.
#pragma once

#include "base/config.hpp"
#include "base/log.hpp"
#include "base/route.hpp"
#include "proxy/reload.hpp"
#include "proxy/session.hpp"
#include "proxy/worker.hpp"
#include "require.hpp"


#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <list>
#include <string>
#include <string_view>

namespace fuzz {

namespace asio = boost::asio;
using namespace icapgate;

// Bytes in both directions over a descriptor that never waits.
class peer {
 public:
  explicit peer(int fd) : fd_(fd) {}
  ~peer() { close(); }
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  // Something was moved.
  bool step() {
    if (fd_ < 0) return false;
    bool moved = false;
    while (!out.empty()) {
      const auto sent = ::send(fd_, out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN) out.clear();
      if (sent <= 0) break;
      out.erase(0, static_cast<std::size_t>(sent));
      moved = true;
    }
    if (out.empty() && ends && !ended_) {
      ::shutdown(fd_, SHUT_WR);
      moved = ended_ = true;
    }
    std::array<char, 65536> piece;
    for (;;) {
      const auto got = ::recv(fd_, piece.data(), piece.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) return moved;
      moved = true;
      if (got <= 0) {
        close();
        return moved;
      }
      in.append(piece.data(), static_cast<std::size_t>(got));
    }
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  std::string in;     // all that came
  std::string out;    // what is still to be sent
  bool ends = false;  // no more will be sent

 private:
  int fd_;
  bool ended_ = false;
};

// A listening port, and whoever came to it in this run.
class server {
 public:
  server() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    require(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0 && ::listen(fd_, 64) == 0);
    require(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
  }

  // `answer` looks at what came and adds to what goes out.
  bool step(const std::function<void(peer&)>& answer) {
    bool moved = false;
    for (int fd = accept(); fd >= 0; fd = accept()) {
      peers.emplace_back(fd);
      moved = true;
    }
    for (auto& one : peers) {
      moved = one.step() || moved;
      answer(one);
      moved = one.step() || moved;
    }
    return moved;
  }
  std::uint16_t port() const { return port_; }

  std::list<peer> peers;

 private:
  int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }

  int fd_;
  std::uint16_t port_ = 0;
};

// How far the front of a stream of requests was read.
struct request_front {
  bool valid = true;
  std::size_t size = 0;  // of one whole request; 0: it is not whole yet
  http::request_head head;
};

// As strict as the gateway claims to be towards an origin.
inline request_front front_of(std::string_view bytes) {
  request_front found;
  const auto end = bytes.find("\r\n\r\n");
  if (end == bytes.npos) return found;
  const auto head_size = end + 4;
  found.valid = http::parse_request(bytes.substr(0, head_size), found.head) == errc::complete;
  if (!found.valid) return found;
  auto rest = bytes.substr(head_size);
  if (found.head.framing == http::body_framing::chunked) {
    chunk_decoder chunks;
    std::string_view data;
    auto event = chunk_decoder::event::data;
    while (event == chunk_decoder::event::data) event = chunks.next(rest, data);
    found.valid = event != chunk_decoder::event::invalid;
    if (event == chunk_decoder::event::complete) found.size = bytes.size() - rest.size();
  } else if (rest.size() >= found.head.content_length) {
    found.size = head_size + static_cast<std::size_t>(found.head.content_length);
  }
  return found;
}

// What the client got is a row of responses, the last one perhaps cut. Returns the whole ones.
inline std::size_t check_responses(std::string_view bytes, std::string_view first_method) {
  std::size_t whole = 0;
  while (!bytes.empty()) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) return whole;
    http::response_head head;
    const bool to_head = whole == 0 && first_method == "HEAD";
    require(http::parse_response(bytes.substr(0, end + 4), to_head, head) == errc::complete);
    bytes.remove_prefix(end + 4);
    if (head.is_interim()) continue;
    if (head.framing == http::body_framing::until_close) return whole + 1;
    if (head.framing == http::body_framing::chunked) {
      chunk_decoder chunks;
      std::string_view data;
      auto event = chunk_decoder::event::data;
      while (event == chunk_decoder::event::data) event = chunks.next(bytes, data);
      require(event != chunk_decoder::event::invalid);
      if (event != chunk_decoder::event::complete) return whole;
    } else if (head.framing == http::body_framing::length) {
      if (bytes.size() < head.content_length) return whole;
      bytes.remove_prefix(static_cast<std::size_t>(head.content_length));
    }
    ++whole;
  }
  return whole;
}

class gateway {
 public:
  explicit gateway(bool scans)
      : made_(proxy::make_generation(load(scans), nullptr)),
        budget_(made_->settings.spool_total_memory, made_->settings.spool_total_disk),
        clients_({}) {}

  server origin;
  server scanner;

  // One client's connection from its first byte to its end. Returns what it got.
  std::string run(std::string_view sent, const std::function<void(peer&)>& serve) {
    proxy::worker_core core(log_, metrics_, budget_, clients_, [] {}, [](proxy::task<void>) {});
    core.current = std::make_shared<proxy::worker_resources>(core, made_, nullptr);
    std::array<int, 2> ends{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    peer client(ends[1]);
    client.out = sent;
    client.ends = true;
    bool over = false;
    start(core, ends[0], over);
    int idle = 0;
    while (!over) {
      bool moved = core.context.poll() > 0;
      core.context.restart();
      moved = client.step() || moved;
      moved = origin.step(serve) || moved;
      moved = scanner.step([](peer& to) { scan(to); }) || moved;
      idle = moved ? 0 : idle + 1;
      // It waits for somebody who will say nothing: nobody may be waited for in vain.
      if (idle == patience) leave();
      require(idle < 2 * patience);
    }
    client.step();
    origin.step([](peer&) {});
    leave();
    return client.in;
  }

  void forget() {
    origin.peers.clear();
    scanner.peers.clear();
  }

 private:
  static constexpr int patience = 50;

  config load(bool scans) const {
    const auto at = [](const char* scheme, const server& s, const char* path) {
      return std::string(scheme) + "://127.0.0.1:" + std::to_string(s.port()) + path;
    };
    const int fd = ::memfd_create("settings", MFD_CLOEXEC);
    const std::string text =
        std::string("[policy]\nmode = \"") + (scans ? "enforce" : "off") + "\"\n";
    require(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    auto loaded = load_settings({{{"--origin", {at("http", origin, "")}},
                                  {"--icap", {at("icap", scanner, "/scan")}},
                                  {"--access-log", {"off"}},
                                  {"--config", {"/proc/self/fd/" + std::to_string(fd)}}},
                                 {}});
    ::close(fd);
    for (const auto& problem : loaded.problems) std::fprintf(stderr, "%s\n", problem.c_str());
    require(loaded.problems.empty());
    // Each run is alone with its scanner.
    loaded.values.breaker = false;
    return loaded.values;
  }

  void start(proxy::worker_core& core, int fd, bool& over) {
    auto cancel = std::make_unique<proxy::cancellation>();
    auto* const end = cancel.get();
    auto one = std::make_unique<proxy::session>(core, entrance_, proxy::descriptor(fd),
                                                http::arrival(), *clients_.enter(), end);
    auto& running = *one;
    proxy::start(
        core.context, running.run(),
        [one = std::move(one), cancel = std::move(cancel),
         &over](const std::exception_ptr& failure) {
          require(!failure);
          over = true;
        },
        end);
  }

  // Says clean to whatever it is asked, at once.
  static void scan(peer& to) {
    if (!to.in.starts_with("RESPMOD ") || to.in.find("\r\n\r\n") == to.in.npos) return;
    to.in.clear();
    to.out += "ICAP/1.0 204 No Content\r\nISTag: \"1\"\r\n\r\n";
  }

  void leave() {
    for (auto& one : origin.peers) one.close();
    for (auto& one : scanner.peers) one.close();
  }

  const std::shared_ptr<const proxy::generation> made_;
  const std::shared_ptr<const proxy::entrance> entrance_ =
      std::make_shared<const proxy::entrance>(listener(), nullptr);
  access_log log_{"off"};
  worker_metrics metrics_;
  proxy::spool_budget budget_;
  proxy::admission clients_;
};

// One that scans and one that does not, for the whole process.
inline gateway& gateway_for(bool scans) {
  static gateway scanning(true);
  static gateway passing(false);
  return scans ? scanning : passing;
}

}  // namespace fuzz
