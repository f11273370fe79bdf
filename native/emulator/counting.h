// Where the emulator tells count.cpp what happens; nothing is done unless g_counting is set.
#pragma once

#include "count.h"
#include "state.h"

namespace simt {
extern bool g_counting;

/** An access of the current thread, from the code at `code`, or from a line that is named. */
void count_request(Access access, uintptr_t address, size_t bytes, void* code);
void count_request(Access access, uintptr_t address, size_t bytes, const char* file, int line);
void count_async_copy(uintptr_t target, uintptr_t source, size_t source_bytes, const char* file, int line);
/** Bytes that the copy engine reads for one row of a box. */
void count_bulk_row(uintptr_t address, size_t bytes, const char* file, int line);
void count_fill(uintptr_t address, size_t bytes);
/** The current thread has come to an operation of its warp; an ldmatrix reads the row at `row`. */
void count_collective(Op op, const void* row, bool whole_warp, const char* file, int line);
/** What a block's threads have done so far are whole requests. */
void count_barrier(const Block& block);
}  // namespace simt
