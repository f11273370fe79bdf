#include "linear/cpu/linear_cpu.h"

#include <cstring>
#include <initializer_list>
#include <new>

#include "core/arguments.h"
#include "core/call.h"
#include "core/isa.h"
#include "core/threads.h"
#include "core/workspace.h"
#include "linear/plan.h"

namespace prunepeft {

PP_KERNEL_TABLES(LinearKernels, linear_kernels)
PP_AMX_KERNEL_TABLES(LinearKernels, linear_bf16_kernels)

namespace {

constexpr std::align_val_t kAlignment{kCacheLine};

/** rows x columns elements; null where there is no memory for them. */
template <class Element>
Element* allocate(int64_t rows, int64_t columns) {
  WorkspaceSize size;
  size.bytes(rows, columns, sizeof(Element));
  if (size.total() > static_cast<size_t>(kMostBytes)) return nullptr;
  return static_cast<Element*>(::operator new(static_cast<size_t>(rows * columns) * sizeof(Element), kAlignment, std::nothrow));
}

int64_t strips(int64_t columns) {
  return (columns + kStrip - 1) / kStrip;
}

int64_t strip_width(int64_t columns, int64_t first) {
  return widest_padded(columns - first < kStrip ? columns - first : kStrip);
}

/** A rank's pairs, whole steps of any instruction set. */
int64_t rank_pairs(int64_t rank) {
  return ((rank + 1) / 2 + kWidestPairs - 1) / kWidestPairs * kWidestPairs;
}

/** Of two codes. */
int64_t pair_bytes(pp_quantization type) {
  return type == PP_INT8 ? 2 : 1;
}

/** Element (k, j) at w[k * row_step + j * column_step]; it may lie at any address. */
struct Source {
  const void* w;
  int64_t row_step, column_step;

  template <class Element>
  void read(int64_t k, int64_t j, Element* to) const {
    std::memcpy(to, static_cast<const Element*>(w) + k * row_step + j * column_step, sizeof(Element));
  }
};

/** Packs a strip of a matrix of `depth` x `columns`; a float of it is one element, or two of bfloat16. */
void pack_strip(const Source& source, bool pairs, int64_t depth, int64_t columns, int64_t strip, float* packed) {
  const int64_t first = strip * kStrip, width = strip_width(columns, first), rows = pairs ? (depth + 1) / 2 : depth;
  float* to = packed + first * rows;
  for (int64_t k = 0; k < rows; ++k) {
    for (int64_t j = 0; j < width; ++j, ++to) {
      *to = 0.0f;
      if (first + j >= columns) continue;
      if (pairs) {
        uint16_t pair[2] = {0, 0};
        source.read(2 * k, first + j, &pair[0]);
        if (2 * k + 1 < depth) source.read(2 * k + 1, first + j, &pair[1]);
        std::memcpy(to, pair, sizeof pair);
      } else {
        source.read(k, first + j, to);
      }
    }
  }
}

/** Codes of a matrix whose element (k, j) is number k * row_step + j * column_step of W. */
struct CodeSource {
  const void* codes;
  pp_quantization type;
  int64_t row_step, column_step;

