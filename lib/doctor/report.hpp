// What an examination tells, one line for each check, as soon as it is known.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace icapgate::doctor {

enum class mark { ok, warn, fail, skip };

// What one check found. Only the texts of our own may hold line ends.
struct finding {
  mark how = mark::ok;
  std::string text;
  std::string hint = {};  // what to do; may be empty
};

// For a terminal: what is not printable ASCII becomes '?', and no more than `longest` bytes.
std::string printable(std::string_view text, std::size_t longest = 120);

class report {
 public:
  using sink = std::function<void(std::string_view)>;

  report(sink print, bool colours) : print_(std::move(print)), colours_(colours) {}

  void line(std::string_view name, std::chrono::milliseconds time, const finding& what);
  // Text as it is.
  void say(std::string_view text) { print_(text); }
  std::string painted(std::string_view text, mark as) const;

  std::size_t failures() const { return failures_; }
  std::size_t warnings() const { return warnings_; }
  // The check that failed first; empty: none.
  const std::string& first_failure() const { return first_failure_; }

 private:
  sink print_;
  bool colours_;
  std::size_t failures_ = 0;
  std::size_t warnings_ = 0;
  std::string first_failure_;
};

}  // namespace icapgate::doctor
