// How a transaction or a session can end: one table for the log token, the status that a client
// gets, the metric label and the text.
#pragma once

#include <boost/system/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace icapgate {

// Named peer, phase, failure. The order is that of the table in error.cpp.
enum class errc : std::uint8_t {
  complete,       // not an error: the whole response was delivered
  blocked,        // not an error: the scanner's or our block page was delivered
  blocked_late,   // the verdict came when a part had been delivered: the response was cut off
  tunnel_idle,    // no byte moved in it for too long
  client_closed,  // the client went away before its response was complete
  client_proxy_invalid,  // no PROXY header, or none in time, from a proxy that has to send one
  client_tls_missing,    // what came is no TLS, where nothing else is served
  client_tls_failed,     // no TLS came to be: version, cipher, certificate, time
  client_head_timeout,
  client_head_invalid,
  client_head_too_large,
  client_version_unsupported,
  client_target_too_long,          // the request line is over its limit
  client_method_refused,           // CONNECT, TRACE
  client_coding_unsupported,       // a transfer coding before "chunked"
  client_expectation_unsupported,  // any but 100-continue
  client_host_unknown,             // no route serves its host and path
  client_loop_detected,            // it came through this process before
  client_body_timeout,
  client_body_eof,
  client_body_invalid,
  client_body_too_large,  // over client.max_body
  client_write_timeout,
  client_too_slow,         // it moves fewer bytes a second than it must while it is waited for
  client_request_timeout,  // the request took longer than one may in all
  client_write_failed,
  origin_resolve_failed,
  origin_connect_refused,
  origin_connect_timeout,
  origin_connect_failed,
  origin_tls_failed,       // no TLS came to be, for any reason but the next
  origin_tls_certificate,  // the origin's certificate does not prove that it is the origin
  origin_write_timeout,
  origin_write_failed,
  origin_head_timeout,
  origin_head_eof,
  origin_head_reset,
  origin_head_invalid,
  origin_head_too_large,
  origin_upgrade_refused,  // 101 from the origin: there is no protocol behind it that could be
                           // scanned
  origin_body_timeout,
  origin_too_slow,  // its body comes at fewer bytes a second than it must
  origin_body_eof,
  origin_body_reset,
  origin_body_invalid,
  icap_resolve_failed,
  icap_connect_refused,
  icap_connect_timeout,
  icap_connect_failed,
  icap_acquire_timeout,  // no connection became free in time
  icap_scanners_shut,    // none may be used now: failed too often, or does not detect
  icap_write_timeout,
  icap_write_failed,
  icap_answer_timeout,  // no byte of an answer after the whole body was sent
  icap_answer_stalled,  // the answer began and did not go on
  icap_total_timeout,   // one exchange took longer than it may in all
  icap_answer_eof,
  icap_answer_reset,
  icap_answer_invalid,     // not ICAP, or not what this exchange allows
  icap_answer_too_large,   // a head over its limit
  icap_status_busy,        // 503, 506
  icap_status_error,       // any other 4xx, 5xx
  icap_status_unexpected,  // a status that proves nothing
  icap_status_auth,        // 401, 407
  icap_tls_failed,         // no TLS came to be, for any reason but the next
  icap_tls_certificate,    // the scanner's certificate does not prove that it is the scanner
  spool_failed,            // the temporary file could not be written or read
  spool_full,              // the process's share of memory and disk is used up
  policy_oversize,         // larger than what is scanned
  policy_unscannable,      // a body that can't be judged: its encoding, its framing, its end
  policy_range_refused,    // a part was asked for where only the whole can be scanned
  policy_upgrade_refused,  // another protocol was asked for, and it can't be scanned
  gateway_internal,
};

struct end_reason {
  errc code;
  std::string_view token;  // in the access log and in the metric's label
  unsigned status;  // what the client gets if nothing has been sent yet; 0: no answer is possible
  bool is_error;
  std::string_view text;  // one sentence for a person
};

// The table's row. Never fails.
const end_reason& describe(errc code);

// Number of rows; codes are 0 .. count-1.
std::size_t end_reason_count();

// Expected failures are values: a T, or the reason why there is none.
template <class T>
using result = boost::system::result<T, errc>;

// What one attempt to read from or write to a stream came to.
enum class io_status : std::uint8_t {
  ok,
  would_block,
  eof,        // the peer closed its sending side
  timed_out,  // a deadline passed
  reset,      // any other failure
};

// Where in a transaction a stream failed.
enum class phase : std::uint8_t {
  client_head,
  client_body,
  client_write,
  origin_write,
  origin_head,
  origin_body,
  icap_write,
  icap_answer,
};

// The reason that belongs to a stream failure in that phase. `status` is none of ok, would_block.
errc explain(phase where, io_status status);

}  // namespace icapgate
