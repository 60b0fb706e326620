// What an answer proves. No answer is clean by default: only a 204, or a 2xx without any sign of a
// detection, lets a body pass.
#pragma once

#include "base/error.hpp"
#include "icap/exchange.hpp"
#include "icap/profile.hpp"

#include <string>
#include <string_view>

namespace icapgate::icap {

enum class verdict {
  clean,        // 204: deliver the original
  adapted,      // another 2xx: deliver the scanner's version; it may be the repaired original
  blocked,      // something was found: deliver the scanner's page, or our own where it sent none
  unscannable,  // the scanner could not look into it (encrypted, nested too deep): policy decides
};

struct judgement {
  verdict kind = verdict::clean;
  // Cleaned for logs: printable ASCII, at most 200 bytes. Empty: not named.
  std::string threat = {};
  // The detection header that told; valid for ever. Empty: a status told.
  std::string_view sign = {};
};

// Reads all detection headers in the ICAP head, the encapsulated head and the trailers, whatever
// the profile; blocked beats unscannable, unscannable beats the rest. Trailers are known only once
// the exchange is complete: a judgement made earlier may only get worse. Of an answer that
// broke off only a detection counts, and no line that is not whole is read.
//
// `original_status`: that of the response sent to the scanner; 0: none was sent (REQMOD). A page
// with another status from 400 on is the scanner's block page even if no header says so.
//
// Errors: icap_status_busy (503, 506), icap_status_error (other 4xx and 5xx but for 403, which
// blocks), icap_status_unexpected (what is neither 2xx, 4xx nor 5xx), icap_answer_invalid (a field
// that can't be read and could be a sign; a 2xx without a message).
result<judgement> judge(const answer& a, const profile& p, unsigned original_status);

}  // namespace icapgate::icap
