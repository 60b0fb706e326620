// One case per product: what it answers, byte for byte as far as it is known, and what is made of
// it.
#include "icap/verdict.hpp"

#include "catch.hpp"
#include "transcript.hpp"

#include <initializer_list>
#include <string>

using namespace icapgate;
using event = icap::exchange::event;
using icap::verdict;

namespace {

using fields = std::initializer_list<std::string_view>;

const std::string body = "hello clean world\n";

std::string chunked(std::string_view text) {
  if (text.empty()) return "0\r\n\r\n";
  return std::string(chunk_size_line(text.size()).view()) + std::string(text) + "\r\n0\r\n\r\n";
}

// The ICAP head's lines, then the HTTP head's lines and the page. Encapsulated stands last, where
// the heads do not bring their own.
std::string answer(fields icap, fields http, std::string_view page = "<html>page</html>") {
  const std::string http_head = test::lines(http) + "\r\n";
  return test::lines(icap) +
         "Encapsulated: res-hdr=0, res-body=" + std::to_string(http_head.size()) + "\r\n\r\n" +
         http_head + chunked(page);
}

std::string bare(fields icap) {
  return test::lines(icap) + "\r\n";
}

const fields same_page = {"HTTP/1.1 200 OK", "Content-Type: text/plain", "Content-Length: 18"};

class product {
 public:
  explicit product(std::string_view name) : profile_(icap::find_profile(name)) {
    REQUIRE(profile_);
    script_.request.allow_204 = profile_->allow_204;
    script_.request.fields = profile_->fields;
    script_.body = body;
  }

  product& original_status(unsigned status) {
    original_status_ = status;
    return *this;
  }
  product& preview(std::size_t size) {
    script_ = test::with_preview(size, body);
    return *this;
  }

  // The answer is whole; its judgement must be that. Returns how it ended.
  test::outcome says(const std::string& wire, verdict kind, std::string_view threat = "",
                     std::string_view sign = "") const {
    CAPTURE(wire);
    const auto out = test::play(wire, script_);
    REQUIRE(out.last == event::complete);
    const auto j = icap::judge(out.answer, *profile_, original_status_);
    REQUIRE(j.has_value());
    CHECK(j->kind == kind);
    CHECK(j->threat == threat);
    CHECK(j->sign == sign);
    return out;
  }

  void fails(const std::string& wire, errc why) const {
    CAPTURE(wire);
    const auto out = test::play(wire, script_);
    if (out.last == event::failed) {
      CHECK(out.error == why);
      return;
    }
    const auto j = icap::judge(out.answer, *profile_, original_status_);
    REQUIRE(j.has_error());
    CHECK(j.error() == why);
  }

 private:
  const icap::profile* profile_;
  test::script script_;
  unsigned original_status_ = 200;
};

}  // namespace

TEST_CASE("product: c-icap with virus_scan") {
  const product p("c-icap");
  CHECK(p.says(test::no_content, verdict::clean).reusable);
  const auto out =
      p.says(answer({"ICAP/1.0 200 OK", "Server: C-ICAP/0.5.10", "Connection: keep-alive",
                     "ISTag: \"CI0001-L5CkDhq+qWNs+PZ5DxxXsAAA\"",
                     "X-Infection-Found: Type=0; Resolution=2; Threat=Lab.Eicar.Test.UNOFFICIAL;",
                     "X-Violations-Found: 1", "\t-", "\tLab.Eicar.Test.UNOFFICIAL", "\t0", "\t0"},
                    {"HTTP/1.0 403 Forbidden", "Server: C-ICAP", "Connection: close",
                     "Content-Type: text/html", "Content-Language: en",
                     "Via: ICAP/1.0 vm (C-ICAP/0.5.10)"},
                    std::string_view("<html></html>\n\0\0", 16)),
             verdict::blocked, "Lab.Eicar.Test.UNOFFICIAL", "X-Infection-Found");
  CHECK(out.body == std::string_view("<html></html>\n\0\0", 16));
  CHECK(out.reusable);
  p.says(answer({"ICAP/1.0 200 OK", "ISTag: \"x\""}, same_page, body), verdict::adapted);
  p.fails(bare({"ICAP/1.0 500 Server error", "Connection: close", "ISTag: \"x\""}),
          errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 404 Service not found", "Connection: close"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 400 Bad request", "ISTag: \"x\"", "Connection: close"}),
          errc::icap_status_error);
}

