// What the person who runs it has to do with: start, end, health, numbers, log.
#include "kit/held_scans.hpp"
#include "kit/lab.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <regex>
#include <set>
#include <sstream>

using namespace e2e;

namespace {

// Samples by their full name, labels included. Throws where a line is none of the text format.
std::map<std::string, double> samples(const std::string& text) {
  static const std::regex sample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})?) ([-+0-9.eE]+|NaN|[-+]?Inf)( [0-9]+)?)");
  std::map<std::string, double> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::smatch match;
    if (!std::regex_match(line, match, sample)) throw std::runtime_error("no sample: " + line);
    out[match[1]] = std::stod(match[3]);
  }
  return out;
}

// The sum over all samples whose name holds `part`.
double total(const std::map<std::string, double>& all, const std::string& part) {
  double sum = 0;
  for (const auto& [name, number] : all) {
    if (name.find(part) != std::string::npos) sum += number;
  }
  return sum;
}

}  // namespace

TEST_CASE("ops: SIGTERM lets a running transfer finish and then ends with status 0") {
  stage on;
  on.origin.when("/a", {.body = noise(3'000'000)});
  held_scans held(on.scanner);
  auto client = on.client();
  auto idle = on.client();
  client.send("GET", "/a");
  held.wait_for_one();
  on.icapgate.terminate();
  wait_until("new connections are refused", [&] { return !can_connect(on.icapgate.port()); });
  CHECK(idle.ended());
  held.decide();
  const auto got = client.receive();
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, noise(3'000'000)) == "");
  CHECK(client.ended());
  CHECK(on.icapgate.wait() == 0);
  CHECK(on.icapgate.lines(1).size() == 1);
}

TEST_CASE("ops: SIGTERM finishes an upload that goes on") {
  stage on;
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  client.send("POST", "/up", {{"Content-Length", "10"}}, "first");
  client.wire().wait_taken();
  on.icapgate.terminate();
  wait_until("new connections are refused", [&] { return !can_connect(on.icapgate.port()); });
  client.wire().write("other");
  CHECK(client.receive().body == "thanks");
  CHECK(on.origin.request("/up").body == "firstother");
  CHECK(on.icapgate.wait() == 0);
}

TEST_CASE("ops: SIGTERM does not wait for idle clients") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  auto used = on.client();
  auto fresh = on.client();
  CHECK(used.get("/a").body == "a body");
  on.icapgate.terminate();
  CHECK(used.ended());
  CHECK(fresh.ended());
  CHECK(on.icapgate.wait() == 0);
}

TEST_CASE("ops: a transfer beyond the drain limit is cut and the end still comes") {
  happening scanned;
  stage on({.env = {{setting::drain, "300ms"}}});
  on.origin.when("/a", {.body = "a body"});
  on.scanner.play([&](exchange& with) {
    with.body();
    scanned.tell();
    with.wire().read_to_end();
  });
  auto client = on.client();
  client.send("GET", "/a");
  scanned.wait();
  on.icapgate.terminate();
  CHECK(on.icapgate.wait() == 0);
  const auto rest = [&] {
    try {
      return client.wire().read_to_end();
    } catch (const was_reset&) {
      return std::string();
    }
  }();
  CHECK(rest.find("HTTP/1.1 200") == std::string::npos);
  CHECK(rest.find("a body") == std::string::npos);
  CHECK(on.icapgate.lines(1).size() == 1);
}

TEST_CASE("ops: the admin listener says that it lives and is ready") {
  stage on;
  CHECK(admin(on, "/livez").status == 200);
  CHECK(admin(on, "/readyz").status == 200);
  CHECK(admin(on, "/nothing-here").status == 404);
}

TEST_CASE("ops: the metrics are Prometheus text and count what happened") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  const auto before = admin(on, "/metrics");
  CHECK(before.status == 200);
  CHECK(value(before.fields(), "Content-Type").starts_with("text/plain"));
  on.get("/a");
  on.get("/a");
  on.scanner.always(block_page());
  on.get("/a");
  on.icapgate.lines(3);
  const auto text = admin(on, "/metrics").body;
  INFO(text);
  const auto first = samples(before.body);
  const auto second = samples(text);
  CHECK(total(second, "icapgate_transactions_total") ==
        total(first, "icapgate_transactions_total") + 3);
  CHECK(total(second, "icapgate_scans_total") == total(first, "icapgate_scans_total") + 3);
  for (const auto& [name, number] : first) {
    INFO(name);
    CHECK(name.find("icapgate_") == 0);
    CHECK(second.contains(name));
  }
}

