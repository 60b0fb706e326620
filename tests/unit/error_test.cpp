#include "base/error.hpp"

#include "catch.hpp"

#include <set>
#include <string>

using namespace icapgate;

TEST_CASE("error: every code has a row of its own with a token and a sentence") {
  std::set<std::string_view> tokens;
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const auto code = static_cast<errc>(i);
    const end_reason& row = describe(code);
    CAPTURE(i, std::string(row.token));
    CHECK(row.code == code);
    CHECK(row.text.ends_with('.'));
    CHECK(row.token.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    CHECK(tokens.insert(row.token).second);
  }
  CHECK(tokens.size() == static_cast<std::size_t>(errc::gateway_internal) + 1);
}

TEST_CASE("error: the token is the enumerator's name") {
  CHECK(describe(errc::complete).token == "complete");
  CHECK(describe(errc::origin_upgrade_refused).token == "origin_upgrade_refused");
  CHECK(describe(errc::icap_status_busy).token == "icap_status_busy");
  CHECK(describe(errc::gateway_internal).token == "gateway_internal");
}

TEST_CASE("error: only a delivered response and a verdict are no errors") {
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const end_reason& row = describe(static_cast<errc>(i));
    CAPTURE(std::string(row.token));
    const bool meant =
        row.code == errc::complete || row.code == errc::blocked || row.code == errc::blocked_late;
    CHECK(row.is_error == !meant);
  }
}

TEST_CASE("error: the client's status follows the peer that failed") {
  for (std::size_t i = 0; i < end_reason_count(); ++i) {
    const end_reason& row = describe(static_cast<errc>(i));
    CAPTURE(std::string(row.token));
    if (row.token.starts_with("icap_")) CHECK(row.status == 503);
    if (row.token.starts_with("origin_")) {
      const bool late = row.token.ends_with("_timeout") || row.token.ends_with("_too_slow");
      CHECK(row.status == (late ? 504u : 502u));
    }
  }
  CHECK(describe(errc::client_closed).status == 0);
  CHECK(describe(errc::client_write_failed).status == 0);
  CHECK(describe(errc::client_head_timeout).status == 408);
  CHECK(describe(errc::client_head_invalid).status == 400);
  CHECK(describe(errc::client_head_too_large).status == 431);
  CHECK(describe(errc::client_version_unsupported).status == 505);
  CHECK(describe(errc::client_target_too_long).status == 414);
  CHECK(describe(errc::client_method_refused).status == 501);
  CHECK(describe(errc::client_coding_unsupported).status == 501);
  CHECK(describe(errc::client_expectation_unsupported).status == 417);
  CHECK(describe(errc::client_host_unknown).status == 421);
  CHECK(describe(errc::client_loop_detected).status == 508);
  CHECK(describe(errc::client_too_slow).status == 408);
  CHECK(describe(errc::client_request_timeout).status == 504);
  CHECK(describe(errc::spool_failed).status == 503);
  CHECK(describe(errc::spool_full).status == 503);
  CHECK(describe(errc::policy_oversize).status == 403);
  CHECK(describe(errc::policy_unscannable).status == 403);
  CHECK(describe(errc::policy_range_refused).status == 416);
  CHECK(describe(errc::policy_upgrade_refused).status == 501);
  CHECK(describe(errc::gateway_internal).status == 500);
}

TEST_CASE("error: a code outside the enumeration is an error of the gateway") {
  CHECK(describe(static_cast<errc>(255)).code == errc::gateway_internal);
}

TEST_CASE("error: a stream failure is explained by its phase") {
  CHECK(explain(phase::client_head, io_status::eof) == errc::client_closed);
  CHECK(explain(phase::client_head, io_status::timed_out) == errc::client_head_timeout);
  CHECK(explain(phase::client_body, io_status::eof) == errc::client_body_eof);
  CHECK(explain(phase::client_write, io_status::reset) == errc::client_write_failed);
  CHECK(explain(phase::origin_write, io_status::timed_out) == errc::origin_write_timeout);
  CHECK(explain(phase::origin_head, io_status::eof) == errc::origin_head_eof);
  CHECK(explain(phase::origin_head, io_status::reset) == errc::origin_head_reset);
  CHECK(explain(phase::origin_body, io_status::timed_out) == errc::origin_body_timeout);
  CHECK(explain(phase::icap_write, io_status::reset) == errc::icap_write_failed);
  CHECK(explain(phase::icap_answer, io_status::eof) == errc::icap_answer_eof);
  CHECK(explain(phase::icap_answer, io_status::timed_out) == errc::icap_answer_timeout);
}

TEST_CASE("error: a stream that did not fail has no reason to end") {
  CHECK(explain(phase::icap_answer, io_status::ok) == errc::gateway_internal);
  CHECK(explain(phase::origin_body, io_status::would_block) == errc::gateway_internal);
}
