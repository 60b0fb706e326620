#include "icap/verdict.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace icapgate::icap {
namespace {

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view all_blanks = " \t\r\n";
constexpr std::size_t max_threat = 200;
constexpr std::size_t max_violation_lines = 1000;
constexpr std::size_t max_violation_bytes = 65536;

// What one field says, weakest first.
enum class proof { none, repaired, unscannable, blocked };

// --- X-Infection-Found: "Type=0; Resolution=2; Threat=Name;", the last ';' may be missing

// A parameter that stands there twice says nothing: one of the two may come from a file's name.
std::string_view parameter(std::string_view value, std::string_view key) {
  std::optional<std::string_view> found;
  while (!value.empty()) {
    const auto item = trim(split_off(value, ";"), all_blanks);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos || !iequals(trim(item.substr(0, equals)), key)) continue;
    if (found) return {};
    found = trim(item.substr(equals + 1), all_blanks);
  }
  return found.value_or(std::string_view{});
}

proof infection(std::string_view value) {
  const auto type = parameter(value, "Type");
  if (type == "2") return proof::unscannable;
  const bool repaired = parameter(value, "Resolution") == "1" && (type == "0" || type == "1");
  return repaired ? proof::repaired : proof::blocked;
}

std::string_view infection_name(std::string_view value) {
  const auto name = parameter(value, "Threat");
  return name.empty() ? parameter(value, "NonViralThreat") : name;
}

// --- X-Violations-Found: a count, then for each violation its file name, its threat, its number
// and its resolution, each on a folded line. Names hold blanks and colons, so only lines part them.

class violation_lines {
 public:
  explicit violation_lines(std::string_view value)
      : rest_(value.substr(0, max_violation_bytes)), cut_(value.size() > max_violation_bytes) {
    if (value.find(crlf) == std::string_view::npos) separator_ = "\t";
  }

  // False: no more, or over the limit.
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    if (++read_ > max_violation_lines) cut_ = true;
    if (read_ > max_violation_lines) return false;
    line = trim(split_off(rest_, separator_));
    return true;
  }
  bool cut() const { return cut_; }

 private:
  std::string_view rest_;
  std::string_view separator_ = crlf;  // a relay may have made one line of them
  bool cut_;
  std::size_t read_ = 0;
};

// Only a plain count of nothing, with nothing behind it, is a negative; and only a list that names
// each violation as repaired proves a repair.
proof violations(std::string_view value) {
  if (value == "0") return proof::none;
  violation_lines lines(value);
  std::string_view line;
  lines.next(line);
  const auto count = read_number(line).value_or(0);
  bool repaired = count > 0;
  std::size_t listed = 0;
  for (; lines.next(line); ++listed) {
    if (listed % 4 == 3 && line != "1") repaired = false;
  }
  repaired = repaired && !lines.cut() && listed % 4 == 0 && listed / 4 == count;
  return repaired ? proof::repaired : proof::blocked;
}

std::string_view violation_name(std::string_view value) {
  violation_lines lines(value);
  std::string_view line;
  lines.next(line);
  for (std::size_t i = 0; lines.next(line); ++i) {
    if (i % 4 == 1 && !line.empty() && line != "-") return line;
  }
  return {};
}

// --- The other fields

proof blocked_if(bool found) {
  return found ? proof::blocked : proof::none;
}

proof not_empty(std::string_view value) {
  return blocked_if(!value.empty());
}

proof virus_id(std::string_view value) {
  constexpr std::string_view negatives[] = {"", "no threats", "-", "none", "clean"};
  return blocked_if(std::none_of(std::begin(negatives), std::end(negatives),
                                 [&](std::string_view text) { return iequals(text, value); }));
}

bool is_zero(std::string_view value) {
  return value.find_first_not_of('0') == std::string_view::npos;
}

// The number of a list that the scanner keeps; what is no number is no "nothing" either.
proof not_zero(std::string_view value) {
  return blocked_if(!is_zero(value));
}

// "Blocked", "blocked: why". Anything else is a category, which is told for what passes, too.
proof response_info(std::string_view value) {
  constexpr std::string_view word = "blocked";
  const auto rest = value.substr(std::min(value.size(), word.size()));
  const bool ended = rest.empty() || rest.find_first_of(" \t\r\n:;,.-(") == 0;
  return blocked_if(ended && iequals(value.substr(0, word.size()), word));
}