TEST_CASE("product: c-icap answers previews, with a bare 100 before the rest") {
  product p("c-icap");
  p.preview(4);
  const auto out = p.says("ICAP/1.0 100 Continue\r\n\r\n" + test::no_content, verdict::clean);
  CHECK(out.continues == 1);
  p.preview(1024).says(
      answer({"ICAP/1.0 200 OK", "X-Infection-Found: Threat=Eicar;"}, {"HTTP/1.0 403 Forbidden"}),
      verdict::blocked, "Eicar", "X-Infection-Found");
}

TEST_CASE("product: SquidClamav") {
  product p("squidclamav");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: Eicar-Signature",
                 "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Signature;"},
                {"HTTP/1.1 403 Forbidden", "X-Virus-ID: Eicar-Signature",
                 "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar-Signature;"}),
         verdict::blocked, "Eicar-Signature", "X-Infection-Found");
  // A redirect to the page of the administrator's.
  const fields redirect = {"HTTP/1.1 307 Temporary Redirect", "Location: http://h/clwarn.cgi?v=x"};
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: Eicar"}, redirect, ""), verdict::blocked, "Eicar",
         "X-Virus-ID");
  p.says(answer({"ICAP/1.0 200 OK"}, redirect, ""), verdict::adapted);
  p.fails(bare({"ICAP/1.0 500 Server error", "Connection: close"}), errc::icap_status_error);
  p.preview(1024).says(test::no_content, verdict::clean);
}

TEST_CASE("product: Symantec Protection Engine") {
  const product p("symantec");
  p.says(bare({"ICAP/1.0 204 No Content Necessary", "ISTag: \"5BDEEEA9-12E4-2\"",
               "Service-ID: Respmod AV Scan"}),
         verdict::clean);
  p.says(answer({"ICAP/1.0 201 Created", "ISTag: \"5BDEEEA9-12E4-2\"",
                 "X-Infection-Found: Type=0; Resolution=2; Threat=EICAR Test String;",
                 "X-Violations-Found: 1", "\t/tmp/eicar.com", "\tEICAR Test String", "\t11101",
                 "\t2", "X-Outer-Container-Is-Mime: 0"},
                {"HTTP/1.1 403 Forbidden", "Via: ICAP/1.0 h (SPE)"}),
         verdict::blocked, "EICAR Test String", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK", "X-Infection-Found: Type=0; Resolution=1; Threat=W97M.Test;",
                 "X-Violations-Found: 1", "\ta.doc", "\tW97M.Test", "\t41129", "\t1"},
                same_page, "repaired body here"),
         verdict::adapted, "W97M.Test", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 201 Created",
                 "X-Infection-Found: Type=2; Resolution=0; Threat=Container size violation;"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::unscannable, "Container size violation", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 201 Created",
                 "X-Infection-Found: Type=1; Resolution=2; NonViralThreat=Adware.Test;"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "Adware.Test", "X-Infection-Found");
  p.says(bare({"ICAP/1.0 500 Internal Server Error", "X-Error-Code: 23", "Connection: close"}),
         verdict::unscannable, "23", "X-Error-Code");
  p.fails(bare({"ICAP/1.0 500 Internal Server Error"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 539 Aborted - No AV scanning license"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 551 Resource unavailable"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 506 Server too busy"}), errc::icap_status_busy);
}

TEST_CASE("product: Kaspersky Scan Engine") {
  product p("kaspersky");
  // It sends the original back, and by default no header tells of a detection.
  p.says(answer({"ICAP/1.0 200 OK", "ISTag: \"KAV\""}, same_page, body), verdict::adapted);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.0 403 Forbidden", "Content-Type: text/html"}),
         verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File", "X-Response-Info: blocked",
                 "X-Response-Desc: detected",
                 "X-Infection-Found: Type=0; Resolution=0; Threat=EICAR-Test-File, HEUR:Other;"},
                {"HTTP/1.0 403 Forbidden"}),
         verdict::blocked, "EICAR-Test-File, HEUR:Other", "X-Infection-Found");
  // A rule that detects, but lets pass.
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File"}, same_page, body),
         verdict::blocked, "EICAR-Test-File", "X-Virus-ID");
  p.original_status(404).says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 404 Not Found"}, body),
                              verdict::adapted);
  p.fails(bare({"ICAP/1.0 400 Bad request"}), errc::icap_status_error);
}

