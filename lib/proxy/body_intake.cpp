#include "proxy/body_intake.hpp"

namespace icapgate::proxy {

body_intake::status body_intake::fill() {
  if (ended()) return status::end;
  const auto got = from_->try_read_body(into_.prepare());
  switch (got.status) {
    case http_reader::body_status::data:
      return into_.commit(got.bytes) ? status::data : fail(errc::spool_failed);
    case http_reader::body_status::would_block:
      return status::would_block;
    case http_reader::body_status::end:
      return status::end;
    default:
      return fail(origin_body_failure(got.status));
  }
}

errc origin_body_failure(http_reader::body_status status) {
  switch (status) {
    case http_reader::body_status::eof:
      return errc::origin_body_eof;
    case http_reader::body_status::reset:
      return errc::origin_body_reset;
    default:
      return errc::origin_body_invalid;
  }
}

}  // namespace icapgate::proxy
