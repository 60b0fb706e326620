// How many threads can do work at once.
#pragma once

#include <filesystem>
#include <optional>

namespace icapgate {

// The cores' worth of time that the cgroups of this process may take, of version 1 or 2: the lowest
// quota from its own cgroup up to the last one that can be seen. None: no quota, or none that can
// be read. `root` stands for "/": its proc and what is mounted there are read.
std::optional<double> cgroup_cores(const std::filesystem::path& root);

// The cores that this process may run on, and of these as many as its cgroups let it use: a quota
// of 1.5 is 2. At least 1. Reads files: not for often.
unsigned usable_cores();

}  // namespace icapgate
