#include "proxy/scanner_state.hpp"

#include "base/cores.hpp"
#include "base/log.hpp"
#include "proxy/connector.hpp"

#include <algorithm>

namespace icapgate::proxy {
namespace {

// Long enough for every worker's next tick.
constexpr std::chrono::milliseconds room_wanted_for{250};

// A busy scanner's limit rises by a twentieth of the full one, and at least one, with each of
// these.
constexpr std::chrono::seconds rise_step{1};
constexpr std::size_t rise_parts = 20;

// The settings are checked: the name is a row.
const icap::profile& profile_of(const config& settings) {
  const auto* found = icap::find_profile(settings.vendor);
  return found ? *found : icap::profiles().front();
}

}  // namespace

scanner_state::scanner_state(const url& address, unsigned group, const config& settings,
                             std::shared_ptr<tls_client> tls)
    : address_(address),
      uri_(address.to_string()),
      request_uri_(address.request_uri()),
      host_(address.authority()),
      tls_(std::move(tls)),
      group_(group),
      vendor_(profile_of(settings)),
      limits_(settings.icap_limits),
      warm_connections_(vendor_.keep_alive ? settings.icap_limits.warm_connections : 0),
      canary_enforced_(settings.canary == "enforce"),
      breaks_(settings.breaker),
      options_(std::make_shared<const icap::service_options>()) {}

bool scanner_state::is_made_of(const url& address, unsigned group, const config& settings) const {
  return uri_ == address.to_string() && group_ == group && !tls_ &&
         vendor_.name == settings.vendor && limits_ == settings.icap_limits &&
         breaks_ == settings.breaker && canary_enforced_ == (settings.canary == "enforce");
}

void scanner_state::learn_from(const scanner_state& before) {
  const std::lock_guard lock(before.mutex_);
  options_ = before.options_;
  options_at_ = before.options_at_;
  breaker_ = before.breaker_;
  breaker_.abandoned();  // a trial under way tells the other one
  istag_ = before.istag_;
  istag_changes_ = before.istag_changes_;
  busy_answers_ = before.busy_answers_;
  probed_at_ = before.probed_at_;
  detects_ = before.detects_;
}

std::shared_ptr<const icap::service_options> scanner_state::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void scanner_state::set_options(icap::service_options fresh, clock::time_point now) {
  saw_istag(fresh.istag);
  auto next = std::make_shared<const icap::service_options>(std::move(fresh));
  const bool scans = next->respmod;
  bool scanned = false;
  {
    const std::lock_guard lock(mutex_);
    scanned = std::exchange(options_, std::move(next))->respmod;
    options_at_ = now;
    options_failed_ = false;
  }
  if (scanned && !scans)
    log::error("scanner ", uri_, ": OPTIONS DOES NOT LIST RESPMOD; it is not used until it does; ",
               "check the path");
  if (!scanned && scans) log::warn("scanner ", uri_, ": OPTIONS lists RESPMOD again; back in use");
}

std::optional<scanner_state::clock::time_point> scanner_state::probed_at() const {
  const std::lock_guard lock(mutex_);
  return probed_at_;
}

void scanner_state::options_failed() {
  const std::lock_guard lock(mutex_);
  options_failed_ = true;
}

void scanner_state::saw_istag(std::string_view istag) {
  if (istag.empty()) return;
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    if (istag_ == istag) return;
    before = std::exchange(istag_, std::string(istag));
    if (before.empty()) return;
    ++istag_changes_;
    istag_changed_ = true;
  }
  log::info("scanner ", uri_, ": ISTag changed from ", before, " to ", istag);
}

bool scanner_state::take_istag_change() {
  const std::lock_guard lock(mutex_);
  return std::exchange(istag_changed_, false);
}

void scanner_state::set_trusted(bool detects, clock::time_point now) {
  const std::lock_guard lock(mutex_);
  probed_at_ = now;
  detects_ = detects;
}

scanner_state::admission scanner_state::begin(
    clock::time_point now, std::shared_ptr<const icap::service_options>* options) {
  const std::lock_guard lock(mutex_);
  if (shut(now)) return admission::shut;
  if (in_flight_ >= limit(now)) return admission::full;
  if (breaks_) breaker_.admit(now);
  ++in_flight_;
  if (options) *options = options_;
  return admission::granted;
}

