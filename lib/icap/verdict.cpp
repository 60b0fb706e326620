#include "icap/verdict.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <vector>

namespace icapgate::icap {
namespace {

constexpr std::size_t max_threat = 200;

bool always(std::string_view) {
  return true;
}

// Only a plain count of nothing, with nothing behind it, is a negative.
bool counts_any(std::string_view value) {
  return value != "0";
}

// "Type=0; Resolution=2; Threat=Name;": the last ';' may be missing.
std::string_view named_by_parameter(std::string_view value) {
  constexpr std::string_view key = "Threat=";
  while (!value.empty()) {
    const auto parameter = trim(split_off(value, ";"));
    if (iequals(parameter.substr(0, key.size()), key)) return trim(parameter.substr(key.size()));
  }
  return {};
}

// The count, then for each violation its file name, its threat, its number and its resolution, each
// on a folded line.
std::string_view named_by_third_line(std::string_view value) {
  split_off(value, "\r\n");
  split_off(value, "\r\n");
  return trim(split_off(value, "\r\n"));
}

// One row per field that tells a detection.
struct detector {
  std::string_view field;
  bool (*detects)(std::string_view value);
  std::string_view (*threat)(std::string_view value);  // empty: the value names it in no known way
};

constexpr detector detectors[] = {
    {"X-Infection-Found", always, named_by_parameter},
    {"X-Violations-Found", counts_any, named_by_third_line},
};

std::string cleaned(std::string_view text) {
  std::string out(text.substr(0, max_threat));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

// Appends the fields of a head that begins with a start line. True where there is no head.
bool append_fields(std::string_view head, std::vector<field>& out) {
  split_off(head, "\r\n");
  return parse_fields(head, out);
}

judgement look_for_detections(const std::vector<field>& fields) {
  judgement found;
  for (const detector& row : detectors) {
    for (const field& f : fields) {
      if (!iequals(f.name, row.field) || !row.detects(f.value)) continue;
      found.kind = verdict::blocked;
      if (!found.threat.empty()) continue;
      const auto name = row.threat(f.value);
      found.threat = cleaned(name.empty() ? f.value : name);
    }
  }
  return found;
}

}  // namespace

result<judgement> judge(const answer& a) {
  if (a.status == 503 || a.status == 506) return errc::icap_status_busy;
  if (a.status >= 400 && a.status < 600) return errc::icap_status_error;
  const bool adaptation = a.status == 200 || a.status == 201;
  if (!adaptation && a.status != 204) return errc::icap_status_unexpected;

  // A field that can't be read could be the one that tells of a detection.
  std::vector<field> fields;
  if (!append_fields(a.head, fields) || !append_fields(a.http_head, fields)) {
    return errc::icap_answer_invalid;
  }
  judgement found = look_for_detections(fields);
  if (found.kind == verdict::blocked || !adaptation) return found;
  // Adapted to what? Without a response of the scanner's there is nothing to deliver.
  if (a.http_head.empty()) return errc::icap_answer_invalid;
  found.kind = verdict::adapted;
  return found;
}

}  // namespace icapgate::icap
