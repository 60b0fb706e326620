// One ICAP exchange (RFC 3507 4.8 to 4.10) as a machine: it frames what is to be sent and reads
// what is answered, both at the same time, and holds no socket, clock or log. RESPMOD is its first
// use; REQMOD and OPTIONS differ by what the request says, not by another machine.
#pragma once

#include "base/chunked.hpp"
#include "base/error.hpp"
#include "icap/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace icapgate::icap {

// What the ICAP server answered, once its head and the encapsulated head are read.
struct answer {
  unsigned status = 0;  // ICAP status; never 100
  std::string head;     // the ICAP head as received
  // The encapsulated res-hdr as received (for REQMOD: or req-hdr, whichever stands last; a response
  // begins with "HTTP/"). May be empty. A whole head: it ends with its first empty line.
  std::string http_head;
  std::string istag;        // quotes removed; may be empty
  std::string trailers;     // behind the last chunk, as received; known once complete
  bool has_body = false;    // an adapted body follows
  bool unmodified = false;  // 204: the original message stands
  bool may_hold_signs =
      true;  // false only where the head was seen to have no field of may_be_sign()
  // 206, once the exchange is complete: the adapted body goes on with the original body's bytes
  // from this offset on. Not set: the adapted body is whole. At most 2^63-1; it lies within the
  // original where the machine framed all of it, and else is to be held against its size.
  std::optional<std::uint64_t> original_from;
};

// Whether a field of that name may tell of a detection: all that do begin so.
constexpr bool may_be_sign(std::string_view name) {
  return name.starts_with('X') || name.starts_with('x');
}

class exchange {
 public:
  // Before begin(): the answer's head is written into this text, which is empty but has room.
  void use_room(std::string&& for_head) { answer_.head = std::move(for_head); }

  // Begins an exchange: appends the request's head to `wire`. A machine serves one exchange.
  void begin(const exchange_request& request, std::string& wire);

  // --- The sending half
  // What to send next, in this order: prefix, `body` bytes of the body, suffix. All empty: nothing
  // may be sent now. Views are valid until the next call.
  struct frame {
    std::string_view prefix;
    std::uint64_t body = 0;
    std::string_view suffix;
  };
  // `available`: body bytes that were not framed yet; `ended`: the body ends with them. A body that
  // broke off is never ended: the driver drops the connection instead.
  //
  // With a preview of N bytes (RFC 3507 4.5) nothing is framed until N bytes are available or the
  // body ended; then the preview goes out as one frame, with "0; ieof" if the body ended inside it,
  // and nothing more until the server asked for the rest.
  frame next(std::uint64_t available, bool ended);

  // No more frames will come: all was framed, or a final answer made the rest pointless.
  bool sent() const { return sent_; }
  // The preview is out and the server has not asked for the rest yet: only its answer helps on.
  bool awaiting_continue() const;

  // --- The receiving half
  enum class event {
    need_input,  // `input` is used up
    go_on,       // 100 Continue: next() frames the rest of the body
    head,        // result() is known but for what stands behind the body
    body,        // `body` is a view into the input: bytes of the adapted message
    complete,    // the answer is whole; bytes left in `input` are an error of the server
    failed,      // error() says why; nothing of this answer may be trusted
  };
  // Consumes from the front of `input` until there is one event to tell.
  event receive(std::string_view& input, std::string_view& body);

  const answer& result() const { return answer_; }
  // For the one who is done with this machine: what result() holds then is unspecified.
  answer take_result() { return std::move(answer_); }
  errc error() const { return error_; }

  // Both halves ended cleanly and neither side asked to close: the connection may be pooled.
  bool reusable() const;
  // At least one byte of the answer was received.
  bool answered() const { return received_; }

 private:
  enum class phase { idle, head, encapsulated, body, complete, failed };
  enum class upload {
    preview,            // nothing of the body is framed: the preview comes first
    awaiting_continue,  // the preview is framed, and the body goes on behind it
    body,
    whole,  // the end of the body is framed, or there is no body
  };
  enum class http_head { none, request, response, either };

  frame next_preview(std::uint64_t available, bool ended);
  frame frame_body(std::uint64_t size, std::string_view last);

  std::optional<event> read_head(std::string_view& input);
  std::optional<event> accept_head();
  event accept_continue();
  bool may_be_final(unsigned status) const;
  std::optional<event> accept_sections(const std::vector<encapsulated_section>& sections);
  void find_http_head(const std::vector<encapsulated_section>& sections);
  bool is_sensible(section body) const;
  bool is_adaptation() const;
  std::optional<event> read_encapsulated(std::string_view& input);
  std::optional<event> read_body(std::string_view& input, std::string_view& body);
  event end_body();
  event tell_head();
  void finish(phase last);
  event fail(errc why);

  // What the request said, and what the answer is therefore held against.
  bool options_ = false, respmod_ = true;
  bool allow_204_ = true, allow_206_ = false;
  std::uint64_t preview_ = 0;     // bytes
  bool answers_preview_ = false;  // a final answer now would be one to the preview

  upload upload_ = upload::whole;
  bool sent_ = false;
  std::uint64_t framed_ = 0;  // body bytes
  std::string frame_prefix_;

  phase phase_ = phase::idle;
  answer answer_;
  errc error_ = errc::complete;
  bool received_ = false;
  bool close_ = false;         // the server asked for it
  bool body_follows_ = false;  // also where it is read and dropped (OPTIONS)
  http_head http_head_ = http_head::none;
  std::uint64_t http_head_offset_ = 0;     // where it begins in the encapsulated heads
  std::uint64_t encapsulated_length_ = 0;  // of all encapsulated heads
  std::uint64_t encapsulated_read_ = 0;
  chunk_decoder chunks_;
};

}  // namespace icapgate::icap
