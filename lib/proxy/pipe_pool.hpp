// Pipes that go round within one worker: through them bodies move from socket to socket without
// coming into this process's memory (splice(2)).
#pragma once

#include <cstddef>
#include <vector>

namespace icapgate::proxy {

class pipe_pool;

// One pipe, borrowed; goes back by itself if it is empty, and is closed if it is not.
class pipe {
 public:
  pipe() = default;
  pipe(pipe&& other) noexcept { swap(other); }
  pipe& operator=(pipe&& other) noexcept {
    swap(other);
    return *this;
  }
  ~pipe();

  explicit operator bool() const { return ends_.in >= 0; }
  int in() const { return ends_.in; }
  int out() const { return ends_.out; }

  // Bytes that went in and not out yet.
  std::size_t bytes() const { return bytes_; }
  void took(std::size_t n) { bytes_ += n; }
  void gave(std::size_t n) { bytes_ -= n; }

 private:
  friend class pipe_pool;
  struct ends {
    int in = -1;
    int out = -1;
  };
  pipe(pipe_pool& pool, const ends& of) : pool_(&pool), ends_(of) {}
  void swap(pipe& other) noexcept;

  pipe_pool* pool_ = nullptr;
  ends ends_;
  std::size_t bytes_ = 0;
};

// Worker thread only; outlives its pipes.
class pipe_pool {
 public:
  // Bytes that go into one pipe.
  static constexpr std::size_t room = 256 << 10;
  // Pipes that are open at most: each takes two descriptors, and room that the system grants one
  // user (pipe-user-pages-soft).
  static constexpr std::size_t max_open = 64;
  // And while nothing goes on.
  static constexpr std::size_t max_at_rest = 4;

  pipe_pool();
  ~pipe_pool() { shrink(0); }
  pipe_pool(const pipe_pool&) = delete;
  pipe_pool& operator=(const pipe_pool&) = delete;

  // None where all are lent, or the system gives no more: then bodies go through memory.
  pipe acquire();

  // Nothing goes on: gives back what a burst has left, and forgets what the system refused.
  void rest();

 private:
  friend class pipe;
  bool open();
  void shrink(std::size_t most);
  void give_back(const pipe& one);
  void close(const pipe::ends& one);

  std::vector<pipe::ends> idle_;
  std::size_t open_ = 0;
  std::size_t limit_ = max_open;
  const bool allowed_;
};

}  // namespace icapgate::proxy
