// The real c-icap, in all the forms that people run it in: previews, 204, 206, files that trickle,
// too few workers, an engine that came too late, and a restart.
#include "kit/gate.hpp"
#include "kit/http_client.hpp"
#include "kit/lab.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <atomic>
#include <thread>

using namespace e2e;

namespace {

const std::string& clean_body() {
  static const auto body = noise(3'000'000, 9);
  return body;
}

// nginx and a gateway in front of it.
struct real_stage {
  explicit real_stage(gate_settings settings) : icapgate(in_front(std::move(settings))) {
    origin.serve("small.txt", "nothing in it\n");
    origin.serve("clean.bin", clean_body());
    origin.serve("page.html", page);
    origin.serve("eicar.com", eicar());
    // The greater part of it comes before and behind what is found.
    origin.serve("late.bin", noise(3'000'000, 5) + eicar());
    origin.serve("early.bin", eicar() + noise(3'000'000, 6));
    origin.serve("image.png", "\x89PNG\r\n\x1a\n" + std::string(8, '\0') + eicar());
  }
  ~real_stage() { CHECK(icapgate.finish() == ""); }

  response get(const std::string& target) { return http_client(icapgate.port()).get(target); }
  bool says(const std::string& text) const {
    return icapgate.output().find(text) != std::string::npos;
  }
  // Until OPTIONS are known and a canary was found, where there is one scanner.
  void wait_for_canary() {
    wait_until("a canary that is found", [this] {
      const auto all = http_client(icapgate.admin_port()).get("/metrics").body;
      const auto at = all.find("\nicapgate_icap_canary_success{");
      return at != std::string::npos && all.substr(0, all.find('\n', at + 1)).ends_with(" 1");
    });
  }
  void wait_for_output(const std::string& text) {
    wait_until("\"" + text + "\" in the log", [&] { return says(text); });
  }

  const std::string page = "<html><body>" + std::string(5000, 'x') + "</body></html>\n";
  lab_origin origin;
  gate icapgate;

 private:
  gate_settings in_front(gate_settings settings) const {
    settings.origin = origin.port();
    return settings;
  }
};

void check_clean(real_stage& on) {
  CHECK(on.get("/small.txt").body == "nothing in it\n");
  const auto got = on.get("/clean.bin");
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(difference(got.body, clean_body()) == "");
  CHECK(on.get("/page.html").status == 200);
  CHECK(on.get("/missing").status == 404);
}

void check_blocked(const response& got) {
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body.size() < 10'000);
  CHECK(got.body.find(eicar()) == std::string::npos);
  CHECK_FALSE(has(got.fields(), "Set-Cookie"));
}

// Until the gateway uses the scanner's preview, which a canary shows to have been learned.
gate_settings with_canary(const lab_scanner& scanner, const std::string& service) {
  return {.scanners = {scanner.port()}, .service = service, .canary = "warn"};
}

}  // namespace

TEST_CASE("lab3: avscan finds EICAR wherever it stands, and clean files are whole") {
  const lab_scanner scanner;
  real_stage on(with_canary(scanner, "avscan"));
  on.wait_for_canary();
  check_clean(on);
  for (const auto target : {"/eicar.com", "/late.bin", "/early.bin", "/image.png"}) {
    INFO(target);
    check_blocked(on.get(target));
  }
  CHECK_FALSE(on.says("DOES NOT DETECT"));
  std::vector<double> statuses;
  for (const auto& line : on.icapgate.lines(8)) statuses.push_back(line.number("icap_status"));
  CHECK(statuses == std::vector<double>{204, 204, 204, 204, 200, 200, 200, 200});
}

TEST_CASE("lab3: virus_scan answers the preview of what it does not scan by 204 at any size") {
  const lab_scanner scanner;
  real_stage on(with_canary(scanner, "virus_scan"));
  const auto image = "\x89PNG\r\n\x1a\n" + std::string(8, '\0') + noise(3'000'000, 7);
  on.origin.serve("large.png", image);
  on.wait_for_canary();
  CHECK(difference(on.get("/large.png").body, image) == "");
  CHECK(difference(on.get("/large.png").body, image) == "");
  // Without a preview it would give the body back, in a 200.
  for (const auto& line : on.icapgate.lines(2)) CHECK(line.number("icap_status") == 204);
}

TEST_CASE("lab3: virus_scan lets large infected files trickle, and nothing of them is delivered") {
  const lab_scanner scanner;
  real_stage on(with_canary(scanner, "virus_scan"));
  check_clean(on);
  for (const auto target : {"/eicar.com", "/late.bin", "/early.bin"}) {
    INFO(target);
    check_blocked(on.get(target));
  }
}

TEST_CASE("lab3: virus_scan as packaged does not scan what begins like an image") {
  // Its ScanFileTypes leave PNG out: a 204 to the preview, and nobody can know. That is why the
  // profile names avscan, and why the doctor has a look at it.
  const lab_scanner scanner;
  real_stage on({.scanners = {scanner.port()}, .service = "virus_scan"});
  const auto got = on.get("/image.png");
  CHECK(got.status == 200);
  CHECK(got.body.ends_with(eicar()));
}

TEST_CASE("lab3: echo gives every body back, with 204 and with 200") {
  const lab_scanner scanner;
  real_stage on({.scanners = {scanner.port()}, .service = "echo"});
  for (int i = 0; i < 3; ++i) check_clean(on);
  const auto got = on.get("/eicar.com");
  CHECK(got.status == 200);
  CHECK(got.body == eicar());
}

TEST_CASE("lab3: a scanner that detects nothing is told of at the start") {
  const lab_scanner scanner;
  real_stage on(with_canary(scanner, "echo"));
  on.wait_for_output("DOES NOT DETECT");
}

