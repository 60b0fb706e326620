#include "http/body_kind.hpp"

#include "http/preferences.hpp"

#include <algorithm>

namespace icapgate::http {
namespace {

constexpr std::string_view event_stream = "text/event-stream";

}  // namespace

bool is_event_stream(const request_head& request, const response_head& response) {
  bool wanted = false;
  for (const auto& f : request.fields)
    if (f.id == field_id::accept)
      for_each_preference(f.value, [&](const preference& p) {
        wanted = wanted || (p.weight > 0 && iequals(p.what, event_stream));
      });
  const auto is_type = [](const field& f) { return f.id == field_id::content_type; };
  if (!wanted || std::ranges::count_if(response.fields, is_type) != 1) return false;
  auto type = std::ranges::find_if(response.fields, is_type)->value;
  return iequals(trim(split_off(type, ";")), event_stream);
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
