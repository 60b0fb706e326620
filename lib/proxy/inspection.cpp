#include "proxy/inspection.hpp"

#include "http/identity.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <concepts>

namespace icapgate::proxy {
namespace {

intake_limits limits_for(const config& settings, const policy& rules, const route& taken,
                         const http::response_head& response) {
  intake_limits limits{taken.limits.progress, rules.max_scan_size, rules.max_ratio,
                       clock::time_point::max(), pace_of_origin(settings, taken.limits)};
  const bool endless = response.framing != http::body_framing::length;
  if (endless && rules.max_body_time.count() != 0)
    limits.give_up = clock::now() + rules.max_body_time;
  return limits;
}

// More than two documents of the same kind have in common; where it is an accident after all, it
// costs no more than the scanner's page.
bool begin_alike(const body_spool& a, const body_spool& b) {
  constexpr std::uint64_t enough = 64;
  const auto mine = text_of(a, enough);
  return mine && mine->size() == enough && mine == text_of(b, enough);
}

bool brings_message(const scan_report& report) {
  return report.outcome && report.outcome->kind != icap::verdict::clean;
}

// Puts one part behind the other into a text, which moves as it grows: views are to be had only
// when all is there.
class keeper {
 public:
  explicit keeper(std::string& in) : in_(in) {}

  struct part {
    std::size_t begin = 0, size = 0;
  };
  template <std::invocable<std::string&> Append>
  part keep(const Append& append) {
    const auto begin = in_.size();
    append(in_);
    return {begin, in_.size() - begin};
  }
  part keep(std::string_view text) {
    return keep([text](std::string& in) { in.append(text); });
  }
  std::string_view view(part of) const { return std::string_view(in_).substr(of.begin, of.size); }

