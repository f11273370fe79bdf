// What each family moves, counted by the emulator (count.h) at a small shape: bytes through memory against those of its
// operands and slots, sectors and wavefronts against those that as many different bytes would take. What takes more than a
// bound is listed.
//
//   counted_emulated            the table, and whether all keep within their bounds
//   counted_emulated accesses   for each call also its loads and stores
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
constexpr Bound kExceptions[] = {{"none", 1, 1, 1}};

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
  const double a = modules * size * kRank * kK, b = modules * size * kN * kRank;
  const double da = modules * 4.0 * kRank * kK, db = modules * 4.0 * kN * kRank;
  if (begins("lora_down")) return x + a + s;
  if (begins("lora_up, overwriting")) return y + s + b;
  if (begins("lora_up")) return 2 * y + s + b;
  if (begins("lora_grad_up")) return y + b + 2 * s + db;
  if (begins("lora_grad_down")) return x + s + da;
  if (begins("lora_grad_input, overwriting")) return x + s + a;
  if (begins("lora_grad_input")) return 2 * x + s + a;
  if (begins("linear_forward")) return x + w + y + a + b + s;
  if (begins("linear_grad_input")) return y + w + x + a + s;
  if (begins("adapter_forward")) return 3 * x + s + 2 * a;
  if (begins("adapter_backward")) return 3 * x + s + 2 * (a + da);
  if (begins("output_magnitude")) return s + b;
  return call.bytes;
}

/** Of the fused linears cost.h counts the product's bytes only where they may bind. */
bool is_modelled(const Call& call) {
  return call.name.rfind("linear_", 0) != 0;
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

bool counts_well(pp_dtype dtype, bool with_accesses) {
  Operands operands(dtype, kM, kK, kN, kRank, 1);
  Modules modules(dtype, 16, {{kK, kN}}, kRank, 2);
  bool good = true;
  const auto count_all = [&](const std::vector<Call>& calls) {
    for (const Call& call : calls)
      if (call.name.find("calls") == std::string::npos && call.name.rfind("linear_", 0) != 0)
        good = counts_well(call, dtype, with_accesses) && good;
  };
  count_all(operands.pure_calls());
  count_all(operands.adding_calls());
  count_all(modules.calls());
  const auto shape = linear_shape(dtype, kM, kK, kN, kRank, LinearDirection::kForward);
  for (const FusedVariant& variant : fused_variants(shape, true)) {
    if (variant.name.empty()) continue;  // the chosen one is one of the others
    const ForcedLinearPath in_force(variant.forced);
    for (Call& call : operands.pure_calls()) {
      if (call.name.rfind("linear_", 0) != 0) continue;
      call.name += variant.name;
      good = counts_well(call, dtype, with_accesses) && good;
    }
  }
  return good;
}
}  // namespace

int main(int count, char** arguments) {
  const bool with_accesses = count == 2 && strcmp(arguments[1], "accesses") == 0;
  simt::set_compute_major(9);  // so that every path is there
  bool good = true;
  for (const pp_dtype dtype : {PP_BFLOAT16, PP_FLOAT32}) good = counts_well(dtype, with_accesses) && good;
  const std::string report = simt::take_report();
  if (!report.empty()) printf("%s\n", report.c_str());
  printf("%s\n", good && report.empty() ? "passed" : "FAILED");
  return good && report.empty() ? 0 : 1;
}
