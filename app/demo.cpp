#include "demo.hpp"

#include "base/config.hpp"
#include "base/log.hpp"
#include "demo_client.hpp"
#include "embedded/detector.hpp"
#include "embedded/origin.hpp"
#include "embedded/scanner.hpp"
#include "proxy/server.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace icapgate {

namespace {

constexpr std::uint64_t large_once = 20'000'000;
constexpr std::uint64_t large_to_try = 200'000'000;
constexpr std::uint16_t preferred_port = 8080;

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

// Colours only for a person at a terminal who did not forbid them (NO_COLOR).
std::string painted(std::string_view text, const char* colour) {
  static const bool terminal = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  if (!terminal) return std::string(text);
  return std::string("\x1b[").append(colour).append("m").append(text).append("\x1b[0m");
}
std::string bold(std::string_view text) {
  return painted(text, "1");
}
std::string green(std::string_view text) {
  return painted(text, "32");
}
std::string red(std::string_view text) {
  return painted(text, "1;31");
}

std::string padded(std::string_view text, std::size_t width) {
  std::string cell(text);
  cell.resize(std::max(width, cell.size()), ' ');
  return cell;
}

config settings_for(std::uint16_t origin_port, std::uint16_t scanner_port) {
  config settings;
  settings.listeners.front().address = {"127.0.0.1", 0};
  auto& route = settings.routes.emplace_back();
  route.name = "demo";
  route.origins = {{"http", "127.0.0.1", origin_port, "", ""}};
  route.scanners.servers = {{"icap", "127.0.0.1", scanner_port, "/scan"}};
  settings.workers = 1;
  settings.drain_timeout = std::chrono::seconds(2);
  settings.access_log = "off";
  return settings;
}

// A gateway in a thread of its own.
class gateway {
 public:
  explicit gateway(config settings)
      : settings_(std::move(settings)),
        log_(settings_.access_log),
        server_(settings_, log_),
        thread_([this] { server_.run(); }) {}

  ~gateway() {
    server_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return server_.listen_addresses().front().port; }

