// Stands in for cuBLASLt where the emulator stands in for a device: the same functions, by plain loops. It holds its caller to
// what the real one would: known attributes, an algorithm that was chosen for just these layouts, alignments as they were
// given; and to sums that are split being added up in float32. With PRUNEPEFT_STAND_IN_PRODUCTS in the environment all fail
// after so many products, as on a device that has met a fault. Test alone.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "float16.h"

namespace {
enum Type { kFloat32 = 0, kFloat16 = 2, kBfloat16 = 14 };
enum Status { kSuccess = 0, kInvalidValue = 7, kExecutionFailed = 13, kNotSupported = 15 };
constexpr int kCompute32F = 68, kTransposeA = 3, kMostWorkspace = 1, kReductions = 3, kFirstAlignment = 5, kAlignments = 4;
constexpr uint32_t kInComputeType = 2;
constexpr size_t kWorkspaceWanted = 4096;
/** Of the algorithms that are named one is said not to work, one fails when it is used, and the last one multiplies. */
constexpr int kAlgorithms = 3;

struct Operation {
  bool transposed_a = false;
};
struct Layout {
  int type;
  int64_t rows, columns, ld;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = ~0u;  // all
  uint32_t alignment[kAlignments] = {256, 256, 256, 256};
};
/** What an algorithm was chosen for. */
struct Algorithm {
  const Operation* operation;
  const Layout* a;
  const Layout* b;
  const Layout* c;
  uint32_t alignment[kAlignments];
  int number;
};
struct Choice {
  union {
    Algorithm algorithm;
    uint64_t data[8];
  };
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Algorithm) <= 64);

float load(const void* data, int type, int64_t i) {
  if (type == kFloat32) return static_cast<const float*>(data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(data)[i];
  return type == kFloat16 ? simt::half_value(bits) : simt::bfloat16_value(bits);
}

void store(void* data, int type, int64_t i, float v) {
  if (type == kFloat32)
    static_cast<float*>(data)[i] = v;
  else
    static_cast<uint16_t*>(data)[i] = type == kFloat16 ? simt::half_bits(v) : simt::bfloat16_bits(v);
}

bool aligned(const void* data, uint32_t alignment) {
  return reinterpret_cast<uintptr_t>(data) % alignment == 0;
}
}  // namespace

#define STAND_IN extern "C" __attribute__((visibility("default"))) int

extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() {
  return 120601;
}

STAND_IN cublasLtCreate(void** handle) {
  static int any;
  *handle = &any;
  return kSuccess;
}

STAND_IN cublasLtMatmulDescCreate(void** operation, int compute, int scale_type) {
  if (compute != kCompute32F || scale_type != kFloat32) return kNotSupported;
  *operation = new Operation;
  return kSuccess;
}

STAND_IN cublasLtDestroy(void*) {
  return kSuccess;
}

STAND_IN cublasLtMatmulDescDestroy(void* operation) {
  delete static_cast<Operation*>(operation);
  return kSuccess;
}

STAND_IN cublasLtMatrixLayoutDestroy(void* layout) {
  delete static_cast<Layout*>(layout);
  return kSuccess;
}

STAND_IN cublasLtMatmulDescSetAttribute(void* operation, int attribute, const void* value, size_t bytes) {
  int32_t number;
  if (attribute != kTransposeA || bytes != sizeof number) return kInvalidValue;
  memcpy(&number, value, bytes);
  static_cast<Operation*>(operation)->transposed_a = number == 1;
  return kSuccess;
}

STAND_IN cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  const Layout made = {type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), ld};
  if ((type != kFloat32 && type != kFloat16 && type != kBfloat16) || made.rows < 1 || made.columns < 1 || ld < made.rows)
    return kInvalidValue;
  *layout = new Layout(made);
  return kSuccess;
}

STAND_IN cublasLtMatmulPreferenceCreate(void** preference) {
  *preference = new Preference;
  return kSuccess;
}

