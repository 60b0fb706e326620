#include "base/credentials.hpp"

#include "catch.hpp"

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace icapgate;

namespace {

class password_file {
 public:
  explicit password_file(std::string_view text)
      : path_(std::filesystem::temp_directory_path() /
              ("icapgate_password_" + std::to_string(::getpid()))) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~password_file() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string refusal(std::string_view user, std::string_view text) {
  const password_file file(text);
  config c;
  c.scanner_user = user;
  c.scanner_password_file = file.path();
  std::string why;
  CHECK_FALSE(read_credentials(c, why));
  CHECK(c.scanner_authorization.empty());
  return why;
}

}  // namespace

TEST_CASE("Basic credentials are those of RFC 7617") {
  CHECK(basic_authorization("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(basic_authorization("test", "123\xC2\xA3") == "Basic dGVzdDoxMjPCow==");
  CHECK(basic_authorization("", "") == "Basic Og==");
  CHECK(basic_authorization("a", "b") == "Basic YTpi");
}

TEST_CASE("the password is the one line of its file") {
  for (auto text : {"open sesame", "open sesame\n", "open sesame\r\n"}) {
    const password_file file(text);
    config c;
    c.scanner_user = "Aladdin";
    c.scanner_password_file = file.path();
    std::string why;
    REQUIRE(read_credentials(c, why));
    CHECK(c.scanner_authorization == "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
  }
}

TEST_CASE("without a user nothing is sent") {
  config c;
  std::string why;
  CHECK(read_credentials(c, why));
  CHECK(c.scanner_authorization.empty());
}

TEST_CASE("bad credentials are refused, and what the file holds is not told") {
  for (auto text : {"", "\n", "secret\nsecond\n", "secret\x7f"}) {
    const auto why = refusal("user", text);
    CHECK(why.find("one line") != std::string::npos);
    CHECK(why.find("secret") == std::string::npos);
  }
  CHECK(refusal("us:er", "secret").find("colon") != std::string::npos);
  CHECK(refusal("off", "secret").find("belong together") != std::string::npos);
  config c;
  c.scanner_user = "user";
  std::string why;
  CHECK_FALSE(read_credentials(c, why));
  c.scanner_password_file = "/nowhere/at/all";
  CHECK_FALSE(read_credentials(c, why));
  CHECK(why.find("/nowhere/at/all") != std::string::npos);
}
