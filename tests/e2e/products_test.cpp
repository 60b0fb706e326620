// One scripted scanner for each product that people run, with that product's own answers: what the
// client gets, and what the access line says of it.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

const std::string original = "the body that the origin gave";
const std::string page = "<html>the page of the product</html>";

using text_lines = std::vector<std::string>;

std::string joined(const text_lines& lines) {
  std::string out;
  for (const auto& line : lines) out += line + "\r\n";
  return out;
}

// An answer without a message.
std::string bare(const text_lines& icap) {
  return joined(icap) + "\r\n";
}

// An answer with a response; `behind` are fields that the product writes behind Encapsulated.
std::string answer(const text_lines& icap, const text_lines& http, std::string_view body = page,
                   const text_lines& behind = {}) {
  const auto head = joined(http) + "\r\n";
  auto out = joined(icap) + "Encapsulated: res-hdr=0, ";
  out += (body.empty() ? "null-body=" : "res-body=") + std::to_string(head.size()) + "\r\n";
  out += joined(behind) + "\r\n" + head;
  return body.empty() ? out : out + chunked(body);
}

const text_lines same_response = {"HTTP/1.1 200 OK", "Content-Length: 29", "X-Origin: 1"};
const text_lines forbidden = {"HTTP/1.1 403 Forbidden", "Content-Type: text/html"};

std::string options_of(const text_lines& fields) {
  return "ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nX-Include: X-Client-IP\r\n" + joined(fields) +
         "Encapsulated: null-body=0\r\n\r\n";
}

gate_settings for_product(const std::string& vendor, const std::string& path) {
  gate_settings settings;
  settings.service = path;
  settings.env = {{setting::scanner_vendor, vendor},
                  {setting::scanner_idle, "400ms"},
                  {setting::scanner_after_body, "400ms"}};
  return settings;
}

class product {
 public:
  product(const std::string& vendor, const std::string& path, const text_lines& options,
          bool offered_204 = true)
      : on(for_product(vendor, path),
           {.options = options_of(options), .offered_204 = offered_204}) {
    on.origin.when("/file", {.fields = {{"X-Origin", "1"}}, .body = original});
    on.learn_options();
  }

  // The access log is written in batches, and at the end: all lines are looked at together.
  ~product() {
    CHECK(on.icapgate.finish() == "");
    const auto log = on.icapgate.lines(on.asked);
    for (const auto& one : expected_) {
      const auto& line = log.at(one.number - 1);
      INFO(one.answer);
      CHECK(line.text("verdict") == one.verdict);
      if (one.verdict == "error") {
        check_refusal(one.got, line);
        CHECK(line.text("reason") == one.detail);
      } else {
        CHECK(line.text("threat") == one.detail);
      }
      if (one.own_page) CHECK(one.got.body.find(line.text("request_id")) != std::string::npos);
    }
  }

  // The origin's response is delivered.
  void clean(const std::string& bytes) {
    const auto got = play(bytes, "clean");
    CHECK(got.status == 200);
    CHECK(got.body == original);
    CHECK(value(got.fields(), "X-Origin") == "1");
  }
  // The product's version of it is; `threat` is what it repaired.
  void delivered(const std::string& bytes, const std::string& body,
                 const std::string& threat = "") {
    const auto got = play(bytes, "adapted", threat);
    CHECK(got.status == 200);
    CHECK(got.body == body);
  }
  void original_in_200(const text_lines& icap) {
    delivered(answer(icap, same_response, original), original);
  }
  // The product's page, and nothing of the origin.
  void blocked(const std::string& bytes, const std::string& threat = "", int status = 403) {
    const auto got = refused(bytes, status, "blocked", threat);
    CHECK(got.body == page);
    CHECK(value(got.fields(), "Cache-Control").find("no-store") != std::string::npos);
  }
  // The gateway's own page, since the product has none.
  void blocked_by_own_page(const std::string& bytes, const std::string& threat = "") {
    refused(bytes, 403, "blocked", threat);
    expected_.back().own_page = true;
  }
  void unscannable(const std::string& bytes, const std::string& threat) {
    refused(bytes, 403, "unscannable", threat);
  }
  // No verdict.
  void fails(const std::string& bytes, const std::string& reason) {
    const auto got = play(bytes, "error", reason);
    CHECK(got.status == 503);
    CHECK(got.body.find(original) == std::string::npos);
  }
  // `detail`: the threat, or the reason of an error.
  response play(const std::string& bytes, const std::string& verdict,
                const std::string& detail = "") {
    on.scanner.always(bytes);
    auto got = on.get("/file");
    expected_.push_back({on.asked, bytes, verdict, detail, got});
    return got;
  }
  scan last_scan() { return on.scanner.scan_of("/file"); }

