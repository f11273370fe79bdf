// Times of every family with CUDA events, beside what linear/cuda/cost.h expects of the ceilings of the same run; LoRA linears,
// by each path, also beside the frozen linear.
//
// A sample is the mean over a round of calls between two events, each call on another set of operands, of which there are so
// many that between two calls on the same set twice the L2 cache is read or written: no call finds its inputs there. Where
// there cannot be so many the row is marked. The median of the samples is given. What is compared with the frozen linear is
// timed in turns with it, since clocks change with the work. Rows are printed as they are measured, and the JSON file is
// written anew with each, so that a fault leaves those before it. When the time allowed has passed, the rest is named as left
// out.
#include <algorithm>
#include <chrono>

#include "cublas.h"
#include "decoder_operands.h"
#include "layer.h"
#include "linear/cuda/path_choice.h"
#include "operands.h"
#include "read.h"
#include "shapes.h"
#include "stack_operands.h"
#include "timer.h"

namespace gpu_check {
using namespace prunepeft::cuda;

namespace {
constexpr size_t kMostOperandBytes = size_t{6} << 30;
#if defined(PRUNEPEFT_EMULATED)
constexpr size_t kMostSets = 4;
#else
constexpr size_t kMostSets = 96;
#endif

/** Besides the shape's own. */
constexpr int64_t kRanks[] = {8, 16, 32, 64, 128};
constexpr float kDropouts[] = {0, 0.1f};

struct Row {
  std::string group, dtype, call;
  Sample time;
  double predicted;  // microseconds
  double bytes, flops;
  double frozen = 0;  // microseconds of the frozen linear that it does more than, timed in turns; 0: none
  double over = 0;    // of that, as a share of it
  bool warm = false;  // the L2 cache may hold operands from the call on the same set before
};

/** What the library takes by itself for a layer. */
struct Choice {
  std::string group, dtype;
  bool dropout;
  const char* forward;
  const char* backward;
};

/** What a table is of: device and libraries, by name. */
using Facts = std::vector<std::pair<std::string, std::string>>;

double megahertz() {
  constexpr double kKilohertzPerMegahertz = 1e3;
  return attribute(cudaDevAttrClockRate) / kKilohertzPerMegahertz;
}

/** As the runtime gives it: 12040 is 12.4. */
std::string cuda_version(cudaError_t (*read)(int*)) {
  int version = 0;
  check(read(&version), "reading a version");
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Facts read_facts(const Cublas& cublas) {
  constexpr int kBytesPerMegabyte = 1 << 20, kKilohertzPerMegahertz = 1000;
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  const auto in_megahertz = [](cudaDeviceAttr which) { return std::to_string(attribute(which) / kKilohertzPerMegahertz); };
  return {{"device", properties.name},
          {"compute_capability", std::to_string(attribute(cudaDevAttrComputeCapabilityMajor)) + "." +
                                     std::to_string(attribute(cudaDevAttrComputeCapabilityMinor))},
          {"multiprocessors", std::to_string(attribute(cudaDevAttrMultiProcessorCount))},
          {"most_MHz", in_megahertz(cudaDevAttrClockRate)},
          {"memory_MHz", in_megahertz(cudaDevAttrMemoryClockRate)},
          {"memory_bits", std::to_string(attribute(cudaDevAttrGlobalMemoryBusWidth))},
          {"L2_MiB", std::to_string(attribute(cudaDevAttrL2CacheSize) / kBytesPerMegabyte)},
          {"CUDA_of_driver", cuda_version(cudaDriverGetVersion)},
          {"CUDA_runtime", cuda_version(cudaRuntimeGetVersion)},
          {"cuBLASLt", cublas.version()},
          {"cuBLASLt_by", cublas.library()}};
}

/** What has been measured, and what there was no time for. */
class Table {
 public:
  Table(double seconds, std::string json_path, Facts facts)
      : end_(std::chrono::steady_clock::now() +
             std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds))),
        json_path_(std::move(json_path)),
        facts_(std::move(facts)) {}

  bool is_full() const { return std::chrono::steady_clock::now() >= end_; }

  /** Of a copy, read and written, and of reading alone; gigabytes a second. */
  void set_bandwidth(double copy, double read) {
    bandwidth_ = copy;
    read_bandwidth_ = read;
  }

