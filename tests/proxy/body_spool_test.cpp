#include "proxy/body_spool.hpp"

#include "catch.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace asio = boost::asio;
using namespace icapgate;
using proxy::block;
using proxy::body_spool;
using proxy::spool_budget;
using proxy::spool_status;

namespace {

// A folder of its own that must be empty at the end.
class folder {
 public:
  folder() {
    auto name = (std::filesystem::temp_directory_path() / "icapgate-spool-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~folder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  bool is_empty() const { return std::filesystem::is_empty(path_); }

 private:
  std::string path_;
};

// Room for any body, and a folder for its file.
struct means {
  body_spool spool(std::size_t memory) { return {blocks, budget, memory, place.path()}; }

  const folder place;
  proxy::block_pool blocks;
  spool_budget budget{64 << 20, 1 << 30};
};

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::string content(const proxy::const_buffers& views) {
  std::string bytes;
  for (const auto& v : views) bytes.append(static_cast<const char*>(v.data()), v.size());
  return bytes;
}

std::string whole(const body_spool& spool) {
  body_spool::reader reader(spool);
  std::string bytes;
  while (bytes.size() < spool.size()) {
    proxy::const_buffers views;
    REQUIRE(reader.view(bytes.size(), spool.size(), views));
    REQUIRE_FALSE(views.empty());
    bytes += content(views);
  }
  return bytes;
}

// What the file holds, read past the spool.
std::string file_content(const body_spool& spool) {
  std::string bytes(spool.size() - spool.file_begin(), '\0');
  const auto n = ::pread(spool.file(), bytes.data(), bytes.size(), 0);
  REQUIRE(n == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

void check_unused(const spool_budget& budget) {
  CHECK(budget.memory_used() == 0);
  CHECK(budget.disk_used() == 0);
}

// Files of this process may not grow beyond some bytes, as on a disk that is full there.
class file_size_limit {
 public:
  explicit file_size_limit(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    auto limited = before_;
    limited.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
  }
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;

 private:
  void (*signal_)(int);
  rlimit before_{};
};

// As a reader of a socket would do it: some of the room is filled.
void write_in_place(body_spool& spool, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = spool.prepare();
    REQUIRE(room.bytes() > 0);
    const auto n = asio::buffer_copy(room, asio::buffer(bytes.substr(0, 30001)));
    REQUIRE(spool.commit(n) == spool_status::ok);
    bytes.remove_prefix(n);
  }
}

// A block as it comes with a message's head: `lead` bytes of that, and behind them `first`.
block with_head(proxy::block_pool& blocks, std::size_t lead, std::string_view first) {
  auto made = blocks.acquire();
  std::fill_n(made.data(), lead, 'h');
  std::copy(first.begin(), first.end(), made.data() + lead);
  return made;
}

bool adopt(body_spool& spool, block& memory, std::size_t lead, std::size_t size) {
  return spool.adopt(memory, {memory.data() + lead, size});
}

void check_views(const body_spool& spool, const std::string& expected, std::mt19937& random) {
  body_spool::reader reader(spool);
  for (int i = 0; i < 40; ++i) {
    const auto offset = random() % (expected.size() + 1);
    const auto max = i % 4 == 0 ? random() % 10 : random() % 300000;
    CAPTURE(offset, max);
    proxy::const_buffers views;
    views.push(std::string_view("before"));
    REQUIRE(reader.view(offset, max, views));
    const auto got = content(views).substr(6);
    CHECK(got.empty() == (max == 0 || offset == expected.size()));
    CHECK(got.size() <= max);
    CHECK(expected.compare(offset, got.size(), got) == 0);
  }
}

}  // namespace

TEST_CASE("spool: what was written is read back, across every kind of limit") {
  means with;
  std::mt19937 random(1);
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, block::size - 1, block::size,
                                  block::size + 1, 3 * block::size + 5, std::size_t{1} << 20}) {
    CAPTURE(limit);
    auto spool = with.spool(limit);
    std::string expected;
    for (int i = 0; i < 12; ++i) {
      const auto bytes = random_bytes(random, 1 + random() % 200000);
      expected += bytes;
      if (i % 2 == 0)
        REQUIRE(spool.append(bytes) == spool_status::ok);
      else
        write_in_place(spool, bytes);
      REQUIRE(spool.size() == expected.size());
      CHECK(spool.file_begin() == std::min<std::size_t>(limit, expected.size()));
      check_views(spool, expected, random);
    }
    CHECK(whole(spool) == expected);
    CHECK(with.place.is_empty());
  }
}

TEST_CASE("spool: the file holds exactly what is behind the memory") {
  means with;
  std::mt19937 random(2);
  auto spool = with.spool(1000);
  const auto bytes = random_bytes(random, 50000);
  REQUIRE(spool.append(bytes) == spool_status::ok);
  REQUIRE(spool.file() >= 0);
  REQUIRE(spool.file_begin() == 1000);
  std::string tail(60000, '\0');
  const auto n = ::pread(spool.file(), tail.data(), tail.size(), 0);
  CHECK(n == 49000);
  CHECK(tail.substr(0, 49000) == bytes.substr(1000));
}

TEST_CASE("spool: a body that just fits makes no file") {
  means with;
  auto spool = with.spool(1000);
  REQUIRE(spool.append(std::string(1000, 'x')) == spool_status::ok);
  CHECK(spool.file() < 0);
  CHECK(spool.file_begin() == 1000);
  REQUIRE(spool.append("y") == spool_status::ok);
  CHECK(spool.file() >= 0);
  CHECK(whole(spool) == std::string(1000, 'x') + "y");
}

TEST_CASE("spool: one that was cleared is as good as a new one, and its file is closed") {
  means with;
  auto spool = with.spool(10);
  for (const char c : {'a', 'b', 'c'}) {
    CHECK(spool.size() == 0);
    REQUIRE(spool.append(std::string(100, c)) == spool_status::ok);
    CHECK(whole(spool) == std::string(100, c));
    const int file = spool.file();
    spool.clear();
    CHECK(spool.file() < 0);
    CHECK(::lseek(file, 0, SEEK_CUR) < 0);
  }
}

TEST_CASE("spool: a small body takes one block") {
  means with;
  auto spool = with.spool(1 << 20);
  REQUIRE(spool.append("small") == spool_status::ok);
  body_spool::reader reader(spool);
  proxy::const_buffers views;
  REQUIRE(reader.view(0, 100, views));
  CHECK(content(views) == "small");
  CHECK(std::distance(views.begin(), views.end()) == 1);
}

TEST_CASE("spool: a folder that can't be written to fails the write and loses nothing before it") {
  const folder place;
  // A name behind a plain file can be made by nobody, not even by root.
  const std::string impossible = "/proc/self/status/x";
  proxy::block_pool blocks;
  spool_budget budget(64 << 20, 1 << 30);
  body_spool spool(blocks, budget, 5, impossible);
  REQUIRE(spool.append("12345") == spool_status::ok);
  CHECK(spool.append("6") == spool_status::failed);
  CHECK(spool.append("6") == spool_status::failed);
  CHECK(spool.error());
  CHECK(spool.size() == 5);
  CHECK(whole(spool) == "12345");
  body_spool none(blocks, budget, 0, impossible);
  CHECK(none.append("1") == spool_status::failed);
  CHECK(none.size() == 0);
}

TEST_CASE("spool: a missing folder fails the write and says why") {
  const folder place;
  const auto missing = place.path() + "/missing";
  proxy::block_pool blocks;
  spool_budget budget(64 << 20, 1 << 30);
  body_spool spool(blocks, budget, 0, missing);
  CHECK(spool.append("1") == spool_status::failed);
  CHECK(spool.trouble() == spool_status::failed);
  CHECK(spool.error() == std::errc::no_such_file_or_directory);
  CHECK(explain(spool.trouble()) == errc::spool_failed);
  spool.clear();
  CHECK_FALSE(spool.error());
  check_unused(budget);
}

TEST_CASE("spool: a read-only folder fails the write and says why") {
  // Of the kernel's: not even root makes a file there.
  const std::string read_only = "/proc/self";
  proxy::block_pool blocks;
  spool_budget budget(64 << 20, 1 << 30);
  {
    body_spool spool(blocks, budget, 3, read_only);
    CHECK(spool.append("1234") == spool_status::failed);
    CHECK(spool.error());
    CHECK(whole(spool) == "123");
  }
  check_unused(budget);
}

TEST_CASE("spool: a file that can't grow fails the write, says why and keeps what it holds") {
  means with;
  std::mt19937 random(3);
  const auto bytes = random_bytes(random, 300000);
  {
    auto spool = with.spool(100);
    REQUIRE(spool.append(bytes.substr(0, 200000)) == spool_status::ok);
    {
      const file_size_limit limit(200000);
      CHECK(spool.append(bytes.substr(200000)) == spool_status::failed);
      CHECK(spool.error() == std::errc::file_too_large);
      CHECK(spool.size() == 200000);
    }
    CHECK(whole(spool) == bytes.substr(0, 200000));
    // Half of what failed may stand in the file: it is written over.
    REQUIRE(spool.append(bytes.substr(200000)) == spool_status::ok);
    CHECK(whole(spool) == bytes);
  }
  check_unused(with.budget);
}

TEST_CASE("spool: a file that was cut is an error of its reader") {
  means with;
  auto spool = with.spool(10);
  REQUIRE(spool.append(std::string(1000, 'x')) == spool_status::ok);
  REQUIRE(::ftruncate(spool.file(), 500) == 0);
  body_spool::reader reader(spool);
  proxy::const_buffers views;
  CHECK_FALSE(reader.view(10, 990, views));
  CHECK(reader.error());
  views = {};
  CHECK(reader.view(10, 500, views));
  CHECK(content(views) == std::string(500, 'x'));
}

TEST_CASE("spool: when the process has no more memory, the body goes on in its file") {
  const folder place;
  std::mt19937 random(4);
  for (const std::size_t limit : {block::size, block::size + 100, 3 * block::size - 1,
                                  3 * block::size, 3 * block::size + 1, 10 * block::size}) {
    for (const std::size_t shared : {std::size_t{0}, std::size_t{1}, std::size_t{3}}) {
      CAPTURE(limit, shared);
      const auto border = std::min(limit, shared * block::size);
      const auto bytes = random_bytes(random, 12 * block::size + 77);
      proxy::block_pool blocks;
      spool_budget budget(shared * block::size + block::size - 1, 1 << 30);
      {
        body_spool spool(blocks, budget, limit, place.path());
        write_in_place(spool, std::string_view(bytes).substr(0, border));
        CHECK(spool.file() < 0);
        CHECK(spool.file_begin() == border);
        REQUIRE(spool.append(std::string_view(bytes).substr(border, 1)) == spool_status::ok);
        CHECK(spool.file() >= 0);
        CHECK(spool.file_begin() == border);
        write_in_place(spool, std::string_view(bytes).substr(border + 1));
        CHECK(spool.file_begin() == border);
        CHECK(budget.memory_used() == (border + block::size - 1) / block::size * block::size);
        CHECK(file_content(spool) == bytes.substr(border));
        CHECK(whole(spool) == bytes);
        check_views(spool, bytes, random);
      }
      check_unused(budget);
    }
  }
}

TEST_CASE("spool: memory that others give back is not used behind the beginning of the file") {
  const folder place;
  proxy::block_pool blocks;
  spool_budget budget(block::size, 1 << 20);
  body_spool first(blocks, budget, 1 << 20, place.path());
  body_spool second(blocks, budget, 1 << 20, place.path());
  REQUIRE(first.append("a") == spool_status::ok);
  REQUIRE(second.append("b") == spool_status::ok);
  REQUIRE(second.file_begin() == 0);
  first.clear();
  REQUIRE(second.append("c") == spool_status::ok);
  CHECK(second.file_begin() == 0);
  CHECK(budget.memory_used() == 0);
  CHECK(whole(second) == "bc");
}

TEST_CASE("spool: memory and disk are used to the last byte, and full loses none") {
  const folder place;
  std::mt19937 random(5);
  for (const std::uint64_t disk : {0, 1, 1000, 131071, 131072, 131073, 3000000}) {
    CAPTURE(disk);
    const auto most = 2 * block::size + disk;
    const auto bytes = random_bytes(random, most + 5000);
    proxy::block_pool blocks;
    spool_budget budget(2 * block::size, disk);
    body_spool spool(blocks, budget, 1 << 20, place.path());
    CHECK_FALSE(spool.never_holds(most));
    CHECK(spool.never_holds(most + 1));
    REQUIRE(spool.append(std::string_view(bytes).substr(0, most)) == spool_status::ok);
    CHECK(spool.size() == most);
    CHECK((spool.file() >= 0) == (disk > 0));
    CHECK(budget.disk_used() == disk);
    CHECK(spool.append("x") == spool_status::full);
    CHECK(spool.prepare().empty());
    CHECK(spool.trouble() == spool_status::full);
    CHECK(explain(spool.trouble()) == errc::spool_full);
    CHECK(spool.size() == most);
    CHECK(whole(spool) == bytes.substr(0, most));
    spool.clear();
    check_unused(budget);
    // What does not fit in one piece is taken as far as it goes.
    CHECK(spool.append(bytes) == spool_status::full);
    CHECK(spool.size() == most);
    CHECK(whole(spool) == bytes.substr(0, most));
  }
}

TEST_CASE("spool: a full one goes on when another was cleared") {
  const folder place;
  std::mt19937 random(6);
  const auto bytes = random_bytes(random, 300000);
  proxy::block_pool blocks;
  spool_budget budget(4 * block::size, 300000);
  body_spool other(blocks, budget, 1 << 20, place.path());
  REQUIRE(other.append(random_bytes(random, 4 * block::size + 200000)) == spool_status::ok);
  other.finish();
  body_spool spool(blocks, budget, 1 << 20, place.path());
  CHECK(spool.append(bytes) == spool_status::full);
  const auto taken = spool.size();
  CHECK(taken == 100000);
  CHECK(spool.append("x") == spool_status::full);
  other.clear();
  CHECK(spool.append(std::string_view(bytes).substr(taken)) == spool_status::ok);
  CHECK(spool.trouble() == spool_status::ok);
  CHECK(whole(spool) == bytes);
}

TEST_CASE("spool: without any disk the memory is all, and no folder is needed") {
  const std::string nowhere = "/nonexistent";
  proxy::block_pool blocks;
  spool_budget budget(block::size, 0);
  body_spool spool(blocks, budget, 1 << 20, nowhere);
  REQUIRE(spool.append(std::string(block::size, 'x')) == spool_status::ok);
  CHECK(spool.append("y") == spool_status::full);
  CHECK(spool.file() < 0);
  CHECK(whole(spool) == std::string(block::size, 'x'));
}

TEST_CASE("spool: room that was not filled goes back") {
  const folder place;
  proxy::block_pool blocks;
  spool_budget budget(10 * block::size, 1 << 20);
  body_spool spool(blocks, budget, 1 << 20, place.path());
  CHECK_FALSE(spool.prepare().empty());
  CHECK(spool.commit(0) == spool_status::ok);
  check_unused(budget);
  write_in_place(spool, "some bytes");
  spool.finish();
  CHECK(budget.memory_used() == block::size);

  spool_budget disk_only(0, 1 << 20);
  body_spool filed(blocks, disk_only, 1 << 20, place.path());
  CHECK_FALSE(filed.prepare().empty());
  CHECK(filed.commit(0) == spool_status::ok);
  CHECK(filed.file() < 0);
  write_in_place(filed, "some bytes");
  filed.finish();
  CHECK(disk_only.disk_used() == 10);
  REQUIRE(filed.append("more") == spool_status::ok);
  filed.finish();
  CHECK(disk_only.disk_used() == 14);
  filed.clear();
  check_unused(disk_only);
}

TEST_CASE("spool: what carries bytes to and from the file is there only while it is used") {
  const folder place;
  proxy::block_pool blocks;
  spool_budget budget(0, 1 << 20);
  body_spool spool(blocks, budget, 0, place.path());
  std::set<const void*> lent;
  const auto room = spool.prepare();
  for (const auto& b : room) lent.insert(b.data());
  CHECK(lent.size() == 8);
  REQUIRE(spool.commit(asio::buffer_copy(room, asio::buffer(std::string(100000, 'x')))) ==
          spool_status::ok);
  body_spool::reader reader(spool);
  proxy::const_buffers views;
  REQUIRE(reader.view(0, 100000, views));
  CHECK(views.bytes() == 4 * block::size);
  reader.release();
  // The pool lends what came back before it makes more.
  std::vector<block> again;
  for (int i = 0; i < 8; ++i) again.push_back(blocks.acquire());
  std::set<const void*> lent_again;
  for (const auto& b : again) lent_again.insert(b.data());
  CHECK(lent == lent_again);
}

TEST_CASE("spool: a reservation is exact, all or nothing, and goes back") {
  const folder place;
  std::mt19937 random(7);
  proxy::block_pool blocks;
  spool_budget budget(2 * block::size, 1000000);
  const std::uint64_t most = 2 * block::size + 1000000;
  body_spool spool(blocks, budget, 1 << 20, place.path());
  CHECK_FALSE(spool.reserve(most + 1));
  CHECK_FALSE(spool.reserve(~std::uint64_t{0}));
  check_unused(budget);
  REQUIRE(spool.reserve(most));
  CHECK(budget.memory_used() == 2 * block::size);
  CHECK(budget.disk_used() == 1000000);
  CHECK(spool.reserve(most));
  CHECK(budget.disk_used() == 1000000);

  body_spool other(blocks, budget, 1 << 20, place.path());
  CHECK(other.append("x") == spool_status::full);
  CHECK_FALSE(other.reserve(1));
  const auto bytes = random_bytes(random, most);
  write_in_place(spool, bytes);
  CHECK(budget.disk_used() == 1000000);
  CHECK(whole(spool) == bytes);
  CHECK(spool.append("x") == spool_status::full);
  spool.clear();
  check_unused(budget);

  REQUIRE(spool.reserve(most));
  write_in_place(spool, "short");
  spool.finish();
  CHECK(budget.memory_used() == block::size);
  CHECK(budget.disk_used() == 0);
}

TEST_CASE("spool: a body of known size is offered no more room than that") {
  means any;
  auto spool = any.spool(1 << 20);
  spool.expect(1000);
  CHECK(spool.prepare().bytes() == 1000);
  CHECK(any.budget.memory_used() == proxy::block::size);
  spool.commit(600);
  CHECK(spool.prepare().bytes() == 400);
  spool.commit(400);
  spool.finish();
  CHECK(spool.size() == 1000);
  CHECK(any.budget.memory_used() == proxy::block::size);
}

TEST_CASE("spool: what is reserved stays reserved while the body comes in pieces") {
  const folder place;
  std::mt19937 random(8);
  proxy::block_pool blocks;
  spool_budget budget(6 * block::size, 500000);
  body_spool first(blocks, budget, 2 * block::size + 9, place.path());
  body_spool greedy(blocks, budget, 1 << 20, place.path());
  const auto bytes = random_bytes(random, 400000);
  REQUIRE(first.reserve(bytes.size()));
  const auto memory = budget.memory_used();
  CHECK(memory == 3 * block::size);
  CHECK(budget.disk_used() == 400000 - (2 * block::size + 9));
  while (greedy.append(std::string(1000, 'g')) == spool_status::ok) {
  }
  CHECK(greedy.trouble() == spool_status::full);
  for (std::size_t at = 0; at < bytes.size(); at += 777) {
    write_in_place(first, std::string_view(bytes).substr(at, 777));
    // As after a read that found nothing.
    first.prepare();
    REQUIRE(first.commit(0) == spool_status::ok);
    REQUIRE(budget.take_blocks(1) == 0);
    REQUIRE(budget.take_disk(1) == 0);
  }
  CHECK(whole(first) == bytes);
  CHECK(first.file_begin() == 2 * block::size + 9);
  CHECK(budget.memory_used() == 6 * block::size);
  CHECK(budget.disk_used() == 500000);
  first.clear();
  greedy.clear();
  check_unused(budget);
}

TEST_CASE("spool: a reservation made in the middle of a body covers the rest") {
  const folder place;
  proxy::block_pool blocks;
  spool_budget budget(0, 300000);
  body_spool spool(blocks, budget, 1 << 20, place.path());
  REQUIRE(spool.append(std::string(100, 'x')) == spool_status::ok);
  spool.finish();
  CHECK_FALSE(spool.reserve(300001));
  CHECK(budget.disk_used() == 100);
  REQUIRE(spool.reserve(300000));
  CHECK(budget.disk_used() == 300000);
  CHECK(spool.reserve(50));
  REQUIRE(spool.append(std::string(299900, 'x')) == spool_status::ok);
  CHECK(whole(spool) == std::string(300000, 'x'));
}

TEST_CASE("spool: the first bytes may come in a block behind something else") {
  const folder place;
  std::mt19937 random(9);
  for (const std::size_t more : {std::size_t{0}, std::size_t{1}, block::size, 6 * block::size + 77})
    for (const std::size_t lead : {std::size_t{1}, std::size_t{300}, block::size - 1})
      for (const std::size_t first :
           {std::size_t{1}, (block::size - lead + 1) / 2, block::size - lead}) {
        CAPTURE(more, lead, first);
        proxy::block_pool blocks;
        spool_budget budget(8 * block::size, 0);
        const auto bytes = random_bytes(random, first + more);
        {
          body_spool spool(blocks, budget, 10 * block::size, place.path());
          auto memory = with_head(blocks, lead, std::string_view(bytes).substr(0, first));
          const char* head = memory.data();
          spool.expect(bytes.size());
          REQUIRE(adopt(spool, memory, lead, first));
          CHECK_FALSE(memory);
          CHECK(whole(spool) == bytes.substr(0, first));
          write_in_place(spool, std::string_view(bytes).substr(first));
          spool.finish();
          CHECK(whole(spool) == bytes);
          CHECK(budget.memory_used() ==
                (lead + bytes.size() + block::size - 1) / block::size * block::size);
          check_views(spool, bytes, random);
          spool.clear();
          check_unused(budget);
          CHECK(std::string(head, lead) == std::string(lead, 'h'));
          write_in_place(spool, "another");
          CHECK(whole(spool) == "another");
        }
        check_unused(budget);
      }
}

TEST_CASE("spool: a block is adopted only where all of the body is sure to have room") {
  const folder place;
  const auto is_adopted = [&](std::size_t limit, std::size_t shared, std::size_t expected) {
    proxy::block_pool blocks;
    spool_budget budget(shared, 1 << 20);
    auto memory = with_head(blocks, 10, std::string(100, 'b'));
    {
      body_spool spool(blocks, budget, limit, place.path());
      if (expected > 0) spool.expect(expected);
      const bool taken = adopt(spool, memory, 10, 100);
      CHECK(taken == !memory);
      CHECK(taken == (budget.memory_used() > 0));
      if (!taken) {
        write_in_place(spool, std::string(expected, 'x'));
        CHECK(spool.size() == expected);
      }
    }
    check_unused(budget);
    return !memory;
  };
  constexpr auto plenty = std::size_t{1} << 20;
  CHECK(is_adopted(plenty, plenty, 100));
  CHECK_FALSE(is_adopted(plenty, plenty, 0));
  CHECK_FALSE(is_adopted(99, plenty, 100));
  CHECK_FALSE(is_adopted(plenty, block::size - 1, 100));
  CHECK(is_adopted(plenty, block::size, block::size - 10));
  CHECK_FALSE(is_adopted(plenty, block::size, block::size - 9));
  CHECK(is_adopted(plenty, plenty, 16 * block::size));
  CHECK_FALSE(is_adopted(plenty, plenty, 16 * block::size + 1));
}

TEST_CASE("spool: readers at different places do each other no harm, nor does the writer") {
  means with;
  std::mt19937 random(9);
  const auto bytes = random_bytes(random, 20 * block::size);
  auto spool = with.spool(block::size + 5);
  REQUIRE(spool.append(std::string_view(bytes).substr(0, 10 * block::size)) == spool_status::ok);
  body_spool::reader near(spool);
  body_spool::reader far(spool);
  for (std::size_t at = 0; at < 5 * block::size; at += 5001) {
    proxy::const_buffers views;
    proxy::const_buffers others;
    REQUIRE(near.view(at, 5 * block::size - at, views));
    REQUIRE(far.view(at + 5 * block::size, 3000, others));
    REQUIRE(spool.append(std::string_view(bytes).substr(spool.size(), 7000)) == spool_status::ok);
    const auto here = content(views);
    CHECK(bytes.compare(at, here.size(), here) == 0);
    CHECK(content(others) == bytes.substr(at + 5 * block::size, 3000));
  }
}

TEST_CASE("spool: a reader of a spool that was cleared reads the next body") {
  means with;
  auto spool = with.spool(0);
  body_spool::reader reader(spool);
  for (const char c : {'a', 'b', 'c'}) {
    REQUIRE(spool.append(std::string(1000, c)) == spool_status::ok);
    proxy::const_buffers views;
    REQUIRE(reader.view(0, 1000, views));
    CHECK(content(views) == std::string(1000, c));
    spool.clear();
    proxy::const_buffers none;
    CHECK(reader.view(0, 1000, none));
    CHECK(none.empty());
  }
}

TEST_CASE("spool: what stands in memory can be viewed without a reader") {
  means with;
  auto spool = with.spool(5);
  REQUIRE(spool.append("memoryfile") == spool_status::ok);
  proxy::const_buffers views;
  CHECK(spool.view(1, 100, views));
  CHECK(content(views) == "emor");
  CHECK_FALSE(spool.view(5, 100, views));
}

TEST_CASE("spool: large bodies are compared in steps, between which others have their turn") {
  means with;
  const std::string bytes(64 * block::size, 'x');
  auto body = with.spool(block::size), other = with.spool(40 * block::size);
  REQUIRE(body.append(bytes) == spool_status::ok);
  REQUIRE(other.append(bytes) == spool_status::ok);
  body_spool::comparison both(body, other);
  int steps = 0;
  while (both.step()) ++steps;
  CHECK(both.begins_so());
  CHECK(steps >= 16);
}

TEST_CASE("spool: a beginning is told from other bytes, in memory and in files") {
  means with;
  std::mt19937 random(10);
  const auto bytes = random_bytes(random, 8 * block::size);
  auto body = with.spool(block::size + 3);
  REQUIRE(body.append(bytes) == spool_status::ok);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, 6 * block::size + 1, 8 * block::size}) {
    CAPTURE(length);
    auto other = with.spool(2 * block::size);
    REQUIRE(other.append(std::string_view(bytes).substr(0, length)) == spool_status::ok);
    CHECK(body.starts_with(other));
    REQUIRE(other.append(std::string(1, static_cast<char>(~bytes[length % bytes.size()]))) ==
            spool_status::ok);
    CHECK_FALSE(body.starts_with(other));
  }
}
