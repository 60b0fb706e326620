#include "proxy/spool_budget.hpp"

#include "proxy/body_spool.hpp"

#include "catch.hpp"

#include <atomic>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace icapgate;
using proxy::block;
using proxy::spool_budget;

namespace {

constexpr std::uint64_t no_least = 1;

}  // namespace

TEST_CASE("budget: memory is lent in whole blocks, to the last one") {
  for (const std::size_t spare : {std::size_t{0}, std::size_t{1}, block::size - 1}) {
    CAPTURE(spare);
    spool_budget budget(3 * block::size + spare, 0);
    CHECK(budget.memory_limit() == 3 * block::size + spare);
    CHECK(budget.take_blocks(2) == 2);
    CHECK(budget.memory_used() == 2 * block::size);
    CHECK(budget.take_blocks(2) == 1);
    CHECK(budget.take_blocks(1) == 0);
    CHECK(budget.memory_used() == 3 * block::size);
    budget.give_blocks(1);
    CHECK(budget.take_blocks(0) == 0);
    CHECK(budget.take_blocks(4) == 1);
    budget.give_blocks(3);
    CHECK(budget.memory_used() == 0);
  }
  spool_budget too_small(block::size - 1, 0);
  CHECK(too_small.take_blocks(1) == 0);
}

TEST_CASE("budget: disk is lent to the last byte") {
  spool_budget budget(0, 1000);
  CHECK(budget.disk_limit() == 1000);
  CHECK(budget.take_disk(1001, 1001) == 0);
  CHECK(budget.disk_used() == 0);
  CHECK(budget.take_disk(1000, 1000) == 1000);
  CHECK(budget.take_disk(1) == 0);
  budget.give_disk(1);
  CHECK(budget.take_disk(2, 2) == 0);
  CHECK(budget.take_disk(2, no_least) == 1);
  budget.give_disk(1000);
  CHECK(budget.take_disk(999, 999) == 999);
  CHECK(budget.take_disk(~std::uint64_t{0}, 2) == 0);
  CHECK(budget.take_disk(~std::uint64_t{0}) == 1);
  CHECK(budget.disk_used() == 1000);
}

TEST_CASE("budget: nothing is lent where the limits are zero") {
  spool_budget budget(0, 0);
  CHECK(budget.take_blocks(1) == 0);
  CHECK(budget.take_disk(1) == 0);
  CHECK(budget.take_disk(0, 0) == 0);
}

TEST_CASE("budget: waits and refusals are counted") {
  spool_budget budget(0, 0);
  CHECK(budget.waits() == 0);
  CHECK(budget.refusals() == 0);
  budget.count_wait();
  budget.count_wait();
  budget.count_refusal();
  CHECK(budget.waits() == 2);
  CHECK(budget.refusals() == 1);
}

TEST_CASE("budget: threads that take and give never lend too much and leave nothing behind") {
  constexpr std::size_t block_limit = 20;
  constexpr std::uint64_t disk_limit = 5000;
  spool_budget budget(block_limit * block::size, disk_limit);
  std::atomic<std::size_t> blocks_out{0};
  std::atomic<std::uint64_t> disk_out{0};
  std::atomic<unsigned> too_many{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 20000; ++i) {
        const auto blocks = budget.take_blocks(random() % 12);
        const auto least = random() % 3000;
        const auto disk = budget.take_disk(least + random() % 1000, least);
        // Counted behind the taking and before the giving: never more than is really lent.
        if (blocks_out.fetch_add(blocks) + blocks > block_limit) ++too_many;
        if (disk_out.fetch_add(disk) + disk > disk_limit) ++too_many;
        if (disk != 0 && disk < least) ++too_many;
        if (budget.disk_used() > disk_limit) ++too_many;
        budget.count_wait();
        blocks_out -= blocks;
        disk_out -= disk;
        budget.give_blocks(blocks);
        budget.give_disk(disk);
      }
    });
  for (auto& t : threads) t.join();
  CHECK(too_many == 0);
  CHECK(budget.memory_used() == 0);
  CHECK(budget.disk_used() == 0);
  CHECK(budget.waits() == 80000);
  CHECK(budget.take_blocks(block_limit) == block_limit);
  CHECK(budget.take_disk(disk_limit, disk_limit) == disk_limit);
}

TEST_CASE("budget: workers that spool at once share it and leave nothing behind") {
  const auto place = std::filesystem::temp_directory_path().string();
  spool_budget budget(8 * block::size, 600000);
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> whole{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      proxy::block_pool blocks;
      proxy::body_spool spool(blocks, budget, 4 * block::size, place);
      for (int i = 0; i < 200; ++i) {
        const std::string bytes(random() % 400000, static_cast<char>('a' + seed));
        const bool reserved = i % 2 == 0 && spool.reserve(bytes.size());
        const auto status = spool.append(bytes);
        if (status == proxy::spool_status::failed) ++wrong;
        if (reserved && status != proxy::spool_status::ok) ++wrong;
        if (status == proxy::spool_status::ok && spool.size() != bytes.size()) ++wrong;
        if (status == proxy::spool_status::ok) ++whole;
        if (i % 3 == 0) spool.finish();
        spool.clear();
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(whole > 0);
  CHECK(budget.memory_used() == 0);
  CHECK(budget.disk_used() == 0);
}
