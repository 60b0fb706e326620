#include "proxy/body_spool.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace icapgate::proxy {
namespace {

namespace asio = boost::asio;

// Room that is offered at once while a body stays in memory: where its end is not known, as much as
// there is of it.
constexpr std::size_t first_room = 4 * block::size;
constexpr std::size_t memory_room = 16 * block::size;
constexpr std::size_t staging_blocks = 8;
constexpr std::size_t staging_room = staging_blocks * block::size;
constexpr std::size_t window_blocks = 4;
constexpr std::size_t window_size = window_blocks * block::size;
// Disk is taken of the budget in steps that grow with the file up to this, so that many small files
// keep little that they don't use.
constexpr std::uint64_t largest_step = 1 << 20;

static_assert(staging_blocks >= window_blocks);
using io_parts = std::array<iovec, staging_blocks>;

// Blocks that hold so many bytes.
constexpr std::size_t blocks_for(std::uint64_t bytes) {
  return static_cast<std::size_t>(bytes / block::size + (bytes % block::size != 0));
}

// Reads or writes all of the parts at `offset`; `io` is preadv or pwritev. Returns 0 or an errno.
template <class Io>
int transfer_all(Io io, int file, std::span<iovec> parts, std::uint64_t offset) {
  while (!parts.empty()) {
    const auto n =
        io(file, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;  // the file is shorter than what was written
    offset += static_cast<std::uint64_t>(n);
    auto left = static_cast<std::size_t>(n);
    while (left > 0) {
      auto& first = parts.front();
      const auto taken = std::min(left, first.iov_len);
      first.iov_base = static_cast<char*>(first.iov_base) + taken;
      first.iov_len -= taken;
      left -= taken;
      if (first.iov_len == 0) parts = parts.subspan(1);
    }
  }
  return 0;
}

// The first `n` bytes of a row of blocks.
std::span<iovec> parts_of(std::vector<block>& row, std::size_t n, io_parts& parts) {
  std::size_t count = 0;
  for (auto& b : row) {
    const auto length = std::min(n, block::size);
    if (length == 0) break;
    parts[count++] = {b.data(), length};
    n -= length;
  }
  return {parts.data(), count};
}

// Views of `length` bytes of a row of blocks, from `inside` on, as far as `out` has room.
template <class Row, class Buffers>
void push_row(Row& row, std::uint64_t inside, std::uint64_t length, Buffers& out) {
  auto at = static_cast<std::size_t>(inside / block::size);
  auto offset = static_cast<std::size_t>(inside % block::size);
  while (length > 0 && !out.full()) {
    const auto part =
        static_cast<std::size_t>(std::min<std::uint64_t>(length, block::size - offset));
    out.push(asio::buffer(row[at].data() + offset, part));
    length -= part;
    offset = 0;
    ++at;
  }
}

// The first `length` bytes of both, which have as many.
bool same_bytes(const_buffers a, const_buffers b, std::size_t length) {
  while (length > 0) {
    const auto part = std::min({length, a.begin()->size(), b.begin()->size()});
    if (std::memcmp(a.begin()->data(), b.begin()->data(), part) != 0) return false;
    a.consume(part);
    b.consume(part);
    length -= part;
  }
  return true;
}

}  // namespace

errc explain(spool_status status) {
  switch (status) {
    case spool_status::ok:
      return errc::complete;
    case spool_status::full:
      return errc::spool_full;
    case spool_status::failed:
      break;
  }
  return errc::spool_failed;
}

// --- the share of the budget

bool body_spool::reserve(std::uint64_t size) {
  auto in_memory = memory_size_;
  std::size_t blocks = 0;
  if (file_ < 0) {
    in_memory = std::min<std::uint64_t>(memory_limit_, size);
    const auto needed = blocks_for(lead_ + in_memory);
    if (needed > memory_share_) blocks = budget_.take_blocks(needed - memory_share_);
    in_memory = std::min(in_memory, granted(memory_share_ + blocks));
  }
  const auto in_file = size > in_memory ? size - in_memory : 0;
  if (in_file > disk_share_) {
    const auto missing = in_file - disk_share_;
    if (budget_.take_disk(missing, missing) == 0) {
      budget_.give_blocks(blocks);
      return false;
    }
    disk_share_ = in_file;
  }
  memory_share_ += blocks;
  reserved_blocks_ = std::max(reserved_blocks_, blocks_for(lead_ + in_memory));
  expect(size);
  return true;
}

bool body_spool::never_holds(std::uint64_t size) const {
  const auto most = granted(budget_.memory_limit() / block::size);
  const auto in_memory = std::min<std::uint64_t>({memory_limit_, most, size});
  return size - in_memory > budget_.disk_limit();
}

void body_spool::finish() {
  expected_ = 0;
  reserved_blocks_ = 0;
  trim_memory();
  const auto in_file = size_ - memory_size_;
  budget_.give_disk(disk_share_ - in_file);
  disk_share_ = in_file;
}

// Gives back the blocks that hold nothing, but not what was reserved.
void body_spool::trim_memory() {
  const auto used = blocks_for(lead_ + memory_size_);
  while (memory_.size() > used) memory_.pop_back();
  const auto kept = std::max(used, reserved_blocks_);
  if (memory_share_ <= kept) return;
  budget_.give_blocks(memory_share_ - kept);
  memory_share_ = kept;
}

// --- writing

// A body whose end is known is not offered more than that.
std::uint64_t body_spool::room_wanted(std::uint64_t most) const {
  return size_ < expected_ ? std::min(most, expected_ - size_) : most;
}

bool body_spool::adopt(block& memory, std::string_view first) {
  if (expected_ < first.size() || expected_ > std::min<std::uint64_t>(memory_limit_, memory_room))
    return false;
  const auto lead = static_cast<std::size_t>(first.data() - memory.data());
  const auto needed = blocks_for(lead + expected_);
  const auto taken = budget_.take_blocks(needed);
  if (taken < needed) budget_.give_blocks(taken);
  if (taken < needed) return false;
  memory_share_ = needed;
  lead_ = lead;
  memory_.push_back(std::move(memory));
  memory_size_ = size_ = first.size();
  return true;
}

mutable_buffers body_spool::prepare() {
  mutable_buffers room;
  const auto most = std::clamp<std::uint64_t>(size_, first_room, memory_room);
  const auto in_memory = size_ < expected_ ? room_wanted(memory_room) : most;
  offer(room, in_memory, room_wanted(staging_room));
  return room;
}

// The memory comes first; the file, once there is one, stays.
spool_status body_spool::offer(mutable_buffers& room, std::uint64_t in_memory,
                               std::uint64_t in_file) {
  staging_.clear();
  const bool offered = (file_ < 0 && offer_memory(room, in_memory)) || offer_staging(room, in_file);
  return settle(offered ? spool_status::ok : spool_status::full);
}

bool body_spool::offer_memory(mutable_buffers& room, std::uint64_t wanted) {
  auto end = std::min<std::uint64_t>(memory_limit_, memory_size_ + wanted);
  const auto needed = blocks_for(lead_ + end);
  if (needed > memory_share_) memory_share_ += budget_.take_blocks(needed - memory_share_);
  end = std::min(end, granted(memory_share_));
  if (end <= memory_size_) return false;
  const auto row = blocks_for(lead_ + end);
  memory_.reserve(row);
  while (memory_.size() < row) memory_.push_back(blocks_.acquire());
  push_row(memory_, lead_ + memory_size_, end - memory_size_, room);
  return true;
}

bool body_spool::offer_staging(mutable_buffers& room, std::uint64_t wanted) {
  const auto in_file = size_ - memory_size_;
  if (disk_share_ - in_file < wanted)
    disk_share_ +=
        budget_.take_disk(std::clamp<std::uint64_t>(in_file, staging_room, largest_step));
  const auto length = std::min(wanted, disk_share_ - in_file);
  if (length == 0) return false;
  while (staging_.size() < blocks_for(length)) staging_.push_back(blocks_.acquire());
  push_row(staging_, 0, length, room);
  return true;
}

spool_status body_spool::commit(std::size_t n) {
  if (!staging_.empty()) {
    const auto status = n > 0 ? write_file(n) : spool_status::ok;
    staging_.clear();
    return settle(status);
  }
  memory_size_ += n;
  size_ += n;
  if (n == 0) trim_memory();
  return settle(spool_status::ok);
}

spool_status body_spool::append(std::string_view bytes) {
  while (!bytes.empty()) {
    mutable_buffers room;
    const auto length = std::min(bytes.size(), staging_room);
    if (offer(room, std::min(length, memory_room), length) != spool_status::ok) return trouble_;
    const auto n = asio::buffer_copy(room, asio::const_buffer(bytes.data(), bytes.size()));
    if (commit(n) != spool_status::ok) return trouble_;
    bytes.remove_prefix(n);
  }
  return spool_status::ok;
}

spool_status body_spool::write_file(std::size_t n) {
  if (file_ < 0 && !open_file()) return fail(errno);
  io_parts parts;
  const auto reason =
      transfer_all(::pwritev, file_, parts_of(staging_, n, parts), size_ - memory_size_);
  if (reason != 0) return fail(reason);
  size_ += n;
  return spool_status::ok;
}

spool_status body_spool::fail(int reason) {
  error_ = std::error_code(reason, std::system_category());
  return spool_status::failed;
}

// Nothing is left behind after a crash: the file has no name.
bool body_spool::open_file() {
  file_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ >= 0) return true;
  // Some file systems (overlay, NFS) have no O_TMPFILE.
  auto name = directory_ + "/icapgate-XXXXXX";
  file_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (file_ >= 0) ::unlink(name.c_str());
  return file_ >= 0;
}

