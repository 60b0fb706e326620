// The doctor's instrument: shows one scanner one body at a time, the way the gateway would, and
// says what came of it.
#pragma once

#include "base/config.hpp"
#include "doctor/doctor.hpp"
#include "icap/exchange.hpp"
#include "icap/verdict.hpp"
#include "proxy/block_pool.hpp"
#include "proxy/body_spool.hpp"
#include "proxy/connector.hpp"
#include "proxy/deadline.hpp"
#include "proxy/tls.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace icapgate::doctor {

using proxy::milliseconds;
using proxy::task;

// What would become of the body behind a gateway.
enum class fate {
  passes,   // it is delivered as it is
  changed,  // other bytes are delivered, and nothing says that something was found
  stopped,  // found, or unscannable: it is not delivered
  cut,      // the scanner sent a part of it: likewise
  none,     // no verdict: `reason` says why
};

struct outcome {
  errc reason = errc::complete;  // of the exchange, or why its answer is no verdict
  bool complete = false;         // the exchange came to its end: there is a whole answer
  icap::answer answer;
  fate what = fate::none;
  std::uint64_t came_back = 0;  // bytes of the message in its place, if there is one
  std::string text;             // for a person
  bool reusable = false;        // the connection
};

// One without an answer.
outcome unanswered(errc reason);

// How a body is shown.
struct manner {
  std::optional<std::size_t> preview = std::nullopt;
  bool allow_204 = true;
  bool allow_206 = false;
};

// What came of bytes that were sent as they are.
struct upload {
  errc reason = errc::complete;  // complete: there is an answer
  icap::answer answer;
  std::string body;             // of the answer; of a large one the beginning
  std::size_t sent_before = 0;  // bytes of the request that were sent when the answer was whole
  bool sent_all = false;
};

// One thread: that of `context`.
class prober {
 public:
  // `timeout`: without any progress, for each step of an exchange.
  // `tls`: none for a plain connection.
  prober(proxy::asio::io_context& context, const order& what,
         std::shared_ptr<proxy::tls_client> tls);

  task<result<std::unique_ptr<proxy::stream>>> connect() { return connector_.connect(); }
  // Of the scanner, each once; none of a unix socket's.
  task<std::vector<proxy::asio::ip::tcp::endpoint>> addresses() { return connector_.addresses(); }
  // Not connected yet.
  std::unique_ptr<proxy::stream> fresh_stream();

  task<outcome> ask_options(proxy::stream& to);
  task<outcome> show(proxy::stream& to, proxy::body_spool& body, manner how);
  // On a connection of its own.
  task<outcome> show(proxy::body_spool& body, manner how);
  task<outcome> show(std::string_view body, manner how);

  // Sends `body`, which is in the chunked coding already and has `length` bytes without it, to
  // `uri`; to its end, whenever the answer comes.
  task<upload> send_raw(proxy::stream& to, std::string_view uri, std::string_view body,
                        std::uint64_t length);
  // Of an answer to a response that held `body`.
  outcome judged(errc reason, const icap::answer& answer, proxy::body_spool& body,
                 proxy::body_spool& adapted) const;

  // In memory up to the usual limit, the rest in a file.
  proxy::body_spool empty_spool() {
    return {blocks_, budget_, settings_.spool_memory, settings_.spool_dir};
  }

  void stop() {
    names_.stop();
    all_.stop();
  }
  const url& scanner() const { return scanner_; }
  const icap::profile& vendor() const { return vendor_; }
  milliseconds connect_timeout() const { return settings_.icap_limits.connect; }
  // How many exchanges in a row ended in a timeout of the scanner's.
  unsigned silences() const { return silences_; }

 private:
  // `head` of the response; it has to outlive what is made of it.
  icap::exchange_request respmod(std::string_view head) const;
  task<outcome> run(proxy::stream& to, const icap::exchange_request& request,
                    proxy::body_spool& body);
  void note(errc reason);

  const url scanner_;
  const std::string uri_;
  const std::string host_;
  const icap::profile& vendor_;
  const std::string fields_;  // of every request
  config settings_;
  proxy::deadlines all_;
  proxy::block_pool blocks_;
  proxy::spool_budget budget_{settings_.spool_total_memory, settings_.spool_total_disk};
  dns_metrics counted_;
  proxy::resolver names_;
  proxy::connector connector_;
  unsigned silences_ = 0;
};

// What a person can do about it.
std::string hint_for(const outcome& bad);
// "ISTag", ...: the first field of that name in the ICAP head, for a terminal; or empty.
std::string field_of(const icap::answer& answer, std::string_view name);

}  // namespace icapgate::doctor