TEST_CASE("lab3: ex206 changes a page by a 206, and it is whole") {
  const lab_scanner scanner;
  real_stage on({.scanners = {scanner.port()}, .service = "ex206"});
  http_client client(on.icapgate.port());
  // Its OPTIONS are asked for at the start; without them it gets no preview, and gives no 206.
  std::size_t asked = 0;
  response got;
  wait_until("a 206", [&] {
    got = client.get("/page.html");
    ++asked;
    return got.body != on.page;
  });
  CHECK(got.status == 200);
  CHECK(got.whole());
  CHECK(got.body.size() > on.page.size());
  CHECK(got.body.starts_with("<html>"));
  CHECK(got.body.ends_with(on.page.substr(6)));
  CHECK(on.icapgate.line(asked).number("icap_status") == 206);
  for (int i = 0; i < 3; ++i) {
    CHECK(client.get("/page.html").body == got.body);
    CHECK(difference(client.get("/clean.bin").body, clean_body()) == "");
  }
}

namespace {

// Connections that are served and kept alive: each holds one of c-icap's threads.
std::vector<connection> occupy(const lab_scanner& scanner, int threads) {
  std::vector<connection> out;
  for (int i = 0; i < threads; ++i) {
    out.push_back(connection::to(scanner.port()));
    out.back().write("OPTIONS icap://127.0.0.1:" + std::to_string(scanner.port()) +
                     "/avscan ICAP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    out.back().read_until("\r\n\r\n");
  }
  return out;
}

const std::map<std::string, std::string> impatience = {{setting::scanner_idle, "400ms"},
                                                       {setting::scanner_after_body, "400ms"}};

}  // namespace

TEST_CASE("lab3: a c-icap without a free worker takes connections and never answers: 503") {
  const lab_scanner scanner({.tiny = true});
  auto held = occupy(scanner, 2);
  real_stage on({.scanners = {scanner.port()}, .env = impatience});
  const auto got = on.get("/small.txt");
  check_refusal(got, on.icapgate.line());
  CHECK(on.icapgate.line().text("reason") == "icap_answer_timeout");
  held.clear();
  wait_until("it serves again", [&] { return on.get("/small.txt").status == 200; });
}

TEST_CASE("lab3: beside a c-icap without a free worker another one serves without an error") {
  const lab_scanner full({.tiny = true});
  const lab_scanner free;
  auto held = occupy(full, 2);
  real_stage on({.scanners = {full.port(), free.port()}, .env = impatience});
  for (int i = 0; i < 8; ++i) {
    CHECK(on.get("/small.txt").body == "nothing in it\n");
    check_blocked(on.get("/eicar.com"));
  }
}

TEST_CASE("lab3: a c-icap of two workers that closes after three requests costs no error") {
  const lab_scanner scanner({.tiny = true});
  real_stage on({.scanners = {scanner.port()}, .env = {{setting::scanner_connections, "1"}}});
  http_client client(on.icapgate.port());
  for (int i = 0; i < 20; ++i) {
    CHECK(client.get("/small.txt").status == 200);
    CHECK(client.get("/eicar.com").status == 403);
  }
}

TEST_CASE("lab3: clamd started after c-icap: the canary tells, and the files pass with warn") {
  lab_scanner scanner({.clamd_first = false});
  scanner.start_clamd();
  real_stage on(with_canary(scanner, "avscan"));
  on.wait_for_output("DOES NOT DETECT");
  CHECK(on.says("let the EICAR test file pass"));
  // That is what the warning is about.
  CHECK(on.get("/eicar.com").status == 200);
}

TEST_CASE("lab3: clamd started after c-icap: with enforce nothing is delivered until it detects") {
  lab_scanner scanner({.clamd_first = false});
  scanner.start_clamd();
  auto settings = with_canary(scanner, "avscan");
  settings.canary = "enforce";
  settings.env[setting::canary_interval] = "1s";
  real_stage on(settings);
  on.wait_for_output("DOES NOT DETECT");
  for (const auto target : {"/eicar.com", "/small.txt"}) CHECK(on.get(target).status == 503);
  scanner.stop_icap();
  scanner.start_icap();
  on.wait_for_output("detects again");
  CHECK(on.get("/small.txt").status == 200);
  check_blocked(on.get("/eicar.com"));
}

TEST_CASE("lab3: one of two c-icaps restarts under load, and no client sees an error") {
  constexpr int clients = 4;
  lab_scanner first;
  const lab_scanner second;
  real_stage on({.scanners = {first.port(), second.port()}, .workers = 2});
  std::atomic<bool> over = false;
  std::atomic<int> asked = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> load;
  for (int i = 0; i < clients; ++i) {
    load.emplace_back([&, i] {
      http_client client(on.icapgate.port());
      for (int n = i; !over || n < 100; ++n, ++asked) {
        const auto target = n % 3 == 0 ? "/eicar.com" : n % 3 == 1 ? "/small.txt" : "/clean.bin";
        const auto got = client.get(target);
        const bool right = n % 3 == 0   ? got.status == 403
                           : n % 3 == 1 ? got.body == "nothing in it\n"
                                        : got.body == clean_body();
        if (!right) ++wrong;
      }
    });
  }
  const auto more = [&](int requests) {
    const int before = asked;
    wait_until("more requests", [&] { return asked >= before + requests; });
  };
  more(50);
  first.stop_icap();
  more(100);
  first.start_icap();
  more(100);
  over = true;
  for (auto& each : load) each.join();
  CHECK(asked >= 250);
  CHECK(wrong == 0);
}