void body_spool::clear() {
  give_back();
  file_ = -1;
  if (lead_ > 0) with_head_ = std::move(memory_.front());
  memory_.clear();
  staging_.clear();
  memory_size_ = size_ = expected_ = disk_share_ = 0;
  memory_share_ = reserved_blocks_ = lead_ = 0;
  trouble_ = spool_status::ok;
  error_.clear();
  ++clears_;
}

void body_spool::give_back() {
  if (file_ >= 0) ::close(file_);
  budget_.give_blocks(memory_share_);
  budget_.give_disk(disk_share_);
}

// --- reading

bool body_spool::view(std::uint64_t offset, std::uint64_t max, const_buffers& out) const {
  if (offset >= memory_size_) return false;
  push_row(memory_, lead_ + offset, std::min(max, memory_size_ - offset), out);
  return true;
}

bool body_spool::reader::view(std::uint64_t offset, std::uint64_t max, const_buffers& out) {
  if (offset >= from_.size_ || max == 0) return true;
  if (from_.view(offset, max, out)) return true;
  const auto length = std::min(max, from_.size_ - offset);
  if (!covers(offset, length) && !load(offset, length)) return false;
  push_row(window_, offset - window_begin_, std::min(length, window_end_ - offset), out);
  return true;
}

// The window is good enough for another view: who wrote but a part of the last one to a socket
// reads no byte twice, and a small rest makes no small write.
bool body_spool::reader::covers(std::uint64_t offset, std::uint64_t length) const {
  if (clears_ != from_.clears_ || offset < window_begin_ || offset >= window_end_) return false;
  return window_end_ - offset >= std::min<std::uint64_t>(length, window_size / 2);
}

