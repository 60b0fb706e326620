// Blocking TCP on 127.0.0.1 for the plays: every wait has an end, and its failure says what was
// waited for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace e2e {

using namespace std::chrono_literals;

// How long anything that has to happen may take. Far above what a slow, sanitized build needs: a
// play that gets here has failed.
inline constexpr std::chrono::milliseconds patience{20'000};

struct timed_out : std::runtime_error {
  using runtime_error::runtime_error;
};
// The other side ended or reset the connection where more was expected.
struct peer_gone : std::runtime_error {
  using runtime_error::runtime_error;
};
struct was_reset : peer_gone {
  using peer_gone::peer_gone;
};

// What a connection may speak above TCP (kit/tls.hpp).
class secure_layer {
 public:
  virtual ~secure_layer() = default;
  virtual bool has_input() const = 0;
  virtual std::size_t receive(char* into, std::size_t size) = 0;  // 0: a clean end
  virtual void write(std::string_view bytes) = 0;
  virtual void end() = 0;
};

// One connection, used by one thread; only abort() may come from another.
class connection {
 public:
  explicit connection(int fd);
  static connection to(std::uint16_t port);
  connection(connection&& other) noexcept;
  ~connection();

  // Up to `most` bytes as they come; empty: the other side ended its half. Throws was_reset,
  // timed_out.
  std::string read_some(std::size_t most = 65536, std::chrono::milliseconds within = patience);
  // Exactly `size` bytes. Throws peer_gone where the other side ended before.
  std::string read_exact(std::size_t size);
  // Up to and with `mark`; what came behind it stays for the next read.
  std::string read_until(std::string_view mark);
  std::string read_to_end();
  // Nothing may come within that time: neither a byte nor an end.
  bool is_quiet(std::chrono::milliseconds within);
  // Waits until there is something to read, or an end.
  void wait_for_more();
  // Bytes that were received and not asked for yet.
  std::size_t left_over() const { return buffer_.size() - taken_; }

  void write(std::string_view bytes);
  // Waits until the other side's program has taken every byte out of its socket: the next write is
  // then a read of its own over there.
  void wait_taken();
  void end();  // half-close: FIN
  void close();
  void reset();  // RST
  void abort();  // wakes whoever reads or writes
  bool open() const { return fd_ >= 0; }
  std::uint64_t received() const { return received_; }

  int descriptor() const { return fd_; }
  // From now on by way of `layer`; an end is then its clean one, and anything else was_reset.
  void speak(std::unique_ptr<secure_layer> layer) { layer_ = std::move(layer); }
  const secure_layer& secure() const { return *layer_; }

 private:
  bool fill(std::chrono::milliseconds within);
  std::size_t receive(char* into, std::size_t size, std::chrono::milliseconds within);
  std::string take(std::size_t size);

  std::atomic<int> fd_;
  std::mutex closing_;
  std::string buffer_;
  std::size_t taken_ = 0;
  std::uint64_t received_ = 0;
  std::unique_ptr<secure_layer> layer_;
};

// A port that belongs to this process but where nobody listens: a connection to it is refused. A
// program that sets SO_REUSEADDR may listen on it, and then has it for itself.
class reserved_port {
 public:
  reserved_port();
  ~reserved_port();
  reserved_port(const reserved_port&) = delete;
  reserved_port& operator=(const reserved_port&) = delete;
  std::uint16_t number() const { return number_; }

 private:
  int fd_;
  std::uint16_t number_;
};

class listener {
 public:
  listener();
  // On a unix socket at that path; it has no port.
  explicit listener(const std::string& path);
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  std::uint16_t port() const { return port_; }
  int accept();  // -1: was stopped
  void stop();   // from now on connections are refused

 private:
  std::atomic<int> fd_;
  std::uint16_t port_;
};

// Whether something listens on the port.
bool can_connect(std::uint16_t port);
bool can_connect(const std::string& path);  // of a unix socket

}  // namespace e2e
