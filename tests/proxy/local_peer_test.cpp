#include "proxy/local_peer.hpp"

#include "catch.hpp"
#include "proxy/listening.hpp"
#include "proxy/stream.hpp"
#include "wire.hpp"

#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace asio = boost::asio;
using namespace icapgate;
using tcp = asio::ip::tcp;

namespace {

std::string control_of(int socket) {
  char name[16] = {};
  socklen_t size = sizeof name;
  REQUIRE(::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0);
  return name;
}

// Of a socket that nobody has changed.
std::string system_control() {
  asio::io_context context;
  tcp::socket plain(context, tcp::v4());
  return control_of(plain.native_handle());
}

std::string control_for(const char* address) {
  asio::io_context context;
  const tcp::endpoint at(asio::ip::make_address(address), 80);
  tcp::socket socket(context, at.protocol());
  proxy::leave_out_pacing(socket.native_handle(), at.data());
  return control_of(socket.native_handle());
}

}  // namespace

TEST_CASE("local peer: to a loopback address nothing is paced, to others as the system has it") {
  for (const auto address : {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"}) {
    INFO(address);
    CHECK(control_for(address) == "reno");
  }
  for (const auto address : {"0.0.0.0", "128.0.0.1", "10.0.0.1", "::", "::2", "::ffff:10.0.0.1"}) {
    INFO(address);
    CHECK(control_for(address) == system_control());
  }
}

TEST_CASE("local peer: both ends of a connection within the machine are such") {
  asio::io_context context;
  const tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
  auto acceptor = proxy::bind_tcp(context, {}, any, false);
  acceptor.listen();
  proxy::deadlines all(context, [] {});
  proxy::stream client(proxy::descriptor(), all);
  client.expires_after(std::chrono::seconds(10));
  const proxy::stream::endpoint_type peer = acceptor.local_endpoint();
  CHECK_FALSE(test::run(context, all, client.connect(peer)));
  auto accepted = acceptor.accept();
  CHECK(control_of(client.number()) == "reno");
  CHECK(control_of(accepted.native_handle()) == "reno");
}
