#include "proxy/local_peer.hpp"

#include <cstring>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace icapgate::proxy {
namespace {

bool is_loopback(const sockaddr* at) {
  if (at->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, at, sizeof v4);
    return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (at->sa_family != AF_INET6) return false;
  sockaddr_in6 v6{};
  std::memcpy(&v6, at, sizeof v6);
  const auto* bytes = v6.sin6_addr.s6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && bytes[12] == IN_LOOPBACKNET);
}

}  // namespace

void leave_out_pacing(int socket, const sockaddr* at) {
  // Of all algorithms the one that every system has.
  constexpr std::string_view plain = "reno";
  if (!is_loopback(at)) return;
  static_cast<void>(::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, plain.data(), plain.size()));
}

}  // namespace icapgate::proxy
