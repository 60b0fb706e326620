#include "icap/exchange.hpp"

#include "base/characters.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace icapgate::icap {
namespace {

constexpr std::string_view empty_line = "\r\n\r\n";

// How many bytes of `more` complete a head that begins with `held`; npos: it goes on after them.
std::size_t head_end(std::string_view held, std::string_view more) {
  if (held.empty()) {
    const auto at = more.find(empty_line);
    return at == std::string_view::npos ? at : at + empty_line.size();
  }
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
bool is_whole_head(std::string_view head) {
  return head.ends_with(empty_line) && head.find(empty_line) == head.size() - empty_line.size();
}

bool is_response(std::string_view head) {
  return head.starts_with("HTTP/");
}

bool is_request(std::string_view head) {
  const auto line = head.substr(0, head.find("\r\n"));
  return !is_response(head) && line.find(" HTTP/") != std::string_view::npos;
}

constexpr std::string_view partial_name = "use-original-body";

// The partial-content extension among those of the last chunk. False: it is there more than once,
// or its value is no offset.
bool find_original(std::string_view extensions, std::optional<std::uint64_t>& offset) {
  while (!extensions.empty()) {
    auto value = trim(split_off(extensions, ";"));
    if (!iequals(value.substr(0, partial_name.size()), partial_name)) continue;
    const auto name = trim(split_off(value, "="));
    const auto number = read_number(trim(value));
    if (offset || name.size() != partial_name.size() || !number || *number > INT64_MAX)
      return false;
    offset = number;
  }
  return true;
}

// What the machine needs of a head.
struct head_facts {
  unsigned status = 0;
  bool close = false;
  std::optional<std::string_view> istag, encapsulated;  // the first of each
  bool repeated = false;                                // Encapsulated stands there twice
  bool may_hold_signs = false;
};

void take_fact(const field& f, head_facts& out) {
  out.may_hold_signs = out.may_hold_signs || may_be_sign(f.name);
  if (!out.istag && iequals(f.name, "ISTag")) out.istag = f.value;
  out.close = out.close || asks_to_close(f);
  if (!iequals(f.name, "Encapsulated")) return;
  out.repeated = out.encapsulated.has_value();
  if (!out.repeated) out.encapsulated = f.value;
}

// False: it can't be read.
bool read_head_facts(std::string_view head, head_facts& out) {
  std::string_view reason;
  if (!read_status_line(head, out.status, reason)) return false;
  field_reader reader(head);
  field next;
  auto found = reader.next(next);
  for (; found == field_reader::status::field; found = reader.next(next)) take_fact(next, out);
  return found == field_reader::status::end;
}

}  // namespace

void exchange::begin(const exchange_request& request, std::string& wire) {
  append_request(wire, request);
  options_ = request.method == "OPTIONS";
  respmod_ = request.method == "RESPMOD";
  allow_204_ = request.allow_204;
  allow_206_ = offers_206(request);
  answers_preview_ = sends_preview(request);
  if (answers_preview_) {
    preview_ = *request.preview;
    upload_ = upload::preview;
  } else if (request.has_body && !options_) {
    upload_ = upload::body;
  }
  sent_ = upload_ == upload::whole;
  phase_ = phase::head;
}

exchange::frame exchange::next(std::uint64_t available, bool ended) {
  if (phase_ == phase::idle || sent_) return {};
  if (upload_ == upload::preview) return next_preview(available, ended);
  if (upload_ == upload::awaiting_continue || (available == 0 && !ended)) return {};
  if (ended) upload_ = upload::whole;
  sent_ = ended;
  return frame_body(available, ended ? "\r\n0\r\n\r\n" : "\r\n");
}

// RFC 3507 4.5. Where the end is known, "ieof" says that no 100 is needed; where it is not, the
// body may turn out to have ended here, and its last chunk goes out after the 100.
exchange::frame exchange::next_preview(std::uint64_t available, bool ended) {
  const bool whole = ended && available <= preview_;
  if (available < preview_ && !ended) return {};
  upload_ = whole ? upload::whole : upload::awaiting_continue;
  sent_ = whole;
  return frame_body(std::min(available, preview_), whole ? "\r\n0; ieof\r\n\r\n" : "\r\n0\r\n\r\n");
}

// `last` begins with the line end of the chunk, which an empty chunk does not have.
exchange::frame exchange::frame_body(std::uint64_t size, std::string_view last) {
  if (size == 0) return {last.substr(2), 0, {}};
  framed_ += size;
  frame_prefix_ = chunk_size_line(size).view();
  return {frame_prefix_, size, last};
}

bool exchange::awaiting_continue() const {
  return upload_ == upload::awaiting_continue && !sent_;
}

bool exchange::reusable() const {
  // A preview with its last chunk is a whole request where a final answer followed it.
  const bool request_whole = upload_ == upload::whole || upload_ == upload::awaiting_continue;
  return phase_ == phase::complete && request_whole && !close_;
}

exchange::event exchange::receive(std::string_view& input, std::string_view& body) {
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
        told = read_body(input, body);
        break;
      case phase::complete:
        return event::complete;
      case phase::failed:
        return event::failed;
    }
    if (told) return *told;
  }
}

