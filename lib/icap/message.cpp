#include "icap/message.hpp"

#include "base/characters.hpp"
#include "base/field_text.hpp"
#include "base/text.hpp"
#include "base/text_writer.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace icapgate::icap {
namespace {

constexpr std::string_view crlf = "\r\n";
constexpr std::size_t own_lines = 256;  // bytes of a request head that no view in it counts
constexpr std::string_view all_blanks = " \t\r\n";

constexpr std::pair<std::string_view, section> section_names[] = {
    {"req-hdr", section::req_hdr},   {"res-hdr", section::res_hdr},
    {"req-body", section::req_body}, {"res-body", section::res_body},
    {"opt-body", section::opt_body}, {"null-body", section::null_body},
};

bool is_break(char c) {
  return c == '\r' || c == '\n' || c == '\0';
}

// Takes a line off the front of `text`, its CRLF with it. `whole`: false where a bare CR, LF or NUL
// could hide a field in it from one reader that another one sees.
std::string_view take_line(std::string_view& text, bool& whole) {
  whole = true;
  auto end = end_of_field_text(text, 0);
  const auto goes_on = [&] {
    return end < text.size() &&
           !(text[end] == '\r' && end + 1 < text.size() && text[end + 1] == '\n');
  };
  while (goes_on()) {
    if (is_break(text[end])) whole = false;
    end = end_of_field_text(text, end + 1);
  }
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + crlf.size(), text.size()));
  return line;
}

// Bytes of the name that begins a line, if a colon stands behind it; else 0.
std::size_t name_size(std::string_view line) {
  std::size_t size = 0;
  while (size < line.size() && line[size] > ' ' && line[size] <= '~' && line[size] != ':') ++size;
  return size < line.size() && line[size] == ':' ? size : 0;
}

// A folded value goes on to the end of a later line, over the breaks between.
void extend(std::string_view& value, std::string_view more) {
  if (more.empty()) return;
  const char* const begin = value.empty() ? more.data() : value.data();
  value = {begin, static_cast<std::size_t>(more.data() + more.size() - begin)};
}

void put_encapsulated(text_writer& out, const exchange_request& request) {
  const auto end = request.request_head.size() + request.response_head.size();
  const bool reqmod = request.response_head.empty() && request.method == "REQMOD";
  out.put("Encapsulated: ");
  if (!request.request_head.empty()) out.put("req-hdr=0, ");
  if (!request.response_head.empty())
    out.put("res-hdr=").put_number(request.request_head.size()).put(", ");
  const std::string_view body = reqmod ? "req-body=" : "res-body=";
  out.put(request.has_body ? body : "null-body=").put_number(end).put(crlf);
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
  text_writer out(wire, own_lines + request.uri.size() + request.host.size() +
                            request.fields.size() + request.request_head.size() +
                            request.response_head.size());
  out.put(request.method).put(" ").put(request.uri).put(" ICAP/1.0\r\n");
  out.put_field("Host", request.host).put(request.fields);
  if (request.method == "OPTIONS") {
    out.put(crlf);
    return;
  }
  const bool allow_206 = offers_206(request);
  if (request.allow_204 || allow_206) {
    const std::string_view both = request.allow_204 ? "204, 206" : "206";
    out.put_field("Allow", allow_206 ? both : "204");
  }
  if (sends_preview(request)) out.put("Preview: ").put_number(*request.preview).put(crlf);
  put_encapsulated(out, request);
  out.put(crlf).put(request.request_head).put(request.response_head);
}

std::string_view without_quotes(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.starts_with('"') && text.ends_with('"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

field_reader::status field_reader::next(field& out) {
  if (rest_.empty()) return status::end;
  bool whole = true;
  const auto line = take_line(rest_, whole);
  if (line.empty()) rest_ = {};
  if (line.empty()) return status::end;
  const auto size = whole ? name_size(line) : 0;
  if (size == 0) return status::invalid;
  out = {line.substr(0, size), trim(line.substr(size + 1))};
  while (!rest_.empty() && is_blank(rest_.front())) {
    auto behind = rest_;
    const auto fold = take_line(behind, whole);
    if (!whole) break;  // without a field of its own it is invalid, which is told next
    extend(out.value, trim(fold));
    rest_ = behind;
  }
  return status::field;
}

bool parse_fields(std::string_view text, std::vector<field>& out) {
  field_reader reader(text);
  for (field next;;) {
    const auto found = reader.next(next);
    if (found != field_reader::status::field) return found == field_reader::status::end;
    out.push_back(next);
  }
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

bool read_status_line(std::string_view& text, unsigned& status, std::string_view& reason) {
  bool whole = true;
  auto line = take_line(text, whole);
  if (!whole || !line.starts_with(response_start)) return false;
  line.remove_prefix(response_start.size());
  const auto digits = line.substr(0, 3);
  line.remove_prefix(digits.size());
  const bool separated = line.empty() || line.front() == ' ';
  if (digits.size() != 3 || !is_digits(digits) || !separated) return false;
  status = static_cast<unsigned>(*read_number(digits));
  reason = trim(line);
  return true;
}

bool asks_to_close(const field& f) {
  return iequals(f.name, "Connection") && has_token(f.value, "close");
}

result<response_head> parse_response_head(std::string_view text) {
  response_head head;
  const bool readable =
      read_status_line(text, head.status, head.reason) && parse_fields(text, head.fields);
  if (!readable) return errc::icap_answer_invalid;
  head.close = std::any_of(head.fields.begin(), head.fields.end(), asks_to_close);
  return head;
}

}  // namespace icapgate::icap
