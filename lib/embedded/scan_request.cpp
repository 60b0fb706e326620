#include "embedded/scan_request.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"
#include "icap/message.hpp"

#include <vector>

namespace icapgate::embedded {
namespace {

bool lists(const std::vector<icap::field>& fields, std::string_view name, std::string_view token) {
  for (const icap::field& f : fields) {
    if (!iequals(f.name, name)) continue;
    for (std::string_view rest = f.value; !rest.empty();) {
      if (iequals(trim(split_off(rest, ",")), token)) return true;
    }
  }
  return false;
}

// RFC 3507 4.4.1: a RESPMOD request has [req-hdr] [res-hdr] and then res-body or null-body.
bool read_sections(std::string_view value, scan_request& out) {
  const auto sections = icap::parse_encapsulated(value);
  if (!sections || sections->empty()) return false;
  const icap::encapsulated_section& last = sections->back();
  out.has_body = last.kind == icap::section::res_body;
  if (!out.has_body && last.kind != icap::section::null_body) return false;
  if (last.offset > max_http_heads) return false;
  out.heads = out.response_head = static_cast<std::size_t>(last.offset);
  for (const icap::encapsulated_section& part : *sections) {
    if (part.kind == icap::section::req_body) return false;
    if (part.kind == icap::section::res_hdr) {
      out.response_head = static_cast<std::size_t>(part.offset);
    }
  }
  return true;
}

unsigned read_request_line(std::string_view line, scan_request& out) {
  const auto method = split_off(line, " ");
  const auto uri = split_off(line, " ");
  if (method.empty() || uri.empty() || !line.starts_with("ICAP/")) return 400;
  if (line != "ICAP/1.0") return 505;
  if (method == "REQMOD") return 405;
  if (method != "RESPMOD" && method != "OPTIONS") return 501;
  using kind = scan_request::method;
  out.what = method == "RESPMOD" ? kind::respmod : kind::options;
  return 200;
}

}  // namespace

unsigned parse_scan_request(std::string_view head, scan_request& out) {
  out = {};
  const unsigned status = read_request_line(split_off(head, "\r\n"), out);
  if (status != 200) return status;

  std::vector<icap::field> fields;
  if (!icap::parse_fields(head, fields)) return 400;
  out.close = lists(fields, "Connection", "close");
  out.allow_204 = lists(fields, "Allow", "204");
  if (const auto* preview = icap::find(fields, "Preview")) {
    if (!is_digits(preview->value)) return 400;
    out.preview = true;
  }
  const auto* encapsulated = icap::find(fields, "Encapsulated");
  if (out.what == scan_request::method::respmod) {
    return encapsulated && read_sections(encapsulated->value, out) ? 200 : 400;
  }
  // An OPTIONS request with a body has no use here, and its body would be read as a request.
  return !encapsulated || encapsulated->value == "null-body=0" ? 200 : 400;
}

}  // namespace icapgate::embedded