 private:
  std::string& in_;
};

}  // namespace

bool is_doubt(errc reason) {
  return reason == errc::policy_oversize || reason == errc::policy_unscannable;
}

inspection::inspection(worker_resources& resources, const policy& rules, const subject& of,
                       http_reader& from, const std::vector<content_coding>& codings)
    : resources_(resources),
      route_(of.taken),
      kept_(resources.blocks.texts),
      body_(resources.new_spool()),
      decoded_(resources.new_spool()),
      adapted_(resources.new_spool()),
      intake_(from, body_, limits_for(resources.settings, rules, of.taken, of.response)),
      decoded_body_(!codings.empty()) {
  if (of.response.framing == http::body_framing::length) length_ = of.response.content_length;
  if (length_) body_.expect(*length_);
  if (decoded_body_) intake_.decode(codings, decoded_);
  keep(of);
}

inspection::~inspection() {
  resources_.blocks.texts.give_back(std::move(report_.answer.head));
}

void inspection::keep(const subject& of) {
  const auto& settings = resources_.settings;
  keeper all(*kept_);
  const auto request = all.keep([&](std::string& text) {
    http::append_scanner_request(text, of.request, settings.scanner_sees_credentials, of.changes);
  });
  const auto response = all.keep(
      [&](std::string& text) { http::append_scanner_response(text, of.response, decoded_body_); });
  const auto proxy_fields = all.keep([&](std::string& text) {
    http::append_proxy_challenges(text, of.response);
    // Where the scanner wants credentials of ours, the client's are not for it.
    if (settings.scanner_sees_credentials && settings.scanner_authorization.empty())
      http::append_proxy_credentials(text, of.request);
  });
  const auto path = all.keep(of.request.origin_form);
  const auto id = all.keep(of.request_id);
  const bool has_address = of.path.client != http::unix_client;
  const auto client = all.keep(has_address ? std::string_view(of.path.client) : std::string_view());
  const auto server = all.keep(of.server_ip);
  // With a 401 the origin says that nobody is authenticated.
  const auto user = all.keep(of.response.status != 401 ? http::basic_user(of.request) : "");
  job_ = {
      all.view(request),
      all.view(response),
      all.view(path),
      {all.view(id), all.view(client), all.view(server), all.view(user), all.view(proxy_fields)},
      of.response.status};
}

task<void> inspection::run() {
  const auto began = clock::now();
  intake_.adopt_early();
  auto obstacle = intake_.error();
  if (obstacle == errc::complete && needs_room()) obstacle = co_await reserve();
  if (obstacle == errc::complete)
    co_await ask();
  else
    report_.outcome = obstacle;
  // For a scanner's version nobody waits.
  if (!report_.outcome && adapted_.trouble() == spool_status::full)
    resources_.budget.count_refusal();
  adapted_.finish();
  time_ = clock::now() - began;
  if (brings_message(report_)) {
    const bool begins_so = co_await is_copied();
    examine(begins_so);
  }
  count();
}

// A body that comes slowly, or is large, waits in the spool and not at a scanner: a connection
// there is dear.
task<void> inspection::ask() {
  if (!worth_spooling_first()) {
    co_await resources_.scanners->respmod(route_, job_, intake_, adapted_, report_);
    if (!report_.postponed) co_return;
    resources_.metrics.scans_postponed.add();
  }
  const auto taken =
      co_await take_whole(resources_.context, intake_, resources_.settings, resources_.budget);
  if (taken != errc::complete) {
    report_.outcome = taken;
    co_return;
  }
  report_ = {};
  co_await resources_.scanners->respmod(route_, job_, intake_, adapted_, report_);
}

bool inspection::needs_room() const {
  return length_ && *length_ > resources_.settings.spool_memory;
}

// Makes sure of room for a body whose length is known, before any of it is fetched.
task<errc> inspection::reserve() {
  room_wait room(resources_.context, resources_.settings, resources_.budget);
  while (!body_.reserve(*length_)) {
    const bool hopeless = body_.never_holds(*length_);
    if (hopeless) resources_.budget.count_refusal();
    if (hopeless) co_return errc::spool_full;
    const bool more_time = co_await room.again();
    if (!more_time) co_return errc::spool_full;
  }
  co_return errc::complete;
}

bool inspection::worth_spooling_first() const {
  const auto above = resources_.settings.spool_first_above;
  return above != 0 && length_ && *length_ > above;
}

// The scanner's body is the first bytes of what was sent, or all. Large ones take their time.
task<bool> inspection::is_copied() {
  body_spool::comparison both(intake_.spool(), adapted_);
  for (int step = 1; both.step(); ++step)
    if (step % turn_length == 0) co_await asio::post(resources_.context, use_op);
  co_return both.begins_so();
}

// What was answered against what was sent: a version that is cut short, or that is only the
// beginning of the body under the same status, is how some scanners let an infected file drip
// through.
void inspection::examine(bool begins_so) {
  auto& judged = *report_.outcome;
  auto& head = scanner_response_;
  auto& sent = intake_.spool();
  const auto parsed = http::parse_response(report_.answer.http_head, false, head);
  const bool readable = parsed == errc::complete && !head.is_interim();
  const bool counted = readable && head.framing == http::body_framing::length;
  const bool cut_off = counted && adapted_.size() < head.content_length;
  const bool fits = counted ? adapted_.size() == head.content_length
                            : head.framing != http::body_framing::none || adapted_.size() == 0;
  const bool same_status = head.status == job_.status;
  const bool copied = readable && begins_so && (same_status || adapted_.size() > 0);
  const bool beginning =
      copied && same_status && (adapted_.size() < sent.size() || !intake_.ended());
  if (judged.kind == icap::verdict::adapted && (cut_off || beginning)) {
    judged.kind = icap::verdict::blocked;
    judged.sign = "truncated answer";
    resources_.metrics.scans_trickled.add();
  }
  if (judged.kind != icap::verdict::adapted) {
    // What a scanner calls harmful and sends all the same is no page to deliver, not even where it
    // goes on with a page behind some of it.
    usable_ = readable && fits && !copied && !begin_alike(sent, adapted_);
  } else if (readable && fits) {
    usable_ = true;
    unchanged_ = copied && same_status;
  } else {
    report_.outcome = errc::icap_answer_invalid;
  }
}

void inspection::count() {
  auto& m = resources_.metrics;
  if (report_.ignored) {
    verdict_ = access_verdict::skipped;
    return;
  }
  m.scan_seconds.observe(std::chrono::duration<double>(time_).count());
  if (!report_.outcome) {
    const auto reason = report_.outcome.error();
    const bool unscannable = is_doubt(reason);
    verdict_ = unscannable ? access_verdict::unscannable : access_verdict::error;
    (unscannable ? m.scans_unscannable : m.scans_failed).add();
    return;
  }
  m.scanned_bytes.add(intake_.spool().size());
  struct row {
    access_verdict verdict;
    counter& count;
  };
  const std::array rows{row{access_verdict::clean, m.scans_clean},
                        row{access_verdict::adapted, m.scans_adapted},
                        row{access_verdict::blocked, m.scans_blocked},
                        row{access_verdict::unscannable, m.scans_unscannable}};
  const auto& row = rows[static_cast<std::size_t>(report_.outcome->kind)];
  verdict_ = row.verdict;
  row.count.add();
}

void describe_scan(access_record& record, const inspection& of) {
  const auto& report = of.report();
  record.verdict = of.verdict();
  if (report.outcome) record.threat = report.outcome->threat;
  record.scanner = report.scanner;
  record.icap_status = report.icap_status;
  record.scan_ms = of.time();
}

}  // namespace icapgate::proxy
