// Tests that end their program, each in another way, once they have failed: what it has said by then, Crashes.cmake looks at.
#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <thread>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

namespace {

void fail() {
  check::context() = "a context of its own";
  CHECK_EQUAL(1 + 1, 3);
}

/** Its address is nobody's constant. */
volatile int* volatile nowhere = nullptr;

[[gnu::noinline]] int64_t deeper(int64_t depth, const volatile char* above) {
  volatile char room[4096];
  room[0] = above == nullptr ? 1 : above[0];
  return depth == INT64_MAX ? 0 : deeper(depth + 1, room) + room[0];
}

}  // namespace

TEST(a_null_pointer) {
  fail();
  *nowhere = 1;
}

TEST(a_null_pointer_on_several_threads) {
  fail();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([] { *nowhere = 1; });
  for (std::thread& thread : threads) thread.join();
}

TEST(an_endless_recursion) {
  fail();
  // Without a limit it would take all memory.
  rlimit limit = {};
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, 8 << 20);
  setrlimit(RLIMIT_STACK, &limit);
  CHECK(deeper(0, nullptr) == 0);
}

TEST(an_abort) {
  fail();
  std::abort();
}

TEST(an_uncaught_exception) {
  fail();
  throw std::runtime_error("nobody catches it");
}

TEST(a_bus_error) {
  fail();
  std::raise(SIGBUS);
}

TEST(a_fault_of_arithmetic) {
  fail();
  std::raise(SIGFPE);
}

TEST(an_illegal_instruction) {
  fail();
  std::raise(SIGILL);
}

TEST(an_exit) {
  fail();
  std::exit(3);
}

TEST(a_quick_exit) {
  fail();
  std::quick_exit(4);
}

/** Repeated, each time with another seed. */
TEST(the_third_run) {
  static int runs = 0;
  if (++runs < 3) return;
  fail();
  std::abort();
}

/** That of a child is its parent's to judge. */
TEST(an_end_of_a_child_alone) {
  const pid_t child = fork();
  if (child == 0) std::abort();
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
}

namespace {
/** Behind all tests. */
struct AtTheEnd {
  ~AtTheEnd() {
    if (check::environment("PRUNEPEFT_CRASH_AT_THE_END") == "1") std::abort();
  }
} at_the_end;
}  // namespace

TEST(nothing) {}
