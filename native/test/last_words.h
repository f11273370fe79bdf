// What a program still says that ends in the midst of a test: by a fault, abort, an exception that nobody catches, a
// sanitizer's finding, exit. The text is prepared when a test begins, for standard output and for the log of repeats (seed.h).
// A signal's handler writes it, and the signal then ends the program as it would have without. SIGKILL alone leaves nothing to
// say.
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#if defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

// Sanitizers call it before they end the program; null without one. Of two, such as address and undefined, the second has a
// callback of its own out of reach, and has to abort (abort_on_error in native/CMakePresets.json).
extern "C" [[gnu::weak, gnu::visibility("default")]] void __sanitizer_set_death_callback(void (*callback)());
#endif

namespace check {

#if defined(__linux__)

class LastWords {
 public:
  /**
   * What is said from now on: `output` on standard output, and `line`, unless it is empty, at the end of the file `log`. With
   * `at_exit` by exit too, which is no way for a test to end. Not to be called by several threads at a time.
   */
  static void prepare(std::string output, std::string log, std::string line, bool at_exit) {
    Place& place = LastWords::place();
    if (place.current == nullptr) listen();
    Text& next = place.texts[place.current == &place.texts[0] ? 1 : 0];
    next = {std::move(output), std::move(log), std::move(line)};
    place.current = &next;
    place.at_exit = at_exit;
  }

  /** Says it, once. What it calls may be called in a signal's handler. */
  static void say() {
    Place& place = LastWords::place();
    const Text* const text = place.current;
    if (text == nullptr || place.process != getpid()) return;  // what ends a child, its parent judges
    int none = kNotSaid;
    if (!place.state.compare_exchange_strong(none, kSaying)) {
      // Another thread may be saying it, and this one would end the program meanwhile.
      for (int turn = 0; turn < 1000 && place.state != kSaid; ++turn) {
        const timespec millisecond = {0, 1000000};
        nanosleep(&millisecond, nullptr);
      }
      return;
    }
    write_all(STDOUT_FILENO, text->output);
    if (!text->line.empty()) {
      const int file = open(text->log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
      if (file >= 0) {
        write_all(file, text->line);
        close(file);
      }
    }
    place.state = kSaid;
  }

 private:
  struct Text {
    std::string output, log, line;
  };
  enum { kNotSaid, kSaying, kSaid };
  /** A text is written anew while the other one is the current. */
  struct Place {
    Text texts[2];
    std::atomic<const Text*> current{nullptr};
    std::atomic<int> state{kNotSaid};
    std::atomic<bool> at_exit{false};
    pid_t process = getpid();
  };
  /** Never destroyed: a program may crash while it ends. */
  static Place& place() {
    static Place& made = *new Place;
    return made;
  }

  static void write_all(int file, const std::string& text) {
    for (size_t written = 0; written < text.size();) {
      const ssize_t n = write(file, text.data() + written, text.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      written += static_cast<size_t>(n);
    }
  }

  static void on_signal(int number, siginfo_t* info, void*) {
    say();
    signal(number, SIG_DFL);
    // A fault comes again where the program goes on; a signal that was sent does not.
    if (info->si_code <= 0) raise(number);
  }

  static void on_exit() {
    if (!place().at_exit) return;
    std::fflush(stdout);
    say();
  }

  static void listen() {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // or what a test has printed would be lost
    std::atexit(on_exit);
    std::at_quick_exit(on_exit);
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say);
    alignas(16) static char stack[1 << 16];
    stack_t alternate = {};
    if (sigaltstack(nullptr, &alternate) == 0 && (alternate.ss_flags & SS_DISABLE) != 0) {
      alternate = {};
      alternate.ss_sp = stack;
      alternate.ss_size = sizeof stack;
      sigaltstack(&alternate, nullptr);
    }
    for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
      struct sigaction action = {};
      // A sanitizer's handler stays, and calls what it was given above.
      if (sigaction(number, nullptr, &action) != 0 || (action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL)
        continue;
      action = {};
      action.sa_sigaction = on_signal;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK;
      sigfillset(&action.sa_mask);
      sigaction(number, &action, nullptr);
    }
  }
};

#else

class LastWords {
 public:
  static void prepare(const std::string&, const std::string&, const std::string&, bool) {
    std::setvbuf(stdout, nullptr, _IONBF, 0);
  }
  static void say() {}
};

#endif

}  // namespace check
