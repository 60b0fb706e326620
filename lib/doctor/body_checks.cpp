// What the scanner makes of bodies, shown in every way that the gateway has.
#include "base/chunked.hpp"
#include "base/eicar.hpp"
#include "base/units.hpp"
#include "doctor/examination.hpp"
#include "doctor/samples.hpp"

#include <algorithm>
#include <utility>

namespace icapgate::doctor {
namespace {

constexpr std::size_t giant = 3 << 20;
constexpr std::size_t small_text = 2000;
// The largest preview that is tried; the gateway sends no longer ones either.
constexpr std::size_t most_preview = 65536;

constexpr std::string_view no_preview = "OPTIONS asks for no preview";
constexpr std::string_view raise_limits =
    "raise its limits (for ClamAV: MaxFileSize, MaxScanSize, StreamMaxLength; for e2guardian: "
    "maxcontentfiltersize)";

// In chunks of one byte each.
std::string in_single_bytes(std::string_view body) {
  std::string out;
  const chunk_size_line size(1);
  for (const char c : body) ((out += size.view()) += c) += "\r\n";
  return out += last_chunk;
}

// A page without a mark stands in the file's place: what came back is too short to hold it.
bool is_page(std::uint64_t size, const outcome& seen) {
  return seen.what == fate::changed && !seen.answer.original_from && seen.came_back < size / 2;
}

}  // namespace

const examination::check examination::body_checks[] = {
    {"clean text", &examination::clean_text},
    {"EICAR", &examination::eicar},
    {"EICAR, zip", &examination::zip_stored},
    {"EICAR, deflated zip", &examination::zip_compressed},
    {"empty body", &examination::empty_body},
    {"preview 0", &examination::preview_zero},
    {"preview, ieof", &examination::preview_ieof},
    {"preview, exactly", &examination::preview_exact},
    {"preview, then rest", &examination::preview_and_rest},
    {"204 to a preview", &examination::unmodified_in_preview},
    {"204 without preview", &examination::unmodified_outside},
    {"no Allow: 204", &examination::without_allow},
    {"206", &examination::partial},
    {"one giant chunk", &examination::giant_chunk},
    {"many tiny chunks", &examination::tiny_chunks},
    {"early answer", &examination::early_answer},
    {"connection reuse", &examination::reuse},
    {"in parallel", &examination::parallel},
    {"idle connection", &examination::idle},
    {{}, nullptr},
};

manner examination::usual() const {
  manner how;
  if (known_.options.preview && order_.vendor->preview)
    how.preview = std::min(*known_.options.preview, most_preview);
  return how;
}

finding examination::must_stop(const outcome& seen) {
  if (seen.what != fate::none) known_.answered = true;
  switch (seen.what) {
    case fate::stopped:
      return passed(seen.text);
    case fate::cut:
      return doubtful(
          seen.text + ", which the gateway takes for a block",
          "it answers before it has seen all; has it a mode that waits (for c-icap: the "
          "path avscan)?");
    case fate::changed:
      return doubtful(seen.text + ", no header tells of a detection",
                      "does the service repair, or adapt what it does not scan?");
    case fate::passes:
      return let_pass(seen);
    case fate::none:
      break;
  }
  return failed(seen.text, hint_for(seen));
}

// The hint is given once.
finding examination::let_pass(const outcome& seen) {
  const bool again = std::exchange(known_.passed_eicar, true);
  const auto text = "EICAR PASSES; " + seen.text;
  if (again) return failed(text);
  return failed(
      text,
      "does this service scan at all: is its engine loaded, the type in its list, the path "
      "right?");
}

finding examination::must_pass(const outcome& seen) {
  if (seen.what != fate::none) known_.answered = true;
  switch (seen.what) {
    case fate::passes:
      return passed(seen.text);
    case fate::changed:
      return doubtful(seen.text, "the service changes what it lets pass: clients get its version");
    case fate::stopped:
    case fate::cut:
      return failed("a harmless text is not delivered; " + seen.text,
                    "does a policy there block this host or type?");
    case fate::none:
      break;
  }
  return failed(seen.text, hint_for(seen));
}

task<finding> examination::clean_text() {
  const auto text = harmless_text(small_text);
  const auto seen = co_await prober_.show(text, usual());
  co_return must_pass(seen);
}

task<finding> examination::eicar() {
  const auto body = eicar_text();
  const auto seen = co_await prober_.show(body, usual());
  co_return must_stop(seen);
}

task<finding> examination::zip_stored() {
  const auto body = eicar_zip(false);
  const auto seen = co_await prober_.show(body, usual());
  co_return must_stop(seen);
}

task<finding> examination::zip_compressed() {
  const auto body = eicar_zip(true);
  const auto seen = co_await prober_.show(body, usual());
  if (seen.what != fate::passes) co_return must_stop(seen);
  known_.passed_compressed = true;
  co_return doubtful("EICAR PASSES when it is compressed; " + seen.text,
                     "let the scanner unpack archives");
}

task<finding> examination::empty_body() {
  const auto seen = co_await prober_.show(std::string_view{}, usual());
  if (seen.what == fate::passes) co_return passed(seen.text);
  co_return doubtful(seen.text, "responses without a byte of body may fail");
}

// --- Previews (RFC 3507 4.5). Wrong answers to them are a known way past a scanner.

task<finding> examination::preview_zero() {
  if (!known_.options.preview) co_return skipped(std::string(no_preview));
  manner how;
  how.preview = 0;
  const auto body = eicar_text();
  const auto seen = co_await prober_.show(body, how);
  if (seen.what != fate::passes || known_.passed_eicar) co_return must_stop(seen);
  known_.passed_eicar = true;
  co_return failed("EICAR PASSES: it answers before it has seen a byte; " + seen.text,
                   "vendor = \"fortisandbox\" sends no previews");
}

task<finding> examination::preview_ieof() {
  const auto preview = usual().preview;
  const auto body = eicar_text();
  if (!preview) co_return skipped(std::string(no_preview));
  if (*preview < body.size()) co_return skipped("the preview is shorter than EICAR");
  const auto seen = co_await prober_.show(body, usual());
  co_return must_stop(seen);
}

task<finding> examination::preview_exact() {
  const auto preview = usual().preview;
  if (!preview) co_return skipped(std::string(no_preview));
  if (*preview < smallest_padded_zip()) co_return skipped("the preview is too short for EICAR");
  const auto body = padded_eicar_zip(*preview);
  const auto seen = co_await prober_.show(body, usual());
  co_return must_stop(seen);
}

// The scanner has to ask for what is behind the preview: EICAR stands there.
task<finding> examination::preview_and_rest() {
  const auto preview = usual().preview;
  if (!preview) co_return skipped(std::string(no_preview));
  const auto body = padded_eicar_zip(2 * *preview + 4096);
  const auto seen = co_await prober_.show(body, usual());
  co_return must_stop(seen);
}

// --- 204 (RFC 3507 4.6) and 206

task<finding> examination::unmodified_in_preview() {
  if (!usual().preview) co_return skipped(std::string(no_preview));
  const auto text = harmless_text(std::min(small_text, *usual().preview));
  const auto seen = co_await prober_.show(text, usual());
  if (seen.what != fate::passes || seen.answer.status == 204) co_return must_pass(seen);
  co_return doubtful(seen.text, "it works, and costs twice the bytes: allow 204 there");
}

task<finding> examination::unmodified_outside() {
  if (!order_.vendor->allow_204) co_return skipped("this vendor's scanners are not offered 204");
  const auto text = harmless_text(small_text);
  const auto seen = co_await prober_.show(text, manner{});
  if (seen.what != fate::passes || seen.answer.status == 204) co_return must_pass(seen);
  co_return doubtful(seen.text, "it works, and costs twice the bytes: allow 204 there");
}

// The gateway always offers 204 and is never hurt; other clients would be.
task<finding> examination::without_allow() {
  manner how;
  how.allow_204 = false;
  const auto text = harmless_text(small_text);
  const auto seen = co_await prober_.show(text, how);
  if (seen.what == fate::passes) co_return passed(seen.text);
  if (seen.answer.status == 204)
    co_return doubtful("204, which was not allowed", "clients that keep no copy would lose bodies");
  co_return doubtful(seen.text, seen.what == fate::none ? hint_for(seen) : std::string());
}

task<finding> examination::partial() {
  if (!known_.options.allow_206 || !usual().preview) co_return skipped("OPTIONS does not offer it");
  auto how = usual();
  how.allow_206 = true;
  const auto text = harmless_text(*usual().preview + small_text);
  const auto seen = co_await prober_.show(text, how);
  if (seen.what != fate::passes && seen.what != fate::changed) co_return must_pass(seen);
  co_return passed(seen.text);
}

// --- The chunked coding

task<finding> examination::giant_chunk() {
  const bool finds_small = !known_.passed_eicar;
  const auto body = padded_eicar_zip(giant);
  const auto seen = co_await prober_.show(body, manner{});
  auto found = must_stop(seen);
  if (finds_small && seen.what == fate::passes)
    found.hint = "it finds EICAR in small bodies: " + std::string(raise_limits);
  found.text = format_size(giant) + ": " + found.text;
  co_return found;
}

task<finding> examination::tiny_chunks() {
  const auto body = padded_eicar_zip(4096);
  const auto wire = in_single_bytes(body);
  auto connected = co_await prober_.connect();
  if (!connected) {
    const auto none = unanswered(connected.error());
    co_return must_stop(none);
  }
  const auto uri = prober_.scanner().request_uri();
  const auto sent = co_await prober_.send_raw(**connected, uri, wire, body.size());
  auto original = prober_.empty_spool();
  auto adapted = prober_.empty_spool();
  original.append(body);
  adapted.append(sent.body);
  const auto seen = prober_.judged(sent.reason, sent.answer, original, adapted);
  auto found = must_stop(seen);
  found.text = std::to_string(body.size()) + " of one byte: " + found.text;
  co_return found;
}

// --- The ladder

task<outcome> examination::climb_to(std::uint64_t size) {
  auto spool = prober_.empty_spool();
  const std::function<bool(std::string_view)> sink = [&](std::string_view piece) {
    return spool.append(piece) == proxy::spool_status::ok;
  };
  auto seen = unanswered(errc::spool_failed);
  if (padded_eicar_zip(size, sink)) seen = co_await prober_.show(spool, usual());
  co_return seen;
}

// Nothing is said against a scanner that has a limit, where the first step holds.
finding examination::step(std::uint64_t size, const outcome& seen) {
  if (seen.what == fate::stopped || seen.what == fate::cut) {
    known_.detected_up_to = size;
    return passed(seen.text);
  }
  if (is_page(size, seen)) {
    known_.detected_up_to = size;
    return doubtful(seen.text + ", no header tells of a detection");
  }
  if (seen.reason == errc::spool_failed) return failed(seen.text, "is there room in /var/tmp?");
  known_.lost_from = size;
  const auto limit = known_.detected_up_to > 0 ? format_size(known_.detected_up_to) : "nothing";
  const auto hint = "it detects up to " + limit + " of these files: " + std::string(raise_limits);
  const auto text = seen.what == fate::passes ? "EICAR PASSES; " + seen.text : seen.text;
  return known_.detected_up_to > 0 ? doubtful(text, hint) : failed(text, hint);
}

}  // namespace icapgate::doctor
