// `icapgate demo`: origin, scanner and gateway on loopback. Returns the exit status.
#pragma once

namespace icapgate {

int run_demo(bool once);

}  // namespace icapgate
