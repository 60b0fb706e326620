#include "kit/lab.hpp"

#include <cstdio>

namespace e2e {

namespace {

namespace fs = std::filesystem;

std::string hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    out += digits;
  }
  return out;
}

// Debian puts c-icap's modules below the architecture's folder.
fs::path icap_modules() {
  for (const auto& entry : fs::directory_iterator("/usr/lib")) {
    if (fs::exists(entry.path() / "c_icap" / "virus_scan.so")) return entry.path() / "c_icap";
  }
  throw std::runtime_error(
      "no virus_scan.so: install libc-icap-mod-virus-scan (app/packages --install test)");
}

bool answers_options(std::uint16_t port) {
  if (!can_connect(port)) return false;
  auto wire = connection::to(port);
  wire.write("OPTIONS icap://127.0.0.1:" + std::to_string(port) +
             "/avscan ICAP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  try {
    return wire.read_until("\r\n\r\n").find("Antivirus service") != std::string::npos;
  } catch (const was_reset&) {
    return false;  // it listens before it is able to serve
  }
}

std::string nginx_config(const fs::path& home, std::uint16_t port) {
  const auto h = home.string();
  return "daemon off;\nmaster_process off;\npid " + h + "/pid;\nerror_log " + h +
         "/error.log;\nevents {}\nhttp {\n access_log off;\n client_body_temp_path " + h +
         "/t1;\n proxy_temp_path " + h + "/t2;\n fastcgi_temp_path " + h +
         "/t3;\n uwsgi_temp_path " + h + "/t4;\n scgi_temp_path " + h +
         "/t5;\n default_type application/octet-stream;\n types { text/html html; image/png png; "
         "}\n"
         " server {\n  listen 127.0.0.1:" +
         std::to_string(port) + " reuseport;\n  root " + h +
         "/files;\n  add_header Set-Cookie \"a=1; Path=/\";\n"
         "  add_header Set-Cookie \"b=2; Path=/\";\n  add_header X-Unknown-Field yes;\n }\n}\n";
}

}  // namespace

std::string lab_scanner::config() const {
  const auto h = folder_.path().string();
  const std::string many =
      "MaxServers 2\nMinSpareThreads 2\nMaxSpareThreads 40\nThreadsPerChild 20\n"
      "MaxKeepAliveRequests -1\n";
  const std::string few =
      "MaxServers 1\nMinSpareThreads 1\nMaxSpareThreads 2\nThreadsPerChild 2\n"
      "MaxKeepAliveRequests 3\n";
  std::string tls;
  if (settings_.tls != nullptr) {
    tls = "TlsPort 127.0.0.1:" + std::to_string(tls_port_) + " cert=" + settings_.tls->certificate +
          " key=" + settings_.tls->key + "\n";
  }
  const auto modules = icap_modules().string();
  return "PidFile " + h + "/c-icap.pid\nCommandsSocket " + h +
         "/c-icap.ctl\nPort 127.0.0.1:" + std::to_string(port_) + "\n" + tls + "StartServers 1\n" +
         // A named one would outlive a c-icap that is killed.
         "InterProcessSharedMemScheme mmap\n" + (settings_.tiny ? few : many) +
         "Timeout 60\nKeepAliveTimeout 60\nTmpDir " + h + "/tmp\nServerLog " + h +
         "/server.log\nAccessLog " + h + "/access.log\nModulesDir " + modules + "\nServicesDir " +
         modules +
         "\nTemplateDir /usr/share/c_icap/templates/\nLoadMagicFile /etc/c-icap/c-icap.magic\n"
         "Service echo srv_echo.so\nService ex206 srv_ex206.so\n"
         "Service antivirus_module virus_scan.so\n"
         "ServiceAlias avscan virus_scan?allow204=on&force=on&sizelimit=off&mode=simple\n"
         "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\n"
         "virus_scan.SendPercentData 5\nvirus_scan.StartSendPercentDataAfter 2M\n"
         "virus_scan.MaxObjectSize 5M\n"
         "virus_scan.DefaultEngine clamd\nModule common clamd_mod.so\nclamd_mod.ClamdSocket " +
         engine_.socket().string() + "\n";
}

