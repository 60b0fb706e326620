// delivery = "hold": no byte of a body that the scanner calls harmful ever reaches a client. Every
// byte of such a body has its highest bit set, and nothing else in these plays has.
#include "kit/held_scans.hpp"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <random>

using namespace e2e;

namespace {

// What the scanner does with one body: the first bytes of its answer, and the rest of it.
struct answer_form {
  std::string bytes;
  bool early = false;       // it does not wait for the end of the body
  bool breaks_off = false;  // at the cut, and the rest never comes
};

const field_list& found() {
  static const field_list fields = {{"X-Infection-Found", std::string(infection)}};
  return fields;
}

std::string marked_bytes(std::mt19937& dice) {
  // Around one buffer, and beyond what stays in memory (below).
  static constexpr std::array sizes = {16u, 100u, 4'000u, 17'000u, 40'000u, 90'000u};
  const auto seed = static_cast<unsigned>(dice());
  auto out = noise(sizes[dice() % sizes.size()] + dice() % 16, seed);
  for (auto& byte : out) byte = static_cast<char>(byte | '\x80');
  return out;
}

bool is_marked(char byte) {
  return (static_cast<unsigned char>(byte) & 0x80) != 0;
}

std::size_t marked_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_marked));
}

icap_peer::script cut_at(const answer_form& form, std::size_t position) {
  return [form, position](exchange& with) {
    if (form.early)
      with.next();
    else
      with.body();
    with.answer(std::string_view(form.bytes).substr(0, position));
    with.wire().wait_taken();
    if (form.breaks_off) return with.wire().close();
    with.answer(std::string_view(form.bytes).substr(position));
    with.body();
  };
}

// One client of each HTTP version in turn; the connection of HTTP/1.1 is used again.
class clients {
 public:
  explicit clients(stage& on) : on_(on) {}

  response get(const std::string& target, bool old) {
    if (old) {
      auto client = on_.client();
      client.wire().write("GET " + target + " HTTP/1.0\r\nHost: shop.example\r\n\r\n");
      auto got = client.receive();
      CHECK(client.wire().left_over() == 0);
      return got;
    }
    if (!modern_) modern_.emplace(on_.icapgate.port());
    auto got = modern_->get(target);
    CHECK(modern_->wire().left_over() == 0);
    const bool over = lower(value(got.fields(), "Connection")) == "close" ||
                      got.end != response::ending::complete;
    if (over) modern_.reset();
    return got;
  }

 private:
  stage& on_;
  std::optional<http_client> modern_;
};

// Each position of a cut, with framings and HTTP versions by turns; `shift` moves them against the
// positions.
void check_every_cut(answer_form (*make)(const std::string& body), unsigned shift,
                     std::vector<int> statuses) {
  std::mt19937 dice(shift + 1);
  // No scanner is left alone for its failures: each cut has to reach it.
  stage on({.env = {{"ICAPGATE_SCANNER__BREAKER", "false"}},
            .config = "[policy.spool]\nmemory = \"64KiB\"\n"});
  clients ask(on);
  auto body = marked_bytes(dice);
  auto form = make(body);
  std::size_t delivered = 0;
  for (std::size_t position = 1, turn = shift; position < form.bytes.size(); ++position, ++turn) {
    // An answer that holds the body is too long to be cut at each of its bytes.
    if (is_marked(form.bytes[position]) && is_marked(form.bytes[position - 1]) && turn % 997 != 0)
      continue;
    INFO("cut at " << position << ", body of " << body.size() << ", turn " << turn);
    on.origin.when("/a", {.body = body, .form = static_cast<framing>(turn % 3)});
    on.scanner.play(cut_at(form, position));
    const auto got = ask.get("/a", turn % 2 == 0);
    delivered += marked_count(got.head.wire) + marked_count(got.body);
    CHECK(marked_count(got.head.wire) + marked_count(got.body) == 0);
    CHECK(got.whole());
    CHECK(std::count(statuses.begin(), statuses.end(), got.status) == 1);
    if (marked_count(form.bytes) == 0) body = marked_bytes(dice);
  }
  CHECK(delivered == 0);
  // The same play with a clean verdict: what is counted above would be seen.
  on.origin.when("/a", {.body = body});
  on.scanner.always(no_modification());
  CHECK(marked_count(ask.get("/a", false).body) == body.size());
}

std::string infected(std::string_view http_head, std::string_view body) {
  return adapted(std::string(http_head), body, found());
}

}  // namespace

TEST_CASE("hold: nothing leaks where the scanner sends a page") {
  check_every_cut([](const std::string&) { return answer_form{block_page()}; }, 1, {403});
}

TEST_CASE("hold: nothing leaks where the scanner says 403 and no more") {
  for (const unsigned shift : {0u, 1u, 2u})
    check_every_cut([](const std::string&) { return answer_form{icap_status("403 Forbidden")}; },
                    shift, {403});
}

TEST_CASE("hold: nothing leaks where a 204 names an infection") {
  for (const unsigned shift : {0u, 1u, 2u})
    check_every_cut(
        [](const std::string&) { return answer_form{icap_status("204 Unmodified", found())}; },
        shift, {403});
}

TEST_CASE("hold: nothing leaks where the infected body itself comes back") {
  check_every_cut(
      [](const std::string& body) {
        return answer_form{infected("HTTP/1.1 200 OK\r\nServer: play\r\n\r\n", body)};
      },
      4, {403});
}

TEST_CASE("hold: nothing leaks where the infected body itself comes back as a page") {
  check_every_cut(
      [](const std::string& body) {
        return answer_form{infected("HTTP/1.1 403 Forbidden\r\nServer: play\r\n\r\n", body)};
      },
      5, {403});
}

TEST_CASE("hold: nothing leaks where the infection stands in the trailers") {
  check_every_cut(
      [](const std::string& body) {
        auto bytes = adapted("HTTP/1.1 200 OK\r\nServer: play\r\n\r\n", body);
        bytes.resize(bytes.size() - 2);
        return answer_form{bytes + to_wire(found()) + "\r\n"};
      },
      0, {403});
}

TEST_CASE("hold: nothing leaks where the body comes back and is broken off") {
  check_every_cut(
      [](const std::string& body) {
        return answer_form{.bytes = infected("HTTP/1.1 200 OK\r\nServer: play\r\n\r\n", body),
                           .breaks_off = true};
      },
      1, {403, 503});
}

TEST_CASE("hold: nothing leaks where a beginning of the body comes back as all of it") {
  check_every_cut(
      [](const std::string& body) {
        const auto part = body.substr(0, body.size() / 2);
        return answer_form{adapted("HTTP/1.1 200 OK\r\nServer: play\r\n\r\n", part)};
      },
      2, {403});
}

TEST_CASE("hold: nothing leaks where the page comes before the body is whole") {
  check_every_cut(
      [](const std::string&) { return answer_form{.bytes = block_page(), .early = true}; }, 0,
      {403});
}

TEST_CASE("hold: nothing leaks where the answer breaks off") {
  check_every_cut(
      [](const std::string&) { return answer_form{.bytes = block_page(), .breaks_off = true}; }, 4,
      {403, 503});
}

TEST_CASE("hold: no byte before the verdict, in any framing") {
  for (const auto form : {framing::length, framing::chunked, framing::close}) {
    stage on;
    on.origin.when("/a", {.body = noise(200'000), .form = form});
    held_scans held(on.scanner);
    auto client = on.client();
    client.send("GET", "/a");
    held.wait_for_one();
    CHECK(client.wire().is_quiet(200ms));
    held.decide();
    CHECK(difference(client.receive().body, noise(200'000)) == "");
  }
}
