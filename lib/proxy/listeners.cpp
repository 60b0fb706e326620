#include "proxy/listeners.hpp"

#include "base/log.hpp"
#include "base/options.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace icapgate::proxy {
namespace {

using tcp = asio::ip::tcp;

template <class Protocol>
typename Protocol::endpoint as(const any_acceptor::endpoint_type& address) {
  typename Protocol::endpoint out;
  std::memcpy(out.data(), address.data(), std::min(address.size(), out.capacity()));
  out.resize(std::min(address.size(), out.capacity()));
  return out;
}

endpoint address_of(const any_acceptor& acceptor) {
  const auto address = acceptor.local_endpoint();
  if (address.protocol().family() == AF_UNIX) {
    endpoint out;
    out.unix_socket = as<asio::local::stream_protocol>(address).path();
    return out;
  }
  const auto bound = as<tcp>(address);
  return {bound.address().to_string(), bound.port()};
}

void change_mode(const listener& to) {
  const auto& path = to.address.unix_socket;
  if (!set_mode(path, to.socket_mode))
    log::error("listen: ", path, " can't be given the mode ", to.socket_mode, ": ",
               std::generic_category().message(errno));
}

}  // namespace

// One address that is listened at.
struct listeners::socket {
  std::string id;
  int family = 0;
  endpoint address;                 // with the real port
  std::vector<any_acceptor> fresh;  // one for each worker, until they are handed over
};

struct listeners::one {
  listener settings;
  taken inherited;              // empty: the socket is our own
  std::vector<socket> sockets;  // more than one only where they are inherited
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
  check_inherited(wanted);
  auto made = std::make_shared<plan>();
  for (const auto& l : wanted) {
    const auto inherited = inherited_for(l, wanted.size() == 1);
    plan::entry next{find_open(l, inherited), l, nullptr};
    const bool same_tls = next.at && next.at->tls && next.at->settings.tls == l.tls;
    if (same_tls)
      next.tls = next.at->tls;
    else if (l.tls.wanted())
      next.tls = std::make_shared<tls_listener>(l.tls);
    if (!next.at) next.at = open(l, inherited);
    made->entries.push_back(std::move(next));
  }
  return made;
}

std::vector<std::vector<worker::opened>> listeners::adopt(plan& prepared) {
  std::vector<std::vector<worker::opened>> shares(workers_);
  all_.clear();
  for (auto& next : prepared.entries) {
    auto& at = *next.at;
    if (at.file && at.settings.socket_mode != next.settings.socket_mode) change_mode(next.settings);
    at.settings = next.settings;
    at.tls = next.tls;
    const auto into = std::make_shared<const entrance>(at.settings, at.tls);
    for (auto& s : at.sockets) {
      for (unsigned i = 0; i < workers_; ++i)
        shares[i].push_back({s.id, s.fresh.empty() ? -1 : s.fresh[i].release(), s.family, into});
      s.fresh.clear();
    }
    all_.push_back(next.at);
  }
  return shares;
}

void listeners::look_at_certificates() {
  for (const auto& l : all_)
    if (l->tls) l->tls->look();
}

std::vector<certificate_expiry> listeners::expiries() const {
  std::vector<certificate_expiry> found;
  for (const auto& l : all_) {
    if (!l->tls) continue;
    for (const auto& expiry : l->tls->current()->expiries())
      if (std::ranges::find(found, expiry.file, &certificate_expiry::file) == found.end())
        found.push_back(expiry);
  }
  return found;
}

std::vector<endpoint> listeners::addresses() const {
  std::vector<endpoint> found;
  for (const auto& l : all_)
    for (const auto& s : l->sockets) found.push_back(s.address);
  return found;
}

// --- sockets that the service manager opened

void listeners::check_inherited(const std::vector<listener>& wanted) const {
  if (wanted.size() == 1) return;
  for (const auto& s : inherited_)
    if (std::ranges::find(wanted, s.name(), &listener::name) == wanted.end())
      throw std::runtime_error("the service manager hands over a socket named " +
                               in_quotes(s.name()) + ", and no [listen.NAME] has that name");
}

listeners::taken listeners::inherited_for(const listener& wanted, bool only) const {
  taken found;
  for (const auto& s : inherited_)
    if (only || s.name() == wanted.name) found.push_back(&s);
  return found;
}

listeners::socket listeners::adopt_inherited(const inherited_socket& from) {
  socket made;
  made.id = std::to_string(++opened_);
  made.family = from.family();
  endpoint named;
  named.host = from.name();
  for (unsigned i = 0; i < workers_; ++i)
    made.fresh.push_back(copy_of(from.descriptor(), from.family(), named));
  made.address = address_of(made.fresh.front());
  return made;
}

// --- sockets of our own

// Port 0 is as good as any other that the listener of that name was given.
std::shared_ptr<listeners::one> listeners::find_open(const listener& wanted,
                                                     const taken& inherited) const {
  const auto& at = wanted.address;
  const bool tcp_socket = at.unix_socket.empty();
  const auto same = std::ranges::find_if(all_, [&](const auto& l) {
    const auto& its = l->settings;
    if (!inherited.empty() || !l->inherited.empty()) return l->inherited == inherited;
    return its.address == at && (!tcp_socket || at.port != 0 || its.name == wanted.name);
  });
  return same == all_.end() ? nullptr : *same;
}

std::shared_ptr<listeners::one> listeners::open(const listener& wanted, const taken& inherited) {
  auto made = std::make_shared<one>();
  made->settings = wanted;
  made->inherited = inherited;
  for (const auto* s : inherited) made->sockets.push_back(adopt_inherited(*s));
  if (!inherited.empty()) return made;
  const auto& at = wanted.address;
  if (at.unix_socket.empty()) {
    made->sockets.push_back(open_tcp(at));
  } else {
    made->sockets.push_back(open_unix(at, wanted.socket_mode));
    made->file.emplace(at.unix_socket);
  }
  return made;
}

listeners::socket listeners::open_tcp(const endpoint& at) {
  auto address = resolve_listener(context_, at);
  // A port that another process serves is an error, even where both would share it.
  auto first = bind_tcp(context_, at, address, false);
  address = first.local_endpoint();
  if (workers_ > 1) {
    first.close();
    first = bind_tcp(context_, at, address, true);
  }
  socket made;
  made.id = std::to_string(++opened_);
  made.family = address.protocol().family();
  for (unsigned i = 0; i < workers_; ++i) {
    auto acceptor = i == 0 ? std::move(first) : bind_tcp(context_, at, address, true);
    start_listening(acceptor, at);
    made.fresh.emplace_back(context_, address.protocol(), acceptor.release());
  }
  made.address = address_of(made.fresh.front());
  return made;
}

listeners::socket listeners::open_unix(const endpoint& at, const std::string& mode) {
  auto acceptor = bind_unix(context_, at, mode);
  start_listening(acceptor, at);
  socket made;
  made.id = std::to_string(++opened_);
  made.family = AF_UNIX;
  made.address = at;
  for (unsigned i = 1; i < workers_; ++i)
    made.fresh.push_back(copy_of(acceptor.native_handle(), AF_UNIX, at));
  made.fresh.push_back(std::move(acceptor));
  return made;
}

any_acceptor listeners::copy_of(int descriptor, int family, const endpoint& at) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) cannot_listen(at, {errno, boost::system::system_category()});
  return {context_, asio::generic::stream_protocol(family, 0), copy};
}

}  // namespace icapgate::proxy
