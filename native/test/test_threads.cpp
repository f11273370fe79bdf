#include "core/threads.h"

#include <atomic>
#include <cfenv>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "check.h"
#include "prunepeft/device.h"
#if defined(PRUNEPEFT_FAILING_ALLOCATIONS)
#include "failing_allocations.h"
#endif

namespace {

constexpr double kMuch = 1e9;  // operations: enough for all threads

/** Runs phases of random sizes; returns how many items were not run exactly once, or before the phase before had ended. */
int64_t faults_of_a_call(std::mt19937_64& random, int64_t most_items) {
  std::vector<std::vector<std::atomic<int>>> runs;
  for (int i = 0; i < 3; ++i) runs.emplace_back(random() % (most_items + 1));
  std::atomic<int64_t> faults{0};
  std::vector<std::atomic<int>> busy(pp_num_threads());
  std::atomic<int64_t> ended[3] = {{0}, {0}, {0}};
  const auto item = [&](int phase, int64_t i) {
    if (phase > 0 && ended[phase - 1] != static_cast<int64_t>(runs[phase - 1].size())) ++faults;
    const int64_t number = prunepeft::thread_number();
    if (number < 0 || number >= pp_num_threads()) {
      ++faults;
      return;
    }
    // No two items at a time have a number.
    if (busy[number].exchange(1) != 0) ++faults;
    if (i % 4 == 0) std::this_thread::yield();
    ++runs[phase][i];
    busy[number] = 0;
    ++ended[phase];
  };
  const auto first = [&](int64_t i) { item(0, i); };
  const auto second = [&](int64_t i) { item(1, i); };
  const auto third = [&](int64_t i) { item(2, i); };
  prunepeft::run_phases(kMuch, prunepeft::phase(runs[0].size(), first), prunepeft::phase(runs[1].size(), second),
                        prunepeft::phase(runs[2].size(), third));
  for (const auto& phase : runs) {
    for (const auto& count : phase) faults += count != 1;
  }
  return faults;
}

}  // namespace

