#include "http/signature.hpp"

#include "base/characters.hpp"

#include <string>

namespace icapgate::http {
namespace {

// Takes one character off the front of `rest`, "%3B" as ';'. What is no valid escape stands for
// itself.
char take_decoded(std::string_view& rest) {
  const char c = rest.front();
  rest.remove_prefix(1);
  const auto decoded = c == '%' ? read_escape(rest) : std::nullopt;
  if (decoded) rest.remove_prefix(2);
  return decoded.value_or(c);
}

bool decodes_to(std::string_view encoded, std::string_view name) {
  for (const char c : name)
    if (encoded.empty() || ascii_lower(take_decoded(encoded)) != ascii_lower(c)) return false;
  return encoded.empty();
}

std::string decoded(std::string_view encoded) {
  std::string text;
  while (!encoded.empty()) text.push_back(take_decoded(encoded));
  return text;
}

// "host;range;x-amz-date"
bool lists(std::string_view signed_headers, std::string_view name) {
  while (!signed_headers.empty())
    if (iequals(trim(split_off(signed_headers, ";")), name)) return true;
  return false;
}

// AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...; Version 4a differs in the
// algorithm's name alone. Some write the list with commas, some with blanks, most with both.
bool authorization_lists(std::string_view value, std::string_view name) {
  constexpr std::string_view version = "AWS4-";
  constexpr std::string_view parameter = "SignedHeaders=";
  if (!iequals(value.substr(0, version.size()), version)) return false;
  while (!value.empty()) {
    const auto end = value.find_first_of(", \t");
    const auto part = value.substr(0, end);
    value.remove_prefix(end == std::string_view::npos ? value.size() : end + 1);
    if (iequals(part.substr(0, parameter.size()), parameter) &&
        lists(part.substr(parameter.size()), name))
      return true;
  }
  return false;
}

// A presigned address: the same list, percent-encoded, in the query.
bool query_lists(std::string_view target, std::string_view name) {
  split_off(target, "?");
  while (!target.empty()) {
    auto value = split_off(target, "&");
    const auto key = split_off(value, "=");
    if (decodes_to(key, "X-Amz-SignedHeaders") && lists(decoded(value), name)) return true;
  }
  return false;
}

}  // namespace

bool signs(const request_head& request, std::string_view field_name) {
  for (const auto& f : request.fields)
    if (f.id == field_id::authorization && authorization_lists(f.value, field_name)) return true;
  return query_lists(request.origin_form, field_name);
}

}  // namespace icapgate::http
