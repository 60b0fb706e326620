#include "kit/stage.hpp"

#include "catch.hpp"

namespace e2e {

namespace {

gate_settings complete(gate_settings settings, const origin_peer& origin,
                       const icap_peer& scanner) {
  if (settings.origin == 0) settings.origin = origin.port();
  if (settings.scanners.empty()) settings.scanners = {scanner.port()};
  return settings;
}

icap_service at(const std::string& path, icap_service service) {
  service.path = path;
  return service;
}

}  // namespace

stage::stage(gate_settings settings, icap_service service)
    : scanner(at(settings.service, std::move(service))),
      icapgate(complete(std::move(settings), origin, scanner)) {}

stage::~stage() {
  const auto wrong = icapgate.finish();
  CHECK(wrong == "");
  CHECK(origin.failures() == std::vector<std::string>());
  CHECK(scanner.failures() == std::vector<std::string>());
}

response stage::get(const std::string& target, const field_list& more) {
  ++asked;
  return client().get(target, more);
}

void stage::learn_options(icap_peer& of) {
  origin.when("/options", {.body = "is the preview known?"});
  // A page is an answer under all options.
  of.always(block_page());
  wait_until("a scan by the scanner's options", [&] {
    get("/options");
    const auto all = of.scans();
    return !all.empty() && has(all.back().icap.fields, "X-Client-IP");
  });
  of.always(no_modification());
  of.forget_scans();
}

response admin(stage& on, const std::string& target) {
  http_client to(on.icapgate.admin_port());
  return to.get(target, {{"Connection", "close"}});
}

double metric(stage& on, const std::string& row) {
  const auto text = admin(on, "/metrics").body;
  const auto key = "\nicapgate_" + row + " ";
  const auto at = text.find(key);
  if (at == std::string::npos) throw std::runtime_error("no metric " + row);
  return std::stod(text.substr(at + key.size()));
}

void check_refusal(const response& got, const access_line& line) {
  CHECK(got.status == 503);
  CHECK(got.whole());
  CHECK(has(got.fields(), "Retry-After"));
  CHECK(value(got.fields(), "Cache-Control").find("no-store") != std::string::npos);
  CHECK(got.body.size() > 0);
  CHECK(got.body.size() < 4096);
  const auto id = line.text("request_id");
  CHECK(id != "");
  CHECK(got.body.find(id) != std::string::npos);
  CHECK(line.number("status") == 503);
  CHECK(line.text("reason").starts_with("icap_"));
}

void check_refusal(stage& on, const std::string& target) {
  const auto got = on.get(target);
  check_refusal(got, on.last_line());
}

}  // namespace e2e
