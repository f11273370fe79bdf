// What each family moves, counted by the emulator (count.h) at a small shape: bytes through memory against those of its
// operands and slots, sectors and wavefronts against those that as many different bytes would take. What takes more than a
// bound is listed.
//
//   counted_emulated                   the table, and whether all keep within their bounds
//   counted_emulated NAME [accesses]   of calls whose type and name hold NAME alone, such as "float32 lora_up"; on request also
//                                      their loads and stores
#include <cmath>
#include <cstring>

#include "../../gpu-check/operands.h"
#include "count.h"

namespace {
using namespace gpu_check;
using prunepeft::cuda::ForcedLinearPath;
using prunepeft::cuda::memory_bytes;

constexpr int64_t kM = 1024, kK = 512, kN = 512, kRank = 16, kModules = 8;
/** Three quarters of x, as the 50 MB of an H100 are of x at 8192 x 4096. */
constexpr size_t kCacheBytes = kM * kK * 2 / 4 * 3;

/** How far cost.h may be from the counted bytes. */
constexpr double kModelTolerance = 0.1;

/** Most of what is counted, over the least. */
struct Bound {
  const char* name;  // of calls that begin with it
  double bytes, sectors, wavefronts;
};
constexpr Bound kBound = {"", 1.15, 1.15, 1.15};
/**
 * Slots are read again where they do not stay in the cache. Gradients of B lie [N,rank]: neighbours in a warp are rows apart.
 * Groups of eight float32 are two vectors a thread, so that each takes half of a sector and every second bank; up stores its
 * product in pairs. The fused linears read W again for each group of row tiles, of which two multiprocessors have small ones.
 */
constexpr Bound kExceptions[] = {{"lora_grad_up", 1.4, 1.7, 1.15},      {"lora_grad_down", 1.3, 1.15, 1.15},
                                 {"lora_up", 1.15, 1.8, 1.8},           {"lora_grad_input", 1.15, 1.8, 1.8},
                                 {"adapter_forward", 1.15, 1.8, 1.6},   {"adapter_backward", 1.35, 1.6, 1.6},
                                 {"output_magnitude", 1.15, 1.15, 1.8}, {"importance_quantile", 3.2, 2.1, 1.8},
                                 {"importance", 1.15, 2.0, 1.4},        {"linear_", 3.0, 1.8, 1.8}};

const Bound& bound_of(const std::string& name) {
  for (const Bound& bound : kExceptions)
    if (name.rfind(bound.name, 0) == 0) return bound;
  return kBound;
}

/** Bytes of a call's operands, each read or written once. Slots, of which small shapes have many, are not among them. */
double operand_bytes(const Call& call, pp_dtype dtype) {
  const auto begins = [&](const char* with) { return call.name.rfind(with, 0) == 0; };
  const auto size = static_cast<double>(pp_dtype_size(dtype));
  const double modules = call.name.find("modules") != std::string::npos ? kModules : 1;
  const double x = size * kM * kK, y = size * kM * kN, w = size * kN * kK, s = size * kM * kRank;
  const double a = size * kRank * kK, b = size * kN * kRank;  // the same for all modules
  const double mask = call.name.find(", mask ") != std::string::npos ? static_cast<double>(pp_kept_mask_bytes(kM, kK)) : 0;
  const double da = modules * 4.0 * kRank * kK, db = modules * 4.0 * kN * kRank;
  if (begins("lora_down")) return x + a + s + mask;
  if (begins("lora_up, overwriting")) return y + s + b;
  if (begins("lora_up")) return 2 * y + s + b;
  if (begins("lora_grad_up")) return y + b + 2 * s + db;
  if (begins("lora_grad_down")) return x + s + da + mask;
  if (begins("lora_grad_input, overwriting")) return x + s + a + mask;
  if (begins("lora_grad_input")) return 2 * x + s + a + mask;
  if (begins("linear_forward")) return x + w + y + a + b + s + mask;
  if (begins("linear_grad_input")) return y + w + x + a + s + mask;
  if (begins("adapter_forward")) return 3 * x + s + 2 * a;
  if (begins("adapter_backward")) return 3 * x + s + 2 * (a + da);
  if (begins("output_magnitude")) return s + b;
  if (begins("importance_quantile")) return call.bytes / (dtype == PP_FLOAT32 ? 3 : 2);  // each round reads all weights
  return call.bytes;
}

/**
 * Of the fused linears cost.h counts the product's bytes only where they may bind, of several modules one's gradients, and each
 * round of a quantile, whose weights lie in the cache here.
 */
bool is_modelled(const Call& call) {
  const auto holds = [&](const char* text) { return call.name.find(text) != std::string::npos; };
  return !holds("linear_") && !holds("modules") && !holds("quantile");
}

void print_accesses(const simt::Traffic& traffic) {
  for (const simt::AccessCount& access : traffic.accesses)
    printf("    %-13s %9llu requests, %9llu sectors (least %9llu), %9llu wavefronts (least %9llu)  %s\n",
           simt::name(access.kind), static_cast<unsigned long long>(access.requests),
           static_cast<unsigned long long>(access.sectors), static_cast<unsigned long long>(access.least_sectors),
           static_cast<unsigned long long>(access.wavefronts), static_cast<unsigned long long>(access.least_wavefronts),
           simt::place(access).c_str());
}

/** Whether a call keeps within its bounds. */
bool counts_well(const Call& call, pp_dtype dtype, bool with_accesses) {
  simt::start_counting(kCacheBytes);
  call.run(kDevice);
  check(pp_synchronize(&kDevice));
  const simt::Traffic traffic = simt::stop_counting();
  double sectors = 0, least_sectors = 0, wavefronts = 0, least_wavefronts = 0;
  for (const simt::AccessCount& access : traffic.accesses) {
    sectors += static_cast<double>(access.sectors);
    least_sectors += static_cast<double>(access.least_sectors);
    wavefronts += static_cast<double>(access.wavefronts);
    least_wavefronts += static_cast<double>(access.least_wavefronts);
  }
  const double least = operand_bytes(call, dtype) + call.cost.slot_bytes, counted = static_cast<double>(traffic.bytes());
  const double bytes = counted / least, sector = sectors / least_sectors;
  const double wavefront = least_wavefronts > 0 ? wavefronts / least_wavefronts : 1;
  const Bound& bound = bound_of(call.name);
  const double model = is_modelled(call) ? memory_bytes(call.cost, kCacheBytes) / counted : 1;
  // No kernel moves less than its operands, but for what a sector holds of two of them.
  const bool within = bytes > 0.98 && bytes <= bound.bytes && sector <= bound.sectors && wavefront <= bound.wavefronts;
  const bool predicted = std::abs(model - 1) <= kModelTolerance;
  printf("%-9s %-42s %6.0f KB, least %6.0f: %5.2f  sectors %5.2f  wavefronts %5.2f  model %5.2f%s%s\n", dtype_name(dtype),
         call.name.c_str(), counted / 1024, least / 1024, bytes, sector, wavefront, model,
         within ? "" : "  NOT within its bounds", predicted ? "" : "  NOT as cost.h predicts");
  if (with_accesses) print_accesses(traffic);
  return within && predicted;
}

/** Where groups of eight elements, which are two vectors then, pass from memory and to it. Others would only take long. */
bool differs_in_float32(const Call& call) {
  return call.name.rfind("lora_up", 0) == 0 || call.name.rfind("importance", 0) == 0;
}

bool counts_well(pp_dtype dtype, const std::string& only, bool with_accesses) {
  Operands operands(dtype, kM, kK, kN, kRank, 1);
  Modules modules(dtype, 16, {{kK, kN}}, kRank, 2);
  bool good = true;
  const auto count_all = [&](const std::vector<Call>& calls, bool linears, const std::string& variant) {
    for (Call call : calls) {
      if (dtype == PP_FLOAT32 && !differs_in_float32(call)) continue;
      if (call.name.find("calls") != std::string::npos || (call.name.rfind("linear_", 0) == 0) != linears) continue;
      call.name += variant;
      const std::string name = std::string(dtype_name(dtype)) + " " + call.name;
      if (name.find(only) != std::string::npos) good = counts_well(call, dtype, with_accesses) && good;
    }
  };
  count_all(operands.pure_calls(), false, "");
  count_all(operands.adding_calls(), false, "");
  count_all(modules.calls(), false, "");
  const auto shape = linear_shape(dtype, kM, kK, kN, kRank, LinearDirection::kForward);
  for (const FusedVariant& variant : fused_variants(shape, true)) {
    if (variant.name.empty()) continue;  // the chosen one is one of the others
    const ForcedLinearPath in_force(variant.forced);
    count_all(operands.pure_calls(), true, variant.name);
  }
  return good;
}
}  // namespace

int main(int count, char** arguments) {
  const std::string only = count > 1 ? arguments[1] : "";
  const bool with_accesses = count > 2 && strcmp(arguments[2], "accesses") == 0;
  simt::set_compute_major(9);  // so that every path is there
  bool good = true;
  for (const pp_dtype dtype : {PP_BFLOAT16, PP_FLOAT32}) good = counts_well(dtype, only, with_accesses) && good;
  const std::string report = simt::take_report();
  if (!report.empty()) printf("%s\n", report.c_str());
  printf("%s\n", good && report.empty() ? "passed" : "FAILED");
  return good && report.empty() ? 0 : 1;
}
