#include "icap/respmod.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace icapgate::icap {
namespace {

constexpr std::string_view empty_line = "\r\n\r\n";

// How many bytes of `more` complete a head that begins with `held`; npos: it goes on after them.
std::size_t head_end(std::string_view held, std::string_view more) {
  const auto tail = held.substr(held.size() - std::min<std::size_t>(held.size(), 3));
  std::string seam(tail);
  seam += more.substr(0, 3);
  if (const auto at = seam.find(empty_line); at != std::string::npos) {
    return at + empty_line.size() - tail.size();
  }
  const auto at = more.find(empty_line);
  return at == std::string_view::npos ? at : at + empty_line.size();
}

// Offsets that lie show as a head that does not end with its first empty line.
bool is_whole_http_head(std::string_view head) {
  return head.starts_with("HTTP/") && head.ends_with(empty_line) &&
         head.find(empty_line) == head.size() - empty_line.size();
}

bool is_adaptation(unsigned status) {
  return status == 200 || status == 201;
}

std::string_view unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.starts_with('"') && text.ends_with('"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

void respmod::begin(const respmod_request& request, std::string& wire) {
  append_respmod(wire, request);
  phase_ = phase::head;
  all_framed_ = sent_ = !request.has_body;
}

respmod::frame respmod::next(std::uint64_t available, bool ended) {
  if (phase_ == phase::idle || sent_) return {};
  if (available == 0 && !ended) return {};
  if (ended) all_framed_ = sent_ = true;
  if (available == 0) return {last_chunk, 0, {}};
  frame_prefix_ = chunk_size_line(available).view();
  constexpr std::string_view end_of_body = "\r\n0\r\n\r\n";
  return {frame_prefix_, available, ended ? end_of_body : end_of_body.substr(0, 2)};
}

bool respmod::reusable() const {
  return phase_ == phase::complete && all_framed_ && !close_;
}

respmod::event respmod::receive(std::string_view& input, std::string_view& body) {
  received_ = received_ || !input.empty();
  for (;;) {
    std::optional<event> told;
    switch (phase_) {
      case phase::idle:
        return fail(errc::gateway_internal);
      case phase::head:
        told = read_head(input);
        break;
      case phase::encapsulated:
        told = read_encapsulated(input);
        break;
      case phase::body:
        return read_body(input, body);
      case phase::complete:
        return event::complete;
      case phase::failed:
        return event::failed;
    }
    if (told) return *told;
  }
}

std::optional<respmod::event> respmod::read_head(std::string_view& input) {
  auto part = input.substr(0, max_response_head - answer_.head.size());
  const auto end = head_end(answer_.head, part);
  part = part.substr(0, end);
  input.remove_prefix(part.size());
  answer_.head += part;
  // Another protocol is told at its first bytes: its head may have no end that we would see.
  const auto start = std::string_view(answer_.head).substr(0, response_start.size());
  if (!response_start.starts_with(start)) return fail(errc::icap_answer_invalid);
  if (end != std::string_view::npos) return accept_head();
  if (answer_.head.size() == max_response_head) return fail(errc::icap_answer_too_large);
  return event::need_input;
}

std::optional<respmod::event> respmod::accept_head() {
  const auto head = parse_response_head(answer_.head);
  if (!head) return fail(head.error());
  // RFC 3507 4.5: a 100 answers a preview, and none was sent.
  if (head->status < 200) return fail(errc::icap_answer_invalid);
  answer_.status = head->status;
  answer_.unmodified = head->status == 204;
  close_ = head->close;
  if (const field* istag = find(head->fields, "ISTag")) answer_.istag = unquoted(istag->value);

  const field* encapsulated = nullptr;
  for (const field& f : head->fields) {
    if (!iequals(f.name, "Encapsulated")) continue;
    if (encapsulated) return fail(errc::icap_answer_invalid);
    encapsulated = &f;
  }
  if (!encapsulated) {
    // RFC 3507 4.4.1 wants it in every message; where nothing is encapsulated, many leave it out.
    if (is_adaptation(answer_.status)) return fail(errc::icap_answer_invalid);
    return tell_head();
  }
  const auto sections = parse_encapsulated(encapsulated->value);
  if (!sections) return fail(sections.error());
  return accept_sections(*sections);
}

std::optional<respmod::event> respmod::accept_sections(
    const std::vector<encapsulated_section>& sections) {
  const auto& last = sections.back();
  const auto http_head = std::find_if(sections.begin(), sections.end(),
                                      [](const auto& s) { return s.kind == section::res_hdr; });
  const bool has_http_head = http_head != sections.end();
  answer_.has_body = last.kind != section::null_body;

  // Only a body section tells where the heads end.
  bool sensible = is_body(last.kind);
  if (answer_.unmodified && answer_.has_body) sensible = false;
  if (is_adaptation(answer_.status) && answer_.has_body) {
    sensible = sensible && last.kind == section::res_body && has_http_head;
  }
  if (!sensible) return fail(errc::icap_answer_invalid);
  if (last.offset > max_encapsulated_heads) return fail(errc::icap_answer_too_large);

  encapsulated_length_ = last.offset;
  response_head_offset_ = has_http_head ? http_head->offset : last.offset;
  answer_.http_head.reserve(encapsulated_length_ - response_head_offset_);
  phase_ = phase::encapsulated;
  return std::nullopt;
}

std::optional<respmod::event> respmod::read_encapsulated(std::string_view& input) {
  auto part = input.substr(0, encapsulated_length_ - encapsulated_read_);
  input.remove_prefix(part.size());
  // A req-hdr in front is skipped: some servers send the request back.
  const auto skipped = response_head_offset_ - std::min(encapsulated_read_, response_head_offset_);
  encapsulated_read_ += part.size();
  part.remove_prefix(std::min<std::uint64_t>(skipped, part.size()));
  answer_.http_head += part;

  if (encapsulated_read_ < encapsulated_length_) return event::need_input;
  const bool has_http_head = response_head_offset_ < encapsulated_length_;
  if (has_http_head && !is_whole_http_head(answer_.http_head)) {
    return fail(errc::icap_answer_invalid);
  }
  return tell_head();
}

respmod::event respmod::read_body(std::string_view& input, std::string_view& body) {
  switch (chunks_.next(input, body)) {
    case chunk_decoder::event::need_input:
      return event::need_input;
    case chunk_decoder::event::data:
      return event::body;
    case chunk_decoder::event::invalid:
      return fail(errc::icap_answer_invalid);
    case chunk_decoder::event::complete:
      break;
  }
  // The partial-content extension of a 206, which was not offered: the body would lack its rest.
  constexpr std::string_view partial = "use-original-body";
  if (iequals(chunks_.last_extension().substr(0, partial.size()), partial)) {
    return fail(errc::icap_answer_invalid);
  }
  finish(phase::complete);
  return event::complete;
}

respmod::event respmod::tell_head() {
  if (answer_.has_body) {
    phase_ = phase::body;
  } else {
    finish(phase::complete);
  }
  return event::head;
}

void respmod::finish(phase last) {
  phase_ = last;
  sent_ = true;
}

respmod::event respmod::fail(errc why) {
  error_ = why;
  finish(phase::failed);
  return event::failed;
}

}  // namespace icapgate::icap
