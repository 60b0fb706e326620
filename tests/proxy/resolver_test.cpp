#include "proxy/resolver.hpp"

#include "catch.hpp"
#include "dns_peer.hpp"
#include "tls_kit.hpp"
#include "wire.hpp"

#include <fstream>
#include <future>
#include <sstream>

namespace asio = boost::asio;
using namespace icapgate;
using namespace std::chrono_literals;
using proxy::dns_status;
using proxy::in_turn;
using proxy::task;
using test::dns_address;
using test::dns_question;
using test::dns_type::a;
using test::dns_type::aaaa;
using test::dns_type::cname;

namespace {

constexpr auto found = dns_status::found;
constexpr auto failed = dns_status::failed;
constexpr auto timed_out = dns_status::timed_out;

// The resolver's clock, which stands still until a test moves it.
proxy::clock::time_point the_time;
proxy::clock::time_point tell_time() {
  return the_time;
}

void write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path);
  file << text;
  REQUIRE(file.flush());
}

dns_settings asking(const test::dns_peer& server) {
  dns_settings out;
  out.servers.push_back({"127.0.0.1", server.port()});
  return out;
}

struct answer {
  dns_status status = failed;
  std::vector<std::string> what;

  bool operator==(const answer&) const = default;
};

std::ostream& operator<<(std::ostream& out, const answer& one) {
  out << static_cast<int>(one.status);
  for (const auto& text : one.what) out << ' ' << text;
  return out;
}

class world {
 public:
  explicit world(std::chrono::milliseconds timeout = 5s) {
    // No domains of this machine are searched.
    write_file(resolv_conf(), "search one.test\n");
    the_time = proxy::clock::time_point(1h);
    auto settings = asking(server);
    settings.timeout = timeout;
    names = std::make_unique<proxy::resolver>(context, all, settings, counted, tell_time,
                                              resolv_conf());
  }

  std::string resolv_conf() const { return files / "resolv.conf"; }

  task<answer> look(std::string host, proxy::milliseconds timeout) {
    std::vector<asio::ip::address> list;
    answer out;
    out.status = co_await names->find(host, timeout, list);
    for (const auto& one : list) out.what.push_back(one.to_string());
    co_return out;
  }
  task<answer> look_for_service(std::string name) {
    std::vector<srv_target> list;
    answer out;
    out.status = co_await names->find_service(name, 20s, list);
    for (const auto& one : list) out.what.push_back(one.host + ':' + std::to_string(one.port));
    co_return out;
  }
  answer find(const std::string& host, proxy::milliseconds timeout = 20s) {
    return test::run(context, all, look(host, timeout));
  }
  answer find_service(const std::string& name) {
    return test::run(context, all, look_for_service(name));
  }

  test::dns_peer server;
  test::folder files;
  asio::io_context context{1};
  proxy::deadlines all{context, [] {}};
  dns_metrics counted;
  std::unique_ptr<proxy::resolver> names;
};

// Keeps a server silent until it is let go. The server's thread may outlive it.
class gate {
 public:
  ~gate() { open(); }
  void open() {
    if (!opened_) opening_.set_value();
    opened_ = true;
  }
  std::shared_future<void> opened() const { return open_; }

 private:
  std::promise<void> opening_;
  std::shared_future<void> open_ = opening_.get_future().share();
  bool opened_ = false;
};

// From now on the server answers once the gate is open.
void hold_answers(world& w, gate& closed) {
  w.server.play([&w, opened = closed.opened()](const dns_question& one) {
    opened.wait();
    return w.server.known(one);
  });
}

}  // namespace

