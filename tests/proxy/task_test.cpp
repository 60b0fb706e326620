#include "proxy/task.hpp"

#include "catch.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using icapgate::proxy::both;
using icapgate::proxy::cancellation;
using icapgate::proxy::start;
using icapgate::proxy::task;
using icapgate::proxy::unwatched;
using icapgate::proxy::use_op;

namespace {

using trace = std::vector<std::string>;

// Says when it goes.
struct witness {
  witness(trace& into, std::string name) : told(into), word(std::move(name)) {}
  ~witness() { told.push_back(word); }
  witness(const witness&) = delete;
  witness& operator=(const witness&) = delete;

  trace& told;
  const std::string word;
};

task<int> at_once(int value) {
  co_return value;
}

task<int> later(asio::io_context& context, int value) {
  asio::steady_timer pause(context, 0ms);
  const auto [ec] = co_await pause.async_wait(use_op);
  co_return ec ? -1 : value;
}

task<int> failing() {
  throw std::runtime_error("of the task");
  co_return 0;
}

task<void> for_ever(asio::io_context& context, trace& told, const char* name) {
  const witness here(told, name);
  asio::steady_timer never(context, asio::steady_timer::time_point::max());
  co_await never.async_wait(use_op);
  told.emplace_back("went on");
}

std::string text_of(const std::exception_ptr& failure) {
  if (!failure) return "none";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  }
}

bool is_cancelled(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  }
  return false;
}

}  // namespace

TEST_CASE("task: it gives its value, whether it waits or not") {
  asio::io_context context;
  int sum = 0;
  const auto add = [&]() -> task<int> {
    const int first = co_await at_once(1);
    const int second = co_await later(context, 20);
    co_return first + second + co_await at_once(300);
  };
  start(context, add(), [&](const std::exception_ptr& failure, int value) {
    CHECK_FALSE(failure);
    sum = value;
  });
  CHECK(sum == 0);  // it begins in the event loop
  context.run();
  CHECK(sum == 321);
}

TEST_CASE("task: a million of them that end without waiting need no deeper stack") {
  asio::io_context context;
  long sum = 0;
  const auto count = [&]() -> task<void> {
    for (int i = 0; i < 1'000'000; ++i) sum += co_await at_once(1);
  };
  start(context, count(), unwatched);
  context.run();
  CHECK(sum == 1'000'000);
}

TEST_CASE("task: what it throws goes to who awaits it, and at last to who started it") {
  asio::io_context context;
  bool caught = false;
  std::string last;
  const auto outer = [&]() -> task<int> {
    try {
      co_await failing();
    } catch (const std::runtime_error&) {
      caught = true;
    }
    co_return co_await failing();
  };
  start(context, outer(), [&](const std::exception_ptr& failure, int) { last = text_of(failure); });
  context.run();
  CHECK(caught);
  CHECK(last == "of the task");
}

TEST_CASE("task: its frames are gone before its end is told") {
  asio::io_context context;
  trace told;
  const auto inner = [&]() -> task<int> {
    const witness here(told, "inner");
    co_return co_await later(context, 1);
  };
  const auto outer = [&]() -> task<int> {
    const witness here(told, "outer");
    co_return co_await inner();
  };
  start(context, outer(), [&](const std::exception_ptr&, int) { told.emplace_back("end"); });
  context.run();
  CHECK(told == trace{"inner", "outer", "end"});
}

TEST_CASE("task: one that is never awaited never begins") {
  trace told;
  const auto silent = [&]() -> task<void> {
    told.emplace_back("began");
    co_return;
  };
  {
    const auto one = silent();
  }
  CHECK(told.empty());
}

TEST_CASE("task: both run, and the second begins when the first waits") {
  asio::io_context context;
  trace told;
  const auto one = [&](const char* name, bool waits) -> task<void> {
    told.push_back(std::string(name) + " began");
    if (waits) co_await later(context, 0);
    told.push_back(std::string(name) + " ended");
  };
  const bool first = GENERATE(true, false), second = GENERATE(true, false);
  const auto all = [&]() -> task<void> {
    co_await both(one("a", first), one("b", second));
    told.emplace_back("both ended");
  };
  start(context, all(), unwatched);
  context.run();
  REQUIRE(told.size() == 5);
  CHECK(told[first ? 1 : 2] == "b began");
  CHECK(told.back() == "both ended");
}

TEST_CASE("task: where one of both fails, the other still comes to its end") {
  asio::io_context context;
  trace told;
  const auto bad = [&]() -> task<void> { co_await failing(); };
  const auto good = [&]() -> task<void> {
    co_await later(context, 0);
    told.emplace_back("good ended");
  };
  const auto all = [&]() -> task<void> { co_await both(bad(), good()); };
  start(context, all(),
        [&](const std::exception_ptr& failure) { told.push_back(text_of(failure)); });
  context.run();
  CHECK(told == trace{"good ended", "of the task"});
}

TEST_CASE("cancellation: what is waited for ends, and the frames with it") {
  asio::io_context context;
  trace told;
  cancellation cancel;
  bool cancelled = false;
  start(
      context, for_ever(context, told, "frame"),
      [&](const std::exception_ptr& failure) { cancelled = is_cancelled(failure); }, &cancel);
  context.poll();
  cancel.emit();
  CHECK(told.empty());  // nothing is resumed by who cancels
  context.run();
  CHECK(cancelled);
  CHECK(told == trace{"frame"});
}

TEST_CASE("cancellation: both branches end, and later waits throw until it is reset") {
  asio::io_context context;
  trace told;
  cancellation cancel;
  const auto all = [&]() -> task<void> {
    for (int turn = 0; turn < 2; ++turn) {
      try {
        co_await both(for_ever(context, told, "a"), for_ever(context, told, "b"));
      } catch (const boost::system::system_error&) {
        told.emplace_back("cancelled");
      }
    }
    cancel.reset();
    told.push_back(std::to_string(co_await later(context, 7)));
  };
  start(context, all(), unwatched, &cancel);
  context.poll();
  cancel.emit();
  context.run();
  CHECK(told == trace{"a", "b", "cancelled", "a", "b", "cancelled", "7"});
}

TEST_CASE("task: where the event loop ends, so do all frames, and nothing goes on") {
  trace told;
  {
    asio::io_context context;
    const auto outer = [&]() -> task<void> {
      const witness here(told, "outer");
      co_await both(for_ever(context, told, "a"), for_ever(context, told, "b"));
    };
    start(context, outer(), [&](const std::exception_ptr&) { told.emplace_back("told"); });
    start(context, for_ever(context, told, "never begun"), unwatched);
    context.poll_one();
  }
  std::ranges::sort(told);
  CHECK(told == trace{"a", "b", "outer"});
}
