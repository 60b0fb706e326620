// A real origin (nginx) and a real scanner (c-icap with ClamAV), in a folder and with processes of
// their own: nothing of the system's services is touched.
#pragma once

#include "kit/process.hpp"

#include <memory>

namespace e2e {

// The EICAR test string. Joined at run time: no file of this project may be taken for one.
std::string eicar();

// Throws with the daemons' output where one does not start.
class lab_origin {
 public:
  lab_origin();
  std::uint16_t port() const { return port_; }
  // `name` may have an extension that nginx knows a type for: html, png.
  void serve(const std::string& name, std::string_view content);

 private:
  temporary_folder folder_;
  std::uint16_t port_;
  std::unique_ptr<process> nginx_;
};

// Services of its c-icap: avscan (waits for the verdict), virus_scan (the package's defaults: lets
// bytes of large bodies pass before it), echo and ex206.
struct lab_settings {
  bool clamd_first = true;  // c-icap without an engine loads, and calls everything clean
  bool tiny = false;        // two connections at once, and no more
};

class lab_scanner {
 public:
  explicit lab_scanner(const lab_settings& settings = {});
  std::uint16_t port() const { return port_; }
  void start_clamd();
  void start_icap();
  // At once: asked to end, c-icap takes ten seconds while connections are kept alive.
  void stop_clamd();
  void stop_icap();

 private:
  temporary_folder folder_;
  std::uint16_t port_;
  lab_settings settings_;
  std::unique_ptr<process> clamd_;
  std::unique_ptr<process> icap_;
};

}  // namespace e2e
