// icapgate: an ICAP-scanning reverse proxy.
#include "banner.hpp"
#include "base/config.hpp"
#include "base/credentials.hpp"
#include "base/help.hpp"
#include "base/log.hpp"
#include "command_line.hpp"
#include "demo.hpp"
#include "doctor/doctor.hpp"
#include "embedded/scanner.hpp"
#include "health.hpp"
#include "icap/profile.hpp"
#include "proxy/server.hpp"
#include "proxy/tls.hpp"
#include "proxy/tls_server.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

std::vector<std::pair<std::string, std::string>> environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text(*variable);
    const auto equals = text.find('=');
    if (equals == text.npos) continue;
    out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

// sysexits: 69 an address is taken or not ours, 71 anything else that the system refuses.
int exit_status_for(const std::error_code& failure) {
  const bool address = failure == std::errc::address_in_use ||
                       failure == std::errc::address_not_available ||
                       failure == std::errc::permission_denied;
  return address ? EX_UNAVAILABLE : EX_OSERR;
}

// What serve() works with: the settings of all sources, complete, and checked as far as that is
// possible without running.
settings read_settings(const command_line& line);

// The settings of one process, from its start to its end.
class running_settings {
 public:
  running_settings(const command_line& line, settings first)
      : line_(line), now_(std::move(first)) {}

  // The embedded scanner is spoken to by ICAP like any other. There is one, however many routes
  // want it.
  config complete() { return complete(now_.values); }

  // All or nothing, with the reasons in the log.
  std::optional<config> read_again() {
    settings next = read_settings(line_);
    if (scanner_ && next.values.embedded_sha256 != now_.values.embedded_sha256)
      next.problems.emplace_back("embedded.sha256 can't be changed without a restart");
    for (const auto& text : next.problems) log::error("reload: ", text);
    if (!next.problems.empty()) return std::nullopt;
    for (const auto& text : next.warnings) log::warn("reload: ", text);
    next_ = std::move(next);
    return complete(next_->values);
  }

  // What was read last is in use: the server found nothing wrong with it either.
  void adopted() {
    for (const auto& text : differences(now_, *next_)) log::info("reload: ", text);
    log::set_level(next_->values.log_level);
    now_ = std::move(*next_);
  }

 private:
  config complete(config values) {
    for (auto& route : values.routes) {
      if (!route.scanners.embedded) continue;
      if (!scanner_) scanner_.emplace(values.embedded_sha256);
      route.scanners.servers.push_back({"icap", "127.0.0.1", scanner_->port(), "/avscan"});
    }
    return values;
  }

  const command_line& line_;
  settings now_;
  std::optional<settings> next_;  // read, and not in use yet
  std::optional<embedded::scanner> scanner_;
};

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

// Routes may have the same ones.
void add_once(std::vector<std::string>& problems, std::string text) {
  if (std::ranges::find(problems, text) == problems.end()) problems.push_back(std::move(text));
}

// A scanner's address may leave out the service where its vendor has a usual one.
void complete_scanners(config& values, std::vector<std::string>& problems) {
  const auto* vendor = icap::find_profile(values.vendor);
  const auto complete = [&](std::vector<url>& list) {
    for (auto& one : list)
      if (vendor && !icap::complete_path(*vendor, one.path))
        add_once(problems, one.to_string() + ": names no service, and vendor \"" + values.vendor +
                               "\" has no usual one; a scanner is icap://HOST[:PORT]/SERVICE, such "
                               "as icap://scanner:1344/avscan (or name its vendor)");
  };
  for (auto& route : values.routes) {
    complete(route.scanners.servers);
    complete(route.scanners.standby);
  }
}

// What the settings name and only OpenSSL or the file can tell about.
void check_secrets(config& values, std::vector<std::string>& problems) {
  std::string why;
  if (!read_credentials(values, why)) problems.push_back(why);
  for (const auto& [one, standby] : distinct_scanners(values.routes))
    if (one.secured() && !proxy::tls_client::make(values.scanner_tls, one.host, why))
      problems.push_back(one.to_string() + ": " + why);
}

void check_tls(const config& values, std::vector<std::string>& problems) {
  std::string why;
  const auto check = [&](const url& origin) {
    if (origin.secured() && !proxy::tls_client::make(values.origin_tls, origin.host, why))
      problems.push_back(origin.to_string() + ": " + why);
  };
  for (const auto& origin : values.origins) check(origin);
  for (const auto& route : values.routes)
    for (const auto& origin : route.origins) check(origin);
  for (const auto& l : values.listeners)
    if (l.tls.wanted() && !proxy::tls_server::make(l.tls, why))
      problems.push_back("TLS for clients of " + l.name + ": " + why);
}

settings read_settings(const command_line& line) {
  settings all = load_settings({line.flags, environment()});
  all.problems.insert(all.problems.begin(), line.problems.begin(), line.problems.end());
  if (all.problems.empty()) complete_scanners(all.values, all.problems);
  if (all.problems.empty()) check_secrets(all.values, all.problems);
  if (all.problems.empty()) check_tls(all.values, all.problems);
  return all;
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
