// Thousands of clients that do nothing, hundreds that do as little as they can, and others that
// must not notice.
//
// The plays tagged "large" are of real sizes and look at memory as well. They are run by name, on a
// release:
//   ICAPGATE_BINARY=build/release/icapgate build/dev/tests/e2e/e2e_tests "[large]"
#include "kit/stage.hpp"

#include "catch.hpp"

#include <sys/resource.h>

#include <sstream>

using namespace e2e;

namespace {

constexpr std::size_t allowed = 8 << 10;  // bytes for a connection that is idle

gate_settings roomy(const std::string& head_timeout = "5m") {
  return {
      .workers = 2,
      .config = "[client]\nkeep_alive = \"10m\"\ntimeout = { head = \"" + head_timeout + "\" }\n"};
}

// This process holds the other end of every connection.
void allow_descriptors(rlim_t count) {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur >= count) return;
  limit.rlim_cur = count;
  REQUIRE(limit.rlim_max >= count);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

std::size_t resident_bytes(pid_t id) {
  std::istringstream in(file_text("/proc/" + std::to_string(id) + "/status"));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) * 1024;
  }
  throw std::runtime_error("no VmRSS");
}

std::string target(int client) {
  return "/" + std::to_string(client);
}

std::string body_of(int client) {
  return noise(1000 + static_cast<std::size_t>(client), static_cast<unsigned>(client));
}

// What was wrong with the rounds of these clients, all at once, each on a connection of its own.
std::string play_busy(stage& on, int clients, int rounds) {
  std::vector<std::string> wrong(static_cast<std::size_t>(clients));
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    on.origin.when(target(i), {.body = body_of(i)});
    threads.emplace_back([&on, &text = wrong[static_cast<std::size_t>(i)], i, rounds] {
      try {
        auto client = on.client();
        for (int round = 0; round < rounds && text.empty(); ++round) {
          const auto got = client.get(target(i));
          if (got.status != 200) text = "status " + std::to_string(got.status);
          text += difference(got.body, body_of(i));
        }
      } catch (const std::exception& error) {
        text = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::string all;
  for (const auto& text : wrong) all += text;
  return all;
}

// Every other one has had a response and may send another request.
std::vector<http_client> idle_clients(stage& on, int count) {
  std::vector<http_client> idle;
  for (int i = 0; i < count; ++i) {
    idle.push_back(on.client());
    if (i % 2 == 0) continue;
    if (idle.back().get("/small").status != 200) throw std::runtime_error("no response");
  }
  return idle;
}

// Bytes that each idle client costs.
std::size_t play_idle(int idle_count, int busy, int rounds) {
  allow_descriptors(static_cast<rlim_t>(idle_count) + 4 * static_cast<rlim_t>(busy) + 1000);
  stage on(roomy());
  on.origin.when("/small", {.body = "small"});
  const auto empty = resident_bytes(on.icapgate.id());
  auto idle = idle_clients(on, idle_count);
  wait_until("all are connected",
             [&] { return metric(on, "client_connections") >= static_cast<double>(idle_count); });
  const auto full = resident_bytes(on.icapgate.id());
  CHECK(play_busy(on, busy, rounds) == "");
  int answered = 0;
  for (auto& client : idle) answered += client.get("/small").body == "small";
  CHECK(answered == idle_count);
  const auto each = (full - std::min(full, empty)) / static_cast<std::size_t>(idle_count);
  WARN(idle_count << " idle: " << each << " bytes each; resident " << (empty >> 10) << " KiB, then "
                  << (full >> 10) << ", at the end " << (resident_bytes(on.icapgate.id()) >> 10));
  return each;
}

// Heads that never end, a byte at a time, and others that are served meanwhile.
void play_slowloris(int slow, int busy, int rounds) {
  allow_descriptors(static_cast<rlim_t>(slow + 4 * busy + 1000));
  stage on(roomy("3s"));
  std::vector<connection> clients;
  for (int i = 0; i < slow; ++i) {
    clients.push_back(connection::to(on.icapgate.port()));
    clients.back().write("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  }
  std::atomic<bool> over = false;
  std::thread dripping([&] {
    while (!over) {
      for (auto& client : clients) {
        try {
          client.write("x");
        } catch (const std::exception&) {
          // The gateway has had enough of it.
        }
      }
      std::this_thread::sleep_for(50ms);
    }
  });
  CHECK(play_busy(on, busy, rounds) == "");
  over = true;
  dripping.join();
  int refused = 0;
  for (auto& client : clients) {
    try {
      refused += client.read_until("\r\n\r\n").starts_with("HTTP/1.1 408 ");
    } catch (const was_reset&) {
      ++refused;  // what it sent behind the answer
    }
  }
  CHECK(refused == slow);
}

}  // namespace

TEST_CASE("crowd: a thousand idle clients and fifty busy ones are all served") {
  // Far above what it is: with a sanitizer all is larger, and fewer share what is there anyway.
  CHECK(play_idle(1000, 50, 10) < 8 * allowed);
}

TEST_CASE("crowd: clients that send a byte at a time slow nobody down and are refused in time") {
  play_slowloris(100, 20, 10);
}

// --- real sizes

TEST_CASE("crowd: ten thousand idle clients cost little, and 200 busy ones are served",
          "[.][large]") {
  CHECK(play_idle(10'000, 200, 50) < allowed);
}

TEST_CASE("crowd: 500 clients that send a byte at a time", "[.][large]") {
  play_slowloris(500, 50, 100);
}
