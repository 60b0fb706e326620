// The chunked transfer coding (RFC 9112 7.1), as HTTP and ICAP both use it. No socket, no copy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate {

// Decodes one chunked body. Hostile input costs bounded memory: a chunk-size line is at most
// `max_line` bytes, the trailer section at most `max_trailers`, and all chunk extensions together
// not much more than the data (RFC 9112 7.1.1).
//
// Strict: 1 to 16 hexadecimal digits (no sign, prefix, blank or underscore), a size of at most
// 2^63-1, CRLF line ends only. Blanks around the ';' of a chunk extension are allowed (RFC
// 9112 7.1.1). A trailer field is a name, a colon right behind it, and text.
class chunk_decoder {
 public:
  static constexpr std::size_t max_line = 4096;
  static constexpr std::size_t max_trailers = 16384;
  static constexpr std::size_t free_extensions = 16384;  // bytes beyond as many as of data

  enum class event {
    need_input,  // `input` is used up, the body goes on
    data,        // `data` is a non-empty view into the input
    complete,    // the last chunk and the trailer section were read; `input` holds what follows
    invalid,     // not the chunked coding, or over a limit; the decoder stays there
  };

  // Consumes from the front of `input` until there is one event to tell.
  event next(std::string_view& input, std::string_view& data);

  // Makes the decoder ready for another body.
  void reset();

  // The extension of the last chunk ("ieof", "use-original-body=42", or empty), blanks around it
  // removed. Valid once `complete`.
  std::string_view last_extension() const;

  // The trailer section as received, field lines with their CRLFs, without the empty line. Valid
  // once `complete`; empty if there was none.
  std::string_view trailers() const;

 private:
  enum class state { size, extension, size_lf, data, data_cr, data_lf, trailer, complete, invalid };

  state read_framing(std::string_view& input);
  state read_byte(std::string_view& input, char expected, state then);
  state read_size(std::string_view& input);
  state end_size(std::string_view& input);
  state read_extension(std::string_view& input);
  state read_trailer(std::string_view& input);
  state end_trailer_line();
  void end_data(std::string_view& input);

  state state_ = state::size;
  std::uint64_t remaining_ = 0;   // of the chunk
  unsigned digits_ = 0;           // of the chunk size, read so far
  std::size_t line_ = 0;          // where the current line begins in trailers_
  std::string extension_;         // of the chunk, as received
  std::uint64_t extensions_ = 0;  // bytes of all, less those of the data
  std::string trailers_;
};

// "<hex>\r\n" of a chunk of `size` bytes, without any extension.
class chunk_size_line {
 public:
  explicit chunk_size_line(std::uint64_t size);
  std::string_view view() const { return {text_.data(), length_}; }

 private:
  std::array<char, 18> text_;
  std::size_t length_;
};

inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace icapgate
