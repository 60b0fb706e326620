// What a body costs: a bounded amount of memory, and a file that has no name.
//
// A sanitizer's own memory counts here, too: with one only what a body adds is looked at. The plays
// tagged "large" are of real sizes and measure the whole process. They are run by name, on a
// release:
//   ICAPGATE_BINARY=build/release/icapgate build/dev/tests/e2e/e2e_tests "[large]"
#include "kit/held_scans.hpp"
#include "kit/lab.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <sstream>

using namespace e2e;

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::size_t large = 64;    // MiB
constexpr std::size_t huge = 1024;   // MiB
constexpr std::size_t allowed = 16;  // MiB that a play may add
constexpr std::size_t ceiling = 64;  // MiB of a release, for one body of any size

const std::string& block() {
  static const auto bytes = noise(mebibyte);
  return bytes;
}

// The most memory the process ever had, in MiB.
std::size_t peak_memory(pid_t id) {
  std::istringstream in(file_text("/proc/" + std::to_string(id) + "/status"));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) / 1024;
  }
  throw std::runtime_error("no VmHWM");
}

// A sanitizer keeps freed memory for a while by default: not what is measured here.
gate_settings thrifty(gate_settings settings) {
  settings.env.emplace("ASAN_OPTIONS", "quarantine_size_mb=1");
  return settings;
}

// A stage whose gateway has done its first transaction: what is added now is a body's.
struct measured : stage {
  explicit measured(gate_settings settings = {}) : stage(thrifty(std::move(settings))) {
    origin.when("/small", {.body = block()});
    CHECK(client().get("/small").status == 200);
    before = peak();
  }

  std::size_t peak() { return peak_memory(icapgate.id()); }
  void check_growth(std::size_t most = allowed) { CHECK(peak() < before + most); }
  void check_ceiling(std::size_t most = ceiling) {
    WARN("peak " << peak() << " MiB, " << before << " MiB before");
    CHECK(peak() < most);
  }

  std::size_t before = 0;
};

// Bodies of a GiB are scanned.
gate_settings unlimited() {
  return {.config = "[policy]\nmax_scan_size = \"2GiB\"\n"};
}

// Serves `size` MiB under that target, never as one piece; `pause` is called in their middle.
void serve(stage& on, const std::string& target, std::size_t size,
           const std::function<void(connection&)>& pause = {}) {
  on.origin.when(target, [=](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size * mebibyte) + "\r\n\r\n");
    for (std::size_t i = 0; i < size; ++i) {
      if (i == size / 2 && pause) {
        pause(to);
      } else {
        to.write(block());
      }
    }
  });
}

// One MiB of a body, at 10 KB a second for a while.
void write_slowly(connection& to) {
  std::string_view rest = block();
  for (int step = 0; step < 20; ++step) {
    to.write(rest.substr(0, 1000));
    rest.remove_prefix(1000);
    std::this_thread::sleep_for(100ms);
  }
  to.write(rest);
}

std::string read_slowly(connection& from) {
  std::string out;
  for (int step = 0; step < 20; ++step) {
    out += from.read_exact(1000);
    std::this_thread::sleep_for(100ms);
  }
  return out + from.read_exact(mebibyte - out.size());
}

// Reads a body of `size` MiB, the first one as `first` does; what was wrong with it, or "".
std::string check_body(connection& from, std::size_t size,
                       std::string (*first)(connection&) = nullptr) {
  for (std::size_t i = 0; i < size; ++i) {
    const auto got = i == 0 && first ? first(from) : from.read_exact(mebibyte);
    const auto wrong = difference(got, block());
    if (!wrong.empty()) return "in block " + std::to_string(i) + ": " + wrong;
  }
  return {};
}

void check_fetch(stage& on, const std::string& target, std::size_t size,
                 std::string (*first)(connection&) = nullptr) {
  auto client = on.client();
  client.send("GET", target);
  // A scanner may think about a large body for longer than a play waits as a rule.
  CHECK_FALSE(client.wire().is_quiet(5min));
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
  CHECK(check_body(client.wire(), size, first) == "");
}

// --- the plays, of any size

void play_slow_client(measured& on, std::size_t size) {
  serve(on, "/large", size);
  check_fetch(on, "/large", size, read_slowly);
}

void play_slow_origin(measured& on, std::size_t size) {
  serve(on, "/large", size, write_slowly);
  check_fetch(on, "/large", size);
}

// It takes a beginning of the body, then nothing for a while.
void play_stalling_scanner(measured& on, std::size_t size) {
  serve(on, "/large", size);
  on.scanner.play([](exchange& with) {
    with.next();
    std::this_thread::sleep_for(2s);
    with.body();
    with.answer(no_modification());
  });
  check_fetch(on, "/large", size);
}