TEST_CASE("product: Kaspersky Web Traffic Security tells a negative in X-Virus-ID") {
  const product p("kwts");
  p.says(bare({"ICAP/1.0 204 No Content", "X-Virus-ID: no threats", "X-Response-Info: passed"}),
         verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: no threats", "X-Response-Info: passed"}, same_page,
                body),
         verdict::adapted);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File", "X-Response-Info: blocked"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "EICAR-Test-File", "X-Virus-ID");
}

TEST_CASE("product: Skyhigh Web Gateway, with its headers behind Encapsulated") {
  product p("skyhigh");
  const std::string page = "HTTP/1.1 403 VirusFound\r\nVia: 1.1 mwg\r\n\r\n";
  const auto blocked = [&](fields more) {
    return "ICAP/1.0 200 OK\r\nISTag: \"00006492-19.80.73-00010089\"\r\nEncapsulated: res-hdr=0, "
           "res-body=" +
           std::to_string(page.size()) + "\r\n" + test::lines(more) + "\r\n" + page +
           chunked("page");
  };
  p.says(bare({"ICAP/1.0 204 No Content", "ISTag: \"00006492-19.80.73-00010089\""}),
         verdict::clean);
  p.says(
      blocked({"X-Virus-Name: McAfeeGW: EICAR test file, Avira: Eicar-Test-Signature",
               "X-Block-Reason: Malware found", "X-WWBlockResult: 80", "X-Media-Type: text/plain"}),
      verdict::blocked, "McAfeeGW: EICAR test file, Avira: Eicar-Test-Signature", "X-Virus-Name");
  p.says(blocked({"X-Block-Reason: Media Type (Block List)"}), verdict::blocked,
         "Media Type (Block List)", "X-Block-Reason");
  p.says(blocked({"X-MWG-Block-Reason: Infected"}), verdict::blocked, "Infected",
         "X-MWG-Block-Reason");
  p.says(blocked({"X-WWBlockResult: 80"}), verdict::blocked, "80", "X-WWBlockResult");
  p.says(blocked({"X-WWBlockResult: 0"}), verdict::blocked);  // the page alone
  p.fails(bare({"ICAP/1.0 418 Bad composition"}), errc::icap_status_error);
  p.preview(4).says("ICAP/1.0 100 Continue\r\nISTag: \"a\"\r\n\r\n" + test::no_content,
                    verdict::clean);
}

TEST_CASE("product: OPSWAT MetaDefender") {
  const product p("metadefender");
  p.says(bare({"ICAP/1.0 204 No modification needed", "X-Response-Info: Allowed",
               "X-ICAP-Profile: File scan"}),
         verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Info: Blocked", "X-Blocked-Reason: Infected",
                 "X-Virus-ID: EICAR", "X-Infection-Found: Type=0; Resolution=0; Threat=EICAR;",
                 "X-Violations-Found: 1", "\ta.txt", "\tEICAR", "\t0", "\t0"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "EICAR", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Info: Blocked",
                 "X-Blocked-Reason: Archive not supported",
                 "X-Infection-Found: Type=2; Resolution=0; Threat=Encrypted Archive;"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "Encrypted Archive", "X-Blocked-Reason");
  // Disarmed and rebuilt: no block.
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Info: Allowed"}, same_page, "sanitised body here"),
         verdict::adapted);
  p.says(bare({"ICAP/1.0 403 Forbidden", "X-Response-Info: Blocked"}), verdict::blocked, "",
         "X-Response-Info");
  p.fails(bare({"ICAP/1.0 502 Bad Gateway"}), errc::icap_status_error);
}

