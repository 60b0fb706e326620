#include "kit/gate.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <csignal>
#include <cstdlib>

namespace e2e {

namespace {

constexpr std::string_view port_mark = "@PORT@";

std::string local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

std::vector<std::string> command(const gate_settings& settings, std::uint16_t port,
                                 std::uint16_t admin, const std::filesystem::path& log) {
  std::vector<std::string> out = {program(),
                                  "--admin",
                                  local(admin),
                                  "--access-log",
                                  settings.access_log.empty() ? log.string() : settings.access_log,
                                  "--workers",
                                  std::to_string(settings.workers)};
  if (settings.config.find(port_mark) == std::string::npos)
    out.insert(out.end(), {"--listen", local(port)});
  if (!settings.origin_url.empty())
    out.insert(out.end(), {"--origin", settings.origin_url});
  else if (settings.origin != 0)
    out.insert(out.end(), {"--origin", "http://" + local(settings.origin)});
  for (const auto scanner : settings.scanners) {
    out.insert(out.end(), {"--icap", "icap://" + local(scanner) + "/" + settings.service});
  }
  for (const auto avoided : settings.avoid_ports) {
    out.insert(out.end(), {"--avoid-port", std::to_string(avoided)});
  }
  if (settings.fallback) out.push_back("--debug-fallback");
  out.insert(out.end(), settings.more.begin(), settings.more.end());
  return out;
}

bool sanitizer_spoke(const std::string& output) {
  return output.find("Sanitizer") != std::string::npos ||
         output.find("runtime error:") != std::string::npos;
}

}  // namespace

std::string program() {
  const char* other = std::getenv("ICAPGATE_BINARY");
  return other != nullptr ? other : ICAPGATE_BINARY;
}

access_line::access_line(const std::string& json) : fields_(boost::json::parse(json).as_object()) {}

std::string access_line::text(std::string_view key) const {
  const auto& value = fields_.at(key);
  return value.is_null() ? std::string() : std::string(value.as_string());
}

double access_line::number(std::string_view key) const {
  return fields_.at(key).to_number<double>();
}

bool access_line::flag(std::string_view key) const {
  return fields_.at(key).as_bool();
}

gate::gate(const gate_settings& settings) {
  auto env = settings.env;
  env.emplace(setting::canary, settings.canary);
  auto line = command(settings, port(), admin_port(), access_log_file());
  if (!settings.config.empty()) {
    write_config(settings.config);
    line.insert(line.end(), {"--config", config_file().string()});
  }
  process_ = std::make_unique<process>(line, folder_.path() / "output", env);
  wait_until("icapgate accepts connections", [this] {
    if (!process_->running()) throw std::runtime_error("icapgate ended: " + output());
    return can_connect(port()) && can_connect(admin_port());
  });
}

gate::~gate() {
  finish();
}

std::vector<access_line> gate::lines(std::size_t count) {
  std::vector<access_line> out;
  wait_until(std::to_string(count) + " lines in the access log", [&] {
    out.clear();
    const auto text = access_log();
    for (std::size_t at = 0, end = text.find('\n'); end != std::string::npos;
         at = end + 1, end = text.find('\n', at)) {
      out.emplace_back(text.substr(at, end - at));
    }
    return out.size() >= count;
  });
  return out;
}

void gate::write_config(const std::string& text) const {
  auto with_port = text;
  const auto mark = with_port.find(port_mark);
  if (mark != std::string::npos)
    with_port.replace(mark, port_mark.size(), std::to_string(port_.number()));
  write_file(config_file(), with_port);
}

// What the log tells so far.
std::size_t gate::reloads(std::string_view how) const {
  std::size_t count = 0;
  const auto text = output();
  const auto line = "reload: " + std::string(how);
  for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++count;
  return count;
}

bool gate::reload(const std::string& config) {
  const auto done = reloads("done");
  const auto refused = reloads("refused");
  write_config(config);
  process_->signal(SIGHUP);
  wait_until("the settings were read again",
             [&] { return reloads("done") != done || reloads("refused") != refused; });
  return reloads("done") != done;
}

void gate::terminate() {
  process_->signal(SIGTERM);
}

int gate::wait(std::chrono::milliseconds within) {
  return process_->wait(within);
}

std::string gate::finish() {
  terminate();
  int status = 0;
  try {
    status = wait();
  } catch (const timed_out& error) {
    process_->kill_all();
    return error.what();
  }
  if (status == 0 && !sanitizer_spoke(output())) return {};
  return "exit status " + std::to_string(status) + ", output:\n" + output();
}

outcome run_icapgate(const std::vector<std::string>& arguments,
                     const std::map<std::string, std::string>& env) {
  const temporary_folder folder;
  std::vector<std::string> command = {program()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  process child(command, folder.path() / "output", env);
  const int status = child.wait();
  return {status, child.output()};
}

}  // namespace e2e