#if defined(__linux__)
namespace {

/** Whether `run` returns `expected` in a forked child. */
template <class Run>
bool gives_in_a_child(int expected, const Run& run) {
  const pid_t child = fork();
  if (child == 0) {
    const int seen = run();
    if (seen != expected) std::fprintf(stderr, "got %d, expected %d\n", seen, expected);
    _exit(seen == expected ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

cpu_set_t own_processors() {
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  return own;
}

/** Binds the calling thread to one processor. */
void bind_to_one() {
  cpu_set_t own = own_processors();
  int first = 0;
  while (!CPU_ISSET(first, &own)) ++first;
  CPU_ZERO(&own);
  CPU_SET(first, &own);
  sched_setaffinity(0, sizeof own, &own);
}

/** How many processors a helper may run on. */
int processors_of_a_helper() {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> begun{0}, seen{0};
  // Both items wait for each other, so that one is the helper's.
  const auto item = [&](int64_t) {
    ++begun;
    while (begun < 2) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    const cpu_set_t own = own_processors();
    seen = CPU_COUNT(&own);
  };
  prunepeft::run_phases(kMuch, prunepeft::phase(2, item));
  return seen;
}

/** On a thread of its own. */
template <class Run>
void on_a_thread(const Run& run) {
  std::thread(run).join();
}

}  // namespace

// These before another test, since the number is taken once, and a child of a process without helpers has its own.
TEST(at_first_there_are_as_many_threads_as_the_process_may_have_processors) {
#if defined(__SANITIZE_THREAD__)
  return;  // the sanitizer's own thread keeps all processors
#else
  CHECK(gives_in_a_child(1, [] {
    bind_to_one();
    return pp_num_threads();
  }));
#endif
}

TEST(a_bound_thread_that_calls_first_gives_its_processors_to_none) {
  const cpu_set_t own = own_processors();
  const int all = CPU_COUNT(&own);
  CHECK(gives_in_a_child(all, [] {
    on_a_thread([] {
      bind_to_one();
      pp_num_threads();
    });
    return pp_num_threads();
  }));
  CHECK(gives_in_a_child(all, [] {
    int seen = 0;
    on_a_thread([&] {
      bind_to_one();
      pp_set_num_threads(2);
      seen = processors_of_a_helper();
    });
    return seen;
  }));
}

TEST(a_main_thread_bound_later_gives_its_processors_to_none) {
  const cpu_set_t own = own_processors();
  const int all = CPU_COUNT(&own);
  // As an OpenMP library leaves it: the others of its team are bound elsewhere, or not at all.
  const auto beside_another = [](const auto& run) {
    std::atomic<bool> ended{false};
    std::thread other([&] {
      while (!ended) std::this_thread::yield();
    });
    bind_to_one();
    const int result = run();
    ended = true;
    other.join();
    return result;
  };
  CHECK(gives_in_a_child(all, [&] { return beside_another(pp_num_threads); }));
  CHECK(gives_in_a_child(all, [&] {
    pp_set_num_threads(2);
    return beside_another(processors_of_a_helper);
  }));
}
#endif

#if defined(PRUNEPEFT_FAILING_ALLOCATIONS)
// Before other tests with helpers, since helpers stay once they are there.
TEST(without_memory_for_helpers_the_caller_does_all) {
  pp_set_num_threads(4);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> runs{0}, others{0};
  const auto item = [&](int64_t) {
    ++runs;
    others += std::this_thread::get_id() != caller;
  };
  for (int64_t n = 1;; ++n) {
    failing::at(n, true);
    prunepeft::run_phases(kMuch, prunepeft::phase(100, item));
    const bool failed = failing::stop();
    CHECK_EQUAL(runs.exchange(0), 100);
    if (!failed) break;
    if (n == 1) CHECK_EQUAL(others.load(), 0);
  }
}

#endif

TEST(each_item_runs_once_and_after_the_phase_before) {
  for (int32_t threads : {1, 2, 3, 7}) {
    pp_set_num_threads(threads);
    for (int call = 0; call < 3000; ++call) {
      if (check::drawn_case()) CHECK_EQUAL(faults_of_a_call(check::random(), 20), 0);
    }
  }
}

TEST(sleeping_threads_are_woken) {
  pp_set_num_threads(2);
  for (int call = 0; call < 20; ++call) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    // Both items wait for each other: one thread alone would never end.
    std::atomic<int> begun{0};
    const auto item = [&](int64_t) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
    };
    prunepeft::run_phases(kMuch, prunepeft::phase(2, item));
    CHECK_EQUAL(begun.load(), 2);
  }
}

TEST(helpers_round_as_their_caller_does) {
  pp_set_num_threads(2);
  const std::thread::id caller = std::this_thread::get_id();
  // A helper that is there already is offered first; both of its callers' settings come in turn.
  for (int call = 0; call < 20; ++call) {
    const bool upward = call % 2 == 1;
    std::atomic<int> begun{0}, seen{-1};
    const auto item = [&](int64_t) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
      if (std::this_thread::get_id() == caller) return;
      const volatile float one = 1.0f, little = 1e-20f, subnormal = 2e-39f;
      int bits = one + little > 1.0f ? 1 : 0;
      if (subnormal * one == 0.0f) bits |= 2;
      seen = bits;
    };
    std::fesetround(upward ? FE_UPWARD : FE_TONEAREST);
    int expected = upward ? 1 : 0;
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    constexpr unsigned kFlushes = 0x8040;  // FTZ and DAZ
    if (call % 4 > 1) {
      _mm_setcsr(before | kFlushes);
      expected |= 2;
    }
#endif
    prunepeft::run_phases(kMuch, prunepeft::phase(2, item));
#if defined(__x86_64__)
    _mm_setcsr(before);
#endif
    std::fesetround(FE_TONEAREST);
    CHECK_EQUAL(seen.load(), expected);
  }
}

TEST(helpers_serve_several_callers) {
  pp_set_num_threads(3);
  std::atomic<int64_t> faults{0};
  const uint64_t seed = check::random()();
  const int calls = check::draws_cases() ? 50 : 1000;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&faults, seed, caller, calls] {
      std::mt19937_64 random(seed + caller);
      for (int call = 0; call < calls; ++call) faults += faults_of_a_call(random, 12);
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQUAL(faults.load(), 0);
}

TEST(helpers_that_were_busy_join_later) {
  pp_set_num_threads(2);
  // Both items of the first call wait for the second call's first; that one's second and third wait for each other.
  std::atomic<int> waiting{0}, met{0};
  std::atomic<bool> go{false};
  std::thread other([&] {
    const auto item = [&](int64_t) {
      ++waiting;
      while (!go) std::this_thread::yield();
    };
    prunepeft::run_phases(kMuch, prunepeft::phase(2, item));
  });
  while (waiting < 2) std::this_thread::yield();
  std::atomic<int> first{0};
  const auto item = [&](int64_t i) {
    if (i == 0) {
      go = true;
      other.join();
      first = 1;
      return;
    }
    while (first == 0) std::this_thread::yield();
    if (i < 3) return;
    ++met;
    while (met < 2) std::this_thread::yield();
  };
  prunepeft::run_phases(kMuch, prunepeft::phase(5, item));
  CHECK_EQUAL(met.load(), 2);
}

TEST(little_work_is_the_callers) {
  pp_set_num_threads(4);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> others{0};
  const auto item = [&](int64_t) { others += std::this_thread::get_id() != caller; };
  prunepeft::run_phases(1000.0, prunepeft::phase(100, item));
  CHECK_EQUAL(others.load(), 0);
}
