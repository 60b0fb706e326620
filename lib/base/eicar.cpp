#include "base/eicar.hpp"

#include <string_view>

namespace icapgate {

std::string eicar_text() {
  // Backwards, and in two pieces, so that no optimiser puts the text into the binary.
  static constexpr std::string_view end = "*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$";
  static constexpr std::string_view begin = "}7)CC7)^P(45XZP\\4[PA@%P!O5X";
  std::string text;
  text.reserve(begin.size() + end.size());
  for (const std::string_view piece : {begin, end}) text.append(piece.rbegin(), piece.rend());
  return text;
}

}  // namespace icapgate
