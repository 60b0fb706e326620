// The access log's thread and file; the line itself is made in access_line.cpp.
#include "base/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace icapgate {

namespace {

constexpr std::chrono::seconds longest_delay{1};
constexpr std::size_t worth_a_write = 64 << 10;

int open_log(const std::string& to) {
  if (to == "off") return -1;
  if (to == "-") return ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  return ::open(to.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

std::error_code last_error() {
  return {errno, std::generic_category()};
}

}  // namespace

access_log::access_log(const std::string& to) : path_(to), fd_(open_log(to)) {
  if (to == "off") return;
  if (fd_ < 0) throw std::system_error(last_error(), "access log \"" + to + '"');
  writer_ = std::thread([this] { run(); });
}

access_log::~access_log() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
  ::close(fd_);
  if (next_fd_ >= 0) ::close(next_fd_);
}

void access_log::write(const access_record& record) {
  if (!writer_.joinable()) return;
  const std::string line = to_json_line(record);
  bool enough = false;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.size() + line.size() > max_pending) {
      ++lost_;
      return;
    }
    enough = pending_.size() < worth_a_write && pending_.size() + line.size() >= worth_a_write;
    pending_ += line;
    added_ += line.size();
    ++pending_lines_;
    hurry_ = hurry_ || enough;
  }
  if (enough) wake_.notify_one();
}

void access_log::flush() {
  if (!writer_.joinable()) return;
  std::unique_lock lock(mutex_);
  const auto goal = added_;
  hurry_ = true;
  wake_.notify_one();
  handed_.wait(lock, [&] { return done_ >= goal; });
}

std::error_code access_log::reopen() {
  if (!writer_.joinable() || path_ == "-") return {};
  const int fresh = open_log(path_);
  if (fresh < 0) return last_error();
  int stale = -1;
  {
    const std::lock_guard lock(mutex_);
    stale = std::exchange(next_fd_, fresh);
    hurry_ = true;
  }
  wake_.notify_one();
  if (stale >= 0) ::close(stale);
  return {};
}

std::uint64_t access_log::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void access_log::run() {
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait_for(lock, longest_delay, [this] { return hurry_ || stopping_; });
    const bool last = stopping_;
    hurry_ = false;
    lines.swap(pending_);
    const auto count = std::exchange(pending_lines_, 0);
    const int fresh = std::exchange(next_fd_, -1);
    lock.unlock();
    // Lines from before the rotation belong to the old file.
    const bool written = hand_over(fd_, lines);
    if (fresh >= 0) {
      ::close(std::exchange(fd_, fresh));
      torn_ = false;
    }
    lock.lock();
    done_ += lines.size();
    account(written, count);
    lines.clear();
    handed_.notify_all();
    if (last) return;
  }
}

bool access_log::hand_over(int fd, std::string_view lines) {
  if (lines.empty()) return true;
  std::string repaired;
  if (torn_) lines = repaired = '\n' + std::string(lines);
  while (!lines.empty()) {
    const auto n = ::write(fd, lines.data(), lines.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    torn_ = lines[static_cast<std::size_t>(n) - 1] != '\n';
    lines.remove_prefix(static_cast<std::size_t>(n));
  }
  const bool written = lines.empty();
  if (written == failing_) {
    failing_ = !written;
    if (failing_)
      log::error("access log: lines are being lost: ", last_error().message());
    else
      log::warn("access log: written again");
  }
  return written;
}

void access_log::account(bool written, std::uint64_t lines) {
  if (!written) lost_ += lines;
}

}  // namespace icapgate
