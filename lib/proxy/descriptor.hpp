// An open file or socket of the system.
#pragma once

#include <utility>

#include <unistd.h>

namespace icapgate::proxy {

class descriptor {
 public:
  // Takes it over; -1: none.
  explicit descriptor(int number = -1) : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(other.release()) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor() { close(); }

  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (is_open()) ::close(release());
  }

 private:
  int number_;
};

}  // namespace icapgate::proxy
