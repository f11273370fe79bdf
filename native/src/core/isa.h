// Chooses among the copies of a family's kernels that the build made, one for each instruction set.
#pragma once

#include "core/call.h"

namespace prunepeft {

/** The table of the call's instruction set; a build for another architecture than x86-64 has only the portable one. */
template <class Table>
const Table& table_in_use(const Table& portable, const Table& avx2, const Table& avx512, const Table& avx512_bf16,
                          const Table& amx) {
  switch (call_isa()) {
    case PP_ISA_AMX:
      return amx;
    case PP_ISA_AVX512_BF16:
      return avx512_bf16;
    case PP_ISA_AVX512:
      return avx512;
    case PP_ISA_AVX2:
      return avx2;
    default:
      return portable;
  }
}

/** The same for kernels that don't use AMX. */
template <class Table>
const Table& table_in_use(const Table& portable, const Table& avx2, const Table& avx512, const Table& avx512_bf16) {
  return table_in_use(portable, avx2, avx512, avx512_bf16, avx512_bf16);
}

/** The same for kernels of float32, for which AVX-512 BF16 brings nothing. */
template <class Table>
const Table& table_in_use(const Table& portable, const Table& avx2, const Table& avx512) {
  return table_in_use(portable, avx2, avx512, avx512);
}

}  // namespace prunepeft

/**
 * Declares `extern const table name` in each instruction set's namespace. Where the build has but the portable one, the others
 * are names for it. Kernels of bfloat16 have one set more, those that use AMX one more still, if the compiler knows it.
 */
#if defined(__x86_64__)
#define PP_BF16_KERNEL_TABLES(table, name) \
  PP_KERNEL_TABLES(table, name)            \
  namespace avx512_bf16 {                  \
  extern const table name;                 \
  }
#define PP_KERNEL_TABLES(table, name) \
  namespace portable {                \
  extern const table name;            \
  }                                   \
  namespace avx2 {                    \
  extern const table name;            \
  }                                   \
  namespace avx512 {                  \
  extern const table name;            \
  }
#else
#define PP_BF16_KERNEL_TABLES(table, name) \
  PP_KERNEL_TABLES(table, name)            \
  namespace avx512_bf16 {                  \
  using portable::name;                    \
  }
#define PP_KERNEL_TABLES(table, name) \
  namespace portable {                \
  extern const table name;            \
  }                                   \
  namespace avx2 {                    \
  using portable::name;               \
  }                                   \
  namespace avx512 {                  \
  using portable::name;               \
  }
#endif

#if defined(PRUNEPEFT_AMX)
#define PP_AMX_KERNEL_TABLES(table, name) \
  PP_BF16_KERNEL_TABLES(table, name)      \
  namespace amx {                         \
  extern const table name;                \
  }
#else
#define PP_AMX_KERNEL_TABLES(table, name) \
  PP_BF16_KERNEL_TABLES(table, name)      \
  namespace amx {                         \
  using avx512_bf16::name;                \
  }
#endif
