#include "http/range.hpp"

#include "base/characters.hpp"
#include "http/rules.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace icapgate::http {
namespace {

constexpr std::uint64_t no_end = std::numeric_limits<std::uint64_t>::max();

// Every part repeats the type; a longer one would make many parts a load of its own.
constexpr std::size_t max_part_type = 1024;

// --- what was asked

// RFC 9110 14.1.2, before the size is known.
struct range_spec {
  bool suffix = false;
  std::uint64_t first = 0;  // suffix: how many bytes of the end
  std::uint64_t last = no_end;
};

std::optional<range_spec> parse_spec(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = text.substr(0, dash);
  const auto last = text.substr(dash + 1);
  const bool suffix = first.empty();
  // RFC 9110 14.1.2: any number of digits is valid. Those too large to count lie behind every end.
  const auto from = read_number(suffix ? last : first);
  const auto to = suffix || last.empty() ? std::optional(no_end) : read_number(last);
  if (!from || !to || *to < *from) return std::nullopt;
  return range_spec{suffix, *from, *to};
}

// False if the value isn't a valid set of byte ranges as a whole: then Range is to be ignored
// (RFC 9110 14.2). `each` may have been called before that shows.
template <class F>
bool for_each_spec(std::string_view value, F&& each) {
  constexpr std::string_view unit = "bytes=";
  if (!iequals(value.substr(0, unit.size()), unit)) return false;
  bool any = false;
  bool valid = true;
  for_each_token(value.substr(unit.size()), [&](std::string_view token) {
    const auto spec = parse_spec(token);
    any = true;
    valid = valid && spec;
    if (valid) each(*spec);
  });
  return any && valid;
}

// --- If-Range

// RFC 9110 8.8.3.2: an entity tag that proves the same bytes.
bool is_strong_tag(std::string_view value) {
  const auto is_tag_char = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != '"' && byte != 0x7f;
  };
  return value.size() >= 2 && value.front() == '"' && value.back() == '"' &&
         std::all_of(value.begin() + 1, value.end() - 1, is_tag_char);
}

// A date in the one form that senders may use (RFC 9110 5.6.7) as a number that grows with time.
std::optional<std::uint64_t> date_order(std::string_view date) {
  constexpr std::string_view form = "ddd, 00 mmm 0000 00:00:00 GMT";
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (date.size() != form.size()) return std::nullopt;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] == 'd' || form[i] == 'm') continue;
    if (form[i] == '0' ? !is_digit(date[i]) : date[i] != form[i]) return std::nullopt;
  }
  const auto month = months.find(date.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    std::from_chars(date.data() + at, date.data() + at + size, value);
    return value;
  };
  auto order = (number(12, 4) * 12 + month / 3) * 100 + number(5, 2);
  for (const std::size_t at : {17, 20, 23}) order = order * 100 + number(at, 2);
  return order;
}

// RFC 9110 8.8.2.2: two versions within one second have the same date. It proves the same bytes
// only where the response was made in a later second than the version it carries.
bool is_strong_date(std::string_view modified, const response_head& response) {
  const auto date = response.sole_value(field_id::date);
  const auto made = date ? date_order(*date) : std::nullopt;
  const auto changed = date_order(modified);
  return made && changed && *changed < *made;
}

// RFC 9110 13.1.5. In doubt the condition is false: that costs bytes, while parts of two versions
// put together cost the file. A date must equal Last-Modified character by character, so one in an
// obsolete form never does.
bool condition_holds(const request_head& request, const response_head& response) {
  if (!request.find(field_id::if_range)) return true;
  const auto wanted = request.sole_value(field_id::if_range);
  if (!wanted) return false;
  if (is_strong_tag(*wanted)) return response.sole_value(field_id::etag) == wanted;
  return response.sole_value(field_id::last_modified) == wanted &&
         is_strong_date(*wanted, response);
}

// --- what is sent

struct byte_range {
  std::uint64_t offset;
  std::uint64_t length;

  std::uint64_t end() const { return offset + length; }
};

std::optional<byte_range> resolve(const range_spec& spec, std::uint64_t size) {
  if (spec.suffix) {
    const auto length = std::min(spec.first, size);
    if (length == 0) return std::nullopt;
    return byte_range{size - length, length};
  }
  if (spec.first >= size) return std::nullopt;
  return byte_range{spec.first, std::min(spec.last, size - 1) - spec.first + 1};
}

// Ranges that overlap or touch become one, in the place of the first of them (RFC 9110 15.3.7.2).
// So no byte is sent twice, and a request for much more than the body (14.2) comes to nothing.
void add(std::vector<byte_range>& ranges, byte_range added) {
  auto place = ranges.size();
  for (std::size_t i = 0; i < ranges.size();) {
    const auto other = ranges[i];
    if (other.end() < added.offset || added.end() < other.offset) {
      ++i;
      continue;
    }
    const auto begin = std::min(other.offset, added.offset);
    added = {begin, std::max(other.end(), added.end()) - begin};
    place = std::min(place, i);
    ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(i));
  }
  place = std::min(place, ranges.size());
  ranges.insert(ranges.begin() + static_cast<std::ptrdiff_t>(place), added);
}

