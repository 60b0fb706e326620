// Puts a message together in a string, piece by piece.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate {

// Appends to a string. The room is made ahead, so that a piece costs its copy and one comparison;
// the string is cut to what was written at the end. It must not be touched in between.
class text_writer {
 public:
  // `room`: bytes that are usually enough. More are made where they are not.
  text_writer(std::string& out, std::size_t room) : out_(out) { make_room(out.size(), room); }
  ~text_writer() { out_.resize(size()); }
  text_writer(const text_writer&) = delete;
  text_writer& operator=(const text_writer&) = delete;

  [[gnu::always_inline]] text_writer& put(std::string_view piece) {
    need(piece.size());
    copy(piece);
    return *this;
  }

  // One line of a head.
  [[gnu::always_inline]] text_writer& put_field(std::string_view name, std::string_view value) {
    need(name.size() + value.size() + 4);
    copy(name);
    copy(": ");
    copy(value);
    copy("\r\n");
    return *this;
  }

  text_writer& put_number(std::uint64_t value) {
    constexpr std::size_t most_digits = 20;
    need(most_digits);
    at_ = std::to_chars(at_, end_, value).ptr;
    return *this;
  }

 private:
  void need(std::size_t more) {
    if (more > static_cast<std::size_t>(end_ - at_)) make_room(size(), more);
  }

  void copy(std::string_view piece) { at_ += piece.copy(at_, piece.size()); }

  std::size_t size() const { return static_cast<std::size_t>(at_ - out_.data()); }

  void make_room(std::size_t used, std::size_t more) {
    out_.resize(used + more + used / 2);
    at_ = out_.data() + used;
    end_ = out_.data() + out_.size();
  }

  std::string& out_;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace icapgate
