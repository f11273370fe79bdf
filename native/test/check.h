// The check header of our tests: named tests, checks that print what they saw, and random numbers from the seed in seed.h. Each
// test program includes it once.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "seed.h"

namespace check {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

/** What the present case is (shape, instruction set, ...), printed with a failure. */
inline std::string& context() {
  static std::string text;
  return text;
}

struct Registration {
  Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

using Random = std::mt19937_64;

inline Random& random() {
  static Random generator{seed()};
  return generator;
}

/** A number in [low, high]. */
inline int64_t pick(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(random());
}

template <class T>
const T& pick(const std::vector<T>& from) {
  return from[pick(0, static_cast<int64_t>(from.size()) - 1)];
}

inline void report(const char* file, int line, const std::string& what) {
  if (++failures() > 20) return;
  std::printf("%s:%d: %s\n    in %s\n", file, line, what.c_str(), context().c_str());
}

/** Runs the tests whose names contain `only`, as often as the environment asks for (seed.h). */
inline int run_all(const char* program, const char* only) {
  const Repeats repeats(program, only);
  bool any = false, any_ran = false;
  for (const Test& test : tests()) {
    if (!repeats.asks_for(test.name)) continue;
    any = true;
    const bool ran = repeats.run(test.name, [&test](uint64_t seed) {
      const int before = failures();
      context() = test.name;
      random().seed(seed);
      test.run();
      return failures() == before;
    });
    any_ran = any_ran || ran;
  }
  if (!any) {
    std::printf("%s has no test with '%s' in its name\n", program, repeats.only().c_str());
    return kNoTest;
  }
  return failures() != 0 ? 1 : any_ran ? 0 : kNoTest;
}

/** Compares an error with its limit; both are remembered if it is nearer to it than all before (seed.h). */
inline void check_at_most(const char* file, int line, const char* text, double seen, double limit) {
  nearest().add(seen, limit, [&] {
    const std::string path(file);
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(line) + ": " + text;
  });
  if (seen <= limit) return;
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, " is %.3g, more than %.3g", seen, limit);
  report(file, line, text + std::string(numbers));
}

}  // namespace check

#define TEST(name)                                           \
  static void name();                                        \
  static const check::Registration name##_test{#name, name}; \
  static void name()

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) check::report(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)

#define CHECK_EQUAL(seen, expected)                                                                              \
  do {                                                                                                           \
    const auto check_seen = (seen);                                                                              \
    const auto check_expected = (expected);                                                                      \
    if (!(check_seen == check_expected)) {                                                                       \
      check::report(__FILE__, __LINE__,                                                                          \
                    #seen " is " + std::to_string(check_seen) + ", expected " + std::to_string(check_expected)); \
    }                                                                                                            \
  } while (false)

#define CHECK_AT_MOST(seen, limit) check::check_at_most(__FILE__, __LINE__, #seen, seen, limit)

/** The call fails with `status` and a message that contains `part`. */
#define CHECK_FAILS(call, status, part)                                                                      \
  do {                                                                                                       \
    const int check_status = (call);                                                                         \
    if (check_status != (status)) {                                                                          \
      check::report(__FILE__, __LINE__, #call " gives status " + std::to_string(check_status));              \
    }                                                                                                        \
    if (std::strstr(pp_last_error(), part) == nullptr) {                                                     \
      check::report(__FILE__, __LINE__,                                                                      \
                    std::string("message \"") + pp_last_error() + "\" lacks \"" + std::string(part) + "\""); \
    }                                                                                                        \
  } while (false)

int main(int argc, char** argv) {
  return check::run_all(argv[0], argc > 1 ? argv[1] : nullptr);
}
