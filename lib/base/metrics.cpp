#include "base/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <map>

namespace icapgate {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using workers = std::vector<std::unique_ptr<worker_metrics>>;

template <class Pick>
double total(const workers& all, Pick pick) {
  double sum = 0;
  for (const auto& one : all) sum += static_cast<double>(pick(*one).value());
  return sum;
}

// One metric name with its rows, in the order in which they are added.
class family {
 public:
  family(MetricType type, std::string name, std::string help) {
    content_.type = type;
    content_.name = "icapgate_" + std::move(name);
    content_.help = std::move(help);
  }

  family& row(double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    if (content_.type == MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
    content_.metric.push_back(std::move(metric));
    return *this;
  }

  template <class Pick>
  family& durations(const workers& all, Pick pick) {
    ClientMetric metric;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i <= histogram::bounds.size(); ++i) {
      for (const auto& one : all) count += pick(*one).buckets[i].value();
      const bool last = i == histogram::bounds.size();
      metric.histogram.bucket.push_back(
          {count, last ? std::numeric_limits<double>::infinity() : histogram::bounds[i]});
    }
    metric.histogram.sample_count = count;
    for (const auto& one : all)
      metric.histogram.sample_sum += static_cast<double>(pick(*one).sum_microseconds.value()) / 1e6;
    content_.metric.push_back(std::move(metric));
    return *this;
  }

  MetricFamily take() { return std::move(content_); }

