// The origin's body on its way into the spool, and, where it came encoded, decoded into a second
// one for the scanner.
#pragma once

#include "base/config.hpp"
#include "base/decoder.hpp"
#include "proxy/body_spool.hpp"
#include "proxy/http_reader.hpp"
#include "proxy/patience.hpp"

#include <optional>
#include <vector>

namespace icapgate::proxy {

// How much of a body is taken. 0 and max(): no limit.
struct intake_limits {
  milliseconds longest_wait;   // for the next byte
  std::uint64_t max_size = 0;  // bytes, as received and decoded
  std::uint64_t max_ratio = 0;
  clock::time_point give_up = clock::time_point::max();
  patience_limits pace = {};
};

// How slowly an origin may send a body.
patience_limits pace_of_origin(const config& settings, const route_limits& of);

// Worker thread only. The reader stands behind the response's head.
class body_intake {
 public:
  body_intake(http_reader& from, body_spool& into, const intake_limits& limits)
      : from_(&from), original_(into), limits_(limits), pace_(limits.pace) {}
  // A body that is whole in its spool already.
  explicit body_intake(body_spool& whole) : original_(whole), pace_({}) {}

  // Before the first fill(): the scanner is to get the body without these codings, out of
  // `decoded`.
  void decode(const std::vector<content_coding>& codings, body_spool& decoded);

  enum class status {
    data,
    would_block,  // the origin has not sent more yet
    full,         // there is no room in the spool now
    end,
    failed,
  };

  // Before anything else of the body is taken: what of it was received with the head, without
  // copying it. Views of that head are valid for as long as the spool is, then.
  void adopt_early();

  // One attempt to take more of the body; a bounded step. After `failed` it stays so.
  status fill();

  // In place of fill(), where another reads the body: takes a copy of the next bytes. Where that
  // fails, error() tells, and what was taken before is given back.
  void copy(const const_buffers& bytes);

  // No more of it is to be taken.
  void give_up(errc reason);

  // All that the scanner is to get is there.
  bool ended() const { return received() && (!decoder_ || decoded_whole_); }
  // The connection that it came over goes to somebody else. Nothing more will come.
  void detach() { from_ = nullptr; }
  // The body is whole as the origin sent it.
  bool received() const { return !from_ || from_->body_ended(); }
  // With status failed: origin_body_*, spool_failed, spool_full,
  // policy_oversize, policy_unscannable.
  errc error() const { return error_; }

  // How long its origin may let us wait for more of it.
  milliseconds longest_wait() const { return limits_.longest_wait; }
  // Only while the body has not been received. Waits for more of it no longer than `longest`; what
  // the body is missing then: origin_body_timeout, or policy_unscannable where it had its time.
  void expires_after(milliseconds longest);
  errc timed_out() const;
  // After such a wait: complete, or origin_too_slow.
  errc judge_pace();
  stream& source() { return from_->source(); }
  // What the scanner gets.
  body_spool& spool() { return decoder_ ? *decoded_ : original_; }
  const body_spool& original() const { return original_; }

 private:
  status receive();
  status count_received();
  status decode_step();
  status fail(errc reason);
  status lose(const std::error_code& why);

  http_reader* from_ = nullptr;
  body_spool& original_;
  intake_limits limits_{};
  patience pace_;
  errc error_ = errc::complete;

  std::optional<body_decoder> decoder_;
  std::optional<body_spool::reader> reading_;
  body_spool* decoded_ = nullptr;
  std::uint64_t decoded_to_ = 0;  // bytes of the original that the decoder has taken
  bool decoded_whole_ = false;
};

// Takes what is left of the body. Waits for the origin, and, for a time, for room in the spool.
// complete, or what the intake failed for, origin_body_timeout, spool_full.
task<errc> take_whole(asio::io_context& context, body_intake& body, const config& settings,
                      spool_budget& budget);

// Waits for room in the spool, for as long as the settings say in all. It is looked for again from
// time to time: others give room back without telling.
class room_wait {
 public:
  room_wait(asio::io_context& context, const config& settings, spool_budget& budget)
      : context_(context), longest_(settings.spool_wait), budget_(budget) {}

  // Until it is worth while to look again. False: the time is over. Both ends are counted.
  task<bool> again();
  // There was room: what is waited for next has its own time.
  void found() { until_.reset(); }

 private:
  asio::io_context& context_;
  const milliseconds longest_;
  spool_budget& budget_;
  std::optional<clock::time_point> until_;
};

// The reason that belongs to a failed read of an origin's body; `status` is neither data,
// would_block nor end.
errc origin_body_failure(http_reader::body_status status);

}  // namespace icapgate::proxy
