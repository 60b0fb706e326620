// A scanner that has the whole body and says nothing until it is told to.
#pragma once

#include "kit/icap_peer.hpp"

#include <memory>
#include <string>

namespace e2e {

class held_scans {
 public:
  // From now on. An empty answer closes the connection. Where a target is named, scans of others
  // are clean at once.
  explicit held_scans(icap_peer& scanner, std::string answer = no_modification(),
                      std::string target = {});
  ~held_scans() { decide(); }

  void wait_for_one() const { now_->held.wait(); }
  void decide() { now_->decide.tell(); }

 private:
  struct moments {
    happening held;
    happening decide;
  };
  std::shared_ptr<moments> now_ = std::make_shared<moments>();  // scripts may outlive the play
};

}  // namespace e2e