 private:
  MetricFamily content_;
};

family counter_family(std::string name, std::string help) {
  return {MetricType::Counter, std::move(name), std::move(help)};
}

MetricFamily by_reason(const workers& all) {
  auto f = counter_family("transactions_total", "Transactions by the reason they ended.");
  for (std::size_t i = 0; i < worker_metrics::reasons; ++i) {
    const auto token = describe(static_cast<errc>(i)).token;
    f.row(total(all, [i](auto& w) -> auto& { return w.transactions[i]; }),
          {{"reason", std::string(token)}});
  }
  return f.take();
}

MetricFamily by_code(const workers& all) {
  auto f = counter_family("http_responses_total", "Responses to clients by status.");
  for (std::size_t code = 100; code < 600; ++code) {
    const auto count = total(all, [code](auto& w) -> auto& { return w.responses[code]; });
    if (count > 0) f.row(count, {{"code", std::to_string(code)}});
  }
  return f.take();
}

MetricFamily scans(const workers& all) {
  return counter_family("scans_total", "Scans by verdict.")
      .row(total(all, [](auto& w) -> auto& { return w.scans_clean; }), {{"verdict", "clean"}})
      .row(total(all, [](auto& w) -> auto& { return w.scans_adapted; }), {{"verdict", "adapted"}})
      .row(total(all, [](auto& w) -> auto& { return w.scans_blocked; }), {{"verdict", "blocked"}})
      .row(total(all, [](auto& w) -> auto& { return w.scans_unscannable; }),
           {{"verdict", "unscannable"}})
      .row(total(all, [](auto& w) -> auto& { return w.scans_failed; }), {{"verdict", "error"}})
      .take();
}

MetricFamily unscanned_total(const workers& all) {
  auto f = counter_family("unscanned_total", "Responses delivered without a scan, by reason.");
  for (std::size_t i = 1; i < static_cast<std::size_t>(unscanned::count_); ++i)
    f.row(total(all, [i](auto& w) -> auto& { return w.unscanned_by[i]; }),
          {{"reason", std::string(name_of(static_cast<unscanned>(i)))}});
  return f.take();
}

MetricFamily refused_clients(const workers& all) {
  static constexpr std::array names{"max_connections", "max_per_address", "descriptors"};
  static_assert(names.size() == static_cast<std::size_t>(refusal::count_));
  auto f = counter_family("client_refused_total", "Client connections closed unread, by reason.");
  for (std::size_t i = 0; i < names.size(); ++i)
    f.row(total(all, [i](auto& w) -> auto& { return w.clients_refused[i]; }),
          {{"reason", names[i]}});
  return f.take();
}

// Over all workers, each of which may know other names.
template <class T, class Registry, class Pick>
std::map<std::string, double> totals(const workers& all, Registry registry, Pick pick) {
  std::map<std::string, double> sums;
  for (const auto& one : all)
    registry(*one).each([&](const std::string& name, const T& value) {
      sums[name] += static_cast<double>(pick(value).value());
    });
  return sums;
}

MetricFamily by_rule(const workers& all) {
  auto f = counter_family("rule_hits_total", "Responses that a rule decided over.");
  const auto hits = totals<counter>(
      all, [](auto& w) -> auto& { return w.rule_hits; }, [](auto& c) -> auto& { return c; });
  for (const auto& [reason, count] : hits) f.row(count, {{"rule", reason}});
  return f.take();
}

template <class Pick>
MetricFamily simple(MetricType type, const workers& all, std::string name, std::string help,
                    Pick pick) {
  return family(type, std::move(name), std::move(help)).row(total(all, pick)).take();
}

template <class Pick>
MetricFamily timing(const workers& all, std::string name, std::string help, Pick pick) {
  return family(MetricType::Histogram, std::move(name), std::move(help))
      .durations(all, pick)
      .take();
}

template <class Pick>
MetricFamily by_server(MetricType type, const std::vector<scanner_metrics>& scanners,
                       std::string name, std::string help, Pick pick) {
  family f(type, std::move(name), std::move(help));
  for (const auto& one : scanners) f.row(static_cast<double>(pick(one)), {{"server", one.uri}});
  return f.take();
}

void add_scanners(std::vector<MetricFamily>& families,
                  const std::vector<scanner_metrics>& scanners) {
  constexpr auto g = MetricType::Gauge;
  const auto add = [&](MetricType type, const char* name, const char* help, auto pick) {
    families.push_back(by_server(type, scanners, name, help, pick));
  };
  add(g, "icap_server_up", "1: scans may go there.", [](auto& s) { return s.up ? 1 : 0; });
  add(g, "icap_canary_success", "1: the last canary was detected; 0: it was not, or none was sent.",
      [](auto& s) { return s.probed && s.detects ? 1 : 0; });
  add(g, "icap_respmod", "0: OPTIONS does not list RESPMOD, and no scan goes there.",
      [](auto& s) { return s.respmod ? 1 : 0; });
  add(g, "icap_exchanges_in_flight", "Scans under way.", [](auto& s) { return s.in_flight; });
  add(g, "icap_connections", "Open connections, idle ones counted.",
      [](auto& s) { return s.connections; });
  add(g, "icap_connections_limit",
      "The lower of ours and the server's Max-Connections; less for a while after it was busy.",
      [](auto& s) { return s.limit; });
  add(MetricType::Counter, "icap_istag_changes_total", "Changes of the server's ISTag.",
      [](auto& s) { return s.istag_changes; });
  add(MetricType::Counter, "icap_busy_total", "Scans that the server was too busy for.",
      [](auto& s) { return s.busy_answers; });
}

void add_origins(std::vector<MetricFamily>& families, const workers& all) {
  const auto add = [&](MetricType type, const char* name, const char* help, auto pick) {
    family f(type, name, help);
    const auto sums = totals<origin_metrics>(all, [](auto& w) -> auto& { return w.origins; }, pick);
    for (const auto& [origin, sum] : sums) f.row(sum, {{"origin", origin}});
    families.push_back(f.take());
  };
  add(MetricType::Counter, "origin_requests_total", "Requests that an origin was chosen for.",
      [](auto& o) -> auto& { return o.requests; });
  add(MetricType::Gauge, "origin_requests_in_flight", "Of these, now.",
      [](auto& o) -> auto& { return o.in_flight; });
  add(MetricType::Counter, "origin_failures_total", "Connects that failed, and timeouts.",
      [](auto& o) -> auto& { return o.failures; });
  add(MetricType::Gauge, "origin_ejected", "Workers that leave the origin alone since it failed.",
      [](auto& o) -> auto& { return o.ejected; });
}

void add_dns(std::vector<MetricFamily>& families, const metrics_snapshot& now) {
  const auto add = [&](const char* name, const char* help, counter dns_metrics::* which) {
    const auto of_workers = total(now.workers, [which](auto& w) -> auto& { return w.dns.*which; });
    families.push_back(counter_family(name, help)
                           .row(of_workers + static_cast<double>((now.main_dns.*which).value()))
                           .take());
  };
  add("dns_lookups_total", "Look-ups of names of origins and scanners.", &dns_metrics::lookups);
  add("dns_failures_total", "Look-ups that failed.", &dns_metrics::failures);
  add("dns_cache_hits_total", "Connections that needed no look-up of their name.",
      &dns_metrics::cache_hits);
}

void add_spool(std::vector<MetricFamily>& families, const spool_metrics& spool) {
  const auto by_store = [&](const char* name, const char* help, std::uint64_t memory,
                            std::uint64_t disk) {
    families.push_back(family(MetricType::Gauge, name, help)
                           .row(static_cast<double>(memory), {{"store", "memory"}})
                           .row(static_cast<double>(disk), {{"store", "disk"}})
                           .take());
  };
  by_store("spool_bytes", "What the bodies that are held back take up.", spool.memory, spool.disk);
  by_store("spool_limit_bytes", "What they may take up.", spool.memory_limit, spool.disk_limit);
  families.push_back(
      counter_family("spool_waits_total", "Bodies that had to wait for room in the spool.")
          .row(static_cast<double>(spool.waits))
          .take());
  families.push_back(
      counter_family("spool_refusals_total", "Responses refused: the spool was full.")
          .row(static_cast<double>(spool.refusals))
          .take());
}

void add_reloads(std::vector<MetricFamily>& families, const reload_metrics& reloads) {
  families.push_back(counter_family("reloads_total", "Times that the settings were read again.")
                         .row(static_cast<double>(reloads.done), {{"result", "done"}})
                         .row(static_cast<double>(reloads.refused), {{"result", "refused"}})
                         .take());
  families.push_back(family(MetricType::Gauge, "config_last_reload_successful",
                            "0: the last try was refused, and older settings are in use.")
                         .row(reloads.last_done ? 1 : 0)
                         .take());
  families.push_back(family(MetricType::Gauge, "config_last_reload_success_timestamp_seconds",
                            "When the settings came into use.")
                         .row(static_cast<double>(reloads.last))
                         .take());
}

void add_certificates(std::vector<MetricFamily>& families,
                      const std::vector<certificate_expiry>& all) {
  if (all.empty()) return;
  family f(MetricType::Gauge, "tls_certificate_expiry_timestamp_seconds",
           "When the certificate that clients are shown expires.");
  for (const auto& one : all) f.row(static_cast<double>(one.at), {{"file", one.file}});
  families.push_back(f.take());
}

}  // namespace

