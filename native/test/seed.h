// The seed of tests. It is the same in each run unless the environment says otherwise:
//   PRUNEPEFT_TEST_SEED     a number, or "random" for a new one in each run
//   PRUNEPEFT_TEST_ONLY     part of a test's name; other tests are left out
//   PRUNEPEFT_TEST_TIMES    how often each test runs, each time with another seed
//   PRUNEPEFT_TEST_SECONDS  the time after which a test is not begun again
//   PRUNEPEFT_TEST_LOG      a file to which each run is added as a line: suite, "program: test", seed, ok or FAILED,
//   milliseconds, and
//                           for a failure what runs it again, tabs between. What it has already counts as times.
//   PRUNEPEFT_TEST_SUITE    the first column there
// Numbers of a test follow from the seed and from its name, so that one runs alone as with others.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>

namespace check {

inline std::string environment(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? otherwise : value;
}

inline uint64_t new_seed() {
  std::random_device device;
  return (uint64_t{device()} << 16) ^ device();
}

inline uint64_t seed() {
  static const uint64_t value = [] {
    const std::string given = environment("PRUNEPEFT_TEST_SEED", "1");
    return given == "random" ? new_seed() : std::strtoull(given.c_str(), nullptr, 10);
  }();
  return value;
}

/** FNV-1a: a test's numbers are the same with each C++ library. */
inline uint64_t hash(const std::string& name) {
  uint64_t value = 0xCBF29CE484222325u;
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return value;
}

/** Runs tests, prints how they ended and adds them to the log. */
class Repeats {
 public:
  Repeats(const char* program, const char* only)
      : program_(program),
        name_(program_.substr(program_.rfind('/') + 1)),
        only_(only != nullptr ? only : environment("PRUNEPEFT_TEST_ONLY")),
        times_(std::atoi(environment("PRUNEPEFT_TEST_TIMES", "1").c_str())),
        seconds_(std::atof(environment("PRUNEPEFT_TEST_SECONDS", "1e9").c_str())),
        log_(environment("PRUNEPEFT_TEST_LOG")),
        suite_(environment("PRUNEPEFT_TEST_SUITE", "native")) {
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed()));
    std::ifstream log(log_);
    for (std::string line; std::getline(log, line);) {
      const size_t first = line.find('\t'), second = line.find('\t', first + 1);
      if (second != std::string::npos && line.substr(0, first) == suite_) done_[line.substr(first + 1, second - first - 1)]++;
    }
  }

  const std::string& only() const { return only_; }
  bool asks_for(const std::string& test) const { return test.find(only_) != std::string::npos; }

  /** `run` gets the seed of the test's numbers and returns whether the test has passed. */
  void run(const std::string& test, const std::function<bool(uint64_t)>& run) const {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const auto done = done_.find(name_ + ": " + test);
    int ran = 0, failed = 0;
    for (int i = done == done_.end() ? 0 : done->second; i < times_; i++) {
      const Clock::time_point begin = Clock::now();
      if (i > 0 && std::chrono::duration<double>(begin - start).count() >= seconds_) break;
      const uint64_t own = i == 0 ? seed() : new_seed();
      const std::string again =
          "PRUNEPEFT_TEST_SEED=" + std::to_string(own) + " PRUNEPEFT_TEST_ONLY='" + test + "' " + program_;
      const bool ok = run(own + hash(test));
      ran++;
      if (!ok) {
        failed++;
        std::printf("run again: %s\n", again.c_str());
      }
      if (log_.empty()) continue;
      const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
      std::ofstream(log_, std::ios::app) << suite_ + "\t" + name_ + ": " + test + "\t" + std::to_string(own) + "\t" +
                                                (ok ? "ok\t" : "FAILED\t") + std::to_string(milliseconds) +
                                                (ok ? "" : "\t" + again) + "\n";
    }
    std::printf("%s %s", failed == 0 ? "ok    " : "FAILED", test.c_str());
    if (times_ > 1) std::printf(": %d runs, %d failures", ran, failed);
    std::printf("\n");
  }

 private:
  std::string program_, name_, only_;
  int times_;
  double seconds_;
  std::string log_, suite_;
  std::map<std::string, int> done_;
};

}  // namespace check
