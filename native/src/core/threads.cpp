#include "core/threads.h"

#include <omp.h>

#include <algorithm>
#include <atomic>

#include "core/status.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace {

// About ten microseconds of one core.
constexpr double kOperationsWorthATeam = 5e5;

std::atomic<int32_t>& thread_count() {
  static std::atomic<int32_t> threads{omp_get_num_procs()};
  return threads;
}

// OpenMP's own number would be that of a caller's team where a call runs alone.
thread_local int64_t own_number = 0;

struct ItemRun {
  int64_t begin, end;
};

/**
 * Takes the next of `items` items; an empty run where none is left. What neighbours read is mostly one run of memory, which the
 * processor then fetches ahead by itself, so that they go to one thread; the runs become shorter towards the end, which evens
 * out cores that others use too. An item's bits don't depend on who computes it.
 */
ItemRun next_run(std::atomic<int64_t>& next, int64_t items, int64_t threads) {
  int64_t begin = next.load(std::memory_order_relaxed), end;
  do {
    const int64_t share = (items - begin) / (4 * threads);
    end = std::min(begin + std::max<int64_t>(share, 1), items);
  } while (begin < end && !next.compare_exchange_weak(begin, end, std::memory_order_relaxed));
  return {begin, end};
}

}  // namespace

int64_t thread_number() {
  return own_number;
}

void run_phases(const Phase* phases, int count, double operations) {
  int64_t most_items = 0;
  for (int i = 0; i < count; ++i) most_items = phases[i].items > most_items ? phases[i].items : most_items;
  int64_t threads = operations < kOperationsWorthATeam ? 1 : pp_num_threads();
  if (threads > most_items) threads = most_items;
  if (threads <= 1) {
    own_number = 0;
    for (int i = 0; i < count; ++i) {
      for (int64_t item = 0; item < phases[i].items; ++item) phases[i].run(phases[i].context, item);
    }
    return;
  }
  std::atomic<int64_t> next[kMostPhases] = {};
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    own_number = omp_get_thread_num();
    for (int i = 0; i < count; ++i) {
      for (ItemRun run; run = next_run(next[i], phases[i].items, threads), run.begin < run.end;) {
        for (int64_t item = run.begin; item < run.end; ++item) phases[i].run(phases[i].context, item);
      }
      if (i + 1 < count) {
#pragma omp barrier
      }
    }
  }
}

}  // namespace prunepeft

pp_status pp_set_num_threads(int32_t threads) {
  if (threads < 1 || threads > PP_MOST_THREADS) {
    return prunepeft::fail(PP_INVALID_ARGUMENT, "threads must be in [1, %d], got %d", static_cast<int>(PP_MOST_THREADS),
                           static_cast<int>(threads));
  }
  prunepeft::thread_count().store(threads, std::memory_order_relaxed);
  return PP_OK;
}

int32_t pp_num_threads(void) {
  return prunepeft::thread_count().load(std::memory_order_relaxed);
}
