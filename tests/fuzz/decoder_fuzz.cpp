// Any bytes as an encoded body: the decoder stays in its bounds, comes to an end, and comes to the
// same end however the body is cut.
#include "base/decoder.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

using namespace icapgate;
using status = body_decoder::status;

namespace {

constexpr decode_limits limits{1 << 20, 0};  // a dense body costs a fuzzer time and shows nothing

struct decoded {
  status end = status::progressed;
  std::string body;
};

// 0: all at once.
decoded decode(std::string_view wire, const std::vector<content_coding>& codings, std::size_t piece,
               std::size_t room) {
  body_decoder decoder(codings, limits);
  std::string out(room, '\0');
  decoded result;
  auto given = wire.substr(0, piece == 0 ? wire.size() : piece);
  wire.remove_prefix(given.size());
  for (;;) {
    const auto before = given;
    const auto step = decoder.decode(given, wire.empty(), out);
    require(lies_in(given, before) && before.ends_with(given));
    require(step.written <= room);
    result.body.append(out, 0, step.written);
    require(result.body.size() <= limits.max_size);
    result.end = step.state;
    if (step.state == status::progressed) continue;
    if (step.state != status::needs_input) break;
    require(given.empty() && !wire.empty());
    given = wire.substr(0, piece);
    wire.remove_prefix(given.size());
  }
  return result;
}

}  // namespace

// The first byte tells the codings, the second how the body is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view wire(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::vector<content_coding> codings;
  const unsigned chain = data[0] % 84;  // 4 + 16 + 64 lists of one, two, and three
  unsigned count = 1, index = chain;
  for (unsigned lists = 4; index >= lists; lists *= 4, ++count) index -= lists;
  for (; count > 0; --count, index /= 4) codings.push_back(static_cast<content_coding>(index % 4));

  const auto whole = decode(wire, codings, 0, 65536);
  const auto cut = decode(wire, codings, 1 + data[1] % 16, 1 + data[1] / 16 * 97);
  require((whole.end == status::finished) == (cut.end == status::finished));
  if (whole.end == status::finished) require(whole.body == cut.body);
  require(whole.end != status::too_dense && cut.end != status::too_dense);

  const auto listed = parse_codings({reinterpret_cast<const char*>(data), size});
  require(!listed || listed->size() <= max_content_codings);
  return 0;
}
