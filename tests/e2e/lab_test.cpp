// The real thing: nginx as the origin, c-icap with ClamAV as the scanner.
#include "kit/lab.hpp"
#include "kit/gate.hpp"
#include "kit/http_client.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

// nginx and a gateway in front of it; the scanner is the play's own, since plays stop it.
struct laboratory {
  explicit laboratory(gate_settings settings) : icapgate(for_origin(std::move(settings))) {
    origin.serve("clean.bin", clean);
    origin.serve("eicar.com", eicar());
    origin.serve("late.bin", noise(3'000'000, 5) + eicar());
  }
  ~laboratory() { CHECK(icapgate.finish() == ""); }

  response get(const std::string& target) { return http_client(icapgate.port()).get(target); }

  const std::string clean = noise(1'000'000, 9);
  lab_origin origin;
  gate icapgate;

 private:
  gate_settings for_origin(gate_settings settings) const {
    settings.origin = origin.port();
    for (auto& port : settings.avoid_ports) port = origin.port();
    return settings;
  }
};

// Without the one field that may change between two requests.
std::vector<std::string> comparable(const response& got) {
  field_list out;
  for (const auto& f : end_to_end(got.fields())) {
    if (f.name != "Date") out.push_back(f);
  }
  return lines(out);
}

}  // namespace

TEST_CASE("lab: EICAR gives the page of c-icap and nothing of the origin") {
  const lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  const auto got = lab.get("/eicar.com");
  CHECK(got.status == 403);
  CHECK(got.whole());
  CHECK(got.body.find("VIRUS FOUND") != std::string::npos);
  CHECK(got.body.find(eicar()) == std::string::npos);
  CHECK_FALSE(has(got.fields(), "Set-Cookie"));
  CHECK_FALSE(has(got.fields(), "ETag"));
  CHECK_FALSE(has(got.fields(), "X-Unknown-Field"));
  const auto line = lab.icapgate.line();
  CHECK(line.text("verdict") == "blocked");
  CHECK(line.text("threat") == "Lab.Eicar.Test.UNOFFICIAL");
}

TEST_CASE("lab: EICAR behind 3 MB of noise is found before a byte is delivered") {
  const lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  const auto got = lab.get("/late.bin");
  CHECK(got.status == 403);
  CHECK(got.body.size() < 10'000);
}

TEST_CASE("lab: a clean file of 1 MB has the bytes and fields that the origin gave it") {
  const lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  const auto direct = http_client(lab.origin.port()).get("/clean.bin");
  const auto through = lab.get("/clean.bin");
  CHECK(direct.status == 200);
  CHECK(through.status == 200);
  CHECK(through.whole());
  CHECK(difference(through.body, lab.clean) == "");
  CHECK(values(through.fields(), "Set-Cookie").size() == 2);
  CHECK(comparable(through) == comparable(direct));
  CHECK(has(through.fields(), "Date"));
  CHECK(value(through.fields(), "Content-Length") == "1000000");
  CHECK(lab.icapgate.line().text("verdict") == "clean");
}

TEST_CASE("lab: many clean files and EICAR in turn on one connection") {
  const lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  http_client client(lab.icapgate.port());
  for (int i = 0; i < 20; ++i) {
    CHECK(client.get("/clean.bin").status == 200);
    CHECK(client.get("/eicar.com").status == 403);
    CHECK(client.get("/missing").status == 404);
  }
}

TEST_CASE("lab: EICAR from an avoided port is delivered") {
  const lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}, .avoid_ports = {0}});
  const auto got = lab.get("/eicar.com");
  CHECK(got.status == 200);
  CHECK(got.body == eicar());
}

TEST_CASE("lab: with clamd stopped nothing is delivered") {
  lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  CHECK(lab.get("/clean.bin").status == 200);
  scanner.stop_clamd();
  for (const auto target : {"/clean.bin", "/eicar.com"}) {
    const auto got = lab.get(target);
    CHECK(got.status == 503);
    CHECK(has(got.fields(), "Retry-After"));
    CHECK(got.body.find(eicar()) == std::string::npos);
  }
}

TEST_CASE("lab: with c-icap stopped nothing is delivered") {
  lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}});
  CHECK(lab.get("/clean.bin").status == 200);
  scanner.stop_icap();
  for (const auto target : {"/clean.bin", "/eicar.com"}) {
    const auto got = lab.get(target);
    CHECK(got.status == 503);
    CHECK(has(got.fields(), "Retry-After"));
  }
}

TEST_CASE("lab: with the fallback a stopped clamd or c-icap means the origin's response") {
  lab_scanner scanner;
  laboratory lab({.scanners = {scanner.port()}, .fallback = true});
  CHECK(lab.get("/eicar.com").status == 403);
  scanner.stop_clamd();
  CHECK(difference(lab.get("/clean.bin").body, lab.clean) == "");
  scanner.stop_icap();
  const auto got = lab.get("/clean.bin");
  CHECK(got.status == 200);
  CHECK(difference(got.body, lab.clean) == "");
  const auto lines = lab.icapgate.lines(3);
  CHECK_FALSE(lines[0].flag("fallback"));
  CHECK(lines[1].flag("fallback"));
  CHECK(lines[2].flag("fallback"));
}
