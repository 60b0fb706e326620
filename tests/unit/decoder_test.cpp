#include "base/decoder.hpp"

#include "catch.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <random>
#include <string>

using namespace icapgate;
using namespace std::string_literals;
using coding = content_coding;
using codings = std::vector<content_coding>;
using status = body_decoder::status;

namespace {

constexpr int zlib_format = 15, gzip_format = 31, bare_format = -15;  // window bits

std::string zlib_encode(std::string_view body, int format) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, body.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string brotli_encode(std::string_view body, unsigned window = 22) {
  const auto encoder = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, 5);
  BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LARGE_WINDOW, window > 24);
  BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, window);
  std::string out(BrotliEncoderMaxCompressedSize(body.size()) + 1024, '\0');
  auto from = reinterpret_cast<const std::uint8_t*>(body.data());
  auto to = reinterpret_cast<std::uint8_t*>(out.data());
  std::size_t left = body.size(), room = out.size();
  REQUIRE(BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &left, &from, &room, &to,
                                      nullptr));
  REQUIRE(BrotliEncoderIsFinished(encoder));
  BrotliEncoderDestroyInstance(encoder);
  out.resize(out.size() - room);
  return out;
}

// As servers do it: the size isn't known when the frame begins, so the window isn't cut to it.
std::string zstd_encode(std::string_view body, int window_log = 20) {
  const auto encoder = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(encoder, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(encoder, ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(body.size()) + 1024, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{body.data(), body.size(), 0};
  REQUIRE(!ZSTD_isError(ZSTD_compressStream2(encoder, &to, &from, ZSTD_e_flush)));
  REQUIRE(ZSTD_compressStream2(encoder, &to, &from, ZSTD_e_end) == 0);
  ZSTD_freeCCtx(encoder);
  out.resize(to.pos);
  return out;
}

std::string encode(std::string_view body, coding c) {
  switch (c) {
    case coding::gzip:
      return zlib_encode(body, gzip_format);
    case coding::deflate:
      return zlib_encode(body, zlib_format);
    case coding::brotli:
      return brotli_encode(body);
    case coding::zstd:
      return zstd_encode(body);
  }
  return {};
}

std::string encode(std::string body, const codings& applied) {
  for (const auto c : applied) body = encode(body, c);
  return body;
}

struct decoded {
  status end = status::progressed;
  std::string body;
};

// Plays a body in pieces; what each call promises is checked on the way.
class player {
 public:
  player(const codings& applied, std::size_t room, decode_limits limits = {})
      : decoder(applied, limits), room_(room, '\0'), chain_(applied.size() > 1) {}

  // Whether the decoder wants more, or the body's end.
  bool feed(std::string_view input, bool last = false) {
    for (;;) {
      const auto before = input;
      const auto step = decoder.decode(input, last, room_);
      REQUIRE(step.written <= room_.size());
      REQUIRE(before.substr(before.size() - input.size()) == input);
      result.body.append(room_, 0, step.written);
      if (step.state == status::progressed) {
        // In a chain something may have moved from one coding to the next.
        REQUIRE((step.written > 0 || input.size() < before.size() || chain_));
        continue;
      }
      REQUIRE(step.written == 0);
      if (step.state == status::needs_input) REQUIRE((input.empty() && !last));
      if (step.state == status::finished) REQUIRE((input.empty() && last));
      result.end = step.state;
      return step.state == status::needs_input;
    }
  }

  body_decoder decoder;
  decoded result;

 private:
  std::string room_;
  bool chain_;
};

decoded decode(std::string_view wire, const codings& applied, std::size_t room = 4096,
               decode_limits limits = {}) {
  player p(applied, room, limits);
  p.feed(wire, true);
  return p.result;
}

bool is_whole(const decoded& d, std::string_view body) {
  return d.end == status::finished && d.body == body;
}

std::string noise(std::size_t size) {
  std::mt19937 random(42);
  std::string out(size, '\0');
  std::generate(out.begin(), out.end(), [&] { return static_cast<char>(random()); });
  return out;
}

// Something that compresses, but isn't the same everywhere.
std::string text(std::size_t size) {
  std::mt19937 random(7);
  std::string out;
  while (out.size() < size) out += "line " + std::to_string(random() % 1000) + " of many\n";
  out.resize(size);
  return out;
}

const std::string hello = "Hello, hello, hello, hello, hello!";

struct sample {
  std::string name, wire;
  codings applied;
};

std::vector<sample> samples(const std::string& body) {
  using enum coding;
  std::vector<sample> all{
      {"bare deflate", zlib_encode(body, bare_format), {deflate}},
      {"gzip members", encode(body.substr(0, 9), gzip) + encode(body.substr(9), gzip), {gzip}},
      {"zstd frames", encode(body.substr(0, 9), zstd) + encode(body.substr(9), zstd), {zstd}},
  };
  for (const auto& applied :
       {codings{gzip}, codings{deflate}, codings{brotli}, codings{zstd}, codings{gzip, brotli},
        codings{zstd, deflate, gzip}, codings{brotli, brotli, zstd}}) {
    std::string name;
    for (const auto c : applied) name += " " + std::to_string(static_cast<int>(c));
    all.push_back({"codings" + name, encode(body, applied), applied});
  }
  return all;
}

const codings every{coding::gzip, coding::deflate, coding::brotli, coding::zstd};

}  // namespace

TEST_CASE("Content-Encoding: the known codings, in the order they were applied") {
  using enum coding;
  CHECK(parse_codings("gzip") == codings{gzip});
  CHECK(parse_codings("X-GZip") == codings{gzip});
  CHECK(parse_codings("deflate,br") == codings{deflate, brotli});
  CHECK(parse_codings(" zstd \t, gzip ") == codings{zstd, gzip});
}

TEST_CASE("Content-Encoding: identity and empty elements are no codings") {
  CHECK(parse_codings("") == codings{});
  CHECK(parse_codings(" ,, ") == codings{});
  CHECK(parse_codings("Identity, gzip,") == codings{coding::gzip});
}

TEST_CASE("Content-Encoding: what is not known, or is more than three, is no list of codings") {
  for (const auto value : {"compress", "gzip, aws-chunked", "gzip;q=1", "gzip br", "dcb", "*"}) {
    INFO(value);
    CHECK(parse_codings(value) == std::nullopt);
  }
  CHECK(parse_codings("gzip, gzip, identity, gzip")->size() == 3);
  CHECK(parse_codings("gzip, gzip, gzip, gzip") == std::nullopt);
}

TEST_CASE("a body that another program encoded is decoded") {
  const auto gzip = "\x1f\x8b\x08\0\0\0\0\0\0\3\xcb\x48\xcd\xc9\xc9\7\0\x86\xa6\x10\x36\5\0\0\0"s;
  const auto zlib = "\x78\x9c\xcb\x48\xcd\xc9\xc9\7\0\6\x2c\2\x15"s;
  const auto bare = "\xcb\x48\xcd\xc9\xc9\7\0"s;
  const auto brotli = "\x0b\2\x80hello\3"s;
  const auto zstd = "\x28\xb5\x2f\xfd\4\x58\x29\0\0hello\xa3\x6d\x9f\x88"s;
  CHECK(is_whole(decode(gzip, {coding::gzip}), "hello"));
  CHECK(is_whole(decode(zlib, {coding::deflate}), "hello"));
  CHECK(is_whole(decode(bare, {coding::deflate}), "hello"));
  CHECK(is_whole(decode(brotli, {coding::brotli}), "hello"));
  CHECK(is_whole(decode(zstd, {coding::zstd}), "hello"));
}

TEST_CASE("every coding and chain gives the body back, split at each byte, in rooms of any size") {
  for (const auto& s : samples(hello)) {
    for (const std::size_t room : {1, 2, 7, 34, 35, 4096}) {
      for (std::size_t at = 0; at <= s.wire.size(); ++at) {
        INFO(s.name << ", room " << room << ", split at " << at);
        player p(s.applied, room);
        REQUIRE(p.feed(s.wire.substr(0, at)));
        p.feed(s.wire.substr(at), true);
        REQUIRE(is_whole(p.result, hello));
        REQUIRE(p.decoder.consumed() == s.wire.size());
        REQUIRE(p.decoder.written() == hello.size());
      }
    }
  }
}

TEST_CASE("a large body is decoded the same in pieces of any size") {
  std::mt19937 random(1);
  const auto body = text(300'000) + noise(100'000) + std::string(200'000, 'x');
  for (const auto& s : samples(body)) {
    INFO(s.name);
    for (const std::size_t most : {3, 1500, 70'000}) {
      player p(s.applied, 1 + random() % 20'000);
      std::string_view rest = s.wire;
      while (!rest.empty() && p.result.end != status::failed) {
        const auto size = std::min<std::size_t>(rest.size(), 1 + random() % most);
        p.feed(rest.substr(0, size));
        rest.remove_prefix(size);
      }
      p.feed({}, true);
      CHECK(is_whole(p.result, body));
    }
  }
}

TEST_CASE("an encoded body of no bytes is whole") {
  for (const auto& s : samples("123456789"))
    CHECK(is_whole(decode(s.wire, s.applied), "123456789"));
  for (const auto c : every) CHECK(is_whole(decode(encode("", c), {c}), ""));
  CHECK(
      is_whole(decode(encode("", {coding::zstd, coding::gzip}), {coding::zstd, coding::gzip}), ""));
}

TEST_CASE("a body that never began is whole, whatever its codings") {
  for (const auto c : every) CHECK(is_whole(decode("", {c}), ""));
  CHECK(is_whole(decode("", {coding::gzip, coding::zstd}), ""));
  CHECK(is_whole(decode(encode("", coding::gzip), {coding::brotli, coding::gzip}), ""));
}

TEST_CASE("without codings the body is copied") {
  CHECK(is_whole(decode("", {}), ""));
  CHECK(is_whole(decode(hello, {}, 5), hello));
  CHECK(decode(hello, {}, 5, {hello.size() - 1, 0}).end == status::too_large);
}

TEST_CASE("a decoder that waits can be asked again and again") {
  for (const auto c : every) {
    const auto wire = encode(hello, c);
    player p({c}, 4096);
    REQUIRE(p.feed(wire.substr(0, 12)));
    for (int i = 0; i < 100; ++i) REQUIRE(p.feed({}));
    REQUIRE(p.feed(wire.substr(12)));
    for (int i = 0; i < 100; ++i) REQUIRE(p.feed({}));
    p.feed({}, true);
    CHECK(is_whole(p.result, hello));
  }
}

TEST_CASE("a body cut short anywhere has failed") {
  for (const auto& s : samples(hello)) {
    for (std::size_t size = 1; size < s.wire.size(); ++size) {
      // The first of two members or frames is a whole body.
      if (is_whole(decode(s.wire.substr(0, size), s.applied), hello.substr(0, 9))) continue;
      INFO(s.name << ", " << size << " of " << s.wire.size() << " bytes");
      REQUIRE(decode(s.wire.substr(0, size), s.applied).end == status::failed);
    }
  }
}

TEST_CASE("a body with anything behind it has failed") {
  for (const auto& s : samples(hello)) {
    for (int byte = 0; byte < 256; ++byte) {
      INFO(s.name << ", followed by " << byte);
      REQUIRE(decode(s.wire + static_cast<char>(byte), s.applied).end == status::failed);
      player p(s.applied, hello.size());
      if (p.feed(s.wire)) p.feed(std::string(1, static_cast<char>(byte)), true);
      REQUIRE(p.result.end == status::failed);
    }
    CHECK(decode(s.wire + std::string(600, '\0'), s.applied).end == status::failed);
  }
}

TEST_CASE("a chain fails where an inner coding ends early or goes on") {
  const auto inner = encode(hello, coding::brotli);
  const codings applied{coding::brotli, coding::gzip};
  CHECK(is_whole(decode(encode(inner, coding::gzip), applied), hello));
  CHECK(decode(encode(inner + "x", coding::gzip), applied).end == status::failed);
  const auto cut = inner.substr(0, inner.size() - 1);
  CHECK(decode(encode(cut, coding::gzip), applied).end == status::failed);
}

TEST_CASE("a wrong checksum or length is seen") {
  for (const auto c : {coding::gzip, coding::deflate, coding::zstd}) {
    const auto wire = encode(hello, c);
    for (std::size_t back = 1; back <= (c == coding::gzip ? 8 : 4); ++back) {
      auto damaged = wire;
      damaged[wire.size() - back] ^= 0x10;
      CHECK(decode(damaged, {c}).end == status::failed);
    }
  }
}

TEST_CASE("a body in another coding than named has failed") {
  const auto page = "<!doctype html>\n<title>Hello</title>\n"s;
  for (const auto named : every) {
    for (const auto used : every) {
      INFO(static_cast<int>(used) << " as " << static_cast<int>(named));
      if (used != named) CHECK(decode(encode(hello, used), {named}).end == status::failed);
    }
    INFO("a page as " << static_cast<int>(named));
    CHECK(decode(page, {named}).end == status::failed);
  }
  const auto wire = encode(hello, {coding::gzip, coding::brotli});
  CHECK(decode(wire, {coding::brotli, coding::gzip}).end == status::failed);
}

TEST_CASE("a preset dictionary is none of ours") {
  CHECK(decode("\x78\x20\1\2\3\4\xcb\x48\xcd\xc9\xc9\7\0"s, {coding::deflate}).end ==
        status::failed);
  CHECK(decode("\x28\xb5\x2f\xfd\x21\x07\x05\x29\0\0hello"s, {coding::zstd}).end == status::failed);
  CHECK(is_whole(decode("\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello"s, {coding::zstd}), "hello"));
}

TEST_CASE("windows are bounded: 8 MiB for zstd, 16 MiB for br") {
  CHECK(is_whole(decode(zstd_encode(hello, 23), {coding::zstd}), hello));
  CHECK(decode(zstd_encode(hello, 24), {coding::zstd}).end == status::failed);
  CHECK(is_whole(decode(brotli_encode(hello, 24), {coding::brotli}), hello));
  CHECK(decode(brotli_encode(hello, 25), {coding::brotli}).end == status::failed);
}

TEST_CASE("zstd: skippable frames are skipped, formats from before RFC 8878 are not known") {
  const auto frame = encode(hello, coding::zstd);
  CHECK(is_whole(decode("\x50\x2a\x4d\x18\3\0\0\0abc"s + frame, {coding::zstd}), hello));
  CHECK(is_whole(decode(frame + "\x5f\x2a\x4d\x18\0\0\0\0"s, {coding::zstd}), hello));
  CHECK(decode(frame + "\x5f\x2a\x4d\x18\3\0\0\0ab"s, {coding::zstd}).end == status::failed);
  for (const char first : {'\x1e', '\x22', '\x23', '\x24', '\x25', '\x26', '\x27'})
    CHECK(decode(first + "\xb5\x2f\xfd"s, {coding::zstd}).end == status::failed);
}

// The library takes a frame that it has whole in another way, without the limit of the window, and
// may take a frame to begin where its input begins.
TEST_CASE("zstd: how a frame is cut and how much room there is doesn't change what it is") {
  const std::string block("\x61\x09\0"s + std::string(300, 'a'));
  const auto most = "\x28\xb5\x2f\xfd\x40\x68\x2c\0"s + block;  // a window of 8 MiB
  const auto more = "\x28\xb5\x2f\xfd\x40\x69\x2c\0"s + block;
  const auto hidden = "\x28\xb5\x2f\xfd\x23"s + "\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello"s;
  for (const std::size_t room : {1, 299, 300, 4096}) {
    for (std::size_t at = 0; at < hidden.size(); ++at) {
      INFO("room " << room << ", split at " << at);
      const auto end = [&](const std::string& wire) {
        player p({coding::zstd}, room);
        if (p.feed(wire.substr(0, at))) p.feed(wire.substr(at), true);
        return p.result.end;
      };
      CHECK(end(most) == status::finished);
      CHECK(end(more) == status::failed);
      CHECK(end(hidden) == status::failed);
    }
  }
}

TEST_CASE("max_size: so many decoded bytes and not one more") {
  const auto body = text(100'000);
  for (const auto& s : samples(body)) {
    for (const std::size_t room : {100, 99'999, 200'000}) {
      INFO(s.name << ", room " << room);
      CHECK(is_whole(decode(s.wire, s.applied, room, {body.size(), 0}), body));
      CHECK(is_whole(decode(s.wire, s.applied, room, {body.size() + 1, 0}), body));
      const auto cut = decode(s.wire, s.applied, room, {body.size() - 1, 0});
      CHECK(cut.end == status::too_large);
      CHECK(body.starts_with(cut.body));
      CHECK(cut.body.size() < body.size());
    }
  }
}

TEST_CASE("max_size: a form between two codings may be larger than the body") {
  const auto body = noise(500'000);
  const codings applied{coding::gzip, coding::zstd};
  const auto wire = encode(body, applied);
  REQUIRE(encode(body, coding::gzip).size() > body.size());
  CHECK(is_whole(decode(wire, applied, 4096, {body.size(), 0}), body));
}

// A gzip body of exactly `size` bytes: a file name in its header (RFC 1952 2.3) fills it up.
std::string padded_gzip(std::string_view body, std::size_t size) {
  auto wire = zlib_encode(body, gzip_format);
  REQUIRE(wire.size() < size);
  wire[3] = 8;
  wire.insert(10, std::string(size - wire.size() - 1, 'n') + '\0');
  return wire;
}

TEST_CASE("max_ratio: so many times the encoded bytes and not one more") {
  constexpr std::size_t room = 4 << 20, encoded = 20'000, ratio = 100;
  for (const auto& [size, expected] : {std::pair{encoded * ratio - 1, status::finished},
                                       std::pair{encoded * ratio, status::finished},
                                       std::pair{encoded * ratio + 1, status::too_dense}}) {
    const auto wire = padded_gzip(std::string(size, '\0'), encoded);
    INFO(size);
    CHECK(decode(wire, {coding::gzip}, room, {0, ratio}).end == expected);
    CHECK(decode(wire, {coding::gzip}, room, {0, ratio + 1}).end == status::finished);
  }
}

TEST_CASE("max_ratio: any ratio is allowed up to one MiB of body") {
  constexpr std::size_t mib = 1 << 20;
  for (const auto c : every) {
    CHECK(decode(encode(std::string(mib, 'a'), c), {c}, 4096, {0, 1}).end == status::finished);
    CHECK(decode(encode(std::string(mib + 1, 'a'), c), {c}, 4096, {0, 1}).end == status::too_dense);
    CHECK(decode(encode(std::string(mib + 1, 'a'), c), {c}).end == status::finished);
  }
}

TEST_CASE("a bomb that is too large as well is told as a bomb") {
  const auto wire = encode(std::string(3 << 20, 'a'), coding::gzip);
  CHECK(decode(wire, {coding::gzip}, 4 << 20, {1 << 20, 100}).end == status::too_dense);
}

// Encodes zeros while they are decoded, 1 MiB at a time. How much of the GiB was needed to stop.
std::size_t mib_of_zeros_until(status expected, decode_limits limits) {
  const std::string zeros(1 << 20, '\0');
  std::string wire(64 * 1024, '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, gzip_format, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  player p({coding::gzip}, 65536, limits);
  std::size_t mib = 0;
  for (bool more = true; more && mib < 1024; ++mib) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
    stream.avail_in = static_cast<uInt>(zeros.size());
    stream.next_out = reinterpret_cast<Bytef*>(wire.data());
    stream.avail_out = static_cast<uInt>(wire.size());
    REQUIRE(deflate(&stream, Z_SYNC_FLUSH) == Z_OK);
    REQUIRE(stream.avail_in == 0);
    more = p.feed({wire.data(), wire.size() - stream.avail_out});
  }
  deflateEnd(&stream);
  CHECK(p.result.end == expected);
  return mib;
}

TEST_CASE("a bomb of 1 GiB of zeros in gzip is given up after the first MiBs") {
  CHECK(mib_of_zeros_until(status::too_dense, {100 << 20, 100}) == 2);
  CHECK(mib_of_zeros_until(status::too_large, {10 << 20, 0}) == 11);
}

TEST_CASE("a bomb between two codings is stopped although nothing comes out") {
  std::string nothing;
  const auto empty = encode("", coding::gzip);
  while (nothing.size() < 8 << 20) nothing += empty;
  const codings applied{coding::gzip, coding::zstd};
  const auto wire = encode(nothing, coding::zstd);
  CHECK(is_whole(decode(wire, applied), ""));
  CHECK(decode(wire, applied, 4096, {0, 100}).end == status::too_dense);
  CHECK(decode(wire, applied, 4096, {1000, 0}).end == status::too_large);
}

TEST_CASE("an end stays, whatever is given afterwards") {
  const auto wire = encode(hello, coding::gzip);
  char room[64];
  std::string_view input = wire;
  player good({coding::gzip}, 64), bad({coding::gzip}, 64);
  good.feed(wire, true);
  bad.feed("nothing like gzip");
  CHECK(good.decoder.decode(input, false, room).state == status::finished);
  CHECK(bad.decoder.decode(input, false, room).state == status::failed);
  CHECK(input == wire);
}

TEST_CASE("a decoder can be moved in the middle of a body") {
  const codings applied{coding::brotli, coding::zstd};
  const auto body = text(50'000), wire = encode(body, applied);
  player first(applied, 100), second({}, 100);
  REQUIRE(first.feed(wire.substr(0, wire.size() / 2)));
  second.decoder = std::move(first.decoder);
  second.result = first.result;
  second.feed(wire.substr(wire.size() / 2), true);
  CHECK(is_whole(second.result, body));
}