// So many bodies of 10 MB, all of them at the scanner before one is delivered.
void play_many(measured& on, int count) {
  constexpr std::size_t size = 10;
  std::atomic<int> scanned = 0;
  happening all;
  serve(on, "/large", size);
  on.scanner.play([&](exchange& with) {
    with.body();
    if (++scanned == count) all.tell();
    all.wait(5min);
    with.answer(no_modification());
  });
  std::vector<http_client> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(on.client());
    clients.back().send("GET", "/large");
  }
  CHECK_FALSE(clients.front().wire().is_quiet(5min));
  for (auto& client : clients) {
    CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
    CHECK(check_body(client.wire(), size) == "");
  }
}

}  // namespace

TEST_CASE("memory: a clean body of 64 MiB costs no more than the limit") {
  measured on;
  serve(on, "/large", large);
  check_fetch(on, "/large", large);
  on.check_growth();
}

TEST_CASE("memory: a scanner that answers at once does not make the body pile up") {
  happening over;
  measured on;
  serve(on, "/large", large);
  on.scanner.play([&](exchange& with) {
    with.answer(no_modification());
    over.wait();
  });
  check_fetch(on, "/large", large);
  over.tell();
  on.check_growth();
}

TEST_CASE("memory: an adapted body of 64 MiB costs no more than the limit") {
  measured on;
  on.scanner.play([](exchange& with) {
    with.body();
    const auto head =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large * mebibyte) + "\r\n\r\n";
    with.answer("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=" +
                std::to_string(head.size()) + "\r\n\r\n" + head);
    const auto piece = chunked(block(), {.size = mebibyte});
    for (std::size_t i = 0; i < large; ++i) {
      with.answer(std::string_view(piece).substr(0, piece.size() - 5));
    }
    with.answer("0\r\n\r\n");
  });
  check_fetch(on, "/small", large);
  on.check_growth();
}

TEST_CASE("memory: an upload of 64 MiB costs no more than the limit") {
  measured on;
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  client.send("POST", "/up", {{"Content-Length", std::to_string(large * mebibyte)}});
  for (std::size_t i = 0; i < large; ++i) client.wire().write(block());
  CHECK(client.receive().body == "thanks");
  CHECK(on.origin.request("/up").body.size() == large * mebibyte);
  on.check_growth();
}

TEST_CASE("memory: a client that reads slowly costs no more than a quick one") {
  measured on;
  play_slow_client(on, large);
  on.check_growth();
}

TEST_CASE("memory: an origin that sends slowly costs no more than a quick one") {
  measured on;
  play_slow_origin(on, large);
  on.check_growth();
}

TEST_CASE("memory: a scanner that stalls costs no more than a quick one") {
  measured on;
  play_stalling_scanner(on, large);
  on.check_growth();
}

TEST_CASE("memory: bodies at once cost what the spool may have, and little more") {
  measured on({.config = "[policy.spool]\ntotal_memory = \"4MiB\"\n"});
  play_many(on, 8);
  on.check_growth(4 + allowed);
}

TEST_CASE("memory: a spooled body has no name in its folder") {
  const temporary_folder folder;
  stage on({.env = {{setting::spool_dir, folder.path()}}});
  on.origin.when("/a", {.body = noise(5 * mebibyte)});
  held_scans held(on.scanner);
  auto client = on.client();
  client.send("GET", "/a");
  held.wait_for_one();
  CHECK(std::filesystem::is_empty(folder.path()));
  held.decide();
  CHECK(difference(client.receive().body, noise(5 * mebibyte)) == "");
  CHECK(std::filesystem::is_empty(folder.path()));
}

// --- real sizes

TEST_CASE("memory: a clean GiB through c-icap is the origin's, byte for byte", "[.][large]") {
  const lab_scanner scanner;
  auto settings = unlimited();
  settings.scanners = {scanner.port()};
  measured on(settings);
  serve(on, "/huge", huge);
  check_fetch(on, "/huge", huge);
  CHECK(on.icapgate.line(2).text("verdict") == "clean");
  on.check_ceiling();
}

TEST_CASE("memory: 64 bodies of 10 MB at once", "[.][large]") {
  measured on({.workers = 2});
  play_many(on, 64);
  on.check_ceiling(96);
}

TEST_CASE("memory: a GiB for a client that reads slowly", "[.][large]") {
  measured on(unlimited());
  play_slow_client(on, huge);
  on.check_ceiling();
}

TEST_CASE("memory: a GiB of an origin that sends slowly", "[.][large]") {
  measured on(unlimited());
  play_slow_origin(on, huge);
  on.check_ceiling();
}

TEST_CASE("memory: a GiB for a scanner that stalls", "[.][large]") {
  measured on(unlimited());
  play_stalling_scanner(on, huge);
  on.check_ceiling();
}
