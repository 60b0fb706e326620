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
  void serve(const std::string& name, std::string_view content);

 private:
  temporary_folder folder_;
  std::uint16_t port_;
  std::unique_ptr<process> nginx_;
};

class lab_scanner {
 public:
  lab_scanner();
  std::uint16_t port() const { return port_; }
  // At once: asked to end, c-icap takes ten seconds while connections are kept alive.
  void stop_clamd();
  void stop_icap();

 private:
  void start_clamd();
  void start_icap();

  temporary_folder folder_;
  std::uint16_t port_;
  std::unique_ptr<process> clamd_;
  std::unique_ptr<process> icap_;
};

}  // namespace e2e