STAND_IN cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value, size_t bytes) {
  auto* const wanted = static_cast<Preference*>(preference);
  if (attribute == kMostWorkspace && bytes == sizeof wanted->workspace) {
    memcpy(&wanted->workspace, value, bytes);
    return kSuccess;
  }
  if (attribute == kReductions && bytes == sizeof wanted->reductions) {
    memcpy(&wanted->reductions, value, bytes);
    return kSuccess;
  }
  const int operand = attribute - kFirstAlignment;
  if (operand < 0 || operand >= kAlignments || bytes != sizeof wanted->alignment[0]) return kInvalidValue;
  memcpy(&wanted->alignment[operand], value, bytes);
  return kSuccess;
}

STAND_IN cublasLtMatmulPreferenceDestroy(void* preference) {
  delete static_cast<Preference*>(preference);
  return kSuccess;
}

STAND_IN cublasLtMatmulAlgoGetHeuristic(void*, void* operation, void* a, void* b, void* c, void* d, void* preference,
                                        int wanted, Choice* choices, int* found) {
  const auto* const op = static_cast<Operation*>(operation);
  const auto *const left = static_cast<Layout*>(a), *const right = static_cast<Layout*>(b),
                    *const out = static_cast<Layout*>(c);
  const auto* const preferred = static_cast<Preference*>(preference);
  const int64_t m = op->transposed_a ? left->columns : left->rows, k = op->transposed_a ? left->rows : left->columns;
  if (preferred->reductions != kInComputeType) return kInvalidValue;
  if (wanted < 1 || c != d || right->rows != k || out->rows != m || out->columns != right->columns ||
      left->type != right->type || left->type != out->type)
    return kInvalidValue;
  *found = preferred->workspace < kWorkspaceWanted ? 0 : wanted < kAlgorithms ? wanted : kAlgorithms;
  for (int i = 0; i < *found; i++) {
    Choice& choice = choices[i];
    memset(&choice, 0, sizeof choice);
    choice.algorithm = {op, left, right, out, {}, i};
    memcpy(choice.algorithm.alignment, preferred->alignment, sizeof preferred->alignment);
    choice.workspace_bytes = kWorkspaceWanted;
    choice.state = i == 0 ? kNotSupported : kSuccess;
  }
  return kSuccess;
}

/** Alpha 1 alone; beta 0, or 1 in place. */
STAND_IN cublasLtMatmul(void*, void* operation, const void* alpha, const void* a, void* a_layout, const void* b, void* b_layout,
                        const void* beta, const void* c, void* c_layout, void* d, void* d_layout, const Algorithm* algorithm,
                        void* workspace, size_t workspace_bytes, void*) {
  static const char* const most = getenv("PRUNEPEFT_STAND_IN_PRODUCTS");
  static int64_t products = 0;
  if (most != nullptr && products++ >= atoll(most)) return kExecutionFailed;
  float scale, add;
  memcpy(&scale, alpha, sizeof scale);
  memcpy(&add, beta, sizeof add);
  if (scale != 1 || (add != 0 && add != 1) || c != d || c_layout != d_layout || workspace == nullptr ||
      workspace_bytes < kWorkspaceWanted)
    return kInvalidValue;
  if (algorithm->operation != operation || algorithm->a != a_layout || algorithm->b != b_layout || algorithm->c != c_layout)
    return kInvalidValue;
  if (!aligned(a, algorithm->alignment[0]) || !aligned(b, algorithm->alignment[1]) || !aligned(c, algorithm->alignment[2]) ||
      !aligned(d, algorithm->alignment[3]))
    return kInvalidValue;
  if (algorithm->number != kAlgorithms - 1) return kNotSupported;
  const bool transposed = static_cast<Operation*>(operation)->transposed_a;
  const Layout &left = *algorithm->a, &right = *algorithm->b, &out = *algorithm->c;
  for (int64_t j = 0; j < out.columns; j++)
    for (int64_t i = 0; i < out.rows; i++) {
      double sum = add != 0 ? load(c, out.type, j * out.ld + i) : 0;
      for (int64_t l = 0; l < right.rows; l++)
        sum += static_cast<double>(load(a, left.type, transposed ? i * left.ld + l : l * left.ld + i)) *
               load(b, right.type, j * right.ld + l);
      store(d, out.type, j * out.ld + i, static_cast<float>(sum));
    }
  return kSuccess;
}
