// The checks of one scanner, in their order, and what they have shown so far.
#pragma once

#include "doctor/doctor.hpp"
#include "doctor/prober.hpp"
#include "icap/options.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <vector>

namespace icapgate::doctor {

// What was learned, for the settings to recommend.
struct knowledge {
  bool answered = false;  // at least one body was judged
  icap::service_options options;
  bool options_known = false;
  std::string server;         // "Service" or "Server" of OPTIONS
  bool passed_eicar = false;  // in any wrapping but a compressed one
  bool passed_compressed = false;
  std::uint64_t detected_up_to = 0;  // bytes; 0: the ladder was not climbed
  std::uint64_t lost_from = 0;       // bytes of the first file whose EICAR was not found; 0: none
  milliseconds closed_idle{0};  // an idle connection was closed after at most this; 0: it was not
};

// One thread: that of `context`.
class examination {
 public:
  // `tls`: none for a plain connection.
  examination(proxy::asio::io_context& context, const order& what,
              std::shared_ptr<proxy::tls_client> tls, report& to);

  // Runs all checks to their end.
  task<void> run();
  // The loop runs out of this one's work.
  void stop() { prober_.stop(); }

  const knowledge& known() const { return known_; }

 private:
  using endpoint_list = std::vector<proxy::asio::ip::tcp::endpoint>;
  struct check {
    std::string_view name;
    task<finding> (examination::*run)();
  };
  static const check body_checks[];

  // --- examination.cpp: the way to the scanner
  task<void> perform(check one);
  task<bool> reach();
  task<endpoint_list> resolve();
  task<bool> reach_addresses();
  task<finding> reach(const proxy::asio::ip::tcp::endpoint& address);
  task<finding> connect();
  finding certificate() const;
  task<finding> options();
  task<finding> options_clock();
  task<void> climb();

  // --- body_checks.cpp: what it makes of bodies
  task<finding> clean_text();
  task<finding> eicar();
  task<finding> zip_stored();
  task<finding> zip_compressed();
  task<finding> empty_body();
  task<finding> preview_zero();
  task<finding> preview_ieof();
  task<finding> preview_exact();
  task<finding> preview_and_rest();
  task<finding> unmodified_in_preview();
  task<finding> unmodified_outside();
  task<finding> without_allow();
  task<finding> partial();
  task<finding> giant_chunk();
  task<finding> tiny_chunks();
  task<outcome> climb_to(std::uint64_t size);
  finding step(std::uint64_t size, const outcome& seen);

  // --- connection_checks.cpp: how it treats connections
  task<finding> early_answer();
  task<finding> reuse();
  task<finding> parallel();
  task<finding> idle();

  // As the gateway would show a body.
  manner usual() const;
  finding must_stop(const outcome& seen);
  finding let_pass(const outcome& seen);
  finding must_pass(const outcome& seen);

  proxy::asio::io_context& context_;
  const order& order_;
  report& report_;
  prober prober_;
  knowledge known_;
  std::string date_;  // of the OPTIONS answer
  std::unique_ptr<proxy::stream> idle_connection_;
  proxy::clock::time_point idle_since_{};
};

inline finding passed(std::string text) {
  return {mark::ok, std::move(text)};
}
inline finding doubtful(std::string text, std::string hint = {}) {
  return {mark::warn, std::move(text), std::move(hint)};
}
inline finding failed(std::string text, std::string hint = {}) {
  return {mark::fail, std::move(text), std::move(hint)};
}
inline finding skipped(std::string text) {
  return {mark::skip, std::move(text)};
}

}  // namespace icapgate::doctor