  uint8_t read(int64_t k, int64_t j) const {
    const int64_t element = k * row_step + j * column_step;
    const uint8_t* all = static_cast<const uint8_t*>(codes);
    if (type == PP_INT8) return all[element];
    return static_cast<uint8_t>(element % 2 == 0 ? all[element / 2] >> 4 : all[element / 2] & 15);
  }
};

/** Packs a strip of codes; those beyond the matrix are 0. */
void pack_codes(const CodeSource& source, int64_t depth, int64_t columns, int64_t strip, uint8_t* packed) {
  const int64_t first = strip * kStrip, width = strip_width(columns, first), pairs = (depth + 1) / 2;
  const int64_t bytes = pair_bytes(source.type);
  uint8_t* to = packed + first * pairs * bytes;
  for (int64_t k = 0; k < depth; k += 2) {
    for (int64_t j = first; j < first + width; ++j, to += bytes) {
      const uint8_t one = j < columns ? source.read(k, j) : 0, other = j < columns && k + 1 < depth ? source.read(k + 1, j) : 0;
      if (source.type == PP_INT8) {
        to[0] = one;
        to[1] = other;
      } else {
        to[0] = static_cast<uint8_t>(one << 4 | other);
      }
    }
  }
}

/** PP_INT8: a scale for each row; PP_NF4: for each block. */
int64_t scale_count(const pp_linear& linear) {
  const Decoding& decoding = linear.decoding;
  return decoding.type == PP_INT8 ? linear.N : ((linear.N * linear.K - 1) >> decoding.block_shift) + 1;
}

float widen(uint16_t bfloat16) {
  const uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void copy_bias(const pp_linear& linear) {
  std::memset(linear.padded_bias, 0, static_cast<size_t>(widest_padded(linear.N)) * sizeof(float));
  if (linear.bias == nullptr) return;
  const Source bias{linear.bias, 0, 1};
  for (int64_t n = 0; n < linear.N; ++n) {
    uint16_t bits;
    if (linear.dtype == PP_FLOAT32) {
      bias.read(0, n, linear.padded_bias + n);
    } else {
      bias.read(0, n, &bits);
      linear.padded_bias[n] = widen(bits);
    }
  }
}

}  // namespace

const LinearKernels& linear_cpu(pp_dtype dtype) {
  if (dtype == PP_BFLOAT16) {
    return table_in_use(portable::linear_bf16_kernels, avx2::linear_bf16_kernels, avx512::linear_bf16_kernels,
                        avx512_bf16::linear_bf16_kernels, amx::linear_bf16_kernels);
  }
  return table_in_use(portable::linear_kernels, avx2::linear_kernels, avx512::linear_kernels);
}

bool linear_cpu_prepare(pp_linear& linear) {
  const int64_t N = linear.N, K = linear.K;
  Decoding& decoding = linear.decoding;
  const bool pairs = linear.dtype == PP_BFLOAT16;
  const float* given_scales = decoding.scales;
  decoding.scales = nullptr;
  linear.padded_bias = allocate<float>(1, widest_padded(N));
  if (linear.borrowed) {
    if (linear.padded_bias != nullptr) copy_bias(linear);
    return linear.padded_bias != nullptr;
  }
  if (decoding.used) {
    linear.forward = allocate<uint8_t>((K + 1) / 2 * pair_bytes(decoding.type), widest_padded(N));
    linear.backward = allocate<uint8_t>((N + 1) / 2 * pair_bytes(decoding.type), widest_padded(K));
    decoding.scales = allocate<float>(1, scale_count(linear));
    if (decoding.scales == nullptr) return false;
  } else {
    linear.forward = allocate<float>(pairs ? (K + 1) / 2 : K, widest_padded(N));
    linear.backward = allocate<float>(pairs ? (N + 1) / 2 : N, widest_padded(K));
  }
  if (linear.forward == nullptr || linear.backward == nullptr || linear.padded_bias == nullptr) return false;
  copy_bias(linear);
  if (decoding.used) std::memcpy(decoding.scales, given_scales, static_cast<size_t>(scale_count(linear)) * sizeof(float));
  const auto pack = [&](int64_t item) {
    const bool forward = item < strips(N);
    const int64_t strip = forward ? item : item - strips(N), depth = forward ? K : N, columns = forward ? N : K;
    void* packed = forward ? linear.forward : linear.backward;
    if (decoding.used) {
      const CodeSource source{linear.w, decoding.type, forward ? 1 : K, forward ? K : 1};
      pack_codes(source, depth, columns, strip, static_cast<uint8_t*>(packed));
    } else {
      const Source source{linear.w, forward ? 1 : linear.ldw, forward ? linear.ldw : 1};
      pack_strip(source, pairs, depth, columns, strip, static_cast<float*>(packed));
    }
  };
  run_phases(2.0 * static_cast<double>(N) * static_cast<double>(K), phase(strips(N) + strips(K), pack));
  return true;
}

void linear_cpu_release(pp_linear& linear) {
  for (void* made :
       {linear.forward, linear.backward, static_cast<void*>(linear.padded_bias), static_cast<void*>(linear.decoding.scales)}) {
    ::operator delete(made, kAlignment);
  }
}

namespace {

/** What Strips take (strips.h). */
void add_runs(const pp_linear& linear, WorkspaceSize& size) {
  if (linear.by_runs()) size.floats(kRunFloats, call_threads());
}

}  // namespace

namespace {

/** A row of a dense W in strips, for the direction in which its rows are the depth. */
template <class Element>
void copy_row(const pp_linear& linear, int64_t n, char* to) {
  constexpr int64_t kDepth = sizeof(float) / sizeof(Element);  // elements of a step
  const int64_t steps = (linear.N + kDepth - 1) / kDepth;
  for (int64_t first = 0; first < linear.K; first += kStrip) {
    const int64_t width = strip_width(linear.K, first), columns = linear.K - first < kStrip ? linear.K - first : kStrip;
    const Element* from =
        static_cast<const Element*>(linear.backward) + (first * steps + n / kDepth * width) * kDepth + n % kDepth;
    Element row[kStrip];
    for (int64_t j = 0; j < columns; ++j) row[j] = from[j * kDepth];
    std::memcpy(to + static_cast<size_t>(first) * sizeof(Element), row, static_cast<size_t>(columns) * sizeof(Element));
  }
}

/** Rows of an item. */
constexpr int64_t kCopiedRows = 16;

}  // namespace

void linear_rows_cpu(const LinearRows& c) {
  const pp_linear& linear = *c.linear;
  if (linear.decoding.used) return linear_cpu(PP_FLOAT32).decode_rows(c);
  const size_t size = pp_dtype_size(linear.dtype), bytes = static_cast<size_t>(linear.K) * size;
  const auto copy = [&](int64_t item) {
    const int64_t end = (item + 1) * kCopiedRows < c.count ? (item + 1) * kCopiedRows : c.count;
    for (int64_t i = item * kCopiedRows; i < end; ++i) {
      char* to = static_cast<char*>(c.to) + static_cast<size_t>(i * c.ldto) * size;
      const int64_t n = c.first + i;
      if (linear.borrowed) {
        std::memcpy(to, static_cast<const char*>(linear.w) + static_cast<size_t>(n * linear.ldw) * size, bytes);
      } else if (linear.dtype == PP_FLOAT32) {
        copy_row<uint32_t>(linear, n, to);
      } else {
        copy_row<uint16_t>(linear, n, to);
      }
    }
  };
  run_phases(8.0 * static_cast<double>(c.count) * static_cast<double>(linear.K),
             phase((c.count + kCopiedRows - 1) / kCopiedRows, copy));
}

// Each size mirrors what the kernel of its name carves from the workspace.

size_t linear_rows_cpu_workspace(const pp_linear& linear) {
  WorkspaceSize size;
  if (linear.decoding.used) add_runs(linear, size);
  return size.total();
}

size_t linear_forward_cpu_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t module_count) {
  WorkspaceSize size;
  add_runs(linear, size);
  const int64_t K = linear.K;
  if (linear.dtype == PP_BFLOAT16) {
    for (int32_t n = 0; n < module_count; ++n) {
      const LoraModule& module = modules[n];
      size.floats((K + 1) / 2, widest_padded(module.rank));                                // A packed
      size.floats(strips(module.columns + kStrip - 1) * kStrip, rank_pairs(module.rank));  // B packed by y's strips
      size.bytes(M, rank_pairs(module.rank), 2 * sizeof(uint16_t));                        // S rounded
    }
    return size.total();
  }
  int64_t ranks = 0;
  for (int32_t n = 0; n < module_count; ++n) ranks += widest_padded(modules[n].rank);
  size.floats(K, ranks);  // A of all modules, packed
  for (int32_t n = 0; n < module_count; ++n) {
    size.floats(widest_padded(modules[n].columns), modules[n].rank);  // B of each module, packed
  }
  return size.total();
}

size_t linear_grad_input_cpu_workspace(const pp_linear& linear, int64_t M, const LoraModule* modules, int32_t module_count) {
  WorkspaceSize size;
  add_runs(linear, size);
  const int64_t K = linear.K;
  if (linear.dtype == PP_BFLOAT16) {
    for (int32_t n = 0; n < module_count; ++n) {
      size.floats(strips(K) * kStrip, rank_pairs(modules[n].rank));      // A packed by dX's strips
      size.bytes(M, rank_pairs(modules[n].rank), 2 * sizeof(uint16_t));  // dS rounded
    }
    return size.total();
  }
  int64_t ranks = 0;
  for (int32_t n = 0; n < module_count; ++n) ranks += modules[n].rank;
  size.floats(widest_padded(K), ranks);  // A of all modules, packed
  return size.total();
}

}  // namespace prunepeft
