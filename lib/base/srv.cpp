#include "base/srv.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <numeric>

namespace icapgate {
namespace {

constexpr std::size_t most_targets = 64;
constexpr std::size_t longest_name = 253;  // as text
constexpr std::uint16_t type_srv = 33;
constexpr std::uint16_t class_internet = 1;

struct record {
  std::uint16_t type = 0, of_class = 0;
  std::uint32_t ttl = 0;
  std::size_t begin = 0, end = 0;  // of its data
};

bool is_host_character(std::uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// Every function but the first returns false where the message ends too early or is no message.
class reader {
 public:
  explicit reader(std::span<const std::uint8_t> message) : message_(message) {}

  bool number(std::uint16_t& out) {
    if (message_.size() - at_ < 2) return false;
    out = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
    at_ += 2;
    return true;
  }
  bool number(std::uint32_t& out) {
    std::uint16_t high = 0, low = 0;
    if (!number(high) || !number(low)) return false;
    out = std::uint32_t{high} << 16 | low;
    return true;
  }
  bool skip(std::size_t bytes) {
    if (message_.size() - at_ < bytes) return false;
    at_ += bytes;
    return true;
  }
  // RFC 1035 4.1.4. `out` has its letters in lower case; a name that no host can have comes out
  // empty, as that of the root does.
  bool name(std::string& out);
  bool next(record& out);
  bool target(const record& from, srv_target& out);

 private:
  std::span<const std::uint8_t> message_;
  std::size_t at_ = 0;
};

bool reader::name(std::string& out) {
  out.clear();
  bool good = true;
  std::size_t at = at_, earliest = at_;
  std::optional<std::size_t> behind;
  for (;;) {
    if (at >= message_.size()) return false;
    const std::size_t length = message_[at];
    if (length == 0) break;
    if (length >= 0xc0) {
      if (at + 1 >= message_.size()) return false;
      if (!behind) behind = at + 2;
      // A name goes on at an earlier place only, so that there is no circle.
      at = (length & 0x3f) << 8 | message_[at + 1];
      if (at >= earliest) return false;
      earliest = at;
      continue;
    }
    if (length > 63 || message_.size() - at - 1 < length) return false;
    if (!out.empty()) out += '.';
    if (out.size() + length > longest_name) return false;
    for (const auto c : message_.subspan(at + 1, length)) {
      good = good && is_host_character(c);
      out += ascii_lower(static_cast<char>(c));
    }
    at += 1 + length;
  }
  at_ = behind.value_or(at + 1);
  if (!good) out.clear();
  return true;
}

bool reader::next(record& out) {
  std::string owner;
  std::uint16_t length = 0;
  if (!name(owner) || !number(out.type) || !number(out.of_class) || !number(out.ttl) ||
      !number(length))
    return false;
  out.begin = at_;
  out.end = at_ + length;
  return skip(length);
}

bool reader::target(const record& from, srv_target& out) {
  reader data(message_);
  data.at_ = from.begin;
  return data.number(out.priority) && data.number(out.weight) && data.number(out.port) &&
         data.name(out.host) && data.at_ == from.end;
}

}  // namespace

std::optional<srv_answer> parse_srv_answer(std::span<const std::uint8_t> message) {
  reader from(message);
  std::uint16_t questions = 0, answers = 0;
  if (!from.skip(4) || !from.number(questions) || !from.number(answers) || !from.skip(4))
    return std::nullopt;
  std::string name;
  for (; questions > 0; --questions)
    if (!from.name(name) || !from.skip(4)) return std::nullopt;
  srv_answer found;
  std::uint32_t ttl = ~std::uint32_t{0};
  for (; answers > 0; --answers) {
    record one;
    if (!from.next(one)) return std::nullopt;
    // RFC 2181 8: with the first bit set, it counts as 0.
    ttl = std::min(ttl, one.ttl >> 31 ? 0 : one.ttl);
    if (one.type != type_srv || one.of_class != class_internet) continue;
    srv_target target;
    if (!from.target(one, target)) return std::nullopt;
    // "." as the only target says that there is no such service.
    const bool usable = !target.host.empty() && target.port != 0;
    if (usable && found.targets.size() < most_targets) found.targets.push_back(std::move(target));
  }
  if (!found.targets.empty()) found.ttl = std::chrono::seconds(ttl);
  return found;
}

void order_targets(std::vector<srv_target>& targets,
                   const std::function<std::uint32_t(std::uint32_t)>& random) {
  // Where all weights are 0, chance decides as well.
  for (auto left = static_cast<std::uint32_t>(targets.size()); left > 1; --left)
    std::swap(targets[left - 1], targets[random(left - 1)]);
  // Those of weight 0 come first, so that they are chosen rarely, but are.
  std::ranges::sort(targets, {},
                    [](const srv_target& one) { return std::pair(one.priority, one.weight != 0); });
  for (auto next = targets.begin(); next != targets.end(); ++next) {
    const auto end = std::find_if(next, targets.end(),
                                  [&](const auto& one) { return one.priority != next->priority; });
    const auto sum = std::accumulate(next, end, std::uint32_t{0}, [](auto so_far, const auto& one) {
      return so_far + one.weight;
    });
    const auto wanted = random(sum);
    std::uint32_t reached = 0;
    const auto chosen =
        std::find_if(next, end, [&](const auto& one) { return (reached += one.weight) >= wanted; });
    if (chosen != end) std::rotate(next, chosen, chosen + 1);
  }
}

}  // namespace icapgate
