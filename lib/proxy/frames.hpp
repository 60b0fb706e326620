// The memory of coroutines: each thread keeps some of what became free for the next ones.
#pragma once

#include <cstddef>

namespace icapgate::proxy::frames {

void* take(std::size_t size);
// On the thread that took it, or any other: it keeps it then. `size` as it was taken.
void give(void* at, std::size_t size) noexcept;

}  // namespace icapgate::proxy::frames
