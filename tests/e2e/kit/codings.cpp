#include "kit/codings.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace e2e {

namespace {

constexpr int zlib_bits = 15, gzip_bits = 31, bare_bits = -15;

void expect(bool true_so, const char* who) {
  if (!true_so) throw std::runtime_error(std::string(who) + " could not encode");
}

class deflater {
 public:
  explicit deflater(int window_bits) {
    expect(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, 8,
                        Z_DEFAULT_STRATEGY) == Z_OK,
           "zlib");
  }
  ~deflater() { deflateEnd(&stream_); }
  deflater(const deflater&) = delete;
  deflater& operator=(const deflater&) = delete;

  // Empty while the encoder has not enough for a block.
  std::string add(std::string_view body, bool last) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream_.avail_in = static_cast<uInt>(body.size());
    std::string out;
    std::vector<Bytef> room(1 << 16);
    do {
      stream_.next_out = room.data();
      stream_.avail_out = static_cast<uInt>(room.size());
      deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      out.append(reinterpret_cast<const char*>(room.data()), room.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out;
  }

 private:
  z_stream stream_{};
};

}  // namespace

std::string gzip(std::string_view body) {
  return deflater(gzip_bits).add(body, true);
}

std::string zlib(std::string_view body) {
  return deflater(zlib_bits).add(body, true);
}

std::string bare_deflate(std::string_view body) {
  return deflater(bare_bits).add(body, true);
}

std::string brotli(std::string_view body) {
  constexpr int quality = 5;
  std::string out(BrotliEncoderMaxCompressedSize(body.size()) + 64, '\0');
  std::size_t size = out.size();
  expect(BrotliEncoderCompress(quality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, body.size(),
                               reinterpret_cast<const std::uint8_t*>(body.data()), &size,
                               reinterpret_cast<std::uint8_t*>(out.data())),
         "brotli");
  out.resize(size);
  return out;
}

std::string zstd(std::string_view body) {
  constexpr int level = 3;
  std::string out(ZSTD_compressBound(body.size()), '\0');
  const auto size = ZSTD_compress(out.data(), out.size(), body.data(), body.size(), level);
  expect(!ZSTD_isError(size), "zstd");
  out.resize(size);
  return out;
}

void gzip_zeros(std::uint64_t size, const std::function<void(std::string_view)>& give) {
  const std::string zeros(1 << 20, '\0');
  deflater encoder(gzip_bits);
  while (size > 0) {
    const auto part = std::min<std::uint64_t>(size, zeros.size());
    size -= part;
    const auto out = encoder.add(std::string_view(zeros).substr(0, part), size == 0);
    if (!out.empty()) give(out);
  }
}

}  // namespace e2e
