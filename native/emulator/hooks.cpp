// Where instrumented code enters the emulator: the callbacks of -fsanitize=thread (whose library is not linked), memcpy and
// memset calls that the compiler did not inline (linked with --wrap), and the trap of undefined behaviour.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>

#include "counting.h"

// The linker's: where the program, or the shared library, that holds the emulator lies.
extern "C" [[gnu::visibility("hidden")]] char __ehdr_start, _end;

namespace simt {
namespace {
thread_local uintptr_t g_host_stack_begin = 0, g_host_stack_end = 0;

[[gnu::noinline]] void check_at(uintptr_t address, size_t bytes, Access access, void* code) {
  Inside inside;
  if (const char* fault = check_access(address, bytes, access)) fail_at(fault, code, address);
  if (g_counting) count_request(access, address, bytes, code);
}

[[gnu::noinline]] void fail_here(const char* fault, void* code, uintptr_t address) {
  Inside inside;
  fail_at(fault, code, address);
}

[[gnu::always_inline]] inline void hook(const void* pointer, size_t bytes, Access access, void* code) {
  if (g_current == nullptr || g_inside != 0 || !g_watching) return;
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  if (const char* fault = count_access()) fail_here(fault, code, address);
  if (!is_on_own_stack(address)) check_at(address, bytes, access, code);
}

void on_trap(int, siginfo_t*, void* context) {
  void* code = nullptr;
#if defined(__x86_64__)
  code = reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] + 1);
#else
  (void)context;
#endif
  if (g_current == nullptr) {
    fprintf(stderr, "undefined behaviour in host code\n");
    abort();
  }
  Inside inside;
  fail_at("undefined behaviour", code, 0);
}
}  // namespace

void install_signal_handler() {
  struct sigaction action = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler leaves by a switch of fibers
  sigaction(SIGILL, &action, nullptr);
}

void know_host_stack() {
  if (g_host_stack_end != 0) return;
  pthread_attr_t attributes;
  void* begin = nullptr;
  size_t bytes = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &begin, &bytes);
  pthread_attr_destroy(&attributes);
  g_host_stack_begin = reinterpret_cast<uintptr_t>(begin);
  g_host_stack_end = g_host_stack_begin + bytes;
}

bool is_host_readable(uintptr_t address) {
  if (address >= g_host_stack_begin && address < g_host_stack_end) return true;  // kernel arguments
  return address >= reinterpret_cast<uintptr_t>(&__ehdr_start) && address < reinterpret_cast<uintptr_t>(&_end);
}

std::vector<std::string> lines_of_code(void* code) {
  std::vector<std::string> lines;
  Dl_info info = {};
  if (dladdr(code, &info) == 0) return lines;
  char command[700], line[600];
  snprintf(command, sizeof command, "addr2line -i -s -e %s 0x%zx", info.dli_fname,
           static_cast<size_t>(static_cast<char*>(code) - 1 - static_cast<char*>(info.dli_fbase)));
  FILE* const pipe = popen(command, "r");
  if (pipe == nullptr) return lines;
  while (fgets(line, sizeof line, pipe) != nullptr) lines.emplace_back(line, strcspn(line, " \n"));  // without a discriminator
  pclose(pipe);
  return lines;
}

void fail_at(const char* what, void* code, uintptr_t address) {
  char where[600] = "?", text[400], place[100];
  for (const std::string& line : lines_of_code(code)) {  // gone before fail() leaves this stack
    snprintf(where, sizeof where, "%s", line.c_str());
    break;
  }
  if (address != 0) {
    describe(address, place, sizeof place);
    snprintf(text, sizeof text, "%s (%s)", what, place);
  } else {
    snprintf(text, sizeof text, "%s", what);
  }
  char* colon = strrchr(where, ':');
  const int line = colon != nullptr ? atoi(colon + 1) : 0;
  if (colon != nullptr) *colon = 0;
  fail(text, where, line);
}
}  // namespace simt

#define SIMT_CODE __builtin_return_address(0)
#define SIMT_HOOKS(n)                                  \
  void __tsan_read##n(void* p) {                       \
    simt::hook(p, n, simt::Access::kRead, SIMT_CODE);  \
  }                                                    \
  void __tsan_write##n(void* p) {                      \
    simt::hook(p, n, simt::Access::kWrite, SIMT_CODE); \
  }                                                    \
  void __tsan_unaligned_read##n(void* p) {             \
    simt::hook(p, n, simt::Access::kRead, SIMT_CODE);  \
  }                                                    \
  void __tsan_unaligned_write##n(void* p) {            \
    simt::hook(p, n, simt::Access::kWrite, SIMT_CODE); \
  }

extern "C" {
SIMT_HOOKS(1)
SIMT_HOOKS(2)
SIMT_HOOKS(4)
SIMT_HOOKS(8)
SIMT_HOOKS(16)
void __tsan_read_range(void* p, size_t n) {
  simt::hook(p, n, simt::Access::kRead, SIMT_CODE);
}
void __tsan_write_range(void* p, size_t n) {
  simt::hook(p, n, simt::Access::kWrite, SIMT_CODE);
}
// std::atomic in host code; kernels have CUDA's own.
uint64_t __tsan_atomic64_load(const volatile void* p, int) {
  return __atomic_load_n(static_cast<const volatile uint64_t*>(p), __ATOMIC_SEQ_CST);
}
void __tsan_atomic64_store(volatile void* p, uint64_t value, int) {
  __atomic_store_n(static_cast<volatile uint64_t*>(p), value, __ATOMIC_SEQ_CST);
}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}

void* __real_memcpy(void* to, const void* from, size_t bytes);
void* __real_memset(void* to, int value, size_t bytes);
void* __wrap_memcpy(void* to, const void* from, size_t bytes) {
  if (bytes != 0) {
    simt::hook(from, bytes, simt::Access::kRead, SIMT_CODE);
    simt::hook(to, bytes, simt::Access::kWrite, SIMT_CODE);
  }
  return __real_memcpy(to, from, bytes);
}
void* __wrap_memset(void* to, int value, size_t bytes) {
  if (bytes != 0) simt::hook(to, bytes, simt::Access::kWrite, SIMT_CODE);
  return __real_memset(to, value, bytes);
}
}
