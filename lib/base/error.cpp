#include "base/error.hpp"

#include <array>

namespace icapgate {
namespace {

// The token is the enumerator's own name, so that a log line can be found in the source.
#define NAMED(name) errc::name, #name

constexpr auto rows = std::to_array<end_reason>({
    {NAMED(complete), 0, false, "The whole response was delivered."},
    {NAMED(blocked), 0, false, "The scanner found something and a block page was delivered."},
    {NAMED(blocked_late), 0, false,
     "The verdict came when a part had been delivered, and the connection was cut."},
    {NAMED(tunnel_idle), 0, true, "No byte moved in the tunnel for too long."},
    {NAMED(client_closed), 0, true, "The client went away before its response was complete."},
    {NAMED(client_proxy_invalid), 0, true,
     "A trusted proxy did not begin its connection with a valid PROXY header."},
    {NAMED(client_tls_missing), 400, true, "Only TLS is served here; the address is https://."},
    {NAMED(client_tls_failed), 0, true, "TLS with the client did not come to be."},
    {NAMED(client_head_timeout), 408, true, "The client did not send its request head in time."},
    {NAMED(client_head_invalid), 400, true, "The client's request head is not valid HTTP."},
    {NAMED(client_head_too_large), 431, true, "The client's request head is over the limit."},
    {NAMED(client_version_unsupported), 505, true,
     "The client asked for an HTTP version not served."},
    {NAMED(client_target_too_long), 414, true, "The client's request line is over the limit."},
    {NAMED(client_method_refused), 501, true, "The client used a method that is not served."},
    {NAMED(client_coding_unsupported), 501, true,
     "The client used a transfer coding that is not served."},
    {NAMED(client_expectation_unsupported), 417, true, "The client expects what is not served."},
    {NAMED(client_host_unknown), 421, true, "No site is served here under that host and path."},
    {NAMED(client_loop_detected), 508, true,
     "The request came through this gateway before: an origin of its leads back to it."},
    {NAMED(client_body_timeout), 408, true, "The client stopped sending its request body."},
    {NAMED(client_body_eof), 400, true, "The client's request body ended before it was complete."},
    {NAMED(client_body_invalid), 400, true, "The client's request body is not correctly framed."},
    {NAMED(client_body_too_large), 413, true, "The client's request body is over the limit."},
    {NAMED(client_write_timeout), 0, true, "The client did not take its response in time."},
    {NAMED(client_too_slow), 408, true,
     "The client sends its request, or takes its response, too slowly."},
    {NAMED(client_request_timeout), 504, true, "The request took longer than one may in all."},
    {NAMED(client_write_failed), 0, true,
     "The connection to the client failed during the response."},
    {NAMED(origin_resolve_failed), 502, true, "The origin's name could not be resolved."},
    {NAMED(origin_connect_refused), 502, true, "The origin refused the connection."},
    {NAMED(origin_connect_timeout), 504, true,
     "The connection to the origin was not made in time."},
    {NAMED(origin_connect_failed), 502, true, "The origin could not be connected to."},
    {NAMED(origin_tls_failed), 502, true,
     "TLS with the origin failed; the warning in the log names the reason."},
    {NAMED(origin_tls_certificate), 502, true, "The origin's certificate is not trusted."},
    {NAMED(origin_write_timeout), 504, true, "The origin did not take the request in time."},
    {NAMED(origin_write_failed), 502, true,
     "The connection to the origin failed during the request."},
    {NAMED(origin_head_timeout), 504, true, "The origin did not answer in time."},
    {NAMED(origin_head_eof), 502, true,
     "The origin closed the connection without a response head."},
    {NAMED(origin_head_reset), 502, true,
     "The connection to the origin failed before a response head."},
    {NAMED(origin_head_invalid), 502, true, "The origin's response head is not valid HTTP."},
    {NAMED(origin_head_too_large), 502, true, "The origin's response head is over the limit."},
    {NAMED(origin_upgrade_refused), 502, true,
     "The origin switched to a protocol that is not scanned."},
    {NAMED(origin_body_timeout), 504, true, "The origin stopped sending its response body."},
    {NAMED(origin_too_slow), 504, true, "The origin sends its response body too slowly."},
    {NAMED(origin_body_eof), 502, true, "The origin's response body ended before it was complete."},
    {NAMED(origin_body_reset), 502, true,
     "The connection to the origin failed in the response body."},
    {NAMED(origin_body_invalid), 502, true, "The origin's response body is not correctly framed."},
    {NAMED(icap_resolve_failed), 503, true, "The scanner's name could not be resolved."},
    {NAMED(icap_connect_refused), 503, true, "The scanner refused the connection."},
    {NAMED(icap_connect_timeout), 503, true, "The connection to the scanner was not made in time."},
    {NAMED(icap_connect_failed), 503, true, "The scanner could not be connected to."},
    {NAMED(icap_acquire_timeout), 503, true, "No connection to the scanner became free in time."},
    {NAMED(icap_scanners_shut), 503, true,
     "No scanner can be used now: each failed too often or does not detect."},
    {NAMED(icap_write_timeout), 503, true, "The scanner did not take the response in time."},
    {NAMED(icap_write_failed), 503, true,
     "The connection to the scanner failed while sending to it."},
    {NAMED(icap_answer_timeout), 503, true, "The scanner did not answer in time."},
    {NAMED(icap_answer_stalled), 503, true, "The scanner's answer began and did not go on."},
    {NAMED(icap_total_timeout), 503, true, "The scan took longer than it may in all."},
    {NAMED(icap_answer_eof), 503, true,
     "The scanner closed the connection before its answer was whole."},
    {NAMED(icap_answer_reset), 503, true,
     "The connection to the scanner failed during its answer."},
    {NAMED(icap_answer_invalid), 503, true, "The scanner's answer is not valid in this exchange."},
    {NAMED(icap_answer_too_large), 503, true,
     "The head of the scanner's answer is over the limit."},
    {NAMED(icap_status_busy), 503, true, "The scanner is too busy to scan."},
    {NAMED(icap_status_error), 503, true, "The scanner answered with an error."},
    {NAMED(icap_status_unexpected), 503, true,
     "The scanner answered with a status that proves nothing."},
    {NAMED(icap_status_auth), 503, true,
     "The scanner wants another user name or password; set user and password_path of the scanner."},
    {NAMED(icap_tls_failed), 503, true,
     "TLS with the scanner failed; the warning in the log names the reason."},
    {NAMED(icap_tls_certificate), 503, true,
     "The scanner's certificate is not trusted; set tls.ca or tls.server_name of the scanner."},
    {NAMED(spool_failed), 503, true, "The temporary file for the response could not be used."},
    {NAMED(spool_full), 503, true, "The room for responses that are being scanned is used up."},
    {NAMED(policy_oversize), 403, true, "The response is larger than what is scanned."},
    {NAMED(policy_unscannable), 403, true, "The response could not be scanned."},
    {NAMED(policy_range_refused), 416, true,
     "A part was asked for where only the whole can be scanned."},
    {NAMED(policy_upgrade_refused), 501, true,
     "The client asked for a protocol that can't be scanned."},
    {NAMED(gateway_internal), 500, true, "The gateway met an error of its own."},
});

#undef NAMED

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<std::size_t>(rows[i].code) != i) return false;
  }
  return true;
}
static_assert(in_enum_order());
static_assert(rows.back().code == errc::gateway_internal);

