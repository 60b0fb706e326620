// The bodies that a scanner is shown: harmless text, and EICAR in several wrappings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace icapgate::doctor {

// Lines of text, `size` bytes of them.
std::string harmless_text(std::size_t size);

// A zip archive whose only member is the EICAR test file, as it is (stored) or compressed.
std::string eicar_zip(bool compressed);

// A zip archive of exactly `size` bytes: a stored member of filler, then EICAR as the last one. It
// is made in pieces for `sink`, which says false to end it. `size`: at least smallest_padded_zip,
// less than 4 GiB. False: the sink refused.
bool padded_eicar_zip(std::uint64_t size, const std::function<bool(std::string_view)>& sink);
std::uint64_t smallest_padded_zip();
std::string padded_eicar_zip(std::size_t size);

}  // namespace icapgate::doctor
