#include "worker/fetch/decrypt.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "extension/pg/background.h"

extern "C" {
#include <storage/ipc.h>
}

namespace pg_reconcile::worker {
namespace {

constexpr int passphrase_fd = 3;
constexpr std::size_t said_max = 2000;
constexpr std::int64_t look_ms = 50;

// A shutdown ends the worker without unwinding: what runs must not outlive it.
volatile pid_t running_child = 0;

void raw_end_child(int, Datum) {
  if (running_child > 0) kill(running_child, SIGKILL);
}

void watch_child() {
  static bool watched = false;
  if (watched) return;
  watched = true;
  pg::guarded([] { before_shmem_exit(raw_end_child, static_cast<Datum>(0)); });
}

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) {
      throw core::Error(core::sqlstate::io_error, std::string("no pipe can be made: ") + strerror(errno));
    }
  }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int reader() const { return ends_[0]; }
  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_reader() { close_end(ends_[0]); }
  void close_writer() { close_end(ends_[1]); }

 private:
  static void close_end(int& end) {
    if (end >= 0) close(end);
    end = -1;
  }
  std::array<int, 2> ends_ = {-1, -1};
};

// Files and signals as a program expects them, and nothing of the server's.
class SpawnSettings {
 public:
  SpawnSettings(const Pipe& passphrase, const Pipe& messages) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, messages.writer(), STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions_, passphrase.reader(), passphrase_fd);
    posix_spawn_file_actions_addclosefrom_np(&actions_, passphrase_fd + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t every;
    sigemptyset(&none);
    sigfillset(&every);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &every);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  pid_t start(std::vector<std::string>& words, const std::string& home) const {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::string path = "PATH=/usr/local/bin:/usr/bin:/bin";
    std::string language = "LC_ALL=C";
    std::string home_setting = "HOME=" + home;
    std::array<char*, 4> environment = {path.data(), language.data(), home_setting.data(), nullptr};
    pid_t child = 0;
    const int problem =
        posix_spawnp(&child, arguments[0], &actions_, &attributes_, arguments.data(), environment.data());
    if (problem == 0) return child;
    throw core::Error(core::sqlstate::io_error, words[0] + " cannot be started: " + strerror(problem), {},
                      "Install the package gpg on the database server.");
  }

 private:
  posix_spawn_file_actions_t actions_ = {};
  posix_spawnattr_t attributes_ = {};
};

std::string take_what_is_said(int descriptor, std::string said) {
  std::array<char, 512> block = {};
  for (;;) {
    const ssize_t count = read(descriptor, block.data(), block.size());
    if (count <= 0) return said;
    if (said.size() < said_max) said.append(block.data(), static_cast<std::size_t>(count));
  }
}

// The program's exit status; -1: it was ended because it took too long.
int wait_for_child(pid_t child, std::int64_t milliseconds_max, int messages, std::string& said) {
  const std::int64_t started = pg::now_ms();
  running_child = child;
  int status = 0;
  bool in_time = true;
  for (;;) {
    said = take_what_is_said(messages, std::move(said));
    if (waitpid(child, &status, WNOHANG) != 0) break;
    if (in_time && pg::now_ms() - started > milliseconds_max) {
      in_time = false;
      kill(child, SIGKILL);
    }
    pg::wait_for_latch(look_ms);
  }
  running_child = 0;
  said = take_what_is_said(messages, std::move(said));
  if (!in_time) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int run(std::vector<std::string> words, const Decryption& how, std::string& said) {
  watch_child();
  Pipe passphrase;
  Pipe messages;
  fcntl(messages.reader(), F_SETFL, O_NONBLOCK);
  fcntl(passphrase.writer(), F_SETFL, O_NONBLOCK);
  const std::string line = how.passphrase + "\n";
  if (write(passphrase.writer(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw core::Error(core::sqlstate::invalid_parameter_value, "the passphrase is too long");
  }
  passphrase.close_writer();
  const SpawnSettings settings(passphrase, messages);
  const pid_t child = settings.start(words, how.home);
  messages.close_writer();
  return wait_for_child(child, how.milliseconds_max, messages.reader(), said);
}

}  // namespace

void decrypt_file(const Decryption& how, const std::string& input, const std::string& output) {
  unlink(output.c_str());
  std::string said;
  const int status =
      run({"gpg", "--homedir", how.home, "--batch", "--no-tty", "--quiet", "--no-options", "--pinentry-mode",
           "loopback", "--passphrase-fd", std::to_string(passphrase_fd), "--max-output",
           std::to_string(how.bytes_max), "--output", output, "--decrypt", input},
          how, said);
  // gpg starts an agent for the key, which would stay.
  std::string ignored;
  run({"gpgconf", "--homedir", how.home, "--kill", "gpg-agent"}, how, ignored);
  if (status == 0) return;
  unlink(output.c_str());
  for (char& c : said) {
    if (c == '\n') c = ' ';
  }
  throw core::Error(core::sqlstate::data_corrupted,
                    status == -1 ? "gpg did not decrypt it in time" : "gpg cannot decrypt it", said,
                    "The option gpg_homedir of the server names the folder with our private key.");
}

std::string decrypted_name(const std::string& name) {
  for (const std::string_view ending : {".gpg", ".pgp", ".asc"}) {
    if (name.size() > ending.size() && name.ends_with(ending))
      return name.substr(0, name.size() - ending.size());
  }
  return name + ".decrypted";
}

}  // namespace pg_reconcile::worker