TEST_CASE("product: Trend Micro IWSVA") {
  const product p("trend-iwsva");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: Eicar_test_file",
                 "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar_test_file;"},
                {"HTTP/1.1 403 Forbidden (TMWS Blocked)"}),
         verdict::blocked, "Eicar_test_file", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden (TMWS Blocked)"}), verdict::blocked);
  p.fails(bare({"ICAP/1.0 400 Bad Request"}), errc::icap_status_error);
}

TEST_CASE("product: Trend Micro Deep Discovery Analyzer describes every answer") {
  const product p("trend-ddan");
  p.says(bare({"ICAP/1.0 204 No Content", "X-Response-Desc: URL and file: no risk"}),
         verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Desc: Known threat", "X-Virus-ID: Eicar_test_file",
                 "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar_test_file;"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "Eicar_test_file", "X-Infection-Found");
}

TEST_CASE("product: Trend Vision One File Security") {
  const product p("trend-vision-one");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 201 Created", "X-Virus-ID: Eicar"}, {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "Eicar", "X-Virus-ID");
  p.says(bare({"ICAP/1.0 403 Infected and not repaired"}), verdict::blocked);
  p.fails(bare({"ICAP/1.0 506 Server too busy"}), errc::icap_status_busy);
  p.fails(bare({"ICAP/1.0 551 Resource unavailable"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 558 No license"}), errc::icap_status_error);
}

TEST_CASE("product: Avira WebGate blocks by an ICAP 403 without a page") {
  const product p("avira");
  p.says(test::no_content, verdict::clean);
  const auto out =
      p.says(bare({"ICAP/1.0 403 Forbidden", "ISTag: \"a\"", "Encapsulated: null-body=0"}),
             verdict::blocked);
  CHECK_FALSE(out.answer.has_body);
  CHECK(out.answer.http_head.empty());
}

TEST_CASE("product: Sophos SAVDI tells in the HTTP head") {
  const product p("sophos");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-AV-Test"},
                {"HTTP/1.1 403 Forbidden", "X-Blocked: Virus found during virus scan",
                 "X-Blocked-By: Sophos Anti-Virus"}),
         verdict::blocked, "EICAR-AV-Test", "X-Virus-ID");
  p.says(answer({"ICAP/1.0 200 OK"},
                {"HTTP/1.1 403 Forbidden", "X-Blocked: Virus found during virus scan",
                 "X-Blocked-By: Sophos Anti-Virus"}),
         verdict::blocked, "Virus found during virus scan", "X-Blocked");
}

TEST_CASE("product: ESET sends an empty page and texts in the administrator's language") {
  const product p("eset");
  p.says(test::no_content, verdict::clean);
  const fields page = {"HTTP/1.1 403 Forbidden", "Content-Length: 0"};
  p.says(answer({"ICAP/1.0 200 OK", "X-Infection-Found: Type=0; Resolution=0; Threat=Eicar;",
                 "X-Virus-ID: Eicar - testovac\xc3\xad soubor", "X-Response-Info: Blocked",
                 "X-Response-Description: Objekt zablokov\xc3\xa1n"},
                page, ""),
         verdict::blocked, "Eicar", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: testovac\xc3\xad"}, page, ""), verdict::blocked,
         "testovac??", "X-Virus-ID");
  p.says(answer({"ICAP/1.0 200 OK"}, page, ""), verdict::blocked);
  p.says(
      "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=45\r\n\r\n"
      "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
      verdict::blocked);
  p.fails(bare({"ICAP/1.0 405 Forbidden"}), errc::icap_status_error);
}

TEST_CASE("product: F-Secure Internet Gatekeeper tells its result of clean files, too") {
  const product p("fsecure");
  p.says(bare({"ICAP/1.0 204 No Content", "X-FSecure-Scan-Result: clean"}), verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-FSecure-Scan-Result: clean"}, same_page, body),
         verdict::adapted);
  p.says(answer({"ICAP/1.0 200 OK", "X-FSecure-Scan-Result: infected",
                 "X-FSecure-Infection-Name: \"EICAR_Test_File\"",
                 "X-FSecure-Infected-Filename: \"eicar.com\""},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "EICAR_Test_File", "X-FSecure-Scan-Result");
}

TEST_CASE("product: Dr.Web lists scan errors in X-Violations-Found") {
  const product p("drweb");
  p.says(test::no_content, verdict::clean);
  p.says(
      answer({"ICAP/1.0 200 OK", "X-Infection-Found: Type=0; Resolution=2; Threat=EICAR Test File;",
              "X-Virus-ID: EICAR Test File", "X-Response-Info: infected"},
             {"HTTP/1.1 403 Forbidden"}),
      verdict::blocked, "EICAR Test File", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK", "X-Violations-Found: 1", "\ta.zip", "\tPassword protected",
                 "\t0", "\t0"},
                same_page, body),
         verdict::unscannable, "Password protected", "X-Violations-Found");
  // A category of sites: told by the page that replaces the original.
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Info: Gambling"}, {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK", "X-Response-Info: Gambling"}, same_page, body),
         verdict::adapted);
}