proof scan_result(std::string_view value) {
  return blocked_if(!iequals(value, "clean"));
}

proof error_code(std::string_view value) {
  return is_zero(value) ? proof::none : proof::unscannable;
}

proof nothing(std::string_view) {
  return proof::none;
}

std::string_view no_name(std::string_view) {
  return {};
}

std::string_view whole(std::string_view value) {
  return value;
}

std::string_view unquoted(std::string_view value) {
  return trim(value, "\"");
}

// One row per detection header. Those that tell the same of any message (X-Response-Desc,
// X-ICAP-Profile, X-Media-Type, X-Outer-Container-Is-Mime, ...) are no signs and not here.
struct sign_row {
  std::string_view field;
  proof (*proves)(std::string_view value);
  std::string_view (*name)(std::string_view value);  // of the threat; empty: not named
  bool is_reason = true;      // without a name, the value itself is worth a log line
  bool from_scanner = false;  // in the encapsulated head it may be the origin's own: not read there
};

constexpr sign_row signs[] = {
    {"X-Infection-Found", infection, infection_name},
    {"X-Virus-ID", virus_id, whole},
    {"X-Virus-Name", not_empty, whole},
    {"X-FSecure-Scan-Result", scan_result, no_name},
    {"X-FSecure-Infection-Name", nothing, unquoted},
    {"X-Violations-Found", violations, violation_name},
    {"X-Block-Reason", not_empty, no_name},
    {"X-Blocked-Reason", not_empty, no_name},
    {"X-MWG-Block-Reason", not_empty, no_name},
    {"X-Blocked", not_empty, no_name},
    {"X-Blocked-By", not_empty, no_name},
    {"X-WWBlockResult", not_zero, no_name},
    {"X-Block-Result", not_zero, no_name},
    {"X-Response-Info", response_info, no_name, false},
    {"X-Error-Code", error_code, no_name, true, true},
};

static_assert(std::all_of(std::begin(signs), std::end(signs),
                          [](const sign_row& row) { return may_be_sign(row.field); }));

// --- Reading an answer

// One field that is in the table.
struct clue {
  const sign_row* row;
  std::string_view value;
  proof told;
  bool by_scanner;  // it stands in the ICAP head or the trailers
};

// What all of them come to. Views point into the answer.
struct evidence {
  proof proven = proof::none;
  bool by_scanner = false;
  bool readable = true;
  std::string_view sign;
  std::string_view threat;
};

// Those of them that may be signs. Goes on behind a line that is no field: a sign may stand there.
// False: there is such a line.
bool append_candidates(std::string_view text, std::vector<field>& out) {
  bool readable = true;
  field_reader reader(text);
  for (field next;;) {
    switch (reader.next(next)) {
      case field_reader::status::field:
        if (may_be_sign(next.name)) out.push_back(next);
        break;
      case field_reader::status::invalid:
        readable = false;
        break;
      case field_reader::status::end:
        return readable;
    }
  }
}

proof proof_of(const sign_row& row, std::string_view value, const profile& p) {
  const auto told = row.proves(value);
  const bool scan_errors = p.violations_are_scan_errors && row.proves == violations;
  return scan_errors && told != proof::none ? proof::unscannable : told;
}

void collect(std::vector<clue>& clues, const std::vector<field>& fields, const profile& p,
             bool by_scanner) {
  if (fields.empty()) return;
  for (const sign_row& row : signs) {
    if (row.from_scanner && !by_scanner) continue;
    for (const field& f : fields) {
      if (!iequals(f.name, row.field)) continue;
      clues.push_back({&row, f.value, proof_of(row, f.value, p), by_scanner});
    }
  }
}

// A name that goes with the proof, another name, or what the proof itself says.
std::string_view threat_of(const std::vector<clue>& clues, proof proven) {
  std::string_view name, reason;
  for (const clue& c : clues) {
    const auto told = c.row->name(c.value);
    if (!told.empty() && c.told == proven) return told;
    if (name.empty() && (c.told != proof::none || c.row->proves == nothing)) name = told;
    if (reason.empty() && c.told == proven && c.row->is_reason) reason = c.value;
  }
  return name.empty() ? reason : name;
}

