#include "kit/process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

extern char** environ;

namespace e2e {

namespace {

std::vector<std::string> child_environment(const std::map<std::string, std::string>& env) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto name = text.substr(0, text.find('='));
    if (!name.starts_with("ICAPGATE_") && !env.contains(name)) out.push_back(text);
  }
  for (const auto& [name, text] : env) out.push_back(name + "=" + text);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Between fork and exec: only what is allowed there.
[[noreturn]] void become(char* const* command, char* const* environment, int output, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a play that crashed leaves nothing behind
  if (::getppid() != parent) ::_exit(126);
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, 0);
  ::dup2(output, 1);
  ::dup2(output, 2);
  ::execvpe(command[0], command, environment);
  ::_exit(127);
}

}  // namespace

temporary_folder::temporary_folder() {
  auto name = (std::filesystem::temp_directory_path() / "icapgate-e2e-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  path_ = name;
  // Daemons that give up root still have to reach it.
  std::filesystem::permissions(path_, std::filesystem::perms::others_exec,
                               std::filesystem::perm_options::add);
}

temporary_folder::~temporary_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string file_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

void wait_until(const std::string& sentence, const std::function<bool()>& so,
                std::chrono::milliseconds within) {
  const auto until = std::chrono::steady_clock::now() + within;
  while (!so()) {
    if (std::chrono::steady_clock::now() > until) throw timed_out("waited in vain: " + sentence);
    std::this_thread::sleep_for(2ms);
  }
}

process::process(const std::vector<std::string>& command, const std::filesystem::path& output,
                 const std::map<std::string, std::string>& env)
    : output_(output) {
  auto words = command;
  auto variables = child_environment(env);
  const auto argv = pointers(words);
  const auto envp = pointers(variables);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0) throw std::runtime_error("cannot write " + output.string());
  const pid_t parent = ::getpid();
  id_ = ::fork();
  if (id_ == 0) become(argv.data(), envp.data(), out, parent);
  ::close(out);
  if (id_ < 0) throw std::runtime_error("fork");
  ::setpgid(id_, id_);  // whoever of both is first
}

process::~process() {
  kill_all();
}

void process::kill_all() {
  if (!running()) return;
  ::kill(-id_, SIGKILL);
  ::waitpid(id_, nullptr, 0);
  status_ = 128 + SIGKILL;
}

bool process::running() {
  if (status_ >= 0) return false;
  int status = 0;
  if (::waitpid(id_, &status, WNOHANG) != id_) return true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

void process::signal(int number) {
  if (status_ < 0) ::kill(id_, number);
}

int process::wait(std::chrono::milliseconds within) {
  try {
    wait_until("the end of a process", [this] { return !running(); }, within);
  } catch (const timed_out& error) {
    throw timed_out(std::string(error.what()) + "; it said: " + output());
  }
  return status_;
}

}  // namespace e2e
