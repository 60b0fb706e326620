// The memory of coroutines: each thread keeps some of what became free for the next ones.
#pragma once

#include <cstddef>

namespace icapgate::proxy::frames {

void* take(std::size_t size);
// On the thread that took it, or any other: it keeps it then. `size` as it was taken.
void give(void* at, std::size_t size) noexcept;
// Nothing goes on in this thread: gives back what a burst has left.
void rest() noexcept;

}  // namespace icapgate::proxy::frames