evidence weigh(const std::vector<clue>& clues) {
  evidence found;
  for (const clue& c : clues) {
    if (c.told <= found.proven) continue;
    found.proven = c.told;
    found.by_scanner = c.by_scanner;
    found.sign = c.row->field;
  }
  if (found.proven != proof::none) found.threat = threat_of(clues, found.proven);
  return found;
}

// The fields of a head, or of what was received of one: the half of "no threats" would be a name.
std::string_view without_start_line(std::string_view head) {
  const auto last = head.rfind(crlf);
  if (last == std::string_view::npos) return {};
  head = head.substr(0, last + crlf.size());
  split_off(head, crlf);
  return head;
}

evidence read_signs(const answer& a, const profile& p) {
  std::vector<field> of_scanner, of_message;
  bool readable = !a.may_hold_signs || append_candidates(without_start_line(a.head), of_scanner);
  readable &= append_candidates(a.trailers, of_scanner);
  readable &= append_candidates(without_start_line(a.http_head), of_message);
  std::vector<clue> clues;
  collect(clues, of_scanner, p, true);
  collect(clues, of_message, p, false);
  evidence found = weigh(clues);
  found.readable = readable;
  return found;
}

// --- Statuses

std::optional<unsigned> http_status(std::string_view head) {
  auto line = split_off(head, crlf);
  split_off(line, " ");
  unsigned status = 0;
  const auto [end, ec] = std::from_chars(line.data(), line.data() + line.size(), status);
  const bool three_digits = ec == std::errc{} && end == line.data() + 3;
  if (!three_digits || (line.size() > 3 && line[3] != ' ')) return std::nullopt;
  return status;
}

result<verdict> verdict_of_message(const answer& a, unsigned original_status) {
  // Adapted to what? Without a message of the scanner's there is nothing to deliver.
  if (a.http_head.empty()) return errc::icap_answer_invalid;
  if (!a.http_head.starts_with("HTTP/")) return verdict::adapted;  // REQMOD: a request
  const auto status = http_status(a.http_head);
  if (!status) return errc::icap_answer_invalid;
  const bool page = *status >= 400 && *status != original_status;
  return page ? verdict::blocked : verdict::adapted;
}

result<verdict> verdict_of_status(const answer& a, unsigned original_status) {
  if (a.status == 204) return verdict::clean;
  if (a.status / 100 == 2) return verdict_of_message(a, original_status);
  if (a.status == 403) return verdict::blocked;
  return error_of_status(a.status);
}

// Where a status tells of a failure or a block, only the scanner's own word explains it as
// unscannable.
bool is_unscannable(const evidence& found, const answer& a, const result<verdict>& by_status) {
  if (found.proven != proof::unscannable) return false;
  if (by_status && *by_status != verdict::blocked) return true;
  return found.by_scanner && (by_status || a.status == 500);
}

result<verdict> decide(const evidence& found, const answer& a, const result<verdict>& by_status) {
  if (found.proven == proof::blocked) return verdict::blocked;
  // Something was found, and no repaired version is there to deliver.
  const bool adapted = by_status && *by_status == verdict::adapted;
  if (found.proven == proof::repaired && !adapted) return verdict::blocked;

  const bool unscannable = is_unscannable(found, a, by_status);
  if (!unscannable && (!by_status || *by_status == verdict::blocked)) return by_status;
  // A field that can't be read could be the one that tells of a detection.
  if (!found.readable) return errc::icap_answer_invalid;
  return unscannable ? verdict::unscannable : *by_status;
}

// Folds become one blank; what is not printable, '?'.
std::string cleaned(std::string_view text) {
  std::string out;
  while (!text.empty() && out.size() < max_threat) {
    const auto line = trim(split_off(text, crlf));
    if (!out.empty() && !line.empty()) out += ' ';
    out += line.substr(0, max_threat);
  }
  out.resize(std::min(out.size(), max_threat));
  std::replace_if(out.begin(), out.end(), [](char c) { return !is_printable(c); }, '?');
  return out;
}

}  // namespace

result<judgement> judge(const answer& a, const profile& p, unsigned original_status) {
  const evidence found = read_signs(a, p);
  const auto kind = decide(found, a, verdict_of_status(a, original_status));
  if (!kind) return kind.error();
  return judgement{*kind, cleaned(found.threat), found.sign};
}

}  // namespace icapgate::icap
