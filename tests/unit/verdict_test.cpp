#include "icap/verdict.hpp"

#include "catch.hpp"

#include <initializer_list>
#include <random>
#include <string>

using namespace icapgate;
using icap::find_profile;
using icap::profiles;
using icap::verdict;

namespace {

using fields = std::initializer_list<std::string_view>;

std::string lines(fields parts) {
  std::string out;
  for (const auto part : parts) out.append(part).append("\r\n");
  return out;
}

icap::answer answer(unsigned status, fields icap_fields = {}, fields http_fields = {},
                    std::string_view http_status = "200 OK") {
  icap::answer a;
  a.status = status;
  a.head = "ICAP/1.0 " + std::to_string(status) + " x\r\n" + lines(icap_fields) + "\r\n";
  a.unmodified = status == 204;
  if (a.unmodified && http_fields.size() == 0) return a;
  a.http_head = "HTTP/1.1 " + std::string(http_status) + "\r\n" + lines(http_fields) + "\r\n";
  return a;
}

auto judge(const icap::answer& a, unsigned original = 200) {
  return icap::judge(a, profiles().front(), original);
}

verdict kind(const icap::answer& a, unsigned original = 200) {
  const auto j = judge(a, original);
  REQUIRE(j.has_value());
  return j->kind;
}

errc error(const icap::answer& a, unsigned original = 200) {
  const auto j = judge(a, original);
  REQUIRE(j.has_error());
  return j.error();
}

std::string threat(fields icap_fields, fields http_fields = {}) {
  const auto j = judge(answer(200, icap_fields, http_fields));
  REQUIRE(j.has_value());
  CHECK(j->kind != verdict::clean);
  return j->threat;
}

// The same field in the ICAP head, the encapsulated head and the trailers.
void check_everywhere(const std::string& name, const std::string& value, verdict expected) {
  CAPTURE(name, value);
  const std::string line = name + ": " + value;
  auto in_trailers = answer(200);
  in_trailers.trailers = line + "\r\n";
  for (const auto& a : {answer(200, {line}), answer(200, {}, {line}), in_trailers}) {
    const auto j = judge(a);
    REQUIRE(j.has_value());
    CHECK(j->kind == expected);
    const bool told = expected == verdict::blocked || expected == verdict::unscannable;
    CHECK(j->sign == (told ? name : ""));
    if (!told) CHECK(j->threat.empty());
  }
}

struct sample {
  std::string name;
  std::initializer_list<const char*> positive, negative;
};

const sample samples[] = {
    {"X-Infection-Found",
     {"", "none", "Type=0; Resolution=0; Threat=x;", "\xff", "Type=1; Resolution=2", "Resolution=1",
      "Type=0; Resolution=2; Threat=a; Resolution=1", "Type=22"},
     {}},
    {"X-Violations-Found", {"", "1", "00", "0 1", "none", "-0", "99999999999999999999"}, {"0"}},
    {"X-Virus-ID",
     {"EICAR", "Eicar, Other", "0", "clean file?", "\xd0\x92"},
     {"", "no threats", "No Threats", "-", "none", "NONE", "clean", "Clean"}},
    {"X-Virus-Name", {"McAfeeGW: EICAR test file", "-"}, {""}},
    {"X-FSecure-Scan-Result", {"infected", "", "suspected"}, {"clean", "CLEAN"}},
    {"X-Block-Reason", {"Malware found", "Media Type (Block List)"}, {""}},
    {"X-Blocked-Reason", {"Infected", "Archive not supported"}, {""}},
    {"X-MWG-Block-Reason", {"Infected"}, {""}},
    {"X-Blocked", {"Virus found during virus scan"}, {""}},
    {"X-Blocked-By", {"Sophos Anti-Virus"}, {""}},
    {"X-WWBlockResult", {"80", "41", "-1", "malware", "00001"}, {"0", "", "00"}},
    {"X-Block-Result", {"80", "90"}, {"0", ""}},
    {"X-Response-Info",
     {"blocked", "Blocked", "BLOCKED: Infected", "blocked;x"},
     {"Allowed", "passed", "Options", "", "block", "blockedness", "Adult Content"}},
};

}  // namespace

TEST_CASE("verdict: each detection header blocks, in both heads and the trailers") {
  for (const auto& row : samples) {
    for (const std::string value : row.positive)
      check_everywhere(row.name, value, verdict::blocked);
  }
}

