#include "doctor/samples.hpp"

#include "base/eicar.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <initializer_list>

namespace icapgate::doctor {
namespace {

constexpr std::string_view eicar_name = "eicar.com";
constexpr std::string_view filler_name = "filler.bin";

// --- The zip format (PKWARE's APPNOTE, 4.3); numbers are little-endian

enum class packing : std::uint16_t { stored = 0, deflated = 8 };

struct member {
  std::string_view name;
  packing how = packing::stored;
  std::uint32_t crc = 0;
  std::uint32_t packed = 0;  // bytes in the archive
  std::uint32_t size = 0;    // bytes of the file
  std::uint32_t offset = 0;  // of its local header
};

void put(std::string& out, unsigned bytes, std::uint32_t value) {
  for (; bytes > 0; --bytes, value >>= 8) out += static_cast<char>(value & 0xff);
}

// What the local and the central header share: version needed to extra field length.
void put_common(std::string& out, const member& m) {
  constexpr std::uint32_t version = 20;
  constexpr std::uint32_t first_day = 0x0021;  // 1 January 1980
  put(out, 2, version);
  put(out, 2, 0);  // flags
  put(out, 2, static_cast<std::uint32_t>(m.how));
  put(out, 2, 0);  // time
  put(out, 2, first_day);
  put(out, 4, m.crc);
  put(out, 4, m.packed);
  put(out, 4, m.size);
  put(out, 2, static_cast<std::uint32_t>(m.name.size()));
  put(out, 2, 0);  // extra field
}

std::string local_header(const member& m) {
  std::string out = "PK\3\4";
  put_common(out, m);
  return out.append(m.name);
}

std::string central_header(const member& m) {
  std::string out = "PK\1\2";
  put(out, 2, 20);  // made by
  put_common(out, m);
  put(out, 2, 0);  // comment
  put(out, 2, 0);  // disk
  put(out, 2, 0);  // internal attributes
  put(out, 4, 0);  // external attributes
  put(out, 4, m.offset);
  return out.append(m.name);
}

std::string directory(std::initializer_list<member> members, std::uint32_t offset) {
  std::string out;
  for (const auto& m : members) out += central_header(m);
  const auto size = static_cast<std::uint32_t>(out.size());
  const auto count = static_cast<std::uint32_t>(members.size());
  out += "PK\5\6";
  put(out, 4, 0);  // disks
  put(out, 2, count);
  put(out, 2, count);
  put(out, 4, size);
  put(out, 4, offset);
  put(out, 2, 0);  // comment
  return out;
}

std::uint32_t crc_of(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

// One block of literals in the fixed Huffman codes (RFC 1951 3.2.6): no byte of it stands at a byte
// border, so that only who unpacks it sees the text. `text` is ASCII.
std::string deflated(std::string_view text) {
  std::string out;
  unsigned bits = 0, count = 0;
  const auto push = [&](unsigned bit) {
    bits |= bit << count;
    if (++count < 8) return;
    out += static_cast<char>(bits);
    bits = count = 0;
  };
  for (const unsigned bit : {1u, 1u, 0u}) push(bit);  // the last block; fixed codes
  for (const unsigned char c : text)
    for (int i = 7; i >= 0; --i) push(((0x30u + c) >> i) & 1u);
  for (int i = 0; i < 7; ++i) push(0);  // end of block
  while (count > 0) push(0);
  return out;
}

member eicar_member(std::string_view packed, packing how) {
  const auto text = eicar_text();
  return {eicar_name, how, crc_of(text), static_cast<std::uint32_t>(packed.size()),
          static_cast<std::uint32_t>(text.size())};
}

// --- Filler

// Noise, always the same: neither compressible nor anything a scanner knows.
std::string noise_block() {
  std::string out(std::size_t{1} << 16, '\0');
  std::uint32_t state = 0x2545f491;
  for (auto& c : out) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    c = static_cast<char>(state >> 24);
  }
  return out;
}

// Hands `size` bytes of filler over, piece by piece.
bool for_each_filler(std::uint64_t size, const std::function<bool(std::string_view)>& take) {
  static const std::string block = noise_block();
  while (size > 0) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(size, block.size()));
    if (!take({block.data(), n})) return false;
    size -= n;
  }
  return true;
}

std::uint32_t filler_crc(std::uint64_t size) {
  boost::crc_32_type crc;
  for_each_filler(size, [&](std::string_view piece) {
    crc.process_bytes(piece.data(), piece.size());
    return true;
  });
  return crc.checksum();
}

}  // namespace

std::string harmless_text(std::size_t size) {
  constexpr std::string_view line =
      "This is a harmless line of text, sent to see that it passes.\n";
  std::string out;
  while (out.size() < size) out += line.substr(0, size - out.size());
  return out;
}

std::string eicar_zip(bool compressed) {
  const auto packed = compressed ? deflated(eicar_text()) : eicar_text();
  const auto only = eicar_member(packed, compressed ? packing::deflated : packing::stored);
  auto out = local_header(only) + packed;
  const auto end = static_cast<std::uint32_t>(out.size());
  return out += directory({only}, end);
}

std::uint64_t smallest_padded_zip() {
  const member filler{filler_name};
  const auto eicar = eicar_member(eicar_text(), packing::stored);
  return local_header(filler).size() + local_header(eicar).size() + eicar.size +
         directory({filler, eicar}, 0).size();
}

bool padded_eicar_zip(std::uint64_t size, const std::function<bool(std::string_view)>& sink) {
  const auto length = size - smallest_padded_zip();
  const auto short_length = static_cast<std::uint32_t>(length);
  const member filler{filler_name, packing::stored, filler_crc(length), short_length, short_length};
  const auto text = eicar_text();
  auto eicar = eicar_member(text, packing::stored);
  const auto head = local_header(filler);
  eicar.offset = static_cast<std::uint32_t>(head.size()) + short_length;
  auto tail = local_header(eicar) + text;
  const auto end = eicar.offset + static_cast<std::uint32_t>(tail.size());
  tail += directory({filler, eicar}, end);
  return sink(head) && for_each_filler(length, sink) && sink(tail);
}

std::string padded_eicar_zip(std::size_t size) {
  std::string out;
  padded_eicar_zip(size, [&](std::string_view piece) {
    out += piece;
    return true;
  });
  return out;
}

}  // namespace icapgate::doctor
