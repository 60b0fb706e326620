// One RESPMOD exchange (RFC 3507 4.9) as a machine: it frames what is to be sent and reads what is
// answered, both at the same time, and holds no socket, clock or log.
#pragma once

#include "base/chunked.hpp"
#include "base/error.hpp"
#include "icap/message.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::icap {

// What the scanner answered, once its head and the encapsulated head are read.
struct answer {
  unsigned status = 0;      // ICAP status
  std::string head;         // the ICAP head as received
  std::string http_head;    // encapsulated res-hdr as received, empty where there is none
  std::string istag;        // quotes removed; may be empty
  bool has_body = false;    // an adapted body follows
  bool unmodified = false;  // 204: the original response stands
};

class respmod {
 public:
  // Begins an exchange: appends the request's head to `wire`. A machine serves one exchange.
  void begin(const respmod_request& request, std::string& wire);

  // --- The sending half -------------------------------------------------------------------------
  // What to send next, in this order: prefix, `body` bytes of the body, suffix. All empty: nothing
  // may be sent now. Views are valid until the next call.
  struct frame {
    std::string_view prefix;
    std::uint64_t body = 0;
    std::string_view suffix;
  };
  // `available`: body bytes that were not framed yet; `ended`: the body ends with them. A body that
  // broke off is never ended: the driver drops the connection instead.
  frame next(std::uint64_t available, bool ended);

  // No more frames will come: all was framed, or the answer is whole (or failed) and made the rest
  // pointless. The head of an adapted answer is no reason to stop: scanners stream what they get.
  bool sent() const { return sent_; }

  // --- The receiving half -----------------------------------------------------------------------
  enum class event {
    need_input,  // `input` is used up
    head,        // result() is known (its body, if any, follows)
    body,        // `body` is a view into the input: bytes of the adapted response
    complete,    // the answer is whole; bytes left in `input` are an error of the scanner
    failed,      // error() says why; nothing of this answer may be trusted
                 // (complete and failed are final: further calls repeat them and consume nothing)
  };
  // Consumes from the front of `input` until there is one event to tell.
  event receive(std::string_view& input, std::string_view& body);

  const answer& result() const { return answer_; }
  errc error() const { return error_; }

  // Both halves ended cleanly and neither side asked to close: the connection may be pooled.
  bool reusable() const;
  // At least one byte of the answer was received.
  bool answered() const { return received_; }

 private:
  enum class phase { idle, head, encapsulated, body, complete, failed };

  // Nothing: the next phase goes on with the input.
  std::optional<event> read_head(std::string_view& input);
  std::optional<event> read_encapsulated(std::string_view& input);
  event read_body(std::string_view& input, std::string_view& body);
  std::optional<event> accept_head();
  std::optional<event> accept_sections(const std::vector<encapsulated_section>& sections);
  event tell_head();
  void finish(phase last);
  event fail(errc why);

  phase phase_ = phase::idle;
  bool all_framed_ = false;  // the last chunk was framed: the request is whole on the wire
  bool sent_ = false;
  bool received_ = false;
  bool close_ = false;
  errc error_ = errc::complete;
  std::string frame_prefix_;
  std::uint64_t encapsulated_length_ = 0;  // all encapsulated heads together
  std::uint64_t encapsulated_read_ = 0;
  std::uint64_t response_head_offset_ = 0;  // encapsulated_length_ if there is no res-hdr
  chunk_decoder chunks_;
  answer answer_;
};

}  // namespace icapgate::icap
