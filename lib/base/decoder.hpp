// Content codings (RFC 9110 8.4) taken off a body while it arrives: gzip, deflate, br, zstd, and
// chains of them. No socket; bounded memory, however hostile the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace icapgate {

enum class content_coding : std::uint8_t { gzip, deflate, brotli, zstd };

inline constexpr std::size_t max_content_codings = 3;  // of one body

// The codings of a Content-Encoding value in the order they were applied, without "identity".
// Several fields are joined with commas by the caller. Empty: the body is not encoded; nullopt: a
// coding that is not known here, more than `max_content_codings`, or br and zstd more than once
// among them: each needs megabytes.
std::optional<std::vector<content_coding>> parse_codings(std::string_view content_encoding);

struct decode_limits {
  // Ratios are judged from here on: small bodies are dense and harmless.
  static constexpr std::uint64_t ratio_floor = 1 << 20;

  std::uint64_t max_size = 0;   // decoded bytes; 0: no limit
  std::uint64_t max_ratio = 0;  // decoded to encoded bytes, at any time; 0: no limit
};

// Decodes one body. Throws nothing but std::bad_alloc. What a coding needs is allocated with its
// first byte and freed with the last: 32 KiB for gzip and deflate, up to 8 MiB for zstd (RFC 9659)
// and 16 MiB for br (RFC 7932 9.1), each with some overhead.
//
// A coding's data must end where the body ends: what follows, and what is missing, are faults.
// Several gzip members (RFC 1952 2.2) or zstd frames (RFC 8878 3) in a row are one body. A body
// without any byte is whole, whatever its codings: servers send it so.
class body_decoder {
 public:
  enum class status : std::uint8_t {
    progressed,   // call again, with what is left of the input and new room
    needs_input,  // the input is used up, and all that came of it was written
    finished,     // the body is whole
    failed,       // not in these codings, damaged, or cut short
    too_large,    // more than max_size
    too_dense,    // more than max_ratio
  };

  struct step {
    status state;
    std::size_t written;  // bytes of `out`; 0 unless progressed
  };

  // `codings` in the order they were applied; empty: the body is copied.
  explicit body_decoder(std::span<const content_coding> codings, decode_limits limits = {});
  ~body_decoder();
  body_decoder(body_decoder&&) noexcept;
  body_decoder& operator=(body_decoder&&) noexcept;

  // Consumes from the front of `input` and writes into `out`, which must have room. One call does
  // bounded work, and may progress without taking or giving a byte: inside a chain.
  // `last_input`: nothing follows `input`; without it there is no end. The last four states stay.
  step decode(std::string_view& input, bool last_input, std::span<char> out);

  std::uint64_t consumed() const { return consumed_; }  // encoded bytes
  std::uint64_t written() const { return written_; }    // decoded bytes

 private:
  struct stage;

  bool advance(std::string_view& input, std::span<char> out, std::size_t& written);
  bool run(stage& s, std::string_view& input, std::span<char> out, std::size_t& written);
  void check_limits(std::uint64_t decoded, bool is_body);
  step end(status state);

  decode_limits limits_;
  std::vector<stage> stages_;  // in the order they are taken off
  std::uint64_t consumed_ = 0;
  std::uint64_t written_ = 0;
  status state_ = status::progressed;
};

}  // namespace icapgate
