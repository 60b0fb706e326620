// TLS on one connected socket, for either side; and towards a peer, as client: what is trusted and
// shown, shared by all connections to it. The server's side is tls_server.hpp.
#pragma once

#include "base/config.hpp"
#include "proxy/buffers.hpp"
#include "proxy/io.hpp"

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::proxy {

template <auto Free>
struct openssl_delete {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using ssl_ptr = std::unique_ptr<SSL, openssl_delete<SSL_free>>;
using ssl_context_ptr = std::unique_ptr<SSL_CTX, openssl_delete<SSL_CTX_free>>;
using x509_ptr = std::unique_ptr<X509, openssl_delete<X509_free>>;
using ssl_session_ptr = std::unique_ptr<SSL_SESSION, openssl_delete<SSL_SESSION_free>>;

// What one step of a handshake came to.
enum class tls_status : std::uint8_t {
  ok,
  would_block,
  timed_out,
  untrusted,  // the peer's certificate does not prove that it is the peer
  failed,     // any other failure
};

// What one side of a connection needs to begin it, and whom it tells how that went. Shared by its
// connections and by all workers; any thread.
class tls_side {
 public:
  virtual ~tls_side() = default;

  // The state of one new connection over `socket`, which stays the caller's. nullptr: out of
  // memory.
  virtual ssl_ptr begin(int socket) = 0;

  virtual void failed(std::string_view reason) = 0;
  virtual void established() = 0;
};

// The first of OpenSSL's errors of this thread, in words; none is left behind.
std::string openssl_reason();

// What both sides want of each context: TLS 1.2 or newer, no renegotiation, no compression, files
// without a passphrase. Whether that could be set.
bool set_up_context(SSL_CTX* context);

// The chain and its key; false: `why` names the file.
bool load_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key,
                      std::string& why);
bool cannot_use(std::string_view what, const std::string& file, std::string& why);

// One peer to connect to by TLS 1.2 or newer, as client: context, name, sessions to be resumed.
class tls_client final : public tls_side {
 public:
  // `host`: the peer's name or IP address, which its certificate must hold unless the settings name
  // another. nullptr: `why` is a sentence for the user, which names the file or the name that is
  // wrong.
  static std::shared_ptr<tls_client> make(const tls_settings& settings, const std::string& host,
                                          std::string& why);
  tls_client(const tls_client&) = delete;
  tls_client& operator=(const tls_client&) = delete;

  ssl_ptr begin(int socket) override;

  // One warning with the reason, repeated only after a handshake that was good or with another
  // reason.
  void failed(std::string_view reason) override;
  void established() override;

 private:
  tls_client() = default;
  bool load(const tls_settings& settings, std::string& why);
  bool load_identity(const tls_settings& settings, std::string& why);
  void keep(ssl_session_ptr fresh);
  ssl_session_ptr take_session();
  static int on_new_session(SSL* from, SSL_SESSION* fresh);

  std::string name_;  // verified, and sent as SNI
  bool is_address_ = false;
  ssl_context_ptr context_;
  std::mutex mutex_;
  std::vector<ssl_session_ptr> sessions_;  // the newest last
  std::string told_;
};

// The records on one connected, non-blocking socket. Worker thread only. Attempts behave as those
// of `stream`, and each leaves behind what the next one of its kind has to wait for.
class tls_channel {
 public:
  tls_channel(std::shared_ptr<tls_side> side, int socket);
  ~tls_channel();

  // Again until it is no longer would_block. Failures have been logged.
  tls_status handshake();

  io_result try_read(const mutable_buffers& into);
  io_result try_write(const const_buffers& from);
  io_result try_send_file(int file, std::uint64_t offset, std::uint64_t max);

  // The peer's, as stream::peer_certificate.
  std::string peer_certificate() const;

  // Bytes of the peer may be here already: the socket must not be waited for.
  bool has_input() const;
  // The next attempt needs the socket's other direction.
  bool read_needs_writable() const { return read_needs_writable_; }
  bool write_needs_readable() const { return write_needs_readable_; }

  // No byte for the application and no end. Session tickets are taken and don't count.
  bool is_quiet();
  // Tells the peer that no more comes, where that is possible without waiting.
  void close_notify();

 private:
  io_result read_some(void* into, std::size_t size);
  io_result write_record(const void* from, std::size_t size);
  io_status read_failure(int returned);
  io_status write_failure(int returned);
  tls_status handshake_failure(int error);
  void tell_alert();

  std::shared_ptr<tls_side> side_;
  ssl_ptr ssl_;
  io_status ended_ = io_status::ok;  // what reads have come to for good
  std::size_t unsent_ = 0;           // bytes of a record that is made and has to go first
  bool established_ = false;
  bool drained_ = false;  // the last read found that only the socket can bring more
  bool read_needs_writable_ = false;
  bool write_needs_readable_ = false;
};

}  // namespace icapgate::proxy
