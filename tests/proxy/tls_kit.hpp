// Certificates made for one test, and the other side of a TLS connection: OpenSSL, used plainly.
#pragma once

#include "proxy/tls.hpp"

#include "catch.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include <unistd.h>

namespace icapgate::test {

using x509_ptr = std::unique_ptr<X509, proxy::openssl_delete<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, proxy::openssl_delete<EVP_PKEY_free>>;

// A folder that is gone after the test.
class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "icapgate_tls_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct identity {
  x509_ptr certificate;
  key_ptr key;

  // Certificate and key in one PEM file.
  void save(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "w");
    REQUIRE(file);
    REQUIRE(PEM_write_X509(file, certificate.get()) == 1);
    REQUIRE(PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    std::fclose(file);
  }
};

// Signed by `issuer`, or by itself. `names` as in OpenSSL's settings: "DNS:a,IP:127.0.0.1". Valid
// from and until so many seconds from now.
inline identity make_identity(const std::string& common_name, const identity* issuer,
                              const std::string& names = {}, long from = -60, long until = 3600) {
  static std::atomic<long> serial{1};
  identity made{x509_ptr(X509_new()), key_ptr(EVP_EC_gen("P-256"))};
  auto* x = made.certificate.get();
  REQUIRE(made.key);
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), from);
  X509_gmtime_adj(X509_getm_notAfter(x), until);
  X509_set_pubkey(x, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(
      x, X509_get_subject_name(issuer ? issuer->certificate.get() : made.certificate.get()));
  const auto extend = [&](int what, const std::string& value) {
    auto* e = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
    REQUIRE(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
  };
  if (!issuer) extend(NID_basic_constraints, "critical,CA:TRUE");
  if (!names.empty()) extend(NID_subject_alt_name, names);
  REQUIRE(X509_sign(x, (issuer ? issuer->key : made.key).get(), EVP_sha256()) > 0);
  return made;
}

// The settings of a server's side.
class tls_server {
 public:
  explicit tls_server(const identity& who) : context_(SSL_CTX_new(TLS_server_method())) {
    REQUIRE(SSL_CTX_use_certificate(context(), who.certificate.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context(), who.key.get()) == 1);
    SSL_CTX_set_session_id_context(context(), reinterpret_cast<const unsigned char*>("t"), 1);
  }

  SSL_CTX* context() const { return context_.get(); }
  void only(int version) {
    SSL_CTX_set_min_proto_version(context(), version);
    SSL_CTX_set_max_proto_version(context(), version);
  }
  void ask_for_certificate(const identity& ca) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context()), ca.certificate.get());
    SSL_CTX_set_verify(context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  proxy::ssl_ptr begin(int socket) const {
    proxy::ssl_ptr fresh(SSL_new(context()));
    SSL_set_fd(fresh.get(), socket);
    SSL_set_accept_state(fresh.get());
    return fresh;
  }
  // Plays its part in a thread of its own; `then` only after a good handshake.
  std::thread play(int socket, std::function<void(SSL*)> then) const {
    return std::thread([this, socket, then = std::move(then)] {
      const auto ssl = begin(socket);
      if (SSL_accept(ssl.get()) == 1)
        then(ssl.get());
      else
        ::shutdown(socket, SHUT_WR);  // the alert is on its way
    });
  }

 private:
  proxy::ssl_context_ptr context_;
};

inline bool send_all(SSL* to, std::string_view text) {
  return SSL_write(to, text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size());
}

// Until the end, or `most` bytes.
inline std::string receive(SSL* from, std::size_t most) {
  std::string all;
  std::string piece(65536, '\0');
  while (all.size() < most) {
    const auto wanted = std::min(piece.size(), most - all.size());
    const int n = SSL_read(from, piece.data(), static_cast<int>(wanted));
    if (n <= 0) break;
    all.append(piece, 0, static_cast<std::size_t>(n));
  }
  return all;
}

// One CA, one server certificate, and the client's settings that fit.
struct tls_world {
  folder files;
  identity ca = make_identity("test CA", nullptr);
  identity scanner = make_identity("scanner", &ca, "DNS:scanner.test,IP:127.0.0.1");
  tls_settings settings;

  tls_world() {
    ca.save(files / "ca.pem");
    settings.ca = files / "ca.pem";
  }
  std::shared_ptr<proxy::tls_client> client(const std::string& host = "scanner.test") const {
    std::string why;
    auto made = proxy::tls_client::make(settings, host, why);
    INFO(why);
    REQUIRE(made);
    return made;
  }
};

}  // namespace icapgate::test
