// The malformed messages of the end to end plays, split at every byte: what the reading side of a
// connection makes of them never depends on where a packet ends.
#include "base/config.hpp"
#include "data/malformed_requests.hpp"
#include "data/malformed_responses.hpp"
#include "proxy/http_reader.hpp"

#include "catch.hpp"
#include "wire.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
using namespace icapgate;
using proxy::http_reader;
using head_status = http_reader::head_status;
using body_status = http_reader::body_status;

namespace {

const config defaults;

// What is long for the sake of a limit is split at fewer places.
std::size_t step_of(const std::string& text) {
  return text.size() > 3000 ? 211 : 1;
}

// A reader whose peer sends the first part of a text at once, and the second where more is needed.
class split_text : test::wire {
 public:
  split_text(std::string_view text, std::size_t split, std::size_t max_line)
      : reader(stream(), blocks_, defaults.max_head, max_line), rest_(text.substr(split)) {
    send(text.substr(0, split));
  }

  head_status read_head() {
    const auto status = reader.try_read_head();
    return status == head_status::would_block && go_on() ? reader.try_read_head() : status;
  }
  // To its end, or as far as it comes.
  body_status read_body() {
    const auto status = drain();
    return status == body_status::would_block && go_on() ? drain() : status;
  }

 private:
  bool go_on() {
    const auto part = std::exchange(rest_, {});
    send(part);
    return !part.empty();
  }
  body_status drain() {
    std::string memory(4096, '\0');
    for (;;) {
      proxy::mutable_buffers into;
      into.push(asio::mutable_buffer(memory.data(), memory.size()));
      const auto got = reader.try_read_body(into);
      if (got.status != body_status::data) return got.status;
      body.append(memory, 0, got.bytes);
    }
  }

  proxy::block_pool blocks_;

 public:
  http_reader reader;
  std::string body;

 private:
  std::string_view rest_;
};

unsigned status_of(head_status status) {
  switch (status) {
    case head_status::too_large:
      return 431;
    case head_status::line_too_long:
      return 414;
    case head_status::invalid:
      return 400;
    default:
      return 0;
  }
}

// The status that a request is refused with; 0: it is not.
unsigned judge_request(std::string_view text, std::size_t split) {
  split_text from(text, split, defaults.max_request_line);
  const auto read = from.read_head();
  if (read != head_status::complete) return status_of(read);
  http::request_head head;
  const auto parsed = http::parse_request(from.reader.head(), head);
  if (parsed != errc::complete) return describe(parsed).status;
  if (head.fields.size() > defaults.max_fields) return 431;
  from.reader.begin_body(head);
  return from.read_body() == body_status::invalid ? 400 : 0;
}

bool is_response_refused(std::string_view text, std::size_t split) {
  split_text from(text, split, std::string_view::npos);
  http::response_head head;
  for (;;) {
    const auto read = from.read_head();
    if (read == head_status::invalid || read == head_status::too_large) return true;
    REQUIRE(read == head_status::complete);
    if (http::parse_response(from.reader.head(), false, head) != errc::complete) return true;
    if (head.fields.size() > defaults.max_fields || head.status == 101) return true;
    if (!head.is_interim()) break;
    from.reader.next_head();
  }
  from.reader.begin_body(head);
  return from.read_body() == body_status::invalid;
}

}  // namespace

TEST_CASE("malformed: every request is refused alike wherever it is split") {
  for (const auto& one : malformed::all_requests()) {
    CAPTURE(one.what);
    const auto text = one.text + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    const auto step = step_of(text);
    std::size_t wrong = 0;
    for (std::size_t split = 1; split < text.size(); split += step)
      wrong += judge_request(text, split) != static_cast<unsigned>(one.status);
    CHECK(wrong == 0);
  }
}

TEST_CASE("malformed: every response is refused wherever it is split") {
  for (const auto& one : malformed::all_responses()) {
    CAPTURE(one.what);
    const auto step = step_of(one.text);
    std::size_t wrong = 0;
    for (std::size_t split = 1; split < one.text.size(); split += step)
      wrong += !is_response_refused(one.text, split);
    CHECK(wrong == 0);
  }
}

TEST_CASE("malformed: a body that came with its head is judged before it is used") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto begins_well = [&](const std::string& body) {
    const auto text = head + body;
    split_text from(text, text.size(), defaults.max_request_line);
    REQUIRE(from.read_head() == head_status::complete);
    http::request_head request;
    REQUIRE(http::parse_request(from.reader.head(), request) == errc::complete);
    from.reader.begin_body(request);
    const bool well = from.reader.begins_well();
    // The look ahead took nothing away.
    CHECK((from.read_body() == body_status::invalid) == !well);
    return well;
  };
  for (const auto& one : malformed::chunks) {
    CAPTURE(one.what);
    // Of a long one, what shows it may still be on its way.
    if (one.text.size() < 3000) CHECK_FALSE(begins_well(one.text + "GET "));
  }
  for (const auto* body : {"", "5", "5;a\r\nhel", "5\r\nhello\r\n0\r\n\r\nGET "})
    CHECK(begins_well(body));
}
