// The scanner's answer in two pieces, cut at every byte, and one byte at a time.
#include "kit/stage.hpp"

#include "catch.hpp"

using namespace e2e;

namespace {

icap_peer::script cut_at(const std::string& answer, std::size_t position) {
  return [answer, position](exchange& with) {
    with.body();
    with.answer(std::string_view(answer).substr(0, position));
    with.wire().wait_taken();
    with.answer(std::string_view(answer).substr(position));
  };
}

icap_peer::script byte_by_byte(const std::string& answer) {
  return [answer](exchange& with) {
    with.body();
    for (const char byte : answer) {
      with.answer(std::string_view(&byte, 1));
      with.wire().wait_taken();
    }
  };
}

void check_every_cut(const std::string& answer, int status, const std::string& body) {
  stage on;
  on.origin.when("/a", {.body = "the origin's body"});
  auto client = on.client();
  for (std::size_t position = 1; position < answer.size(); ++position) {
    INFO("cut at " << position);
    on.scanner.play(cut_at(answer, position));
    const auto got = client.get("/a");
    CHECK(got.status == status);
    CHECK(got.whole());
    CHECK(got.body == body);
  }
  on.scanner.play(byte_by_byte(answer));
  const auto got = client.get("/a");
  CHECK(got.status == status);
  CHECK(got.body == body);
  // Cuts are no reason to give a connection up.
  CHECK(on.scanner.scans().back().connection == on.scanner.scans().front().connection);
}

}  // namespace

TEST_CASE("split: a 204 cut at every byte") {
  check_every_cut(no_modification(), 200, "the origin's body");
}

TEST_CASE("split: an adapted response cut at every byte") {
  check_every_cut(
      adapted("HTTP/1.1 200 OK\r\nX-Adapted: yes\r\nContent-Length: 13\r\n\r\n", "adapted body\n"),
      200, "adapted body\n");
}

TEST_CASE("split: an adapted response of many chunks cut at every byte") {
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
  check_every_cut(
      "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=" + std::to_string(head.size()) +
          "\r\n\r\n" + head + chunked("many small chunks", {.size = 3}),
      200, "many small chunks");
}

TEST_CASE("split: a block page cut at every byte") {
  check_every_cut(block_page(), 403, page_body());
}

TEST_CASE("split: an origin's response cut at every byte") {
  stage on;
  auto client = on.client();
  const auto text = response_text{.fields = {{"ETag", "\"1\""}},
                                  .body = "some body",
                                  .form = framing::chunked,
                                  .chunks = {.size = 4, .extension = ";a"}}
                        .wire();
  for (std::size_t position = 1; position < text.size(); ++position) {
    INFO("cut at " << position);
    on.origin.when("/a", [text, position](connection& to, const origin_request&) {
      to.write(std::string_view(text).substr(0, position));
      to.wait_taken();
      to.write(std::string_view(text).substr(position));
    });
    const auto got = client.get("/a");
    CHECK(got.status == 200);
    CHECK(got.body == "some body");
    CHECK(on.scanner.scans().back().body == "some body");
  }
}

TEST_CASE("split: a client's request cut at every byte") {
  stage on;
  on.origin.when("/up", {.body = "thanks"});
  auto client = on.client();
  const std::string request =
      "POST /up HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n" +
      chunked("an upload", {.size = 4, .extension = ";a"});
  for (std::size_t position = 1; position < request.size(); ++position) {
    INFO("cut at " << position);
    client.wire().write(std::string_view(request).substr(0, position));
    client.wire().wait_taken();
    client.wire().write(std::string_view(request).substr(position));
    CHECK(client.receive().body == "thanks");
    CHECK(on.origin.request("/up").body == "an upload");
  }
}
