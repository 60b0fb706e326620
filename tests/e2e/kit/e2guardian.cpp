#include "kit/e2guardian.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>
#include <sstream>

namespace e2e {

namespace {

namespace fs = std::filesystem;

const fs::path program = "/usr/sbin/e2guardian";
const fs::path packaged = "/etc/e2guardian";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Without every line that sets one of these; then with them. A key that is set twice means two
// ports or two addresses.
std::string with_settings(const std::string& text,
                          const std::map<std::string, std::string>& settings) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const auto key = line.substr(0, line.find_first_of(" ="));
    if (!settings.contains(key)) out += line + "\n";
  }
  for (const auto& [key, value] : settings) out += key + " = " + value + "\n";
  return out;
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

std::string kibibytes(std::size_t size) {
  return std::to_string(size / 1024);
}

std::string user_name() {
  const auto* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? "root" : entry->pw_name;
}

std::string group_name() {
  const auto* entry = ::getgrgid(::getegid());
  return entry == nullptr ? "root" : entry->gr_name;
}

bool answers_options(std::uint16_t port) {
  if (!can_connect(port)) return false;
  auto wire = connection::to(port);
  wire.write("OPTIONS icap://127.0.0.1:" + std::to_string(port) +
             "/response ICAP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
  return wire.read_until("\r\n\r\n").find("ICAP/1.0 200") == 0;
}

}  // namespace

e2guardian::e2guardian() {
  need(program, "e2guardian");
  copy_configuration();
  write_lists();
  write_main_file();
  start_clamd();
  start();
}

std::string e2guardian::url(const std::string& service) const {
  return "icap://127.0.0.1:" + std::to_string(port()) + "/" + service;
}

// The pages and messages of 28 languages stay where they are.
void e2guardian::copy_configuration() const {
  const auto home = folder_.path() / "etc";
  for (const auto& entry : fs::recursive_directory_iterator(packaged)) {
    const auto inside = fs::relative(entry.path(), packaged);
    if (!entry.is_regular_file() || *inside.begin() == "languages") continue;
    fs::create_directories((home / inside).parent_path());
    auto text = replaced(file_text(entry.path()), packaged.string() + "/", home.string() + "/");
    write_file(home / inside, text);
  }
}

// All lists of phrases are emptied: they are read at the start, and would judge the plays' noise.
void e2guardian::write_lists() const {
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "etc" / "lists")) {
    const auto name = entry.path().filename().string();
    if (name.ends_with("phraselist")) write_file(entry.path(), "");
    if (name == "bannedphraselist") {
      write_file(entry.path(), "<" + std::string(banned_phrase) + ">\n");
    }
    if (name == "bannedmimetypelist") write_file(entry.path(), std::string(banned_type) + "\n");
  }
  write_file(folder_.path() / "etc" / "contentscanners" / "clamdscan.conf",
             "plugname = 'clamdscan'\nclamdudsfile = " + quoted(engine_.socket().string()) + "\n");
}

void e2guardian::write_main_file() const {
  const auto home = folder_.path();
  fs::create_directory(home / "tmp");
  const auto file = home / "etc" / "e2guardian.conf";
  const std::map<std::string, std::string> settings = {
      {"filterip", "127.0.0.1"},
      {"filterports", std::to_string(proxy_.number())},
      {"transparenthttpsport", std::to_string(intercepted_.number())},
      {"icapport", std::to_string(icap_.number())},
      {"httpworkers", "20"},
      {"daemonuser", quoted(user_name())},
      {"daemongroup", quoted(group_name())},
      {"nodaemon", "on"},
      {"filecachedir", quoted((home / "tmp").string())},
      {"maxcontentfiltersize", kibibytes(scanned_up_to)},
      {"maxcontentramcachescansize", kibibytes(scanned_up_to)},
      {"maxcontentfilecachescansize", kibibytes(scanned_up_to)},
      {"pidfilename", quoted((home / "pid").string())},
      {"loglocation", quoted((home / "access.log").string())},
      {"contentscanner", quoted((home / "etc" / "contentscanners" / "clamdscan.conf").string())},
  };
  write_file(file, with_settings(file_text(file), settings));
}

void e2guardian::start() {
  daemon_ = std::make_unique<process>(
      std::vector<std::string>{program, "-N", "-c", folder_.path() / "etc" / "e2guardian.conf"},
      folder_.path() / "output");
  wait_ready(*daemon_, "e2guardian", [this] { return answers_options(port()); });
}

void e2guardian::stop() {
  daemon_.reset();
}

}  // namespace e2e