void need(const fs::path& file, const std::string& package) {
  if (!fs::exists(file)) {
    throw std::runtime_error("no " + file.string() + ": install " + package +
                             " (app/packages --install test)");
  }
}

void wait_ready(process& daemon, const std::string& name, const std::function<bool()>& ready) {
  wait_until(name + " is ready", [&] {
    if (!daemon.running()) throw std::runtime_error(name + " ended: " + daemon.output());
    return ready();
  });
}

std::string eicar() {
  const std::string first = R"(X5O!P%@AP[4\PZX54(P^)7CC)7})";
  const std::string second = "$EICAR-STANDARD-ANTIVIRUS-TEST-";
  return first + second + "FILE!$H+H*";
}

lab_origin::lab_origin() {
  need("/usr/sbin/nginx", "nginx");
  const reserved_port reserved;
  port_ = reserved.number();
  fs::create_directory(folder_.path() / "files");
  write_file(folder_.path() / "nginx.conf", nginx_config(folder_.path(), port_));
  nginx_ = std::make_unique<process>(
      std::vector<std::string>{"/usr/sbin/nginx", "-c", folder_.path() / "nginx.conf", "-e",
                               folder_.path() / "error.log"},
      folder_.path() / "output");
  wait_ready(*nginx_, "nginx", [this] { return can_connect(port_); });
}

void lab_origin::serve(const std::string& name, std::string_view content) {
  write_file(folder_.path() / "files" / name, content);
}

lab_engine::lab_engine() {
  fs::create_directory(folder_.path() / "db");
  fs::create_directory(folder_.path() / "tmp");
  write_file(folder_.path() / "db" / "lab.ndb", "Lab.Eicar.Test:0:*:" + hex(eicar()) + "\n");
}

void lab_engine::start() {
  need("/usr/sbin/clamd", "clamav-daemon");
  const auto home = folder_.path().string();
  write_file(folder_.path() / "clamd.conf",
             "LocalSocket " + socket().string() + "\nFixStaleSocket yes\nDatabaseDirectory " +
                 home + "/db\nTemporaryDirectory " + home + "/tmp\nLogFile " + home +
                 "/clamd.log\nForeground yes\n");
  clamd_ = std::make_unique<process>(
      std::vector<std::string>{"/usr/sbin/clamd", "-c", home + "/clamd.conf"},
      folder_.path() / "clamd.out");
  wait_ready(*clamd_, "clamd", [this] { return can_connect(socket().string()); });
}

void lab_engine::stop() {
  clamd_.reset();
}

lab_certificate::lab_certificate(const fs::path& folder, const std::string& name,
                                 const std::string& names, int days)
    : certificate(folder / (name + ".pem")), key(folder / (name + ".key")) {
  need("/usr/bin/openssl", "openssl");
  process made(
      {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
       "-nodes", "-days", std::to_string(days), "-subj", "/CN=" + name, "-addext",
       "subjectAltName=" + names, "-keyout", key, "-out", certificate},
      folder / (name + ".out"));
  if (made.wait() != 0) throw std::runtime_error("openssl req: " + made.output());
}

lab_scanner::lab_scanner(const lab_settings& settings)
    : port_(reserved_port().number()),
      tls_port_(settings.tls == nullptr ? std::uint16_t{0} : reserved_port().number()),
      settings_(settings) {
  need("/usr/bin/c-icap", "c-icap");
  fs::create_directory(folder_.path() / "tmp");
  if (settings_.clamd_first) start_clamd();
  start_icap();
}

void lab_scanner::start_icap() {
  write_file(folder_.path() / "c-icap.conf", config());
  icap_ = std::make_unique<process>(
      std::vector<std::string>{"/usr/bin/c-icap", "-N", "-f", folder_.path() / "c-icap.conf"},
      folder_.path() / "c-icap.out");
  wait_ready(*icap_, "c-icap", [this] { return answers_options(port_); });
}

void lab_scanner::stop_icap() {
  icap_.reset();
}

}  // namespace e2e
