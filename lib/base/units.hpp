// Numbers with units, as users write them in settings and as we show them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace icapgate {

// Each returns false and leaves `out` alone if the text is not such a number; signs, fractions,
// blanks and values too large for `out` are refused.

// "300ms", "5s", "5m", "1h"; the unit is required, except for "0".
bool parse_duration(std::string_view text, std::chrono::milliseconds& out);

// "65536", "64KiB", "10MB"; B, KiB MiB GiB TiB (powers of 1024), KB MB GB TB (of 1000), in any
// case.
bool parse_size(std::string_view text, std::uint64_t& out);

// Decimal digits only.
bool parse_number(std::string_view text, std::uint64_t& out);

// The shortest text that the function above reads as the same value: "1500ms", "5m"; "64KiB",
// "1000".
std::string format_duration(std::chrono::milliseconds value);
std::string format_size(std::uint64_t value);

}  // namespace icapgate
