// Any bytes as the heads and the trailers of an answer: what they prove only gets worse by a sign.
#include "icap/verdict.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

using namespace icapgate;
using icap::verdict;

namespace {

constexpr unsigned statuses[] = {200, 201, 204, 206, 403, 500, 503, 302};
constexpr unsigned originals[] = {0, 200, 403};
constexpr std::string_view detection = "X-Virus-ID: found\r\n";

// The input is cut at its NULs: ICAP fields, HTTP fields, trailers.
std::string_view part(std::string_view& input) {
  const auto end = std::min(input.find('\0'), input.size());
  const auto out = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return out;
}

icap::answer answer_of(std::string_view input, unsigned status) {
  icap::answer a;
  a.status = status;
  a.unmodified = status == 204;
  a.head.append("ICAP/1.0 200 x\r\n").append(part(input));
  a.http_head.append("HTTP/1.1 200 x\r\n").append(part(input));
  a.trailers = input;
  return a;
}

void check(const result<icap::judgement>& j, bool is_204) {
  if (!j) {
    require(describe(j.error()).is_error);
    return;
  }
  require(j->threat.size() <= 200);
  require(
      std::all_of(j->threat.begin(), j->threat.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  require(j->kind != verdict::unscannable || !j->sign.empty());
  require((j->kind == verdict::clean) <= (is_204 && j->sign.empty()));
}

bool blocks(const icap::answer& a, const icap::profile& p, unsigned original) {
  const auto j = icap::judge(a, p, original);
  return j && j->kind == verdict::blocked;
}

// Neither the original nor an adapted version is delivered.
bool never_passes(const icap::answer& a, const icap::profile& p, unsigned original) {
  const auto j = icap::judge(a, p, original);
  return !j || j->kind == verdict::blocked || j->kind == verdict::unscannable;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto& p = icap::profiles()[choose(input, icap::profiles().size())];
  const auto original = originals[size % std::size(originals)];
  const auto status = statuses[choose(input, std::size(statuses))];
  auto a = answer_of(input, status);
  check(icap::judge(a, p, original), status == 204);
  const bool blocked = blocks(a, p, original);
  auto more = a;
  more.trailers.insert(0, std::string(input.substr(0, choose(input, size))) + "\r\n");
  const bool whole = more.trailers.find("\r\n\r\n") == std::string::npos;
  if (blocked && whole && !more.trailers.starts_with("\r\n"))
    require(never_passes(more, p, original));
  a.trailers.insert(0, detection);
  require(blocks(a, p, original));
  a.trailers.erase(0, detection.size());
  a.http_head.insert(std::string_view("HTTP/1.1 200 x\r\n").size(), detection);
  require(blocks(a, p, original));
  return 0;
}
