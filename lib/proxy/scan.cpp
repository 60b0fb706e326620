#include "proxy/scan.hpp"

namespace icapgate::proxy {
namespace {

// Body bytes that are gathered before a frame is made of them, if they are there without waiting.
constexpr std::uint64_t batch = 16 * block::size;

// A body that pauses for no longer than this is not a slow one.
constexpr milliseconds slow_grace{2'000};

// Decoding can take much in, a block with each step, and give little out: more than for a batch of
// an honest body would be others' time.
constexpr int fill_steps = 32;

// An answer that has begun when the body fails may take this long to its end.
constexpr milliseconds last_words{1'000};

}  // namespace

scan::scan(stream& scanner, block_pool& blocks, body_intake& body, body_spool& adapted,
           const config& settings)
    : scanner_(scanner),
      blocks_(blocks),
      body_(body),
      unsent_(body.spool()),
      adapted_(adapted),
      settings_(settings),
      head_(blocks.heads),
      started_(scanner.now() + deadlines::tick) {
  machine_.use_room(blocks.texts.take());
}

task<errc> scan::run(const icap::exchange_request& request) {
  return run_begun(begin(request));
}

task<errc> scan::run_begun(errc reason) {
  bool complete = false;
  const auto goes_on = [&] { return reason == errc::complete && !postponed_; };
  while (goes_on() && !complete) {
    auto on = blocked::nothing;
    reason = push(on);
    if (!goes_on()) break;
    if (on == blocked::on_origin) {
      reason = co_await wait_for_origin();
    } else if (!expire_scanner_after(patience(on))) {
      reason = errc::icap_total_timeout;
    } else {
      if (on == blocked::on_scanner)
        co_await first_of(scanner_.readable(), scanner_.writable());
      else
        co_await scanner_.wait_readable();
      reason = judge_wait(on);
    }
    if (!goes_on()) break;
    reason = receive(complete);
    answer_lost_ = reason != errc::complete;
  }
  if (!goes_on()) co_await hear_out();
  co_return reason;
}

// What is there of the body goes out with the head, in one write.
errc scan::begin(const icap::exchange_request& request) {
  machine_.begin(request, *head_);
  before_ = *head_;
  auto stopped = stop::enough;
  const auto filled = fill(stopped);
  if (filled == errc::complete && !postponed_) take_frame();
  return filled;
}

// A body is given up, and may be delivered all the same: a detection can be there already, unread,
// or be on its way.
task<void> scan::hear_out() {
  if (answer_lost_) co_return;
  if (!scanner_.expired()) scanner_.expires_after(last_words);
  for (;;) {
    bool complete = false;
    const auto received = receive(complete);
    answered_before_ = complete && received == errc::complete;
    if (complete || received != errc::complete || !heard_) co_return;
    if (co_await scanner_.wait_readable() != io_status::ok) co_return;
  }
}

// Sends as much of the request as origin and scanner allow now.
errc scan::push(blocked& on) {
  for (int step = 0; !broken_; ++step) {
    const auto flushed = flush(on);
    if (flushed != errc::complete || on != blocked::nothing || broken_) return flushed;
    if (machine_.sent() || machine_.awaiting_continue()) return errc::complete;
    auto stopped = stop::enough;
    const auto filled = fill(stopped);
    if (filled != errc::complete || postponed_) return filled;
    const bool framed = step < turn_length && take_frame();
    if (step == turn_length || stopped == stop::others_turn) {
      on = blocked::on_scanner;
      return errc::complete;
    }
    if (!framed && stopped == stop::waiting) {
      on = blocked::on_origin;
      return errc::complete;
    }
  }
  return errc::complete;
}

// Takes body bytes that are there into the spool, up to a batch.
errc scan::fill(stop& why) {
  // Enough for a whole preview in any case: nothing is framed before it is there.
  const auto enough = std::max<std::uint64_t>(batch, settings_.icap_limits.max_preview);
  for (int step = 0; !body_.ended() && body_.spool().size() - framed_body_ < enough; ++step) {
    if (step == fill_steps) {
      why = stop::others_turn;
      break;
    }
    const auto got = body_.fill();
    if (got == body_intake::status::failed) return body_.error();
    postponed_ = got == body_intake::status::full;
    if (postponed_) break;
    if (got != body_intake::status::would_block) continue;
    why = stop::waiting;
    break;
  }
  return errc::complete;
}

bool scan::take_frame() {
  const auto frame = machine_.next(body_.spool().size() - framed_body_, body_.ended());
  if (frame.prefix.empty() && frame.body == 0 && frame.suffix.empty()) return false;
  if (framed_body_ == 0 && !before_.empty()) {
    head_->append(frame.prefix);  // the head was not sent yet: one gathered write for all
    before_ = *head_;
  } else {
    before_ = frame.prefix;
  }
  frame_left_ = frame.body;
  after_ = frame.suffix;
  framed_body_ += frame.body;
  return true;
}

// Writes what is framed.
errc scan::flush(blocked& on) {
  while (!is_flushed()) {
    const_buffers out;
    out.push(before_);
    if (!unsent_.view(sent_body_, frame_left_, out)) return errc::spool_failed;
    if (out.bytes() == before_.size() + frame_left_) out.push(after_);
    const auto written = scanner_.try_write(out);
    if (written.status == io_status::would_block) {
      on = blocked::on_scanner;
      return errc::complete;
    }
    if (written.status != io_status::ok) {
      // What it answered before it closed may still stand in the receive buffer.
      broken_ = true;
      return errc::complete;
    }
    auto left = written.bytes;
    const auto head = std::min(left, before_.size());
    before_.remove_prefix(head);
    left -= head;
    const auto body = std::min<std::uint64_t>(left, frame_left_);
    frame_left_ -= body;
    sent_body_ += body;
    after_.remove_prefix(left - static_cast<std::size_t>(body));
  }
  unsent_.release();
  head_.release();
  return errc::complete;
}

// A slow origin is no fault of the scanner's: its time does not count against it.
task<errc> scan::wait_for_origin() {
  auto& origin = body_.source();
  const auto began = clock::now();
  const auto longest = body_.longest_wait();
  const auto left = patience_with_origin();
  // Drops that come all the time push a deadline before them: it alone would never be reached.
  postponed_ = left.count() <= 0;
  if (postponed_) co_return errc::complete;
  const auto patience = std::min(longest, left);
  scanner_.expires_after(milliseconds(0));
  body_.expires_after(patience);
  co_await first_of(scanner_.readable(), origin.readable());
  const auto waited = clock::now() - began;
  started_ += waited;
  origin_time_ += waited;
  if (!origin.expired()) co_return body_.judge_pace();
  postponed_ = patience < longest;
  co_return postponed_ ? errc::complete : body_.timed_out();
}

// How long a body may still let the scanner wait without falling below the rate at which it may
// come while it holds a connection. Not above 0: it has fallen below.
milliseconds scan::patience_with_origin() const {
  if (settings_.spool_min_rate == 0) return milliseconds::max();
  const milliseconds earned(body_.spool().size() * 1000 / settings_.spool_min_rate);
  const auto used = std::chrono::duration_cast<milliseconds>(origin_time_);
  return slow_grace + earned - used;
}

// A scanner may think longer about a larger body.
milliseconds scan::patience(blocked on) const {
  const auto& limits = settings_.icap_limits;
  if (on == blocked::on_scanner || heard_) return limits.progress;
  return limits.verdict + limits.verdict_per_mib * (sent_body_ >> 20);
}

errc scan::judge_wait(blocked on) const {
  if (!scanner_.expired()) return errc::complete;
  if (scanner_.now() - started_ >= settings_.icap_limits.total) return errc::icap_total_timeout;
  if (on == blocked::on_scanner) return errc::icap_write_timeout;
  return heard_ ? errc::icap_answer_stalled : errc::icap_answer_timeout;
}

// The nearer of `time` from now and the end of the exchange's total time. False: that end is
// reached.
bool scan::expire_scanner_after(milliseconds time) {
  const auto used = std::chrono::duration_cast<milliseconds>(scanner_.now() - started_);
  const auto left = settings_.icap_limits.total - used;
  if (left.count() <= 0) return false;
  scanner_.expires_after(std::min(time, left));
  return true;
}

// Reads what the scanner has answered so far.
errc scan::receive(bool& complete) {
  auto input = blocks_.acquire();
  for (int step = 0; step < turn_length; ++step) {
    const auto got = scanner_.try_read({input.data(), block::size});
    if (got.status == io_status::would_block) return errc::complete;
    if (got.status != io_status::ok) return lost(got.status);
    heard_ = true;
    const auto consumed = consume({input.data(), got.bytes}, complete);
    if (complete || consumed != errc::complete) return consumed;
    if (!machine_.sent() && !machine_.awaiting_continue()) return errc::complete;
  }
  return errc::complete;
}

errc scan::consume(std::string_view input, bool& complete) {
  for (;;) {
    std::string_view data;
    switch (machine_.receive(input, data)) {
      case icap::exchange::event::need_input:
        return errc::complete;
      case icap::exchange::event::go_on:
        heard_ = !input.empty();  // else the answer is still to come
        break;
      case icap::exchange::event::head:
        break;
      case icap::exchange::event::body:
        if (adapted_.append(data) != spool_status::ok) return explain(adapted_.trouble());
        break;
      case icap::exchange::event::complete:
        complete = true;
        // Bytes behind the end belong to nobody: the answer can't be told from what follows it.
        return input.empty() ? errc::complete : errc::icap_answer_invalid;
      case icap::exchange::event::failed:
        return machine_.error();
    }
  }
}

errc scan::lost(io_status status) const {
  if (broken_ && !heard_) return errc::icap_write_failed;
  return explain(phase::icap_answer, status);
}

}  // namespace icapgate::proxy
