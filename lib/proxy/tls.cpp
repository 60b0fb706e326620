#include "proxy/tls.hpp"

#include "base/log.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace icapgate::proxy {
namespace {

// RFC 8446 5.1: the plaintext of one record.
constexpr std::size_t record_size = 16384;
// Smaller buffers are put together in one record; the copy costs less than a record each.
constexpr std::size_t small_buffer = 8192;
// A server gives two tickets per handshake or one; connections are made in bursts.
constexpr std::size_t most_sessions = 16;

// Where records are put together. Their bytes are not needed after the attempt, as the same bytes
// may be given from another place when it is repeated.
thread_local std::array<char, record_size> scratch;

bool is_ip_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored;
  return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

// Without it OpenSSL would ask on the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

}  // namespace

// The oldest entry is the cause, those behind it say where it happened.
std::string openssl_reason() {
  const auto code = ERR_get_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
    return "what came is no TLS (wrong version number); is the port one for TLS?";
  const char* text = code ? ERR_reason_error_string(code) : nullptr;
  return text ? text : "unknown reason";
}

bool cannot_use(std::string_view what, const std::string& file, std::string& why) {
  why = std::string(what) + " \"" + file + "\" cannot be used: " + openssl_reason();
  return false;
}

bool set_up_context(SSL_CTX* context) {
  if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) return false;
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A record's head and body come by one system call.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  return true;
}

bool load_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key,
                      std::string& why) {
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return cannot_use("the certificate", certificate, why);
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return cannot_use("the key", key, why);
  return true;
}

// --- the peer

std::shared_ptr<tls_client> tls_client::make(const tls_settings& settings, const std::string& host,
                                             std::string& why) {
  std::shared_ptr<tls_client> made(new tls_client);
  made->name_ = settings.server_name == tls_settings::automatic ? host : settings.server_name;
  made->is_address_ = is_ip_address(made->name_);
  // A name in DNS may end in a dot, one in a certificate or in SNI does not (RFC 6066 3).
  if (made->name_.ends_with('.')) made->name_.pop_back();
  ERR_clear_error();
  if (!made->load(settings, why)) return nullptr;
  return made;
}

bool tls_client::load(const tls_settings& settings, std::string& why) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  auto* context = context_.get();
  if (!set_up_context(context)) {
    why = "TLS cannot be set up: " + openssl_reason();
    return false;
  }
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  const bool own_ca = settings.ca != tls_settings::system;
  if (!own_ca && SSL_CTX_set_default_verify_paths(context) != 1) {
    why = "the system's certificate store cannot be used: " + openssl_reason();
    return false;
  }
  if (own_ca && SSL_CTX_load_verify_file(context, settings.ca.c_str()) != 1)
    return cannot_use("the CA file", settings.ca, why);
  return load_identity(settings, why);
}

bool tls_client::load_identity(const tls_settings& settings, std::string& why) {
  const bool has_key = settings.key != tls_settings::off;
  if (settings.certificate == tls_settings::off) {
    if (has_key) why = "there is a key, \"" + settings.key + "\", without a certificate";
    return !has_key;
  }
  const auto& key = has_key ? settings.key : settings.certificate;
  return load_certificate(context_.get(), settings.certificate, key, why);
}

ssl_ptr tls_client::begin(int socket) {
  ssl_ptr fresh(SSL_new(context_.get()));
  auto* ssl = fresh.get();
  if (!ssl || SSL_set_fd(ssl, socket) != 1) return nullptr;
  auto* rules = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = is_address_ ? X509_VERIFY_PARAM_set1_ip_asc(rules, name_.c_str()) == 1
                                 : X509_VERIFY_PARAM_set1_host(rules, name_.c_str(), 0) == 1 &&
                                       SSL_set_tlsext_host_name(ssl, name_.c_str()) == 1;
  // A connection whose name would not be verified must not come to be.
  if (!named) return nullptr;
  if (const auto session = take_session()) SSL_set_session(ssl, session.get());
  SSL_set_connect_state(ssl);
  return fresh;
}

int tls_client::on_new_session(SSL* from, SSL_SESSION* fresh) {
  auto* self = static_cast<tls_client*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(from)));
  self->keep(ssl_session_ptr(fresh));
  return 1;  // the reference is ours now
}

void tls_client::keep(ssl_session_ptr fresh) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() == most_sessions) sessions_.erase(sessions_.begin());
  sessions_.push_back(std::move(fresh));
}

// RFC 8446 C.4: a ticket is used once. A TLS 1.2 session may be resumed again and again.
ssl_session_ptr tls_client::take_session() {
  const std::lock_guard lock(mutex_);
  while (!sessions_.empty()) {
    auto newest = std::move(sessions_.back());
    sessions_.pop_back();
    if (SSL_SESSION_is_resumable(newest.get()) != 1) continue;
    if (SSL_SESSION_get_protocol_version(newest.get()) < TLS1_3_VERSION &&
        SSL_SESSION_up_ref(newest.get()) == 1)
      sessions_.emplace_back(newest.get());
    return newest;
  }
  return nullptr;
}

void tls_client::failed(std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    if (told_ == reason) return;
    told_ = reason;
  }
  log::warn("TLS with ", name_, " failed: ", reason);
}

void tls_client::established() {
  const std::lock_guard lock(mutex_);
  told_.clear();
}

// --- one connection

tls_channel::tls_channel(std::shared_ptr<tls_side> side, int socket)
    : side_(std::move(side)), ssl_(side_->begin(socket)) {}