  stage on;

 private:
  struct expectation {
    std::size_t number;  // of the request
    std::string answer;
    std::string verdict;
    std::string detail;
    response got;
    bool own_page = false;
  };

  response refused(const std::string& bytes, int status, const std::string& verdict,
                   const std::string& threat) {
    INFO(bytes);
    auto got = play(bytes, verdict, threat);
    CHECK(got.status == status);
    CHECK(got.whole());
    CHECK_FALSE(has(got.fields(), "X-Origin"));
    CHECK(got.body.find(original) == std::string::npos);
    return got;
  }

  std::vector<expectation> expected_;
};

std::string infection_found(const std::string& threat, const std::string& resolution = "2",
                            const std::string& type = "0") {
  return "X-Infection-Found: Type=" + type + "; Resolution=" + resolution + "; Threat=" + threat +
         ";";
}

}  // namespace

TEST_CASE("product: c-icap with virus_scan") {
  product p("c-icap", "avscan",
            {"ISTag: \"CI0001-L5CkDhq+qW\"", "Preview: 1024", "Allow: 204", "Transfer-Preview: *",
             "Options-TTL: 3600"});
  p.clean(bare({"ICAP/1.0 204 Unmodified", "Server: C-ICAP/0.5.10", "Connection: keep-alive"}));
  CHECK(p.last_scan().ieof);
  const text_lines found = {"ICAP/1.0 200 OK",
                            "Server: C-ICAP/0.5.10",
                            "Connection: keep-alive",
                            infection_found("Eicar-Test"),
                            "X-Violations-Found: 1",
                            "\t-",
                            "\tEicar-Test",
                            "\t0",
                            "\t0"};
  p.blocked(answer(found, {"HTTP/1.0 403 Forbidden", "Connection: close"}), "Eicar-Test");
  p.fails(bare({"ICAP/1.0 500 Server error", "Connection: close"}), "icap_status_error");
}

