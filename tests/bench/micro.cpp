// What the parsers and serializers of one scanned response cost by themselves.
#include "base/chunked.hpp"
#include "http/head.hpp"
#include "http/head_scanner.hpp"
#include "http/rules.hpp"
#include "icap/message.hpp"

#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

namespace {

using namespace icapgate;

// As a browser asks.
constexpr std::string_view request_text =
    "GET /static/app.3f9c.js?v=12 HTTP/1.1\r\nHost: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://www.example.com/\r\nConnection: keep-alive\r\nCookie: session=7f3a9c41e2\r\n"
    "If-None-Match: \"69a41e90-400\"\r\n\r\n";

// As nginx sends a file.
constexpr std::string_view response_text =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n"
    "Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n"
    "Last-Modified: Sun, 01 Mar 2026 11:00:00 GMT\r\nConnection: keep-alive\r\n"
    "ETag: \"69a41e90-400\"\r\nAccept-Ranges: bytes\r\n\r\n";

constexpr std::string_view icap_answer_text =
    "ICAP/1.0 204 No modifications needed\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\n"
    "ISTag: \"CI0001-XXXXXXXXX\"\r\n\r\n";

// The argument: bytes of each chunk. 1 MiB of body comes in reads of 64 KiB.
void decode_chunks(benchmark::State& state) {
  constexpr std::size_t body = 1 << 20, read = 64 << 10;
  const auto chunk = static_cast<std::size_t>(state.range(0));
  std::string wire;
  for (std::size_t made = 0; made < body; made += chunk)
    wire.append(chunk_size_line(chunk).view()).append(chunk, 'x').append("\r\n");
  wire.append(last_chunk);
  chunk_decoder decoder;
  for (auto _ : state) {
    decoder.reset();
    std::uint64_t decoded = 0;
    for (std::string_view rest = wire; !rest.empty();) {
      auto input = rest.substr(0, read);
      rest.remove_prefix(input.size());
      std::string_view data;
      while (decoder.next(input, data) == chunk_decoder::event::data) decoded += data.size();
    }
    if (decoded != body) state.SkipWithError("the body was not decoded");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * body));
}
BENCHMARK(decode_chunks)->Arg(16)->Arg(256)->Arg(4096)->Arg(16384);

void find_head_end(benchmark::State& state) {
  http::head_scanner scanner(8192);
  for (auto _ : state) {
    scanner.reset();
    if (scanner.scan(response_text) != http::head_scanner::status::complete)
      state.SkipWithError("the head was refused");
  }
}
BENCHMARK(find_head_end);

void parse_request_head(benchmark::State& state) {
  http::request_head head;
  for (auto _ : state)
    if (http::parse_request(request_text, head) != errc::complete)
      state.SkipWithError("the head was refused");
}
BENCHMARK(parse_request_head);

void parse_response_head(benchmark::State& state) {
  http::response_head head;
  for (auto _ : state)
    if (http::parse_response(response_text, false, head) != errc::complete)
      state.SkipWithError("the head was refused");
}
BENCHMARK(parse_response_head);

void parse_icap_answer(benchmark::State& state) {
  for (auto _ : state) {
    const auto head = icap::parse_response_head(icap_answer_text);
    if (!head) state.SkipWithError("the head was refused");
  }
}
BENCHMARK(parse_icap_answer);

// The whole head as it goes to the scanner, the encapsulated ones in it.
void serialize_respmod(benchmark::State& state) {
  const icap::exchange_request request{.uri = "icap://scanner.example.com:1344/avscan",
                                       .host = "scanner.example.com:1344",
                                       .request_head = request_text,
                                       .response_head = response_text,
                                       .fields = "X-Client-IP: 192.0.2.7\r\n",
                                       .preview = 1024};
  std::string wire;
  for (auto _ : state) {
    wire.clear();
    icap::append_request(wire, request);
    benchmark::DoNotOptimize(wire.data());
  }
}
BENCHMARK(serialize_respmod);

http::request_head parsed_request() {
  http::request_head head;
  http::parse_request(request_text, head);
  return head;
}

http::response_head parsed_response() {
  http::response_head head;
  http::parse_response(response_text, false, head);
  return head;
}

template <class Append>
void serialize(benchmark::State& state, Append append) {
  std::string wire;
  for (auto _ : state) {
    wire.clear();
    append(wire);
    benchmark::DoNotOptimize(wire.data());
  }
}

void serialize_origin_request(benchmark::State& state) {
  const auto head = parsed_request();
  serialize(state, [&](auto& wire) { http::append_origin_request(wire, head); });
}
BENCHMARK(serialize_origin_request);

void serialize_scanner_heads(benchmark::State& state) {
  const auto request = parsed_request();
  const auto response = parsed_response();
  serialize(state, [&](auto& wire) {
    http::append_scanner_request(wire, request, true);
    http::append_scanner_response(wire, response);
  });
}
BENCHMARK(serialize_scanner_heads);

void serialize_client_response(benchmark::State& state) {
  const auto head = parsed_response();
  http::client_response to;
  to.via = "icapgate";
  serialize(state, [&](auto& wire) { http::append_client_response(wire, head, to); });
}
BENCHMARK(serialize_client_response);

}  // namespace

BENCHMARK_MAIN();