void scanner_state::end(outcome how, clock::time_point now) {
  bool was_open = false, is_open = false;
  {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    if (how == outcome::busy) lower_limit(now);
    if (!breaks_) return;
    was_open = breaker_.is_open();
    if (how == outcome::answered)
      breaker_.succeeded(now);
    else if (how == outcome::failed)
      breaker_.failed(now);
    else
      breaker_.abandoned();
    is_open = breaker_.is_open();
  }
  if (was_open && !is_open) log::info("scanner ", uri_, ": back in use");
  if (!was_open && is_open)
    log::warn("scanner ", uri_, ": fails too often, left alone for a while");
}

bool scanner_state::is_shut(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  return shut(now);
}

// With mutex_ held. Where canaries are enforced, a scanner has to prove itself before its first
// scan. One whose breaker would let a trial through is not shut: only traffic can close it again.
bool scanner_state::shut(clock::time_point now) const {
  if (!options_->respmod || (canary_enforced_ && !detects_)) return true;
  return breaks_ && !breaker_.would_admit(now);
}

bool scanner_state::try_open(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (open_ >= limit(now)) {
    room_wanted_until_ = now + room_wanted_for;
    return false;
  }
  ++open_;
  return true;
}

bool scanner_state::try_open_warm(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  // Somebody who needs one now comes first.
  if (now < room_wanted_until_ || open_ >= std::min(warm_connections_, limit(now))) return false;
  if (breaker_.is_open() || shut(now)) return false;
  ++open_;
  return true;
}

void scanner_state::closed() {
  const std::lock_guard lock(mutex_);
  --open_;
}

bool scanner_state::room_wanted(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  return now < room_wanted_until_ || open_ > limit(now);
}

std::size_t scanner_state::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

bool scanner_state::has_room(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  return in_flight_ < limit(now) && !shut(now);
}

scanner_metrics scanner_state::look(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  scanner_metrics out;
  out.uri = uri_;
  out.up = !breaker_.is_open() && !shut(now);
  out.detects = detects_;
  out.probed = probed_at_.has_value();
  out.respmod = options_->respmod;
  out.in_flight = in_flight_;
  out.connections = open_;
  out.limit = limit(now);
  out.istag_changes = istag_changes_;
  out.busy_answers = busy_answers_;
  return out;
}

scanner_status scanner_state::status(clock::time_point now) const {
  scanner_status out;
  out.numbers = look(now);
  out.group = group_;
  const std::lock_guard lock(mutex_);
  out.shut = shut(now);
  out.breaker = breaker_.now_in();
  if (probed_at_) out.canary_age = now - *probed_at_;
  if (options_at_) out.options_age = now - *options_at_;
  using state = scanner_status::options;
  out.options_state = options_failed_ ? state::failed : options_at_ ? state::known : state::unknown;
  out.istag = istag_;
  out.service = options_->service;
  return out;
}

// RFC 3507 4.10.2: the scanner's own limit counts, for the whole process. With mutex_ held.
std::size_t scanner_state::full_limit() const {
  const auto advertised = options_->max_connections.value_or(limits_.connections);
  return std::max<std::size_t>(1, std::min(limits_.connections, advertised));
}

// With mutex_ held.
std::size_t scanner_state::limit(clock::time_point now) const {
  const auto full = full_limit();
  if (!cap_ || now <= capped_at_) return std::min(full, cap_.value_or(full));
  const auto steps = static_cast<std::uint64_t>((now - capped_at_) / rise_step);
  if (steps >= full) return full;
  return std::min(full, *cap_ + steps * std::max<std::size_t>(1, full / rise_parts));
}

// RFC 3507 4.3.3: a 503 means that there were too many, so no more than were served beside it. With
// mutex_ held.
void scanner_state::lower_limit(clock::time_point now) {
  ++busy_answers_;
  cap_ = std::max<std::size_t>(1, std::min(limit(now), in_flight_));
  capped_at_ = now;
}

unsigned worker_count(const config& settings) {
  if (settings.workers != 0) return settings.workers;
  static const unsigned cores = usable_cores();  // asked for more than once: always the same
  return cores;
}

scanner_list make_scanners(const config& settings, const scanner_list& before) {
  scanner_list all;
  const auto add = [&](const url& address, unsigned group) {
    const auto same = std::ranges::find_if(
        before, [&](const auto& one) { return one->is_made_of(address, group, settings); });
    if (same != before.end()) return all.push_back(*same);
    auto made = std::make_shared<scanner_state>(address, group, settings,
                                                tls_for(address, settings.scanner_tls));
    const auto known = std::ranges::find(before, made->uri(), &scanner_state::uri);
    if (known != before.end()) made->learn_from(**known);
    all.push_back(std::move(made));
  };
  for (const auto& [address, standby] : distinct_scanners(settings.routes))
    add(address, standby ? 1 : 0);
  return all;
}

}  // namespace icapgate::proxy
