// What each family moves, counted by the emulator (count.h) at a small shape: bytes through memory against those of its
// operands and slots, sectors and wavefronts against those that as many different bytes would take. What takes more than a
// bound is listed. cost.h's bytes, launches and draws of masks are held to the counted ones.
//
//   counted_emulated                   the table, whether all keep within their bounds, and whether it is the one under version
//                                      control, native/cuda-counted.txt, if that is of this compiler
//   counted_emulated --update          writes that file, if it is of this compiler, or is gone
//   counted_emulated NAME [accesses]   of calls whose type and name hold NAME alone, such as "float32 lora_up"; on request also
//                                      their loads and stores; "draws": those of stacks of modules alone
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>

#include "../../gpu-check/decoder_operands.h"
#include "../../gpu-check/stack_operands.h"
#include "../../gpu-check/operands.h"
#include "count.h"
#include "launches.h"
#include "quantized_operands.h"

namespace {
using namespace gpu_check;
using prunepeft::cuda::ForcedLinearPath;
using prunepeft::cuda::memory_bytes;
using prunepeft::cuda::product_memory_bytes;

constexpr int64_t kModules = 8;
struct Shape {
  int64_t M, K, N, rank;

  /** Three quarters of x, as the 50 MB of an H100 are of x at 8192 x 4096; of few rows, which stay there, four times x. */
  size_t cache_bytes() const {
    constexpr int64_t kFewRows = 192;
    return static_cast<size_t>(M <= kFewRows ? M * K * 2 * 4 : M * K * 2 / 4 * 3);
  }
};
constexpr Shape kSmall = {1024, 512, 512, 16};
constexpr Shape kManyRanks = {1024, 512, 512, 64};
/** A text being written. */
constexpr Shape kFew = {64, 512, 512, 16};
/** For calls that make row and column products: where their blocks go over several passes. */
constexpr Shape kLarge = {4096, 1664, 1664, 16};

/**
 * How far cost.h may be from the counted bytes. Blocks by warpgroups that are in no clusters follow each other in the emulator,
 * and do not share W as those do that work at once.
 */
constexpr double kModelTolerance = 0.1, kModelToleranceApart = 0.12;

/** Blocks of the file under version control, and what they are of. */
class Table {
 public:
  void add(const char* format, ...) {
    char line[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    lines_.push_back(line);
    printf("%s\n", line);
  }
  /** By types and families. */
  void sort() { std::sort(lines_.begin() + kHead, lines_.end()); }
  /** Whether there is such a file, of another compiler. */
  bool is_of_another_compiler(const char* path) const {
    const std::vector<std::string> kept = read(path);
    return !kept.empty() && kept[0] != lines_[0];
  }
  bool write(const char* path) const {
    const std::string beside = std::string(path) + ".new";
    std::ofstream file(beside);
    for (const std::string& line : lines_) file << line << '\n';
    file.close();
    return file && std::rename(beside.c_str(), path) == 0;
  }
  /** Whether the file has these lines. */
  bool is_kept_in(const char* path) const {
    const std::vector<std::string> kept = read(path);
    std::map<std::string, int> more;  // of these lines than of the file's
    for (const std::string& line : lines_) more[line]++;
    for (const std::string& line : kept)
      if (--more[line] < 0) printf("- %s\n", line.c_str());
    for (const std::string& line : lines_)
      if (more[line] > 0) printf("+ %s\n", line.c_str());
    if (kept != lines_)
      printf("The kernels move other bytes than %s says. If that is meant, build the target update_cuda_counted.\n", path);
    return kept == lines_;
  }

 private:
  static constexpr int kHead = 4;

  static std::vector<std::string> read(const char* path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  std::vector<std::string> lines_;
};
Table table;

/** Most of what is counted, over the least. */
struct Bound {
  const char* name;  // of calls that begin with it
  double bytes, sectors, wavefronts;
  const char* holds = "";  // and hold this
  const char* type = "";   // of this type alone
};
constexpr Bound kBound = {"", 1.15, 1.15, 1.15};
/**
 * Slots are read again where they do not stay in the cache, and small gradients have many. Groups of eight float32 are two
 * vectors a thread, so that each takes half of a sector; so do cosines and sines. The fused linears read W again for each group
 * of row tiles, of which two multiprocessors have small ones. So do those of a W that is decoded before; codes in the tiles
 * come in half sectors. Where dS and dB are made with dX (1.47), a read of dY for them alone would make it 1.79. Slots grow
 * with the ranks: cost.h, whose bytes are the counted ones, has as much at full size for row products (1.64), and 1.16 for the
 * others, whose operands are four times as long there. A stack's three masks are half words of rows, from strips that lie
 * apart.
 */
constexpr Bound kExceptions[] = {{"lora_grad_up, 8 modules", 1.4, 1.15, 1.15},
                                 {"lora_grad_up, r 64", 1.7, 1.15, 1.15},
                                 {"lora_grad_down, r 64", 1.6, 1.15, 1.15},
                                 {"lora_grad_down, dropout, r 64", 1.6, 1.15, 1.15},
                                 {"lora_grad_down, mask read, r 64", 1.6, 1.15, 1.15},
                                 {"lora_down, r 64", 1.2, 1.2, 1.15},
                                 {"lora_down, dropout, r 64", 1.2, 1.2, 1.15},
                                 {"lora_down, dropout, mask written, r 64", 1.2, 1.2, 1.15},
                                 {"quantized_", 1.4, 1.4, 1.15, ", decoded before"},
                                 {"quantized_", 1.05, 1.5, 1.5, ", in the tiles"},
                                 {"lora_grad_up, stack of 3", 1.4, 1.15, 1.15},
                                 {"lora_grad_down, stack of 3", 1.6, 1.15, 1.15},
                                 {"lora_grad_input", 1.15, 1.25, 1.15, ", stack of 3, masks read"},
                                 {"lora_grad_down", 1.3, 1.15, 1.15},
                                 {"lora_up", 1.15, 1.8, 1.15, "", "float32"},
                                 {"rotate", 1.15, 1.25, 1.15},
                                 {"importance_quantile", 3.2, 2.1, 1.8},
                                 {"importance", 1.15, 2.0, 1.4},
                                 {"linear_backward", 1.6, 1.15, 1.15, ", clusters with S"},
                                 {"linear_backward with dA", 2.3, 1.15, 1.2},
                                 {"linear_", 3.0, 1.8, 1.8}};

const Bound& bound_of(const std::string& name, pp_dtype dtype) {
  const auto is_of = [&](const Bound& bound) {
    return name.rfind(bound.name, 0) == 0 && name.find(bound.holds) != std::string::npos &&
           (*bound.type == '\0' || std::string(bound.type) == dtype_name(dtype));
  };
  for (const Bound& bound : kExceptions)
    if (is_of(bound)) return bound;
  return kBound;
}

/** Bytes of a call's operands, each read or written once. Slots, of which small shapes have many, are not among them. */
double operand_bytes(const Call& call, pp_dtype dtype, const Shape& shape) {
  const auto begins = [&](const char* with) { return call.name.rfind(with, 0) == 0; };
  const auto size = static_cast<double>(pp_dtype_size(dtype));
  const auto holds = [&](const char* what) { return call.name.find(what) != std::string::npos; };
  if (holds("stack of 3")) return call.bytes;
  const double modules = holds("modules") ? kModules : 1;
  const auto M = static_cast<double>(shape.M), K = static_cast<double>(shape.K), N = static_cast<double>(shape.N);
  const double x = size * M * K, y = size * M * N, w = size * N * K, r = static_cast<double>(shape.rank), s = size * M * r;
  const double a = size * r * K, b = size * N * r;  // the same for all modules
  const double mask =
      call.name.find(", mask ") != std::string::npos ? static_cast<double>(pp_kept_mask_bytes(shape.M, shape.K)) : 0;
  const double da = modules * 4.0 * r * K, db = modules * 4.0 * N * r;
  if (begins("lora_down")) return x + a + s + mask;
  if (begins("lora_up, overwriting")) return y + s + b;
  if (begins("lora_up")) return 2 * y + s + b;
  if (begins("lora_grad_up")) return y + b + 2 * s + db;
  if (begins("lora_grad_down")) return x + s + da + mask;
  if (begins("lora_grad_input, overwriting")) return x + s + a + mask;
  if (begins("lora_grad_input")) return 2 * x + s + a + mask;
  if (begins("linear_forward")) return x + w + y + a + b + s + mask;
  if (begins("linear_grad_input")) return y + w + x + a + s + mask;
  if (begins("linear_backward with dA")) return y + w + 2 * x + a + b + 2 * s + db + da;
  if (begins("linear_backward")) return y + w + x + a + b + 2 * s + db;
  if (begins("adapter_forward")) return 3 * x + s + 2 * a;
  if (begins("adapter_backward")) return 3 * x + s + 2 * (a + da);
  if (begins("output_magnitude")) return s + b;
  if (begins("importance_quantile")) return call.bytes / (dtype == PP_FLOAT32 ? 3 : 2);  // each round reads all weights
  return call.bytes;
}

/** Of dB in dX's product, a part for each row tile: written and read. */
double parts_bytes(const Call& call, const Shape& shape) {
  constexpr int64_t kTileRows = 128, kBytes = 2 * sizeof(float);
  const bool makes_ds = call.name.rfind("linear_backward", 0) == 0 && call.name.find("with S") != std::string::npos;
  return makes_ds ? static_cast<double>(kBytes * ((shape.M + kTileRows - 1) / kTileRows) * shape.N * shape.rank) : 0;
}

void print_accesses(const simt::Traffic& traffic) {
  for (const simt::AccessCount& access : traffic.accesses)
    printf("    %-13s %9llu requests, %9llu sectors (least %9llu), %9llu wavefronts (least %9llu)  %s\n",
           simt::name(access.kind), static_cast<unsigned long long>(access.requests),
           static_cast<unsigned long long>(access.sectors), static_cast<unsigned long long>(access.least_sectors),
           static_cast<unsigned long long>(access.wavefronts), static_cast<unsigned long long>(access.least_wavefronts),
           simt::place(access).c_str());
}

/** Of the emulated device's multiprocessors, taken to be an H100's with their share of its memory, and of the counted cache. */
Ceilings part_of_h100(pp_dtype dtype, const Shape& shape) {
  constexpr double kMultiprocessors = 132, kMegahertz = 1829, kMemoryBytes = 3.35e6;
  const prunepeft::cuda::DeviceTraits traits = device_traits();
  return prunepeft::cuda::assumed_ceilings({traits.compute_major, traits.compute_minor, traits.multiprocessors, kMegahertz,
                                            kMemoryBytes * traits.multiprocessors / kMultiprocessors,
                                            traits.shared_bytes_per_block, static_cast<int64_t>(shape.cache_bytes())},
                                           static_cast<int64_t>(pp_dtype_size(dtype)));
}

/** Whether a call keeps within its bounds. */
bool counts_well(const Call& call, pp_dtype dtype, const Shape& shape, bool with_accesses) {
  simt::start_counting(shape.cache_bytes());
  const uint64_t launches_before = simt::launches();
  call.run(kDevice);
  check(pp_synchronize(&kDevice));
  const simt::Traffic traffic = simt::stop_counting();
  const uint64_t launches = simt::launches() - launches_before + traffic.fills;
  double requests = 0, sectors = 0, least_sectors = 0, wavefronts = 0, least_wavefronts = 0;
  for (const simt::AccessCount& access : traffic.accesses) {
    if (access.sectors > 0) requests += static_cast<double>(access.requests);
    sectors += static_cast<double>(access.sectors);
    least_sectors += static_cast<double>(access.least_sectors);
    wavefronts += static_cast<double>(access.wavefronts);
    least_wavefronts += static_cast<double>(access.least_wavefronts);
  }
  const double least = operand_bytes(call, dtype, shape) + call.cost.slot_bytes + parts_bytes(call, shape),
               counted = static_cast<double>(traffic.bytes());
  const double bytes = counted / least, sector = sectors / least_sectors;
  const double wavefront = least_wavefronts > 0 ? wavefronts / least_wavefronts : 1;
  const Bound& bound = bound_of(call.name, dtype);
  const auto cache = static_cast<double>(shape.cache_bytes());
  const double model = (memory_bytes(call.cost, cache) + product_memory_bytes(call.cost, cache)) / counted;
  // No kernel moves less than its operands, but for what a sector holds of two of them.
  const bool within = bytes > 0.98 && bytes <= bound.bytes && sector <= bound.sectors && wavefront <= bound.wavefronts;
  const bool apart = call.name.find(", warpgroups") != std::string::npos;
  const bool predicted = std::abs(model - 1) <= (apart ? kModelToleranceApart : kModelTolerance);
  const int64_t columns = call.name.find("stack of 3") != std::string::npos ? 3 * shape.N : shape.N;
  char instructions[20] = "-";
  if (call.cost.instructions > 0) snprintf(instructions, sizeof instructions, "%.0f", call.cost.instructions / 1000);
  table.add("%-8s %-56s %4lld x %4lld x %4lld %7.0f %7.0f %5.2f %9.2f %9.2f %9.2f %9.2f %8s %6.0f", dtype_name(dtype),
            call.name.c_str(), static_cast<long long>(shape.M), static_cast<long long>(shape.K),
            static_cast<long long>(columns), least / 1024, counted / 1024, bytes, sectors / requests, sector, wavefront, model,
            instructions, predict(part_of_h100(dtype, shape), call));
  if (!within) printf("  NOT within its bounds\n");
  if (!predicted) printf("  NOT as cost.h predicts\n");
  const bool launched = launches == static_cast<uint64_t>(call.cost.launches);
  if (!launched)
    printf("  %llu launches and fills, NOT %d as cost.h predicts\n", static_cast<unsigned long long>(launches),
           call.cost.launches);
  if (with_accesses) print_accesses(traffic);
  return within && predicted && launched;
}

/** Where groups of eight elements, which are two vectors then, pass from memory and to it. Others would only take long. */
bool differs_in_float32(const Call& call) {
  return call.name.rfind("lora_up", 0) == 0 || call.name.rfind("importance", 0) == 0;
}

/** What moves less than it seems to at the small shape, or the other way round. */
bool is_large(const Call& call) {
  return call.name == "lora_grad_up" || call.name == "adapter_backward";
}

bool counts_well(pp_dtype dtype, const std::string& only, bool with_accesses) {
  bool good = true;
  const auto count_all = [&](const std::vector<Call>& calls, const Shape& shape, bool linears, const std::string& variant) {
    for (Call call : calls) {
      if (dtype == PP_FLOAT32 && !differs_in_float32(call)) continue;
      if (call.name.find("calls") != std::string::npos || (call.name.rfind("linear_", 0) == 0) != linears) continue;
      if (shape.rank == kSmall.rank && is_large(call) != (shape.M == kLarge.M)) continue;
      call.name += variant;
      const std::string name = std::string(dtype_name(dtype)) + " " + call.name;
      if (name.find(only) != std::string::npos) good = counts_well(call, dtype, shape, with_accesses) && good;
    }
  };
  if (dtype != PP_FLOAT32) {
    Operands large(dtype, kLarge.M, kLarge.K, kLarge.N, kLarge.rank, 1);
    count_all(large.pure_calls(), kLarge, false, "");
    Operands many(dtype, kManyRanks.M, kManyRanks.K, kManyRanks.N, kManyRanks.rank, 1);
    std::vector<Call> of_many;
    for (Call& call : many.pure_calls())
      if (call.name.rfind("lora_", 0) == 0 && call.name.find("modules") == std::string::npos) of_many.push_back(call);
    count_all(of_many, kManyRanks, false, ", r 64");
    StackOperands stack(dtype, kSmall.M, kSmall.K, kSmall.N, kSmall.rank, 1);
    count_all(stack.calls(), kSmall, false, "");
    DecoderOperands decoder(dtype, kSmall.M, kSmall.K, kSmall.N, 1);
    count_all(decoder.calls(), kSmall, false, "");
    for (const pp_quantization type : {PP_INT8, PP_NF4}) {
      QuantizedOperands before(type, {kSmall.M, kSmall.K, kSmall.N});
      count_all(before.calls(false), kSmall, false, "");
      // Of a device without products by warpgroups, whose bits tiles that decode would not have.
      simt::set_compute_major(8);
      QuantizedOperands in_tiles(type, {kFew.M, kFew.K, kFew.N});
      count_all(in_tiles.calls(true), kFew, false, "");
      simt::set_compute_major(9);
    }
  }
  Operands operands(dtype, kSmall.M, kSmall.K, kSmall.N, kSmall.rank, 1);
  Modules modules(dtype, 16, {{kSmall.K, kSmall.N}}, kSmall.rank, 2);
  count_all(operands.pure_calls(), kSmall, false, "");
  count_all(operands.adding_calls(), kSmall, false, "");
  count_all(modules.calls(), kSmall, false, "");
  const auto shape = linear_shape(dtype, kSmall.M, kSmall.K, kSmall.N, kSmall.rank, LinearDirection::kForward, false);
  for (const FusedVariant& variant : fused_variants(shape, true)) {
    if (variant.name.empty()) continue;  // the chosen one is one of the others
    const ForcedLinearPath in_force(variant.forced);
    count_all(operands.pure_calls(), kSmall, true, variant.name);
  }
  return good;
}

/** gpu-check's row of a backward pass with dA is that of a branch beside dX exactly where the call takes one. */
bool predicts_the_branch() {
  // Two clusters have a tile of 256 rows each: of five multiprocessors they leave one. Above 32 ranks dX makes no dS.
  constexpr Shape kShape = {512, 256, 264, 40};
  bool good = true;
  for (const int multiprocessors : {4, 5}) {
    simt::set_multiprocessors(multiprocessors);
    const auto ceilings = prunepeft::cuda::assumed_ceilings({9, 0, multiprocessors, 1, 16, 227 * 1024, 1 << 20}, 2);
    Operands operands(PP_BFLOAT16, kShape.M, kShape.K, kShape.N, kShape.rank, 1);
    double together = 0, apart = 0;
    bool takes = false;
    for (const Call& call : operands.pure_calls()) {
      if (call.name == "linear_backward" || call.name == "lora_grad_down") apart += predict(ceilings, call);
      if (call.name != "linear_backward with dA") continue;
      together = predict(ceilings, call);
      const uint64_t before = simt::waits_for_events();
      call.run(kDevice);
      takes = simt::waits_for_events() != before;
    }
    const bool predicted = together < (1 - 1e-9) * apart;
    if (takes != (multiprocessors == 5) || predicted != takes) {
      printf("with %d multiprocessors dA is %s a branch, and predicted %s\n", multiprocessors, takes ? "on" : "on no",
             predicted ? "beside dX" : "after it");
      good = false;
    }
  }
  simt::set_multiprocessors(2);
  return good;
}

/** Draws of masks that a skinny product leaves in shared memory, by its source: a word of four from each lane of a warp. */
double draws_left(const simt::Traffic& traffic, const std::string& source) {
  constexpr double kDrawsARequest = 4 * 32;
  double draws = 0;
  for (const simt::AccessCount& access : traffic.accesses)
    if (access.kind == simt::Counted::kSharedStore && access.file == nullptr && simt::place(access).rfind(source, 0) == 0)
      draws += kDrawsARequest * static_cast<double>(access.requests);
  return draws;
}

/** Modules of such ranks on the same rows draw their masks as often as cost.h predicts, if all are known, or if all are alike.
 */
bool predicts_the_draws(const std::vector<int64_t>& ranks) {
  constexpr int64_t kRows = 64, kColumns = 128;
  const Matrix x(PP_BFLOAT16, kRows, kColumns, 1);
  const pp_dropout dropout = {0.1f, 3, 5, 7, nullptr};
  prunepeft::cuda::LoraShape shape = {kRows, kColumns, kColumns, {}, 2, static_cast<int>(ranks.size())};
  std::vector<std::unique_ptr<Matrix>> memory;
  std::vector<pp_lora_module> modules;
  std::string name;
  bool alike = true;
  for (const int64_t rank : ranks) {
    const auto matrix = [&](pp_dtype dtype, int64_t rows, int64_t columns) {
      memory.push_back(std::make_unique<Matrix>(dtype, rows, columns, 2));
      return memory.back()->view();
    };
    pp_lora_module module = {};
    module.a = matrix(PP_BFLOAT16, rank, kColumns);
    module.s = module.ds = matrix(PP_BFLOAT16, kRows, rank);
    module.da = matrix(PP_FLOAT32, rank, kColumns);
    module.rows = kRows;
    module.scale = 1;
    module.mask = static_cast<uint32_t>(modules.size());
    module.dropout = &dropout;
    modules.push_back(module);
    shape.ranks.add(rank);
    name += (name.empty() ? "" : ", ") + std::to_string(rank);
    alike = alike && rank == ranks[0];
  }
  const Workspace workspace;
  const pp_context context = workspace.on(kDevice);
  const auto count = static_cast<int32_t>(modules.size());
  const auto counted = [&](const char* source, const auto& run) {
    simt::start_counting();
    check(run());
    return draws_left(simt::stop_counting(), source);
  };
  const double down = counted("down.cuh", [&] { return pp_lora_down(&context, x, modules.data(), count); });
  const double grad = counted("grad.cuh", [&] { return pp_lora_grad_down(&context, x, modules.data(), count); });
  Costs costs = prunepeft::cuda::costs_of({9, 0, 2, 1, 16, 227 * 1024, 1 << 20}, shape, false);
  bool good = true;
  for (const bool known : {true, false}) {
    if (!known) costs.cuts = Costs::kAsIfAlike;
    if (!known && !alike) continue;
    const double down_expected = costs.down().draws, grad_expected = costs.grad_down().draws;
    if (down == down_expected && grad == grad_expected) continue;
    printf("modules of ranks %s draw %.0f times in lora_down and %.0f in lora_grad_down, not %.0f and %.0f\n", name.c_str(),
           down, grad, down_expected, grad_expected);
    good = false;
  }
  return good;
}

bool predicts_the_draws() {
  bool good = true;
  for (const std::vector<int64_t>& ranks : std::initializer_list<std::vector<int64_t>>{{16},
                                                                                       {80},
                                                                                       {81},
                                                                                       {128},
                                                                                       {161},
                                                                                       {5, 5},
                                                                                       {33, 33},
                                                                                       {80, 80},
                                                                                       {16, 16, 16},
                                                                                       {32, 32, 32},
                                                                                       {33, 33, 33},
                                                                                       {64, 64, 64},
                                                                                       {7, 7, 7, 7, 7},
                                                                                       {20, 20, 20, 20, 20, 20, 20},
                                                                                       {1, 100, 17},
                                                                                       {64, 16, 32, 8},
                                                                                       {90, 3, 70, 40}})
    good = predicts_the_draws(ranks) && good;
  return good;
}

#if defined(PRUNEPEFT_COUNTED_TABLE)
/** Another compiler's numbers would not be compared where the table is kept. */
bool may_update(const char* path) {
  if (!table.is_of_another_compiler(path)) return true;
  printf("%s stays as it is; use its compiler, or remove it first\n", path);
  return false;
}
bool updates(const char* path) {
  if (table.write(path)) return true;
  printf("can't write %s\n", path);
  return false;
}
#endif

/** What the program returns where all is well, but the table under version control is of another compiler. */
constexpr int kNotCompared = 77;
}  // namespace

int main(int count, char** arguments) {
  setvbuf(stdout, nullptr, _IOLBF, 0);  // so that a crash loses none of it
  const bool update = count > 1 && strcmp(arguments[1], "--update") == 0;
  const std::string only = count > 1 && !update ? arguments[1] : "";
  const bool with_accesses = count > 2 && strcmp(arguments[2], "accesses") == 0;
  simt::set_compute_major(9);  // so that every path is there
  bool good = true;
  if (std::string("linear_backward with dA").find(only) != std::string::npos) good = predicts_the_branch() && good;
  if (std::string("draws").find(only) != std::string::npos) good = predicts_the_draws() && good;
  table.add("g++ %d; counted by the emulator: test/cuda/counted_test.cpp, which says what is counted", __GNUC__);
#if defined(PRUNEPEFT_COUNTED_TABLE)
  if (update && !may_update(PRUNEPEFT_COUNTED_TABLE)) return 1;
#endif
  table.add("%-8s %-56s %18s %7s %7s %5s %9s %9s %9s %9s %8s %6s", "type", "call", "M x K x N", "KB", "KB", "ratio", "sectors",
            "sectors", "wavefr.", "cost.h's", "thousand", "us of");
  table.add("%-8s %-56s %18s %7s %7s %5s %9s %9s %9s %9s %8s %6s", "", "", "", "least", "counted", "", "a request", "of least",
            "of least", "bytes of", "instruc-", "2 of");
  table.add("%-8s %-56s %18s %7s %7s %5s %9s %9s %9s %9s %8s %6s", "", "", "", "", "", "", "", "", "", "counted", "tions",
            "132");
  for (const pp_dtype dtype : {PP_BFLOAT16, PP_FLOAT32}) good = counts_well(dtype, only, with_accesses) && good;
  const std::string report = simt::take_report();
  if (!report.empty()) printf("%s\n", report.c_str());
  good = good && report.empty();
  bool compared = true;
#if defined(PRUNEPEFT_COUNTED_TABLE)
  table.sort();
  if (update) good = updates(PRUNEPEFT_COUNTED_TABLE) && good;
  if (only.empty()) {
    compared = !table.is_of_another_compiler(PRUNEPEFT_COUNTED_TABLE);
    if (!compared) printf("%s is of another compiler: not compared\n", PRUNEPEFT_COUNTED_TABLE);
    if (compared && !table.is_kept_in(PRUNEPEFT_COUNTED_TABLE)) good = false;
  }
#endif
  printf("%s\n", good ? "passed" : "FAILED");
  return !good ? 1 : compared ? 0 : kNotCompared;
}