TEST_CASE("verdict: the negatives of each detection header pass") {
  for (const auto& row : samples) {
    for (const std::string value : row.negative)
      check_everywhere(row.name, value, verdict::adapted);
  }
}

TEST_CASE("verdict: names of detection headers are read in any case and as wholes") {
  for (const auto& row : samples) {
    std::string upper = row.name;
    for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    const std::string value = *row.positive.begin();
    CHECK(judge(answer(200, {upper + ":" + value}))->sign == row.name);
    CHECK(kind(answer(200, {row.name + "x: " + value})) == verdict::adapted);
    CHECK(kind(answer(200, {"A-" + row.name + ": " + value})) == verdict::adapted);
    CHECK(kind(answer(200, {"a: " + row.name + ": " + value})) == verdict::adapted);
  }
}

TEST_CASE("verdict: any detection header blocks whatever the profile") {
  for (const auto& p : profiles()) {
    for (const auto& row : samples) {
      if (p.violations_are_scan_errors && row.name == "X-Violations-Found") continue;
      const auto j = icap::judge(answer(200, {row.name + ": " + *row.positive.begin()}), p, 200);
      CHECK(j->kind == verdict::blocked);
    }
  }
}

TEST_CASE("verdict: headers that tell the same of any message are no signs") {
  for (const std::string line :
       {"X-Response-Desc: virus", "X-Response-Description: infected", "X-ICAP-Profile: p",
        "X-Media-Type: x", "X-Scan-Result: infected", "X-Outer-Container-Is-Mime: 1",
        "X-ICAP-Metadata: {}", "X-AV-Database-time: 1", "X-FSecure-Infection-Name: \"\"",
        "X-FSecure-Infected-Filename: \"a\""}) {
    check_everywhere(line.substr(0, line.find(':')), line.substr(line.find(':') + 2),
                     verdict::adapted);
  }
}

TEST_CASE("verdict: X-Infection-Found of type 2 is unscannable, unless anything else blocks") {
  check_everywhere("X-Infection-Found", "Type=2; Resolution=2; Threat=Encrypted;",
                   verdict::unscannable);
  check_everywhere("X-Infection-Found", "threat=Encrypted;type=2", verdict::unscannable);
  check_everywhere("X-Infection-Found", "Type=2; Resolution=1; Threat=Encrypted;",
                   verdict::unscannable);
  const std::string type2 = "X-Infection-Found: Type=2; Threat=Too deep;";
  CHECK(threat({type2}) == "Too deep");
  CHECK(kind(answer(204, {type2})) == verdict::unscannable);
  CHECK(kind(answer(200, {type2, "X-Virus-ID: a"})) == verdict::blocked);
  CHECK(kind(answer(200, {type2, "X-Infection-Found: Type=0; Threat=a"})) == verdict::blocked);
  CHECK(kind(answer(200, {"X-Infection-Found: Type=2; Type=0"})) == verdict::blocked);
}

TEST_CASE(
    "verdict: an unscannable sign explains the scanner's page only where the scanner wrote it") {
  const std::string type2 = "X-Infection-Found: Type=2; Threat=Encrypted;";
  CHECK(kind(answer(200, {type2}, {}, "403 Forbidden")) == verdict::unscannable);
  CHECK(kind(answer(403, {type2})) == verdict::unscannable);
  CHECK(kind(answer(500, {type2})) == verdict::unscannable);
  CHECK(kind(answer(200, {}, {type2}, "403 Forbidden")) == verdict::blocked);
  CHECK(error(answer(500, {}, {type2})) == errc::icap_status_error);
  auto no_message = answer(200, {type2});
  no_message.http_head.clear();
  CHECK(error(no_message) == errc::icap_answer_invalid);
}

TEST_CASE("verdict: a repaired body is delivered, with its threat told") {
  const std::string repaired = "X-Infection-Found: Type=0; Resolution=1; Threat=W97M.Test;";
  const auto j = judge(answer(200, {repaired}));
  CHECK(j->kind == verdict::adapted);
  CHECK(j->threat == "W97M.Test");
  CHECK(j->sign == "X-Infection-Found");
  CHECK(kind(answer(201, {repaired})) == verdict::adapted);
  CHECK(kind(answer(206, {repaired})) == verdict::adapted);
  CHECK(kind(answer(200, {repaired, "X-Violations-Found: 1", "\ta.doc", "\tW97M.Test", "\t7",
                          "\t1"})) == verdict::adapted);
}