TEST_CASE("resolver: an answer is used until its TTL is over, then asked for again") {
  world w;
  w.server.set("app.test", {dns_address("192.0.2.1", 10), dns_address("192.0.2.2", 20)});
  const answer first{found, {"192.0.2.1", "192.0.2.2"}};
  auto seen = w.find("app.test");
  std::ranges::sort(seen.what);
  CHECK(seen == first);
  w.server.set("app.test", {dns_address("192.0.2.9", 10)});
  the_time += 9999ms;
  seen = w.find("app.test");
  std::ranges::sort(seen.what);
  CHECK(seen == first);
  CHECK(w.server.asked("app.test", a) == 1);
  CHECK(w.server.asked("app.test", aaaa) == 1);
  the_time += 1ms;
  CHECK(w.find("app.test") == answer{found, {"192.0.2.9"}});
  CHECK(w.server.asked("app.test", a) == 2);
  CHECK(w.counted.lookups.value() == 2);
  CHECK(w.counted.cache_hits.value() == 1);
  CHECK(w.counted.failures.value() == 0);
}

TEST_CASE("resolver: a TTL counts within the settings' bounds, an alias's TTL too") {
  const auto lasts = [](const std::vector<test::dns_record>& records) {
    world w;
    w.server.set("app.test", records);
    REQUIRE(w.find("app.test").status == found);
    const auto began = the_time;
    while (w.counted.lookups.value() == 1) {
      the_time += 500ms;
      w.find("app.test");
    }
    return the_time - began;
  };
  CHECK(lasts({dns_address("192.0.2.1", 0)}) == 1s);
  CHECK(lasts({dns_address("192.0.2.1", 3600)}) == 30s);
  CHECK(lasts({dns_address("192.0.2.1", 0x7fffffff)}) == 30s);
  // RFC 2181 8: as 0. Newer versions of c-ares take it for the longest one.
  const auto beyond = lasts({dns_address("192.0.2.1", 0xffffffff)});
  CHECK((beyond == 1s || beyond == 30s));
  auto target = dns_address("192.0.2.1", 20);
  target.owner = test::dns_name("real.test");
  CHECK(lasts({{cname, 5, test::dns_name("real.test")}, target}) == 5s);
}

TEST_CASE("resolver: a failure leaves the last good answer in use, and is not repeated at once") {
  world w;
  w.server.set("app.test", {dns_address("192.0.2.1", 1)});
  const answer good{found, {"192.0.2.1"}};
  CHECK(w.find("app.test") == good);
  w.server.forget("app.test");
  the_time += 1s;
  CHECK(w.find("app.test") == good);
  CHECK(w.counted.failures.value() == 1);
  the_time += 999ms;
  CHECK(w.find("app.test") == good);
  CHECK(w.counted.lookups.value() == 2);
  // From now on nobody waits for an answer that may not come.
  gate closed;
  hold_answers(w, closed);
  the_time += 1ms;
  CHECK(w.find("app.test", 0ms) == good);
  CHECK(w.counted.lookups.value() == 3);
  w.server.set("app.test", {dns_address("192.0.2.9", 1)});
  closed.open();
  const answer fresh{found, {"192.0.2.9"}};
  for (int i = 0; i < 1000 && w.find("app.test") != fresh; ++i) w.context.run_for(10ms);
  CHECK(w.find("app.test") == fresh);
}

TEST_CASE("resolver: a slow new answer is not waited for long where there is an old one") {
  world w;
  w.server.set("app.test", {dns_address("192.0.2.1", 1)});
  const answer good{found, {"192.0.2.1"}};
  CHECK(w.find("app.test") == good);
  gate closed;
  hold_answers(w, closed);
  the_time += 1s;
  CHECK(w.find("app.test", 0ms) == good);
  CHECK(w.counted.failures.value() == 0);
}

TEST_CASE("resolver: a name that nobody knows is asked for once a second") {
  world w;
  CHECK(w.find("nobody.test") == answer{failed, {}});
  CHECK(w.find("nobody.test") == answer{failed, {}});
  CHECK(w.counted.lookups.value() == 1);
  CHECK(w.counted.failures.value() == 1);
  w.server.set("nobody.test", {dns_address("2001:db8::1", 10)});
  the_time += 999ms;
  CHECK(w.find("nobody.test").status == failed);
  the_time += 1ms;
  CHECK(w.find("nobody.test") == answer{found, {"2001:db8::1"}});
  w.server.set("empty.test", {});
  CHECK(w.find("empty.test").status == failed);
}

