// The origin's body on its way into the spool.
#pragma once

#include "proxy/body_spool.hpp"
#include "proxy/http_reader.hpp"

namespace icapgate::proxy {

// Worker thread only. The reader stands behind the response's head.
class body_intake {
 public:
  body_intake(http_reader& from, body_spool& into) : from_(&from), into_(into) {}
  // A body that is whole in its spool already.
  explicit body_intake(body_spool& whole) : into_(whole) {}

  enum class status { data, would_block, end, failed };

  // One attempt to take more of the body.
  status fill();

  // The whole body is in the spool.
  bool ended() const { return !from_ || from_->body_ended(); }
  // With status failed: origin_body_* or spool_failed.
  errc error() const { return error_; }

  // Only while the body has not ended.
  stream& source() { return from_->source(); }
  body_spool& spool() { return into_; }

 private:
  status fail(errc reason) {
    error_ = reason;
    return status::failed;
  }

  http_reader* from_ = nullptr;
  body_spool& into_;
  errc error_ = errc::complete;
};

// The reason that belongs to a failed read of an origin's body; `status` is neither data,
// would_block nor end.
errc origin_body_failure(http_reader::body_status status);

}  // namespace icapgate::proxy