bool body_spool::reader::load(std::uint64_t offset, std::uint64_t length) {
  length = std::min<std::uint64_t>(length, window_size);
  window_begin_ = window_end_ = offset;
  while (window_.size() < blocks_for(length)) window_.push_back(from_.blocks_.acquire());
  io_parts parts;
  const auto reason = transfer_all(::preadv, from_.file_,
                                   parts_of(window_, static_cast<std::size_t>(length), parts),
                                   offset - from_.memory_size_);
  if (reason != 0) {
    error_ = std::error_code(reason, std::system_category());
    return false;
  }
  window_end_ = offset + length;
  clears_ = from_.clears_;
  return true;
}

void body_spool::reader::release() {
  window_.clear();
  window_begin_ = window_end_ = 0;
}

body_spool::comparison::comparison(const body_spool& whole, const body_spool& beginning)
    : whole_(whole),
      beginning_(beginning),
      left_(beginning.size()),
      alike_(beginning.size() <= whole.size()) {}

bool body_spool::comparison::step() {
  if (!alike_ || left_ == 0) return false;
  const_buffers mine;
  const_buffers its;
  if (!whole_.view(at_, left_, mine) || !beginning_.view(at_, left_, its)) return false;
  const auto length = std::min(mine.bytes(), its.bytes());
  alike_ = same_bytes(mine, its, length);
  at_ += length;
  left_ -= length;
  return true;
}

bool body_spool::starts_with(const body_spool& other) const {
  comparison both(*this, other);
  while (both.step()) continue;
  return both.begins_so();
}

std::optional<std::string> text_of(const body_spool& body, std::uint64_t most) {
  most = std::min(most, body.size());
  body_spool::reader from(body);
  std::string text;
  while (text.size() < most) {
    const_buffers views;
    if (!from.view(text.size(), most - text.size(), views) || views.empty()) return std::nullopt;
    for (const auto& v : views) text.append(static_cast<const char*>(v.data()), v.size());
  }
  return text;
}

}  // namespace icapgate::proxy
