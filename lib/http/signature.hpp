// Requests whose fields are signed: AWS Signature Version 4 and 4a, as S3 and all that speak its
// protocol use them.
#pragma once

#include "http/head.hpp"

#include <string_view>

namespace icapgate::http {

// Whether the request says that `field_name` (any case) is signed, so that the origin would refuse
// it with that field changed, added or removed. Nothing is verified and everybody can say so: it is
// a reason to refuse, never one to scan less.
bool signs(const request_head& request, std::string_view field_name);

}  // namespace icapgate::http
