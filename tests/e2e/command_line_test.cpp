// What the program makes of the words behind its name.
#include "kit/gate.hpp"
#include "kit/process.hpp"

#include "catch.hpp"

#include <regex>

using namespace e2e;

namespace {

// Refuses to start and says exactly that.
void check_refusal(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& problems) {
  std::string expected = "icapgate: will not start:\n";
  for (const auto& problem : problems) expected += "  " + problem + '\n';
  const auto [status, output] = run_icapgate(arguments);
  CHECK(status == 78);
  CHECK(output == expected);
}

}  // namespace

TEST_CASE("command line: an empty value is told, and does not swallow the flag that follows") {
  const std::string no_url = "is not a URL: it has no scheme such as http:// or icap://";
  for (const auto& empty :
       std::vector<std::vector<std::string>>{{"--origin="}, {"--origin", ""}, {"--origin"}}) {
    auto arguments = empty;
    arguments.insert(arguments.end(), {"--icap", "nonsense"});
    check_refusal(arguments, {"--origin: is empty", "--icap: \"nonsense\" " + no_url});
    arguments = {"--icap", "icap://b/c"};
    arguments.insert(arguments.end(), empty.begin(), empty.end());
    check_refusal(arguments, {"--origin: is empty"});
  }
  check_refusal({"--icap=", "--origin=", "--listen="},
                {"--icap: is empty", "--origin: is empty", "--listen: is empty"});
}

TEST_CASE("command line: an empty --debug-fallback= does not deliver unscanned responses") {
  check_refusal({"--origin", "http://a", "--icap", "icap://b/c", "--debug-fallback="},
                {"--debug-fallback: is empty"});
}

TEST_CASE("command line: a flag takes one value") {
  check_refusal({"--origin", "http://a", "b", "--icap", "icap://c/d", "icap://e/f"},
                {"\"b\": unexpected argument; see icapgate --help",
                 "\"icap://e/f\": unexpected argument; see icapgate --help"});
  check_refusal(
      {"--origin", "http://a", "--icap", "icap://c/d", "--workers", "1", "--workers", "1"},
      {"--workers: given more than once"});
}

TEST_CASE("command line: several scanners come as several flags or with a comma") {
  const temporary_folder folder;
  const auto nowhere = (folder.path() / "none" / "log").string();  // ends it before it serves
  for (const auto& scanners : std::vector<std::vector<std::string>>{
           {"--icap", "icap://a/x,http://b/y"}, {"--icap", "icap://a/x", "--icap", "http://b/y"}}) {
    std::vector<std::string> arguments{"--origin", "http://a"};
    arguments.insert(arguments.end(), scanners.begin(), scanners.end());
    check_refusal(arguments,
                  {"--icap: \"http://b/y\" is not an icap:// URL, nor icaps:// nor icap+unix:"});
  }
  const auto [status, output] = run_icapgate(
      {"--origin", "http://a", "--icap", "icap://a/x,icap://b/y", "--access-log", nowhere});
  CHECK(status == 78);
  CHECK(output.find("--icap") == std::string::npos);
  CHECK(output.find(nowhere) != std::string::npos);
}

TEST_CASE("command line: demo takes only --once") {
  check_refusal({"demo", "--listen", "x"}, {"\"--listen\": demo takes only --once"});
  check_refusal({"demo", "--listen="}, {"\"--listen\": demo takes only --once"});
  check_refusal({"--listen", "127.0.0.1:0", "demo"}, {"\"--listen\": demo takes only --once"});
  check_refusal({"demo", "twice"}, {"\"twice\": demo takes only --once"});
}

TEST_CASE("command line: an option of the gateway behind a command is told its place") {
  for (const std::string command : {"health", "doctor"})
    for (const auto& words : std::vector<std::vector<std::string>>{
             {command, "--admin", "127.0.0.1:1"}, {command, "--admin=127.0.0.1:1"}})
      check_refusal(words,
                    {"\"" + words[1] +
                     "\": is to stand in front of the command: icapgate --admin ... " + command});
}

TEST_CASE("command line: --version names the commit, the compiler and the libraries") {
  const std::string commit = ICAPGATE_COMMIT;
  INFO(commit);
  CHECK(std::regex_match(commit, std::regex("|.*[0-9a-f]{7,}(-dirty)?|v?[0-9.]+(-dirty)?")));
  const auto [status, output] = run_icapgate({"--version"});
  CHECK(status == 0);
  INFO(output);
  std::smatch match;
  REQUIRE(std::regex_search(
      output, match,
      std::regex(R"(^icapgate \d+\.\d+\.\d+(?: \((.+)\))?\n)"
                 R"(built with (?:clang|g\+\+) \d.*, Boost 1\.\d+\.\d+\nruns with OpenSSL \d)")));
  CHECK(match[1] == commit);
}
