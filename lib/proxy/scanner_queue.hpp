// Who waits for room at a scanner: first come, first served within a worker.
#pragma once

#include "proxy/deadline.hpp"
#include "proxy/poller.hpp"
#include "proxy/scanner_state.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <vector>

namespace icapgate::proxy {

using queue_hook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<class scanner_queue>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// Worker thread only; outlives its places.
class scanner_queue {
 public:
  // Scanners any one of which will do. Outlives who waits for them.
  using group = std::vector<const scanner_state*>;
  class place;

  scanner_queue(asio::io_context& context, deadlines& all) : context_(context), all_(all) {}
  ~scanner_queue();

  // Somebody waits for one of these: whoever comes now is behind. A full scanner of one group is no
  // reason to let those wait who want another.
  bool holds_up(const group& among) const;
  // A turn at it, or a connection, is free: the first who waits for it goes on.
  void room_was_made(const scanner_state& at);

 private:
  using list = boost::intrusive::list<place, boost::intrusive::base_hook<queue_hook>,
                                      boost::intrusive::constant_time_size<false>>;

  void call_first(list::iterator from, const scanner_state& at);

  asio::io_context& context_;
  deadlines& all_;
  list waiting_;  // in the order in which they came
  list called_;   // those for whom there is room, until they go on
  std::uint64_t last_number_ = 0;
};

// Somebody who can't go on until a scanner of a group has room: in the queue for as long as it
// lives. Other workers free their turns without telling this one, so it looks again at each tick.
class scanner_queue::place : public queue_hook, private deadline {
 public:
  place(scanner_queue& in, const group& among);
  // What it leaves may be for somebody who came while it had not gone on yet.
  ~place() override;

  // To be awaited until it is worth while to try again. Room that it was called for and has not
  // taken by then is for those behind it.
  poll_wait next_chance();

 private:
  friend scanner_queue;

  bool wants(const scanner_state& one) const;
  void call();
  list::iterator take_former_place();
  void tell(list::iterator from);
  void on_expired() override { bell_.wake(io_kind::read); }

  scanner_queue& in_;
  const group& among_;
  const std::uint64_t number_;  // in the order in which they came
  bool called_ = false;
  polled bell_;
};

}  // namespace icapgate::proxy
