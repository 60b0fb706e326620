// Origin, scanner, gateway and a client: what nearly every play begins with. What its scripts refer
// to must stand before it in the play, since they run until it is gone. When it is over, the
// gateway must end well and no peer may have seen a fault of protocol.
#pragma once

#include "kit/gate.hpp"
#include "kit/http_client.hpp"
#include "kit/icap_peer.hpp"
#include "kit/origin_peer.hpp"

namespace e2e {

struct stage {
  // `settings` without ports: they are filled in where they are empty. The scanner has the path
  // that they name.
  explicit stage(gate_settings settings = {}, icap_service service = {});
  ~stage();

  http_client client() { return http_client(icapgate.port()); }
  // One request on a connection of its own.
  response get(const std::string& target, const field_list& more = {});
  // The access line of the newest get(), where all requests of the play are such.
  access_line last_line() { return icapgate.line(asked); }
  // Asks until a scan shows that the gateway knows the scanner's options; forgets these scans.
  void learn_options() { learn_options(scanner); }
  void learn_options(icap_peer& of);

  origin_peer origin;
  icap_peer scanner;
  gate icapgate;
  std::size_t asked = 0;  // by get()
};

// GET from the admin listener.
response admin(stage& on, const std::string& target);
// The value of one row of /metrics; `row` is its name with labels, without "icapgate_". Throws
// where there is none.
double metric(stage& on, const std::string& row);

// What every refusal because of the scanner has to look like: 503, a short page that names the
// request, and nothing of the origin.
void check_refusal(const response& got, const access_line& line);
// Of a get() of that target.
void check_refusal(stage& on, const std::string& target);

}  // namespace e2e
