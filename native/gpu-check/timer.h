// Times of calls on the default stream, by CUDA events: the median of samples, each the mean over a round of calls.
//
// Before a round the device is given memory to read, for as long as the host takes to enqueue the calls, so that they wait for
// the device and not it for them; what the host was slower at all the same is marked. The memory read is larger than the L2
// cache, too: the first call finds nothing of its own there.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "cold.h"
#include "gauge.h"

namespace gpu_check {
#if defined(PRUNEPEFT_EMULATED)
// Everything runs once; times mean nothing.
constexpr int kSamples = 1, kFewestSamples = 1, kCallsASample = 1, kFewestCalls = 1, kLaunches = 1, kFirstCalls = 0;
#else
constexpr int kSamples = 15, kFewestSamples = 3, kCallsASample = 24, kFewestCalls = 3, kLaunches = 200, kFirstCalls = 1;
#endif
/**
 * Most that a sample and a row are to take: slow calls have fewer calls a sample, then fewer samples. Events resolve half a
 * microsecond, which is 0.4 % of 24 calls of 5 us and less of all others. What a median is there for is other work and
 * changes of the clock; these last for milliseconds, so that 0.4 s in samples of 20 ms see as much of them as 1.5 s do.
 */
constexpr double kMicrosecondsASample = 2e4, kMicrosecondsARow = 4e5;
constexpr double kMicrosecondsPerMillisecond = 1e3;
/** What is read before a round takes so many times as long as the host was seen to need; and most reads. */
constexpr double kDelayOfHost = 1.5;
constexpr int kMostReads = 256;
/** A round in which the device waited for calls took the host this share of its time or more. */
constexpr double kHostBoundShare = 0.9;

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Sample {
  double microseconds;
  int samples;
  Reading reading;  // medians, while the calls ran
  bool host_bound;  // most samples are of how fast the host enqueues, in place of the device's time
};

/** Of calls that were timed in turns with others, so that both see the same clocks. */
struct Turns {
  Sample time;  // marked as the host's if either is
  double other_microseconds;
  double ratio;  // median of the times over the others' just before
};

class Timer {
 public:
  /**
   * Enqueues a call on the default stream. Calls are numbered through over all rounds of all rows, so that those that take one
   * set of operands after another come to each set as seldom as there are sets.
   */
  using Call = std::function<void(int64_t)>;

  Timer() {
    check(cudaEventCreate(&start_), "cudaEventCreate");
    check(cudaEventCreate(&stop_), "cudaEventCreate");
    const Call reads = [this](int64_t) { cold_.enqueue(1); };
    for (int i = 0; i < 2; i++) read_microseconds_ = round(1, 0, reads).microseconds;  // the first loads the code
    next_ = 0;
  }
  ~Timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }

  /** Of one call. A sample has at most so many. */
  Sample time(int most_calls, const Call& call) {
    Series series = warm_up(most_calls, call);
    const int samples = fitting(kMicrosecondsARow / series.expected, kFewestSamples, kSamples);
    for (int i = 0; i < samples; i++) add_sample(&series);
    return summary(series);
  }

  /** The same, after each sample of `other` one of `call`, in the time of one row. */
  Turns time_in_turns(int most_calls, const Call& other, const Call& call) {
    Series others = warm_up(most_calls, other), series = warm_up(most_calls, call);
    const int turns = fitting(kMicrosecondsARow / (others.expected + series.expected), kFewestSamples, kSamples);
    std::vector<double> ratios;
    for (int i = 0; i < turns; i++) {
      add_sample(&others);
      add_sample(&series);
      ratios.push_back(series.microseconds.back() / others.microseconds.back());
    }
    const Sample other_time = summary(others);
    Sample time = summary(series);
    time.host_bound = time.host_bound || other_time.host_bound;
    return {time, other_time.microseconds, median(ratios)};
  }

 private:
  struct Series {
    const Call& call;
    int calls;        // a sample
    int reads;        // before it
    double expected;  // microseconds of a sample
    std::vector<double> microseconds, megahertz, watts;
    int host_bound = 0;  // samples
  };
  struct Round {
    double microseconds, host_microseconds;
    bool host_bound;
    Reading reading;
  };

  Series warm_up(int most_calls, const Call& call) {
    for (int i = 0; i < kFirstCalls; i++) call(next_++);  // code is loaded, plans are made
    const int fewest = std::min(kFewestCalls, most_calls);
    const Round first = round(fewest, 1, call);
    const double once = first.microseconds / fewest, host = first.host_microseconds / fewest;
    const int calls = fitting(kMicrosecondsASample / once, fewest, most_calls);
    const int reads = fitting(kDelayOfHost * host * calls / read_microseconds_ + 1, 1, kMostReads);
    return {call, calls, reads, std::max(calls * once, reads * read_microseconds_), {}, {}, {}};
  }

  void add_sample(Series* series) {
    const Round sample = round(series->calls, series->reads, series->call);
    series->microseconds.push_back(sample.microseconds / series->calls);
    series->megahertz.push_back(sample.reading.megahertz);
    series->watts.push_back(sample.reading.watts);
    series->host_bound += sample.host_bound ? 1 : 0;
  }

  static Sample summary(const Series& series) {
    return {median(series.microseconds),
            static_cast<int>(series.microseconds.size()),
            {median(series.megahertz), median(series.watts)},
            2 * series.host_bound > static_cast<int>(series.microseconds.size())};
  }

  static int fitting(double count, int fewest, int most) { return static_cast<int>(std::clamp<double>(count, fewest, most)); }

  Round round(int calls, int reads, const Call& call) {
    cold_.enqueue(reads);
    check(cudaEventRecord(start_, nullptr), "cudaEventRecord");
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; i++) call(next_++);
    const std::chrono::duration<double, std::micro> host = std::chrono::steady_clock::now() - begin;
    check(cudaEventRecord(stop_, nullptr), "cudaEventRecord");
    const bool were_waiting = is_ahead();
    const Reading reading = gauge_.read();
    check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
    const double microseconds = std::max<double>(milliseconds * kMicrosecondsPerMillisecond, 1e-3);
    return {microseconds, host.count(), !were_waiting && host.count() >= kHostBoundShare * microseconds, reading};
  }

  /** Whether the device has not come to the round's start yet. */
  bool is_ahead() const {
    const cudaError_t error = cudaEventQuery(start_);
    if (error != cudaErrorNotReady) check(error, "cudaEventQuery");
    if (error == cudaErrorNotReady) cudaGetLastError();  // no error
    return error == cudaErrorNotReady;
  }

  Gauge gauge_;
  ColdReads cold_;
  double read_microseconds_ = 1;
  int64_t next_ = 0;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};
}  // namespace gpu_check
