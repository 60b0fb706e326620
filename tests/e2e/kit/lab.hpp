// A real origin (nginx) and a real scanner (c-icap with ClamAV), in a folder and with processes of
// their own: nothing of the system's services is touched.
#pragma once

#include "kit/process.hpp"

#include <memory>

namespace e2e {

// The EICAR test string. Joined at run time: no file of this project may be taken for one.
std::string eicar();

// Where an executable that a play needs is missing, this says which package has it.
void need(const std::filesystem::path& file, const std::string& package);
// Waits until `ready`; throws with what the daemon wrote if it ends before.
void wait_ready(process& daemon, const std::string& name, const std::function<bool()>& ready);

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

// clamd, with a signature for EICAR alone: Lab.Eicar.Test.
class lab_engine {
 public:
  lab_engine();
  std::filesystem::path socket() const { return folder_.path() / "clamd.sock"; }
  void start();
  void stop();  // at once

 private:
  temporary_folder folder_;
  std::unique_ptr<process> clamd_;
};

// A new key and its self-signed certificate, both in `folder`, as NAME.key and NAME.pem. `names` as
// in OpenSSL's settings: "DNS:a,IP:127.0.0.1".
struct lab_certificate {
  lab_certificate(const std::filesystem::path& folder, const std::string& name,
                  const std::string& names, int days = 2);
  std::string certificate;  // paths
  std::string key;
};

// Services of its c-icap: avscan (waits for the verdict), virus_scan (the package's defaults: lets
// bytes of large bodies pass before it), echo and ex206.
struct lab_settings {
  bool clamd_first = true;  // c-icap without an engine loads, and calls everything clean
  bool tiny = false;        // two connections at once, and no more
  const lab_certificate* tls = nullptr;  // it speaks TLS too, as this one
};

class lab_scanner {
 public:
  explicit lab_scanner(const lab_settings& settings = {});
  std::uint16_t port() const { return port_; }
  std::uint16_t tls_port() const { return tls_port_; }
  void start_clamd() { engine_.start(); }
  void start_icap();
  void stop_clamd() { engine_.stop(); }
  // At once: asked to end, c-icap takes ten seconds while connections are kept alive.
  void stop_icap();

 private:
  std::string config() const;

  temporary_folder folder_;
  std::uint16_t port_;
  std::uint16_t tls_port_;
  lab_settings settings_;
  lab_engine engine_;
  std::unique_ptr<process> icap_;
};

}  // namespace e2e
