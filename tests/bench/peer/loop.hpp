// One thread's event loop over TCP connections, as small as a yardstick's tools can be.
#pragma once

#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace bench {

// What one connection does. Input that was used up is removed from the front of `in`.
class handler {
 public:
  virtual ~handler() = default;
  // More came in. What stands in `out` afterwards is sent, behind what was not sent yet. False:
  // the connection is closed once that was sent.
  virtual bool received(std::string& in, std::string& out) = 0;
  // The peer closed, or the connection failed.
  virtual void closed() {}
};

class loop {
 public:
  using factory = std::function<std::unique_ptr<handler>()>;

  loop();
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  // On 127.0.0.1; 0 chooses a port. Returns the port. Throws std::system_error.
  std::uint16_t listen(std::uint16_t port, factory make);
  // Connects to 127.0.0.1, and sends `first` at once. Throws std::system_error.
  void connect(std::uint16_t port, std::unique_ptr<handler> what, std::string first);
  // Until stop(), or until no connection is left where none is listened for.
  void run();
  void stop() { stopped_ = true; }

 private:
  struct connection {
    std::unique_ptr<handler> what;
    std::string in{}, out{};
    std::size_t sent = 0;  // of out
    bool ending = false;   // closed when out was sent
  };

  void add(int fd, std::unique_ptr<handler> what, std::string first);
  void accept_all();
  void serve(int fd, std::uint32_t events);
  ssize_t receive(int fd, std::string& in);
  bool flush(int fd, connection& c);
  void close(int fd);

  int epoll_;
  int listener_ = -1;
  factory make_;
  std::unordered_map<int, connection> connections_;
  std::unique_ptr<char[]> buffer_;
  bool stopped_ = false;
};

}  // namespace bench
