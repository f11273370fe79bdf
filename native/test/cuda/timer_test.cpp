// gpu-check's timer in the emulator: how calls are numbered, and what is marked as the host's time.
#include "../../gpu-check/timer.h"

#include "check.h"

namespace {
using gpu_check::Sample;
using gpu_check::Timer;

/** Rounds that follow each other take other sets of operands, those of rows that are timed in turns too. */
TEST(calls_are_numbered_through) {
  Timer timer;
  std::vector<int64_t> numbers;
  const Timer::Call call = [&](int64_t i) { numbers.push_back(i); };
  timer.time(1, call);
  timer.time_in_turns(1, call, call);
  CHECK(numbers.size() >= 6);
  for (size_t i = 0; i < numbers.size(); i++) CHECK(numbers[i] == static_cast<int64_t>(i));
}

/** Calls that wait in their stream until all are enqueued are the device's to time. */
TEST(calls_that_wait_are_not_marked) {
  Timer timer;
  const gpu_check::Memory memory(16);
  const Sample sample = timer.time(
      1, [&](int64_t) { gpu_check::check(cudaMemsetAsync(memory.data(), 1, memory.bytes(), nullptr), "cudaMemsetAsync"); });
  CHECK(!sample.host_bound);
}

/** Waits for the device, and then lets it wait. */
Timer::Call slow_call(std::chrono::milliseconds wait) {
  return [wait](int64_t) {
    simt::finish_streams();
    const auto end = std::chrono::steady_clock::now() + wait;
    while (std::chrono::steady_clock::now() < end) continue;
  };
}

/**
 * Whether what is timed with such a call is marked. The process may lose its processor between the call's end and the event
 * that follows, and the device seems slow then: the call waits twice as long at each further attempt.
 */
bool is_marked(const std::function<Sample(const Timer::Call&)>& time) {
  for (std::chrono::milliseconds wait(20); wait < std::chrono::seconds(1); wait *= 2)
    if (time(slow_call(wait)).host_bound) return true;
  return false;
}

/** Where the device has done its work before the host has enqueued what follows, the time is the host's. */
TEST(calls_that_the_device_waits_for_are_marked) {
  Timer timer;
  CHECK(is_marked([&](const Timer::Call& slow) {
    const Sample sample = timer.time(1, slow);
    CHECK(sample.microseconds >= 2e4);
    return sample;
  }));
}

/** A comparison is the host's if either of its sides is. */
TEST(calls_beside_those_that_the_device_waits_for_are_marked) {
  Timer timer;
  const gpu_check::Memory memory(16);
  const Timer::Call fill = [&](int64_t) {
    gpu_check::check(cudaMemsetAsync(memory.data(), 1, memory.bytes(), nullptr), "cudaMemsetAsync");
  };
  CHECK(!timer.time_in_turns(1, fill, fill).time.host_bound);
  CHECK(is_marked([&](const Timer::Call& slow) { return timer.time_in_turns(1, slow, fill).time; }));
  CHECK(is_marked([&](const Timer::Call& slow) { return timer.time_in_turns(1, fill, slow).time; }));
}
}  // namespace
