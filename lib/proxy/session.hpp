// One client connection: a transaction after the other.
#pragma once

#include "http/forwarded.hpp"
#include "proxy/admission.hpp"
#include "proxy/client_watch.hpp"
#include "proxy/http_reader.hpp"
#include "proxy/worker.hpp"

#include <boost/intrusive/list.hpp>

#include <string>

namespace icapgate::proxy {

class transaction;

// Its worker's thread only.
class session : public boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // `cancel`: of the chain that run() is awaited in, for when the client leaves.
  session(worker_core& core, std::shared_ptr<const entrance> by, descriptor socket,
          const http::arrival& from, admission::ticket place, cancellation* cancel = nullptr);
  ~session();

  // Serves until the client, a limit or a drain ends the connection.
  task<void> run();

  // Wakes it up if it only waits for another request.
  void close_if_idle();
  // Then it goes on with the worker's current resources; else it does so at its next request.
  void adopt_if_idle();

 private:
  void use_current();
  task<errc> begin();
  task<errc> read_proxy_header();
  task<errc> begin_tls();
  bool has_place();
  task<errc> read_request();
  errc parse_request(http_reader::head_status status);
  bool tells_certificates() const;
  task<bool> serve_request();
  task<errc> run_transaction(transaction& one);
  milliseconds time_left() const;
  task<void> refuse(errc reason);
  bool is_silent();
  task<void> linger();

  worker_core& core_;
  std::shared_ptr<worker_resources> resources_;
  const std::shared_ptr<const entrance> entrance_;
  stream client_;
  cancellation* const cancel_;
  client_watch watch_;
  http_reader reader_;
  http::arrival from_;
  admission::ticket place_;
  http::request_head request_;
  const route* route_ = nullptr;  // of the request; none serves it
  clock::time_point head_began_;
  bool idle_ = false;  // nothing of a request has been received
};

}  // namespace icapgate::proxy
