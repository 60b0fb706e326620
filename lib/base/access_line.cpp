// One access record as one line of JSON. Every text in it is hostile.
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/url.hpp"

#include <array>

namespace icapgate {

namespace {

constexpr std::size_t max_target = 2048;
constexpr std::size_t max_text = 256;

std::string capped(std::string_view text, std::size_t limit) {
  std::string out(text.substr(0, limit));
  if (text.size() > limit) out.replace(limit - 3, 3, "...");
  return out;
}

// Passwords and tokens travel in queries: the names tell enough.
std::string without_query_values(std::string_view target) {
  std::string_view rest = target;
  std::string out(split_off(rest, "?"));
  if (out.size() == target.size()) return out;
  out += '?';
  while (!rest.empty() && out.size() <= max_target) {
    const std::string_view field = split_off(rest, "&");
    const auto equals = field.find('=');
    out += field.substr(0, equals);
    if (equals != field.npos) out += "=-";
    if (!rest.empty()) out += '&';
  }
  return out;
}

std::string_view name_of(access_verdict verdict) {
  constexpr std::array<std::string_view, 7> names{"none",    "skipped",     "clean", "adapted",
                                                  "blocked", "unscannable", "error"};
  return names[static_cast<std::size_t>(verdict)];
}

// What became of the response, in one word.
std::string_view action_of(const access_record& r) {
  if (r.monitored) return "monitored";
  if (r.why_unscanned == unscanned::on_error) return "fallback";
  if (r.why_unscanned != unscanned::no) return "pass";
  switch (r.verdict) {
    case access_verdict::clean:
    case access_verdict::adapted:
      return "deliver";
    case access_verdict::blocked:
    case access_verdict::unscannable:
      return "block";
    default:
      return "fail";
  }
}

void pad(std::string& out, long long value, std::size_t width) {
  const auto digits = std::to_string(value);
  if (digits.size() < width) out.append(width - digits.size(), '0');
  out += digits;
}

std::string utc(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  const auto ms = floor<milliseconds>(when);
  const auto today = floor<days>(ms);
  const year_month_day date(today);
  const hh_mm_ss time(ms - today);
  std::string out;
  pad(out, static_cast<int>(date.year()), 4);
  pad(out += '-', static_cast<unsigned>(date.month()), 2);
  pad(out += '-', static_cast<unsigned>(date.day()), 2);
  pad(out += 'T', time.hours().count(), 2);
  pad(out += ':', time.minutes().count(), 2);
  pad(out += ':', time.seconds().count(), 2);
  pad(out += '.', time.subseconds().count(), 3);
  return out += 'Z';
}

}  // namespace

std::string_view name_of(unscanned why) {
  constexpr std::array<std::string_view, static_cast<std::size_t>(unscanned::count_)> names{
      "",        "no_body",  "avoid_port",  "transfer_ignore", "rule", "mode_off", "event_stream",
      "upgrade", "oversize", "unscannable", "on_error"};
  return names[static_cast<std::size_t>(why)];
}

std::string to_json_line(const access_record& r) {
  const auto target = without_user_info(without_query_values(r.target));
  return json_object()
             .add("ts", utc(r.ts))
             .add("request_id", capped(r.request_id, max_text))
             .add("client", capped(r.client, max_text))
             .add("method", capped(r.method, max_text))
             .add("target", capped(target, max_target))
             .add("status", std::uint64_t{r.status})
             .add("bytes_in", r.bytes_in)
             .add("bytes_out", r.bytes_out)
             .add("verdict", name_of(r.verdict))
             .add("threat", capped(r.threat, max_text))
             .add("reason", capped(r.reason, max_text))
             .add("scanner", capped(r.scanner, max_text))
             .add("icap_status", std::uint64_t{r.icap_status})
             .add("origin_ms", r.origin_ms)
             .add("scan_ms", r.scan_ms)
             .add("total_ms", r.total_ms)
             .add_flag("fallback", r.why_unscanned == unscanned::on_error)
             .add("action", action_of(r))
             .add("unscanned", name_of(r.why_unscanned))
             .add("rule", capped(r.rule, max_text))
             .add("route", capped(r.route, max_text))
             .add("origin", capped(r.origin, max_text))
             .end() +
         '\n';
}

}  // namespace icapgate
