// Finds the end of a line's text. Every byte of every head goes through here.
#pragma once

#include "base/characters.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace icapgate {

// Some bytes at once: bits that tell which of them are control characters but the tab.
struct control_mask_of_word {
  static constexpr std::size_t bytes = 8;
  static constexpr int bits = 8;  // for each byte

  // Each byte by itself, without a carry into the next one.
  static std::uint64_t of(const char* text) {
    constexpr std::uint64_t ones = 0x0101010101010101, highs = ones << 7, lows = ~highs;
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      word |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
    const auto plain = word & lows;
    const auto not_below_blank = plain + ones * (0x80 - 0x20);
    const auto not_tab = (plain ^ ones * '\t') + lows;
    const auto not_del = (plain ^ ones * 0x7f) + lows;
    return ((~not_below_blank & not_tab) | ~not_del) & ~word & highs;
  }
};

#ifdef __SSE2__
struct control_mask_of_block {
  static constexpr std::size_t bytes = 16;
  static constexpr int bits = 1;

  static std::uint32_t of(const char* text) {
    const auto block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text));
    const auto low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    const auto tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
    const auto del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
    return static_cast<std::uint32_t>(
        _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
  }
};
using control_mask = control_mask_of_block;
#else
using control_mask = control_mask_of_word;
#endif

// The first control character but the tab (RFC 9110 5.5) from `at` on; the text's size: there is
// none.
template <class Mask = control_mask>
std::size_t end_of_field_text(std::string_view text, std::size_t at) {
  for (; at + Mask::bytes <= text.size(); at += Mask::bytes)
    if (const auto found = Mask::of(text.data() + at))
      return at + static_cast<std::size_t>(std::countr_zero(found) / Mask::bits);
  // What is left, with bytes before it that were looked at already.
  if (at < text.size() && text.size() >= Mask::bytes) {
    const auto from = text.size() - Mask::bytes;
    const auto found = Mask::of(text.data() + from) >> (at - from) * Mask::bits;
    return found == 0 ? text.size()
                      : at + static_cast<std::size_t>(std::countr_zero(found) / Mask::bits);
  }
  while (at < text.size() && is_field_text(text[at])) ++at;
  return at;
}

}  // namespace icapgate
