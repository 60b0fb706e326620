#include "kit/held_scans.hpp"

#include <utility>

namespace e2e {

held_scans::held_scans(icap_peer& scanner, std::string answer, std::string target) {
  scanner.play(
      [now = now_, answer = std::move(answer), target = std::move(target)](exchange& with) {
        with.body();
        if (!with.seen().request.second.ends_with(target)) return with.answer(no_modification());
        now->held.tell();
        now->decide.wait();
        if (answer.empty()) return with.wire().close();
        with.answer(answer);
      });
}

}  // namespace e2e
