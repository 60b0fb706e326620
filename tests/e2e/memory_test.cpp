// What a body costs: a bounded amount of memory, and a file that has no name.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <sstream>

using namespace e2e;

namespace {

constexpr std::size_t mebibyte = 1 << 20;
constexpr std::size_t large = 64;  // MiB

const std::string& block() {
  static const auto bytes = noise(mebibyte);
  return bytes;
}

// Serves `large` MiB under that target, never as one piece.
void serve_large(stage& on, const std::string& target) {
  on.origin.when(target, [](connection& to, const origin_request&) {
    to.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large * mebibyte) + "\r\n\r\n");
    for (std::size_t i = 0; i < large; ++i) to.write(block());
  });
}

// Reads a body of `large` MiB; what was wrong with it, or "".
std::string check_large(connection& from) {
  for (std::size_t i = 0; i < large; ++i) {
    const auto wrong = difference(from.read_exact(mebibyte), block());
    if (!wrong.empty()) return "in block " + std::to_string(i) + ": " + wrong;
  }
  return {};
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
gate_settings thrifty() {
  return {.env = {{"ASAN_OPTIONS", "quarantine_size_mb=1"}}};
}

}  // namespace

TEST_CASE("memory: a clean body of 64 MiB costs no more than the limit") {
  stage on(thrifty());
  on.origin.when("/small", {.body = block()});
  serve_large(on, "/large");
  auto client = on.client();
  CHECK(client.get("/small").status == 200);
  const auto before = peak_memory(on.icapgate.id());
  client.send("GET", "/large");
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
  CHECK(check_large(client.wire()) == "");
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
}

TEST_CASE("memory: a scanner that answers at once does not make the body pile up") {
  happening over;
  stage on(thrifty());
  on.origin.when("/small", {.body = block()});
  serve_large(on, "/large");
  auto client = on.client();
  CHECK(client.get("/small").status == 200);
  const auto before = peak_memory(on.icapgate.id());
  on.scanner.play([&](exchange& with) {
    with.answer(no_modification());
    over.wait();
  });
  client.send("GET", "/large");
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
  CHECK(check_large(client.wire()) == "");
  over.tell();
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
}

TEST_CASE("memory: an adapted body of 64 MiB costs no more than the limit") {
  stage on(thrifty());
  on.origin.when("/a", {.body = block()});
  auto client = on.client();
  CHECK(client.get("/a").status == 200);
  const auto before = peak_memory(on.icapgate.id());
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
  client.send("GET", "/a");
  CHECK(parse_head(client.wire().read_until("\r\n\r\n")).second == "200");
  CHECK(check_large(client.wire()) == "");
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
}

TEST_CASE("memory: an upload of 64 MiB costs no more than the limit") {
  stage on(thrifty());
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  CHECK(client.request("POST", "/up", {{"Content-Length", "1"}}, "x").body == "thanks");
  const auto before = peak_memory(on.icapgate.id());
  client.send("POST", "/up", {{"Content-Length", std::to_string(large * mebibyte)}});
  for (std::size_t i = 0; i < large; ++i) client.wire().write(block());
  CHECK(client.receive().body == "thanks");
  CHECK(on.origin.request("/up").body.size() == large * mebibyte);
  CHECK(peak_memory(on.icapgate.id()) < before + 16);
}

TEST_CASE("memory: a spooled body has no name in its folder") {
  const temporary_folder folder;
  happening scanned;
  happening decide;
  stage on({.env = {{setting::spool_dir, folder.path()}}});
  on.origin.when("/a", {.body = noise(5 * mebibyte)});
  on.scanner.play([&](exchange& with) {
    with.body();
    scanned.tell();
    decide.wait();
    with.answer(no_modification());
  });
  auto client = on.client();
  client.send("GET", "/a");
  scanned.wait();
  CHECK(std::filesystem::is_empty(folder.path()));
  decide.tell();
  CHECK(difference(client.receive().body, noise(5 * mebibyte)) == "");
  CHECK(std::filesystem::is_empty(folder.path()));
}
