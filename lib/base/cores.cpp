#include "base/cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace icapgate {

namespace {

namespace fs = std::filesystem;

// What Linux gives a cgroup where nothing else is written, in microseconds.
constexpr double usual_period = 100'000;

// Where the files of a hierarchy are: `top` shows the cgroup `shown`, and those below it.
struct mounted {
  fs::path top;
  std::string shown;
};

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) out.push_back(part);
  return out;
}

bool holds(const std::string& list, std::string_view word) {
  return std::ranges::count(split(list, ','), word) != 0;
}

// proc_pid_cgroup(5): ID:CONTROLLERS:PATH, without controllers for version 2.
std::optional<std::string> own_cgroup(const fs::path& root, bool version_2) {
  std::ifstream in(root / "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    if (version_2 ? controllers.empty() : holds(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

// proc_pid_mountinfo(5): the fourth and fifth fields, and behind the "-" the type and its options.
std::optional<mounted> find_mount(const fs::path& root, bool version_2) {
  std::ifstream in(root / "proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const auto fields = split(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 5 || fields.end() - dash < 4) continue;
    const bool fits =
        version_2 ? dash[1] == "cgroup2" : dash[1] == "cgroup" && holds(dash[3], "cpu");
    if (fits) return mounted{root / fs::path(fields[4]).relative_path(), fields[3]};
  }
  return std::nullopt;
}

// The folders from this process's own cgroup up to the top one that is mounted here.
std::vector<fs::path> folders(const mounted& tree, const std::string& own) {
  std::vector<fs::path> out;
  // A container may see a part of the tree only: its own cgroup is then the top one.
  auto below = fs::path(own).lexically_relative(tree.shown);
  if (below.empty() || *below.begin() == "..") below = ".";
  for (auto at = below; !at.empty() && at != "."; at = at.parent_path())
    out.push_back(tree.top / at);
  out.push_back(tree.top);
  return out;
}

double number_in(const fs::path& file, double otherwise) {
  std::ifstream in(file);
  double value = 0;
  return in >> value ? value : otherwise;
}

// cpu.max: "QUOTA PERIOD", or "max PERIOD" for none.
double quota_v2(const fs::path& folder) {
  std::ifstream in(folder / "cpu.max");
  double quota = 0, period = usual_period;
  if (!(in >> quota)) return 0;
  in >> period;
  return period > 0 ? quota / period : 0;
}

// -1 for none.
double quota_v1(const fs::path& folder) {
  const auto period = number_in(folder / "cpu.cfs_period_us", usual_period);
  return period > 0 ? number_in(folder / "cpu.cfs_quota_us", 0) / period : 0;
}

unsigned scheduled_cores() {
  cpu_set_t set;
  // It fails where there are more cores than a set holds: then they are counted without a mask.
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

std::optional<double> cgroup_cores(const fs::path& root) {
  std::optional<double> lowest;
  // Both where the machine has both: the controller is bound to one of them.
  for (const bool version_2 : {true, false}) {
    const auto own = own_cgroup(root, version_2);
    const auto tree = find_mount(root, version_2);
    if (!own || !tree) continue;
    for (const auto& folder : folders(*tree, *own)) {
      const auto quota = version_2 ? quota_v2(folder) : quota_v1(folder);
      if (quota > 0) lowest = std::min(quota, lowest.value_or(quota));
    }
  }
  return lowest;
}

unsigned usable_cores() {
  const auto cores = scheduled_cores();
  const auto quota = cgroup_cores("/");
  if (!quota || *quota >= cores) return cores;
  return std::max(1u, static_cast<unsigned>(std::ceil(*quota)));
}

}  // namespace icapgate
