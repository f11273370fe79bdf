// Fibers: stacks of their own and a switch between them. On x86-64 (System V) the switch is written by hand, since swapcontext
// makes a system call each time (17 ns against 280 ns); elsewhere, and with SIMT_UCONTEXT, it is ucontext.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#define SIMT_UCONTEXT
#endif
#if defined(SIMT_UCONTEXT)
#include <ucontext.h>
#endif

namespace simt {
constexpr size_t kStackBytes = 64 * 1024;

/** A suspended flow of control. One without a stack stands for the host's own. */
struct Context {
  char* stack = nullptr;
#if defined(SIMT_UCONTEXT)
  ucontext_t saved;
#else
  void* stack_pointer = nullptr;
#endif
};

/** Memory for a stack, above a page that faults on overflow. It is never freed. */
char* allocate_stack();
/** Makes `context` start at `entry` on its stack when it is next switched to. `entry` never returns. */
void prepare(Context* context, void (*entry)());
void switch_context(Context* from, Context* to);
}  // namespace simt
