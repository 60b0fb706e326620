// One response before the scanners: its body held back, what was answered, and whether the answer
// holds against what was sent.
#pragma once

#include "base/policy.hpp"
#include "http/forwarded.hpp"
#include "http/head.hpp"
#include "http/rules.hpp"
#include "proxy/body_intake.hpp"
#include "proxy/frames.hpp"
#include "proxy/recycler.hpp"
#include "proxy/worker.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace icapgate::proxy {

// The body itself can't be judged: too large, or nothing that a scanner could look into.
bool is_doubt(errc reason);

// Worker thread only. Copies what it needs of the heads, so that it may outlive the transaction
// once its body was received (monitor mode); the route is one of the settings'.
class inspection {
 public:
  struct subject {
    const route& taken;
    const http::request_head& request;
    const http::response_head& response;
    std::string_view request_id;
    const http::forwarding& path;
    const http::request_changes& changes;
    std::string_view server_ip;
  };

  // `from` stands behind the response's head. `codings`: of the body, to be decoded for the
  // scanner.
  inspection(worker_resources& resources, const policy& rules, const subject& of, http_reader& from,
             const std::vector<content_coding>& codings);

  ~inspection();
  inspection(const inspection&) = delete;
  inspection& operator=(const inspection&) = delete;

  // As a coroutine's frame: its place goes round within the thread.
  static void* operator new(std::size_t size) { return frames::take(size); }
  static void operator delete(void* at, std::size_t size) { frames::give(at, size); }

  // Runs to a verdict, over all scanners. Never throws for what a peer does.
  task<void> run();

  body_intake& intake() { return intake_; }
  // The origin's body as it came.
  body_spool& body() { return body_; }
  const scan_report& report() const { return report_; }
  // The scanner's response, where it sent one that may be delivered; its body is adapted().
  const http::response_head* scanner_response() const {
    return usable_ ? &scanner_response_ : nullptr;
  }
  body_spool& adapted() { return adapted_; }
  // The scanner's body is the origin's, byte for byte.
  bool is_unchanged() const { return unchanged_; }
  access_verdict verdict() const { return verdict_; }
  clock::duration time() const { return time_; }

 private:
  void keep(const subject& of);
  bool needs_room() const;
  task<errc> reserve();
  task<void> ask();
  bool worth_spooling_first() const;
  task<bool> is_copied();
  void examine(bool begins_so);
  void count();

  worker_resources& resources_;
  const route& route_;
  lent<std::string> kept_;               // of the heads, one part behind the other
  scan_job job_;                         // its views are into kept_
  std::optional<std::uint64_t> length_;  // of the body, where the origin told it

  body_spool body_;
  body_spool decoded_;
  body_spool adapted_;
  body_intake intake_;
  bool decoded_body_;

  scan_report report_;
  http::response_head scanner_response_;  // of report_.answer
  bool usable_ = false;
  bool unchanged_ = false;
  access_verdict verdict_ = access_verdict::none;
  clock::duration time_{};
};

// What the access line tells of it; views into `of`.
void describe_scan(access_record& record, const inspection& of);

}  // namespace icapgate::proxy