TEST_CASE("verdict: a repair that can't be delivered, or is told of in part only, blocks") {
  const std::string repaired = "X-Infection-Found: Type=0; Resolution=1; Threat=a;";
  CHECK(kind(answer(204, {repaired})) == verdict::blocked);
  CHECK(kind(answer(403, {repaired})) == verdict::blocked);
  CHECK(kind(answer(500, {repaired})) == verdict::blocked);
  CHECK(kind(answer(200, {repaired}, {}, "403 Forbidden")) == verdict::blocked);
  CHECK(kind(answer(200, {repaired, "X-Infection-Found: Type=0; Resolution=2"})) ==
        verdict::blocked);
  CHECK(kind(answer(200, {repaired, "X-Virus-ID: a"})) == verdict::blocked);
  CHECK(kind(answer(200, {repaired, "X-Violations-Found: 1"})) == verdict::blocked);
  CHECK(kind(answer(200, {repaired, "X-Violations-Found: 2", "\ta", "\tb", "\t1", "\t1", "\tc",
                          "\td", "\t1", "\t2"})) == verdict::blocked);
  auto a = answer(200, {repaired});
  a.http_head.clear();
  CHECK(kind(a) == verdict::blocked);
}

TEST_CASE("verdict: X-Violations-Found is a list of folded lines") {
  const fields two = {"X-Violations-Found: 2",
                      "\ttest.zip",
                      "\tEICAR Test String",
                      "\t11101",
                      "\t0",
                      "\ttest.zip/a:b",
                      "\tOther",
                      "\t1",
                      "\t2"};
  CHECK(kind(answer(200, two)) == verdict::blocked);
  CHECK(kind(answer(200, {}, two)) == verdict::blocked);
  CHECK(threat(two) == "EICAR Test String");
  CHECK(threat({"X-Violations-Found: 1", "\tX-Virus-ID: none", "\tEicar", "\t0", "\t2"}) ==
        "Eicar");
  CHECK(threat({"X-Violations-Found:", "\t1", " a b", " E i", " 0", " 2"}) == "E i");
  CHECK(threat({"X-Violations-Found: 2", "\ta", "\t-", "\t0", "\t0", "\tb", "\tName"}) == "Name");
  CHECK(threat({"X-Violations-Found: 2", "\ta", "\t ", "\t0", "\t0", "\tb", "\tName"}) == "Name");
}

TEST_CASE("verdict: X-Violations-Found counts nothing only where nothing else stands") {
  CHECK(kind(answer(200, {"X-Violations-Found: 0"})) == verdict::adapted);
  CHECK(kind(answer(200, {"X-Violations-Found:", "\t0"})) == verdict::adapted);
  CHECK(kind(answer(200, {"X-Violations-Found: 0", "\tfile", "\tEicar"})) == verdict::blocked);
  CHECK(kind(answer(200, {"X-Violations-Found: 0", "X-Violations-Found: 1"})) == verdict::blocked);
}

TEST_CASE("verdict: X-Violations-Found may be short, or one line") {
  CHECK(threat({"X-Violations-Found: 1", "\tfile"}) == "1 file");
  CHECK(threat({"X-Violations-Found: 1 - Eicar 0 0"}) == "1 - Eicar 0 0");
  CHECK(threat({"X-Violations-Found: 1\ta b.zip\tEicar Test\t0\t2"}) == "Eicar Test");
  CHECK(threat({"X-Violations-Found: 3", "\tfile", "\tEicar"}) == "Eicar");
}

TEST_CASE("verdict: X-Violations-Found proves a repair only by a list that is whole") {
  const auto violations = [](std::string count, std::size_t listed, std::string last = "1") {
    std::string value = "X-Violations-Found: " + count;
    for (std::size_t i = 0; i < listed; ++i) {
      value += "\r\n\tf\r\n\tThreat\r\n\t0\r\n\t" + (i + 1 == listed ? last : "1");
    }
    auto a = answer(200);
    a.head = "ICAP/1.0 200 x\r\n" + value + "\r\n\r\n";
    return kind(a);
  };
  CHECK(violations("1", 1) == verdict::adapted);
  CHECK(violations("249", 249) == verdict::adapted);  // 997 lines
  CHECK(violations("2", 1) == verdict::blocked);
  CHECK(violations("1", 2) == verdict::blocked);
  CHECK(violations("x", 1) == verdict::blocked);
  CHECK(violations("1", 1, "2") == verdict::blocked);
  CHECK(violations("1", 1, "") == verdict::blocked);
  CHECK(violations("300", 300) ==
        verdict::blocked);  // over the limit of lines: not read to its end
}