 private:
  const config settings_;
  access_log log_;
  proxy::server server_;
  std::thread thread_;
};

struct outcome {
  std::string_view what;
  std::string_view expected;
  std::string came;
  bool agrees;
};

std::string told(const fetched& response) {
  if (response.status == 0) return "no response: " + response.error;
  std::string text = std::to_string(response.status);
  if (!response.error.empty()) return text + ", broken off: " + response.error;
  return text + ", " + std::to_string(response.bytes) + " bytes";
}

outcome expect_same(std::string_view what, const fetched& response, const fetched& original) {
  const bool whole = response.error.empty() && original.error.empty();
  const bool same = whole && original.status == 200 && response.sha256 == original.sha256;
  std::string came = told(response);
  if (whole) came += (same ? ", sha256 " : ", other sha256 ") + response.sha256.substr(0, 12);
  return {what, "200, the origin's sha256", came, same && response.status == 200};
}

outcome expect_page(std::string_view what, const fetched& response) {
  const bool named = response.beginning.find("EICAR-Test-String") != std::string::npos;
  const bool leaked = response.beginning.find(eicar_text()) != std::string::npos;
  std::string came = told(response);
  if (named) came += ", names EICAR-Test-String";
  if (leaked) came += ", the file itself";
  const bool agrees = response.error.empty() && response.status == 403 && named && !leaked;
  return {what, "403, the scanner's page", came, agrees};
}

outcome expect_unavailable(std::string_view what, const fetched& response) {
  return {what, "503", told(response), response.error.empty() && response.status == 503};
}

std::vector<outcome> play_all() {
  embedded::origin origin(large_once);
  embedded::scanner scanner({});
  const config plain = settings_for(origin.port(), scanner.port());
  config with_fallback = plain;
  with_fallback.routes.front().base.on_error = remedy::pass;
  config avoiding = plain;
  avoiding.avoid_ports = {origin.port()};
  const gateway scanning(plain);
  const gateway falling_back(with_fallback);
  const gateway not_scanning(avoiding);

  const fetched clean = fetch(origin.port(), "/clean.txt");
  const fetched eicar = fetch(origin.port(), "/eicar.com");
  const fetched large = fetch(origin.port(), "/large.bin");

  std::vector<outcome> outcomes;
  outcomes.push_back(expect_same("clean file", fetch(scanning.port(), "/clean.txt"), clean));
  outcomes.push_back(expect_page("EICAR", fetch(scanning.port(), "/eicar.com")));
  outcomes.push_back(expect_same("large clean file", fetch(scanning.port(), "/large.bin"), large));
  outcomes.push_back(expect_same("EICAR, origin's port is avoided",
                                 fetch(not_scanning.port(), "/eicar.com"), eicar));
  scanner.stop();
  outcomes.push_back(
      expect_unavailable("clean file, scanner stopped", fetch(scanning.port(), "/clean.txt")));
  outcomes.push_back(expect_same("clean file, scanner stopped, fallback",
                                 fetch(falling_back.port(), "/clean.txt"), clean));
  return outcomes;
}

std::string table(const std::vector<outcome>& outcomes) {
  std::size_t what = 0;
  std::size_t expected = 0;
  for (const outcome& row : outcomes) {
    what = std::max(what, row.what.size());
    expected = std::max(expected, row.expected.size());
  }
  std::string text =
      bold("        " + padded("response", what) + "  " + padded("expected", expected) + "  came") +
      "\n";
  for (const outcome& row : outcomes) {
    text += "  " + (row.agrees ? green("ok  ") : red("FAIL")) + "  " + padded(row.what, what) +
            "  " + padded(row.expected, expected) + "  " + row.came + "\n";
  }
  return text;
}

int run_once() {
  print(bold("icapgate demo --once") +
        ": gateways, an origin and a test scanner (no antivirus), all on loopback\n\n");
  const std::vector<outcome> outcomes = play_all();
  const auto agreed =
      std::count_if(outcomes.begin(), outcomes.end(), [](const outcome& o) { return o.agrees; });
  const bool all = static_cast<std::size_t>(agreed) == outcomes.size();
  const std::string summary =
      std::to_string(agreed) + " of " + std::to_string(outcomes.size()) + " as expected.";
  print(table(outcomes) + "\n" + (all ? green(summary) : red(summary)) + "\n");
  return all ? 0 : 1;
}

// On the well-known port, or on any free one where that is taken.
std::unique_ptr<proxy::server> open_gateway(config settings, access_log& log) {
  try {
    settings.listeners.front().address.port = preferred_port;
    return std::make_unique<proxy::server>(settings, log);
  } catch (const std::system_error&) {
    settings.listeners.front().address.port = 0;
    return std::make_unique<proxy::server>(settings, log);
  }
}

std::string suggestion(std::string_view what, std::string_view command, std::string_view expect) {
  return "  " + padded(what, 18) + bold(command) + "\n" + std::string(20, ' ') +
         std::string(expect) + "\n";
}

std::string welcome(const std::string& gateway, const std::string& origin,
                    const std::string& scanner) {
  const std::string curl = "curl -i " + gateway;
  return bold("icapgate demo") +
         ": a gateway, an origin and a scanner in one process, on loopback\n\n" + "  gateway  " +
         gateway + "\n  origin   " + origin + "\n  scanner  " + scanner + "  " +
         red("a test scanner, not an antivirus") + "\n\nTry in another terminal:\n\n" +
         suggestion("a clean file", curl + "/clean.txt", "200: the origin's response, as it is") +
         suggestion("EICAR", curl + "/eicar.com", "403: the scanner's page in its place") +
         suggestion("a large file", "curl -o /dev/null " + gateway + "/large.bin",
                    "200: 200 MB, held back until the scanner has seen the last byte") +
         suggestion("past the gateway", "curl -i " + origin + "/eicar.com",
                    "200: what the gateway kept from you (harmless, made for tests)") +
         "\nCtrl-C ends the demo. One line of access log for each request follows.\n\n";
}

int run_until_stopped() {
  embedded::origin origin(large_to_try);
  embedded::scanner scanner({});
  config settings = settings_for(origin.port(), scanner.port());
  settings.access_log = "-";
  access_log log(settings.access_log);
  const auto server = open_gateway(settings, log);
  const auto local = [](std::string_view scheme, std::uint16_t port) {
    return std::string(scheme) + "://127.0.0.1:" + std::to_string(port);
  };
  print(welcome(local("http", server->listen_addresses().front().port),
                local("http", origin.port()), local("icap", scanner.port()) + "/scan"));
  const int status = server->run();
  log.flush();
  print("\nThe demo is over.\n");
  return status;
}

}  // namespace

int run_demo(bool once) {
  return once ? run_once() : run_until_stopped();
}

}  // namespace icapgate
