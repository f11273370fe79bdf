// Times of calls on the default stream, by CUDA events: the median of samples, each the mean over a round of calls.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

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

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Sample {
  double microseconds;
  int samples;
  Reading reading;  // medians, while the calls ran
};

/** Of calls that were timed in turns with others, so that both see the same clocks. */
struct Turns {
  Sample time;
  double other_microseconds;
  double ratio;  // median of the times over the others' just before
};

class Timer {
 public:
  /** Enqueues the i-th call on the default stream. */
  using Call = std::function<void(int)>;

  Timer() {
    check(cudaEventCreate(&start_), "cudaEventCreate");
    check(cudaEventCreate(&stop_), "cudaEventCreate");
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
    return {summary(series), summary(others).microseconds, median(ratios)};
  }

 private:
  struct Series {
    const Call& call;
    int calls;        // a sample
    double expected;  // microseconds of a sample
    std::vector<double> microseconds, megahertz, watts;
  };

  Series warm_up(int most_calls, const Call& call) {
    for (int i = 0; i < kFirstCalls; i++) call(i);  // code is loaded, plans are made
    const int fewest = std::min(kFewestCalls, most_calls);
    const double once = round(fewest, call).first / fewest;
    const int calls = fitting(kMicrosecondsASample / once, fewest, most_calls);
    return {call, calls, calls * once, {}, {}, {}};
  }

  void add_sample(Series* series) {
    const auto [microseconds, reading] = round(series->calls, series->call);
    series->microseconds.push_back(microseconds / series->calls);
    series->megahertz.push_back(reading.megahertz);
    series->watts.push_back(reading.watts);
  }

  static Sample summary(const Series& series) {
    return {median(series.microseconds),
            static_cast<int>(series.microseconds.size()),
            {median(series.megahertz), median(series.watts)}};
  }

  static int fitting(double count, int fewest, int most) { return static_cast<int>(std::clamp<double>(count, fewest, most)); }

  std::pair<double, Reading> round(int calls, const Call& call) {
    check(cudaEventRecord(start_, nullptr), "cudaEventRecord");
    for (int i = 0; i < calls; i++) call(i);
    check(cudaEventRecord(stop_, nullptr), "cudaEventRecord");
    const Reading reading = gauge_.read();
    check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
    return {std::max<double>(milliseconds * kMicrosecondsPerMillisecond, 1e-3), reading};
  }

  Gauge gauge_;
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};
}  // namespace gpu_check
