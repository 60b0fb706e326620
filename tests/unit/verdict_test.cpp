#include "icap/verdict.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <string>

using namespace icapgate;
using icap::judge;
using icap::verdict;
using test::lines;

namespace {

icap::answer answer(unsigned status, std::initializer_list<std::string_view> icap_fields = {},
                    std::initializer_list<std::string_view> http_fields = {}) {
  icap::answer a;
  a.status = status;
  a.head = "ICAP/1.0 " + std::to_string(status) + " x\r\n" + lines(icap_fields) + "\r\n";
  a.http_head = "HTTP/1.1 200 OK\r\n" + lines(http_fields) + "\r\n";
  a.unmodified = status == 204;
  if (a.unmodified) a.http_head.clear();
  return a;
}

std::string threat(std::initializer_list<std::string_view> fields) {
  const auto j = judge(answer(200, fields));
  REQUIRE(j.has_value());
  CHECK(j->kind == verdict::blocked);
  return j->threat;
}

verdict kind(const icap::answer& a) {
  const auto j = judge(a);
  REQUIRE(j.has_value());
  return j->kind;
}

}  // namespace

TEST_CASE("verdict: a 204 is clean, a 200 or 201 without a sign is adapted") {
  CHECK(kind(answer(204)) == verdict::clean);
  CHECK(kind(answer(200)) == verdict::adapted);
  CHECK(kind(answer(201)) == verdict::adapted);
  CHECK(judge(answer(200))->threat.empty());
}

TEST_CASE("verdict: X-Infection-Found blocks whatever it says, in either head, in any case") {
  for (const std::string value : {"", "none", "Type=0; Resolution=0; Threat=x;", "\xff"}) {
    CHECK(kind(answer(200, {"X-Infection-Found: " + value})) == verdict::blocked);
  }
  CHECK(kind(answer(201, {"x-infection-FOUND:x"})) == verdict::blocked);
  CHECK(kind(answer(200, {}, {"X-INFECTION-FOUND: x"})) == verdict::blocked);
}

TEST_CASE("verdict: X-Violations-Found blocks unless it counts nothing") {
  CHECK(kind(answer(200, {"X-Violations-Found: 0"})) == verdict::adapted);
  CHECK(kind(answer(200, {"X-Violations-Found:", "\t0"})) == verdict::adapted);
  for (const std::string value : {"", "1", "00", "0 1", "none", "-0"}) {
    CAPTURE(value);
    CHECK(kind(answer(200, {"X-Violations-Found: " + value})) == verdict::blocked);
  }
  CHECK(kind(answer(200, {"X-Violations-Found: 0", "\tfile", "\tEicar"})) == verdict::blocked);
  CHECK(kind(answer(200, {}, {"x-violations-found: 2"})) == verdict::blocked);
  CHECK(kind(answer(200, {"X-Violations-Found: 0", "X-Violations-Found: 1"})) == verdict::blocked);
}

TEST_CASE("verdict: a 204 that names a detection is not clean") {
  CHECK(kind(answer(204, {"X-Infection-Found: Threat=x"})) == verdict::blocked);
}

TEST_CASE("verdict: statuses that prove nothing are errors of their kind") {
  for (const unsigned status : {503u, 506u}) {
    CHECK(judge(answer(status)).error() == errc::icap_status_busy);
  }
  for (const unsigned status : {400u, 403u, 404u, 418u, 500u, 539u, 599u}) {
    CHECK(judge(answer(status)).error() == errc::icap_status_error);
  }
  for (const unsigned status : {0u, 100u, 202u, 205u, 206u, 302u, 600u, 999u}) {
    CHECK(judge(answer(status)).error() == errc::icap_status_unexpected);
  }
}

TEST_CASE("verdict: an adaptation without a response is an error, a detection without one is not") {
  auto a = answer(200);
  a.http_head.clear();
  CHECK(judge(a).error() == errc::icap_answer_invalid);
  a = answer(200, {"X-Infection-Found: Threat=x"});
  a.http_head.clear();
  CHECK(kind(a) == verdict::blocked);
}

TEST_CASE("verdict: fields that can't be read are an error") {
  CHECK(judge(answer(200, {"a: b\nX-Infection-Found: x"})).error() == errc::icap_answer_invalid);
  CHECK(judge(answer(200, {}, {"a: b\nX-Infection-Found: x"})).error() ==
        errc::icap_answer_invalid);
  CHECK(judge(answer(204, {"no colon"})).error() == errc::icap_answer_invalid);
}

TEST_CASE("verdict: the threat is the parameter's value, blanks and braces included") {
  CHECK(threat({"X-Infection-Found: Type=0; Resolution=2; Threat=Lab.Eicar.Test.UNOFFICIAL;"}) ==
        "Lab.Eicar.Test.UNOFFICIAL");
  CHECK(threat({"X-Infection-Found: Type=0;threat= {HEX}a b, c "}) == "{HEX}a b, c");
  CHECK(threat({"X-Infection-Found: Type=1; NonViralThreat=x"}) == "Type=1; NonViralThreat=x");
  CHECK(threat({"X-Infection-Found: Threat=;"}) == "Threat=;");
}

TEST_CASE("verdict: the threat of X-Violations-Found is its third line") {
  CHECK(threat({"X-Violations-Found: 2", "\ttest.zip", "\tEICAR Test String", "\t11101", "\t0",
                "\ttest.zip/a:b", "\tOther", "\t1", "\t2"}) == "EICAR Test String");
  CHECK(threat({"X-Violations-Found: 1 - Eicar 0 0"}) == "1 - Eicar 0 0");
  CHECK(threat({"X-Violations-Found: 1", "\tfile"}) == "1???file");
}

TEST_CASE("verdict: X-Infection-Found names the threat where both are there") {
  CHECK(threat({"X-Violations-Found: 1", "\t-", "\tSecond", "\t0", "\t0",
                "X-Infection-Found: Threat=First"}) == "First");
  CHECK(threat({"X-Infection-Found:", "X-Violations-Found: 1", "\t-", "\tSecond"}) == "Second");
}

TEST_CASE("verdict: a threat is printable and bounded") {
  CHECK(threat({"X-Infection-Found: Threat=a\tb\x1b[0m\xc3\xa4\x7f"}) == "a?b?[0m???");
  CHECK(threat({"X-Infection-Found: Threat=" + std::string(5000, 'x')}) == std::string(200, 'x'));
}
