// TLS of the plays' own peers, client and server: OpenSSL, used plainly.
#pragma once

#include "kit/lab.hpp"
#include "kit/tcp.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace e2e {

// The handshake failed, or this side refused the other one.
struct tls_refused : peer_gone {
  using peer_gone::peer_gone;
};

struct tls_client_settings {
  std::string name = "shop.example";        // SNI; empty: none
  std::string ca = {};                      // PEM file; empty: anybody is believed
  const lab_certificate* show = nullptr;    // of the client
  std::vector<std::string> protocols = {};  // ALPN
  int version = 0;                          // only this one, TLS1_2_VERSION; 0: any
  SSL_SESSION* resume = nullptr;
};

// What a handshake came to.
struct tls_facts {
  std::string certificate;  // common name of the other side's
  std::string protocol;     // ALPN; empty: none
  bool resumed = false;
};

using tls_session = std::shared_ptr<SSL_SESSION>;

// A connection on which TLS is spoken. Throws tls_refused.
connection tls_to(std::uint16_t port, const tls_client_settings& settings = {});
tls_facts facts(const connection& of);
// To be resumed. With TLS 1.3 only after something was read.
tls_session session_of(const connection& of);

struct tls_server_settings {
  const lab_certificate* certificate;
  std::string client_ca = {};  // PEM file: a client has to show a certificate of it
};
// The server's side, on a connection that was accepted. Throws tls_refused.
void accept_tls(connection& on, const tls_server_settings& settings);

}  // namespace e2e
