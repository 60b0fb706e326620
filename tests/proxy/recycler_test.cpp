#include "proxy/recycler.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using namespace icapgate::proxy;

TEST_CASE("recycler: a text comes back empty, with its room") {
  recycler<std::string> texts;
  const char* place = nullptr;
  {
    lent<std::string> one(texts);
    one->assign(1000, 'x');
    place = one->data();
  }
  lent<std::string> again(texts);
  CHECK(again->empty());
  CHECK(again->capacity() >= 1000);
  again->push_back('y');
  CHECK(again->data() == place);
}

TEST_CASE(
    "recycler: what is released goes to the next, and is borrowed anew when it is used again") {
  recycler<std::string> texts;
  lent<std::string> one(texts);
  one->assign(1000, 'x');
  const char* place = one->data();
  one.release();
  {
    lent<std::string> other(texts);
    other->push_back('y');
    CHECK(other->data() == place);
    one->assign(1000, 'z');
    CHECK(*other == "y");
  }
  one.release();
  CHECK(texts.take().capacity() >= 1000);
  CHECK(texts.take().capacity() >= 1000);
}

TEST_CASE("recycler: what has grown large is not kept") {
  recycler<std::vector<int>> lists;
  auto one = lists.take();
  one.resize(recycler<std::vector<int>>::max_room);
  lists.give_back(std::move(one));
  CHECK(lists.take().capacity() == 0);
}

TEST_CASE("recycler: a burst leaves little behind") {
  recycler<std::vector<int>> lists;
  const auto kept = [&] {
    std::size_t count = 0;
    while (lists.take().capacity() != 0) ++count;
    return count;
  };
  const auto burst = [&] {
    for (std::size_t i = 0; i < 2 * lists.max_idle; ++i) lists.give_back(std::vector<int>(10));
  };
  burst();
  CHECK(kept() == lists.max_idle);
  burst();
  lists.rest();
  CHECK(kept() == lists.max_at_rest);
}