TEST_CASE("product: SquidClamav") {
  product p("squidclamav", "squidclamav", {"ISTag: \"sq\"", "Preview: 1024", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 Unmodified"}));
  const text_lines found = {"ICAP/1.0 200 OK", "X-Virus-ID: Eicar-Signature",
                            infection_found("Eicar-Signature")};
  p.blocked(answer(found, {"HTTP/1.1 403 Forbidden", "X-Virus-ID: Eicar-Signature"}),
            "Eicar-Signature");
  const text_lines redirect = {"HTTP/1.1 307 Temporary Redirect", "Location: http://h/page"};
  p.blocked(answer(found, redirect), "Eicar-Signature", 307);
  p.fails(bare({"ICAP/1.0 500 Server error", "Connection: close"}), "icap_status_error");
}

TEST_CASE("product: Symantec Protection Engine") {
  product p(
      "symantec", "avscan",
      {"ISTag: \"5BDEEEA9-12E4-2\"", "Service-ID: Respmod AV Scan", "Allow: 204",
       "Max-Connections: 128", "Preview: 4", "Transfer-Complete: exe, zip", "Transfer-Preview: *"});
  p.clean(bare({"ICAP/1.0 204 No Content Necessary", "ISTag: \"5BDEEEA9-12E4-2\""}));
  p.blocked(answer({"ICAP/1.0 201 Created", infection_found("EICAR Test String"),
                    "X-Violations-Found: 1", "\t/tmp/eicar.com", "\tEICAR Test String", "\t11101",
                    "\t2", "X-Outer-Container-Is-Mime: 0"},
                   forbidden),
            "EICAR Test String");
  // Resolution=1: the repaired file is what has to be delivered.
  p.delivered(answer({"ICAP/1.0 200 OK", infection_found("W97M.Test", "1"), "X-Violations-Found: 1",
                      "\ta.doc", "\tW97M.Test", "\t41129", "\t1"},
                     {"HTTP/1.1 200 OK"}, "the repaired file"),
              "the repaired file", "W97M.Test");
  p.unscannable(bare({"ICAP/1.0 500 Internal Server Error", "X-Error-Code: 23"}), "23");
  p.unscannable(
      answer({"ICAP/1.0 201 Created", infection_found("Container size", "0", "2")}, forbidden),
      "Container size");
  p.fails(bare({"ICAP/1.0 539 Aborted - No AV scanning license"}), "icap_status_error");
}

TEST_CASE("product: Kaspersky Scan Engine is not offered 204 and gives the original back") {
  product p("kaspersky", "resp", {"ISTag: \"KAV\""}, false);
  p.original_in_200({"ICAP/1.0 200 OK", "ISTag: \"KAV\""});
  CHECK(value(p.last_scan().response.fields, "Content-Length") == "29");
  // By default nothing but the page tells.
  p.blocked(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.0 403 Forbidden", "Content-Type: text/html"}));
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File", "X-Response-Info: blocked",
                    infection_found("EICAR-Test-File, HEUR:Other", "0")},
                   {"HTTP/1.0 403 Forbidden"}),
            "EICAR-Test-File, HEUR:Other");
  // A rule that detects, and passes what it detected: no page of the scanner's.
  p.blocked_by_own_page(
      answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File"}, same_response, original),
      "EICAR-Test-File");
  p.fails(bare({"ICAP/1.0 204 No Content"}), "icap_answer_invalid");
}

TEST_CASE("product: Kaspersky Scan Engine echoes a body that the origin chunked") {
  product p("kaspersky", "resp", {"ISTag: \"KAV\""}, false);
  p.on.origin.when("/file",
                   {.fields = {{"X-Origin", "1"}}, .body = original, .form = framing::chunked});
  p.original_in_200({"ICAP/1.0 200 OK", "ISTag: \"KAV\""});
}

TEST_CASE("product: Kaspersky Web Traffic Security tells a negative, too") {
  product p("kwts", "av/respmod", {"ISTag: \"KWTS\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 No Content", "X-Virus-ID: no threats", "X-Response-Info: passed"}));
  p.original_in_200({"ICAP/1.0 200 OK", "X-Virus-ID: no threats", "X-Response-Info: passed"});
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File", "X-Response-Info: blocked"},
                   forbidden),
            "EICAR-Test-File");
}

TEST_CASE("product: Skyhigh Web Gateway has its headers behind Encapsulated") {
  product p("skyhigh", "respmod", {"ISTag: \"00006492\"", "Allow: 204", "Preview: 4"});
  p.clean(bare({"ICAP/1.0 204 No Content", "ISTag: \"00006492\""}));
  const text_lines page_head = {"HTTP/1.1 403 VirusFound", "Via: 1.1 mwg"};
  p.blocked(answer({"ICAP/1.0 200 OK"}, page_head, page,
                   {"X-Virus-Name: McAfeeGW: EICAR test file", "X-Block-Reason: Malware found",
                    "X-WWBlockResult: 80"}),
            "McAfeeGW: EICAR test file");
  p.blocked(answer({"ICAP/1.0 200 OK"}, page_head, page, {"X-Block-Reason: Media Type"}),
            "Media Type");
  p.fails(bare({"ICAP/1.0 418 Bad composition"}), "icap_status_error");
  // Its 100 carries an ISTag.
  p.on.scanner.play([](exchange& with) {
    with.preview();
    with.wire().write("ICAP/1.0 100 Continue\r\nISTag: \"00006492\"\r\n\r\n");
    with.body();
    with.answer(no_modification());
  });
  CHECK(p.on.get("/file").body == original);
}

