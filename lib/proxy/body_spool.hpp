// A body held back until the verdict: in memory up to a limit, the rest in an unlinked file.
#pragma once

#include "proxy/block_pool.hpp"
#include "proxy/stream.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace icapgate::proxy {

// Written at its end, read at any offset. Worker thread only. File I/O is synchronous: it goes to
// the page cache.
class body_spool {
 public:
  // `memory_limit`: bytes kept in memory. `directory`: where the file is made; both outlive the
  // spool.
  body_spool(block_pool& blocks, std::size_t memory_limit, const std::string& directory)
      : blocks_(blocks), memory_limit_(memory_limit), directory_(directory) {}
  ~body_spool() { clear(); }
  body_spool(const body_spool&) = delete;
  body_spool& operator=(const body_spool&) = delete;

  std::uint64_t size() const { return size_; }

  // Room for the next bytes, at least one.
  mutable_buffers prepare();
  // The first `n` bytes of the room were filled. False: the file could not be written.
  bool commit(std::size_t n);
  // Copies `bytes` to the end. False: the file could not be written.
  bool append(std::string_view bytes);

  // Appends to `out` views of up to `max` bytes from `offset` on, at least one byte if there is
  // one; valid until the next call. False: the file could not be read.
  bool view(std::uint64_t offset, std::uint64_t max, const_buffers& out);

  // The other's bytes are this one's first. True, too, where a file can't be read: whoever asks is
  // to be cautious then.
  bool starts_with(body_spool& other);

  // Bytes from this offset on stand in the file, at file offset 0; size() if there is none.
  std::uint64_t file_begin() const { return file_ < 0 ? size_ : memory_size_; }
  int file() const { return file_; }

  void clear();

 private:
  bool open_file();
  bool write_file(std::size_t n);

  block_pool& blocks_;
  std::size_t memory_limit_;
  const std::string& directory_;
  std::vector<block> memory_;
  std::uint64_t memory_size_ = 0;
  std::uint64_t size_ = 0;
  int file_ = -1;
  std::vector<block> staging_;  // room in front of the file
  std::vector<block> window_;   // a part of the file that was read back
};

}  // namespace icapgate::proxy
