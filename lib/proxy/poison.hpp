// Memory that is kept for reuse counts as freed in a program that was built with AddressSanitizer:
// what still points there is found out, as it would be without the reuse. Else nothing happens.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ICAPGATE_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ICAPGATE_POISONS 1
#endif

#ifdef ICAPGATE_POISONS
#include <sanitizer/asan_interface.h>
#endif

namespace icapgate::proxy {

// Of memory from the heap, which may be freed as it is.
inline void poison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) {
#ifdef ICAPGATE_POISONS
  ASAN_POISON_MEMORY_REGION(at, size);
#endif
}

inline void unpoison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) {
#ifdef ICAPGATE_POISONS
  ASAN_UNPOISON_MEMORY_REGION(at, size);
#endif
}

}  // namespace icapgate::proxy