// What the three failures of a stream mean in one phase.
struct failures {
  errc eof, timed_out, reset;
};

failures failures_of(phase where) {
  switch (where) {
    case phase::client_head:
      return {errc::client_closed, errc::client_head_timeout, errc::client_closed};
    case phase::client_body:
      return {errc::client_body_eof, errc::client_body_timeout, errc::client_closed};
    case phase::client_write:
      return {errc::client_closed, errc::client_write_timeout, errc::client_write_failed};
    case phase::origin_write:
      return {errc::origin_write_failed, errc::origin_write_timeout, errc::origin_write_failed};
    case phase::origin_head:
      return {errc::origin_head_eof, errc::origin_head_timeout, errc::origin_head_reset};
    case phase::origin_body:
      return {errc::origin_body_eof, errc::origin_body_timeout, errc::origin_body_reset};
    case phase::icap_write:
      return {errc::icap_write_failed, errc::icap_write_timeout, errc::icap_write_failed};
    case phase::icap_answer:
      return {errc::icap_answer_eof, errc::icap_answer_timeout, errc::icap_answer_reset};
  }
  return {errc::gateway_internal, errc::gateway_internal, errc::gateway_internal};
}

}  // namespace

const end_reason& describe(errc code) {
  const auto row = static_cast<std::size_t>(code);
  return row < rows.size() ? rows[row] : rows.back();
}

std::size_t end_reason_count() {
  return rows.size();
}

errc explain(phase where, io_status status) {
  const failures possible = failures_of(where);
  switch (status) {
    case io_status::eof:
      return possible.eof;
    case io_status::timed_out:
      return possible.timed_out;
    case io_status::reset:
      return possible.reset;
    case io_status::ok:
    case io_status::would_block:
      break;
  }
  return errc::gateway_internal;
}

}  // namespace icapgate