TEST_CASE("ops: a client's transaction leaves one complete access line") {
  stage on;
  on.origin.when("/a?b=c", {.body = noise(1000)});
  const auto got = on.client().request("POST", "/a?b=c",
                                       {{"Content-Length", "5"}, {"Cookie", "secret=1"}}, "hello");
  CHECK(got.status == 200);
  const auto line = on.icapgate.line();
  CHECK(std::regex_search(line.text("ts"), std::regex(R"(^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)")));
  CHECK(line.text("request_id") != "");
  CHECK(line.text("client").find("127.0.0.1") != std::string::npos);
  CHECK(line.text("method") == "POST");
  CHECK(line.text("target").starts_with("/a"));
  CHECK(line.number("status") == 200);
  CHECK(line.number("bytes_in") >= 5);
  CHECK(line.number("bytes_out") >= 1000);
  CHECK(line.text("verdict") == "clean");
  CHECK(line.text("reason") == "complete");
  CHECK(line.number("icap_status") == 204);
  CHECK(line.text("scanner").find(std::to_string(on.scanner.port())) != std::string::npos);
  CHECK(line.number("origin_ms") >= 0);
  CHECK(line.number("scan_ms") >= 0);
  CHECK(line.number("total_ms") >= line.number("scan_ms"));
  CHECK_FALSE(line.flag("fallback"));
}

TEST_CASE("ops: every request has its own line and its own id") {
  stage on;
  on.origin.when("/a", {.body = "a body"});
  auto client = on.client();
  for (int i = 0; i < 20; ++i) client.get("/a");
  std::set<std::string> ids;
  for (const auto& line : on.icapgate.lines(20)) ids.insert(line.text("request_id"));
  CHECK(ids.size() == 20);
}

