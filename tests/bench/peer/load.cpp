#include "base/chunked.hpp"

#include "heads.hpp"
#include "peers.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace bench {
namespace {

using clock = std::chrono::steady_clock;
using icapgate::chunk_decoder;

struct tally {
  const load& what;
  loop& events;
  std::string request;
  clock::time_point end;  // with what.time
  std::uint64_t asked = 0;
  std::uint64_t errors = 0;
  std::vector<float> latencies{};  // microseconds

  bool goes_on() const { return what.requests > 0 ? asked < what.requests : clock::now() < end; }
};

// One client: asks, reads the response, asks again.
class client : public handler {
 public:
  explicit client(tally& all) : all_(all) { ask(); }

  bool received(std::string& in, std::string& out) override {
    if (!in_body_ && !take_head(in)) return true;
    if (!take_body(in)) return true;
    in_body_ = false;
    const auto took = std::chrono::duration<float, std::micro>(clock::now() - began_);
    if (good_ && length_ == all_.what.body)
      all_.latencies.push_back(took.count());
    else
      ++all_.errors;
    waiting_ = false;
    if (!all_.goes_on()) return false;
    out.append(all_.request);
    ask();
    return true;
  }

  void closed() override {
    if (waiting_) ++all_.errors;
  }

 private:
  void ask() {
    ++all_.asked;
    waiting_ = true;
    began_ = clock::now();
  }

  bool take_head(std::string& in) {
    const auto end = in.find(empty_line);
    if (end == in.npos) return false;
    const auto head = std::string_view(in).substr(0, end);
    good_ = head.starts_with("HTTP/1.1 200 ");
    const auto length = field(head, "Content-Length");
    chunked_ = !length;
    left_ = length ? icapgate::read_number(*length).value_or(0) : 0;
    length_ = left_;
    chunks_.reset();
    in.erase(0, end + empty_line.size());
    in_body_ = true;
    return true;
  }

  // True: the body is complete.
  bool take_body(std::string& in) {
    if (chunked_) return take_chunks(in);
    const auto part = std::min<std::uint64_t>(left_, in.size());
    left_ -= part;
    in.erase(0, static_cast<std::size_t>(part));
    return left_ == 0;
  }

  bool take_chunks(std::string& in) {
    std::string_view rest = in, data;
    auto event = chunks_.next(rest, data);
    for (; event == chunk_decoder::event::data; event = chunks_.next(rest, data))
      length_ += data.size();
    in.erase(0, in.size() - rest.size());
    good_ = good_ && event != chunk_decoder::event::invalid;
    return event != chunk_decoder::event::need_input;
  }

  tally& all_;
  clock::time_point began_;
  bool waiting_ = false;
  bool in_body_ = false, good_ = false, chunked_ = false;
  std::uint64_t left_ = 0, length_ = 0;
  chunk_decoder chunks_;
};

float at(std::vector<float>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(static_cast<double>(sorted.size() - 1) * share)];
}

}  // namespace

bool run(const load& what) {
  loop events;
  const auto began = clock::now();
  tally all{what, events, "GET " + what.path + " HTTP/1.1\r\nHost: bench\r\n\r\n",
            began + what.time};
  for (unsigned i = 0; i < what.connections; ++i)
    events.connect(what.port, std::make_unique<client>(all), all.request);
  events.run();
  const auto seconds = std::chrono::duration<double>(clock::now() - began).count();
  auto& sorted = all.latencies;
  std::sort(sorted.begin(), sorted.end());
  std::printf(
      "{\"requests\": %zu, \"seconds\": %.3f, \"errors\": %llu, \"p50_us\": %.0f, "
      "\"p99_us\": %.0f}\n",
      sorted.size(), seconds, static_cast<unsigned long long>(all.errors),
      static_cast<double>(at(sorted, 0.5)), static_cast<double>(at(sorted, 0.99)));
  return all.errors == 0 && !sorted.empty();
}

}  // namespace bench
