// Times of every family with CUDA events, beside the copy bandwidth and the frozen linear of the same run.
//
// A sample is the mean over a round of calls between two events, each call on another set of operands, so that no call finds
// its inputs in the L2 cache of the one before; the median of the samples is given. Rows are printed as they are measured. When
// the time allowed has passed, the rest is named as left out. SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>

#include "cublas.h"
#include "operands.h"

namespace gpu_check {
namespace {
constexpr int kSamples = 15, kFewestSamples = 3;
constexpr double kMicrosecondsARow = 1.5e6;  // a row that would take longer has fewer samples
constexpr double kMicrosecondsPerMillisecond = 1e3;
constexpr size_t kMostOperandBytes = size_t{6} << 30;

struct Shape {
  const char* name;
  int64_t M, K, N, r;
};
constexpr Shape kShapes[] = {{"MiniLM", 2048, 384, 384, 32},
                             {"RoBERTa-large", 4096, 1024, 1024, 32},
                             {"4096 wide, 2048 tokens", 2048, 4096, 4096, 16},
                             {"Llama-7B", 8192, 4096, 4096, 16}};

struct Sample {
  double microseconds;
  int samples;
};

struct Row {
  std::string group, dtype, call;
  Sample time;
  double bytes, flops;
};

class Timer {
 public:
  Timer() {
    check(cudaEventCreate(&start_), "cudaEventCreate");
    check(cudaEventCreate(&stop_), "cudaEventCreate");
  }
  ~Timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }

  /** Median over samples of the mean time of one call; `call(i)` enqueues the i-th on the default stream. */
  Sample time(int calls_a_sample, const std::function<void(int)>& call) {
    const double first = round(calls_a_sample, call);  // warms up
    const auto fitting = static_cast<int>(std::min<double>(kMicrosecondsARow / std::max(first, 1.0), kSamples));
    std::vector<double> samples(static_cast<size_t>(std::max(fitting, kFewestSamples)));
    for (double& sample : samples) sample = round(calls_a_sample, call) / calls_a_sample;
    const auto middle = samples.begin() + static_cast<ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    return {*middle, static_cast<int>(samples.size())};
  }

 private:
  double round(int calls, const std::function<void(int)>& call) {
    check(cudaEventRecord(start_, nullptr), "cudaEventRecord");
    for (int i = 0; i < calls; i++) call(i);
    check(cudaEventRecord(stop_, nullptr), "cudaEventRecord");
    check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
    return milliseconds * kMicrosecondsPerMillisecond;
  }

  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

constexpr int kCallsASample = 24;

/** What has been measured, and what there was no time for. */
class Table {
 public:
  explicit Table(double seconds)
      : end_(std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds))) {}

  bool is_full() const { return std::chrono::steady_clock::now() >= end_; }

  void set_bandwidth(double gigabytes_a_second) { bandwidth_ = gigabytes_a_second; }

  void add(const Row& row) {
    rows_.push_back(row);
    const double us = row.time.microseconds;
    printf("%-36s %-9s %-32s %9.1f", row.group.c_str(), row.dtype.c_str(), row.call.c_str(), us);
    if (row.bytes > 0)
      printf(" %8.0f %5.0f%%", row.bytes / us * 1e-3, 100 * row.bytes / us * 1e-3 / bandwidth_);
    else
      printf(" %8s %6s", "", "");
    if (row.flops > 0) printf(" %8.1f", row.flops / us * 1e-6);
    printf("\n");
    fflush(stdout);
  }

  void leave_out(const std::string& what) {
    left_out_.push_back(what);
    printf("left out, no time: %s\n", what.c_str());
  }

  bool write_json(const char* path, const cudaDeviceProp& properties) const {
    FILE* file = fopen(path, "w");
    if (file == nullptr) {
      perror(path);
      return false;
    }
    fprintf(file, "{\n  \"device\": \"%s\",\n  \"multiprocessors\": %d,\n  \"copy_GBps\": %.1f,\n  \"rows\": [",
            properties.name, properties.multiProcessorCount, bandwidth_);
    for (size_t i = 0; i < rows_.size(); i++) {
      const Row& row = rows_[i];
      fprintf(file, "%s\n    {\"group\": \"%s\", \"dtype\": \"%s\", \"call\": \"%s\", \"us\": %.2f, \"samples\": %d",
              i == 0 ? "" : ",", row.group.c_str(), row.dtype.c_str(), row.call.c_str(), row.time.microseconds,
              row.time.samples);
      fprintf(file, ", \"bytes\": %.0f, \"flops\": %.0f}", row.bytes, row.flops);
    }
    fprintf(file, "\n  ],\n  \"left_out\": [");
    for (size_t i = 0; i < left_out_.size(); i++) fprintf(file, "%s\n    \"%s\"", i == 0 ? "" : ",", left_out_[i].c_str());
    fprintf(file, "\n  ]\n}\n");
    return fclose(file) == 0;
  }

 private:
  std::chrono::steady_clock::time_point end_;
  double bandwidth_ = 0;
  std::vector<Row> rows_;
  std::vector<std::string> left_out_;
};

/** Sets of operands that together exceed twice the L2 cache, within a bound. */
int set_count(size_t bytes_a_set, size_t l2_bytes) {
  const size_t wanted = 2 * l2_bytes / bytes_a_set + 2, most = std::max<size_t>(kMostOperandBytes / bytes_a_set, 1);
  return static_cast<int>(std::min<size_t>({wanted, most, 12}));
}

