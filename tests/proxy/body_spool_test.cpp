#include "proxy/body_spool.hpp"

#include "catch.hpp"

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include <unistd.h>

namespace asio = boost::asio;
using namespace icapgate;
using proxy::block;
using proxy::body_spool;

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

std::string whole(body_spool& spool) {
  std::string bytes;
  while (bytes.size() < spool.size()) {
    proxy::const_buffers views;
    REQUIRE(spool.view(bytes.size(), spool.size(), views));
    REQUIRE_FALSE(views.empty());
    bytes += content(views);
  }
  return bytes;
}

// As a reader of a socket would do it: some of the room is filled.
void write_in_place(body_spool& spool, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = spool.prepare();
    REQUIRE(room.bytes() > 0);
    const auto n = asio::buffer_copy(room, asio::buffer(bytes.substr(0, 30001)));
    REQUIRE(spool.commit(n));
    bytes.remove_prefix(n);
  }
}

void check_views(body_spool& spool, const std::string& expected, std::mt19937& random) {
  for (int i = 0; i < 40; ++i) {
    const auto offset = random() % (expected.size() + 1);
    const auto max = i % 4 == 0 ? random() % 10 : random() % 300000;
    CAPTURE(offset, max);
    proxy::const_buffers views;
    views.push(std::string_view("before"));
    REQUIRE(spool.view(offset, max, views));
    const auto got = content(views).substr(6);
    CHECK(got.empty() == (max == 0 || offset == expected.size()));
    CHECK(got.size() <= max);
    CHECK(expected.compare(offset, got.size(), got) == 0);
  }
}

}  // namespace

TEST_CASE("spool: what was written is read back, across every kind of limit") {
  const folder place;
  std::mt19937 random(1);
  proxy::block_pool blocks;
  for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, block::size - 1, block::size,
                                  block::size + 1, 3 * block::size + 5, std::size_t{1} << 20}) {
    CAPTURE(limit);
    body_spool spool(blocks, limit, place.path());
    std::string expected;
    for (int i = 0; i < 12; ++i) {
      const auto bytes = random_bytes(random, 1 + random() % 200000);
      expected += bytes;
      if (i % 2 == 0)
        REQUIRE(spool.append(bytes));
      else
        write_in_place(spool, bytes);
      REQUIRE(spool.size() == expected.size());
      CHECK(spool.file_begin() == std::min<std::size_t>(limit, expected.size()));
      check_views(spool, expected, random);
    }
    CHECK(whole(spool) == expected);
    CHECK(place.is_empty());
  }
}

TEST_CASE("spool: the file holds exactly what is behind the memory") {
  const folder place;
  std::mt19937 random(2);
  proxy::block_pool blocks;
  body_spool spool(blocks, 1000, place.path());
  const auto bytes = random_bytes(random, 50000);
  REQUIRE(spool.append(bytes));
  REQUIRE(spool.file() >= 0);
  REQUIRE(spool.file_begin() == 1000);
  std::string tail(60000, '\0');
  const auto n = ::pread(spool.file(), tail.data(), tail.size(), 0);
  CHECK(n == 49000);
  CHECK(tail.substr(0, 49000) == bytes.substr(1000));
}

TEST_CASE("spool: a body that just fits makes no file") {
  const folder place;
  proxy::block_pool blocks;
  body_spool spool(blocks, 1000, place.path());
  REQUIRE(spool.append(std::string(1000, 'x')));
  CHECK(spool.file() < 0);
  CHECK(spool.file_begin() == 1000);
  REQUIRE(spool.append("y"));
  CHECK(spool.file() >= 0);
  CHECK(whole(spool) == std::string(1000, 'x') + "y");
}

TEST_CASE("spool: one that was cleared is as good as a new one, and its file is closed") {
  const folder place;
  proxy::block_pool blocks;
  body_spool spool(blocks, 10, place.path());
  for (const char c : {'a', 'b', 'c'}) {
    CHECK(spool.size() == 0);
    REQUIRE(spool.append(std::string(100, c)));
    CHECK(whole(spool) == std::string(100, c));
    const int file = spool.file();
    spool.clear();
    CHECK(spool.file() < 0);
    CHECK(::lseek(file, 0, SEEK_CUR) < 0);
  }
}

TEST_CASE("spool: a small body takes one block") {
  const folder place;
  proxy::block_pool blocks;
  body_spool spool(blocks, 1 << 20, place.path());
  REQUIRE(spool.append("small"));
  proxy::const_buffers views;
  REQUIRE(spool.view(0, 100, views));
  CHECK(content(views) == "small");
  CHECK(std::distance(views.begin(), views.end()) == 1);
}

TEST_CASE("spool: a folder that can't be written to fails the write and loses nothing before it") {
  const folder place;
  // A name behind a plain file can be made by nobody, not even by root.
  const std::string impossible = "/proc/self/status/x";
  proxy::block_pool blocks;
  body_spool spool(blocks, 5, impossible);
  REQUIRE(spool.append("12345"));
  CHECK_FALSE(spool.append("6"));
  CHECK_FALSE(spool.append("6"));
  CHECK(spool.size() == 5);
  CHECK(whole(spool) == "12345");
  body_spool none(blocks, 0, impossible);
  CHECK_FALSE(none.append("1"));
  CHECK(none.size() == 0);
}
