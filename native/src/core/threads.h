// How work is spread over threads. Work comes as phases of independent items; an item computes the same bits whichever thread
// runs it, so that no result depends on the number of threads. The templates are static, since translation units compiled for
// different instruction sets must not share a copy.
#pragma once

#include <stdint.h>

namespace prunepeft {

/** `items` calls of run(context, item). */
struct Phase {
  int64_t items;
  void (*run)(const void* context, int64_t item);
  const void* context;
};

/** A phase that calls `body(item)`; `body` must outlive it. */
template <class Body>
static Phase phase(int64_t items, const Body& body) {
  return Phase{items, [](const void* context, int64_t item) { (*static_cast<const Body*>(context))(item); }, &body};
}

constexpr int kMostPhases = 4;

/**
 * Runs at most kMostPhases phases one after the other, with a barrier in between. `operations` is an estimate of the
 * multiplications and additions in all of them: below some ten microseconds of work the calling thread does it alone, for
 * waking others costs as much.
 */
void run_phases(const Phase* phases, int count, double operations);

/** In an item: the number of the thread that runs it, less than call_threads(). It names scratch memory, never a result. */
int64_t thread_number();

template <class... Phases>
static void run_phases(double operations, const Phases&... phases) {
  static_assert(sizeof...(phases) <= kMostPhases);
  const Phase list[] = {phases...};
  run_phases(list, sizeof...(phases), operations);
}

}  // namespace prunepeft
