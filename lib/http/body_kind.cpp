#include "http/body_kind.hpp"

#include "base/patterns.hpp"
#include "http/preferences.hpp"

namespace icapgate::http {
namespace {

constexpr std::string_view event_stream = "text/event-stream";

}  // namespace

std::string_view media_type_of(const response_head& response) {
  auto value = response.sole_value(field_id::content_type).value_or("");
  const auto type = trim(split_off(value, ";"));
  return is_media_type(type) && type.find('*') == type.npos ? type : std::string_view{};
}

bool is_event_stream(const request_head& request, const response_head& response) {
  auto type = response.sole_value(field_id::content_type).value_or("");
  if (!iequals(trim(split_off(type, ";")), event_stream)) return false;
  bool wanted = false;
  for (const auto& f : request.fields)
    if (f.id == field_id::accept)
      for_each_preference(f.value, [&](const preference& p) {
        wanted = wanted || (p.weight > 0 && iequals(p.what, event_stream));
      });
  return wanted;
}

std::string content_encoding_of(const response_head& response) {
  std::string all;
  for (const auto& f : response.fields) {
    if (f.id != field_id::content_encoding) continue;
    if (!all.empty()) all += ", ";
    all += f.value;
  }
  return all;
}

}  // namespace icapgate::http
