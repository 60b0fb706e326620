#define ZLIB_CONST

#include "base/decoder.hpp"

#include "base/text.hpp"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>

namespace icapgate {
namespace {

using bytes = std::span<char>;

// RFC 9659: the zstd content coding has windows of at most 8 MiB.
constexpr int zstd_window_log = 23;

constexpr std::size_t intermediate_size = 16384;  // between two codings of a chain

enum class state {
  inside,    // more must come
  boundary,  // the data may end here
  broken,
};

// One coding. `run` consumes from the front of the input and the output's free room, as much as
// it can; neither is empty, but for input that was used up while the room was too small.
class coder {
 public:
  virtual ~coder() = default;
  virtual state run(std::string_view& input, bytes& room) = 0;
};

std::uint8_t first_byte(std::string_view input) {
  return static_cast<std::uint8_t>(input[0]);
}

class zlib_stream {
 public:
  explicit zlib_stream(int window_bits) {
    if (inflateInit2(&stream_, window_bits) != Z_OK) throw std::bad_alloc();
  }
  ~zlib_stream() { inflateEnd(&stream_); }
  zlib_stream(const zlib_stream&) = delete;
  zlib_stream& operator=(const zlib_stream&) = delete;

  state run(std::string_view& input, bytes& room) {
    stream_.next_in = reinterpret_cast<const Bytef*>(input.data());
    stream_.avail_in = count(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = count(room.size());
    const auto given = stream_.avail_in, free = stream_.avail_out;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    input.remove_prefix(given - stream_.avail_in);
    room = room.subspan(free - stream_.avail_out);
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code == Z_STREAM_END) return state::boundary;
    // Z_BUF_ERROR: there was nothing to do.
    return code == Z_OK || code == Z_BUF_ERROR ? state::inside : state::broken;
  }

  void restart() { inflateReset(&stream_); }

 private:
  static uInt count(std::size_t size) { return static_cast<uInt>(std::min(size, most)); }
  static constexpr std::size_t most = std::numeric_limits<uInt>::max();

  z_stream stream_{};
};

class gzip_coder : public coder {
 public:
  state run(std::string_view& input, bytes& room) override {
    if (member_ended_ && !input.empty()) stream_.restart();
    const auto then = stream_.run(input, room);
    member_ended_ = then == state::boundary;
    return then;
  }

 private:
  zlib_stream stream_{MAX_WBITS + 16};  // nothing but gzip
  bool member_ended_ = false;
};

// RFC 9110 8.4.1.2 means the zlib format, but many servers send bare deflate data. Two bytes tell:
// no encoder begins bare data as a zlib header does, with a stored block whose padding isn't 0.
class deflate_coder : public coder {
 public:
  state run(std::string_view& input, bytes& room) override {
    if (ended_) return input.empty() ? state::boundary : state::broken;
    if (!stream_ && !begin(input, room)) return state::inside;
    const auto then = stream_->run(input, room);
    ended_ = then == state::boundary;
    return then;
  }

 private:
  // Holds the first byte back until it is clear what it belongs to.
  bool begin(std::string_view& input, bytes& room) {
    if (!held_) {
      held_ = input[0];
      input.remove_prefix(1);
    }
    const auto first = static_cast<std::uint8_t>(*held_);
    const bool may_be_zlib = (first & 0x0f) == Z_DEFLATED && first >> 4 <= MAX_WBITS - 8;
    if (may_be_zlib && input.empty()) return false;
    const bool is_zlib = may_be_zlib && (first * 256 + first_byte(input)) % 31 == 0;
    stream_.emplace(is_zlib ? MAX_WBITS : -MAX_WBITS);
    std::string_view held(&*held_, 1);
    stream_->run(held, room);  // a single byte gives nothing, and a fault in it stays
    return true;
  }

  std::optional<char> held_;
  std::optional<zlib_stream> stream_;
  bool ended_ = false;
};

class brotli_coder : public coder {
 public:
  brotli_coder() : decoder_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (!decoder_) throw std::bad_alloc();
  }

  state run(std::string_view& input, bytes& room) override {
    if (BrotliDecoderIsFinished(decoder_.get()))
      return input.empty() ? state::boundary : state::broken;
    auto in = reinterpret_cast<const std::uint8_t*>(input.data());
    auto out = reinterpret_cast<std::uint8_t*>(room.data());
    std::size_t given = input.size(), free = room.size();
    const auto code =
        BrotliDecoderDecompressStream(decoder_.get(), &given, &in, &free, &out, nullptr);
    input.remove_prefix(input.size() - given);
    room = room.last(free);
    if (code == BROTLI_DECODER_RESULT_SUCCESS) return state::boundary;
    if (code != BROTLI_DECODER_RESULT_ERROR) return state::inside;
    if (is_memory(BrotliDecoderGetErrorCode(decoder_.get()))) throw std::bad_alloc();
    return state::broken;
  }

