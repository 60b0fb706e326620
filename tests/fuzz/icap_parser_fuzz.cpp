// Any bytes as an ICAP head, as an Encapsulated list, and as a chunked body.
#include "base/chunked.hpp"
#include "icap/message.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>

using namespace icapgate;

namespace {

void check_heads(std::string_view text) {
  if (const auto head = icap::parse_response_head(text)) {
    require(head->status <= 999 && lies_in(head->reason, text));
    for (const auto& f : head->fields) {
      require(!f.name.empty() && lies_in(f.name, text) && lies_in(f.value, text));
    }
  }
  for (const bool unlisted_heads : {false, true}) {
    const auto sections = icap::parse_encapsulated(text, unlisted_heads);
    if (!sections) continue;
    require(!sections->empty());
    const bool lone_body = sections->size() == 1 && icap::is_body(sections->front().kind);
    require(sections->front().offset == 0 || (unlisted_heads && lone_body));
    for (std::size_t i = 1; i < sections->size(); ++i) {
      require((*sections)[i - 1].offset < (*sections)[i].offset);
      require(!icap::is_body((*sections)[i - 1].kind));
    }
  }
}

// The last event and, in front of it, the decoded body and what the last chunk brought.
std::string decode(std::string_view wire, std::size_t first, std::size_t step) {
  chunk_decoder decoder;
  std::string seen;
  auto last = chunk_decoder::event::need_input;
  for (std::size_t size = first; !wire.empty(); size = step) {
    std::string_view input = wire.substr(0, size), data;
    const std::string_view given = input;
    while ((last = decoder.next(input, data)) == chunk_decoder::event::data) {
      require(!data.empty() && lies_in(data, given));
      seen += data;
    }
    require(lies_in(input, given));
    wire.remove_prefix(given.size() - input.size());
    if (last != chunk_decoder::event::need_input) break;
    require(input.empty());
  }
  if (last == chunk_decoder::event::complete) {
    require(decoder.trailers().size() <= chunk_decoder::max_trailers);
    seen.append(decoder.last_extension()).append(decoder.trailers()).append(wire);
  }
  return seen + static_cast<char>(last);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_heads(input);
  const auto whole = decode(input, size, size);
  require(decode(input, 1, 1) == whole);
  require(decode(input, 1 + choose(input, size), size) == whole);
  return 0;
}
