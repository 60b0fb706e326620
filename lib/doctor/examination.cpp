#include "doctor/examination.hpp"

#include "base/units.hpp"
#include "doctor/advice.hpp"

#include <ctime>
#include <exception>

namespace icapgate::doctor {
namespace {

namespace asio = proxy::asio;
using proxy::clock;

constexpr unsigned most_silences = 2;
constexpr std::chrono::seconds tolerated_skew{60};

milliseconds since(clock::time_point began) {
  return std::chrono::duration_cast<milliseconds>(clock::now() - began);
}

void add(std::string& list, std::string_view item) {
  if (!item.empty()) (list += list.empty() ? "" : ", ") += item;
}

std::string methods_of(const icap::service_options& o) {
  if (o.respmod) return o.reqmod ? "RESPMOD and REQMOD" : "RESPMOD";
  return o.reqmod ? "REQMOD only" : "neither RESPMOD nor REQMOD";
}

std::string summary(const icap::service_options& o) {
  std::string text;
  add(text, printable(o.service));
  add(text, methods_of(o));
  add(text, o.preview ? "preview " + std::to_string(*o.preview) : "no preview");
  add(text, o.allow_204 ? "204" : "no 204");
  if (o.allow_206) add(text, "206");
  if (o.max_connections)
    add(text, "at most " + std::to_string(*o.max_connections) + " connections");
  if (o.ttl) add(text, "TTL " + std::to_string(o.ttl->count()) + " s");
  if (!o.istag.empty()) add(text, "ISTag " + printable(o.istag));
  return text;
}

// What a person would ask with.
std::string query_for(const url& scanner) {
  if (scanner.srv_name.empty()) return "getent hosts " + printable(scanner.host);
  return "dig SRV " + printable(scanner.srv_name);
}

}  // namespace

examination::examination(asio::io_context& context, const order& what,
                         std::shared_ptr<proxy::tls_client> tls, report& to)
    : context_(context), order_(what), report_(to), prober_(context, what, std::move(tls)) {}

task<void> examination::run() {
  const bool reached = co_await reach();
  for (const auto* one = body_checks; reached && one->run; ++one) {
    co_await perform(*one);
    // What fails for anything that it is shown needs no list of failures.
    const bool useless = one->run == &examination::eicar && !known_.answered;
    const bool silent = prober_.silences() >= most_silences;
    if (!useless && !silent) continue;
    report_.line("the rest", {},
                 skipped(useless ? "it gives no verdict on anything" : "it keeps silent"));
    co_return;
  }
  if (reached && order_.ladder) co_await climb();
}

task<void> examination::perform(check one) {
  const auto began = clock::now();
  const auto found = co_await (this->*one.run)();
  report_.line(one.name, since(began), found);
}

// --- The way to the scanner: name, addresses, and whether ICAP is spoken there

task<bool> examination::reach() {
  const bool local = !order_.scanner.unix_socket.empty();
  const bool secured = order_.scanner.secured();
  const auto before = report_.failures();
  if (!local) {
    const bool there = co_await reach_addresses();
    if (!there) co_return false;
  }
  const check open{local ? "unix socket" : "TLS", &examination::connect};
  if (local || secured) co_await perform(open);
  if (report_.failures() > before) co_return false;
  constexpr check ask{"OPTIONS", &examination::options};
  constexpr check compare{"clock", &examination::options_clock};
  co_await perform(ask);
  if (known_.options_known) co_await perform(compare);
  co_return known_.options_known || report_.failures() == before;
}

task<examination::endpoint_list> examination::resolve() {
  const auto& scanner = order_.scanner;
  const auto began = clock::now();
  auto found = co_await prober_.addresses();
  boost::system::error_code no_address;
  asio::ip::make_address(scanner.host, no_address);
  if (!no_address && scanner.srv_name.empty()) co_return found;
  const auto name = printable(scanner.srv_name.empty() ? scanner.host : scanner.srv_name);
  std::string text;
  for (const auto& one : found) {
    const auto host = one.address().to_string();
    add(text, scanner.srv_name.empty() ? host : endpoint{host, one.port()}.to_string());
  }
  const auto told = found.empty()
                        ? failed("no address for " + name, "check the name: " + query_for(scanner))
                        : passed(text);
  report_.line("DNS", since(began), told);
  co_return found;
}

// One address that does not answer costs time at each new connection; the scanner works all the
// same.
task<bool> examination::reach_addresses() {
  const auto addresses = co_await resolve();
  std::vector<std::pair<finding, milliseconds>> found;
  bool any = false;
  for (const auto& address : addresses) {
    const auto began = clock::now();
    found.emplace_back(co_await reach(address), since(began));
    any = any || found.back().first.how == mark::ok;
  }
  for (auto& [what, time] : found) {
    if (any && what.how == mark::fail) what.how = mark::warn;
    report_.line("TCP", time, what);
  }
  co_return any;
}

task<finding> examination::reach(const asio::ip::tcp::endpoint& address) {
  const auto host = address.address().to_string();
  const auto text = endpoint{host, address.port()}.to_string();
  const auto stream = prober_.fresh_stream();
  stream->expires_after(prober_.connect_timeout());
  const auto ec = co_await stream->connect(address);
  if (!ec) co_return passed(text);
  outcome bad;
  bad.reason = ec == asio::error::timed_out            ? errc::icap_connect_timeout
               : ec == asio::error::connection_refused ? errc::icap_connect_refused
                                                       : errc::icap_connect_failed;
  co_return failed(text + ": " + ec.message(), hint_for(bad));
}

// With all that is needed before ICAP is spoken.
task<finding> examination::connect() {
  const auto connected = co_await prober_.connect();
  if (connected && !order_.scanner.unix_socket.empty())
    co_return passed(order_.scanner.unix_socket);
  if (connected) co_return certificate();
  outcome bad;
  bad.reason = connected.error();
  // TCP was fine: whoever keeps silent now does not know what a handshake is.
  if (bad.reason == errc::icap_connect_timeout && order_.scanner.unix_socket.empty())
    bad.reason = errc::icap_tls_failed;
  co_return failed(std::string(describe(bad.reason).text), hint_for(bad));
}

finding examination::certificate() const {
  const auto& tls = order_.tls;
  if (!tls.verify)
    return doubtful("its certificate is not looked at (tls.verify = false)",
                    "whoever stands between could play the scanner: name its authority in tls.ca");
  const bool by_url = tls.server_name == tls_settings::automatic;
  return passed("its certificate is good for " +
                printable(by_url ? order_.scanner.host : tls.server_name));
}

task<finding> examination::options() {
  outcome seen;
  auto connected = co_await prober_.connect();
  if (connected)
    seen = co_await prober_.ask_options(**connected);
  else
    seen = unanswered(connected.error());
  // What a 200 to OPTIONS lacks for a verdict does not count.
  const auto options = icap::parse_options(seen.answer);
  if (!seen.complete) co_return failed(seen.text, hint_for(seen));
  if (!options) {
    seen.reason = options.error();
    const auto text =
        std::to_string(seen.answer.status) + ": " + std::string(describe(seen.reason).text);
    if (seen.answer.status == 404) co_return failed(text, hint_for(seen));
    co_return doubtful(text, "the gateway works without OPTIONS: no preview, 204 offered");
  }
  known_.options = *options;
  known_.options_known = true;
  known_.server = field_of(seen.answer, "Service") + ' ' + field_of(seen.answer, "Server");
  date_ = field_of(seen.answer, "Date");
  if (!options->respmod)
    co_return failed(summary(*options), "this service does not scan responses: check the path");
  if (options->istag.empty())
    co_return doubtful(summary(*options),
                       "without an ISTag nobody can tell when its signatures change");
  co_return passed(summary(*options));
}

task<finding> examination::options_clock() {
  if (date_.empty()) co_return skipped("OPTIONS has no Date");
  std::tm time{};
  const auto* end = ::strptime(date_.c_str(), "%a, %d %b %Y %H:%M:%S", &time);
  if (!end) co_return doubtful("Date can't be read: " + date_);
  const auto off = std::difftime(::timegm(&time), std::time(nullptr));
  const auto text = std::to_string(static_cast<long>(off)) + " s against ours";
  if (off < -tolerated_skew.count() || off > tolerated_skew.count())
    co_return doubtful(text, "logs of both will not fit together: is NTP running there?");
  co_return passed(text);
}

// --- The ladder

task<void> examination::climb() {
  constexpr unsigned steps[] = {1, 5, 10, 26, 51, 101, 201, 501};
  for (const auto mib : steps) {
    const auto size = std::uint64_t{mib} << 20;
    if (size > order_.max_size || prober_.silences() >= most_silences) co_return;
    const auto began = clock::now();
    const auto seen = co_await climb_to(size);
    const auto found = step(size, seen);
    report_.line("EICAR in " + format_size(size), since(began), found);
    if (found.how == mark::fail || known_.lost_from > 0) co_return;
  }
}

bool examine(const order& what, report& to) {
  asio::io_context context(1);
  std::shared_ptr<proxy::tls_client> tls;
  if (what.scanner.secured()) {
    std::string why;
    tls = proxy::tls_client::make(what.tls, what.scanner.host, why);
    if (!tls) to.line("TLS", {}, failed(why));
    if (!tls) return conclude(what, {}, to);
  }
  examination all(context, what, std::move(tls), to);
  std::exception_ptr trouble;
  proxy::start(context, all.run(), [&](const std::exception_ptr& e) {
    trouble = e;
    all.stop();
  });
  context.run();
  if (trouble) std::rethrow_exception(trouble);
  return conclude(what, all.known(), to);
}

}  // namespace icapgate::doctor
