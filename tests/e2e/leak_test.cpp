// Clients that go away in the middle of a scan leave nothing behind.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <filesystem>

using namespace e2e;

namespace {

namespace fs = std::filesystem;

struct descriptors {
  std::size_t all = 0;
  std::size_t spooled = 0;  // files without a name in that folder
};

descriptors open_in(pid_t id, const fs::path& spool) {
  descriptors out;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(id) + "/fd")) {
    std::error_code gone;
    const auto to = fs::read_symlink(entry.path(), gone).string();
    if (gone) continue;
    ++out.all;
    if (to.starts_with(spool.string())) ++out.spooled;
  }
  return out;
}

gate_settings without_pools(const fs::path& spool) {
  return {.env = {{setting::spool_dir, spool},
                  {setting::spool_memory, "64KiB"},
                  {setting::origin_keep_alive, "1ms"},
                  {setting::scanner_keep_alive, "1ms"}}};
}

// Sends `count` requests and goes away when the scanner has each of them.
void abort_all(stage& on, const std::string& target, int count, bool reset) {
  const auto before = on.scanner.scans().size();
  std::vector<http_client> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(on.client());
    clients.back().send("GET", target);
  }
  wait_until("all are being scanned", [&] {
    const auto all = on.scanner.scans();
    return all.size() == before + static_cast<std::size_t>(count) &&
           std::all_of(all.begin(), all.end(),
                       [](const scan& s) { return s.body.size() > 100'000; });
  });
  for (auto& client : clients) reset ? client.wire().reset() : client.wire().close();
}

}  // namespace

TEST_CASE("leak: 200 clients that go away in the middle of a scan leave no socket and no file") {
  const temporary_folder spool;
  happening aborted;
  stage on(without_pools(spool.path()));
  const auto body = noise(300'000);
  const auto head = response_text{.body = body}.head();
  on.origin.when("/whole", {.body = body});
  on.origin.when("/half", [&](connection& to, const origin_request&) {
    to.write(head + body.substr(0, 150'000));
    aborted.wait();
    to.write(body.substr(150'000));
  });
  wait_until("the options are asked for", [&] { return on.scanner.options_asked() == 1; });
  CHECK(on.get("/whole").status == 200);
  descriptors before;
  wait_until("the pools are empty", [&] {
    before = open_in(on.icapgate.id(), spool.path());
    return before.spooled == 0 && on.scanner.scan_connections() == 0;
  });
  on.scanner.play([&](exchange& with) {
    std::size_t seen = 0;
    while (seen <= 100'000) seen += with.next().size();
    aborted.wait();
    with.body();
    with.answer(no_modification());
  });
  abort_all(on, "/whole", 50, true);
  abort_all(on, "/half", 50, false);
  CHECK(open_in(on.icapgate.id(), spool.path()).spooled > 0);
  aborted.tell();
  on.icapgate.lines(101);
  abort_all(on, "/whole", 50, false);
  abort_all(on, "/whole", 50, true);
  on.icapgate.lines(201);
  wait_until("everything is closed", [&] {
    const auto now = open_in(on.icapgate.id(), spool.path());
    return now.spooled == 0 && now.all <= before.all;
  });
  CHECK(fs::is_empty(spool.path()));
  // And it still serves.
  on.scanner.always(no_modification());
  CHECK(difference(on.get("/whole").body, body) == "");
}