TEST_CASE("product: OPSWAT MetaDefender tells of every answer what it did") {
  product p("metadefender", "OMSScanResp-AV", {"ISTag: \"MD\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 No modification needed", "X-Response-Info: Allowed",
                "X-ICAP-Profile: File scan"}));
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Response-Info: Blocked", "X-Blocked-Reason: Infected",
                    "X-Virus-ID: EICAR", infection_found("EICAR", "0")},
                   forbidden),
            "EICAR");
  // Rebuilt without its active content: no block.
  p.delivered(answer({"ICAP/1.0 200 OK", "X-Response-Info: Allowed"}, {"HTTP/1.1 200 OK"},
                     "the sanitised file"),
              "the sanitised file");
  p.blocked_by_own_page(bare({"ICAP/1.0 403 Forbidden", "X-Response-Info: Blocked"}));
  p.fails(bare({"ICAP/1.0 502 Bad Gateway"}), "icap_status_error");
}

TEST_CASE("product: Trend Micro IWSVA") {
  product p("trend-iwsva", "avscan", {"ISTag: \"IWSVA\"", "Allow: 204", "Preview: 0"});
  p.clean(no_modification());
  p.blocked(
      answer({"ICAP/1.0 200 OK", "X-Virus-ID: Eicar_test_file", infection_found("Eicar_test_file")},
             {"HTTP/1.1 403 Forbidden (TMWS Blocked)"}),
      "Eicar_test_file");
  p.blocked(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 403 Forbidden (TMWS Blocked)"}));
  p.fails(bare({"ICAP/1.0 400 Bad Request"}), "icap_status_error");
}

TEST_CASE("product: Trend Micro Deep Discovery Analyzer describes every answer") {
  product p("trend-ddan", "response", {"ISTag: \"DDAN\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 No Content", "X-Response-Desc: URL and file: no risk"}));
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Response-Desc: Known threat", "X-Virus-ID: Eicar",
                    infection_found("Eicar")},
                   forbidden),
            "Eicar");
}

TEST_CASE("product: Trend Vision One File Security") {
  product p("trend-vision-one", "avscan?pml=true", {"ISTag: \"V1\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 201 Created", "X-Virus-ID: Eicar"}, forbidden), "Eicar");
  p.blocked_by_own_page(bare({"ICAP/1.0 403 Infected and not repaired"}));
  p.fails(bare({"ICAP/1.0 506 Server too busy"}), "icap_status_busy");
  p.fails(bare({"ICAP/1.0 551 Resource unavailable"}), "icap_status_error");
  p.fails(bare({"ICAP/1.0 558 No license"}), "icap_status_error");
}

TEST_CASE("product: Avira WebGate blocks without a page") {
  product p("avira", "avscan", {"ISTag: \"avira\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked_by_own_page(bare({"ICAP/1.0 403 Forbidden", "Encapsulated: null-body=0"}));
}

TEST_CASE("product: Sophos SAVDI tells in the HTTP head") {
  product p("sophos", "sophos", {"ISTag: \"savdi\"", "Allow: 204"});
  p.clean(no_modification());
  const text_lines head = {"HTTP/1.1 403 Forbidden", "X-Blocked: Virus found during virus scan",
                           "X-Blocked-By: Sophos Anti-Virus"};
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-AV-Test"}, head), "EICAR-AV-Test");
  p.blocked(answer({"ICAP/1.0 200 OK"}, head), "Virus found during virus scan");
}

TEST_CASE("product: ESET sends an empty page and texts that are not ASCII") {
  product p("eset", "scan", {"ISTag: \"eset\"", "Allow: 204"});
  p.clean(no_modification());
  const auto found =
      answer({"ICAP/1.0 200 OK", infection_found("Eicar", "0"),
              "X-Virus-ID: Eicar - testovac\xc3\xad soubor", "X-Response-Info: Blocked",
              "X-Response-Description: Objekt zablokov\xc3\xa1n"},
             {"HTTP/1.1 403 Forbidden", "Content-Length: 0"}, "");
  const auto got = p.play(found, "blocked", "Eicar");
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body.find(original) == std::string::npos);
  p.fails(bare({"ICAP/1.0 405 Forbidden"}), "icap_status_error");
}

TEST_CASE("product: F-Secure tells the result of clean files, too") {
  product p("fsecure", "respmod", {"ISTag: \"FSAV\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 No Content", "X-FSecure-Scan-Result: clean"}));
  p.original_in_200({"ICAP/1.0 200 OK", "X-FSecure-Scan-Result: clean"});
  p.blocked(answer({"ICAP/1.0 200 OK", "X-FSecure-Scan-Result: infected",
                    "X-FSecure-Infection-Name: \"EICAR_Test_File\"",
                    "X-FSecure-Infected-Filename: \"eicar.com\""},
                   forbidden),
            "EICAR_Test_File");
}

