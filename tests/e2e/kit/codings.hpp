// Bodies in content codings (RFC 9110 8.4), as servers send them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace e2e {

std::string gzip(std::string_view body);
std::string zlib(std::string_view body);          // what "deflate" means
std::string bare_deflate(std::string_view body);  // what many servers take it for
std::string brotli(std::string_view body);
std::string zstd(std::string_view body);

// `size` zeros in gzip, about a thousandth of that, given away piece by piece as they come.
void gzip_zeros(std::uint64_t size, const std::function<void(std::string_view)>& give);

}  // namespace e2e