  static void print_head() {
    printf("%-36s %-9s %-36s %9s %9s %8s %8s %6s %8s %6s %6s\n", "M,K,N,r", "dtype", "call", "us", "predicted", "over", "GB/s",
           "of copy", "TFLOPS", "MHz", "W");
  }

  void add(const Row& row) {
    rows_.push_back(row);
    const double us = row.time.microseconds;
    printf("%-36s %-9s %-36s %9.1f %9.1f", row.group.c_str(), row.dtype.c_str(), row.call.c_str(), us, row.predicted);
    if (row.frozen > 0)
      printf(" %+7.1f%%", 100 * row.over);
    else
      printf(" %8s", "");
    if (row.bytes > 0 && !row.warm)
      printf(" %8.0f %5.0f%%", row.bytes / us * 1e-3, 100 * row.bytes / us * 1e-3 / bandwidth_);
    else if (row.bytes > 0)
      printf(" %8.0f %6s", row.bytes / us * 1e-3, "");
    else
      printf(" %8s %6s", "", "");
    if (row.flops > 0)
      printf(" %8.1f", row.flops / us * 1e-6);
    else
      printf(" %8s", "");
    const Reading& reading = row.time.reading;
    if (reading.megahertz > 0) printf(" %6.0f %6.0f", reading.megahertz, reading.watts);
    printf("%s%s\n", row.warm ? " L2-warm" : "", row.time.host_bound ? " host-bound" : "");
    fflush(stdout);
    save();
  }

  void add(const Choice& choice) {
    choices_.push_back(choice);
    save();
  }

  void leave_out(const std::string& what, const char* reason = "no time") {
    left_out_.push_back(what);
    printf("left out, %s: %s\n", reason, what.c_str());
  }

  /** Says that nothing follows. Whether the JSON file could be written. */
  bool complete() {
    complete_ = true;
    return save();
  }

 private:
  /** Writes another file and puts it in the place of the one before, which a fault leaves whole. */
  bool save() const {
    const std::string temporary = json_path_ + ".new";
    FILE* file = fopen(temporary.c_str(), "w");
    if (file == nullptr) {
      perror(temporary.c_str());
      return false;
    }
    write_json(file);
    if (fclose(file) == 0 && rename(temporary.c_str(), json_path_.c_str()) == 0) return true;
    perror(json_path_.c_str());
    return false;
  }

  void write_json(FILE* file) const {
    fprintf(file, "{\n");
    for (const auto& [name, value] : facts_) fprintf(file, "  \"%s\": \"%s\",\n", name.c_str(), value.c_str());
    fprintf(file, "  \"complete\": %s,\n", complete_ ? "true" : "false");
    fprintf(file, "  \"copy_GBps\": %.6g,\n  \"read_GBps\": %.6g,\n  \"rows\": [", bandwidth_, read_bandwidth_);
    for (size_t i = 0; i < rows_.size(); i++) {
      const Row& row = rows_[i];
      fprintf(file,
              "%s\n    {\"group\": \"%s\", \"dtype\": \"%s\", \"call\": \"%s\", \"us\": %.2f, \"samples\": %d, "
              "\"predicted_us\": %.2f",
              i == 0 ? "" : ",", row.group.c_str(), row.dtype.c_str(), row.call.c_str(), row.time.microseconds,
              row.time.samples, row.predicted);
      if (row.frozen > 0) fprintf(file, ", \"frozen_us\": %.2f, \"over_frozen\": %.4f", row.frozen, row.over);
      if (row.time.reading.megahertz > 0)
        fprintf(file, ", \"MHz\": %.0f, \"W\": %.0f", row.time.reading.megahertz, row.time.reading.watts);
      if (row.warm) fprintf(file, ", \"L2_warm\": true");
      if (row.time.host_bound) fprintf(file, ", \"host_bound\": true");
      fprintf(file, ", \"bytes\": %.0f, \"flops\": %.0f}", row.bytes, row.flops);
    }
    fprintf(file, "\n  ],\n  \"choices\": [");
    for (size_t i = 0; i < choices_.size(); i++) {
      const Choice& choice = choices_[i];
      fprintf(file,
              "%s\n    {\"group\": \"%s\", \"dtype\": \"%s\", \"dropout\": %s, \"forward\": \"%s\", \"backward\": \"%s\"}",
              i == 0 ? "" : ",", choice.group.c_str(), choice.dtype.c_str(), choice.dropout ? "true" : "false", choice.forward,
              choice.backward);
    }
    fprintf(file, "\n  ],\n  \"left_out\": [");
    for (size_t i = 0; i < left_out_.size(); i++) fprintf(file, "%s\n    \"%s\"", i == 0 ? "" : ",", left_out_[i].c_str());
    fprintf(file, "\n  ]\n}\n");
  }