TEST_CASE("resolver: many who want one name wait for one look-up") {
  world w;
  gate closed;
  w.server.set("app.test", {dns_address("192.0.2.1", 10)});
  hold_answers(w, closed);
  std::vector<answer> seen;
  for (int i = 0; i < 20; ++i)
    proxy::start(w.context, w.look("app.test", 0ms), [&](const std::exception_ptr&, answer one) {
      seen.push_back(std::move(one));
      if (seen.size() == 20) w.context.stop();
    });
  w.context.poll();
  REQUIRE(w.server.wait_asked("app.test"));
  w.context.poll();
  CHECK(seen.empty());
  closed.open();
  w.context.run();
  CHECK(seen == std::vector(20, answer{found, {"192.0.2.1"}}));
  CHECK(w.server.asked("app.test", a) == 1);
  CHECK(w.counted.lookups.value() == 1);
}

TEST_CASE("resolver: a silent server is given up, and by an impatient caller before that") {
  world w(20ms);
  w.server.play([](const dns_question&) { return std::nullopt; });
  CHECK(w.find("app.test", 0ms).status == failed);
  CHECK(w.server.asked("app.test", a) == proxy::dns_channel::tries);
  world patient(60s);
  patient.server.play([](const dns_question&) { return std::nullopt; });
  CHECK(patient.find("app.test", 1ms).status == timed_out);
  CHECK(patient.find("app.test", 1ms).status == timed_out);
  CHECK(patient.counted.lookups.value() == 1);
  CHECK(patient.counted.failures.value() == 0);
}

TEST_CASE("resolver: a port where no DNS server is: the look-up fails") {
  world w;
  std::uint16_t nobody = 0;
  {
    const test::dns_peer gone;
    nobody = gone.port();
  }
  dns_settings settings;
  settings.timeout = 20ms;
  settings.servers.push_back({"127.0.0.1", nobody});
  w.names = std::make_unique<proxy::resolver>(w.context, w.all, settings, w.counted, tell_time,
                                              w.resolv_conf());
  CHECK(w.find("app.test", 0ms).status == failed);
}

TEST_CASE("resolver: whoever is cancelled leaves, and the others get their answer") {
  world w;
  gate closed;
  w.server.set("app.test", {dns_address("192.0.2.1", 10)});
  hold_answers(w, closed);
  proxy::cancellation cancel;
  bool left = false;
  proxy::start(
      w.context, w.look("app.test", 0ms),
      [&](const std::exception_ptr&, const answer&) { left = true; }, &cancel);
  answer other;
  proxy::start(w.context, w.look("app.test", 0ms), [&](const std::exception_ptr&, answer one) {
    other = std::move(one);
    w.context.stop();
  });
  w.context.poll();
  cancel.emit();
  w.context.poll();
  CHECK(left);
  closed.open();
  w.context.run();
  CHECK(other == answer{found, {"192.0.2.1"}});
}

TEST_CASE("resolver: when it stops, the loop runs out of its work and nobody waits any more") {
  world w;
  w.server.play([](const dns_question&) { return std::nullopt; });
  answer seen{found, {}};
  proxy::start(w.context, w.look("app.test", 0ms),
               [&](const std::exception_ptr&, answer one) { seen = std::move(one); });
  w.context.poll();
  REQUIRE(w.server.wait_asked("app.test", 2));
  w.names->stop();
  w.context.run();
  CHECK(seen == answer{failed, {}});
  w.context.restart();
  CHECK(w.find("other.test", 0ms).status == failed);
  CHECK(w.counted.lookups.value() == 1);
}

TEST_CASE("resolver: it may go while something is asked") {
  world w;
  w.server.play([](const dns_question&) { return std::nullopt; });
  proxy::start(w.context, w.look("app.test", 0ms), [](const std::exception_ptr&, const answer&) {});
  w.context.poll();
  REQUIRE(w.server.wait_asked("app.test", 2));
  w.names.reset();
  w.context.poll();
}

