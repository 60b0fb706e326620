// A body held back until the verdict: in memory up to a limit, the rest in an unlinked file.
#pragma once

#include "base/error.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/buffers.hpp"
#include "proxy/spool_budget.hpp"

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace icapgate::proxy {

enum class spool_status : std::uint8_t {
  ok,
  full,    // the process's budget is used up: nothing is lost, and a later try may succeed
  failed,  // the file could not be made or written: the body is of no use any more
};

// complete, spool_full or spool_failed.
errc explain(spool_status status);

// Written at its end, read at any offset by any number of readers. Worker thread only. File I/O is
// synchronous: it goes to the page cache.
//
// What a body keeps counts against the process's budget: memory in whole blocks, the file in bytes.
// The blocks that carry bytes to the file are there from prepare() to commit() only, once per
// worker, and a reader has few: both are not counted.
class body_spool {
 public:
  class reader;
  class comparison;

  // `memory_limit`: bytes of this body kept in memory, fewer where the process has no more.
  // `directory`: where the file is made. All outlive the spool.
  body_spool(block_pool& blocks, spool_budget& budget, std::size_t memory_limit,
             const std::string& directory)
      : blocks_(blocks), budget_(budget), memory_limit_(memory_limit), directory_(directory) {}
  ~body_spool() { give_back(); }
  body_spool(const body_spool&) = delete;
  body_spool& operator=(const body_spool&) = delete;

  std::uint64_t size() const { return size_; }

  // Takes the share of the budget that a body of `size` bytes in all needs, so that it never meets
  // `full` up to there. False: there is not enough now, and nothing was taken.
  bool reserve(std::uint64_t size);
  // The body has `size` bytes: no more room than for these is offered. Takes nothing.
  void expect(std::uint64_t size) { expected_ = std::max(expected_, size); }
  // Not even an idle process would have room for a body of `size` bytes: waiting is in vain.
  bool never_holds(std::uint64_t size) const;

  // Takes over the first bytes of the body, which is empty so far, with the block that they are in.
  // What else the block holds stays where it is for as long as the spool lives. False: it was not
  // taken, since the body's size is not known or large, or there is not room for all of it in
  // memory: the bytes in front of it take some.
  bool adopt(block& memory, std::string_view first);

  // Room for the next bytes. Empty: there is none now, trouble() is `full`.
  mutable_buffers prepare();
  // The first `n` bytes of the room were filled; 0 gives it back. To be called before the worker
  // does anything else. ok or failed: the room was paid for.
  spool_status commit(std::size_t n);
  // Copies `bytes` to the end. Unless ok, size() tells how many of them were taken.
  spool_status append(std::string_view bytes);
  // The body is complete: gives back what was taken of the budget and is not used.
  void finish();

  // What the last prepare(), commit() or append() came to.
  spool_status trouble() const { return trouble_; }
  // With `failed`: why.
  std::error_code error() const { return error_; }

  // Appends to `out` views of up to `max` bytes from `offset` on, as far as they stand in front of
  // file_begin(); valid until clear(). False: there is none there.
  bool view(std::uint64_t offset, std::uint64_t max, const_buffers& out) const;
  // See comparison; all at once, which is for small ones.
  bool starts_with(const body_spool& other) const;

  // Bytes from this offset on stand in the file, at file offset 0; size() if there is none. Does
  // not move any more once there is a file.
  std::uint64_t file_begin() const { return file_ < 0 ? size_ : memory_size_; }
  int file() const { return file_; }

  // Gives everything back. Views end; readers begin anew with what is written then.
  void clear();

 private:
  std::uint64_t room_wanted(std::uint64_t most) const;
  std::uint64_t granted(std::size_t blocks) const { return blocks * block::size - lead_; }
  spool_status offer(mutable_buffers& room, std::uint64_t in_memory, std::uint64_t in_file);
  bool offer_memory(mutable_buffers& room, std::uint64_t wanted);
  bool offer_staging(mutable_buffers& room, std::uint64_t wanted);
  void trim_memory();
  void give_back();
  bool open_file();
  spool_status write_file(std::size_t n);
  spool_status settle(spool_status status) { return trouble_ = status; }
  spool_status fail(int reason);

  block_pool& blocks_;
  spool_budget& budget_;
  std::size_t memory_limit_;
  const std::string& directory_;
  boost::container::small_vector<block, 4> memory_;
  std::size_t lead_ = 0;  // bytes in the first block that are not the body's
  block with_head_;       // that block, once the body is cleared
  std::uint64_t memory_size_ = 0;
  std::uint64_t size_ = 0;
  int file_ = -1;
  std::vector<block> staging_;  // room in front of the file; empty: the room is in memory_

  std::size_t memory_share_ = 0;     // blocks taken of the budget, those in memory_ among them
  std::size_t reserved_blocks_ = 0;  // of these: not to be given back before the end
  std::uint64_t disk_share_ = 0;     // bytes taken of the budget, those in the file among them
  std::uint64_t expected_ = 0;       // size of the whole body; 0: unknown
  std::uint64_t clears_ = 0;         // tells readers that their window is of an earlier body
  spool_status trouble_ = spool_status::ok;
  std::error_code error_;
};

// One who reads a body, at offsets of its own. Reading the file takes some blocks, until release().
class body_spool::reader {
 public:
  explicit reader(const body_spool& from) : from_(from) {}

  // Appends to `out` views of up to `max` bytes from `offset` on, at least one byte if there is
  // one. They are valid until the next call to this reader or the spool's clear(); neither other
  // readers nor more bytes at the end do them harm. False: the file could not be read.
  bool view(std::uint64_t offset, std::uint64_t max, const_buffers& out);

  // Views end; the blocks go back. The next view takes new ones.
  void release();

  // Why the last view failed.
  std::error_code error() const { return error_; }

 private:
  bool covers(std::uint64_t offset, std::uint64_t length) const;
  bool load(std::uint64_t offset, std::uint64_t length);

  const body_spool& from_;
  std::vector<block> window_;  // bytes window_begin_ to window_end_ of the body
  std::uint64_t window_begin_ = 0;
  std::uint64_t window_end_ = 0;
  std::uint64_t clears_ = 0;
  std::error_code error_;
};

// Whether a body begins as another one does, which is no longer than it. In bounded steps: both may
// be as large as a disk.
class body_spool::comparison {
 public:
  comparison(const body_spool& whole, const body_spool& beginning);

  // False: there is nothing left to be compared.
  bool step();
  // After that. True, too, where a file can't be read: whoever asks is to be cautious then.
  bool begins_so() const { return alike_; }

 private:
  reader whole_, beginning_;
  std::uint64_t left_;
  std::uint64_t at_ = 0;
  bool alike_;
};

// The first `most` bytes, or all where there are fewer; nothing where they can't be read.
std::optional<std::string> text_of(const body_spool& body, std::uint64_t most);

}  // namespace icapgate::proxy
