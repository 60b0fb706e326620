// Ends from outside what a chain of tasks waits for.
#pragma once

#include <boost/intrusive/list.hpp>

namespace icapgate::proxy {

// Belongs to whoever start()ed the chain, and outlives it. The chain's thread only.
class cancellation {
 public:
  // One wait. What stop() leads to happens later, in the event loop.
  class listener : public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
   public:
    virtual void stop() = 0;

   protected:
    ~listener() = default;
  };

  // The wait that goes on and all later ones throw boost::system::system_error(operation_aborted).
  void emit();
  // Later waits wait again.
  void reset() { on_ = false; }
  bool is_on() const { return on_; }

  void add(listener& one) { listening_.push_back(one); }

 private:
  bool on_ = false;
  boost::intrusive::list<listener, boost::intrusive::constant_time_size<false>> listening_;
};

inline void cancellation::emit() {
  on_ = true;
  for (auto& one : listening_) one.stop();
}

}  // namespace icapgate::proxy