TEST_CASE("product: FortiSandbox gets no preview, since its 204 to one proves nothing") {
  CHECK_FALSE(icap::find_profile("fortisandbox")->preview);
  const product p("fortisandbox");
  p.says(bare({"ICAP/1.0 204 No Content", "ISTag: \"f\""}), verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK"}, same_page, body), verdict::adapted);
}

TEST_CASE("product: FortiProxy as a server needs no profile") {
  const product p("generic");
  p.says(bare({"ICAP/1.0 204 No Content", "ISTag: \"f\""}), verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
}

TEST_CASE("product: Check Point is c-icap with a template of its own") {
  const product p("checkpoint");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Infection-Found: Type=0; Resolution=2; Threat=Trojan.x;",
                 "X-Violations-Found: 1", "\t-", "\tTrojan.x", "\t0", "\t0"},
                {"HTTP/1.0 403 Forbidden"}, "VIRUS_FOUND"),
         verdict::blocked, "Trojan.x", "X-Infection-Found");
}

TEST_CASE("product: Forcepoint DLP blocks by a page, with any status") {
  const product p("forcepoint");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "blocked by policy"), verdict::adapted);
}

TEST_CASE("product: Broadcom DLP answers 204 OK, and blocks by a text with 200") {
  const product p("broadcom-dlp");
  p.says(bare({"ICAP/1.0 204 OK", "ISTag: \"Vontu\""}), verdict::clean);
  const auto out = p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "blocked by policy"),
                          verdict::adapted);
  CHECK(out.body == "blocked by policy");
}

TEST_CASE("product: Clearswift tells policy and viruses in one header, and lists each member") {
  const product p("clearswift");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: Policy violation",
                 "X-Infection-Found: Type=1; Resolution=2; Threat=Policy violation;"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "Policy violation", "X-Infection-Found");
  p.says(answer({"ICAP/1.0 200 OK", "X-Violations-Found: 2", "\ta.zip", "\tEICAR", "\t0", "\t2",
                 "\ta.zip/b.com", "\tEICAR", "\t0", "\t2"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "EICAR", "X-Violations-Found");
}

TEST_CASE("product: Trellix IVX sends a page where its blocking mode is on") {
  const product p("trellix-ivx");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "comfort page"), verdict::adapted);
}

