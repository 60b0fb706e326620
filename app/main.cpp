// icapgate: an ICAP-scanning reverse proxy.
#include "banner.hpp"
#include "base/config.hpp"
#include "base/credentials.hpp"
#include "base/help.hpp"
#include "base/log.hpp"
#include "command_line.hpp"
#include "demo.hpp"
#include "doctor/doctor.hpp"
#include "health.hpp"
#include "proxy/server.hpp"
#include "running_settings.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>
#include <system_error>

namespace {

using namespace icapgate;

int print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? EX_IOERR : EX_OK;
}

int refuse(const std::vector<std::string>& problems) {
  std::string text = "icapgate: will not start:\n";
  for (const auto& p : problems) text += "  " + p + '\n';
  std::fputs(text.c_str(), stderr);
  return EX_CONFIG;
}

// sysexits: 69 an address is taken or not ours, 71 anything else that the system refuses.
int exit_status_for(const std::error_code& failure) {
  const bool address = failure == std::errc::address_in_use ||
                       failure == std::errc::address_not_available ||
                       failure == std::errc::permission_denied;
  return address ? EX_UNAVAILABLE : EX_OSERR;
}

int run(const command_line& line, settings all, access_log& access,
        proxy::service_manager manager) {
  try {
    const config as_given = all.values;
    running_settings current(line, std::move(all));
    proxy::server server(current.complete(), access,
                         {[&] { return current.read_again(); }, [&] { current.adopted(); }},
                         std::move(manager));
    std::fputs(banner(as_given, server.listen_addresses()).c_str(), stderr);
    return server.run();
  } catch (const std::system_error& e) {
    log::error("cannot start: ", std::string_view(e.what()));
    return exit_status_for(e.code());
  } catch (const std::runtime_error& e) {
    return refuse({e.what()});
  }
}

int serve(const command_line& line) {
  auto manager = proxy::service_manager::from_environment();
  settings all = read_settings(line);
  all.problems.insert(all.problems.end(), manager.problems().begin(), manager.problems().end());
  if (!all.problems.empty()) return refuse(all.problems);
  log::set_up(all.values.log_level);
  for (const auto& text : all.warnings) log::warn(text);
  for (const auto& text : manager.warnings()) log::warn(text);
  std::optional<access_log> access;
  try {
    access.emplace(all.values.access_log);
  } catch (const std::system_error& e) {
    return refuse({e.what()});
  }
  return run(line, std::move(all), *access, std::move(manager));
}

// With what a gateway would be given here: the environment, and the file that --config names.
int run_doctor(const command_line& line) {
  settings all = load_settings({line.flags, environment(), false});
  std::string why;
  if (all.problems.empty() && !read_credentials(all.values, why)) all.problems.push_back(why);
  std::vector<doctor::order> orders;
  const auto unclear = doctor::read_orders(line.doctor, all.values, orders);
  all.problems.insert(all.problems.end(), unclear.begin(), unclear.end());
  if (!all.problems.empty()) return refuse(all.problems);
  log::set_up("warn");
  const bool colours = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  const auto print = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  bool trusted = true;
  for (const auto& order : orders) {
    if (&order != &orders.front()) print("\n");
    doctor::report report(print, colours);
    trusted = doctor::examine(order, report) && trusted;
  }
  return trusted ? EX_OK : EX_UNAVAILABLE;
}

// One line, whatever comes of it: it ends up in what an orchestrator shows of its probes.
int run_health(const command_line& line) {
  const settings all = load_settings({line.flags, environment(), false});
  health found{false, "no valid settings: "};
  if (all.problems.empty())
    found = ask_for_health(all.values, line.ready);
  else
    found.why += all.problems.front();
  const int printed = print((found.good ? "healthy: " : "unhealthy: ") + found.why + '\n');
  return found.good && printed == EX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int dispatch(const command_line& line) {
  if (!line.complete) return refuse(line.problems);
  if (line.what == command::serve) return serve(line);
  if (!line.problems.empty()) return refuse(line.problems);
  switch (line.what) {
    case command::help:
      return print(line.topic.empty() ? help_text() : help_about(line.topic).value_or(""));
    case command::version:
      return print(version_text());
    case command::demo:
      log::set_up("warn");
      return run_demo(line.once);
    case command::doctor:
      return run_doctor(line);
    case command::health:
      return run_health(line);
    case command::serve:
      break;
  }
  return EX_SOFTWARE;
}

}  // namespace

int main(int argc, char** argv) {
  // A peer that is gone is an error of the write, not the end of the program.
  std::signal(SIGPIPE, SIG_IGN);
  // Likewise a file that may not grow (RLIMIT_FSIZE).
  std::signal(SIGXFSZ, SIG_IGN);
  // The first process of a container inherits what others leave behind there: a debugging shell's
  // children, say. It starts none itself, and nobody else would take up their ends.
  if (::getpid() == 1) std::signal(SIGCHLD, SIG_IGN);
  try {
    return dispatch(parse_command_line(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "icapgate: %s\n", e.what());
    return EX_SOFTWARE;
  }
}
