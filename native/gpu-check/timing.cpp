// Times of every family with CUDA events, beside the copy bandwidth and the frozen linear of the same run.
//
// A sample is the mean over a round of calls between two events, each call on another set of operands, so that no call finds
// its inputs in the L2 cache of the one before; the median of the samples is given. SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cublas.h"
#include "operands.h"

namespace gpu_check {
namespace {
constexpr int kSamples = 15;
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

struct Row {
  std::string group, dtype, call;
  double microseconds, bytes, flops;
};

const char* dtype_name(pp_dtype dtype) {
  return dtype == PP_FLOAT32 ? "float32" : dtype == PP_FLOAT16 ? "float16" : "bfloat16";
}

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

  /** Median over samples of the mean microseconds of one call; `call(i)` enqueues the i-th on the default stream. */
  double time(int calls_a_sample, const std::function<void(int)>& call) {
    for (int i = 0; i < calls_a_sample; i++) call(i);
    std::vector<double> samples;
    for (int sample = 0; sample < kSamples; sample++) {
      check(cudaEventRecord(start_, nullptr), "cudaEventRecord");
      for (int i = 0; i < calls_a_sample; i++) call(i);
      check(cudaEventRecord(stop_, nullptr), "cudaEventRecord");
      check(cudaEventSynchronize(stop_), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
      samples.push_back(milliseconds * kMicrosecondsPerMillisecond / calls_a_sample);
    }
    std::nth_element(samples.begin(), samples.begin() + kSamples / 2, samples.end());
    return samples[kSamples / 2];
  }

 private:
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

constexpr int kCallsASample = 24;

/** Sets of operands that together exceed twice the L2 cache, within a bound. */
int set_count(size_t bytes_a_set, size_t l2_bytes) {
  const size_t wanted = 2 * l2_bytes / bytes_a_set + 2, most = std::max<size_t>(kMostOperandBytes / bytes_a_set, 1);
  return static_cast<int>(std::min<size_t>({wanted, most, 12}));
}

double copy_bandwidth(Timer* timer) {
  constexpr size_t kBytes = size_t{1} << 30;
  const Memory from(kBytes), to(kBytes);
  const double microseconds = timer->time(4, [&](int) {
    check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpyAsync");
  });
  return 2.0 * kBytes / microseconds * 1e-3;
}

void time_shape(const Shape& shape, pp_dtype dtype, size_t l2_bytes, const Cublas& cublas, Timer* timer,
                std::vector<Row>* rows) {
  const size_t bytes = static_cast<size_t>(shape.M) * static_cast<size_t>(3 * shape.K + 3 * shape.N) * pp_dtype_size(dtype);
  const int sets = set_count(bytes, l2_bytes);
  std::vector<std::unique_ptr<Operands>> operands;
  std::vector<std::vector<Call>> calls;
  for (int i = 0; i < sets; i++) {
    operands.push_back(std::make_unique<Operands>(dtype, shape.M, shape.K, shape.N, shape.r, static_cast<uint64_t>(20 * i)));
    calls.push_back(operands.back()->pure_calls());
    for (Call& call : operands.back()->adding_calls()) calls.back().push_back(std::move(call));
  }
  const std::string group = std::string(shape.name) + " " + std::to_string(shape.M) + "," + std::to_string(shape.K) + "," +
                            std::to_string(shape.N) + "," + std::to_string(shape.r);
  if (cublas.present()) {
    const auto w = random_elements(dtype, shape.N * shape.K, 99);
    const double flops = 2.0 * static_cast<double>(shape.M * shape.K) * static_cast<double>(shape.N);
    const double forward = timer->time(kCallsASample, [&](int i) {
      Operands& o = *operands[static_cast<size_t>(i % sets)];
      cublas.forward(dtype, shape.M, shape.K, shape.N, o.x().data(), w->data(), o.y().data());
    });
    const double backward = timer->time(kCallsASample, [&](int i) {
      Operands& o = *operands[static_cast<size_t>(i % sets)];
      cublas.backward(dtype, shape.M, shape.K, shape.N, o.dy().data(), w->data(), o.dx().data());
    });
    rows->push_back({group, dtype_name(dtype), "frozen linear forward (cuBLAS)", forward, 0, flops});
    rows->push_back({group, dtype_name(dtype), "frozen linear dX (cuBLAS)", backward, 0, flops});
  }
  const pp_device device = {PP_CUDA, 0, nullptr};
  for (size_t c = 0; c < calls[0].size(); c++) {
    const double microseconds = timer->time(kCallsASample, [&](int i) { calls[static_cast<size_t>(i % sets)][c].run(device); });
    rows->push_back({group, dtype_name(dtype), calls[0][c].name, microseconds, calls[0][c].bytes, calls[0][c].flops});
  }
}

void time_importance(const char* name, int layers, const std::vector<std::pair<int64_t, int64_t>>& shapes, int64_t r,
                     pp_dtype dtype, size_t l2_bytes, Timer* timer, std::vector<Row>* rows) {
  std::vector<std::unique_ptr<Modules>> modules;
  modules.push_back(std::make_unique<Modules>(dtype, layers, shapes, r, 1));
  const size_t bytes = static_cast<size_t>(modules[0]->weights()) * 2 * pp_dtype_size(dtype);
  const int sets = set_count(bytes, l2_bytes);
  for (int i = 1; i < sets; i++)
    modules.push_back(std::make_unique<Modules>(dtype, layers, shapes, r, static_cast<uint64_t>(i)));
  std::vector<std::vector<Call>> calls;
  for (const auto& m : modules) calls.push_back(m->calls());
  const pp_device device = {PP_CUDA, 0, nullptr};
  for (size_t c = 0; c < calls[0].size(); c++) {
    const double microseconds = timer->time(kCallsASample, [&](int i) { calls[static_cast<size_t>(i % sets)][c].run(device); });
    rows->push_back({name, dtype_name(dtype), calls[0][c].name, microseconds, calls[0][c].bytes, 0});
  }
}

void print(const Row& row, double bandwidth) {
  printf("%-36s %-9s %-32s %9.1f", row.group.c_str(), row.dtype.c_str(), row.call.c_str(), row.microseconds);
  if (row.bytes > 0)
    printf(" %8.0f %5.0f%%", row.bytes / row.microseconds * 1e-3, 100 * row.bytes / row.microseconds * 1e-3 / bandwidth);
  else
    printf(" %8s %6s", "", "");
  if (row.flops > 0) printf(" %8.1f", row.flops / row.microseconds * 1e-6);
  printf("\n");
}

bool write_json(const char* path, const cudaDeviceProp& properties, double bandwidth, const std::vector<Row>& rows) {
  FILE* file = fopen(path, "w");
  if (file == nullptr) {
    perror(path);
    return false;
  }
  fprintf(file, "{\n  \"device\": \"%s\",\n  \"multiprocessors\": %d,\n  \"copy_GBps\": %.1f,\n  \"rows\": [", properties.name,
          properties.multiProcessorCount, bandwidth);
  for (size_t i = 0; i < rows.size(); i++)
    fprintf(file,
            "%s\n    {\"group\": \"%s\", \"dtype\": \"%s\", \"call\": \"%s\", \"us\": %.2f, \"bytes\": %.0f, \"flops\": %.0f}",
            i == 0 ? "" : ",", rows[i].group.c_str(), rows[i].dtype.c_str(), rows[i].call.c_str(), rows[i].microseconds,
            rows[i].bytes, rows[i].flops);
  fprintf(file, "\n  ]\n}\n");
  return fclose(file) == 0;
}
}  // namespace

int time_all(const char* json_path) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const auto l2_bytes = static_cast<size_t>(properties.l2CacheSize);
  Timer timer;
  const Cublas cublas;
  const double bandwidth = copy_bandwidth(&timer);
  printf("%s, %d multiprocessors, copy %.0f GB/s (read + written)%s\n", properties.name, properties.multiProcessorCount,
         bandwidth, cublas.present() ? "" : "; cuBLAS is not here");
  printf("%-36s %-9s %-32s %9s %8s %6s %8s\n", "M,K,N,r", "dtype", "call", "us", "GB/s", "of copy", "TFLOPS");
  std::vector<Row> rows;
  for (pp_dtype dtype : {PP_BFLOAT16, PP_FLOAT32}) {
    for (const Shape& shape : kShapes) time_shape(shape, dtype, l2_bytes, cublas, &timer, &rows);
    time_importance("RoBERTa-large, query and value, r 32", 24, {{1024, 1024}, {1024, 1024}}, 32, dtype, l2_bytes, &timer,
                    &rows);
    time_importance("Llama-7B, all linears, r 16", 32,
                    {{4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 4096}, {4096, 11008}, {4096, 11008}, {11008, 4096}}, 16,
                    dtype, l2_bytes, &timer, &rows);
  }
  for (const Row& row : rows) print(row, bandwidth);
  return write_json(json_path, properties, bandwidth, rows) ? 0 : 1;
}
}  // namespace gpu_check