TEST_CASE("resolver: an answer that is too large for UDP comes over TCP; 64 addresses are kept") {
  world w;
  std::vector<test::dns_record> many;
  for (int i = 0; i < 40; ++i) many.push_back(dns_address("192.0.2." + std::to_string(i), 10));
  w.server.set("many.test", many);
  CHECK(w.find("many.test").what.size() == 40);
  for (int i = 0; i < 1000; ++i)
    many.push_back(
        dns_address("198.18." + std::to_string(i / 250) + '.' + std::to_string(i % 250), 10));
  w.server.set("more.test", many);
  const auto seen = w.find("more.test");
  CHECK(seen.status == found);
  CHECK(seen.what.size() == 64);
  bool by_tcp = false;
  for (const auto& one : w.server.questions()) by_tcp = by_tcp || one.tcp;
  CHECK(by_tcp);
}

TEST_CASE("resolver: hostile answers are no addresses") {
  struct play {
    std::string name;
    test::dns_peer::script script;
  };
  const auto with = [](std::vector<test::dns_record> records) {
    return [records](const dns_question& one) { return test::dns_reply(one, records); };
  };
  const auto alias = [](std::string_view from, std::string_view to) {
    return test::dns_record{cname, 10, test::dns_name(to), test::dns_name(from)};
  };
  const std::vector<play> plays{
      {"nothing", [](const dns_question&) { return std::string(); }},
      {"one byte", [](const dns_question&) { return std::string(1, '\0'); }},
      {"only an id", [](const dns_question& one) { return one.id; }},
      {"noise", [](const dns_question& one) { return one.id + std::string(500, '\xff'); }},
      {"the question", [](const dns_question& one) { return test::dns_reply(one, {}, 0x0100); }},
      {"records that are missing",
       [](const dns_question& one) {
         auto text = test::dns_reply(one, {});
         text[6] = text[7] = '\xff';
         return text;
       }},
      {"a record that is cut",
       [](const dns_question& one) {
         const auto text = test::dns_reply(one, {dns_address("192.0.2.1", 10)});
         return text.substr(0, text.size() - 2);
       }},
      {"an address of three bytes", with({{a, 10, "abc"}, {aaaa, 10, "abc"}})},
      {"a name that points to itself", with({{a, 10, "abcd", "\xc0\x1b"}})},
      {"names that point forwards", with({{a, 10, "abcd", "\xc0\xff"}})},
      {"an alias of itself", with({alias("app.test", "app.test")})},
      {"aliases in a circle",
       with({alias("app.test", "b.test"), alias("b.test", "app.test"), alias("b.test", "b.test")})},
      {"the answer to another question",
       [](dns_question one) {
         one.asked = test::dns_name("other.test") + one.asked.substr(one.asked.size() - 4);
         return test::dns_reply(one, {});
       }},
      {"a refusal", [](const dns_question& one) { return test::dns_reply(one, {}, 0x8185); }},
      {"a server that is broken",
       [](const dns_question& one) { return test::dns_reply(one, {}, test::dns_peer::broken); }},
      {"truncated for ever",
       [](const dns_question& one) { return test::dns_reply(one, {}, test::dns_peer::truncated); }},
  };
  for (const auto& one : plays) {
    INFO(one.name);
    world w(20ms);
    w.server.play(one.script);
    CHECK(w.find("app.test", 0ms) == answer{failed, {}});
    CHECK(w.find_service("_icap._tcp.app.test") == answer{failed, {}});
    // It goes on with a server that has come to its senses.
    the_time += 1s;
    w.server.play(nullptr);
    w.server.set("app.test", {dns_address("192.0.2.1", 10)});
    CHECK(w.find("app.test", 0ms) == answer{found, {"192.0.2.1"}});
  }
}

