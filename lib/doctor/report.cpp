#include "doctor/report.hpp"

#include "base/characters.hpp"

#include <algorithm>

namespace icapgate::doctor {
namespace {

constexpr std::size_t name_width = 22;
constexpr std::size_t time_width = 9;

std::string_view word(mark how) {
  switch (how) {
    case mark::ok:
      return "ok  ";
    case mark::warn:
      return "warn";
    case mark::fail:
      return "FAIL";
    case mark::skip:
      break;
  }
  return "skip";
}

std::string_view colour(mark how) {
  switch (how) {
    case mark::ok:
      return "32";
    case mark::warn:
      return "33";
    case mark::fail:
      return "1;31";
    case mark::skip:
      break;
  }
  return "2";
}

}  // namespace

std::string printable(std::string_view text, std::size_t longest) {
  std::string out(text.substr(0, longest));
  std::replace_if(out.begin(), out.end(), [](char c) { return !is_printable(c); }, '?');
  return text.size() > longest ? out + "..." : out;
}

std::string report::painted(std::string_view text, mark as) const {
  if (!colours_) return std::string(text);
  return std::string("\x1b[").append(colour(as)).append("m").append(text).append("\x1b[0m");
}

void report::line(std::string_view name, std::chrono::milliseconds time, const finding& what) {
  if (what.how == mark::fail && failures_++ == 0) first_failure_ = name;
  if (what.how == mark::warn) ++warnings_;
  std::string label(name);
  label.resize(std::max(name_width, name.size() + 1), ' ');
  std::string spent = what.how == mark::skip ? "" : std::to_string(time.count()) + " ms";
  spent.insert(0, time_width - std::min(time_width, spent.size()), ' ');
  std::string out =
      painted(word(what.how), what.how) + "  " + label + spent + "  " + what.text + '\n';
  if (!what.hint.empty()) out += "      -> " + what.hint + '\n';
  print_(out);
}

}  // namespace icapgate::doctor
