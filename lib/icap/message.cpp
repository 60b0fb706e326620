#include "icap/message.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace icapgate::icap {
namespace {

constexpr std::string_view crlf = "\r\n";
// What is made room for at once: growing step by step costs an allocation and a copy each time.
constexpr std::size_t own_lines = 256;   // bytes of a request head that no view in it counts
constexpr std::size_t usual_fields = 8;  // of an answer
constexpr std::string_view all_blanks = " \t\r\n";

constexpr std::pair<std::string_view, section> section_names[] = {
    {"req-hdr", section::req_hdr},   {"res-hdr", section::res_hdr},
    {"req-body", section::req_body}, {"res-body", section::res_body},
    {"opt-body", section::opt_body}, {"null-body", section::null_body},
};

// A bare CR, LF or NUL could hide a field from one reader that another one sees.
bool has_hidden_break(std::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_printable(c) && c != ' '; });
}

bool is_folded(std::string_view line) {
  return line.front() == ' ' || line.front() == '\t';
}

// A folded value goes on to the end of a later line, over the breaks between.
void extend(std::string_view& value, std::string_view more) {
  if (more.empty()) return;
  const char* const begin = value.empty() ? more.data() : value.data();
  value = {begin, static_cast<std::size_t>(more.data() + more.size() - begin)};
}

void append_encapsulated(std::string& wire, const exchange_request& request) {
  const auto end = request.request_head.size() + request.response_head.size();
  const bool reqmod = request.response_head.empty() && request.method == "REQMOD";
  wire.append("Encapsulated: ");
  if (!request.request_head.empty()) wire.append("req-hdr=0, ");
  if (!request.response_head.empty()) {
    wire.append("res-hdr=").append(std::to_string(request.request_head.size())).append(", ");
  }
  const auto* const body = reqmod ? "req-body=" : "res-body=";
  wire.append(request.has_body ? body : "null-body=").append(std::to_string(end)).append(crlf);
}

std::optional<encapsulated_section> parse_section(std::string_view item) {
  const auto equals = item.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  const auto name = trim(item.substr(0, equals), all_blanks);
  const auto digits = trim(item.substr(equals + 1), all_blanks);
  const auto* known = std::find_if(std::begin(section_names), std::end(section_names),
                                   [&](const auto& row) { return iequals(row.first, name); });
  std::uint64_t offset = 0;
  // Digits alone: from_chars reports an overflow, and takes no sign.
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
  if (known == std::end(section_names) || !is_digits(digits) || ec != std::errc{}) {
    return std::nullopt;
  }
  return encapsulated_section{known->second, offset};
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    if (iequals(trim(split_off(list, ","), all_blanks), token)) return true;
  }
  return false;
}

}  // namespace

bool sends_preview(const exchange_request& request) {
  return request.preview && request.has_body && request.method != "OPTIONS";
}

bool offers_206(const exchange_request& request) {
  return request.allow_206 && sends_preview(request);
}

void append_request(std::string& wire, const exchange_request& request) {
  wire.reserve(wire.size() + own_lines + request.uri.size() + request.host.size() +
               request.fields.size() + request.request_head.size() + request.response_head.size());
  wire.append(request.method).append(" ").append(request.uri).append(" ICAP/1.0\r\n");
  append_field(wire, "Host", request.host);
  wire.append(request.fields);
  if (request.method == "OPTIONS") {
    wire.append(crlf);
    return;
  }
  const bool allow_206 = offers_206(request);
  if (request.allow_204 || allow_206) {
    const auto* const both = request.allow_204 ? "204, 206" : "206";
    append_field(wire, "Allow", allow_206 ? both : "204");
  }
  if (sends_preview(request)) append_field(wire, "Preview", std::to_string(*request.preview));
  append_encapsulated(wire, request);
  wire.append(crlf).append(request.request_head).append(request.response_head);
}

std::string_view without_quotes(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.starts_with('"') && text.ends_with('"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

bool parse_fields(std::string_view text, std::vector<field>& out) {
  const std::size_t first = out.size();
  while (!text.empty()) {
    const auto line = split_off(text, crlf);
    if (line.empty()) return true;
    if (has_hidden_break(line)) return false;
    if (is_folded(line)) {
      if (out.size() == first) return false;
      extend(out.back().value, trim(line));
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_name(line.substr(0, colon))) return false;
    out.push_back({line.substr(0, colon), trim(line.substr(colon + 1))});
  }
  return true;
}

const field* find(const std::vector<field>& fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const field& f) { return iequals(f.name, name); });
  return found == fields.end() ? nullptr : &*found;
}

result<std::vector<encapsulated_section>> parse_encapsulated(std::string_view value,
                                                             bool unlisted_heads) {
  std::vector<encapsulated_section> sections;
  while (!value.empty()) {
    const auto next = parse_section(split_off(value, ","));
    if (!next) return errc::icap_answer_invalid;
    if (sections.empty()) {
      const bool unlisted =
          unlisted_heads && is_body(next->kind) && next->kind != section::opt_body;
      if (next->offset != 0 && !unlisted) return errc::icap_answer_invalid;
    } else {
      const auto& last = sections.back();
      const bool rises = next->offset > last.offset && next->kind > last.kind;
      if (is_body(last.kind) || !rises) return errc::icap_answer_invalid;
    }
    sections.push_back(*next);
  }
  if (sections.empty()) return errc::icap_answer_invalid;
  return sections;
}

errc error_of_status(unsigned status) {
  if (status == 503 || status == 506) return errc::icap_status_busy;
  if (status == 401 || status == 407) return errc::icap_status_auth;
  return status >= 400 && status < 600 ? errc::icap_status_error : errc::icap_status_unexpected;
}

result<response_head> parse_response_head(std::string_view text) {
  auto line = split_off(text, crlf);
  if (!line.starts_with(response_start) || has_hidden_break(line)) return errc::icap_answer_invalid;
  line.remove_prefix(response_start.size());
  const auto status = line.substr(0, 3);
  line.remove_prefix(status.size());
  const bool separated = line.empty() || line.front() == ' ';
  if (status.size() != 3 || !is_digits(status) || !separated) return errc::icap_answer_invalid;

  response_head head;
  head.fields.reserve(usual_fields);
  std::from_chars(status.data(), status.data() + status.size(), head.status);
  head.reason = trim(line);
  if (!parse_fields(text, head.fields)) return errc::icap_answer_invalid;
  head.close = std::any_of(head.fields.begin(), head.fields.end(), [](const field& f) {
    return iequals(f.name, "Connection") && has_token(f.value, "close");
  });
  return head;
}

}  // namespace icapgate::icap
