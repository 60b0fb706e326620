// One ICAP exchange over one connection, while the body still comes from the origin: drives
// icap::exchange. The scanner may answer at any time; both directions flow at once.
#pragma once

#include "base/config.hpp"
#include "icap/exchange.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/body_intake.hpp"
#include "proxy/stream.hpp"

#include <string>

namespace icapgate::proxy {

// Worker thread only. A scan serves one attempt; the body stays in its spool, so that another
// attempt can begin anew.
class scan {
 public:
  // All outlive the scan. `adapted` receives the body of the scanner's answer.
  scan(stream& scanner, block_pool& blocks, body_intake& body, body_spool& adapted,
       const config& settings);

  // Runs to the end of the answer; `request` need not outlive the call. complete, or a reason
  // icap_*, origin_body_*, spool_failed, policy_*: what the scanner had answered by then was read.
  // Clean-up after a failure is to drop the connection.
  task<errc> run(const icap::exchange_request& request);

  // run() failed, or gave up, when the scanner had given its answer, which is whole.
  bool answered_before() const { return answered_before_; }

  // run() gave up before the end, since the body comes too slowly to hold a connection for it, or
  // there was no room for more of it. It is to be received whole before the next attempt.
  bool postponed() const { return postponed_; }

  const icap::exchange& exchange() const { return machine_; }
  // Once run() is over. Its head is a text of the worker's.
  icap::answer take_answer() { return machine_.take_result(); }
  // Request and answer are whole on the wire: the connection may be pooled.
  bool reusable() const { return machine_.reusable() && !broken_ && is_flushed(); }

 private:
  enum class blocked { nothing, on_scanner, on_origin };
  // Why no more was taken in.
  enum class stop { enough, waiting, others_turn };

  bool is_flushed() const { return before_.empty() && frame_left_ == 0 && after_.empty(); }
  errc begin(const icap::exchange_request& request);
  task<errc> run_begun(errc reason);
  task<void> hear_out();
  errc push(blocked& on);
  errc flush(blocked& on);
  bool take_frame();
  errc fill(stop& why);
  task<errc> wait_for_origin();
  errc judge_wait(blocked on) const;
  errc receive(bool& complete);
  errc consume(std::string_view input, bool& complete);
  errc lost(io_status status) const;
  milliseconds patience_with_origin() const;
  milliseconds patience(blocked on) const;
  bool expire_scanner_after(milliseconds time);

  stream& scanner_;
  block_pool& blocks_;
  body_intake& body_;
  body_spool::reader unsent_;
  body_spool& adapted_;
  const config& settings_;
  icap::exchange machine_;

  lent<std::string> head_;
  std::string_view before_;       // of the frame: what stands before the body bytes and is unsent
  std::uint64_t frame_left_ = 0;  // of the frame: body bytes unsent
  std::string_view after_;        // of the frame: what stands behind them and is unsent
  std::uint64_t sent_body_ = 0;
  std::uint64_t framed_body_ = 0;
  bool postponed_ = false;
  clock::duration origin_time_{};  // spent waiting for it
  bool broken_ = false;            // the scanner closed its receiving side; its answer may be there
  bool heard_ = false;             // bytes of the answer have arrived
  bool answer_lost_ = false;       // nothing can be made of what follows, or nothing does
  bool answered_before_ = false;
  clock::time_point started_;  // by the ticks, never too early
};

}  // namespace icapgate::proxy