TEST_CASE("product: Votiro always delivers a rebuilt file") {
  const product p("votiro");
  const auto out =
      p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK", "Content-Length: 7"}, "rebuilt"),
             verdict::adapted);
  CHECK(out.body == "rebuilt");
}

TEST_CASE("product: Glasswall delivers a rebuilt file or a report page") {
  const product p("glasswall");
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK", "Content-Length: 7"}, "rebuilt"),
         verdict::adapted);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}, "report"), verdict::blocked);
}

TEST_CASE("product: Bitdefender Security Server, whose signals are not public") {
  const product p("bitdefender");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File (not a virus)"},
                {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked, "EICAR-Test-File (not a virus)", "X-Virus-ID");
  p.fails(bare({"ICAP/1.0 503 Service overloaded"}), errc::icap_status_busy);
}

TEST_CASE("product: Finjan blocks by a page") {
  const product p("finjan");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
}

TEST_CASE("product: e2guardian gets its state header and never uses 204") {
  CHECK(icap::find_profile("e2guardian")->fields == "X-ICAP-E2G: \r\n");
  const product p("e2guardian");
  const auto out =
      p.says(answer({"ICAP/1.0 200 OK", "ISTag:177-5"}, same_page, body), verdict::adapted);
  CHECK(out.answer.istag == "177-5");
  p.says(answer({"ICAP/1.0 200 OK", "ISTag:177-5"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
  p.fails(bare({"ICAP/1.0 418 Bad composition", "ISTag:177-5"}), errc::icap_status_error);
}

TEST_CASE("product: e2guardian never ends the head of its 400, which is no answer yet") {
  const auto out = test::play("ICAP/1.0 400 Bad request\r\nService: e2guardian\r\n");
  CHECK(out.last == event::need_input);
  CHECK_FALSE(out.head_told);
}

TEST_CASE("product: ICAPeg") {
  const product p("icapeg");
  p.says(bare({"ICAP/1.0 204 No Modifications", "X-ICAPeg-Shadow-Service: false"}), verdict::clean);
  p.says(answer({"ICAP/1.0 200 OK", "X-ICAPeg-Shadow-Service: false"}, {"HTTP/1.1 403 Forbidden"}),
         verdict::blocked);
  p.fails(bare({"ICAP/1.0 408 Request timeout"}), errc::icap_status_error);
  p.fails(bare({"ICAP/1.0 400 Bad request"}), errc::icap_status_error);
}

TEST_CASE(
    "product: bitz-server leaves res-hdr out of the list, and the head is found nevertheless") {
  const product p("generic");
  const auto bitz = [](const std::string& head) {
    return "ICAP/1.0 200 OK\r\nISTag: bitz\r\nConnection: close\r\nEncapsulated: res-body=" +
           std::to_string(head.size()) + "\r\n\r\n" + head + chunked(body);
  };
  const auto out = p.says(bitz("HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n"), verdict::adapted);
  CHECK(out.body == body);
  CHECK(out.answer.istag == "bitz");
  CHECK_FALSE(out.reusable);
  p.says(bitz("HTTP/1.1 403 Forbidden\r\n\r\n"), verdict::blocked);
  p.fails(bitz("no head at all"), errc::icap_answer_invalid);
}

TEST_CASE("product: other clients' rules: a 201 and a 403 in the page block, a 204 does not") {
  const product p("generic");
  p.says(test::no_content, verdict::clean);
  p.says(answer({"ICAP/1.0 201 Created"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
  p.says(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden"}), verdict::blocked);
}

TEST_CASE("product: signs behind the body count once the answer is whole") {
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  const std::string wire =
      "ICAP/1.0 200 OK\r\nTrailer: X-Infection-Found\r\nEncapsulated: res-hdr=0, res-body=" +
      std::to_string(head.size()) + "\r\n\r\n" + head +
      "3\r\nabc\r\n0\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Late;\r\n\r\n";
  product("generic").says(wire, verdict::blocked, "Late", "X-Infection-Found");
}
