// The coroutines of the event loop. What Asio's awaitable would do as well, for a third of its
// cost: a scanned response takes some thirty of them (docs/performance.md).
#pragma once

#include "proxy/cancellation.hpp"
#include "proxy/frames.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace icapgate::proxy {

namespace asio = boost::asio;

// Runs when it is awaited or start()ed, on one thread. Awaited by another task with co_await, once;
// exceptions go to whoever awaits. A task that ends without waiting costs its caller no suspension.
template <class T>
class task;

// All the tasks that one start() led to.
struct chain {
  // Ends them all, wherever they wait: only where the event loop itself ends.
  void destroy() { std::coroutine_handle<>(root).destroy(); }
  bool is_cancelled() const { return cancel && cancel->is_on(); }

  cancellation* cancel = nullptr;
  std::coroutine_handle<> root;
};

// What a task can wait for beside other tasks: await_suspend gets the coroutine's handle, whose
// promise tells the chain.
template <class W>
concept waitable = requires { typename std::remove_cvref_t<W>::is_waitable; };

namespace detail {

template <class Signature>
class asio_wait;

[[noreturn]] inline void throw_cancelled() {
  throw boost::system::system_error(asio::error::make_error_code(asio::error::operation_aborted));
}

template <class T>
class task_wait;

class promise_base {
 public:
  static void* operator new(std::size_t size) { return frames::take(size); }
  static void operator delete(void* at, std::size_t size) { frames::give(at, size); }

  template <class T>
  task_wait<T> await_transform(task<T>&& one);
  template <class R, class... Results, class Initiation, class... Args>
  auto await_transform(
      asio::deferred_async_operation<R(Results...), Initiation, Args...> operation);
  template <waitable W>
  W&& await_transform(W&& one) {
    return std::forward<W>(one);
  }

  chain* of = nullptr;
};

class task_promise_base : public promise_base {
 public:
  // The coroutine that awaits goes on from here. Its frame, and with it this one, may be gone when
  // resume() returns.
  struct going_on {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      auto& promise = ended.promise();
      if (promise.others && --*promise.others > 0) return;
      if (promise.next) promise.next.resume();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  going_on final_suspend() const noexcept { return {}; }
  void unhandled_exception() { failure_ = std::current_exception(); }

  std::coroutine_handle<> next;
  int* others = nullptr;  // of both(): how many run, this one counted