TEST_CASE("verdict: X-Violations-Found is read up to its limits, whatever stands there") {
  std::string value = "X-Violations-Found: 9";
  while (value.size() < 200000) value += "\r\n\t";
  CHECK(kind(answer(200, {value + "x"})) == verdict::blocked);
  CHECK(kind(answer(200, {"X-Violations-Found: 1", "\t" + std::string(200000, 'x')})) ==
        verdict::blocked);
}

TEST_CASE("verdict: where X-Violations-Found lists scan errors, it does not block") {
  const auto& drweb = *find_profile("drweb");
  const fields error_list = {"X-Violations-Found: 1", "\ta.zip", "\tPassword protected", "\t0",
                             "\t0"};
  const auto j = icap::judge(answer(200, error_list), drweb, 200);
  CHECK(j->kind == verdict::unscannable);
  CHECK(j->threat == "Password protected");
  CHECK(j->sign == "X-Violations-Found");
  CHECK(icap::judge(answer(200, {"X-Violations-Found: 0"}), drweb, 200)->kind == verdict::adapted);
  CHECK(icap::judge(answer(200, {"X-Violations-Found: 1", "X-Virus-ID: a"}), drweb, 200)->kind ==
        verdict::blocked);
}

TEST_CASE("verdict: X-Error-Code is a scan error where the scanner itself says it") {
  const auto j = judge(answer(500, {"X-Error-Code: 17"}));
  REQUIRE(j.has_value());
  CHECK(j->kind == verdict::unscannable);
  CHECK(j->sign == "X-Error-Code");
  CHECK(j->threat == "17");
  CHECK(kind(answer(200, {"X-Error-Code: 17"})) == verdict::unscannable);
  CHECK(kind(answer(204, {"X-Error-Code: 17"})) == verdict::unscannable);
  CHECK(kind(answer(500, {"X-Error-Code: 17", "X-Virus-ID: a"})) == verdict::blocked);
  // An API's own error code, sent back with the rest of its head.
  CHECK(kind(answer(200, {}, {"X-Error-Code: 17"})) == verdict::adapted);
  CHECK(error(answer(500, {}, {"X-Error-Code: 17"})) == errc::icap_status_error);
  CHECK(error(answer(500, {"X-Error-Code: 0"})) == errc::icap_status_error);
  CHECK(error(answer(503, {"X-Error-Code: 17"})) == errc::icap_status_busy);
  CHECK(error(answer(539, {"X-Error-Code: 17"})) == errc::icap_status_error);
}

TEST_CASE("verdict: a 204 is clean, any other 2xx without a sign is adapted") {
  CHECK(kind(answer(204)) == verdict::clean);
  for (const unsigned status : {200u, 201u, 202u, 203u, 205u, 206u, 299u}) {
    CHECK(kind(answer(status)) == verdict::adapted);
  }
  CHECK(judge(answer(200))->threat.empty());
  CHECK(judge(answer(204))->sign.empty());
}

TEST_CASE("verdict: a 204 that names a detection is not clean") {
  for (const auto& row : samples) {
    CHECK(kind(answer(204, {row.name + ": " + *row.positive.begin()})) == verdict::blocked);
  }
}

TEST_CASE("verdict: an ICAP 403 blocks, with and without a page") {
  CHECK(kind(answer(403)) == verdict::blocked);
  CHECK(kind(answer(403, {}, {}, "403 Forbidden")) == verdict::blocked);
  auto a = answer(403, {"Encapsulated: null-body=0"});
  a.http_head.clear();
  CHECK(kind(a) == verdict::blocked);
  CHECK(judge(a)->sign.empty());
}

TEST_CASE("verdict: statuses that prove nothing are errors of their kind") {
  for (const unsigned status : {503u, 506u}) CHECK(error(answer(status)) == errc::icap_status_busy);
  for (const unsigned status :
       {400u, 404u, 405u, 408u, 418u, 500u, 501u, 502u, 505u, 539u, 551u, 558u, 599u}) {
    CHECK(error(answer(status)) == errc::icap_status_error);
  }
  for (const unsigned status : {401u, 407u}) CHECK(error(answer(status)) == errc::icap_status_auth);
  for (const unsigned status : {0u, 100u, 199u, 300u, 302u, 304u, 399u, 600u, 999u}) {
    CHECK(error(answer(status)) == errc::icap_status_unexpected);
  }
}