TEST_CASE("resolver: a service's hosts come by priority, and by chance within one") {
  world w;
  const std::string name = "_icap._tcp.scan.test";
  w.server.set(name, {test::dns_service(20, 0, 3, "three.test", 10),
                      test::dns_service(10, 50, 1, "One.test", 10),
                      test::dns_service(10, 50, 2, "two.test", 10)});
  int first = 0;
  for (int i = 0; i < 100; ++i) {
    auto seen = w.find_service(name);
    REQUIRE(seen.what.size() == 3);
    CHECK(seen.what.back() == "three.test:3");
    first += seen.what.front() == "one.test:1" ? 1 : 0;
  }
  // 2^-100 that a good one fails here.
  CHECK(first > 0);
  CHECK(first < 100);
  CHECK(w.counted.lookups.value() == 1);
  the_time += 10s;
  w.server.forget(name);
  CHECK(w.find_service(name).what.size() == 3);
  CHECK(w.counted.failures.value() == 1);
}

TEST_CASE("resolver: a service that is not offered, or nowhere") {
  world w;
  w.server.set("_none._tcp.test", {test::dns_service(0, 0, 0, "", 10)});
  CHECK(w.find_service("_none._tcp.test") == answer{failed, {}});
  w.server.set("_zero._tcp.test", {test::dns_service(0, 0, 0, "a.test", 10)});
  CHECK(w.find_service("_zero._tcp.test") == answer{failed, {}});
  CHECK(w.find_service("_nobody._tcp.test") == answer{failed, {}});
}

TEST_CASE("resolver: the hosts file needs no server") {
  std::string name;
  std::ifstream hosts("/etc/hosts");
  for (std::string line; name.empty() && std::getline(hosts, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address;
    words >> address >> name;
  }
  INFO("a name of /etc/hosts: " << name);
  REQUIRE(!name.empty());
  world w;
  CHECK(w.find(name).status == found);
  CHECK(w.server.questions().empty());
}

TEST_CASE("resolver: a change of resolv.conf counts from the next look-up on") {
  world w;
  w.server.set("app.one.test", {dns_address("192.0.2.1", 1)});
  w.server.set("app.two.test", {dns_address("192.0.2.2", 1)});
  CHECK(w.find("app") == answer{found, {"192.0.2.1"}});
  write_file(w.resolv_conf(), "search two.test\noptions ndots:1\n");
  CHECK(w.find("app") == answer{found, {"192.0.2.1"}});
  the_time += 1s;
  CHECK(w.find("app") == answer{found, {"192.0.2.2"}});
}

TEST_CASE("resolver: of more names than it keeps, those go that nobody wants") {
  world w;
  w.server.set("kept.test", {dns_address("192.0.2.1", 30)});
  w.find("kept.test");
  for (std::size_t i = 0; i < proxy::resolver::most_names + 10; ++i) {
    const auto name = "n" + std::to_string(i) + ".test";
    w.server.set(name, {dns_address("192.0.2.2", 30)});
    the_time += 1ms;
    if (w.find(name).status != found) FAIL(name);
    w.find("kept.test");
  }
  CHECK(w.server.asked("kept.test", a) == 1);
  w.find("n0.test");
  CHECK(w.server.asked("n0.test", a) == 2);
}

TEST_CASE("addresses in turn: each of the first one's family is first once, the others stay last") {
  const auto list = [](std::initializer_list<const char*> texts) {
    std::vector<asio::ip::address> out;
    for (const auto* one : texts) out.push_back(asio::ip::make_address(one));
    return out;
  };
  const auto all = list({"192.0.2.2", "192.0.2.1", "192.0.2.3", "2001:db8::2", "2001:db8::1"});
  CHECK(in_turn(all, 0) ==
        list({"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::1"}));
  CHECK(in_turn(all, 1) ==
        list({"192.0.2.2", "192.0.2.3", "192.0.2.1", "2001:db8::2", "2001:db8::1"}));
  CHECK(in_turn(all, 5).front() == asio::ip::make_address("192.0.2.3"));
  CHECK(in_turn({}, 7).empty());
}
