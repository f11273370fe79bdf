// Devices and their memory, threads and instruction sets.
//
// The library keeps what it has made on a CUDA device (contexts, loaded kernels, streams of its own) as long as the process
// lives: cudaDeviceReset must not be called.
#pragma once

#include "prunepeft/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Instruction sets of the CPU paths, in rising order. PP_ISA_AVX2 includes FMA; PP_ISA_AVX512 is F, BW, DQ and VL;
 * PP_ISA_AVX512_BF16 multiplies bfloat16 too, which the others do by widening it to float32, no faster than float32 itself.
 * PP_ISA_AMX adds AMX-TILE and AMX-BF16, which the fused linear takes for bfloat16, where Linux lets the process use them.
 */
typedef enum pp_isa PP_ENUM {
  PP_ISA_PORTABLE = 0,
  PP_ISA_AVX2 = 1,
  PP_ISA_AVX512 = 2,
  PP_ISA_AVX512_BF16 = 3,
  PP_ISA_AMX = 4
} pp_isa;

/**
 * Counts the devices of a type: 1 for PP_CPU. A build without CUDA, or a machine without driver or GPU, has 0 CUDA devices;
 * the call then still returns PP_OK, and pp_last_error() gives the reason. Of those counted, some may be too old:
 * pp_device_check.
 */
PP_API pp_status pp_device_count(pp_device_type type, int32_t* count);

/**
 * Whether calls can run on a device: PP_OK, also for each PP_CPU; PP_NO_DEVICE where there is none or its compute capability is
 * below 8.0; PP_INVALID_ARGUMENT where there are others only. Sets nothing up on it.
 */
PP_API pp_status pp_device_check(const pp_device* device);

/**
 * Memory of a device, aligned to 256 bytes and not cleared, for callers without an allocator of their own. *memory is null for
 * 0 bytes. PP_OUT_OF_MEMORY where it cannot be had.
 */
PP_API pp_status pp_allocate(const pp_device* device, size_t bytes, void** memory);

/** Frees what pp_allocate gave on the same device; null is legal. Work that uses it must have ended. */
PP_API pp_status pp_free(const pp_device* device, void* memory);

/** Copies `bytes` bytes of host memory into memory of the device, in the order of its stream, and waits for the end. */
PP_API pp_status pp_copy_to_device(const pp_device* device, void* to, const void* from, size_t bytes);

/** Copies `bytes` bytes of the device's memory into host memory, in the order of its stream, and waits for the end. */
PP_API pp_status pp_copy_to_host(const pp_device* device, void* to, const void* from, size_t bytes);

/** Waits until all work on the device's stream has ended. PP_DEVICE_ERROR if some of it failed. */
PP_API pp_status pp_synchronize(const pp_device* device);

/** More threads than any processor runs; the most that a process may set. */
enum { PP_MOST_THREADS = 1024 };

/**
 * Sets how many threads CPU calls use, in [1, PP_MOST_THREADS], for the whole process. It changes no result. A call that runs
 * on another thread keeps the number that it began with. Callers on several threads share the process's helpers, which run on
 * any processor that the process may, and round and flush as their caller does; the child of a fork has none of them.
 */
PP_API pp_status pp_set_num_threads(int32_t threads);

/** How many threads CPU calls use; at first, the number of processors that this process, any thread of it, may run on. */
PP_API int32_t pp_num_threads(void);

/** The widest instruction set that this processor has and that the library knows. */
PP_API pp_isa pp_cpu_isa_supported(void);

/** The instruction set in use; at first pp_cpu_isa_supported(). */
PP_API pp_isa pp_cpu_isa(void);

/**
 * Chooses an instruction set for the whole process, for tests and comparisons. Results of different sets differ by
 * rounding. PP_UNSUPPORTED where the processor lacks it. A call that runs on another thread keeps the set that it began with.
 */
PP_API pp_status pp_set_cpu_isa(pp_isa isa);

/** "portable", "avx2", "avx512", "avx512_bf16" or "amx"; "unknown" for anything else. */
PP_API const char* pp_isa_name(pp_isa isa);

#ifdef __cplusplus
}
#endif