TEST_CASE("ops: a hostile target cannot forge a line of the log") {
  stage on;
  const std::string target = "/a\"},{\"status\":200,\\n%0d%0a\x7f";
  auto client = on.client();
  client.wire().write("GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  CHECK(client.receive().status >= 400);
  CHECK(on.icapgate.lines(1).size() == 1);
}

TEST_CASE("ops: a request that is no HTTP gets 400 and the end") {
  stage on;
  for (const std::string text :
       {"nonsense\r\n\r\n", "GET /a HTTP/1.1\r\nno field\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    INFO(text);
    auto client = on.client();
    client.wire().write(text);
    CHECK(client.receive().status == 400);
    CHECK(client.ended());
  }
  CHECK(on.origin.requests().empty());
}

TEST_CASE("ops: a head without end is refused and does not grow") {
  stage on({.env = {{setting::client_head, "500ms"}}});
  auto large = on.client();
  const std::string field = "X-Filler: " + std::string(1000, 'x') + "\r\n";
  try {
    large.wire().write("GET /a HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 500; ++i) large.wire().write(field);
  } catch (const was_reset&) {
  }
  try {
    CHECK(large.receive().status == 431);
  } catch (const peer_gone&) {
  }
  auto slow = on.client();
  slow.wire().write("GET /a HTTP/1.1\r\nHost: a\r\n");
  try {
    CHECK(slow.receive().status == 408);
  } catch (const peer_gone&) {
  }
  CHECK(on.origin.requests().empty());
}

namespace {

struct mistake {
  std::vector<std::string> arguments;
  std::map<std::string, std::string> env;
  std::string named;  // what the message must point at
};

const std::vector<std::string> good = {"--listen", "127.0.0.1:0",
                                       "--origin", "http://127.0.0.1:1",
                                       "--icap",   "icap://127.0.0.1:1/avscan"};

std::vector<std::string> good_and(const std::vector<std::string>& more) {
  auto out = good;
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

}  // namespace

TEST_CASE("ops: a mistake in the settings ends with status 78 and names its place") {
  const temporary_folder folder;
  const auto file = [&](const std::string& name, const std::string& text) {
    write_file(folder.path() / name, text);
    return (folder.path() / name).string();
  };
  const auto unknown = file("unknown.toml", "[policy]\nno_such_key = true\n");
  const auto wrong = file("wrong.toml", "workers = \"many\"\n");
  const auto broken = file("broken.toml", "[policy\n");
  const std::vector<mistake> mistakes = {
      {{"--icap", "icap://127.0.0.1/avscan"}, {}, "--origin"},
      {{"--origin", "http://127.0.0.1"}, {}, "--icap"},
      {good_and({"--no-such-flag"}), {}, "--no-such-flag"},
      {good_and({"--avoid-port", "0"}), {}, "--avoid-port"},
      {good_and({"--avoid-port", "70000"}), {}, "--avoid-port"},
      {good_and({"--workers", "many"}), {}, "--workers"},
      {good_and({"--admin", "nowhere"}), {}, "--admin"},
      {good_and({"--log-level", "loud"}), {}, "--log-level"},
      {good_and({"--config", "/no/such/file.toml"}), {}, "/no/such/file.toml"},
      {good_and({"--config", unknown}), {}, "no_such_key"},
      {good_and({"--config", unknown}), {}, unknown},
      {good_and({"--config", wrong}), {}, wrong},
      {good_and({"--config", broken}), {}, broken},
      {{"--origin", "ftp://127.0.0.1", "--icap", "icap://127.0.0.1/avscan"}, {}, "--origin"},
      {{"--origin", "http://127.0.0.1", "--icap", "http://127.0.0.1/avscan"}, {}, "--icap"},
      {{"--origin", "http://127.0.0.1:99999", "--icap", "icap://a/b"}, {}, "--origin"},
      {good_and({"--listen", "127.0.0.1:99999"}), {}, "--listen"},
      {{}, {{"ICAPGATE_ORIGIN", "nonsense"}, {"ICAPGATE_ICAP", "icap://a/b"}}, "ICAPGATE_ORIGIN"},
      {good, {{"ICAPGATE_NO_SUCH_KEY", "1"}}, "ICAPGATE_NO_SUCH_KEY"},
      {good, {{"ICAPGATE_DEBUG_FALLBACK", "perhaps"}}, "ICAPGATE_DEBUG_FALLBACK"},
  };
  for (const auto& [arguments, env, named] : mistakes) {
    INFO(named);
    const auto [status, output] = run_icapgate(arguments, env);
    INFO(output);
    CHECK(status == 78);
    CHECK(output.find(named) != std::string::npos);
  }
}

TEST_CASE("ops: an address that is taken refuses to start and is named") {
  const listener taken;
  const auto address = "127.0.0.1:" + std::to_string(taken.port());
  const auto [status, output] = run_icapgate({"--listen", address, "--origin", "http://127.0.0.1:1",
                                              "--icap", "icap://127.0.0.1:1/avscan"});
  CHECK(status != 0);
  CHECK(output.find(address) != std::string::npos);
}

TEST_CASE("ops: help and version are printed and end well") {
  const auto help = run_icapgate({"--help"});
  CHECK(help.status == 0);
  for (const auto flag : {"--listen", "--origin", "--icap", "--avoid-port", "--debug-fallback",
                          "--workers", "--admin", "--config", "--access-log", "--log-level"}) {
    INFO(flag);
    CHECK(help.output.find(flag) != std::string::npos);
  }
  const auto version = run_icapgate({"--version"});
  CHECK(version.status == 0);
  CHECK(std::regex_search(version.output, std::regex(R"(\d+\.\d+\.\d+)")));
}

TEST_CASE("ops: the start says what is protected and by which scanner") {
  stage on;
  const auto output = on.icapgate.output();
  CHECK(output.find("127.0.0.1:" + std::to_string(on.origin.port())) != std::string::npos);
  CHECK(output.find("127.0.0.1:" + std::to_string(on.scanner.port())) != std::string::npos);
  CHECK(output.find("curl ") != std::string::npos);
}

TEST_CASE("ops: flags beat the environment and that beats the file") {
  const temporary_folder folder;
  const reserved_port nobody;
  const auto dead = "http://127.0.0.1:" + std::to_string(nobody.number());
  write_file(folder.path() / "settings.toml", "[policy]\ndebug_fallback = true\n");
  gate_settings settings;
  settings.scanners = {nobody.number()};
  settings.more = {"--config", folder.path() / "settings.toml"};
  settings.env = {{"ICAPGATE_ORIGIN", dead}};
  {
    stage on(settings);
    on.origin.when("/a", {.body = "a body"});
    CHECK(on.get("/a").body == "a body");
  }
  settings.env["ICAPGATE_DEBUG_FALLBACK"] = "false";
  stage on(settings);
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 503);
}

TEST_CASE("ops: the embedded scanner finds EICAR and says what it is not") {
  origin_peer origin;
  origin.when("/eicar.com", {.fields = {{"ETag", "\"1\""}}, .body = eicar()});
  origin.when("/late", {.body = noise(500'000) + eicar(), .form = framing::chunked});
  origin.when("/clean", {.fields = {{"ETag", "\"2\""}}, .body = noise(3'000'000)});
  gate icapgate({.origin = origin.port(), .more = {"--icap", "embedded:"}});
  CHECK(lower(icapgate.output()).find("not an antivirus") != std::string::npos);
  http_client client(icapgate.port());
  for (const auto target : {"/eicar.com", "/late"}) {
    const auto got = client.get(target);
    CHECK(got.status == 403);
    CHECK_FALSE(has(got.fields(), "ETag"));
    CHECK(got.body.find(eicar()) == std::string::npos);
  }
  const auto clean = client.get("/clean");
  CHECK(clean.status == 200);
  CHECK(value(clean.fields(), "ETag") == "\"2\"");
  CHECK(difference(clean.body, noise(3'000'000)) == "");
  CHECK(icapgate.finish() == "");
}

TEST_CASE("ops: the demo plays itself and agrees with what it expects") {
  const auto [status, output] = run_icapgate({"demo", "--once"});
  INFO(output);
  CHECK(status == 0);
}
