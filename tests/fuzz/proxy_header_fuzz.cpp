// Any beginning of a connection: a header that is complete is the same whatever comes behind it,
// and no shorter beginning of it was refused or complete.
#include "proxy/proxy_protocol.hpp"
#include "require.hpp"

using namespace icapgate;
using status = proxy::proxy_header::status;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = proxy::parse_proxy_header(input);
  if (whole.state != status::complete) require(!whole.client && whole.size == 0);
  if (whole.state == status::need_more) require(size < proxy::max_proxy_header);
  if (whole.state == status::complete) {
    require(whole.size > 0 && whole.size <= size && whole.size <= proxy::max_proxy_header);
    const auto exact = proxy::parse_proxy_header(input.substr(0, whole.size));
    require(exact.state == status::complete && exact.client == whole.client);
  }
  const auto end = whole.state == status::complete ? whole.size : size;
  const auto cut = end == 0 ? 0 : choose(input, end);
  const auto part = proxy::parse_proxy_header(input.substr(0, cut)).state;
  if (whole.state == status::complete || whole.state == status::need_more)
    require(part == status::need_more || cut == end);
  else
    require(part != status::complete);
  return 0;
}
