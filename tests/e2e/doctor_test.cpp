// icapgate doctor, the real program: beside a scanner that lies, one that is deaf, and c-icap.
#include "kit/gate.hpp"
#include "kit/icap_peer.hpp"
#include "kit/lab.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

constexpr int unavailable = 69;  // EX_UNAVAILABLE
constexpr int wrong_arguments = 78;

outcome examine(std::uint16_t port, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"doctor",
                                    "icap://127.0.0.1:" + std::to_string(port) + "/avscan"};
  words.insert(words.end(), more.begin(), more.end());
  return run_icapgate(words);
}

bool says(const outcome& got, const std::string& text) {
  return got.output.find(text) != std::string::npos;
}

// Takes connections and what they bring, and says nothing.
class deaf_scanner {
 public:
  deaf_scanner()
      : server_([](connection& wire, int) {
          try {
            wire.read_until("\r\n\r\nnever");
          } catch (const std::exception&) {
          }
        }) {}
  std::uint16_t port() const { return server_.port(); }

 private:
  server server_;
};

}  // namespace

TEST_CASE("doctor: a scanner that lets everything pass is not to be trusted") {
  icap_peer scanner;
  const auto say_clean = [](exchange& with) {
    with.body();
    with.answer(no_modification());
  };
  scanner.play(say_clean);
  scanner.on_canary(say_clean);
  const auto got = examine(scanner.port(), {"--timeout", "2s"});
  INFO(got.output);
  CHECK(got.status == unavailable);
  CHECK(says(got, "ok    clean text"));
  CHECK(says(got, "FAIL  EICAR"));
  CHECK(says(got, "Do NOT trust this scanner: EICAR passes."));
}

TEST_CASE("doctor: of a scanner that looks at small bodies only it says that there is a limit") {
  icap_peer scanner;
  const auto look_at_small = [](exchange& with) {
    const auto& body = with.body();
    const bool found = body.size() < 1'000'000 && body.find(eicar()) != std::string::npos;
    with.answer(found ? block_page() : no_modification());
  };
  scanner.play(look_at_small);
  scanner.on_canary(look_at_small);
  const auto got = examine(scanner.port(), {"--timeout", "2s"});
  INFO(got.output);
  CHECK(got.status == unavailable);
  CHECK(says(got, "ok    EICAR "));
  CHECK(says(got, "FAIL  one giant chunk"));
  CHECK(says(got, "3MiB: EICAR PASSES; 204: unmodified"));
  CHECK(says(got, "it finds EICAR in small bodies: raise its limits"));
  CHECK_FALSE(says(got, "does this service scan at all"));
}

TEST_CASE("doctor: a scanner that never answers is given up soon") {
  deaf_scanner scanner;
  const auto got = examine(scanner.port(), {"--timeout", "300ms"});
  INFO(got.output);
  CHECK(got.status == unavailable);
  CHECK(says(got, "ok    TCP"));
  CHECK(says(got, "FAIL  OPTIONS"));
  CHECK(says(got, "accepts connections and keeps silent"));
}

TEST_CASE("doctor: a password of the settings lets it in, and is not shown") {
  // gate:s3cret-word
  icap_peer scanner({.authorization = "Basic Z2F0ZTpzM2NyZXQtd29yZA=="});
  const temporary_folder folder;
  const auto password = folder.path() / "password";
  const auto file = folder.path() / "settings.toml";
  const auto url = "icap://127.0.0.1:" + std::to_string(scanner.port()) + "/avscan";
  write_file(password, "s3cret-word\n");
  write_file(file, "[scanner.av]\nservers = [\"" + url +
                       "\"]\nuser = \"gate\"\npassword_path = \"" + password.string() + "\"\n");
  const std::map<std::string, std::string> env = {{"ICAPGATE_SCANNER__USER", "gate"},
                                                  {"ICAPGATE_SCANNER__PASSWORD_PATH", password}};
  for (const auto& got : {run_icapgate({"doctor", "--config", file, "--timeout", "2s"}),
                          run_icapgate({"doctor", url, "--timeout", "2s"}, env)}) {
    INFO(got.output);
    CHECK(says(got, "ok    OPTIONS"));
    CHECK(says(got, "ok    clean text"));
    CHECK(says(got, "ok    EICAR "));
    CHECK(says(got, "user = \"gate\""));
    CHECK_FALSE(says(got, "s3cret-word"));
    CHECK_FALSE(says(got, "Z2F0ZTpzM2NyZXQtd29yZA=="));
  }
  const auto refused = run_icapgate({"doctor", url, "--timeout", "2s"});
  INFO(refused.output);
  CHECK(refused.status == unavailable);
  CHECK(says(refused, "FAIL  clean text"));
  CHECK(says(refused, "ICAPGATE_SCANNER__PASSWORD_PATH"));
}

TEST_CASE("doctor: wrong arguments have a status of their own") {
  CHECK(run_icapgate({"doctor"}).status == wrong_arguments);
  CHECK(run_icapgate({"doctor", "icap://h/s", "--timeout", "soon"}).status == wrong_arguments);
  CHECK(run_icapgate({"doctor", "icap://h/s", "--config", "/nowhere/at/all"}).status ==
        wrong_arguments);
  CHECK(run_icapgate({"doctor", "icap://h/s"}, {{"ICAPGATE_SCANNER__USER", "gate"}}).status ==
        wrong_arguments);
}

TEST_CASE("lab: the doctor finds that c-icap with ClamAV can be trusted") {
  const lab_scanner scanner;
  const auto got = examine(scanner.port(), {"--ladder", "--max-size", "1MiB"});
  INFO(got.output);
  CHECK(got.status == 0);
  CHECK(says(got, "Lab.Eicar.Test.UNOFFICIAL (X-Infection-Found)"));
  CHECK(says(got, "ok    preview, ieof"));
  CHECK(says(got, "ok    EICAR in 1MiB"));
  CHECK(says(got, "vendor = \"c-icap\""));
  CHECK_FALSE(says(got, "FAIL"));
}

TEST_CASE("lab: with clamd stopped the doctor says that there is no verdict") {
  lab_scanner scanner;
  scanner.stop_clamd();
  const auto got = examine(scanner.port(), {"--timeout", "5s"});
  INFO(got.output);
  CHECK(got.status == unavailable);
  CHECK(says(got, "FAIL  clean text"));
  CHECK(says(got, "FAIL  EICAR"));
  CHECK(says(got, "Do NOT use this scanner"));
}