TEST_CASE("verdict: a detection blocks whatever the status") {
  for (unsigned status = 0; status < 1000; ++status) {
    REQUIRE(kind(answer(status, {"X-Infection-Found: Threat=x"})) == verdict::blocked);
  }
}

TEST_CASE("verdict: a page in place of the original blocks without any header") {
  for (const auto* status : {"400 x", "403 Forbidden", "404", "451 x", "500 x", "502 x"}) {
    CHECK(kind(answer(200, {}, {}, status), 200) == verdict::blocked);
    CHECK(kind(answer(201, {}, {}, status), 302) == verdict::blocked);
    CHECK(kind(answer(200, {}, {}, status), 410) == verdict::blocked);
    CHECK(kind(answer(200, {}, {}, status), 0) == verdict::blocked);
  }
  CHECK(judge(answer(200, {}, {}, "403 Forbidden"))->sign.empty());
}

TEST_CASE("verdict: an error page of the origin that comes back is adapted, so is a redirect") {
  CHECK(kind(answer(200, {}, {}, "404 Not Found"), 404) == verdict::adapted);
  CHECK(kind(answer(200, {}, {}, "500 x"), 500) == verdict::adapted);
  CHECK(kind(answer(200, {}, {}, "307 Temporary Redirect"), 200) == verdict::adapted);
  CHECK(kind(answer(200, {}, {}, "302 Found"), 200) == verdict::adapted);
  CHECK(kind(answer(200, {}, {}, "200 OK"), 404) == verdict::adapted);
}

TEST_CASE("verdict: an adapted request has no status") {
  auto a = answer(200);
  a.http_head = "POST http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(kind(a, 0) == verdict::adapted);
}

TEST_CASE("verdict: an adaptation without a message is an error, a detection without one is not") {
  auto a = answer(200);
  a.http_head.clear();
  CHECK(error(a) == errc::icap_answer_invalid);
  a = answer(200, {"X-Infection-Found: Threat=x"});
  a.http_head.clear();
  CHECK(kind(a) == verdict::blocked);
  for (const auto* status : {"", "20", "2000 OK", "abc", "+20 x", "-20 x", "20x OK"}) {
    CHECK(error(answer(200, {}, {}, status)) == errc::icap_answer_invalid);
  }
}

TEST_CASE("verdict: fields that can't be read are an error") {
  const std::string hidden = "a: b\nX-Infection-Found: x";
  CHECK(error(answer(200, {hidden})) == errc::icap_answer_invalid);
  CHECK(error(answer(200, {}, {hidden})) == errc::icap_answer_invalid);
  CHECK(error(answer(204, {"no colon"})) == errc::icap_answer_invalid);
  CHECK(error(answer(200, {"no colon", "X-Infection-Found: Type=2"})) == errc::icap_answer_invalid);
  CHECK(error(answer(503, {"no colon"})) == errc::icap_status_busy);
  CHECK(kind(answer(403, {"no colon"})) == verdict::blocked);
  auto a = answer(200);
  a.trailers = "no colon\r\n";
  CHECK(error(a) == errc::icap_answer_invalid);
}

TEST_CASE("verdict: a detection is found before, between and behind fields that can't be read") {
  const std::string sign = "X-Virus-ID: x";
  CHECK(kind(answer(200, {sign, "no colon"})) == verdict::blocked);
  CHECK(kind(answer(200, {"no colon", sign})) == verdict::blocked);
  CHECK(kind(answer(200, {" folded", sign})) == verdict::blocked);
  CHECK(kind(answer(200, {"a: b", "\t ", "no colon", "\tfolded", sign, ": x"})) ==
        verdict::blocked);
  CHECK(kind(answer(200, {}, {"a:", "\xff", "b: c\n", sign})) == verdict::blocked);
}

TEST_CASE("verdict: of a head that broke off, whole lines count") {
  const std::string negative = "ICAP/1.0 200 OK\r\nX-Virus-ID: no threats\r\n\r\n";
  const std::string positive = "ICAP/1.0 200 OK\r\nX-Virus-ID: Eicar\r\n\r\n";
  for (std::size_t size = 0; size < negative.size(); ++size) {
    icap::answer a;
    a.head = negative.substr(0, size);
    CHECK(error(a) == errc::icap_status_unexpected);
  }
  for (std::size_t size = 0; size < positive.size(); ++size) {
    icap::answer a;
    a.head = positive.substr(0, size);
    const bool told = positive.find("\r\n\r\n") + 2 <= size;
    CHECK(judge(a).has_value() == told);
    if (told) CHECK(judge(a)->threat == "Eicar");
  }
}

