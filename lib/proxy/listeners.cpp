#include "proxy/listeners.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace icapgate::proxy {
namespace {

using tcp = asio::ip::tcp;

endpoint to_endpoint(const tcp::endpoint& address) {
  return {address.address().to_string(), address.port()};
}

}  // namespace

// A listener with its sockets.
struct listeners::one {
  listener settings;
  endpoint address;  // with the real port
  int family = 0;
  std::string id;
  std::vector<any_acceptor> fresh;  // one for each worker, until they are handed over
  std::optional<socket_file> file;
  std::shared_ptr<tls_listener> tls;  // nullptr: plain HTTP
};

struct listeners::plan {
  struct entry {
    std::shared_ptr<one> at;
    listener settings;
    std::shared_ptr<tls_listener> tls;
  };
  std::vector<entry> entries;
};

std::shared_ptr<listeners::plan> listeners::prepare(const std::vector<listener>& wanted) {
  auto made = std::make_shared<plan>();
  for (const auto& l : wanted) {
    plan::entry next{find_open(l), l, nullptr};
    const bool same_tls = next.at && next.at->tls && next.at->settings.tls == l.tls;
    if (same_tls)
      next.tls = next.at->tls;
    else if (l.tls.wanted())
      next.tls = std::make_shared<tls_listener>(l.tls);
    if (!next.at) next.at = open(l);
    made->entries.push_back(std::move(next));
  }
  return made;
}

std::vector<std::vector<worker::opened>> listeners::adopt(plan& prepared) {
  std::vector<std::vector<worker::opened>> shares(workers_);
  all_.clear();
  for (auto& next : prepared.entries) {
    auto& at = *next.at;
    at.settings = next.settings;
    at.tls = next.tls;
    const auto into = std::make_shared<const entrance>(at.settings, at.tls);
    for (unsigned i = 0; i < workers_; ++i) {
      const int socket = at.fresh.empty() ? -1 : at.fresh[i].release();
      shares[i].push_back({at.id, socket, at.family, into});
    }
    at.fresh.clear();
    all_.push_back(next.at);
  }
  return shares;
}

void listeners::look_at_certificates() {
  for (const auto& l : all_)
    if (l->tls) l->tls->look();
}

std::vector<endpoint> listeners::addresses() const {
  std::vector<endpoint> found;
  for (const auto& l : all_) found.push_back(l->address);
  return found;
}

// Port 0 is as good as any other that the listener of that name was given.
std::shared_ptr<listeners::one> listeners::find_open(const listener& wanted) const {
  const auto same = std::ranges::find_if(all_, [&](const auto& l) {
    const auto& its = l->settings;
    const bool any_port = wanted.address.unix_socket.empty() && wanted.address.port == 0;
    return its.address == wanted.address && (!any_port || its.name == wanted.name) &&
           (wanted.address.unix_socket.empty() || its.socket_mode == wanted.socket_mode);
  });
  return same == all_.end() ? nullptr : *same;
}

std::shared_ptr<listeners::one> listeners::open(const listener& wanted) {
  auto made = std::make_shared<one>();
  made->settings = wanted;
  if (wanted.address.unix_socket.empty())
    open_tcp(*made);
  else
    open_unix(*made);
  made->id = std::to_string(++opened_);
  made->family = made->fresh.front().local_endpoint().protocol().family();
  return made;
}

void listeners::open_tcp(one& made) {
  const auto& wanted = made.settings.address;
  auto address = resolve_listener(context_, wanted);
  // A port that another process serves is an error, even where both would share it.
  auto first = bind_tcp(context_, wanted, address, false);
  address = first.local_endpoint();
  if (workers_ > 1) {
    first.close();
    first = bind_tcp(context_, wanted, address, true);
  }
  for (unsigned i = 0; i < workers_; ++i) {
    auto acceptor = i == 0 ? std::move(first) : bind_tcp(context_, wanted, address, true);
    start_listening(acceptor, wanted);
    made.fresh.emplace_back(context_, address.protocol(), acceptor.release());
  }
  made.address = to_endpoint(address);
}

void listeners::open_unix(one& made) {
  const auto& wanted = made.settings.address;
  auto acceptor = bind_unix(context_, wanted, made.settings.socket_mode);
  made.file.emplace(wanted.unix_socket);
  start_listening(acceptor, wanted);
  const auto protocol = acceptor.local_endpoint().protocol();
  for (unsigned i = 1; i < workers_; ++i) {
    const int copy = ::fcntl(acceptor.native_handle(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) cannot_listen(wanted, {errno, boost::system::system_category()});
    made.fresh.emplace_back(context_, protocol, copy);
  }
  made.fresh.push_back(std::move(acceptor));
  made.address = wanted;
}

}  // namespace icapgate::proxy
