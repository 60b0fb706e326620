#include "base/cores.hpp"

#include "catch.hpp"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace icapgate;

namespace {

namespace fs = std::filesystem;

// A machine's files, in a folder that goes with it.
class machine {
 public:
  machine() {
    std::string name = "/tmp/icapgate-cores-XXXXXX";
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
    root_ = name;
  }
  ~machine() { fs::remove_all(root_); }
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  machine& write(const std::string& file, const std::string& text) {
    const auto path = root_ / file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return *this;
  }

  // Version 2 alone. `own`: this process's cgroup; `shown`: the one at the mount's top.
  machine& version_2(const std::string& own, const std::string& shown = "/") {
    write("proc/self/cgroup", "0::" + own + "\n");
    return write("proc/self/mountinfo",
                 "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
                 "31 22 0:27 " +
                     shown + " /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup2 rw\n");
  }

  // Version 1: the controller has a tree of its own, named after two.
  machine& version_1(const std::string& own, const std::string& shown = "/") {
    write("proc/self/cgroup",
          "7:memory:/elsewhere\n4:cpu,cpuacct:" + own + "\n1:name=systemd:/x\n");
    return write("proc/self/mountinfo",
                 "30 22 0:26 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"
                 "31 22 0:27 " +
                     shown + " /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  }

  std::optional<double> cores() const { return cgroup_cores(root_); }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("cores: a container's quota, version 2, is at the top of what it sees") {
  machine m;
  m.version_2("/").write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  CHECK(m.cores() == 1.5);
}

TEST_CASE("cores: \"max\" is no quota") {
  machine m;
  m.version_2("/").write("sys/fs/cgroup/cpu.max", "max 100000\n");
  CHECK_FALSE(m.cores());
}

TEST_CASE("cores: the lowest quota on the way up counts") {
  machine m;
  m.version_2("/pods/one/gate")
      .write("sys/fs/cgroup/pods/one/gate/cpu.max", "400000 100000\n")
      .write("sys/fs/cgroup/pods/one/cpu.max", "50000 25000\n")
      .write("sys/fs/cgroup/pods/cpu.max", "max 100000\n")
      .write("sys/fs/cgroup/pods/two/cpu.max", "1000 100000\n");
  CHECK(m.cores() == 2.0);
}

TEST_CASE("cores: a mount that shows a part of the tree is read from there") {
  machine m;
  m.version_2("/docker/abc/inner", "/docker/abc")
      .write("sys/fs/cgroup/cpu.max", "300000 100000\n")
      .write("sys/fs/cgroup/inner/cpu.max", "250000 100000\n");
  CHECK(m.cores() == 2.5);
}

TEST_CASE("cores: a cgroup outside of what is mounted is looked for at the top") {
  machine m;
  m.version_2("/../other", "/").write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  CHECK(m.cores() == 1.0);
}

TEST_CASE("cores: version 1 has quota and period in two files, in the tree with \"cpu\"") {
  machine m;
  m.version_1("/docker/abc", "/docker/abc")
      .write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "120000\n")
      .write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n")
      .write("sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n");
  CHECK(m.cores() == 2.4);
}

TEST_CASE("cores: -1 is no quota in version 1") {
  machine m;
  m.version_1("/")
      .write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
      .write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(m.cores());
}

TEST_CASE("cores: files that are missing, empty or nonsense are no quota") {
  machine m;
  CHECK_FALSE(m.cores());
  m.version_2("/gate");
  CHECK_FALSE(m.cores());
  for (const auto* text : {"", "\n", "many 100000\n", "100000 0\n", "0 100000\n", "-5 100000\n"}) {
    INFO(text);
    m.write("sys/fs/cgroup/gate/cpu.max", text);
    CHECK_FALSE(m.cores());
  }
  m.write("proc/self/mountinfo", "31 22\n- cgroup2\n\n").write("proc/self/cgroup", "0:\n::\n");
  CHECK_FALSE(m.cores());
}

TEST_CASE("cores: this process has at least one, and no more than the machine") {
  CHECK(usable_cores() >= 1);
  CHECK(usable_cores() <= std::max(1u, std::thread::hardware_concurrency()));
}
