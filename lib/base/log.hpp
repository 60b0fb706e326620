// Diagnostics for people, on standard error, and the access log for machines: one JSON object per
// transaction.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>

namespace icapgate {

// Diagnostics. Any thread. What comes from a peer may be given as it is: control characters and
// bytes outside ASCII are escaped here.
namespace log {

enum class level : std::uint8_t { trace, debug, info, warn, error };

// `least` is a row of --log-level; "off" silences everything. Call once, before the first thread.
void set_up(std::string_view least);
// From any thread, later.
void set_level(std::string_view least);

bool enabled(level at);
void write(level at, std::string_view text);

namespace detail {
inline void append(std::string& to, std::string_view part) {
  to += part;
}
template <class Number>
  requires std::is_arithmetic_v<Number>
void append(std::string& to, Number part) {
  to += std::to_string(part);
}
}  // namespace detail

// log::warn("scanner ", name, " answered ", status): texts and numbers, put together only if the
// level is enabled.
template <class... Parts>
void write_parts(level at, const Parts&... parts) {
  if (!enabled(at)) return;
  std::string text;
  (detail::append(text, parts), ...);
  write(at, text);
}
template <class... Parts>
void trace(const Parts&... parts) {
  write_parts(level::trace, parts...);
}
template <class... Parts>
void debug(const Parts&... parts) {
  write_parts(level::debug, parts...);
}
template <class... Parts>
void info(const Parts&... parts) {
  write_parts(level::info, parts...);
}
template <class... Parts>
void warn(const Parts&... parts) {
  write_parts(level::warn, parts...);
}
template <class... Parts>
void error(const Parts&... parts) {
  write_parts(level::error, parts...);
}

}  // namespace log

enum class access_verdict : std::uint8_t {
  none,     // there was no response to judge
  skipped,  // not scanned: no body, or an avoided port
  clean,
  adapted,
  blocked,
  unscannable,
  error,
};

// Why a response was delivered without a scan, or in spite of one.
enum class unscanned : std::uint8_t {
  no,
  no_body,
  avoid_port,
  transfer_ignore,  // the scanner does not want such responses
  rule,             // mode = off in a rule
  mode_off,         // for all
  event_stream,
  upgrade,
  oversize,
  unscannable,
  on_error,  // the scanner could not be reached, was busy or made no sense
  count_     // not a reason
};

// As the log and the metrics call it.
std::string_view name_of(unscanned why);

// One transaction. Views: the texts need to live only until access_log::write() returns, and may
// hold any bytes.
struct access_record {
  std::chrono::system_clock::time_point ts;
  std::string_view request_id;
  std::string_view client;  // address, without the port
  std::string_view method;
  std::string_view target;  // as received; the values of its query are not logged
  unsigned status = 0;      // 0: no response was sent
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  access_verdict verdict = access_verdict::none;
  std::string_view threat;
  std::string_view reason;   // end_reason::token
  std::string_view scanner;  // URL of the scanner that judged
  unsigned icap_status = 0;
  std::chrono::duration<double, std::milli> origin_ms{};
  std::chrono::duration<double, std::milli> scan_ms{};
  std::chrono::duration<double, std::milli> total_ms{};
  unscanned why_unscanned = unscanned::no;
  std::string_view rule;    // the reason of the rule that decided; empty: none did
  std::string_view route;   // its name; empty: none
  std::string_view origin;  // URL of the one that was asked last; empty: none was
  bool monitored = false;   // the verdict came to nobody but this line
};

// The line, with its '\n': pure ASCII, valid JSON whatever bytes the texts hold.
std::string to_json_line(const access_record& record);

// The access log. Any thread may write; one thread of its own does the system calls, at least once
// a second, so that a full disk or a reader that stalls never holds up a transaction: beyond
// `max_pending` bytes lines are dropped and counted.
class access_log {
 public:
  static constexpr std::size_t max_pending = 8 << 20;

  // "-": standard output; "off": nothing; else a file, created or appended to. Throws
  // std::system_error if that file can't be opened.
  explicit access_log(const std::string& to);
  // Writes what is pending.
  ~access_log();

  access_log(const access_log&) = delete;
  access_log& operator=(const access_log&) = delete;

  void write(const access_record& record);

  // Returns when everything written before has been handed to the system.
  void flush();

  // Opens the file anew, for logrotate. On failure the old one stays in use.
  std::error_code reopen();

  // Lines lost so far: dropped, or refused by the system.
  std::uint64_t lost() const;

 private:
  void run();
  bool hand_over(int fd, std::string_view lines);
  void account(bool written, std::uint64_t lines);

  const std::string path_;
  int fd_ = -1;  // guarded by mutex_; replaced by the writer thread alone
  int next_fd_ = -1;

  mutable std::mutex mutex_;
  std::condition_variable wake_;    // the writer: something to do
  std::condition_variable handed_;  // flush(): done_ has grown
  std::string pending_;
  std::uint64_t pending_lines_ = 0;
  std::uint64_t added_ = 0;  // bytes ever added to pending_
  std::uint64_t done_ = 0;   // of those, bytes that left it
  std::uint64_t lost_ = 0;
  bool hurry_ = false;
  bool stopping_ = false;
  bool torn_ = false;     // writer only: the last line is not whole in the file
  bool failing_ = false;  // writer only
  std::thread writer_;
};

}  // namespace icapgate