std::string content_range(const byte_range& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.offset) + "-" + std::to_string(range.end() - 1) + "/" +
         std::to_string(size);
}

range_plan unsatisfiable(std::uint64_t size) {
  range_plan plan;
  plan.outcome = range_outcome::unsatisfiable;
  plan.content_range = "bytes */" + std::to_string(size);
  return plan;
}

range_plan one_part(const byte_range& range, std::uint64_t size) {
  range_plan plan;
  plan.outcome = range_outcome::partial;
  plan.pieces.push_back({{}, range.offset, range.length});
  plan.length = range.length;
  plan.content_range = content_range(range, size);
  return plan;
}

// RFC 9110 14.6: each part with the type that the whole response has, if it has one.
range_plan several_parts(const std::vector<byte_range>& ranges, const field* type,
                         std::uint64_t size, std::string_view boundary) {
  range_plan plan;
  plan.outcome = range_outcome::partial;
  std::string delimiter = "--";
  delimiter.append(boundary);
  for (const auto& range : ranges) {
    std::string before = plan.pieces.empty() ? "" : "\r\n";
    before.append(delimiter).append("\r\n");
    if (type) before.append("Content-Type: ").append(type->value).append("\r\n");
    before.append("Content-Range: ").append(content_range(range, size)).append("\r\n\r\n");
    plan.length += before.size() + range.length;
    plan.pieces.push_back({std::move(before), range.offset, range.length});
  }
  plan.after.append("\r\n").append(delimiter).append("--\r\n");
  plan.length += plan.after.size();
  plan.content_type.append("multipart/byteranges; boundary=").append(boundary);
  return plan;
}

// --- heads

// What a 416 must not say: it neither is nor describes what the origin sent.
bool tells_of_representation(const field& f) {
  static constexpr std::array ids{field_id::content_type,
                                  field_id::content_encoding,
                                  field_id::content_language,
                                  field_id::content_disposition,
                                  field_id::content_location,
                                  field_id::content_md5,
                                  field_id::digest,
                                  field_id::etag,
                                  field_id::last_modified,
                                  field_id::expires,
                                  field_id::age};
  return std::find(ids.begin(), ids.end(), f.id) != ids.end() ||
         iequals(f.name, "Content-Digest") || iequals(f.name, "Repr-Digest");
}

}  // namespace

bool is_range_field(const field& f) {
  return f.is(role::range_request);
}

bool asks_for_ranges(const request_head& request) {
  const auto range = request.sole_value(field_id::range);
  return request.method == "GET" && range && for_each_spec(*range, [](const range_spec&) {});
}

// RFC 9110 14.2 allows to ignore Range at any time; that is the answer to all that is dubious. An
// empty body goes whole, too: Content-Range can't name a part of it, and a client that asks for its
// beginning shall not get an error.
range_plan plan_ranges(const request_head& request, const response_head& response,
                       std::uint64_t size, std::string_view boundary) {
  if (request.method != "GET" || response.status != 200 || size == 0) return {};
  const auto range = request.sole_value(field_id::range);
  if (!range || !condition_holds(request, response)) return {};
  std::vector<byte_range> ranges;
  std::size_t count = 0;
  const bool valid = for_each_spec(*range, [&](const range_spec& spec) {
    const auto found = resolve(spec, size);
    if (found && ++count <= max_ranges) add(ranges, *found);
  });
  if (!valid || count > max_ranges) return {};
  if (ranges.empty()) return unsatisfiable(size);
  if (ranges.size() == 1) return one_part(ranges.front(), size);
  const auto* type = response.find(field_id::content_type);
  if (type && type->value.size() > max_part_type) return {};
  return several_parts(ranges, type, size, boundary);
}

unsigned range_plan::status() const {
  switch (outcome) {
    case range_outcome::partial:
      return 206;
    case range_outcome::unsatisfiable:
      return 416;
    case range_outcome::whole:
      break;
  }
  return 0;
}

void append_partial_response(std::string& wire, const response_head& response,
                             const range_plan& plan, const client_connection& to) {
  client_response changes;
  changes.body = {outgoing_body::kind::length, plan.length};
  changes.keep_alive = to.keep_alive;
  changes.client_version = to.version;
  changes.date = to.date;
  changes.via = to.via;
  changes.accept_ranges = "bytes";
  changes.status = plan.status();
  // RFC 9110 15.3.7.2: with several pieces Content-Range stands in them alone.
  changes.content_range = plan.content_range;
  changes.content_type = plan.content_type;
  if (plan.outcome != range_outcome::unsatisfiable)
    return append_client_response(wire, response, changes);
  auto head = response;
  std::erase_if(head.fields, tells_of_representation);
  changes.no_store = true;
  append_client_response(wire, head, changes);
}

}  // namespace icapgate::http
