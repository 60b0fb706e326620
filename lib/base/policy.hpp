// What is done with responses: scanned or not, how, and what where that can't be. The settings'
// base, and rules that change it for some responses.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace icapgate {

enum class scan_mode : std::uint8_t {
  enforce,  // the client waits for the verdict
  monitor,  // the client gets the origin's response at once, and a copy is scanned for the log
  off,      // not scanned
};

// What becomes of a response that could not be judged.
enum class remedy : std::uint8_t { block, pass };

enum class delivery_mode : std::uint8_t {
  hold,     // nothing reaches the client before the verdict
  trickle,  // a beginning of the body drips to the client meanwhile
};

// What a request for ranges (RFC 9110 14) of a scanned response gets.
enum class range_mode : std::uint8_t {
  strip,   // the whole response
  serve,   // the ranges, cut from the whole response once it is clean
  reject,  // 416
};

enum class encoding_mode : std::uint8_t {
  identity,  // the origin is asked for none; one that comes all the same is decoded for the scanner
  pass,      // the scanner gets the bytes as they are
  decode,    // the client's wish goes to the origin; the scanner gets the decoded body
};

enum class page_source : std::uint8_t {
  scanner,  // the scanner's page where it sent one
  own,
};

struct policy {
  scan_mode mode = scan_mode::enforce;
  std::uint64_t max_scan_size = 100ULL << 20;  // bytes, decoded ones too; 0: no limit
  remedy on_oversize = remedy::block;
  remedy on_unscannable = remedy::block;
  remedy on_error = remedy::block;  // trouble with every scanner
  delivery_mode delivery = delivery_mode::hold;
  std::chrono::milliseconds trickle_delay{5'000};  // from the response's head on
  std::uint64_t trickle_rate = 1024;               // bytes a second
  range_mode range = range_mode::serve;
  encoding_mode encoding = encoding_mode::identity;
  std::uint64_t max_ratio = 100;  // decoded to encoded bytes, from the first decoded MiB on
  std::chrono::milliseconds max_body_time{
      300'000};               // of a body without a length, until it is whole
  bool event_stream = false;  // text/event-stream passes unscanned where the request asks for it
  bool upgrade = false;       // 101 opens a tunnel, unscanned
  page_source block_page = page_source::scanner;
  unsigned block_status = 403;  // of our own block page
};

// The first rule whose conditions all hold decides. An empty condition always holds.
struct rule {
  std::string reason;                    // in the log and the metrics; never empty
  std::vector<std::string> methods;      // as in the request, case-sensitive
  std::vector<std::string> paths;        // patterns with '*' for any text; of the target's path
  std::vector<std::string> hosts;        // likewise, without the port, any case
  std::vector<unsigned> statuses;        // 404, or 4 for 4xx
  std::vector<std::string> media_types;  // "image/png", "image/*"; any case, without parameters
  std::optional<std::uint64_t> min_size, max_size;  // bytes, inclusive; of a known Content-Length
  policy effects;                                   // the base, with what this rule changes

  // Whether something is asked that only the response tells.
  bool needs_response() const {
    return !statuses.empty() || !media_types.empty() || min_size || max_size;
  }
};

}  // namespace icapgate
