#include "proxy/dns_channel.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

// ares_search is deprecated in later releases; what replaces it is not in earlier ones.
#define CARES_NO_DEPRECATED
#include <ares.h>

namespace icapgate::proxy {
namespace {

constexpr int class_internet = 1;
constexpr int type_srv = 33;

std::optional<asio::ip::address> address_of(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    asio::ip::address_v4::bytes_type bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(from)->sin_addr, bytes.size());
    return asio::ip::address_v4(bytes);
  }
  if (from->sa_family != AF_INET6) return std::nullopt;
  asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr, bytes.size());
  return asio::ip::address_v6(bytes);
}

// The TTLs of addresses and of aliases both count.
dns_answer read_addresses(const ares_addrinfo& list) {
  dns_answer found;
  int ttl = std::numeric_limits<int>::max();
  for (const auto* node = list.nodes; node; node = node->ai_next) {
    ttl = std::min(ttl, node->ai_ttl);
    const auto address = address_of(node->ai_addr);
    const bool known = !address || std::ranges::count(found.addresses, *address) > 0;
    if (!known && found.addresses.size() < dns_channel::most_addresses)
      found.addresses.push_back(*address);
  }
  for (const auto* alias = list.cnames; alias; alias = alias->next) ttl = std::min(ttl, alias->ttl);
  found.ttl = std::chrono::seconds(std::max(ttl, 0));
  if (found.addresses.empty()) found.trouble = "it has no address";
  return found;
}

dns_answer read_targets(const unsigned char* message, int length) {
  dns_answer found;
  auto parsed = parse_srv_answer({message, static_cast<std::size_t>(length)});
  if (!parsed) {
    found.trouble = ares_strerror(ARES_EBADRESP);
    return found;
  }
  found.targets = std::move(parsed->targets);
  found.ttl = parsed->ttl;
  if (found.targets.empty()) found.trouble = "there is no such service";
  return found;
}

dns_answer failure(int status) {
  dns_answer found;
  found.trouble = ares_strerror(status);
  found.unanswered = status != ARES_ENODATA && status != ARES_ENOTFOUND;
  return found;
}

}  // namespace

// A socket of c-ares, which opens and closes it.
struct dns_channel::watched {
  explicit watched(asio::io_context& context) : descriptor(context) {}

  asio::posix::stream_descriptor descriptor;
  bool open = true;
  bool want_read = false, want_write = false;
  bool reading = false, writing = false;
};

// The owner of what c-ares calls back with.
struct dns_channel::question {
  dns_channel& owner;
  handler then;
};

dns_channel::dns_channel(asio::io_context& context, const dns_settings& settings,
                         const std::string& resolv_conf)
    : context_(context), timer_(context) {
  static const int ready = ares_library_init(ARES_LIB_INIT_ALL);
  auto path = resolv_conf;
  ares_options options{};
  options.sock_state_cb = on_state;
  options.sock_state_cb_data = this;
  options.timeout = static_cast<int>(settings.timeout.count());
  options.tries = tries;
  options.resolvconf_path = path.data();
  int given = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF;
#ifdef ARES_OPT_QUERY_CACHE
  // Answers are kept by the resolver, within its bounds.
  options.qcache_max_ttl = 0;
  given |= ARES_OPT_QUERY_CACHE;
#endif
  int status = ready;
  if (status == ARES_SUCCESS) status = ares_init_options(&channel_, &options, given);
  std::string servers;
  for (const auto& one : settings.servers)
    (servers += servers.empty() ? "" : ",") += one.to_string();
  if (status == ARES_SUCCESS && !servers.empty())
    status = ares_set_servers_ports_csv(channel_, servers.c_str());
  if (status != ARES_SUCCESS) trouble_ = ares_strerror(status);
}

dns_channel::~dns_channel() {
  ending_ = true;
  *alive_ = false;
  if (channel_) ares_destroy(channel_);
  for (auto& [socket, one] : sockets_) {
    one->open = false;
    one->descriptor.release();
  }
}

void dns_channel::find_addresses(const std::string& host, handler then) {
  auto* asked = ask(std::move(then));
  if (!asked) return;
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const auto done = [](void* it, int status, int, ares_addrinfo* list) {
    auto found = status == ARES_SUCCESS && list ? read_addresses(*list) : failure(status);
    if (list) ares_freeaddrinfo(list);
    answer(static_cast<question*>(it), std::move(found));
  };
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, done, asked);
  arm_timer();
}

void dns_channel::find_targets(const std::string& service, handler then) {
  auto* asked = ask(std::move(then));
  if (!asked) return;
  const auto done = [](void* it, int status, int, unsigned char* message, int length) {
    answer(static_cast<question*>(it),
           status == ARES_SUCCESS ? read_targets(message, length) : failure(status));
  };
  ares_search(channel_, service.c_str(), class_internet, type_srv, done, asked);
  arm_timer();
}

dns_channel::question* dns_channel::ask(handler then) {
  if (!trouble_.empty()) {
    dns_answer none;
    none.trouble = trouble_;
    then(std::move(none));
    return nullptr;
  }
  ++asked_;
  return new question{*this, std::move(then)};
}

void dns_channel::answer(question* asked, dns_answer found) {
  const std::unique_ptr<question> done(asked);
  --done->owner.asked_;
  if (!done->owner.ending_) done->then(std::move(found));
}

void dns_channel::on_state(void* self, int socket, int readable, int writable) {
  static_cast<dns_channel*>(self)->watch(socket, readable != 0, writable != 0);
}

// Neither: c-ares is about to close it.
void dns_channel::watch(int socket, bool readable, bool writable) {
  auto at = sockets_.find(socket);
  if (!readable && !writable) {
    if (at == sockets_.end()) return;
    at->second->open = false;
    at->second->descriptor.release();
    sockets_.erase(at);
    return;
  }
  if (at == sockets_.end()) {
    auto fresh = std::make_shared<watched>(context_);
    boost::system::error_code failed;
    fresh->descriptor.assign(socket, failed);
    if (failed) return;  // the question's own timeout ends it
    at = sockets_.emplace(socket, std::move(fresh)).first;
  }
  at->second->want_read = readable;
  at->second->want_write = writable;
  wait(at->second);
}

void dns_channel::wait(const std::shared_ptr<watched>& one) {
  using descriptor = asio::posix::stream_descriptor;
  const int socket = one->descriptor.native_handle();
  const auto wait_for = [&](descriptor::wait_type what, bool& waiting, auto then) {
    waiting = true;
    one->descriptor.async_wait(what,
                               [this, one, &waiting, then](const boost::system::error_code& ec) {
                                 waiting = false;
                                 if (ec || !one->open) return;
                                 then(*this);
                                 if (one->open) wait(one);
                               });
  };
  if (one->want_read && !one->reading)
    wait_for(descriptor::wait_read, one->reading,
             [socket](dns_channel& self) { self.process(socket, ARES_SOCKET_BAD); });
  if (one->want_write && !one->writing)
    wait_for(descriptor::wait_write, one->writing,
             [socket](dns_channel& self) { self.process(ARES_SOCKET_BAD, socket); });
}

void dns_channel::process(int readable, int writable) {
  ares_process_fd(channel_, readable, writable);
  arm_timer();
}

void dns_channel::arm_timer() {
  timeval room{};
  if (!ares_timeout(channel_, nullptr, &room)) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(room.tv_sec) + std::chrono::microseconds(room.tv_usec));
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& ec) {
    if (!ec && *alive) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace icapgate::proxy
