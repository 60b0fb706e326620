#include "proxy/body_spool.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace icapgate::proxy {
namespace {

constexpr std::size_t staging_blocks = 8;
constexpr std::size_t window_blocks = 8;
// Room that is offered at once while a body stays in memory.
constexpr std::size_t memory_blocks = 4;

// Reads or writes all of the buffers at `offset`; `io` is preadv or pwritev.
template <class Io>
bool transfer_all(Io io, int file, std::vector<iovec>& parts, std::uint64_t offset) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const auto n = io(file, parts.data() + first, static_cast<int>(parts.size() - first),
                      static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += static_cast<std::uint64_t>(n);
    auto left = static_cast<std::size_t>(n);
    while (left > 0) {
      const auto taken = std::min(left, parts[first].iov_len);
      parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + taken;
      parts[first].iov_len -= taken;
      left -= taken;
      if (parts[first].iov_len == 0) ++first;
    }
  }
  return true;
}

// The first `n` bytes of a row of blocks.
std::vector<iovec> parts_of(std::vector<block>& row, std::size_t n) {
  std::vector<iovec> parts;
  for (auto& b : row) {
    const auto length = std::min(n, block::size);
    if (length == 0) break;
    parts.push_back({b.data(), length});
    n -= length;
  }
  return parts;
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

mutable_buffers body_spool::prepare() {
  mutable_buffers room;
  if (memory_size_ < memory_limit_ && file_ < 0) {
    auto left = std::min<std::size_t>(memory_limit_ - memory_size_, memory_blocks * block::size);
    auto at = static_cast<std::size_t>(memory_size_ / block::size);
    auto offset = static_cast<std::size_t>(memory_size_ % block::size);
    while (left > 0) {
      if (at == memory_.size()) memory_.push_back(blocks_.acquire());
      const auto length = std::min(left, block::size - offset);
      room.push(asio::mutable_buffer(memory_[at].data() + offset, length));
      left -= length;
      offset = 0;
      ++at;
    }
    return room;
  }
  while (staging_.size() < staging_blocks) staging_.push_back(blocks_.acquire());
  for (auto& b : staging_) room.push(asio::mutable_buffer(b.data(), block::size));
  return room;
}

bool body_spool::commit(std::size_t n) {
  if (!staging_.empty()) return write_file(n);
  memory_size_ += n;
  size_ += n;
  return true;
}

bool body_spool::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = prepare();
    const auto n = asio::buffer_copy(room, asio::const_buffer(bytes.data(), bytes.size()));
    if (!commit(n)) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

bool body_spool::write_file(std::size_t n) {
  if (file_ < 0 && !open_file()) return false;
  auto parts = parts_of(staging_, n);
  if (!transfer_all(::pwritev, file_, parts, size_ - memory_size_)) return false;
  size_ += n;
  return true;
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

bool body_spool::view(std::uint64_t offset, std::uint64_t max, const_buffers& out) {
  auto left = std::min(max, size_ - offset);
  if (left == 0) return true;
  if (offset < memory_size_) {
    left = std::min(left, memory_size_ - offset);
    while (left > 0 && !out.full()) {
      const auto inside = static_cast<std::size_t>(offset % block::size);
      const auto length = std::min<std::uint64_t>(left, block::size - inside);
      const auto* data = memory_[static_cast<std::size_t>(offset / block::size)].data() + inside;
      out.push(asio::const_buffer(data, static_cast<std::size_t>(length)));
      offset += length;
      left -= length;
    }
    return true;
  }
  while (window_.size() < window_blocks) window_.push_back(blocks_.acquire());
  const auto length =
      static_cast<std::size_t>(std::min<std::uint64_t>(left, window_blocks * block::size));
  auto parts = parts_of(window_, length);
  for (const auto& part : parts) out.push(asio::const_buffer(part.iov_base, part.iov_len));
  return transfer_all(::preadv, file_, parts, offset - memory_size_);
}

bool body_spool::starts_with(body_spool& other) {
  if (other.size_ > size_) return false;
  std::uint64_t at = 0;
  while (at < other.size_) {
    const_buffers mine;
    const_buffers its;
    if (!view(at, other.size_ - at, mine) || !other.view(at, other.size_ - at, its)) return true;
    const auto length = std::min(mine.bytes(), its.bytes());
    if (!same_bytes(mine, its, length)) return false;
    at += length;
  }
  return true;
}

void body_spool::clear() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  memory_.clear();
  staging_.clear();
  window_.clear();
  memory_size_ = size_ = 0;
}

}  // namespace icapgate::proxy
