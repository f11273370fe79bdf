// The seed of tests. It is the same in each run unless the environment says otherwise:
//   PRUNEPEFT_TEST_SEED     a number, or "random" for a new one in each run
//   PRUNEPEFT_TEST_ONLY     part of a test's name; other tests are left out
//   PRUNEPEFT_TEST_TIMES    how often each test runs, each time with another seed
//   PRUNEPEFT_TEST_SECONDS  the time after which a test is not begun again
//   PRUNEPEFT_TEST_CASES    the part of the cases that a run checks, above 0 and at most 1; 1 unless it is set. See drawn_case.
//   PRUNEPEFT_TEST_LOG      a file to which each run is added as a line, tabs between: suite, "program: test", seed,
//                           ok or FAILED, milliseconds, what runs a failure again, the error that came nearest to its
//                           limit as a part of it, and where; empty where there is none. What it has already counts as times.
//                           A run that ends its program is FAILED too, with 0 milliseconds (last_words.h); what ends it outside
//                           of a test has the name "outside of its tests".
//   PRUNEPEFT_TEST_SUITE    the first column there
// Numbers of a test follow from the seed and from its name, so that one runs alone as with others.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include "last_words.h"

#if defined(__linux__)
#include <unistd.h>
#endif

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

/** PRUNEPEFT_TEST_CASES, as it was given and as a number. */
inline const std::string& given_part() {
  static const std::string value = environment("PRUNEPEFT_TEST_CASES", "1");
  return value;
}
inline double part_of_cases() {
  static const double value = [] {
    char* end = nullptr;
    const double part = std::strtod(given_part().c_str(), &end);
    if (*end != 0 || !(part > 0 && part <= 1)) {
      std::printf("PRUNEPEFT_TEST_CASES must be above 0 and at most 1, got %s\n", given_part().c_str());
      std::exit(1);
    }
    return part;
  }();
  return value;
}

/** Whether a run checks a part of the cases alone. */
inline bool draws_cases() {
  return part_of_cases() < 1;
}

/** What draws cases: it follows from the seed, and leaves the operands' numbers alone. */
struct CaseDraw {
  std::mt19937_64 random;
  int64_t asked = 0, drawn = 0;
  explicit CaseDraw(uint64_t seed) : random(seed ^ 0xCA5E5) {}
};
inline CaseDraw& case_draw() {
  static CaseDraw draw(seed());
  return draw;
}

/**
 * Whether this run checks the case that comes next: each is drawn by itself, with the probability PRUNEPEFT_TEST_CASES, so that
 * every case has its turn where runs are repeated. Asked in the loop over the cases, before a case's operands are made:
 *
 *   for (const Case& c : cases)
 *     if (drawn_case()) check(c);
 */
inline bool drawn_case() {
  if (!draws_cases()) return true;
  CaseDraw& draw = case_draw();
  draw.asked++;
  const bool is_drawn = std::ldexp(static_cast<double>(draw.random() >> 11), -53) < part_of_cases();
  draw.drawn += is_drawn;
  return is_drawn;
}
/** In a run of a part, a random one of `count`: a setting, of which each case takes few. */
inline int drawn_setting(int count) {
  return static_cast<int>(case_draw().random() % static_cast<uint64_t>(count));
}
/** Whether a run has had cases and checked none: it counts as no run. */
inline bool drew_nothing() {
  return case_draw().asked > 0 && case_draw().drawn == 0;
}

/** As one word of a shell. */
inline std::string quoted(const std::string& text) {
  static const char kPlain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:,=+@%-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

/** Variables of ours that are set, each of which may change what a test does, but for those at the head of this file. */
inline std::string other_variables() {
  std::set<std::string> words;  // in an order that follows from them
#if defined(__linux__)
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string given = *variable;
    const size_t equals = given.find('=');
    if (given.rfind("PRUNEPEFT_", 0) != 0 || given.rfind("PRUNEPEFT_TEST_", 0) == 0 || equals == std::string::npos) continue;
    words.insert(" " + given.substr(0, equals + 1) + quoted(given.substr(equals + 1)));
  }
#endif
  std::string text;
  for (const std::string& word : words) text += word;
  return text;
}

/** The environment that runs the same cases with the same numbers again. */
inline std::string environment_of(uint64_t seed) {
  return "PRUNEPEFT_TEST_SEED=" + std::to_string(seed) + (draws_cases() ? " PRUNEPEFT_TEST_CASES=" + given_part() : "") +
         other_variables();
}

/** What a program says that ends in the midst of `test`. */
inline std::string last_words(const std::string& test, const std::string& again) {
  return "FAILED " + test + ": the program has ended\nrun again: " + again + "\n";
}

