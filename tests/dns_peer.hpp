// A DNS server on loopback that answers by a script, over UDP and TCP.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace icapgate::test {

namespace dns_type {
inline constexpr std::uint16_t a = 1, cname = 5, aaaa = 28, srv = 33;
}

struct dns_question {
  std::string name;  // "host.test"
  std::uint16_t type = 0;
  bool tcp = false;
  std::string id;     // as received
  std::string asked;  // the question's section, as received
};

struct dns_record {
  std::uint16_t type;
  std::uint32_t ttl;
  std::string data;
  std::string owner = "\xc0\x0c";  // as it is sent; this one is the question's name
};

inline std::string dns_number(std::uint32_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes) & 0xff);
  return out;
}

inline std::string dns_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    (out += static_cast<char>(label.size())) += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return out += '\0';
}

inline dns_record dns_address(const std::string& text, std::uint32_t ttl) {
  const int family = text.find(':') == text.npos ? AF_INET : AF_INET6;
  std::string bytes(family == AF_INET ? 4 : 16, '\0');
  if (::inet_pton(family, text.c_str(), bytes.data()) != 1) throw std::invalid_argument(text);
  return {family == AF_INET ? dns_type::a : dns_type::aaaa, ttl, bytes};
}

inline dns_record dns_service(std::uint16_t priority, std::uint16_t weight, std::uint16_t port,
                              std::string_view host, std::uint32_t ttl) {
  return {dns_type::srv, ttl,
          dns_number(priority, 2) + dns_number(weight, 2) + dns_number(port, 2) + dns_name(host)};
}

// `flags`: the message's second pair of bytes; its last four bits are the response code.
inline std::string dns_reply(const dns_question& to, const std::vector<dns_record>& records,
                             std::uint16_t flags = 0x8180) {
  std::string out = to.id + dns_number(flags, 2) + dns_number(1, 2) +
                    dns_number(static_cast<std::uint32_t>(records.size()), 2) + dns_number(0, 4) +
                    to.asked;
  for (const auto& r : records)
    out += r.owner + dns_number(r.type, 2) + dns_number(1, 2) + dns_number(r.ttl, 4) +
           dns_number(static_cast<std::uint32_t>(r.data.size()), 2) + r.data;
  return out;
}

// Knows what it is told to know, says NXDOMAIN to the rest, and over UDP refers to TCP what is
// larger than 512 bytes.
class dns_peer {
 public:
  static constexpr std::uint16_t truncated = 0x8380, no_such_name = 0x8183, broken = 0x8182;
  // Nothing: it keeps silent. May block, which holds all other answers back, too.
  using script = std::function<std::optional<std::string>(const dns_question&)>;

