// A child process with its output in files, and a folder that goes when the play is over.
#pragma once

#include "kit/tcp.hpp"

#include <sys/types.h>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace e2e {

class temporary_folder {
 public:
  temporary_folder();
  ~temporary_folder();
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string file_text(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, std::string_view text);
// Tries again until it is so. Throws timed_out with the sentence.
void wait_until(const std::string& sentence, const std::function<bool()>& so,
                std::chrono::milliseconds within = patience);

class process {
 public:
  // Standard output and error go to `output`. The environment is this process's one, with `env` set
  // over it and every ICAPGATE_* variable left out.
  process(const std::vector<std::string>& command, const std::filesystem::path& output,
          const std::map<std::string, std::string>& env = {});
  // Kills it and all that it started.
  ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  pid_t id() const { return id_; }
  bool running();
  void signal(int number);
  void kill_all();  // with its own children
  // Waits for the end: the exit status, or 128 + the signal that ended it. Throws timed_out.
  int wait(std::chrono::milliseconds within = patience);
  std::string output() const { return file_text(output_); }

 private:
  std::filesystem::path output_;
  pid_t id_;
  int status_ = -1;
};

}  // namespace e2e
