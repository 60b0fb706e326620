// Previews (RFC 3507 4.5), 206 and what else a scanner's OPTIONS says, on the wire.
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <condition_variable>
#include <set>

using namespace e2e;

namespace {

icap_service with_preview(std::size_t size, const field_list& more = {}) {
  field_list fields = {{"Preview", std::to_string(size)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return {.options = options_answer(fields)};
}

struct preview_stage : stage {
  explicit preview_stage(std::size_t size, gate_settings settings = {}, const field_list& more = {})
      : stage(std::move(settings), with_preview(size, more)) {
    learn_options();
  }
};

const std::string found_page = "HTTP/1.1 200 OK\r\nX-Adapted: 1\r\n\r\n";

// Shorter, equal, one longer, much longer.
std::vector<std::size_t> sizes_around(std::size_t preview) {
  std::set<std::size_t> out = {preview + 1, preview + 200'000};
  if (preview > 0) out.insert(preview);
  if (preview > 1) out.insert({preview - 1, preview / 2});
  return {out.begin(), out.end()};
}

void check_preview(const scan& seen, std::size_t preview, const std::string& body, bool known_end) {
  REQUIRE(seen.preview);
  CHECK(*seen.preview == preview);
  CHECK(seen.previewed == body.substr(0, preview));
  if (body.size() != preview) CHECK(seen.ieof == (body.size() < preview));
  if (body.size() == preview && known_end) CHECK(seen.ieof);
  CHECK(seen.whole);
  CHECK(difference(seen.body, body) == "");
}

}  // namespace

TEST_CASE("preview: checklist 27 28 29 32, every size against bodies around it") {
  for (const std::size_t preview : {0, 1, 1024, 4096}) {
    preview_stage on(preview);
    auto client = on.client();
    for (const auto size : sizes_around(preview)) {
      for (const auto form : {framing::length, framing::chunked, framing::close}) {
        INFO("preview " << preview << ", body " << size << ", framing " << static_cast<int>(form));
        const auto body = noise(size);
        on.origin.when("/a", {.body = body, .form = form});
        const auto got = client.get("/a");
        CHECK(got.status == 200);
        CHECK(got.whole());
        CHECK(difference(got.body, body) == "");
        check_preview(on.scanner.scan_of("/a"), preview, body, form == framing::length);
      }
    }
    // All of it on the connection of the first.
    const auto all = on.scanner.scans();
    CHECK(std::all_of(all.begin(), all.end(),
                      [&](const scan& s) { return s.connection == all.front().connection; }));
  }
}

TEST_CASE("preview: checklist 28, an empty body is ieof alone") {
  preview_stage on(1024);
  on.origin.when("/empty", {.body = "", .form = framing::chunked});
  const auto got = on.get("/empty");
  CHECK(got.status == 200);
  CHECK(got.body == "");
  const auto seen = on.scanner.scan_of("/empty");
  CHECK(seen.ieof);
  CHECK(seen.previewed == "");
}

TEST_CASE("preview: checklist 30, a 204 to it releases the body and nothing more is sent") {
  preview_stage on(1024);
  const auto body = noise(3'000'000);
  on.origin.when("/large", {.body = body});
  on.origin.when("/chunked", {.body = body, .form = framing::chunked});
  on.scanner.play([](exchange& with) {
    with.preview();
    with.answer(no_modification());
  });
  // The peer would take anything behind the preview for the next request, and object.
  for (const auto target : {"/large", "/chunked", "/large"}) {
    const auto got = on.get(target);
    CHECK(got.status == 200);
    CHECK(difference(got.body, body) == "");
    CHECK(on.last_line().text("verdict") == "clean");
    CHECK_FALSE(on.scanner.scan_of(target).whole);
  }
  const auto all = on.scanner.scans();
  REQUIRE(all.size() == 3);
  CHECK(all[2].connection == all[0].connection);
}

TEST_CASE("preview: checklist 31, a 200 to it is delivered and the rest is not sent") {
  preview_stage on(1024);
  on.origin.when("/large", {.body = noise(3'000'000)});
  for (const auto& answer : {block_page(), adapted(found_page, "another body")}) {
    on.scanner.play([answer](exchange& with) {
      with.preview();
      with.answer(answer);
    });
    const auto got = on.get("/large");
    CHECK((got.body == page_body() || got.body == "another body"));
    CHECK(got.whole());
    CHECK(on.scanner.scan_of("/large").body.size() == 1024);
  }
  const auto all = on.scanner.scans();
  CHECK(all[1].connection == all[0].connection);
  CHECK(all[1].order > all[0].order);
}

TEST_CASE("preview: errors and a connection that ends after it mean 503") {
  const auto says = [](const std::string& bytes, bool close) {
    return [=](exchange& with) {
      with.preview();
      with.answer(bytes);
      if (close) with.wire().close();
    };
  };
  for (const std::string error : {"500 Server error", "404 Not found", "418 Bad composition", ""}) {
    INFO(error);
    preview_stage on(1024);
    on.origin.when("/large", {.body = noise(1'000'000)});
    on.scanner.play(says(error.empty() ? "" : icap_status(error), error.empty()));
    const auto refused = on.get("/large");
    check_refusal(refused, on.last_line());
    on.scanner.always(no_modification());
    CHECK(on.get("/large").status == 200);
  }
}

TEST_CASE("preview: a verdict after 100 Continue, page or error, is the same as without") {
  preview_stage on(1024);
  on.origin.when("/large", {.body = noise(1'000'000)});
  on.scanner.always(block_page());
  CHECK(on.get("/large").body == page_body());
  on.scanner.always(icap_status("500 Server error"));
  const auto refused = on.get("/large");
  check_refusal(refused, on.last_line());
}

TEST_CASE("preview: checklist 33, a 100 that nobody waits for is an error and no hang") {
  const std::string go_on = "ICAP/1.0 100 Continue\r\n\r\n";
  preview_stage on(1024);
  on.origin.when("/small", {.body = "within the preview"});
  on.origin.when("/large", {.body = noise(100'000)});
  on.scanner.play([&](exchange& with) {  // behind ieof
    with.preview();
    with.answer(go_on + no_modification());
  });
  const auto refused = on.get("/small");
  check_refusal(refused, on.last_line());
  CHECK(on.last_line().text("reason") == "icap_answer_invalid");
  on.scanner.play([&](exchange& with) {  // twice
    with.preview();
    with.answer(go_on + go_on);
    with.body();
  });
  const auto refused_large = on.get("/large");
  check_refusal(refused_large, on.last_line());
  CHECK(on.last_line().text("reason") == "icap_answer_invalid");
}

TEST_CASE("preview: the body may still be coming while the scanner has its preview") {
  happening previewed;
  preview_stage on(1024);
  const auto body = noise(100'000);
  on.origin.when("/slow", [&](connection& to, const origin_request&) {
    to.write(response_text{.body = body}.head() + body.substr(0, 1024));
    previewed.wait();
    to.write(body.substr(1024));
  });
  on.scanner.play([&](exchange& with) {
    with.preview();
    previewed.tell();
    with.go_on();
    with.body();
    with.answer(no_modification());
  });
  CHECK(difference(on.get("/slow").body, body) == "");
  CHECK_FALSE(on.scanner.scan_of("/slow").ieof);
}

TEST_CASE("preview: checklist 26, none is sent where none was advertised") {
  stage on;
  on.learn_options();
  on.origin.when("/a", {.body = "a body"});
  CHECK(on.get("/a").status == 200);
  CHECK_FALSE(on.scanner.scan_of("/a").preview);
}

TEST_CASE("preview: 206 takes the rest of the body from the original") {
  preview_stage on(1024, {}, {{"Allow", "206"}});
  const auto body = noise(300'000);
  on.origin.when("/a", {.body = body});
  on.origin.when("/chunked", {.body = body, .form = framing::chunked});
  struct row {
    std::string added;
    std::size_t from;
  };
  for (const auto target : {"/a", "/chunked"}) {
    for (const auto& [added, from] :
         std::vector<row>{{"new:", 0}, {"new:", 6}, {"new:", 150'000}, {"new:", 300'000}}) {
      for (const bool early : {true, false}) {
        INFO(target << " from " << from << (early ? ", at the preview" : ", at the end"));
        const auto total = added.size() + body.size() - from;
        const auto head =
            "HTTP/1.1 200 OK\r\nX-Adapted: 1\r\nContent-Length: " + std::to_string(total) +
            "\r\n\r\n";
        on.scanner.play([early, answer = partial(head, added, from)](exchange& with) {
          early ? with.preview() : with.body();
          with.answer(answer);
        });
        const auto got = on.get(target);
        CHECK(got.status == 200);
        CHECK(got.whole());
        CHECK(has(got.fields(), "X-Adapted"));
        CHECK(difference(got.body, added + body.substr(from)) == "");
        CHECK(value(on.scanner.scan_of(target).icap.fields, "Allow").find("206") !=
              std::string::npos);
      }
    }
  }
}

TEST_CASE("preview: 206 without a byte of its own is the original with another head") {
  preview_stage on(1024, {}, {{"Allow", "206"}});
  on.origin.when("/a", {.body = noise(3000)});
  on.scanner.play([](exchange& with) {
    with.preview();
    with.answer(
        "ICAP/1.0 206 Partial Content\r\nEncapsulated: res-hdr=0, res-body=33\r\n\r\n"
        "HTTP/1.1 200 OK\r\nX-Adapted: 1\r\n\r\n0; use-original-body=0\r\n\r\n");
  });
  const auto got = on.get("/a");
  CHECK(value(got.fields(), "X-Adapted") == "1");
  CHECK(difference(got.body, noise(3000)) == "");
}

TEST_CASE("preview: 206 from behind the original's end is an error") {
  preview_stage on(1024, {}, {{"Allow", "206"}});
  on.origin.when("/small", {.body = "a small body"});
  on.origin.when("/large", {.body = noise(100'000)});
  for (const std::string target : {"/small", "/large"}) {
    for (const std::uint64_t from : {std::uint64_t(100'001), ~std::uint64_t(0) >> 1}) {
      INFO(target << " from " << from);
      on.scanner.play([from](exchange& with) {
        with.preview();
        with.answer(partial(found_page, "new:", from));
      });
      const auto refused = on.get(target);
      check_refusal(refused, on.last_line());
      CHECK(on.last_line().text("reason") == "icap_answer_invalid");
    }
  }
}

TEST_CASE("preview: 206 is not offered without a preview, nor where OPTIONS does not list it") {
  stage without({}, {.options = options_answer({{"Allow", "206"}})});
  without.learn_options();
  without.origin.when("/a", {.body = "a body"});
  CHECK(without.get("/a").status == 200);
  CHECK(value(without.scanner.scan_of("/a").icap.fields, "Allow") == "204");
  preview_stage unlisted(1024);
  unlisted.origin.when("/a", {.body = "a body"});
  CHECK(unlisted.get("/a").status == 200);
  CHECK(value(unlisted.scanner.scan_of("/a").icap.fields, "Allow") == "204");
}

TEST_CASE("preview: checklist 46, the Transfer lists choose by extension, in any case") {
  preview_stage on(
      4, {},
      {{"Transfer-Preview", "*"}, {"Transfer-Complete", "zip, exe"}, {"Transfer-Ignore", "png"}});
  for (const std::string target : {"/a.ZIP", "/a.exe?b=c.txt", "/a.txt", "/plain", "/a.png"}) {
    INFO(target);
    on.origin.when(target, {.body = "a body of its own"});
    CHECK(on.get(target).body == "a body of its own");
    // Ignore is a wish that nobody has to follow.
    const bool complete = target.starts_with("/a.ZIP") || target.starts_with("/a.exe");
    const auto seen = on.scanner.scan_of(target);
    CHECK(seen.whole);
    if (!target.ends_with("png")) CHECK(seen.preview.has_value() != complete);
  }
}

TEST_CASE("preview: checklist 46, Transfer-Ignore skips a scan only where the settings say so") {
  gate_settings settings;
  settings.env[setting::transfer_ignore] = "true";
  preview_stage on(4, settings, {{"Transfer-Preview", "*"}, {"Transfer-Ignore", "png"}});
  on.origin.when("/a.png", {.body = "an image"});
  on.origin.when("/a.txt", {.body = "a text"});
  CHECK(on.get("/a.png").body == "an image");
  CHECK(on.last_line().text("verdict") == "skipped");
  CHECK(on.scanner.scans().empty());
  CHECK(on.get("/a.txt").body == "a text");
  CHECK(on.last_line().text("verdict") == "clean");
}

TEST_CASE("preview: checklist 44, Max-Connections counts for all workers together") {
  constexpr int clients = 12;
  std::mutex guard;
  int running = 0;
  int most = 0;
  happening full;
  happening all_wait;
  stage on({.workers = 2}, {.options = options_answer({{"Max-Connections", "3"}})});
  on.learn_options();
  on.scanner.play([&](exchange& with) {
    with.body();
    {
      const std::lock_guard lock(guard);
      most = std::max(most, ++running);
      if (running == 3) full.tell();
    }
    all_wait.wait();
    {
      const std::lock_guard lock(guard);
      --running;
    }
    with.answer(no_modification());
  });
  std::vector<http_client> all;
  for (int i = 0; i < clients; ++i) {
    on.origin.when("/" + std::to_string(i), {.body = "a body"});
    all.push_back(on.client());
    all.back().send("GET", "/" + std::to_string(i));
  }
  full.wait();
  wait_until("the origin was asked for everything",
             [&] { return on.origin.requests().size() >= clients + on.asked; });
  for (auto& client : all) CHECK(client.wire().is_quiet(5ms));
  all_wait.tell();
  for (auto& client : all) CHECK(client.receive().status == 200);
  CHECK(most == 3);
}

TEST_CASE("preview: checklist 44, connections that wait for their next scan count, too") {
  constexpr std::size_t clients = 8;
  std::mutex guard;
  std::condition_variable changed;
  std::size_t arrived = 0;
  stage on({.workers = 2}, {.options = options_answer({{"Max-Connections", "3"}})});
  on.learn_options();
  on.origin.when("/a", {.body = "a body"});
  // Three at once, or one in each worker would be all that it takes.
  on.scanner.play([&](exchange& with) {
    with.body();
    std::unique_lock lock(guard);
    const auto complete = (arrived++ / 3 + 1) * 3;
    changed.notify_all();
    if (!changed.wait_for(lock, patience, [&] { return arrived >= complete; }))
      throw timed_out("three scans at once");
    lock.unlock();
    with.answer(no_modification());
  });
  std::vector<http_client> all;
  for (std::size_t i = 0; i < clients; ++i) all.push_back(on.client());
  // Whichever worker each client is at: some three of them are at one, and others at the other.
  for (std::size_t a = 0; a < clients; ++a) {
    for (std::size_t b = a + 1; b < clients; ++b) {
      for (std::size_t c = b + 1; c < clients; ++c) {
        for (const auto i : {a, b, c}) all[i].send("GET", "/a");
        for (const auto i : {a, b, c}) CHECK(all[i].receive().status == 200);
      }
    }
  }
  CHECK_NOTHROW(wait_until(
      "no more than three connections", [&] { return on.scanner.scan_connections() <= 3; }, 3s));
}