 private:
  static bool is_memory(BrotliDecoderErrorCode code) {
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
  }

  struct deleter {
    void operator()(BrotliDecoderState* s) const { BrotliDecoderDestroyInstance(s); }
  };
  std::unique_ptr<BrotliDecoderState, deleter> decoder_;  // no large window unless asked for
};

class zstd_coder : public coder {
 public:
  zstd_coder() : decoder_(ZSTD_createDCtx()) {
    if (!decoder_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(decoder_.get(), ZSTD_d_windowLogMax, zstd_window_log);
  }

  // A frame's header is given to the library in one piece and alone. Otherwise a frame in one
  // piece is taken without the limit of the window, and one that was cut inside its header may be
  // taken to begin where it was cut: another body than the one that the client sees.
  state run(std::string_view& input, bytes& room) override {
    if (!between_frames_) return decompress(input, room);
    while (!input.empty() && header_.size() < header_size()) {
      header_ += input[0];
      input.remove_prefix(1);
    }
    if (header_.empty()) return state::boundary;
    if (!is_known_frame()) return state::broken;
    if (header_.size() < header_size()) return state::inside;
    std::string_view header = header_;
    const auto then = decompress(header, room);
    header_.clear();
    return then;
  }

 private:
  state decompress(std::string_view& input, bytes& room) {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const auto code = ZSTD_decompressStream(decoder_.get(), &out, &in);
    input.remove_prefix(in.pos);
    room = room.subspan(out.pos);
    if (ZSTD_isError(code)) {
      if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) throw std::bad_alloc();
      return state::broken;
    }
    between_frames_ = code == 0;
    return between_frames_ ? state::boundary : state::inside;
  }

  // The library may know the formats from before RFC 8878 as well, with limits of their own: their
  // magic numbers differ in the first byte.
  bool is_known_frame() const { return header_[0] == 0x28 || is_skippable(); }
  bool is_skippable() const { return first_byte(header_) >> 4 == 5; }

  // RFC 8878 3.1.1.1; of a skippable frame 3.1.2.
  std::size_t header_size() const {
    constexpr std::size_t to_descriptor = 5, skippable = 8;
    if (header_.size() < to_descriptor) return to_descriptor;
    if (is_skippable()) return skippable;
    const unsigned descriptor = static_cast<std::uint8_t>(header_[4]);
    const bool single_segment = descriptor & 0x20;
    constexpr std::size_t dictionary_id[] = {0, 1, 2, 4}, content_size[] = {0, 2, 4, 8};
    const auto size = to_descriptor + dictionary_id[descriptor & 3] + content_size[descriptor >> 6];
    // Either the window's descriptor, or a content size that is always there.
    return size + (!single_segment || descriptor >> 6 == 0 ? 1 : 0);
  }

  struct deleter {
    void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
  };
  std::unique_ptr<ZSTD_DCtx, deleter> decoder_;
  bool between_frames_ = true;  // or in a header
  std::string header_;
};

std::unique_ptr<coder> make_coder(content_coding coding) {
  switch (coding) {
    case content_coding::gzip:
      return std::make_unique<gzip_coder>();
    case content_coding::deflate:
      return std::make_unique<deflate_coder>();
    case content_coding::brotli:
      return std::make_unique<brotli_coder>();
    case content_coding::zstd:
      return std::make_unique<zstd_coder>();
  }
  return nullptr;
}

std::optional<content_coding> find_coding(std::string_view name) {
  // RFC 9110 8.4.1.3: x-gzip is gzip.
  if (iequals(name, "gzip") || iequals(name, "x-gzip")) return content_coding::gzip;
  if (iequals(name, "deflate")) return content_coding::deflate;
  if (iequals(name, "br")) return content_coding::brotli;
  if (iequals(name, "zstd")) return content_coding::zstd;
  return std::nullopt;
}

// A form between two codings may be somewhat larger than the body, where that can't be compressed.
std::uint64_t with_overhead(std::uint64_t size) {
  const auto overhead = size / 8 + decode_limits::ratio_floor;
  return size + std::min(overhead, std::numeric_limits<std::uint64_t>::max() - size);
}

bool is_large(content_coding coding) {
  return coding == content_coding::brotli || coding == content_coding::zstd;
}

}  // namespace