TEST_CASE("verdict: the threat is the parameter's value, blanks and braces included") {
  CHECK(threat({"X-Infection-Found: Type=0; Resolution=2; Threat=Lab.Eicar.Test.UNOFFICIAL;"}) ==
        "Lab.Eicar.Test.UNOFFICIAL");
  CHECK(threat({"X-Infection-Found: Type=0;threat= {HEX}a b, c "}) == "{HEX}a b, c");
  CHECK(threat({"X-Infection-Found: Type=1; NonViralThreat=x"}) == "x");
  CHECK(threat({"X-Infection-Found: Threat=;"}) == "Threat=;");
  CHECK(threat({"X-Infection-Found: Type=0;", "\tThreat=a", "\tb;"}) == "a b");
}

TEST_CASE("verdict: the best name is told: the strongest sign's, another one's, a reason") {
  CHECK(threat({"X-Violations-Found: 1", "\t-", "\tSecond", "\t0", "\t0",
                "X-Infection-Found: Threat=First"}) == "First");
  CHECK(threat({"X-Infection-Found:", "X-Violations-Found: 1", "\t-", "\tSecond"}) == "Second");
  CHECK(threat({"X-Infection-Found: Type=2; Threat=Encrypted", "X-Virus-ID: Eicar"}) == "Eicar");
  CHECK(threat({"X-Block-Reason: Malware found", "X-Virus-Name: Eicar"}) == "Eicar");
  CHECK(threat({"X-Block-Reason: Malware found", "X-Virus-Name:"}) == "Malware found");
  CHECK(threat({"X-Response-Info: Blocked", "X-Virus-ID: no threats"}).empty());
  CHECK(threat({"X-FSecure-Scan-Result: infected", "X-FSecure-Infection-Name: \"EICAR_Test\""}) ==
        "EICAR_Test");
  CHECK(threat({"X-Blocked-By: S"}, {"X-Virus-ID: Eicar"}) == "Eicar");
}

TEST_CASE("verdict: the sign is the first of the strongest") {
  CHECK(judge(answer(200, {"X-Infection-Found: Type=2", "X-Blocked: x"}))->sign == "X-Blocked");
  CHECK(judge(answer(200, {"X-Virus-ID: a", "X-Infection-Found: b"}))->sign == "X-Infection-Found");
  CHECK(judge(answer(200, {"X-Blocked: a"}, {"X-Infection-Found: b"}))->sign == "X-Blocked");
}

TEST_CASE("verdict: a threat is printable and bounded") {
  CHECK(threat({"X-Infection-Found: Threat=a\tb\x1b[0m\xc3\xa4\x7f"}) == "a?b?[0m???");
  CHECK(threat({"X-Infection-Found: Threat=" + std::string(5000, 'x')}) == std::string(200, 'x'));
  std::string folded = "X-Virus-ID: a";
  for (int i = 0; i < 500; ++i) folded += "\r\n\tb";
  CHECK(threat({folded}).size() == 200);
}

TEST_CASE("verdict: no random field makes a detection clean, wherever it stands") {
  std::mt19937 random(3);
  const auto below = [&](std::size_t n) { return random() % n; };
  constexpr std::string_view alphabet = "01 2\t:;=,-\"X\r\nabcT\xff";
  for (int round = 0; round < 3000; ++round) {
    std::string line = below(3) ? samples[below(std::size(samples))].name + ": " : "";
    for (auto n = below(40); n > 0; --n) line += alphabet[below(alphabet.size())];
    for (auto at = line.find("\r\n\r\n"); at != line.npos; at = line.find("\r\n\r\n")) {
      line.erase(at, 2);  // a head ends at its first empty line
    }
    while (line.starts_with("\r\n")) line.erase(0, 2);
    if (line.ends_with("\r\n")) line.resize(line.size() - 2);
    if (line.empty() || line.ends_with("\r")) line += "a";
    CAPTURE(line);
    for (const unsigned status : {200u, 204u}) {
      const auto alone = judge(answer(status, {line}));
      if (alone) CHECK(alone->threat.size() <= 200);
      const auto behind = judge(answer(status, {"X-Virus-ID: a", line}));
      const auto before = judge(answer(status, {line, "X-Virus-ID: a"}));
      const auto inside = judge(answer(status, {"X-Virus-ID: a"}, {line}));
      for (const auto& j : {behind, before, inside}) {
        const bool passes = j && j->kind != verdict::blocked;
        REQUIRE_FALSE(passes);
      }
    }
  }
}
