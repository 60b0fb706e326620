#include "proxy/tls_server.hpp"

#include "base/log.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace icapgate::proxy {
namespace {

// With TLS 1.2. Forward secrecy and authenticated encryption; of TLS 1.3 all have both.
constexpr const char* tls12_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// Whoever gets hold of a ticket's key reads what was resumed with it.
constexpr std::chrono::hours ticket_key_life{24};

// RFC 7301 3.2: a client that names protocols and not ours is told so, rather than served in one
// that it did not ask for.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  constexpr std::string_view ours = "http/1.1";
  for (unsigned at = 0; at < offered_size; at += 1U + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != ours) continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// What all certificates of a listener have in common.
bool set_up_server(SSL_CTX* context, const listen_tls_settings& settings, std::string& why) {
  constexpr std::array<unsigned char, 8> name{'i', 'c', 'a', 'p', 'g', 'a', 't', 'e'};
  if (!set_up_context(context) || SSL_CTX_set_cipher_list(context, tls12_ciphers) != 1 ||
      SSL_CTX_set_session_id_context(context, name.data(), name.size()) != 1) {
    why = "TLS cannot be set up: " + openssl_reason();
    return false;
  }
  // Tickets need no memory here.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  const auto& client_ca = settings.client_ca;
  if (client_ca == tls_settings::off) return true;
  if (SSL_CTX_load_verify_file(context, client_ca.c_str()) != 1)
    return cannot_use("the clients' CA file", client_ca, why);
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(client_ca.c_str()));
  const int none = settings.wants_certificates() ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | none, nullptr);
  return true;
}

std::time_t expiry_of(const X509* certificate) {
  std::tm at{};
  return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &at) == 1 ? ::timegm(&at) : 0;
}

}  // namespace

std::shared_ptr<tls_server> tls_server::make(const listen_tls_settings& settings,
                                             std::string& why) {
  std::shared_ptr<tls_server> made(new tls_server);
  for (std::size_t i = 0; i < settings.certificates.size(); ++i)
    if (!made->load(settings, i, why)) return nullptr;
  auto* first = made->contexts_.front().get();
  SSL_CTX_set_tlsext_servername_callback(first, on_server_name);
  SSL_CTX_set_tlsext_servername_arg(first, made.get());
  return made;
}

bool tls_server::load(const listen_tls_settings& settings, std::size_t which, std::string& why) {
  ERR_clear_error();
  auto* context = contexts_.emplace_back(SSL_CTX_new(TLS_server_method())).get();
  if (!set_up_server(context, settings, why)) return false;
  const auto& certificate = settings.certificates[which];
  const auto& key = settings.keys.empty() ? certificate : settings.keys[which];
  if (!load_certificate(context, certificate, key, why)) return false;
  expiries_.push_back({certificate, expiry_of(SSL_CTX_get0_certificate(context))});
  return true;
}

ssl_ptr tls_server::begin(int socket) {
  ssl_ptr fresh(SSL_new(contexts_.front().get()));
  if (!fresh || SSL_set_fd(fresh.get(), socket) != 1) return nullptr;
  SSL_set_accept_state(fresh.get());
  return fresh;
}

void tls_server::failed(std::string_view reason) {
  log::debug("TLS with a client failed: ", reason);
}

// RFC 6066 3: a name that no certificate holds is answered with the default one.
int tls_server::on_server_name(SSL* ssl, int*, void* self) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  auto* found = name ? static_cast<tls_server*>(self)->find(name) : nullptr;
  if (!found) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_SSL_CTX(ssl, found);
  return SSL_TLSEXT_ERR_OK;
}

// A certificate that holds the very name goes before one with a wildcard.
SSL_CTX* tls_server::find(const char* name) const {
  constexpr std::array<unsigned, 2> rules{X509_CHECK_FLAG_NO_WILDCARDS,
                                          X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS};
  for (const auto rule : rules)
    for (const auto& each : contexts_)
      if (X509_check_host(SSL_CTX_get0_certificate(each.get()), name, 0, rule, nullptr) == 1)
        return each.get();
  return nullptr;
}

tls_listener::tls_listener(listen_tls_settings settings)
    : settings_(std::move(settings)), seen_(stamps()), read_(clock::now()) {
  std::string why;
  current_ = tls_server::make(settings_, why);
  if (!current_) throw std::runtime_error("TLS for clients: " + why);
}

std::shared_ptr<tls_server> tls_listener::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

// The stamps are older than what is read: a change in between is seen the next time.
void tls_listener::look() {
  auto now = stamps();
  const bool changed = now != seen_;
  if (!changed && clock::now() - read_ < ticket_key_life) return;
  seen_ = std::move(now);
  read_ = clock::now();
  std::string why;
  auto fresh = tls_server::make(settings_, why);
  if (!fresh) return log::error("TLS for clients: ", why, "; what was read before stays in use");
  if (changed) log::info("TLS for clients: the certificates were read again");
  const std::lock_guard lock(mutex_);
  current_ = std::move(fresh);
}

tls_listener::stamp tls_listener::stamp_of(const std::string& file) {
  struct stat found{};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

std::vector<tls_listener::stamp> tls_listener::stamps() const {
  std::vector<stamp> all;
  for (const auto* files : {&settings_.certificates, &settings_.keys})
    for (const auto& file : *files) all.push_back(stamp_of(file));
  if (settings_.client_ca != tls_settings::off) all.push_back(stamp_of(settings_.client_ca));
  return all;
}

}  // namespace icapgate::proxy