TEST_CASE("product: Dr.Web lists scan errors where others list violations") {
  product p("drweb", "respmod", {"ISTag: \"drweb\"", "Allow: 204", "Preview: 1024"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK", infection_found("EICAR Test File"),
                    "X-Virus-ID: EICAR Test File", "X-Response-Info: infected"},
                   forbidden),
            "EICAR Test File");
  p.unscannable(answer({"ICAP/1.0 200 OK", "X-Violations-Found: 1", "\ta.zip",
                        "\tPassword protected", "\t0", "\t0"},
                       same_response, original),
                "Password protected");
  p.original_in_200({"ICAP/1.0 200 OK", "X-Response-Info: Gambling"});
}

TEST_CASE("product: FortiSandbox gets no preview, and a connection for each scan") {
  product p("fortisandbox", "respmod", {"ISTag: \"forti\"", "Allow: 204", "Preview: 1024"});
  p.clean(bare({"ICAP/1.0 204 No Content"}));
  const auto first = p.last_scan();
  CHECK_FALSE(first.preview);
  CHECK(first.order == 0);
  CHECK(lower(value(first.icap.fields, "Connection")) == "close");
  p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
  CHECK(p.last_scan().connection != first.connection);
  p.original_in_200({"ICAP/1.0 200 OK"});
}

TEST_CASE("product: FortiProxy as a server") {
  product p("generic", "scan", {"ISTag: \"f\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 No Content", "ISTag: \"f\""}));
  p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
}

TEST_CASE("product: Check Point is c-icap with a template of its own") {
  product p("checkpoint", "sandblast", {"ISTag: \"CP\"", "Allow: 204", "Preview: 1024"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK", infection_found("Trojan.x"), "X-Violations-Found: 1", "\t-",
                    "\tTrojan.x", "\t0", "\t0"},
                   {"HTTP/1.0 403 Forbidden"}),
            "Trojan.x");
}

TEST_CASE("product: Forcepoint DLP blocks by its page alone") {
  product p("forcepoint", "respmod", {"ISTag: \"dlp\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
  p.delivered(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "blocked by policy"),
              "blocked by policy");
}

TEST_CASE("product: Broadcom DLP says 204 OK, and blocks by a text with 200") {
  product p("broadcom-dlp", "respmod", {"ISTag: \"Vontu\"", "Allow: 204"});
  p.clean(bare({"ICAP/1.0 204 OK", "ISTag: \"Vontu\""}));
  p.delivered(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "blocked by policy"),
              "blocked by policy");
}

TEST_CASE("product: Clearswift tells policy and viruses in one header, and lists each member") {
  product p("clearswift", "respmod", {"ISTag: \"SIG\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Virus-ID: Policy violation",
                    infection_found("Policy violation", "2", "1")},
                   forbidden),
            "Policy violation");
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Violations-Found: 2", "\ta.zip", "\tEICAR", "\t0", "\t2",
                    "\ta.zip/b: c.com", "\tEICAR", "\t0", "\t2"},
                   forbidden),
            "EICAR");
}