std::optional<std::vector<content_coding>> parse_codings(std::string_view content_encoding) {
  std::vector<content_coding> codings;
  while (!content_encoding.empty()) {
    const auto name = trim(split_off(content_encoding, ","));
    // RFC 9110 5.6.1.2: empty elements of a list are ignored.
    if (name.empty() || iequals(name, "identity")) continue;
    const auto coding = find_coding(name);
    if (!coding || codings.size() == max_content_codings) return std::nullopt;
    // Their windows are large: a chain of them is no honest body.
    if (is_large(*coding) && std::ranges::any_of(codings, is_large)) return std::nullopt;
    codings.push_back(*coding);
  }
  return codings;
}

struct body_decoder::stage {
  content_coding coding;
  std::unique_ptr<coder> worker{};  // from the first byte on
  std::vector<char> room{};         // of the output, where another stage takes that
  std::string_view output{};        // in `room`, not yet taken
  std::uint64_t written = 0;
  bool at_boundary = true;
  bool filled = false;  // its output was cut by the room: there may be more without any input
};

body_decoder::body_decoder(std::span<const content_coding> codings, decode_limits limits)
    : limits_(limits) {
  for (auto at = codings.rbegin(); at != codings.rend(); ++at) stages_.push_back({*at});
}

body_decoder::~body_decoder() = default;
body_decoder::body_decoder(body_decoder&&) noexcept = default;
body_decoder& body_decoder::operator=(body_decoder&&) noexcept = default;

body_decoder::step body_decoder::decode(std::string_view& input, bool last_input,
                                        std::span<char> out) {
  if (state_ != status::progressed) return {state_, 0};
  if (out.empty()) return {status::progressed, 0};
  const auto before = input.size();
  std::size_t written = 0;
  const bool moved = advance(input, out, written);
  consumed_ += before - input.size();
  written_ += written;
  for (const auto& s : stages_) check_limits(s.written, &s == &stages_.back());
  if (stages_.empty()) check_limits(written_, true);
  if (state_ != status::progressed) return end(state_);
  if (moved) return {status::progressed, written};
  if (!last_input) return {status::needs_input, 0};
  const bool whole =
      std::all_of(stages_.begin(), stages_.end(), [](const stage& s) { return s.at_boundary; });
  return end(whole ? status::finished : status::failed);
}

// Lets each coding work once. Whether anything went on.
bool body_decoder::advance(std::string_view& input, std::span<char> out, std::size_t& written) {
  if (stages_.empty()) {
    written = std::min(input.size(), out.size());
    if (written > 0) std::memcpy(out.data(), input.data(), written);
    input.remove_prefix(written);
    return written > 0;
  }
  bool moved = false;
  std::string_view* from = &input;
  for (auto& s : stages_) {
    if (&s == &stages_.back()) return run(s, *from, out, written) || moved;
    if (s.output.empty()) {
      s.room.resize(intermediate_size);
      std::size_t produced = 0;
      moved = run(s, *from, s.room, produced) || moved;
      s.output = {s.room.data(), produced};
    }
    from = &s.output;
  }
  return moved;
}

bool body_decoder::run(stage& s, std::string_view& input, std::span<char> out,
                       std::size_t& written) {
  if (state_ != status::progressed || (input.empty() && !s.filled)) return false;
  if (!s.worker) s.worker = make_coder(s.coding);
  const auto before = input.size();
  auto room = out;
  const auto then = s.worker->run(input, room);
  written = out.size() - room.size();
  s.written += written;
  s.filled = room.empty();
  s.at_boundary = then == state::boundary;
  const bool moved = written > 0 || input.size() < before;
  // Input that is never taken would be asked for again and again.
  if (then == state::broken || (!moved && !input.empty())) state_ = status::failed;
  return moved;
}

// A bomb is told as one, although it is too large as well: what is too large may be let pass.
void body_decoder::check_limits(std::uint64_t decoded, bool is_body) {
  const auto [max_size, max_ratio] = limits_;
  const auto most = is_body ? max_size : with_overhead(max_size);
  if (max_size > 0 && decoded > most && state_ == status::progressed) state_ = status::too_large;
  if (max_ratio > 0 && decoded > decode_limits::ratio_floor &&
      (decoded - 1) / max_ratio >= consumed_)  // decoded > max_ratio * consumed
    state_ = status::too_dense;
}

body_decoder::step body_decoder::end(status state) {
  state_ = state;
  std::vector<stage>().swap(stages_);
  return {state, 0};
}

}  // namespace icapgate
