#include "kit/tls.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <array>
#include <csignal>

namespace e2e {

namespace {

using context_ptr = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

[[noreturn]] void refuse(const std::string& what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  throw tls_refused(what + ": " + text.data());
}

context_ptr new_context(const SSL_METHOD* method) {
  context_ptr made(SSL_CTX_new(method), SSL_CTX_free);
  if (!made) refuse("SSL_CTX_new");
  return made;
}

void show(SSL_CTX* context, const lab_certificate& who) {
  if (SSL_CTX_use_certificate_chain_file(context, who.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, who.key.c_str(), SSL_FILETYPE_PEM) != 1)
    refuse(who.certificate);
}

void trust(SSL_CTX* context, const std::string& ca) {
  if (SSL_CTX_load_verify_locations(context, ca.c_str(), nullptr) != 1) refuse(ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

class layer final : public secure_layer {
 public:
  layer(SSL_CTX* context, int fd) : ssl_(SSL_new(context)) {
    std::signal(SIGPIPE, SIG_IGN);
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience);
    const timeval within{static_cast<time_t>(seconds.count()), 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
    SSL_set_fd(ssl_, fd);
  }
  ~layer() override { SSL_free(ssl_); }
  layer(const layer&) = delete;
  layer& operator=(const layer&) = delete;

  bool has_input() const override { return SSL_has_pending(ssl_) == 1; }

  std::size_t receive(char* into, std::size_t size) override {
    std::size_t got = 0;
    ERR_clear_error();
    const int good = SSL_read_ex(ssl_, into, size, &got);
    if (good == 1) return got;
    switch (SSL_get_error(ssl_, good)) {
      case SSL_ERROR_ZERO_RETURN:
        return 0;
      case SSL_ERROR_WANT_READ:
        throw timed_out("nothing more came within the time");
      default:
        ERR_clear_error();
        throw was_reset("TLS was cut, without close_notify");
    }
  }

  void write(std::string_view bytes) override {
    std::size_t sent = 0;
    ERR_clear_error();
    if (bytes.empty() || SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent) == 1) return;
    ERR_clear_error();
    throw was_reset("TLS was cut while writing");
  }

  void end() override { SSL_shutdown(ssl_); }

  SSL* ssl() const { return ssl_; }

 private:
  SSL* ssl_;
};

const layer& layer_of(const connection& of) {
  return dynamic_cast<const layer&>(of.secure());
}

}  // namespace

connection tls_to(std::uint16_t port, const tls_client_settings& settings) {
  const auto context = new_context(TLS_client_method());
  if (settings.show) show(context.get(), *settings.show);
  if (!settings.ca.empty()) trust(context.get(), settings.ca);
  if (settings.version != 0) {
    SSL_CTX_set_min_proto_version(context.get(), settings.version);
    SSL_CTX_set_max_proto_version(context.get(), settings.version);
  }
  auto made = connection::to(port);
  auto tls = std::make_unique<layer>(context.get(), made.descriptor());
  auto* ssl = tls->ssl();
  if (!settings.name.empty()) {
    SSL_set_tlsext_host_name(ssl, settings.name.c_str());
    SSL_set1_host(ssl, settings.name.c_str());
  }
  std::string offer;
  for (const auto& name : settings.protocols) offer += static_cast<char>(name.size()) + name;
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                      static_cast<unsigned>(offer.size()));
  if (settings.resume) SSL_set_session(ssl, settings.resume);
  if (SSL_connect(ssl) != 1) refuse("TLS with port " + std::to_string(port));
  made.speak(std::move(tls));
  return made;
}

tls_facts facts(const connection& of) {
  auto* ssl = layer_of(of).ssl();
  tls_facts out;
  if (auto* certificate = SSL_get0_peer_certificate(ssl)) {
    std::array<char, 128> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              name.size());
    out.certificate = name.data();
  }
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  if (size > 0) out.protocol.assign(reinterpret_cast<const char*>(protocol), size);
  out.resumed = SSL_session_reused(ssl) == 1;
  return out;
}

tls_session session_of(const connection& of) {
  return {SSL_get1_session(layer_of(of).ssl()), SSL_SESSION_free};
}

void accept_tls(connection& on, const tls_server_settings& settings) {
  const auto context = new_context(TLS_server_method());
  show(context.get(), *settings.certificate);
  if (!settings.client_ca.empty()) trust(context.get(), settings.client_ca);
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("t"), 1);
  auto tls = std::make_unique<layer>(context.get(), on.descriptor());
  if (SSL_accept(tls->ssl()) != 1) refuse("TLS with a client");
  on.speak(std::move(tls));
}

}  // namespace e2e