void histogram::observe(double seconds) {
  std::size_t at = 0;
  while (at < bounds.size() && seconds > bounds[at]) ++at;
  buckets[at].add();
  sum_microseconds.add(static_cast<std::uint64_t>(seconds * 1e6));
}

std::string exposition(const metrics_snapshot& now) {
  const auto& all = now.workers;
  constexpr auto c = MetricType::Counter;
  constexpr auto g = MetricType::Gauge;
  std::vector<MetricFamily> families;
  families.push_back(
      family(g, "build_info", "Always 1.").row(1, {{"version", ICAPGATE_VERSION}}).take());
  families.push_back(by_reason(all));
  families.push_back(by_code(all));
  families.push_back(scans(all));
  families.push_back(unscanned_total(all));
  families.push_back(by_rule(all));
  const auto add = [&](MetricType type, const char* name, const char* help, auto pick) {
    families.push_back(simple(type, all, name, help, pick));
  };
  add(c, "http_received_bytes_total", "Request body bytes from clients.",
      [](auto& w) -> auto& { return w.received_bytes; });
  add(c, "http_sent_bytes_total", "Bytes sent to clients.",
      [](auto& w) -> auto& { return w.sent_bytes; });
  add(c, "scanned_bytes_total", "Body bytes that scanners gave a verdict on.",
      [](auto& w) -> auto& { return w.scanned_bytes; });
  add(c, "scans_trickled_total", "Scans blocked since the answer was a shorter copy of the body.",
      [](auto& w) -> auto& { return w.scans_trickled; });
  add(c, "client_connections_total", "Client connections accepted.",
      [](auto& w) -> auto& { return w.clients_accepted; });
  families.push_back(refused_clients(all));
  add(g, "client_connections", "Client connections now.",
      [](auto& w) -> auto& { return w.clients_open; });
  add(g, "http_requests_in_flight", "Transactions now.",
      [](auto& w) -> auto& { return w.transactions_open; });
  add(c, "origin_connects_total", "Connections opened to origins.",
      [](auto& w) -> auto& { return w.origin_connects; });
  add(c, "origin_failovers_total", "Requests that were tried on another origin.",
      [](auto& w) -> auto& { return w.origin_failovers; });
  add(c, "icap_connects_total", "Connections opened to ICAP servers.",
      [](auto& w) -> auto& { return w.icap_connects; });
  add(c, "icap_retries_total", "Scans repeated since a pooled connection had gone stale.",
      [](auto& w) -> auto& { return w.icap_retries; });
  add(c, "scans_postponed_total", "Scans put off until a slow body was whole.",
      [](auto& w) -> auto& { return w.scans_postponed; });
  add(c, "late_aborts_total", "Verdicts that came when a part had been delivered.",
      [](auto& w) -> auto& { return w.late_aborts; });
  add(c, "late_abort_delivered_bytes_total", "Body bytes of those that had been delivered.",
      [](auto& w) -> auto& { return w.leaked_bytes; });
  add(c, "icap_failovers_total", "Scans repeated on another ICAP server.",
      [](auto& w) -> auto& { return w.icap_failovers; });
  families.push_back(timing(all, "http_request_duration_seconds", "Request head to response end.",
                            [](auto& w) -> auto& { return w.request_seconds; }));
  families.push_back(timing(all, "scan_duration_seconds", "Scan begun to verdict.",
                            [](auto& w) -> auto& { return w.scan_seconds; }));
  families.push_back(
      counter_family("access_log_lost_lines_total", "Access lines that could not be written.")
          .row(static_cast<double>(now.lost_lines))
          .take());
  add_origins(families, all);
  add_scanners(families, now.scanners);
  add_spool(families, now.spool);
  add_reloads(families, now.reloads);
  add_certificates(families, now.certificates);
  add_dns(families, now);
  return prometheus::TextSerializer{}.Serialize(families);
}

}  // namespace icapgate
