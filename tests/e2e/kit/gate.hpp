// The real program, as a process: started with the settings of a play, stopped by SIGTERM.
#pragma once

#include "kit/process.hpp"

#include <boost/json/object.hpp>
#include <memory>
#include <optional>

namespace e2e {

struct gate_settings {
  std::uint16_t origin = 0;     // of the default route; 0: none
  std::string origin_url = {};  // in place of the origin's port
  std::vector<std::uint16_t> scanners = {};
  std::string service = "avscan";
  std::vector<std::uint16_t> avoid_ports = {};
  bool fallback = false;
  unsigned workers = 1;
  std::vector<std::string> more = {};           // further flags
  std::map<std::string, std::string> env = {};  // see `setting`
  std::string canary = "off";                   // only where it is the play
  std::string access_log = {};                  // a file of its own; with another lines() has none
  // A settings file's text, beneath flags and env. With listeners of its own: @PORT@ is the gate's.
  std::string config = {};
};

// Environment variables of settings that have no flag in these plays.
namespace setting {
inline constexpr auto origin_first_byte = "ICAPGATE_ORIGIN__TIMEOUT__FIRST_BYTE";
inline constexpr auto origin_idle = "ICAPGATE_ORIGIN__TIMEOUT__IDLE";
inline constexpr auto scanner_idle = "ICAPGATE_SCANNER__TIMEOUT__IDLE";
inline constexpr auto scanner_after_body = "ICAPGATE_SCANNER__TIMEOUT__AFTER_BODY";
inline constexpr auto scanner_per_mib = "ICAPGATE_SCANNER__TIMEOUT__PER_MIB";
inline constexpr auto scanner_keep_alive = "ICAPGATE_SCANNER__KEEP_ALIVE";
inline constexpr auto scanner_warm = "ICAPGATE_SCANNER__WARM_CONNECTIONS";
inline constexpr auto scanner_connect = "ICAPGATE_SCANNER__TIMEOUT__CONNECT";
inline constexpr auto scanner_queue = "ICAPGATE_SCANNER__QUEUE__WAIT";
inline constexpr auto scanner_standby = "ICAPGATE_SCANNER__STANDBY";
inline constexpr auto scanner_vendor = "ICAPGATE_SCANNER__VENDOR";
inline constexpr auto canary = "ICAPGATE_SCANNER__CANARY";
inline constexpr auto canary_interval = "ICAPGATE_SCANNER__CANARY_INTERVAL";
inline constexpr auto options_min = "ICAPGATE_SCANNER__OPTIONS__MIN";
inline constexpr auto transfer_ignore = "ICAPGATE_SCANNER__TRANSFER_IGNORE";
inline constexpr auto origin_keep_alive = "ICAPGATE_ORIGIN__KEEP_ALIVE";
inline constexpr auto scanner_connections = "ICAPGATE_SCANNER__CONNECTIONS";
inline constexpr auto spool_memory = "ICAPGATE_POLICY__SPOOL__MEMORY";
inline constexpr auto spool_dir = "ICAPGATE_POLICY__SPOOL__DIR";
inline constexpr auto spool_first_above = "ICAPGATE_POLICY__SPOOL__FIRST_ABOVE";
inline constexpr auto max_scan_size = "ICAPGATE_POLICY__MAX_SCAN_SIZE";
inline constexpr auto client_head = "ICAPGATE_CLIENT__TIMEOUT__HEAD";
inline constexpr auto drain = "ICAPGATE_ADMIN__DRAIN_TIMEOUT";
}  // namespace setting

// One line of the access log.
class access_line {
 public:
  explicit access_line(const std::string& json);
  std::string text(std::string_view key) const;
  double number(std::string_view key) const;
  bool flag(std::string_view key) const;
  bool has(std::string_view key) const { return fields_.contains(key); }

 private:
  boost::json::object fields_;
};

// The file that is run. Another build of the same sources may be measured: ICAPGATE_BINARY in the
// tests' environment.
std::string program();

class gate {
 public:
  // Returns when it accepts connections. Throws with its output where it ends before.
  explicit gate(const gate_settings& settings);
  ~gate();

  std::uint16_t port() const { return port_.number(); }
  std::uint16_t admin_port() const { return admin_.number(); }
  // All access lines so far, once there are at least `count`.
  std::vector<access_line> lines(std::size_t count);
  // The newest of `count`.
  access_line line(std::size_t count = 1) { return lines(count).at(count - 1); }
  std::string output() const { return process_->output(); }
  std::string access_log() const { return file_text(access_log_file()); }
  std::filesystem::path access_log_file() const { return folder_.path() / "access.log"; }
  std::filesystem::path config_file() const { return folder_.path() / "icapgate.toml"; }
  pid_t id() const { return process_->id(); }

  // Writes the settings file anew and sends SIGHUP. Whether the new settings are in use then.
  bool reload(const std::string& config);
  void signal(int number) { process_->signal(number); }
  void terminate();                                       // SIGTERM
  int wait(std::chrono::milliseconds within = patience);  // exit status
  // Ends it if it still runs; what was wrong with its end, or "".
  std::string finish();

 private:
  void write_config(const std::string& text) const;
  std::size_t reloads(std::string_view how) const;

  temporary_folder folder_;
  reserved_port port_;
  reserved_port admin_;
  std::unique_ptr<process> process_;
};

// Runs the program to its end.
struct outcome {
  int status;
  std::string output;
};
outcome run_icapgate(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& env = {});

}  // namespace e2e