  std::chrono::steady_clock::time_point end_;
  std::string json_path_;
  Facts facts_;
  bool complete_ = false;
  double bandwidth_ = 0, read_bandwidth_ = 0;
  std::vector<Row> rows_;
  std::vector<Choice> choices_;
  std::vector<std::string> left_out_;
};

/** Whether calls that each touch so many bytes of their set may find some of these in the L2 cache. */
constexpr bool may_be_warm(size_t touched, size_t sets, size_t l2_bytes) {
  return touched * sets < 2 * l2_bytes;
}

/** So many sets of operands that calls which touch so many bytes of each come to twice the L2 cache, within bounds. */
constexpr size_t set_count(size_t touched, size_t bytes_a_set, size_t l2_bytes, size_t most_sets = kMostSets) {
  const size_t wanted = (2 * l2_bytes + touched - 1) / touched, most = std::max<size_t>(kMostOperandBytes / bytes_a_set, 1);
  return std::max<size_t>(std::min({wanted, most, most_sets}), 1);
}

/** The smallest calls of an H100's table: a product with A at MiniLM's and RoBERTa-large's sizes, MiniLM's frozen linear. */
constexpr bool h100_is_cold(size_t touched, size_t bytes_a_set) {
  constexpr size_t kL2Bytes = size_t{50} << 20, kMost = 96;
  return !may_be_warm(touched, set_count(touched, bytes_a_set, kL2Bytes, kMost), kL2Bytes);
}
static_assert(h100_is_cold(2 * 2048 * 384, 2 * (2048 * 25 * 384 + 384 * 384)));
static_assert(h100_is_cold(2 * 4096 * 1024, 2 * (4096 * 25 * 1024 + 1024 * 1024)));
static_assert(h100_is_cold(2 * (2 * 2048 * 384 + 384 * 384), 2 * (4 * 2048 * 384 + 384 * 384)));

double copy_bandwidth(Timer* timer) {
  constexpr size_t kBytes = (size_t{1} << 30) / kShrink / kShrink;
  const Memory from(kBytes), to(kBytes);
  const Sample sample = timer->time(4, [&](int64_t) {
    check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpyAsync");
  });
  return 2.0 * kBytes / sample.microseconds * 1e-3;
}

double read_bandwidth(Timer* timer) {
  constexpr size_t kBytes = (size_t{1} << 30) / kShrink / kShrink;
  constexpr int kBlocksAMultiprocessor = 8;
  Memory memory(kBytes);
  memory.poison();
  const int blocks = kBlocksAMultiprocessor * attribute(cudaDevAttrMultiProcessorCount);
  const Sample sample = timer->time(4, [&](int64_t) { read_memory(memory, blocks); });
  return kBytes / sample.microseconds * 1e-3;
}

/** What a shape's calls are timed with. */
struct Run {
  pp_dtype dtype;
  Ceilings ceilings;
  size_t l2_bytes;
  const Cublas& cublas;
  Timer* timer;
  Table* table;
};

/** Times the calls, each on one set of operands after another. */
void time_calls(const std::string& group, const std::vector<std::vector<Call>>& calls, const Run& run) {
  for (size_t c = 0; c < calls[0].size(); c++) {
    const Call& first = calls[0][c];
    if (run.table->is_full()) {
      run.table->leave_out(group + ", " + dtype_name(run.dtype) + ", " + first.name);
      continue;
    }
    const Sample sample =
        run.timer->time(kCallsASample, [&](int64_t i) { calls[static_cast<size_t>(i) % calls.size()][c].run(kDevice); });
    Row row = {group, dtype_name(run.dtype), first.name, sample, predict(run.ceilings, first), first.bytes, first.flops};
    row.warm = may_be_warm(first.touched_bytes(), calls.size(), run.l2_bytes);
    run.table->add(row);
  }
}

/** Every call of every family alone. */
void time_shape(const Shape& shape, const Run& run) {
  const std::string group = group_name(shape);
  if (run.table->is_full()) return run.table->leave_out(group + ", " + dtype_name(run.dtype) + ", all calls");
  const int64_t elements = shape.M * (9 * shape.K + 16 * shape.N) + shape.N * shape.K;
  const int64_t touched = shape.M * std::min(shape.K, shape.N);  // by all calls but that of the magnitude
  const size_t size = pp_dtype_size(run.dtype);
  const size_t sets = set_count(static_cast<size_t>(touched) * size, static_cast<size_t>(elements) * size, run.l2_bytes);
  std::vector<std::unique_ptr<Operands>> operands;
  std::vector<std::unique_ptr<StackOperands>> stacks;
  std::vector<std::unique_ptr<DecoderOperands>> decoders;
  std::vector<std::vector<Call>> calls;
  for (size_t i = 0; i < sets; i++) {
    operands.push_back(std::make_unique<Operands>(run.dtype, shape.M, shape.K, shape.N, shape.r, 20 * i));
    calls.push_back(operands.back()->pure_calls());
    for (Call& call : operands.back()->adding_calls()) calls.back().push_back(std::move(call));
    stacks.push_back(std::make_unique<StackOperands>(run.dtype, shape.M, shape.K, shape.N, shape.r, 20 * i + 5));
    for (Call& call : stacks.back()->calls()) calls.back().push_back(std::move(call));
    decoders.push_back(std::make_unique<DecoderOperands>(run.dtype, shape.M, shape.K, shape.N, 20 * i + 10));
    for (Call& call : decoders.back()->calls()) calls.back().push_back(std::move(call));
  }
  time_calls(group, calls, run);
}

/** What the library would take here by itself, to be held against the rows above. */
void print_choice(const Shape& shape, const Run& run, bool dropout) {
  const char* const names[] = {"split", "fused"};
  const std::vector<int64_t> ranks(static_cast<size_t>(shape.modules), shape.r);
  const pp_linear_shape wanted = {
      run.dtype, shape.M, shape.K, shape.N, ranks.data(), shape.modules, dropout ? shape.modules : 0, 0};
  pp_linear_path forward = PP_FUSED, backward = PP_FUSED;
  int32_t keep_masks;
  check(pp_linear_choose_paths(&kDevice, &wanted, &forward, &backward, &keep_masks));
  printf("  chosen%s: forward %s, backward %s%s\n", dropout ? " under dropout" : "", names[forward], names[backward],
         keep_masks != 0 ? ", masks kept" : "");
  run.table->add(Choice{group_name(shape), dtype_name(run.dtype), dropout, names[forward], names[backward]});
}

/**
 * A whole LoRA linear by each path, over the frozen linear; the fused one as chosen, or by every path that it has, and then as
 * a graph too.
 */
void time_layer(const Shape& shape, bool every_fused_path, const Run& run) {
  const std::string group = group_name(shape);
  if (run.table->is_full()) return run.table->leave_out(group + ", " + dtype_name(run.dtype) + ", LoRA linears");
  const size_t touched = Layer::frozen_bytes(run.dtype, shape.M, shape.K, shape.N);
  const size_t sets = set_count(touched, Layer::bytes(run.dtype, shape.M, shape.K, shape.N), run.l2_bytes);
  std::vector<std::unique_ptr<Layer>> layers;
  for (size_t i = 0; i < sets; i++)
    layers.push_back(std::make_unique<Layer>(run.dtype, shape.M, shape.K, shape.N, shape.r, run.cublas, 20 * i, shape.modules));
  const double flops = 2.0 * static_cast<double>(shape.M * shape.K) * static_cast<double>(shape.N);
  using PathsOfLayers = std::vector<std::vector<Layer::Path>>;
  const auto paths_of = [&](const auto& of) {
    PathsOfLayers paths;
    for (const auto& layer : layers) paths.push_back(of(*layer));
    return paths;
  };
  const auto calls_of = [sets](const PathsOfLayers& paths, size_t n) {
    return [&paths, sets, n](int64_t i) { paths[static_cast<size_t>(i) % sets][n].run(); };
  };
  PathsOfLayers frozen, recorded_frozen;
  if (run.cublas.present()) frozen = paths_of([&](Layer& layer) { return layer.frozen(run.ceilings); });
  const auto time_paths = [&](const PathsOfLayers& paths, const PathsOfLayers& frozen) {  // over the frozen, unless none
    for (size_t n = 0; n < paths[0].size(); n++) {
      const Layer::Path& path = paths[0][n];
      if (run.table->is_full()) {
        run.table->leave_out(group + ", " + dtype_name(run.dtype) + ", " + path.name);
        continue;
      }
      Row row = {group, dtype_name(run.dtype), path.name, {}, path.predicted, 0, flops};
      row.warm = may_be_warm(touched, sets, run.l2_bytes);
      if (!frozen.empty()) {
        const Turns turns = run.timer->time_in_turns(kCallsASample, calls_of(frozen, path.backward), calls_of(paths, n));
        row.time = turns.time;
        row.frozen = turns.other_microseconds;
        row.over = turns.ratio - 1;
      } else {
        row.time = run.timer->time(kCallsASample, calls_of(paths, n));
      }
      run.table->add(row);
    }
  };
  if (run.cublas.present())
    time_paths(frozen, {});
  else
    run.table->leave_out(
        group + ", " + dtype_name(run.dtype) + ", frozen linear, split, ranks first, all that is over the frozen",
        "no cuBLASLt");
  if (run.cublas.present() && every_fused_path && !run.table->is_full()) {
    recorded_frozen = paths_of([&](Layer& layer) { return layer.recorded_frozen(run.ceilings); });
    time_paths(recorded_frozen, {});
  }
  for (float p : kDropouts) {
    time_paths(paths_of([&](Layer& layer) { return layer.paths(p, run.ceilings, every_fused_path); }), frozen);
    if (every_fused_path && !run.table->is_full())
      time_paths(paths_of([&](Layer& layer) { return layer.recorded(p, run.ceilings); }), recorded_frozen);
    print_choice(shape, run, p > 0);
  }
}

/** Importance of all modules of a model. */
void time_model(const char* name, int layers, const LinearSizes& linears, int64_t r, const Run& run) {
  if (run.table->is_full()) return run.table->leave_out(std::string(name) + ", " + dtype_name(run.dtype) + ", all calls");
  std::vector<std::unique_ptr<Modules>> models;
  models.push_back(std::make_unique<Modules>(run.dtype, layers, linears, r, 1));
  const size_t bytes = models[0]->bytes();
  const size_t sets = set_count(bytes / 2, bytes, run.l2_bytes);  // one call reads the weights alone
  for (size_t i = 1; i < sets; i++) models.push_back(std::make_unique<Modules>(run.dtype, layers, linears, r, 2 * i));
  std::vector<std::vector<Call>> calls;
  for (const auto& model : models) calls.push_back(model->calls());
  time_calls(name, calls, run);
}

void time_models(const Run& run) {
  for (const auto& [name, shape] : {std::pair(kLlamaModules, kWholeLlama), std::pair(kRobertaModules, kWholeRobertaLarge)}) {
    ModelLinears model = model_linears(shape);
    for (auto& [K, N] : model.linears) {
      K /= kShrink;
      N /= kShrink;
    }
    time_model(name, model.layers, model.linears, shape.r, run);
  }
}

/** From one of the smallest kernels that do anything to the next. */
double launch_time(Timer* timer) {
  constexpr int64_t kSize = 8;
  const Matrix s(PP_BFLOAT16, kSize, kSize, 1), b(PP_BFLOAT16, kSize, kSize, 2), y(PP_BFLOAT16, kSize, kSize, 3);
  pp_lora_module module = {};
  module.b = b.view();
  module.rows = kSize;
  module.s = s.view();
  const pp_context context = {kDevice, nullptr};
  return timer->time(kLaunches, [&](int64_t) { check(pp_lora_up(&context, &module, 1, y, 1)); }).microseconds;
}

/** The library's rate of a large product, operations a microsecond; 0 without cuBLAS. */
double library_rate(pp_dtype dtype, const Cublas& cublas, Timer* timer) {
  if (!cublas.present()) return 0;
  const int64_t n = (dtype == PP_FLOAT32 ? 4096 : 8192) / kShrink;
  const Matrix x(dtype, n, n, 1), w(dtype, n, n, 2), y(dtype, n, n);
  const Sample sample = timer->time(3, [&](int64_t) { cublas.forward(x.view(), w.view(), y.view()); });
  return 2.0 * static_cast<double>(n * n) * static_cast<double>(n) / sample.microseconds;
}

/** Of float32's multiply-adds, from the device's properties. */
double fused_multiply_adds() {
  return float32_flops_a_clock(attribute(cudaDevAttrComputeCapabilityMajor), attribute(cudaDevAttrComputeCapabilityMinor)) *
         attribute(cudaDevAttrMultiProcessorCount) * megahertz();
}

/** The device's ceilings in a type; where cuBLAS is not, its rate is taken from ours. */
Ceilings measure_ceilings(pp_dtype dtype, double copy_bytes, double launch, const Cublas& cublas, Timer* timer) {
  const double library = library_rate(dtype, cublas, timer);
  const double own = dtype == PP_FLOAT32 || library == 0 ? kShareOfMultiplyAdds * fused_multiply_adds()
                                                         : own_share(attribute(cudaDevAttrComputeCapabilityMajor)) * library;
  return {copy_bytes,
          library > 0 ? library : own,
          own,
          draw_rate(attribute(cudaDevAttrMultiProcessorCount), megahertz()),
          launch,
          library > 0 ? kWarpgroupShare * library : own,
          library > 0 ? kClusterShare * library : own,
          issue_rate(attribute(cudaDevAttrMultiProcessorCount), megahertz()),
          static_cast<double>(attribute(cudaDevAttrL2CacheSize)),
          megahertz()};
}
}  // namespace

