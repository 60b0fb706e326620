// ICAP messages as bytes (RFC 3507): the head of a request, the head of a response. No socket.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace icapgate::icap {

// What a request says before its body. Views are the caller's and are only read.
struct exchange_request {
  std::string_view method = "RESPMOD";  // RESPMOD, REQMOD, OPTIONS
  std::string_view uri = {};            // absolute: icap://host:port/service (RFC 3507 4.2)
  std::string_view host = {};           // the Host field's value
  // Encapsulated req-hdr and res-hdr: start line, fields, empty line. Empty: none is sent, as
  // response_head for REQMOD, and both for OPTIONS.
  std::string_view request_head = {}, response_head = {};
  std::string_view fields = {};  // further ICAP fields, whole lines with their CRLF; may be empty
  bool has_body = true;          // false: null-body (RFC 3507 4.4.1); OPTIONS never has one
  bool allow_204 = true;         // the caller holds the body until the answer (RFC 3507 4.6)
  bool allow_206 = false;        // likewise; only said together with a preview
  std::optional<std::size_t> preview = {};  // bytes; 0 is a preview, too
};

// A preview is a part of a body: without a body there is none, whatever `preview` holds.
bool sends_preview(const exchange_request& request);
// Likewise for "Allow: 206", which without a preview would cut the body short on the wire.
bool offers_206(const exchange_request& request);

// Appends the ICAP head and the encapsulated heads, with exact Encapsulated offsets. An OPTIONS
// request has neither Allow, Preview nor Encapsulated.
void append_request(std::string& wire, const exchange_request& request);

// One field of a head. A folded value (obs-fold) keeps its inner line breaks, since
// X-Violations-Found needs them; blanks around the value are removed.
struct field {
  std::string_view name;
  std::string_view value;
};

// Reads fields one by one until the text ends or an empty line; as parse_fields() does, but for
// lines that are no field: who asks on is told what stands behind them.
class field_reader {
 public:
  explicit field_reader(std::string_view text) : rest_(text) {}

  enum class status { field, invalid, end };
  status next(field& out);

 private:
  std::string_view rest_;
};

// Reads the fields of "Name: value CRLF ..." (an ICAP head, an encapsulated HTTP head without its
// start line, a trailer section) until the text ends or an empty line. Names are not checked
// against a list. Accepts "Name:value" without a blank. False: a line that is no field; `out` holds
// those before.
bool parse_fields(std::string_view text, std::vector<field>& out);

// The first field of that name (case-insensitive), or nullptr.
const field* find(const std::vector<field>& fields, std::string_view name);

enum class section { req_hdr, res_hdr, req_body, res_body, opt_body, null_body };

constexpr bool is_body(section kind) {
  return kind > section::res_hdr;
}

struct encapsulated_section {
  section kind;
  std::uint64_t offset;
};

// "res-hdr=0, res-body=132". Offsets must rise from 0, in the order of the enumeration, and at most
// one body stands last (RFC 3507 4.4.1). Never empty. `unlisted_heads`: a lone req-body, res-body
// or null-body may stand behind heads that the list leaves out, as one product sends it
// ("res-body=159"). Errors: icap_answer_invalid.
result<std::vector<encapsulated_section>> parse_encapsulated(std::string_view value,
                                                             bool unlisted_heads = false);

// Without a pair of double quotes around it; products send ISTag with and without them.
std::string_view without_quotes(std::string_view text);

// The head of an ICAP response. Views point into the text that was parsed.
struct response_head {
  unsigned status = 0;      // three digits
  std::string_view reason;  // may be empty
  std::vector<field> fields;
  bool close = false;  // Connection: close
};

inline constexpr std::string_view response_start = "ICAP/1.0 ";
inline constexpr std::size_t max_response_head = 16384;       // bytes
inline constexpr std::size_t max_encapsulated_heads = 65536;  // bytes, req-hdr and res-hdr together

// What a status that brings nothing of use is an error of: icap_status_busy (503, 506),
// icap_status_auth (401, 407), icap_status_error (other 4xx and 5xx), else icap_status_unexpected.
errc error_of_status(unsigned status);

// Takes the status line off the front of `text`. False: it is not "ICAP/1.0 SP 3DIGIT" and perhaps
// a reason.
bool read_status_line(std::string_view& text, unsigned& status, std::string_view& reason);

// It is Connection, and says "close".
bool asks_to_close(const field& f);

// Parses a whole head, start line to empty line. The status line must be "ICAP/1.0 SP 3DIGIT".
// Errors: icap_answer_invalid.
result<response_head> parse_response_head(std::string_view text);

}  // namespace icapgate::icap
