#include "doctor/prober.hpp"

#include "doctor/report.hpp"
#include "proxy/scan.hpp"

#include <algorithm>

namespace icapgate::doctor {
namespace {

using proxy::body_spool;
using proxy::stream;

constexpr std::string_view request_head =
    "GET http://icapgate.invalid/doctor HTTP/1.1\r\nHost: icapgate.invalid\r\n\r\n";
constexpr proxy::connect_reasons reasons{errc::icap_resolve_failed, errc::icap_connect_refused,
                                         errc::icap_connect_timeout, errc::icap_connect_failed};

// Of an answer's body, where the whole is in memory.
constexpr std::size_t most_kept = 1 << 20;

std::string response_head(std::uint64_t length) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
         std::to_string(length) + "\r\n\r\n";
}

config settings_for(milliseconds timeout) {
  config out;
  out.icap_limits.connect = std::min(timeout, milliseconds(5'000));
  out.icap_limits.progress = timeout;
  out.icap_limits.verdict = timeout;
  out.icap_limits.total = std::max(timeout, out.icap_limits.total);
  return out;
}

bool is_timeout(errc reason) {
  return reason == errc::icap_answer_timeout || reason == errc::icap_answer_stalled ||
         reason == errc::icap_write_timeout || reason == errc::icap_connect_timeout ||
         reason == errc::icap_total_timeout;
}

std::string told_by(const icap::judgement& found, unsigned status) {
  const auto sign =
      found.sign.empty() ? "status " + std::to_string(status) : std::string(found.sign);
  return (found.threat.empty() ? "" : printable(found.threat) + ' ') + "(" + sign + ")";
}

// The answer holds a message: is it the one that was sent?
void compare(outcome& out, body_spool& body, body_spool& adapted) {
  const auto status = std::to_string(out.answer.status);
  const bool prefix = body.starts_with(adapted);
  out.came_back = adapted.size();
  if (out.answer.original_from) {
    out.what = fate::changed;
    out.text = status + ": the original from byte " + std::to_string(*out.answer.original_from) +
               " on, behind " + std::to_string(adapted.size()) + " new bytes";
  } else if (prefix && adapted.size() == body.size()) {
    out.what = fate::passes;
    out.text = status + ": the same bytes came back";
  } else if (prefix) {
    out.what = fate::cut;
    out.text = status + ": cut short behind " + std::to_string(adapted.size()) + " bytes";
  } else {
    out.what = fate::changed;
    out.text = status + ": other bytes came back (" + std::to_string(adapted.size()) + ")";
  }
}

}  // namespace

prober::prober(proxy::asio::io_context& context, const order& what,
               std::shared_ptr<proxy::tls_client> tls)
    : scanner_(what.scanner),
      uri_(scanner_.request_uri()),
      host_(scanner_.authority()),
      vendor_(*what.vendor),
      fields_(what.authorization + std::string(vendor_.fields)),
      settings_(settings_for(what.timeout)),
      all_(context, [] {}),
      names_(context, all_, what.dns, counted_),
      connector_(all_, names_, scanner_, std::move(tls), settings_.icap_limits.connect,
                 reasons) {
  all_.start();
}

std::unique_ptr<stream> prober::fresh_stream() {
  return std::make_unique<stream>(proxy::descriptor(), all_);
}

task<outcome> prober::ask_options(stream& to) {
  icap::exchange_request request;
  request.method = "OPTIONS";
  request.uri = uri_;
  request.host = host_;
  request.fields = fields_;
  request.has_body = false;
  auto none = empty_spool();
  co_return co_await run(to, request, none);
}

icap::exchange_request prober::respmod(std::string_view head) const {
  icap::exchange_request request;
  request.uri = uri_;
  request.host = host_;
  request.request_head = request_head;
  request.response_head = head;
  request.fields = fields_;
  request.allow_204 = vendor_.allow_204;
  return request;
}

task<outcome> prober::show(stream& to, body_spool& body, manner how) {
  const auto head = response_head(body.size());
  auto request = respmod(head);
  request.allow_204 = how.allow_204 && vendor_.allow_204;
  request.allow_206 = how.allow_206;
  request.preview = how.preview;
  co_return co_await run(to, request, body);
}

task<outcome> prober::show(body_spool& body, manner how) {
  auto connected = co_await connect();
  if (!connected) {
    note(connected.error());
    co_return unanswered(connected.error());
  }
  co_return co_await show(**connected, body, how);
}

task<outcome> prober::show(std::string_view body, manner how) {
  auto spool = empty_spool();
  spool.append(body);
  co_return co_await show(spool, how);
}

task<outcome> prober::run(stream& to, const icap::exchange_request& request, body_spool& body) {
  proxy::body_intake intake(body);
  auto adapted = empty_spool();
  proxy::scan attempt(to, blocks_, intake, adapted, settings_);
  const auto reason = co_await attempt.run(request);
  note(reason);
  auto out = judged(reason, attempt.exchange().result(), body, adapted);
  out.reusable = out.complete && attempt.reusable();
  co_return out;
}

outcome prober::judged(errc reason, const icap::answer& answer, body_spool& body,
                       body_spool& adapted) const {
  outcome out;
  out.reason = reason;
  out.complete = reason == errc::complete;
  out.answer = answer;
  if (reason != errc::complete) {
    out.text = describe(reason).text;
    return out;
  }
  const auto found = icap::judge(answer, vendor_, 200);
  if (!found) {
    out.reason = found.error();
    out.text = std::to_string(answer.status) + ": " + std::string(describe(out.reason).text);
  } else if (found->kind == icap::verdict::clean) {
    out.what = fate::passes;
    out.text = "204: unmodified";
  } else if (found->kind == icap::verdict::adapted) {
    compare(out, body, adapted);
  } else {
    out.what = fate::stopped;
    out.text = (found->kind == icap::verdict::blocked ? "blocked " : "unscannable ") +
               told_by(*found, answer.status);
  }
  return out;
}

void prober::note(errc reason) {
  silences_ = is_timeout(reason) ? silences_ + 1 : 0;
}

namespace {

// Sends bytes as they are and reads the answer, both at once: the scanner may answer and stop
// reading at any time.
class raw_exchange {
 public:
  raw_exchange(stream& to, icap::exchange& machine, std::string_view wire)
      : to_(to), machine_(machine), size_(wire.size()), left_(wire) {}

  task<upload> run(milliseconds patience, milliseconds patience_after);

 private:
  bool writing() const { return !left_.empty() && !broken_; }
  bool write();
  bool read();
  bool feed(std::string_view input);
  task<void> wait();

  stream& to_;
  icap::exchange& machine_;
  const std::size_t size_;
  std::string_view left_;
  std::string room_ = std::string(16384, '\0');
  bool broken_ = false;
  bool answered_ = false;
  upload out_;
};

task<upload> raw_exchange::run(milliseconds patience, milliseconds patience_after) {
  while (out_.reason == errc::complete && (!answered_ || writing())) {
    const bool wrote = write();
    const bool got = read();
    if (wrote || got || out_.reason != errc::complete) continue;
    to_.expires_after(answered_ ? patience_after : patience);
    co_await wait();
    if (!to_.expired()) continue;
    if (!answered_) out_.reason = errc::icap_answer_timeout;
    break;
  }
  out_.answer = machine_.result();
  out_.sent_all = left_.empty();
  co_return out_;
}

bool raw_exchange::write() {
  if (!writing()) return false;
  proxy::const_buffers part;
  part.push(left_.substr(0, room_.size()));
  const auto written = to_.try_write(part);
  if (written.status == io_status::ok) left_.remove_prefix(written.bytes);
  // What it answered before it closed may still stand in the receive buffer.
  broken_ = written.status != io_status::ok && written.status != io_status::would_block;
  return written.status == io_status::ok;
}

bool raw_exchange::read() {
  if (answered_) return false;
  const auto got = to_.try_read(proxy::asio::buffer(room_));
  if (got.status == io_status::would_block) return false;
  if (got.status != io_status::ok) {
    out_.reason = explain(phase::icap_answer, got.status);
    return false;
  }
  return feed({room_.data(), got.bytes});
}

bool raw_exchange::feed(std::string_view input) {
  using event = icap::exchange::event;
  std::string_view data;
  for (auto what = event::body; what != event::need_input && !answered_;) {
    what = machine_.receive(input, data);
    answered_ = what == event::complete;
    if (what == event::body && out_.body.size() < most_kept) out_.body += data;
    if (what != event::failed) continue;
    out_.reason = machine_.error();
    return false;
  }
  if (answered_) out_.sent_before = size_ - left_.size();
  return true;
}

task<void> raw_exchange::wait() {
  if (answered_)
    co_await to_.wait_writable();
  else if (writing())
    co_await proxy::first_of(to_.readable(), to_.writable());
  else
    co_await to_.wait_readable();
}

}  // namespace

task<upload> prober::send_raw(stream& to, std::string_view uri, std::string_view body,
                              std::uint64_t length) {
  const auto head = response_head(length);
  auto request = respmod(head);
  request.uri = uri;
  std::string wire;
  icap::exchange machine;
  machine.begin(request, wire);
  machine.next(1, true);  // all of the body is framed, as far as the machine is concerned
  wire += body;
  raw_exchange attempt(to, machine, wire);
  auto out = co_await attempt.run(settings_.icap_limits.verdict, settings_.icap_limits.connect);
  note(out.reason);
  co_return out;
}

outcome unanswered(errc reason) {
  outcome out;
  out.reason = reason;
  out.text = describe(reason).text;
  return out;
}

std::string hint_for(const outcome& bad) {
  const auto status = bad.answer.status;
  switch (bad.reason) {
    case errc::icap_resolve_failed:
      return "check the name: getent hosts NAME";
    case errc::icap_connect_refused:
      return "is the scanner running, and is the port right? ICAP has 1344, with TLS 11344";
    case errc::icap_connect_timeout:
      return "does a firewall drop packets between here and the scanner?";
    case errc::icap_tls_failed:
      return "does the port speak TLS (11344 by custom), 1.2 or newer? Without it: icap://";
    case errc::icap_tls_certificate:
      return "name the authority that signed it: --ca FILE; is it for this host name?";
    case errc::icap_answer_timeout:
    case errc::icap_answer_stalled:
      return "it accepts connections and keeps silent: are all its workers busy, does its engine "
             "hang? "
             "--timeout waits longer";
    case errc::icap_answer_eof:
    case errc::icap_answer_reset:
      return "it hung up: its log says why; does it allow this address, does the port expect TLS "
             "(icaps://)?";
    case errc::icap_answer_invalid:
      return "this is not what RFC 3507 allows here: is it an ICAP port, and is --vendor right?";
    case errc::icap_status_busy:
      return "it is overloaded or out of licences: more workers there, or fewer connections here";
    case errc::icap_status_auth:
      return "it wants a user and a password, or others: scanner.NAME.user and .password_path in "
             "--config FILE, or ICAPGATE_SCANNER__USER and ICAPGATE_SCANNER__PASSWORD_PATH";
    case errc::icap_status_error:
      if (status == 404) return "there is no such service: check the path of the URL";
      if (status == 405) return "the service does not take RESPMOD: another path may";
      if (status >= 500) return "its engine does not answer: is it running (for c-icap: clamd)?";
      return "its log says why";
    default:
      return "its log says why";
  }
}

std::string field_of(const icap::answer& answer, std::string_view name) {
  auto fields_text = std::string_view(answer.head);
  fields_text.remove_prefix(std::min(fields_text.size(), fields_text.find("\r\n") + 2));
  std::vector<icap::field> fields;
  icap::parse_fields(fields_text, fields);
  const auto* found = icap::find(fields, name);
  return found ? printable(found->value) : std::string();
}

}  // namespace icapgate::doctor