TEST_CASE("product: Trellix IVX sends a page where its blocking mode is on") {
  product p("trellix-ivx", "respmod", {"ISTag: \"IVX\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
  p.delivered(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK"}, "a comfort page"), "a comfort page");
}

TEST_CASE("product: Votiro and Glasswall deliver rebuilt files") {
  for (const std::string vendor : {"votiro", "glasswall"}) {
    product p(vendor, "gw_rebuild", {"ISTag: \"cdr\"", "Allow: 204"});
    p.delivered(answer({"ICAP/1.0 200 OK"}, {"HTTP/1.1 200 OK", "Content-Length: 7"}, "rebuilt"),
                "rebuilt");
    p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
  }
}

TEST_CASE("product: Bitdefender Security Server") {
  product p("bitdefender", "respmod", {"ISTag: \"bd\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK", "X-Virus-ID: EICAR-Test-File (not a virus)"}, forbidden),
            "EICAR-Test-File (not a virus)");
  p.fails(bare({"ICAP/1.0 503 Service overloaded"}), "icap_status_busy");
}

TEST_CASE("product: Finjan blocks by a page") {
  product p("finjan", "Finjan_RESPMOD", {"ISTag: \"finjan\"", "Allow: 204"});
  p.clean(no_modification());
  p.blocked(answer({"ICAP/1.0 200 OK"}, forbidden));
}

TEST_CASE("product: e2guardian gets its state header, and never uses 204") {
  product p("e2guardian", "response", {"ISTag:1770-5", "Allow: 204"});
  p.original_in_200({"ICAP/1.0 200 OK", "ISTag:1770-5"});
  CHECK(has(p.last_scan().icap.fields, "X-ICAP-E2G"));
  p.blocked(answer({"ICAP/1.0 200 OK", "ISTag:1770-5"}, forbidden));
  p.fails(bare({"ICAP/1.0 418 Bad composition", "ISTag:1770-5"}), "icap_status_error");
  // Its 400 has no end.
  p.on.scanner.play([](exchange& with) {
    with.body();
    with.answer("ICAP/1.0 400 Bad request\r\nService: e2guardian\r\n");
    with.wire().read_to_end();
  });
  CHECK(p.on.get("/file").status == 503);
}

TEST_CASE("product: ICAPeg") {
  product p("icapeg", "clamav", {"ISTag: \"ICAPEG\"", "Allow: 204", "Preview: 1024"});
  p.clean(bare({"ICAP/1.0 204 No Modifications", "X-ICAPeg-Shadow-Service: false"}));
  p.blocked(answer({"ICAP/1.0 200 OK", "X-ICAPeg-Shadow-Service: false"}, forbidden));
  p.fails(bare({"ICAP/1.0 408 Request timeout"}), "icap_status_error");
  p.fails(bare({"ICAP/1.0 400 Bad request"}), "icap_status_error");
}

TEST_CASE("product: bitz-server does not list its response head") {
  product p("generic", "respmod", {"ISTag: bitz"});
  const auto bitz = [](const text_lines& http, std::string_view body) {
    const auto head = joined(http) + "\r\n";
    return "ICAP/1.0 200 OK\r\nISTag: bitz\r\nConnection: close\r\nEncapsulated: res-body=" +
           std::to_string(head.size()) + "\r\n\r\n" + head + chunked(body);
  };
  p.delivered(bitz(same_response, original), original);
  p.blocked(bitz(forbidden, page));
  p.fails(bitz({"no head at all"}, page), "icap_answer_invalid");
}

TEST_CASE("product: a sign behind the body counts where trailers are used") {
  product p("generic", "respmod", {"ISTag: \"t\"", "Allow: 204"});
  auto bytes = answer({"ICAP/1.0 200 OK", "Trailer: X-Infection-Found"}, forbidden);
  bytes.insert(bytes.size() - 2, infection_found("Late") + "\r\n");
  p.blocked(bytes, "Late");
}