  dns_peer() {
    // A port that is free for one of both may be taken for the other.
    for (int attempt = 0; tcp_ < 0 && attempt < 20; ++attempt) {
      if (udp_ >= 0) ::close(udp_);
      udp_ = bound(SOCK_DGRAM, 0);
      sockaddr_in at{};
      socklen_t size = sizeof at;
      ::getsockname(udp_, reinterpret_cast<sockaddr*>(&at), &size);
      port_ = ntohs(at.sin_port);
      tcp_ = bound(SOCK_STREAM, port_);
    }
    if (tcp_ < 0 || ::listen(tcp_, 16) != 0) throw std::runtime_error("no port for a DNS server");
    thread_ = std::thread([this] { serve(); });
  }
  ~dns_peer() {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_, &one, sizeof one));
    thread_.join();
    for (const int fd : {udp_, tcp_, stop_}) ::close(fd);
  }
  dns_peer(const dns_peer&) = delete;
  dns_peer& operator=(const dns_peer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // From now on; an empty list: the name is there, and has no records.
  void set(const std::string& name, std::vector<dns_record> records) {
    const std::lock_guard lock(mutex_);
    zone_[name] = std::move(records);
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    zone_.erase(name);
  }
  // In place of the zone.
  void play(script next) {
    const std::lock_guard lock(mutex_);
    script_ = std::move(next);
  }

  std::vector<dns_question> questions() const {
    const std::lock_guard lock(mutex_);
    return questions_;
  }
  std::size_t asked(const std::string& name, std::uint16_t type) const {
    std::size_t count = 0;
    for (const auto& one : questions()) count += one.name == name && one.type == type ? 1 : 0;
    return count;
  }
  // False: it was not, for too long.
  bool wait_asked(const std::string& name, std::size_t times = 1) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      std::size_t count = 0;
      for (const auto& one : questions_) count += one.name == name ? 1 : 0;
      return count >= times;
    });
  }

  std::string known(const dns_question& asked) const {
    const std::lock_guard lock(mutex_);
    const auto found = zone_.find(asked.name);
    if (found == zone_.end()) return dns_reply(asked, {}, no_such_name);
    std::vector<dns_record> fitting;
    for (const auto& one : found->second)
      if (one.type == asked.type || one.type == dns_type::cname) fitting.push_back(one);
    auto text = dns_reply(asked, fitting);
    return asked.tcp || text.size() <= 512 ? text : dns_reply(asked, {}, truncated);
  }

 private:
  static int bound(int type, std::uint16_t port) {
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) return fd;
    ::close(fd);
    return -1;
  }

  void serve() {
    std::vector<int> visitors;
    for (;;) {
      std::vector<pollfd> all{{stop_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
      for (const int fd : visitors) all.push_back({fd, POLLIN, 0});
      ::poll(all.data(), all.size(), -1);
      if (all[0].revents != 0) break;
      if (all[1].revents != 0) answer_udp();
      for (std::size_t i = 3; i < all.size(); ++i) {
        if (all[i].revents == 0 || answer_tcp(all[i].fd)) continue;
        ::close(all[i].fd);
        std::erase(visitors, all[i].fd);
      }
      if (all[2].revents != 0) visitors.push_back(::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC));
    }
    for (const int fd : visitors) ::close(fd);
  }

  void answer_udp() {
    std::array<char, 4096> room;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto got =
        ::recvfrom(udp_, room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got <= 0) return;
    const auto reply = answer({room.data(), static_cast<std::size_t>(got)}, false);
    if (reply)
      ::sendto(udp_, reply->data(), reply->size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }

  static bool receive(int fd, char* into, std::size_t size) {
    return ::recv(fd, into, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }

  bool answer_tcp(int fd) {
    std::array<unsigned char, 2> length;
    if (!receive(fd, reinterpret_cast<char*>(length.data()), 2)) return false;
    std::string message(static_cast<std::size_t>(length[0] << 8 | length[1]), '\0');
    if (!receive(fd, message.data(), message.size())) return false;
    const auto reply = answer(message, true);
    if (!reply) return true;
    const auto wire = dns_number(static_cast<std::uint32_t>(reply->size()), 2) + *reply;
    return ::send(fd, wire.data(), wire.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(wire.size());
  }

  std::optional<std::string> answer(std::string_view message, bool tcp) {
    dns_question one;
    one.tcp = tcp;
    if (message.size() < 17) return std::nullopt;
    one.id = message.substr(0, 2);
    std::size_t at = 12;
    while (at < message.size() && message[at] != 0) {
      const auto length = static_cast<unsigned char>(message[at]);
      if (!one.name.empty()) one.name += '.';
      one.name += message.substr(at + 1, length);
      at += 1u + length;
    }
    if (at + 5 > message.size()) return std::nullopt;
    one.type = static_cast<std::uint16_t>(static_cast<unsigned char>(message[at + 1]) << 8 |
                                          static_cast<unsigned char>(message[at + 2]));
    one.asked = message.substr(12, at + 5 - 12);
    script now;
    {
      const std::lock_guard lock(mutex_);
      questions_.push_back(one);
      now = script_;
      changed_.notify_all();
    }
    return now ? now(one) : known(one);
  }

  int udp_ = -1, tcp_ = -1;
  const int stop_ = ::eventfd(0, EFD_CLOEXEC);
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, std::vector<dns_record>> zone_;
  script script_;
  std::vector<dns_question> questions_;
  std::thread thread_;
};

}  // namespace icapgate::test
