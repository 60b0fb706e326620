// One request of a client and its one final response: the story of icapgate.
#pragma once

#include "http/forwarded.hpp"
#include "http/pages.hpp"
#include "http/policy.hpp"
#include "http/range.hpp"
#include "http/rules.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/client_writer.hpp"
#include "proxy/inspection.hpp"
#include "proxy/patience.hpp"
#include "proxy/relay_piece.hpp"
#include "proxy/worker.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace icapgate::proxy {

// Worker thread only; lives on its session's frame. The client's reader stands behind the request's
// head. Without a route the client is told that nobody serves its host.
class transaction {
 public:
  transaction(worker_resources& resources, http_reader& client, client_watch& watch,
              const http::forwarding& path, const http::request_head& request, const route* taken);
  ~transaction();
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  // Runs to the end of the response; tells why it ended. Never throws for what a peer does.
  task<errc> run();

  // In place of run(), which was cancelled: its end, as a page where that is possible.
  task<errc> give_up(errc reason);

  // The client's connection may carry another request.
  bool keep_alive() const { return keep_alive_ && !to_client_.is_cut(); }

  // One line in the access log and the counters. Call once, after run(). In monitor mode the line
  // is written when the scan is over.
  void account(errc reason);

 private:
  // What is done with a response, once its head is known.
  enum class course {
    relay,    // unscanned
    monitor,  // at once, and a copy is scanned
    scan,
    doubt,  // the head tells that it can't be judged
    tunnel,
  };

  // --- the steps, in the order of the story
  errc prepare();
  task<errc> fetch();
  task<errc> fetch_once(bool fresh, bool& stale, bool& another);
  task<result<std::unique_ptr<origin_connection>>> connect();
  course choose(errc& doubt);
  task<void> scan();
  task<errc> deliver();

  // --- and what they need
  bool may_upgrade() const;
  errc prepare_range();
  void prepare_encoding();
  bool is_avoided() const;
  unscanned reason_to_skip() const;
  errc find_doubt();
  void begin_inspection();
  task<void> scan_and_trickle();
  task<void> trickle(asio::steady_timer& pause, const bool& judged);
  task<void> send_drops(std::uint64_t bytes, const bool& judged);
  void stop_trickle();
  void count_rule();
  void leave_unscanned(unscanned why);
  access_record record_of(errc reason) const;
  void account_monitored(access_record& record, errc reason);

  // --- the endings (transaction_endings.cpp)
  task<errc> relay();
  task<errc> relay_judged();
  task<errc> relay_part();
  task<errc> relay_ranges(const http::range_plan& plan);
  task<errc> send_adapted();
  task<errc> send_blocked();
  task<errc> settle(errc doubt);
  task<errc> fail(errc reason);
  errc cut_late();
  task<errc> open_tunnel();
  task<errc> answer_options();

  // --- and what they need
  task<errc> send_scanner_response(http::response_author author);
  task<errc> send_rest();
  task<errc> send_piece(relay_piece& piece);
  bool is_copied() const;
  task<errc> wait_for_origin();
  task<errc> send_page(http::page content);
  void begin_relay();
  void send_head(const http::response_head& head, http::client_response to);
  http::outgoing_body relayed_framing() const;
  bool may_keep_alive() const;
  bool serves_ranges() const;
  void give_origin_back();
  std::chrono::system_clock::time_point answered_at() const;  // by the origin

  worker_resources& resources_;
  http_reader& client_;
  client_watch& watch_;
  const http::forwarding& path_;
  const http::request_head& request_;
  const route* const route_;
  const std::string_view request_id_;
  const std::chrono::system_clock::time_point began_at_ = std::chrono::system_clock::now();
  const clock::time_point began_ = clock::now();

  http::chosen_policy policy_;  // by the request, and then by the response as well
  http::request_changes changes_;
  range_mode range_ = range_mode::strip;  // of the request's policy; where changes_.whole
  std::optional<origin_use> origin_use_;  // of the last origin that was asked
  std::unique_ptr<origin_connection> origin_;
  bool origin_reusable_ = false;
  http::response_head response_;
  std::vector<content_coding> codings_;     // of the body, to be taken off for the scanner
  std::unique_ptr<inspection> inspection_;  // none: the response is not scanned
  patience origin_pace_;                    // of its body, where that is relayed as it comes
  client_writer to_client_;

  // --- what the access line tells
  access_verdict verdict_ = access_verdict::none;  // where there is no inspection
  unscanned unscanned_ = unscanned::no;
  bool must_close_ = false;  // the client's connection, even where the request was read whole
  bool keep_alive_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t trickled_ = 0;  // body bytes that were delivered before the verdict
  std::uint64_t tunneled_ = 0;
  clock::duration origin_time_{};
};

}  // namespace icapgate::proxy
