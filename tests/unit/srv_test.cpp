#include "base/srv.hpp"

#include "catch.hpp"

#include <deque>
#include <map>
#include <string>

using namespace icapgate;

namespace {

std::string number(std::uint32_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes) & 0xff);
  return out;
}

const std::string root(1, '\0');
const std::string question_name = "\x05_icap\x04_tcp\x04test" + root;  // at byte 12
const std::string to_question = "\xc0\x0c";
const std::string to_test = "\xc0\x17";  // the last label of it

std::string head(std::uint32_t answers) {
  return number(7, 2) + number(0x8180, 2) + number(1, 2) + number(answers, 2) + number(0, 4) +
         question_name + number(33, 2) + number(1, 2);
}

std::string record(std::uint32_t ttl, const std::string& data, std::uint32_t type = 33,
                   const std::string& owner = to_question) {
  return owner + number(type, 2) + number(1, 2) + number(ttl, 4) +
         number(static_cast<std::uint32_t>(data.size()), 2) + data;
}

std::string data(std::uint32_t priority, std::uint32_t weight, std::uint32_t port,
                 const std::string& name) {
  return number(priority, 2) + number(weight, 2) + number(port, 2) + name;
}

std::optional<srv_answer> parse(const std::string& message) {
  return parse_srv_answer({reinterpret_cast<const std::uint8_t*>(message.data()), message.size()});
}

// How many targets come out; -1: it is no answer.
int usable(const std::string& records, std::uint32_t count = 1) {
  const auto found = parse(head(count) + records);
  return found ? static_cast<int>(found->targets.size()) : -1;
}

std::uint32_t least(std::uint32_t) {
  return 0;
}

std::vector<std::string> hosts(const std::vector<srv_target>& targets) {
  std::vector<std::string> out;
  for (const auto& one : targets) out.push_back(one.host);
  return out;
}

}  // namespace

TEST_CASE("SRV: records are read, names in full or as pointers, the least TTL counts") {
  const auto found = parse(head(3) +
                           record(300, data(1, 2, 1344,
                                            "\x02"
                                            "A1" +
                                                to_test)) +
                           record(40,
                                  "\x01"
                                  "x" +
                                      to_test,
                                  5) +
                           record(50, data(65535, 0, 65535,
                                           "\x02"
                                           "b2\x07"
                                           "example" +
                                               root)));
  REQUIRE(found);
  CHECK(found->ttl == std::chrono::seconds(40));
  CHECK(found->targets ==
        std::vector<srv_target>{{1, 2, 1344, "a1.test"}, {65535, 0, 65535, "b2.example"}});
}

TEST_CASE("SRV: records that name no host or no port are left out") {
  CHECK(usable(record(1, data(0, 0, 1344, root))) == 0);
  CHECK(usable(record(1, data(0, 0, 0,
                              "\x01"
                              "a" +
                                  root))) == 0);
  for (const auto& label : {std::string("a b"), std::string("a/b"), std::string("a\0b", 3),
                            std::string("a@b"), std::string("\xff\xff\xff"), std::string("a.b")}) {
    CHECK(usable(record(1, data(0, 0, 1, "\x03" + label + root))) == 0);
  }
  CHECK(usable(record(1, data(0, 0, 1,
                              "\x03"
                              "a_b" +
                                  root))) == 1);
  // Another class.
  auto chaos = record(1, data(0, 0, 1,
                              "\x01"
                              "a" +
                                  root));
  chaos[5] = 3;
  CHECK(usable(chaos) == 0);
}

TEST_CASE("SRV: what ends too early or runs in a circle is no answer") {
  const auto good = record(60, data(1, 2, 3,
                                    "\x01"
                                    "a" +
                                        to_test));
  const auto whole = head(1) + good;
  REQUIRE(parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK(!parse(whole.substr(0, size)));
  }
  CHECK(usable(good, 2) == -1);
  const auto own_place = head(1).size() + 12 + 6;  // where the target's name stands
  const auto pointer = [](std::size_t to) {
    return number(static_cast<std::uint32_t>(0xc000 + to), 2);
  };
  CHECK(usable(record(1, data(0, 0, 1, pointer(own_place)))) == -1);
  CHECK(usable(record(1, data(0, 0, 1, pointer(own_place + 2)))) == -1);
  CHECK(usable(record(1, data(0, 0, 1, pointer(0x3fff)))) == -1);
  CHECK(usable(record(1, data(0, 0, 1,
                              "\x01"
                              "a" +
                                  pointer(own_place)))) == -1);
  CHECK(usable(record(1, data(0, 0, 1,
                              "\x01"
                              "a" +
                                  root + "x"))) == -1);
  CHECK(usable(record(1, data(0, 0, 1, "\x40" + std::string(64, 'a') + root))) == -1);
  CHECK(usable(record(1, "")) == -1);
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += "\x3f" + std::string(63, 'a');
  CHECK(usable(record(1, data(0, 0, 1, long_name + root))) == -1);
}

TEST_CASE("SRV: of a thousand records 64 are kept, and a TTL with the first bit is none") {
  std::string many;
  for (int i = 0; i < 1000; ++i)
    many += record(0x80000000, data(0, 0, 1,
                                    "\x01"
                                    "a" +
                                        to_test));
  const auto found = parse(head(1000) + many);
  REQUIRE(found);
  CHECK(found->targets.size() == 64);
  CHECK(found->ttl.count() == 0);
}

TEST_CASE("SRV: the lowest priority comes first, then who is drawn by weight") {
  const std::vector<srv_target> all{
      {2, 5, 1, "later"}, {1, 10, 1, "ten"}, {1, 30, 1, "thirty"}, {1, 0, 1, "zero"}};
  auto ordered = all;
  order_targets(ordered, least);
  CHECK(hosts(ordered).front() == "zero");
  CHECK(hosts(ordered).back() == "later");
  // Each number that can be drawn first, once.
  std::map<std::string, int> first;
  for (std::uint32_t drawn = 0; drawn <= 40; ++drawn) {
    auto mine = all;
    bool once = true;
    order_targets(mine, [&](std::uint32_t most) {
      if (most != 40 || !once) return most;
      once = false;
      return drawn;
    });
    ++first[mine.front().host];
    CHECK(mine.back().host == "later");
  }
  CHECK(first["zero"] == 1);
  CHECK(first["ten"] == 10);
  CHECK(first["thirty"] == 30);
}

TEST_CASE("SRV: where no weights are given, each may come first") {
  std::map<std::string, int> first;
  for (std::uint32_t drawn = 0; drawn < 3; ++drawn) {
    std::vector<srv_target> all{{0, 0, 1, "a"}, {0, 0, 1, "b"}, {0, 0, 1, "c"}};
    order_targets(all, [&](std::uint32_t most) { return std::min(most, drawn); });
    ++first[all.front().host];
  }
  CHECK(first.size() > 1);
  std::vector<srv_target> none;
  order_targets(none, least);
  CHECK(none.empty());
}