std::optional<exchange::event> exchange::read_head(std::string_view& input) {
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

std::optional<exchange::event> exchange::accept_head() {
  head_facts told;
  if (!read_head_facts(answer_.head, told)) return fail(errc::icap_answer_invalid);
  close_ = close_ || told.close;
  if (told.istag) answer_.istag = without_quotes(*told.istag);
  if (told.status == 100) return accept_continue();
  if (!may_be_final(told.status)) return fail(errc::icap_answer_invalid);
  answer_.status = told.status;
  answer_.unmodified = told.status == 204;
  answer_.may_hold_signs = told.may_hold_signs;
  // RFC 3507 4.5: nothing is sent behind the preview once it has its final answer.
  sent_ = sent_ || answers_preview_;

  if (told.repeated) return fail(errc::icap_answer_invalid);
  if (!told.encapsulated) {
    // RFC 3507 4.4.1 wants it in every message; where nothing is encapsulated, many leave it out.
    if (is_adaptation()) return fail(errc::icap_answer_invalid);
    return tell_head();
  }
  const auto sections = parse_encapsulated(*told.encapsulated, true);
  if (!sections) return fail(sections.error());
  return accept_sections(*sections);
}

// RFC 3507 4.5: it asks for what stands behind the preview, so there is one at most, and none where
// the preview held the whole body.
exchange::event exchange::accept_continue() {
  if (upload_ != upload::awaiting_continue) return fail(errc::icap_answer_invalid);
  upload_ = upload::body;
  answers_preview_ = false;
  answer_.head.clear();
  return event::go_on;
}

bool exchange::may_be_final(unsigned status) const {
  if (status < 200) return false;
  if (status == 204) return allow_204_ || answers_preview_;
  if (status == 206) return allow_206_;
  return true;
}

// A 2xx other than 204 carries a message, whatever number a product gave it. OPTIONS has none.
bool exchange::is_adaptation() const {
  return !options_ && answer_.status < 300 && !answer_.unmodified;
}

std::optional<exchange::event> exchange::accept_sections(
    const std::vector<encapsulated_section>& sections) {
  const auto& last = sections.back();
  // Only a body section tells where the heads end.
  if (!is_body(last.kind)) return fail(errc::icap_answer_invalid);
  body_follows_ = last.kind != section::null_body;
  answer_.has_body = body_follows_ && !options_;
  find_http_head(sections);
  if (!is_sensible(last.kind)) return fail(errc::icap_answer_invalid);
  if (last.offset > max_encapsulated_heads) return fail(errc::icap_answer_too_large);

  encapsulated_length_ = last.offset;
  if (http_head_ == http_head::none) http_head_offset_ = last.offset;
  answer_.http_head.reserve(encapsulated_length_ - http_head_offset_);
  phase_ = phase::encapsulated;
  return std::nullopt;
}

// The last head in front of the body. A request head in an answer to RESPMOD is none: some servers
// send it back.
void exchange::find_http_head(const std::vector<encapsulated_section>& sections) {
  const auto& last = sections.back();
  if (sections.size() == 1) {
    if (last.offset == 0) return;
    const bool response = respmod_ || last.kind == section::res_body;
    const bool request = last.kind == section::req_body;
    http_head_ = response ? http_head::response : request ? http_head::request : http_head::either;
    return;
  }
  const auto& head = sections[sections.size() - 2];
  if (head.kind == section::req_hdr && respmod_) return;
  http_head_ = head.kind == section::res_hdr ? http_head::response : http_head::request;
  http_head_offset_ = head.offset;
}

// RFC 3507 4.8.2, 4.9.2: what the answer says it holds, and not the method, tells a response from a
// request; but a response is all that RESPMOD can be answered with.
bool exchange::is_sensible(section body) const {
  if (answer_.unmodified) return body == section::null_body;
  if (!is_adaptation() || body == section::null_body) return true;
  if (body == section::res_body) return http_head_ == http_head::response;
  return body == section::req_body && !respmod_ && http_head_ == http_head::request;
}

std::optional<exchange::event> exchange::read_encapsulated(std::string_view& input) {
  auto part = input.substr(0, encapsulated_length_ - encapsulated_read_);
  input.remove_prefix(part.size());
  const auto skipped = http_head_offset_ - std::min(encapsulated_read_, http_head_offset_);
  encapsulated_read_ += part.size();
  part.remove_prefix(std::min<std::uint64_t>(skipped, part.size()));
  answer_.http_head += part;
  if (encapsulated_read_ < encapsulated_length_) return event::need_input;
  if (http_head_ == http_head::none) return tell_head();

  const auto& head = answer_.http_head;
  const bool as_listed = (http_head_ != http_head::request && is_response(head)) ||
                         (http_head_ != http_head::response && is_request(head));
  if (!as_listed || !is_whole_head(head)) return fail(errc::icap_answer_invalid);
  return tell_head();
}

std::optional<exchange::event> exchange::read_body(std::string_view& input,
                                                   std::string_view& body) {
  switch (chunks_.next(input, body)) {
    case chunk_decoder::event::need_input:
      return event::need_input;
    case chunk_decoder::event::data:
      if (answer_.has_body) return event::body;
      return std::nullopt;
    case chunk_decoder::event::invalid:
      return fail(errc::icap_answer_invalid);
    case chunk_decoder::event::complete:
      break;
  }
  return end_body();
}

exchange::event exchange::end_body() {
  auto& from = answer_.original_from;
  const bool readable = find_original(chunks_.last_extension(), from);
  // Without a 206 the body would lack its rest; and no rest begins behind the original's end.
  const bool usable = !from || (answer_.status == 206 && !options_ &&
                                (upload_ != upload::whole || *from <= framed_));
  if (!readable || !usable) return fail(errc::icap_answer_invalid);
  answer_.trailers = chunks_.trailers();
  finish(phase::complete);
  return event::complete;
}

exchange::event exchange::tell_head() {
  if (body_follows_) {
    phase_ = phase::body;
  } else {
    finish(phase::complete);
  }
  return event::head;
}

void exchange::finish(phase last) {
  phase_ = last;
  sent_ = true;
}

exchange::event exchange::fail(errc why) {
  error_ = why;
  finish(phase::failed);
  return event::failed;
}

}  // namespace icapgate::icap