/** The error that came nearest to its limit, as a part of it, and where. */
struct Nearest {
  double part = -1;
  std::string where;
  /** `place` is asked for where the error is the nearest so far. */
  template <class Place>
  void add(double error, double limit, Place place) {
    const double of_limit = error == 0 ? 0 : error / limit;
    if (std::isnan(part) || of_limit <= part) return;  // a NaN is the nearest
    part = of_limit;
    where = place();
  }
  /** Two columns of the log. What is no number, or infinite, is one that programs take for large. */
  std::string text() const {
    if (part < 0) return "\t";
    char number[32];
    std::snprintf(number, sizeof number, "%.3g", std::isfinite(part) ? part : 1e99);
    return std::string(number) + "\t" + where;
  }
};
inline Nearest& nearest() {
  static Nearest value;
  return value;
}

/** What a program returns that has no test of the name that was asked for, or of whose cases none was drawn. */
constexpr int kNoTest = 2;

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
    prepare_between();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed()));
    std::ifstream log(log_);
    for (std::string line; std::getline(log, line);) {
      const size_t first = line.find('\t'), second = line.find('\t', first + 1);
      if (second != std::string::npos && line.substr(0, first) == suite_) done_[line.substr(first + 1, second - first - 1)]++;
    }
  }

  const std::string& only() const { return only_; }
  bool asks_for(const std::string& test) const { return test.find(only_) != std::string::npos; }

  /**
   * `run` gets the seed of the test's numbers and returns whether the test has passed. A run that drew no case is made again
   * with another seed, some thousand times; without repeats it is none. If none has drawn one, false is returned.
   */
  bool run(const std::string& test, const std::function<bool(uint64_t)>& run) const {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const auto done = done_.find(name_ + ": " + test);
    const int first = done == done_.end() ? 0 : done->second;
    int ran = 0, failed = 0, without_cases = 0, in_a_row = 0;
    while (first + ran < times_) {
      const Clock::time_point begin = Clock::now();
      if (ran + without_cases > 0 && std::chrono::duration<double>(begin - start).count() >= seconds_) break;
      const uint64_t own = first + ran + without_cases == 0 ? seed() : new_seed();
      const std::string again = environment_of(own) + " PRUNEPEFT_TEST_ONLY='" + test + "' " + quoted(program_);
      prepare(test, own, again, true);
      case_draw() = CaseDraw(own + hash(test));
      nearest() = Nearest();
      const bool ok = run(own + hash(test));
      prepare_between();
      if (ok && drew_nothing()) {
        without_cases++;
        if (times_ == 1 || ++in_a_row == kMostWithoutCases) break;
        continue;
      }
      in_a_row = 0;
      ran++;
      if (!ok) {
        failed++;
        std::printf("run again: %s\n", again.c_str());
      }
      if (log_.empty()) continue;
      const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
      std::ofstream(log_, std::ios::app) << line(test, own, ok, milliseconds, again, nearest());
    }
    const bool none = ran == 0 && without_cases > 0;
    std::printf("%s %s", none ? "none  " : failed == 0 ? "ok    " : "FAILED", test.c_str());
    if (times_ > 1) std::printf(": %d runs, %d failures", ran, failed);
    if (none)
      std::printf(": no case was drawn");
    else if (in_a_row == kMostWithoutCases)
      std::printf(", then %d in which no case was drawn", in_a_row);
    std::printf("\n");
    return !none;
  }

 private:
  static constexpr int kMostWithoutCases = 5000;

  /** Of the log. */
  std::string line(const std::string& test, uint64_t own, bool ok, int64_t milliseconds, const std::string& again,
                   const Nearest& nearest) const {
    return suite_ + "\t" + name_ + ": " + test + "\t" + std::to_string(own) + "\t" + (ok ? "ok" : "FAILED") + "\t" +
           std::to_string(milliseconds) + "\t" + (ok ? "" : again) + "\t" + nearest.text() + "\n";
  }
  void prepare(const std::string& test, uint64_t own, const std::string& again, bool at_exit) const {
    LastWords::prepare(last_words(test, again), log_, log_.empty() ? "" : line(test, own, false, 0, again, Nearest()), at_exit);
  }
  /** Between tests, before and behind them: a leak, for one, is found when the program ends. */
  void prepare_between() const {
    const std::string only = only_.empty() ? "" : " PRUNEPEFT_TEST_ONLY=" + quoted(only_);
    prepare("outside of its tests", seed(), environment_of(seed()) + only + " " + quoted(program_), false);
  }

  std::string program_, name_, only_;
  int times_;
  double seconds_;
  std::string log_, suite_;
  std::map<std::string, int> done_;
};

}  // namespace check
