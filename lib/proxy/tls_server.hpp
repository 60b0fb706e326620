// TLS towards clients: certificates chosen by the name that a client asks for, and read again when
// their files change.
#pragma once

#include "base/config.hpp"
#include "base/metrics.hpp"
#include "proxy/deadline.hpp"
#include "proxy/tls.hpp"

#include <sys/types.h>

#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace icapgate::proxy {

// What one reading of the files gave: TLS 1.2 or newer, HTTP/1.1 by ALPN, sessions resumed by
// tickets that any worker takes. Never changes; any thread.
class tls_server final : public tls_side {
 public:
  // nullptr: `why` is a sentence for the user, which names the file that is wrong.
  static std::shared_ptr<tls_server> make(const listen_tls_settings& settings, std::string& why);
  tls_server(const tls_server&) = delete;
  tls_server& operator=(const tls_server&) = delete;

  ssl_ptr begin(int socket) override;
  // Anybody may fail, as often as they like: told at level debug.
  void failed(std::string_view reason) override;
  void established() override {}

  // Of each file of certificates, its first one.
  const std::vector<certificate_expiry>& expiries() const { return expiries_; }

 private:
  tls_server() = default;
  bool load(const listen_tls_settings& settings, std::size_t which, std::string& why);
  SSL_CTX* find(const char* name) const;
  static int on_server_name(SSL* ssl, int* alert, void* self);

  std::vector<ssl_context_ptr> contexts_;  // one for each certificate; the first is the default
  std::vector<certificate_expiry> expiries_;
};

// The certificates of one listener, as their files are now. look() on one thread, current() on any.
class tls_listener {
 public:
  // Throws std::runtime_error, with the file's name in its text.
  explicit tls_listener(listen_tls_settings settings);

  // For the next handshake.
  std::shared_ptr<tls_server> current() const;

  // Reads the files if one of them has changed. What is bad is told, and the old ones stay in use.
  void look();

 private:
  struct stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::time_t seconds = 0;
    long nanoseconds = 0;
    bool operator==(const stamp&) const = default;
  };
  static stamp stamp_of(const std::string& file);
  std::vector<stamp> stamps() const;

  const listen_tls_settings settings_;
  std::vector<stamp> seen_;  // when they were read last, with or without success
  clock::time_point read_;
  mutable std::mutex mutex_;
  std::shared_ptr<tls_server> current_;
};

}  // namespace icapgate::proxy
