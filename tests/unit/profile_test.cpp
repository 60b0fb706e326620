#include "icap/profile.hpp"

#include "base/options.hpp"

#include "catch.hpp"

#include <algorithm>
#include <set>
#include <string>

using namespace icapgate;
using icap::find_profile;
using icap::profiles;

TEST_CASE("profile: the first is generic and asks for nothing special") {
  const auto& generic = profiles().front();
  CHECK(generic.name == "generic");
  CHECK(generic.path.empty());
  CHECK((generic.preview && generic.keep_alive && generic.allow_204));
  CHECK_FALSE(generic.violations_are_scan_errors);
  CHECK(generic.fields.empty());
}

TEST_CASE("profile: each is found by its name, and only by it") {
  for (const auto& p : profiles()) CHECK(find_profile(p.name) == &p);
  for (const auto* name : {"", "Generic", "generic ", "c_icap"}) {
    CHECK(find_profile(name) == nullptr);
  }
}

TEST_CASE(
    "profile: names are unique and fit for a configuration, paths for a URI, fields for a head") {
  std::set<std::string_view> names;
  for (const auto& p : profiles()) {
    CAPTURE(p.name);
    CHECK(names.insert(p.name).second);
    CHECK(p.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == p.name.npos);
    CHECK_FALSE(p.path.starts_with('/'));
    CHECK(std::all_of(p.path.begin(), p.path.end(), [](char c) { return c > ' ' && c < 0x7f; }));
    CHECK((p.fields.empty() || p.fields.ends_with("\r\n")));
    // RFC 3507 4.3: an extension's name starts so.
    CHECK((p.fields.empty() || p.fields.starts_with("X-")));
  }
}

TEST_CASE("profile: the paths that the products document") {
  const std::pair<std::string_view, std::string_view> documented[] = {
      {"c-icap", "avscan"},
      {"squidclamav", "squidclamav"},
      {"symantec", "avscan"},
      {"kaspersky", "resp"},
      {"kwts", "av/respmod"},
      {"skyhigh", "respmod"},
      {"trend-iwsva", "avscan"},
      {"metadefender", "OMSScanResp-AV"},
      {"eset", "scan"},
      {"fsecure", "respmod"},
      {"fortisandbox", "respmod"},
      {"checkpoint", "sandblast"},
      {"e2guardian", "response"},
      {"trend-vision-one", "avscan?pml=true"},
  };
  for (const auto& [name, path] : documented) {
    CAPTURE(name);
    REQUIRE(find_profile(name));
    CHECK(find_profile(name)->path == path);
  }
}

TEST_CASE("profile: the quirks of FortiSandbox, Kaspersky, Dr.Web and e2guardian") {
  CHECK_FALSE(find_profile("fortisandbox")->preview);
  CHECK_FALSE(find_profile("fortisandbox")->keep_alive);
  CHECK_FALSE(find_profile("kaspersky")->allow_204);
  CHECK(find_profile("drweb")->violations_are_scan_errors);
  CHECK(find_profile("e2guardian")->fields == "X-ICAP-E2G: \r\n");
}

TEST_CASE("profile: the setting scanner.NAME.vendor takes exactly these names") {
  std::string names;
  for (const auto& p : profiles()) (names += names.empty() ? "" : " ") += p.name;
  const auto* row = icapgate::find_option_by_env("ICAPGATE_SCANNER__VENDOR");
  REQUIRE(row);
  CHECK(row->choices == names);
}

TEST_CASE("profile: an address without a service gets the vendor's, where it has one") {
  using icapgate::icap::complete_path;
  for (const std::string without : {"", "/"}) {
    std::string path = without;
    CHECK(complete_path(*find_profile("c-icap"), path));
    CHECK(path == "/avscan");
    path = without;
    CHECK_FALSE(complete_path(*find_profile("generic"), path));
    CHECK(path == without);
  }
  std::string path = "/mine";
  CHECK(complete_path(*find_profile("c-icap"), path));
  CHECK(path == "/mine");
}