int time_all(const char* json_path, double seconds) {
  const auto l2_bytes = static_cast<size_t>(attribute(cudaDevAttrL2CacheSize));
  Timer timer;
  const Cublas cublas;
  const Facts facts = read_facts(cublas);
  Table table(seconds, json_path, facts);
  double bandwidth = 1, launch = 1;  // gigabytes a second, microseconds
  if (table.is_full()) {
    table.leave_out("copy bandwidth");
  } else {
    bandwidth = copy_bandwidth(&timer);
    const double read = read_bandwidth(&timer);
    launch = launch_time(&timer);
    table.set_bandwidth(bandwidth, read);
    for (const auto& [name, value] : facts) printf("%s%s %s", name == "device" ? "" : ", ", name.c_str(), value.c_str());
    printf("\ncopy %.0f GB/s (read + written), read alone %.0f GB/s, %.1f us a launch%s\n", bandwidth, read, launch,
           cublas.present() ? "" : "; cuBLAS is not here");
    printf(
        "predicted: what linear/cuda/cost.h expects of these ceilings, in us; over: more than the frozen linear by cuBLAS, "
        "timed\n"
        "in turns with it (median of the ratios); MHz, W: of the device while it ran; as a graph: recorded, then launched as "
        "one\n"
        "cuBLAS: for each layout of operands the fastest of the first 8 algorithms that cuBLASLt names, timed once each\n"
        "8 modules: each on rows of its own, in one call; 8 calls: the same by a call for each\n"
        "L2-warm: operands may lie in the L2 cache from the call before on the same ones; host-bound: the time that the host\n"
        "takes to enqueue the calls, or those of the frozen linear beside them, since the device had to wait for them\n");
    Table::print_head();
  }
  const auto run_in = [&](pp_dtype dtype) {
    constexpr double kBytesPerGigabyteAndMicrosecond = 1e3;
    const Ceilings ceilings =
        table.is_full() ? Ceilings{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
                        : measure_ceilings(dtype, bandwidth * kBytesPerGigabyteAndMicrosecond, launch, cublas, &timer);
    return Run{dtype, ceilings, l2_bytes, cublas, &timer, &table};
  };
  // What matters most comes first: what there is no time for is left out from the end.
  const Run bfloat16 = run_in(PP_BFLOAT16);
  for (const Shape& shape : {kRobertaLarge, kLlama}) time_layer(shape, true, bfloat16);
  time_models(bfloat16);
  time_layer(kLlamaQkv, false, bfloat16);
  for (const Shape& shape : {kMiniLm, kSquare}) time_layer(shape, true, bfloat16);
  for (const Shape& shape : {kRobertaLarge, kLlama, kMiniLm}) time_shape(shape, bfloat16);
  const Run float32 = run_in(PP_FLOAT32);
  for (const Shape& shape : {kRobertaLarge, kLlama, kMiniLm}) time_layer(shape, true, float32);
  time_models(float32);
  for (const Shape& shape : {kRobertaLarge, kLlama, kMiniLm}) time_shape(shape, float32);
  for (int64_t rank : kRanks)
    for (Shape shape : {kRobertaLarge, kLlama, kMiniLm, kSquare}) {
      if (shape.r == rank) continue;
      shape.r = rank;
      time_layer(shape, false, bfloat16);
    }
  time_layer(kSquare, true, float32);
  return table.complete() ? 0 : 1;
}
}  // namespace gpu_check
