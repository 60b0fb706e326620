// One access record as one line of JSON. Every text in it is hostile.
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/url.hpp"

#include <array>
#include <charconv>

namespace icapgate {

namespace {

constexpr std::size_t max_target = 2048;
constexpr std::size_t max_text = 256;

void append_hex(std::string& out, unsigned value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[(value >> shift) & 15];
}

void append_utf16(std::string& out, char32_t c) {
  const auto unit = [&](char32_t u) {
    out += "\\u";
    append_hex(out, u, 4);
  };
  if (c < 0x10000) return unit(c);
  unit(0xd800 + ((c - 0x10000) >> 10));
  unit(0xdc00 + ((c - 0x10000) & 0x3ff));
}

// The length of the well-formed UTF-8 sequence (RFC 3629 4) that `text` begins with, and its code
// point; 0 if there is none.
std::size_t decode_utf8(std::string_view text, char32_t& out) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  char32_t c = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    c = (c << 6) | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  if (overlong || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) return 0;
  out = c;
  return length;
}

// A JSON string in ASCII: terminals and log viewers then have no bidirectional or C1 controls to
// obey. A byte that is not UTF-8 becomes the four characters \xNN.
void append_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    std::size_t used = 1;
    char32_t point = c;
    if (c == '"' || c == '\\') {
      (out += '\\') += static_cast<char>(c);
    } else if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
    } else if (c < 0x80 || (used = decode_utf8(text, point)) != 0) {
      append_utf16(out, point);
    } else {
      used = 1;
      out += "\\\\x";
      append_hex(out, c, 2);
    }
    text.remove_prefix(used);
  }
  out += '"';
}

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

// Builds {"a":1,"b":"x"}; keys are ours and need no escape.
class object {
 public:
  object& add(std::string_view key, std::string_view text) {
    append_string(begin(key), text);
    return *this;
  }
  object& add(std::string_view key, std::uint64_t number) {
    begin(key) += std::to_string(number);
    return *this;
  }
  object& add(std::string_view key, std::chrono::duration<double, std::milli> time) {
    std::array<char, 64> text{};
    // Steps of a microsecond; a clock that went wrong must not make a line that is no JSON.
    const auto us = static_cast<long long>(std::min(std::max(time.count(), 0.0), 1e12) * 1000);
    const auto end = std::to_chars(text.begin(), text.end(), us / 1000).ptr;
    begin(key).append(text.begin(), end) += '.';
    pad(line_, us % 1000, 3);
    return *this;
  }
  object& add_flag(std::string_view key, bool value) {
    begin(key) += value ? "true" : "false";
    return *this;
  }
  std::string end() { return std::move(line_ += "}\n"); }

 private:
  std::string& begin(std::string_view key) {
    line_ += line_.empty() ? '{' : ',';
    ((line_ += '"') += key) += "\":";
    return line_;
  }

  std::string line_;
};

}  // namespace

std::string to_json_line(const access_record& r) {
  const auto target = without_user_info(without_query_values(r.target));
  return object()
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
      .add_flag("fallback", r.fallback)
      .end();
}

}  // namespace icapgate
