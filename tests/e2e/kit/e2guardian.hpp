// A second real scanner, of another school than c-icap: e2guardian, with clamd behind it.
#pragma once

#include "kit/lab.hpp"

namespace e2e {

// A text that it bans wherever it stands in a page, and a type that it bans without a look inside.
inline constexpr std::string_view banned_phrase = "the play forbids these words";
inline constexpr std::string_view banned_type = "application/x-play";

// A larger body it gives back as it is: 5.3 without a look, 5.5 after a look at its first bytes,
// this many. Three of its settings decide: 5.3 scans up to maxcontentfilecachescansize, 5.5 no more
// than maxcontentfiltersize.
inline constexpr std::size_t scanned_up_to = 4000 * 1024;

// In a folder of its own, from the package's configuration. Its proxy listens on loopback; the
// ports of ICAP and of intercepted TLS are open to all, whatever its configuration says.
// Throws with its output where it does not start.
class e2guardian {
 public:
  e2guardian();
  std::uint16_t port() const { return icap_.number(); }
  std::string url(const std::string& service = "response") const;
  void start();
  void stop();  // at once
  void start_clamd() { engine_.start(); }
  void stop_clamd() { engine_.stop(); }

 private:
  void copy_configuration() const;
  void write_lists() const;
  void write_main_file() const;

  temporary_folder folder_;
  reserved_port proxy_;
  reserved_port intercepted_;
  reserved_port icap_;
  lab_engine engine_;
  std::unique_ptr<process> daemon_;
};

}  // namespace e2e