double copy_bandwidth(Timer* timer) {
  constexpr size_t kBytes = size_t{1} << 30;
  const Memory from(kBytes), to(kBytes);
  const Sample sample = timer->time(4, [&](int) {
    check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpyAsync");
  });
  return 2.0 * kBytes / sample.microseconds * 1e-3;
}

/** Times the calls, each on one set of operands after another. */
void time_calls(const std::string& group, pp_dtype dtype, const std::vector<std::vector<Call>>& calls, Timer* timer,
                Table* table) {
  const pp_device device = {PP_CUDA, 0, nullptr};
  for (size_t c = 0; c < calls[0].size(); c++) {
    const Call& first = calls[0][c];
    if (table->is_full()) {
      table->leave_out(group + ", " + dtype_name(dtype) + ", " + first.name);
      continue;
    }
    const Sample sample =
        timer->time(kCallsASample, [&](int i) { calls[static_cast<size_t>(i) % calls.size()][c].run(device); });
    table->add({group, dtype_name(dtype), first.name, sample, first.bytes, first.flops});
  }
}

void time_shape(const Shape& shape, pp_dtype dtype, size_t l2_bytes, const Cublas& cublas, Timer* timer, Table* table) {
  const std::string group = std::string(shape.name) + " " + std::to_string(shape.M) + "," + std::to_string(shape.K) + "," +
                            std::to_string(shape.N) + "," + std::to_string(shape.r);
  if (table->is_full()) return table->leave_out(group + ", " + dtype_name(dtype) + ", all calls");
  const int64_t elements = shape.M * (4 * shape.K + 4 * shape.N) + shape.N * shape.K;
  const int sets = set_count(static_cast<size_t>(elements) * pp_dtype_size(dtype), l2_bytes);
  std::vector<std::unique_ptr<Operands>> operands;
  std::vector<std::vector<Call>> calls;
  for (int i = 0; i < sets; i++) {
    operands.push_back(std::make_unique<Operands>(dtype, shape.M, shape.K, shape.N, shape.r, static_cast<uint64_t>(20 * i)));
    calls.push_back(operands.back()->pure_calls());
    for (Call& call : operands.back()->adding_calls()) calls.back().push_back(std::move(call));
  }
  if (cublas.present()) {
    const auto w = random_elements(dtype, shape.N * shape.K, 99);
    const double flops = 2.0 * static_cast<double>(shape.M * shape.K) * static_cast<double>(shape.N);
    const Sample forward = timer->time(kCallsASample, [&](int i) {
      Operands& o = *operands[static_cast<size_t>(i % sets)];
      cublas.forward(dtype, shape.M, shape.K, shape.N, o.x().data(), w->data(), o.y().data());
    });
    const Sample backward = timer->time(kCallsASample, [&](int i) {
      Operands& o = *operands[static_cast<size_t>(i % sets)];
      cublas.backward(dtype, shape.M, shape.K, shape.N, o.dy().data(), w->data(), o.dx().data());
    });
    table->add({group, dtype_name(dtype), "frozen linear forward (cuBLAS)", forward, 0, flops});
    table->add({group, dtype_name(dtype), "frozen linear dX (cuBLAS)", backward, 0, flops});
  }
  time_calls(group, dtype, calls, timer, table);
}

void time_importance(const char* name, int layers, const std::vector<std::pair<int64_t, int64_t>>& shapes, int64_t r,
                     pp_dtype dtype, size_t l2_bytes, Timer* timer, Table* table) {
  if (table->is_full()) return table->leave_out(std::string(name) + ", " + dtype_name(dtype) + ", all calls");
  std::vector<std::unique_ptr<Modules>> modules;
  modules.push_back(std::make_unique<Modules>(dtype, layers, shapes, r, 1));
  const size_t bytes = static_cast<size_t>(modules[0]->weights()) * 2 * pp_dtype_size(dtype);
  const int sets = set_count(bytes, l2_bytes);
  for (int i = 1; i < sets; i++)
    modules.push_back(std::make_unique<Modules>(dtype, layers, shapes, r, static_cast<uint64_t>(i)));
  std::vector<std::vector<Call>> calls;
  for (const auto& m : modules) calls.push_back(m->calls());
  time_calls(name, dtype, calls, timer, table);
}
}  // namespace

int time_all(const char* json_path, double seconds) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const auto l2_bytes = static_cast<size_t>(properties.l2CacheSize);
  Table table(seconds);
  Timer timer;
  const Cublas cublas;
  if (table.is_full()) {
    table.leave_out("copy bandwidth");
  } else {
    const double bandwidth = copy_bandwidth(&timer);
    table.set_bandwidth(bandwidth);
    printf("%s, %d multiprocessors, copy %.0f GB/s (read + written)%s\n", properties.name, properties.multiProcessorCount,
           bandwidth, cublas.present() ? "" : "; cuBLAS is not here");
    printf("%-36s %-9s %-32s %9s %8s %6s %8s\n", "M,K,N,r", "dtype", "call", "us", "GB/s", "of copy", "TFLOPS");
  }
  for (pp_dtype dtype : {PP_BFLOAT16, PP_FLOAT32}) {
    for (const Shape& shape : kShapes) time_shape(shape, dtype, l2_bytes, cublas, &timer, &table);
    time_importance("RoBERTa-large, query and value, r 32", 24, {{1024, 1024}, {1024, 1024}}, 32, dtype, l2_bytes, &timer,
                    &table);
    time_importance("Llama-7B, all linears, r 16", 32,
                    {{4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 11008}, {4096, 11008}, {11008, 4096}}, 16,
                    dtype, l2_bytes, &timer, &table);
  }
  return table.write_json(json_path, properties) ? 0 : 1;
}
}  // namespace gpu_check