tls_channel::~tls_channel() {
  // Dropping a connection without a goodbye would make its session useless, which a truncated ICAP
  // message, found out by its own framing, does not call for.
  if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

tls_status tls_channel::handshake() {
  if (!ssl_) {
    side_->failed("out of memory, or a server name that cannot be verified");
    return tls_status::failed;
  }
  ERR_clear_error();
  errno = 0;
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    established_ = true;
    read_needs_writable_ = false;
    drained_ = false;  // the first request may have come with the handshake's end
    side_->established();
    return tls_status::ok;
  }
  const int error = SSL_get_error(ssl_.get(), done);
  read_needs_writable_ = error == SSL_ERROR_WANT_WRITE;
  drained_ = true;
  if (read_needs_writable_ || error == SSL_ERROR_WANT_READ) return tls_status::would_block;
  return handshake_failure(error);
}

tls_status tls_channel::handshake_failure(int error) {
  const int system_error = errno;
  ended_ = io_status::reset;
  const auto verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK && (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER)) {
    ERR_clear_error();
    side_->failed(std::string("its certificate is refused: ") +
                  X509_verify_cert_error_string(verified));
    return tls_status::untrusted;
  }
  if (error == SSL_ERROR_SYSCALL && system_error != 0)
    side_->failed(std::generic_category().message(system_error));
  else if (error == SSL_ERROR_SYSCALL)
    side_->failed("it closed the connection in the handshake");
  else
    side_->failed(openssl_reason());
  return tls_status::failed;
}

// With a resumed session it is the one that was shown when that began.
std::string tls_channel::peer_certificate() const {
  const x509_ptr shown(SSL_get1_peer_certificate(ssl_.get()));
  if (!shown || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
  const int size = i2d_X509(shown.get(), nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* into = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(shown.get(), &into);
  return der;
}

bool tls_channel::has_input() const {
  return ended_ != io_status::ok || (!drained_ && SSL_has_pending(ssl_.get()) == 1);
}

io_result tls_channel::try_read(const mutable_buffers& into) {
  std::size_t total = 0;
  for (const auto& buffer : into) {
    auto rest = buffer;
    while (rest.size() > 0) {
      const auto got = read_some(rest.data(), rest.size());
      if (got.status != io_status::ok) return total > 0 ? io_result{io_status::ok, total} : got;
      total += got.bytes;
      rest += got.bytes;
    }
  }
  return {io_status::ok, total};
}

io_result tls_channel::read_some(void* into, std::size_t size) {
  if (ended_ != io_status::ok) return {ended_, 0};
  ERR_clear_error();
  std::size_t bytes = 0;
  const int good = SSL_read_ex(ssl_.get(), into, size, &bytes);
  read_needs_writable_ = false;
  drained_ = false;
  if (good == 1) return {io_status::ok, bytes};
  return {read_failure(good), 0};
}

// Only close_notify is an end; a connection that just closes may have been cut by anybody (RFC 8446
// 6.1).
io_status tls_channel::read_failure(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      drained_ = true;
      return io_status::would_block;
    case SSL_ERROR_WANT_WRITE:
      drained_ = true;
      read_needs_writable_ = true;
      return io_status::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return ended_ = io_status::eof;
    default:
      tell_alert();
      return ended_ = io_status::reset;
  }
}

// With TLS 1.3 a server refuses the client's certificate, or the lack of one, only after the client
// has taken the handshake for done.
void tls_channel::tell_alert() {
  const auto code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  if (reason > SSL_AD_REASON_OFFSET) side_->failed(openssl_reason());
  ERR_clear_error();
}

io_result tls_channel::try_write(const const_buffers& from) {
  auto left = from;
  std::size_t total = 0;
  while (!left.empty()) {
    const auto& first = *left.begin();
    const bool alone = left.end() - left.begin() == 1;
    // A record that is made goes first; OpenSSL wants to be shown at least its bytes once more.
    const bool enough = first.size() >= unsent_;
    const void* data = first.data();
    auto size = std::min(first.size(), record_size);
    if (!enough || (!alone && first.size() < small_buffer)) {
      data = scratch.data();
      size = asio::buffer_copy(asio::buffer(scratch), left);
    }
    const auto written = write_record(data, size);
    if (written.status != io_status::ok)
      return total > 0 ? io_result{io_status::ok, total} : written;
    total += written.bytes;
    left.consume(written.bytes);
  }
  return {io_status::ok, total};
}

io_result tls_channel::write_record(const void* from, std::size_t size) {
  ERR_clear_error();
  std::size_t bytes = 0;
  const int good = SSL_write_ex(ssl_.get(), from, size, &bytes);
  write_needs_readable_ = false;
  if (good == 1) {
    unsent_ = 0;
    return {io_status::ok, bytes};
  }
  const auto status = write_failure(good);
  if (status == io_status::would_block && unsent_ == 0) unsent_ = size;
  return {status, 0};
}

io_status tls_channel::write_failure(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_WRITE:
      return io_status::would_block;
    case SSL_ERROR_WANT_READ:
      write_needs_readable_ = true;
      return io_status::would_block;
    default:
      ERR_clear_error();
      return io_status::reset;
  }
}

io_result tls_channel::try_send_file(int file, std::uint64_t offset, std::uint64_t max) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(max, record_size));
  const auto got = ::pread(file, scratch.data(), count, static_cast<off_t>(offset));
  if (got <= 0) return {io_status::reset, 0};  // also where the file is shorter than it should be
  return write_record(scratch.data(), static_cast<std::size_t>(got));
}

bool tls_channel::is_quiet() {
  if (ended_ != io_status::ok || unsent_ > 0) return false;
  ERR_clear_error();
  char byte;
  std::size_t bytes = 0;
  const int good = SSL_peek_ex(ssl_.get(), &byte, 1, &bytes);
  drained_ = false;
  return good != 1 && read_failure(good) == io_status::would_block;
}

void tls_channel::close_notify() {
  if (!established_ || ended_ == io_status::reset || unsent_ > 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace icapgate::proxy
