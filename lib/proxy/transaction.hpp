// One request of a client and its one final response: the story of icapgate.
#pragma once

#include "http/pages.hpp"
#include "http/policy.hpp"
#include "http/rules.hpp"
#include "proxy/body_intake.hpp"
#include "proxy/worker.hpp"

#include <memory>
#include <optional>
#include <string>

namespace icapgate::proxy {

// Worker thread only; lives on its session's frame. The client's reader stands behind the request's
// head.
class transaction {
 public:
  transaction(worker_resources& resources, http_reader& client, std::string_view client_address,
              const http::request_head& request);

  // Runs to the end of the response; tells why it ended. Never throws for what a peer does.
  task<errc> run();

  // The client's connection may carry another request.
  bool keep_alive() const { return keep_alive_; }

  // One line in the access log and the counters. Call once, after run().
  void account(errc reason);

 private:
  // --- the steps, in the order of the story
  task<errc> fetch();
  task<errc> fetch_once(bool fresh, bool& stale);
  task<void> scan();
  task<errc> relay();
  task<errc> send_adapted();
  task<errc> send_blocked();
  task<errc> fail(errc reason);

  // --- and what they need
  bool may_keep_alive() const;
  void examine_answer();
  void count_scan();
  task<errc> send_scanner_response(bool no_store);
  task<errc> send_head_and_spool(const http::response_head& head, http::client_response to,
                                 body_spool& body);
  task<errc> send_file(body_spool& body);
  task<errc> send_rest(bool chunked);
  task<errc> give_turn();
  task<errc> write(const_buffers out);
  task<errc> send_page(const http::page& content);
  http::outgoing_body relayed_framing() const;
  errc cut(errc reason);
  void give_origin_back();

  worker_resources& resources_;
  http_reader& client_;
  std::string_view client_address_;
  const http::request_head& request_;
  const std::string request_id_;
  const std::chrono::system_clock::time_point began_at_ = std::chrono::system_clock::now();
  const clock::time_point began_ = clock::now();

  std::unique_ptr<origin_connection> origin_;
  bool origin_reusable_ = false;
  http::response_head response_;
  body_spool body_;
  body_spool adapted_;
  std::optional<body_intake> intake_;
  scan_report report_;
  http::response_head scanner_response_;  // of report_.answer
  bool scanner_response_usable_ = false;

  // --- what the access line tells
  access_verdict verdict_ = access_verdict::none;
  bool fallback_ = false;
  bool keep_alive_ = false;
  unsigned status_ = 0;  // sent to the client; 0: nothing yet
  std::uint64_t received_ = 0;
  std::uint64_t sent_ = 0;
  clock::duration origin_time_{};
  clock::duration scan_time_{};
};

}  // namespace icapgate::proxy
