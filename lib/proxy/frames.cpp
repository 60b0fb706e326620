#include "proxy/frames.hpp"

#include "proxy/poison.hpp"

#include <array>
#include <new>

namespace icapgate::proxy::frames {
namespace {

constexpr std::size_t step = 128;
constexpr std::size_t kinds = 32;  // sizes of up to `step` times as many bytes are kept
constexpr unsigned most_of_kind = 1024;
constexpr unsigned most_at_rest = 8;

struct unused {
  unused* next;
};

struct shelf {
  unused* first = nullptr;
  unsigned kept = 0;
};

class store {
 public:
  constexpr store() = default;
  ~store() {
    closed_ = true;
    shrink(0);
  }

  void shrink(unsigned most) {
    for (auto& one : shelves_)
      while (one.kept > most) ::operator delete(pop(one));
  }

  void* take(std::size_t size) {
    const auto kind = (size - 1) / step;
    if (kind >= kinds) return ::operator new(size);
    auto& from = shelves_[kind];
    if (!from.first) return ::operator new((kind + 1) * step);
    unpoison(from.first, (kind + 1) * step);
    return pop(from);
  }

  void give(void* at, std::size_t size) {
    const auto kind = (size - 1) / step;
    if (kind >= kinds || closed_ || shelves_[kind].kept == most_of_kind)
      return ::operator delete(at);
    auto& to = shelves_[kind];
    to.first = new (at) unused{to.first};
    ++to.kept;
    poison(at, (kind + 1) * step);
  }

 private:
  static void* pop(shelf& from) {
    auto* one = from.first;
    unpoison(one, sizeof *one);
    from.first = one->next;
    --from.kept;
    return one;
  }

  std::array<shelf, kinds> shelves_{};
  bool closed_ = false;  // the thread ends
};

thread_local constinit store mine;

}  // namespace

void* take(std::size_t size) {
  return mine.take(size);
}

void give(void* at, std::size_t size) noexcept {
  mine.give(at, size);
}

void rest() noexcept {
  mine.shrink(most_at_rest);
}

}  // namespace icapgate::proxy::frames
