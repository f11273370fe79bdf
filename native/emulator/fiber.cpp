#include "fiber.h"

#include <sys/mman.h>

#include <cstdlib>

#if !defined(SIMT_UCONTEXT)
// simt_switch(void** save, void* load): keeps the six callee-saved registers on the old stack and takes them from the new one.
// MXCSR and the x87 control word are left alone: kernels don't change them.
asm(R"(
.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch,.-simt_switch
)");
extern "C" void simt_switch(void** save, void* load);
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
// A fiber is left without a return where a kernel's fault ends a block. Frames that the sanitizer keeps apart from the stack,
// to see uses after a return, are then never free again, and each call searches among them.
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options();
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0";
}
#define SIMT_FORGET_FRAMES(stack) __asan_unpoison_memory_region(stack, simt::kStackBytes)
#else
#define SIMT_FORGET_FRAMES(stack)
#endif

namespace simt {
constexpr size_t kGuardBytes = 4096;

char* allocate_stack() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) abort();
  return static_cast<char*>(memory) + kGuardBytes;
}

#if defined(SIMT_UCONTEXT)
void prepare(Context* context, void (*entry)()) {
  SIMT_FORGET_FRAMES(context->stack);
  getcontext(&context->saved);
  context->saved.uc_stack.ss_sp = context->stack;
  context->saved.uc_stack.ss_size = kStackBytes;
  context->saved.uc_link = nullptr;
  makecontext(&context->saved, entry, 0);
}

void switch_context(Context* from, Context* to) {
  swapcontext(&from->saved, &to->saved);
}
#else
void prepare(Context* context, void (*entry)()) {
  SIMT_FORGET_FRAMES(context->stack);
  constexpr int kSavedRegisters = 6;
  void** top = reinterpret_cast<void**>(context->stack + kStackBytes);
  *--top = nullptr;  // where entry's return address would be; keeps the stack aligned as at a call
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < kSavedRegisters; i++) *--top = nullptr;
  context->stack_pointer = top;
}

void switch_context(Context* from, Context* to) {
  simt_switch(&from->stack_pointer, to->stack_pointer);
}
#endif
}  // namespace simt
