// What a fuzzer asserts: a failure must end the run in every build type.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string_view>

inline void require(bool holds) {
  if (!holds) std::abort();
}

inline bool lies_in(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// The same input gives the same number, and libFuzzer's small changes give any other one.
inline std::size_t choose(std::string_view input, std::size_t below) {
  std::size_t hash = 1469598103934665603u;
  for (const unsigned char c : input) hash = (hash ^ c) * 1099511628211u;
  return below == 0 ? 0 : (hash >> 17) % below;
}
