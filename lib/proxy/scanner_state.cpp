#include "proxy/scanner_state.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace icapgate::proxy {
namespace {

// Long enough for every worker's next tick.
constexpr std::chrono::milliseconds room_wanted_for{250};

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
      max_connections_(settings.icap_limits.connections),
      canary_enforced_(settings.canary == "enforce"),
      breaks_(settings.breaker),
      options_(std::make_shared<const icap::service_options>()) {}

std::shared_ptr<const icap::service_options> scanner_state::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void scanner_state::set_options(icap::service_options fresh) {
  saw_istag(fresh.istag);
  auto next = std::make_shared<const icap::service_options>(std::move(fresh));
  const std::lock_guard lock(mutex_);
  options_ = std::move(next);
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

void scanner_state::set_trusted(bool detects) {
  const std::lock_guard lock(mutex_);
  probed_ = true;
  detects_ = detects;
}

scanner_state::admission scanner_state::begin(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  // Where canaries are enforced, a scanner has to prove itself before its first scan.
  if (canary_enforced_ && !detects_) return admission::shut;
  if (in_flight_ >= limit()) return admission::full;
  if (breaks_ && !breaker_.admit(now)) return admission::shut;
  ++in_flight_;
  return admission::granted;
}

void scanner_state::end(outcome how, clock::time_point now) {
  const std::lock_guard lock(mutex_);
  --in_flight_;
  if (!breaks_) return;
  const bool was_open = breaker_.is_open();
  switch (how) {
    case outcome::answered:
      breaker_.succeeded(now);
      break;
    case outcome::failed:
      breaker_.failed(now);
      break;
    case outcome::unrelated:
      breaker_.abandoned();
      break;
  }
  if (was_open == breaker_.is_open()) return;
  if (was_open)
    log::info("scanner ", uri_, ": back in use");
  else
    log::warn("scanner ", uri_, ": fails too often, left alone for a while");
}

bool scanner_state::try_open(clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (open_ >= limit()) {
    room_wanted_until_ = now + room_wanted_for;
    return false;
  }
  ++open_;
  return true;
}

void scanner_state::closed() {
  const std::lock_guard lock(mutex_);
  --open_;
}

bool scanner_state::room_wanted(clock::time_point now) const {
  const std::lock_guard lock(mutex_);
  return now < room_wanted_until_;
}

std::size_t scanner_state::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

scanner_metrics scanner_state::look() const {
  const std::lock_guard lock(mutex_);
  scanner_metrics now;
  now.uri = uri_;
  now.up = !breaker_.is_open() && (!canary_enforced_ || detects_);
  now.detects = detects_;
  now.probed = probed_;
  now.in_flight = in_flight_;
  now.connections = open_;
  now.limit = limit();
  now.istag_changes = istag_changes_;
  return now;
}

// RFC 3507 4.10.2: the scanner's own limit counts, for the whole process. With mutex_ held.
std::size_t scanner_state::limit() const {
  const auto advertised = options_->max_connections.value_or(max_connections_);
  return std::max<std::size_t>(1, std::min(max_connections_, advertised));
}

unsigned worker_count(const config& settings) {
  if (settings.workers != 0) return settings.workers;
  return std::max(1u, std::thread::hardware_concurrency());
}

namespace {

std::shared_ptr<tls_client> tls_for(const url& address, const config& settings) {
  if (address.scheme != "icaps") return nullptr;
  std::string why;
  auto made = tls_client::make(settings.scanner_tls, address.host, why);
  if (!made) throw std::runtime_error("scanner " + address.to_string() + ": " + why);
  return made;
}

}  // namespace

scanner_list make_scanners(const config& settings) {
  scanner_list all;
  for (const auto& address : settings.scanners)
    all.push_back(
        std::make_shared<scanner_state>(address, 0, settings, tls_for(address, settings)));
  for (const auto& address : settings.standby_scanners)
    all.push_back(
        std::make_shared<scanner_state>(address, 1, settings, tls_for(address, settings)));
  return all;
}

}  // namespace icapgate::proxy
