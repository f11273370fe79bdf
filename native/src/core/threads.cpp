#include "core/threads.h"

#include <omp.h>

#include <atomic>

#include "core/status.h"
#include "prunepeft/device.h"

namespace prunepeft {
namespace {

// About ten microseconds of one core.
constexpr double kOperationsWorthATeam = 5e5;

// Parts that a phase is cut into for each thread: enough to even out cores that others use too.
constexpr int64_t kPartsOfAThread = 16;

std::atomic<int32_t>& thread_count() {
  static std::atomic<int32_t> threads{omp_get_num_procs()};
  return threads;
}

// OpenMP's own number would be that of a caller's team where a call runs alone.
thread_local int64_t own_number = 0;

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
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    own_number = omp_get_thread_num();
    for (int i = 0; i < count; ++i) {
      // Dynamic: the cores are often shared with others' work, and an item's bits don't depend on who computes it. Neighbours go
      // to one thread: what they read is mostly one run of memory, which the processor then fetches ahead by itself.
      const int64_t part = phases[i].items / (kPartsOfAThread * threads);
#pragma omp for schedule(dynamic, part > 1 ? part : 1)
      for (int64_t item = 0; item < phases[i].items; ++item) phases[i].run(phases[i].context, item);
    }
  }
}

}  // namespace prunepeft

pp_status pp_set_num_threads(int32_t threads) {
  if (threads < 1) {
    return prunepeft::fail(PP_INVALID_ARGUMENT, "threads must be at least 1, got %d", static_cast<int>(threads));
  }
  prunepeft::thread_count().store(threads, std::memory_order_relaxed);
  return PP_OK;
}

int32_t pp_num_threads(void) {
  return prunepeft::thread_count().load(std::memory_order_relaxed);
}
