// Of a family whose kernels of both element types are in one table: the table, and the choice among those that the build made.
#pragma once

namespace prunepeft {

/** The kernels of one instruction set, for each element type. */
template <class Kernels>
struct BothTypes {
  Kernels float32, bfloat16;
};

}  // namespace prunepeft

/** Defines `const Kernels& function(pp_dtype)`: a type's kernels, from the tables `name` of core/isa.h. */
#define PP_KERNELS_OF_TYPE(Kernels, name, function)                                                 \
  PP_BF16_KERNEL_TABLES(BothTypes<Kernels>, name)                                                   \
  const Kernels& function(pp_dtype dtype) {                                                         \
    const auto& tables = table_in_use(portable::name, avx2::name, avx512::name, avx512_bf16::name); \
    return dtype == PP_FLOAT32 ? tables.float32 : tables.bfloat16;                                  \
  }
