// What an answer proves. No answer is clean by default: only a 204, or a 200 without any sign of a
// detection, lets a body pass.
#pragma once

#include "base/error.hpp"
#include "icap/respmod.hpp"

#include <string>

namespace icapgate::icap {

enum class verdict {
  clean,    // 204: deliver the origin's response
  adapted,  // 200, 201: deliver the scanner's version
  blocked,  // any of these with a detection: deliver the scanner's page, or our own where it sent
            // none
};

struct judgement {
  verdict kind = verdict::clean;
  std::string threat;  // cleaned for logs: printable, at most 200 bytes; empty if none was named
};

// Reads X-Infection-Found and X-Violations-Found (any case) in the ICAP head and in the
// encapsulated head. Errors: icap_status_busy (503, 506), icap_status_error (other 4xx, 5xx),
// icap_status_unexpected (everything else that is neither 200, 201 nor 204), icap_answer_invalid (a
// head that can't be read; a 200 or 201 without a detection and without a response).
result<judgement> judge(const answer& a);

}  // namespace icapgate::icap
