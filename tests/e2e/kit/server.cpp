#include "kit/server.hpp"

#include <unistd.h>

namespace e2e {

void happening::tell() {
  const std::lock_guard lock(mutex_);
  told_ = true;
  changed_.notify_all();
}

bool happening::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

void happening::wait(std::chrono::milliseconds within) const {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, within, [this] { return told_; })) {
    throw timed_out("what was waited for never happened");
  }
}

server::server(handler serve, const std::string& path)
    : serve_(std::move(serve)), listener_(path.empty() ? listener() : listener(path)) {
  acceptor_ = std::thread([this] { accept_all(); });
}

server::~server() {
  stop();
}

void server::accept_all() {
  for (int number = 0;; ++number) {
    const int fd = listener_.accept();
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      ::close(fd);
      return;
    }
    auto& one = visits_.emplace_back(connection(fd), std::thread());
    one.thread = std::thread([this, &one, number] { serve_one(one.wire, number); });
  }
}

void server::serve_one(connection& wire, int number) {
  try {
    serve_(wire, number);
  } catch (const peer_gone&) {
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!stopped_)
      failures_.push_back("connection " + std::to_string(number) + ": " + error.what());
  }
  wire.close();
}

int server::connections() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(visits_.size());
}

std::vector<std::string> server::failures() const {
  const std::lock_guard lock(mutex_);
  return failures_;
}

void server::report(const std::string& failure) {
  const std::lock_guard lock(mutex_);
  failures_.push_back(failure);
}

void server::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    listener_.stop();
    for (auto& one : visits_) one.wire.abort();
  }
  acceptor_.join();
  for (auto& one : visits_) one.thread.join();
}

}  // namespace e2e
