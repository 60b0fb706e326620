// The service manager that started us (systemd, or whatever speaks its protocol): what it is told,
// how often it wants a sign of life, and the listening sockets that it hands over.
//
// Which socket serves which listener: a socket's name (FileDescriptorName=, else the name of its
// unit) is the NAME of [listen.NAME]. Several sockets of one name all serve that listener. Where
// there is only one listener, it takes every socket, whatever the names. A listener that got a
// socket does not bind its own address; a socket that no listener takes is an error of the
// settings.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::proxy {

// A listening stream socket that was open when the program began. Owns its descriptor, which no
// program that we start inherits.
class inherited_socket {
 public:
  inherited_socket(int descriptor, std::string name);
  inherited_socket(inherited_socket&& other) noexcept;
  inherited_socket& operator=(inherited_socket&& other) noexcept;
  ~inherited_socket();

  const std::string& name() const { return name_; }
  int family() const { return family_; }  // AF_INET, AF_INET6 or AF_UNIX
  int descriptor() const { return descriptor_; }
  // For an acceptor, which closes it. -1 from now on.
  int release();

 private:
  int descriptor_;
  int family_;
  std::string name_;
};

class service_manager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_* and LISTEN_*, and removes them, so that a program that we start
  // does not take them for its own. Once, while there is one thread. What is not meant for this
  // process (LISTEN_PID, WATCHDOG_PID) is left alone; other senseless values are told of.
  static service_manager from_environment();

  // None: no sockets, and messages go nowhere.
  service_manager() = default;
  service_manager(service_manager&& other) noexcept;
  service_manager& operator=(service_manager&& other) noexcept;
  ~service_manager();

  // Sentences for whoever has to repair the unit. Problems: what was handed over is not what it
  // should be, the program must not start. Warnings: messages go nowhere, all else works.
  const std::vector<std::string>& problems() const { return problems_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

  // In the order in which the units name them; empty from the second call on.
  std::vector<inherited_socket> take_sockets();

  // A sign of life must come within this time, or the service is killed: send one at half of it.
  // Zero: none is awaited.
  std::chrono::microseconds watchdog_interval() const { return watchdog_interval_; }

  bool listens() const { return notify_ >= 0; }  // false: the messages below go nowhere

  // The messages. Any thread. false: it could not be sent (errno says why); nothing to be done but
  // to say so. The three that change the service's state wait for the manager, a second at most.
  bool ready() const;      // after the start, and at the end of each reload, succeeded or not
  bool reloading() const;  // ready() has to follow
  bool stopping() const;
  // Shown by `systemctl status`: one line, a line break in it becomes a blank.
  bool status(std::string_view text) const;
  bool watchdog() const;
  // The start, reload or stop under way may take this much longer, from now.
  bool extend_timeout(std::chrono::microseconds more) const;

 private:
  void connect(const std::string& address);
  void read_watchdog();
  void read_sockets();
  bool send(std::string_view message, bool wait) const;

  int notify_ = -1;
  std::chrono::microseconds watchdog_interval_{};
  std::vector<inherited_socket> sockets_;
  std::vector<std::string> problems_;
  std::vector<std::string> warnings_;
};

}  // namespace icapgate::proxy