 protected:
  void check() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
};

template <class T>
class task_promise final : public task_promise_base {
 public:
  task<T> get_return_object();
  template <class Value>
  void return_value(Value&& value) {
    value_.emplace(std::forward<Value>(value));
  }
  T take() {
    check();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class task_promise<void> final : public task_promise_base {
 public:
  task<void> get_return_object();
  void return_void() const {}
  void take() const { check(); }
};

}  // namespace detail

template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  task& operator=(task&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

 private:
  friend promise_type;
  friend detail::task_wait<T>;
  friend class joined;
  explicit task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

  // Until it ends or waits. True: it has ended.
  bool run(chain& as) {
    frame_.promise().of = &as;
    frame_.resume();
    return frame_.done();
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}

inline task<void> task_promise<void>::get_return_object() {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

template <class T>
class task_wait {
 public:
  task_wait(task<T>&& one, chain& of) : one_(std::move(one)), of_(of) {}
  bool await_ready() { return one_.run(of_); }
  void await_suspend(std::coroutine_handle<> whole) { one_.frame_.promise().next = whole; }
  T await_resume() { return one_.frame_.promise().take(); }

 private:
  task<T> one_;
  chain& of_;
};

template <class T>
task_wait<T> promise_base::await_transform(task<T>&& one) {
  return {std::move(one), *of};
}

}  // namespace detail

// --- operations of Asio

// co_await operation(..., use_op) gives what its handler would get, as a tuple.
inline constexpr asio::deferred_t use_op{};

namespace detail {

// Shared by who waits and by the handler: either may be gone first where the event loop ends.
template <class... Results>
struct pending final : cancellation::listener {
  void stop() override { signal.emit(asio::cancellation_type::terminal); }

  std::optional<std::tuple<Results...>> results;
  asio::cancellation_signal signal;
  std::coroutine_handle<> waiting;  // none: it does not wait any more
  chain* of = nullptr;
};

template <class... Results>
class completion {
 public:
  explicit completion(std::shared_ptr<pending<Results...>> of) : of_(std::move(of)) {}
  completion(completion&&) noexcept = default;
  // The event loop ends without it.
  ~completion() {
    if (of_ && of_->waiting) of_->of->destroy();
  }

  void operator()(Results... results) {
    const auto done = std::move(of_);
    if (!done->waiting) return;
    done->results.emplace(std::move(results)...);
    done->unlink();
    done->waiting.resume();
  }

 private:
  std::shared_ptr<pending<Results...>> of_;
};

template <class Operation, class... Results>
class operation_wait {
 public:
  explicit operation_wait(Operation operation) : operation_(std::move(operation)) {}
  ~operation_wait() {
    if (state_) state_->waiting = {};
  }
  operation_wait(const operation_wait&) = delete;
  operation_wait& operator=(const operation_wait&) = delete;

  bool await_ready() const { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    auto& of = *waiting.promise().of;
    if (of.is_cancelled()) throw_cancelled();
    state_ = std::make_shared<pending<Results...>>();
    state_->waiting = waiting;
    state_->of = &of;
    if (of.cancel) of.cancel->add(*state_);
    auto slot = state_->signal.slot();
    std::move(operation_)(asio::bind_cancellation_slot(slot, completion<Results...>(state_)));
    return true;
  }
  std::tuple<Results...> await_resume() {
    state_->waiting = {};
    if (state_->of->is_cancelled()) throw_cancelled();
    return std::move(*state_->results);
  }

 private:
  Operation operation_;
  std::shared_ptr<pending<Results...>> state_;
};

template <class R, class... Results, class Initiation, class... Args>
auto promise_base::await_transform(
    asio::deferred_async_operation<R(Results...), Initiation, Args...> operation) {
  using type = asio::deferred_async_operation<R(Results...), Initiation, Args...>;
  return operation_wait<type, std::decay_t<Results>...>(std::move(operation));
}

}  // namespace detail

// --- two at once

// Ends when both have ended; what the first that failed threw goes on.
class joined {
 public:
  using is_waitable = void;

  joined(task<void> a, task<void> b) : a_(std::move(a)), b_(std::move(b)) {}

  bool await_ready() const { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> whole) {
    auto& of = *whole.promise().of;
    for (auto* one : {&a_, &b_}) {
      one->frame_.promise().others = &running_;
      one->run(of);
    }
    if (running_ == 0) return false;
    for (auto* one : {&a_, &b_}) one->frame_.promise().next = whole;
    return true;
  }
  void await_resume() {
    a_.frame_.promise().take();
    b_.frame_.promise().take();
  }

 private:
  task<void> a_, b_;
  int running_ = 2;
};

inline joined both(task<void> a, task<void> b) {
  return {std::move(a), std::move(b)};
}

// --- the first of a chain

namespace detail {

struct started {
  struct promise_type final : promise_base {
    promise_type() { of = &all; }
    started get_return_object() {
      all.root = std::coroutine_handle<promise_type>::from_promise(*this);
      return {&all};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const {}
    [[noreturn]] void unhandled_exception() const { std::terminate(); }

    chain all;
  };

  chain* all;
};

template <class T, class Done>
started run_to_end(task<T> work, Done done) {
  std::exception_ptr failure;
  std::optional<T> value;
  try {
    value.emplace(co_await std::move(work));
  } catch (...) {
    failure = std::current_exception();
  }
  done(failure, value ? std::move(*value) : T());
}

template <class Done>
started run_to_end(task<void> work, Done done) {
  std::exception_ptr failure;
  try {
    co_await std::move(work);
  } catch (...) {
    failure = std::current_exception();
  }
  done(failure);
}

// In the event loop's queue; ends with it.
class beginning {
 public:
  explicit beginning(chain& of) : of_(&of) {}
  beginning(beginning&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  ~beginning() {
    if (of_) of_->destroy();
  }
  void operator()() { std::exchange(of_, nullptr)->root.resume(); }

 private:
  chain* of_;
};

}  // namespace detail

// Runs `work` in the event loop, soon. At its end, when its frames are gone,
// done(std::exception_ptr) or done(std::exception_ptr, T) is called, which must not throw. `cancel`
// outlives it, and may be owned by `done`.
template <class T, class Done>
void start(asio::io_context& context, task<T> work, Done done, cancellation* cancel = nullptr) {
  auto& all = *detail::run_to_end(std::move(work), std::move(done)).all;
  all.cancel = cancel;
  asio::post(context, detail::beginning(all));
}

// For `done`: nobody asks how it ended.
inline constexpr auto unwatched = [](const std::exception_ptr&) {};

}  // namespace icapgate::proxy
