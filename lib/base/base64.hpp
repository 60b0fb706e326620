// Base64 (RFC 4648 4), with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace icapgate {

std::string to_base64(std::string_view bytes);

// Strict: whole groups of four, padding at the end only, no bits that mean nothing.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace icapgate
