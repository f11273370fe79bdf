// Tile registers in plain C++: AMX-TILE and AMX-BF16 as the processor's manual describes them, for machines without. Every
// thread has registers of its own. What the processor would refuse ends the program with a message.
#pragma once

#include <stdint.h>

namespace prunepeft {
namespace emulated {

/** `shapes` are LDTILECFG's 64 bytes; all registers become zeros. */
void configure(const void* shapes);
void release();
void zero(int tile);
/** Rows and bytes beyond the register's shape become zeros and are not read. */
void load(int tile, const void* p, int64_t stride);
void store(int tile, void* p, int64_t stride);
/** TDPBF16PS sums, rows, columns. */
void multiply_pairs(int sums, int rows, int columns);

/** Of all threads since the program began: multiplications, and configurations that were not released. */
int64_t multiplications();
int64_t configured();

}  // namespace emulated
}  // namespace prunepeft
