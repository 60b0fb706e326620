// What a TCP socket does otherwise where the other side is on this machine.
#pragma once

struct sockaddr;

namespace icapgate::proxy {

// For a socket that is going to connect to `at`, or to listen there: on a loopback address it has
// no use for a congestion control that paces. The way there is always free, and the timers of BBR
// cost more than the bytes. Elsewhere, or where the system does not allow it, nothing is changed.
void leave_out_pacing(int socket, const sockaddr* at);

}  // namespace icapgate::proxy
