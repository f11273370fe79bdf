// Tests of the emulator itself: its 16-bit types, warp-wide instructions against plain references, and planted faults, each of
// which must be reported in every order of threads, with its kind, file, line, block and thread.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "cuda/ptx.cuh"

namespace {
using namespace prunepeft;

constexpr int kThreads = 128;
constexpr int kSeeds = 8;
int g_failures = 0;

void expect(bool ok, const char* fact) {
  if (ok) return;
  printf("FAILED: %s\n", fact);
  g_failures++;
}

void ok(cudaError_t error, const char* fact) {
  if (error != cudaSuccess) printf("%s\n", cudaGetErrorString(error));
  expect(error == cudaSuccess, fact);
}

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t n) : size_(n) { cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T)); }
  explicit DeviceArray(const std::vector<T>& v) : DeviceArray(v.size()) {
    cudaMemcpy(data_, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  T* data() { return data_; }
  std::vector<T> read() {
    std::vector<T> v(size_);
    cudaMemcpy(v.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost);
    return v;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

// Types

void test_types() {
  bool bf16_ok = true, half_ok = true;
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const float b = simt::bfloat16_value(static_cast<uint16_t>(bits)), h = simt::half_value(static_cast<uint16_t>(bits));
    bf16_ok = bf16_ok && (b != b || simt::bfloat16_bits(b) == bits);
    half_ok = half_ok && (h != h || simt::half_bits(h) == bits);
  }
  expect(bf16_ok, "every bf16 survives a round trip through float");
  expect(half_ok, "every half survives a round trip through float");
  expect(simt::half_value(0x3c00) == 1.0f && simt::half_value(1) == std::ldexp(1.0f, -24), "half values");
  expect(simt::bfloat16_bits(1.0f + std::ldexp(1.0f, -8)) == 0x3f80, "bf16 ties go to even");
  expect(simt::half_bits(std::ldexp(1.0f, -25)) == 0 && simt::half_bits(std::ldexp(1.5f, -25)) == 1, "half underflow");
  expect(simt::half_bits(65519.0f) == 0x7bff && simt::half_bits(65520.0f) == 0x7c00, "half overflow");
  expect(simt::half_bits(1.0f + std::ldexp(1.0f, -11)) == 0x3c00, "half ties go to even");
}

// Warp-wide instructions

template <class T>
T from_float(float v);
template <>
__nv_bfloat16 from_float(float v) {
  return __float2bfloat16(v);
}
template <>
__half from_float(float v) {
  return __float2half(v);
}
float to_float(__nv_bfloat16 v) {
  return __bfloat162float(v);
}
float to_float(__half v) {
  return __half2float(v);
}

/** D [16,8] = A [16,16] B [16,8], fragments gathered element by element as the PTX manual places them. */
template <class T>
__global__ void mma_by_elements(const T* a, const T* b, float* d) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  unsigned fa[4], fb[2];
  float fd[4] = {};
  const auto pair = [](T low, T high) { return static_cast<unsigned>(low.x) | static_cast<unsigned>(high.x) << 16; };
  for (int i = 0; i < 4; i++) {
    const int row = g + i % 2 * 8, column = 2 * t + i / 2 * 8;
    fa[i] = pair(a[row * 16 + column], a[row * 16 + column + 1]);
  }
  for (int i = 0; i < 2; i++) fb[i] = pair(b[(2 * t + i * 8) * 8 + g], b[(2 * t + i * 8 + 1) * 8 + g]);
  ptx::mma_m16n8k16(fd, fa, fb, T{});
  for (int i = 0; i < 4; i++) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = fd[i];
}

/** The same with ldmatrix: A as it lies, B transposed on the way. */
template <class T>
__global__ void mma_by_ldmatrix(const T* a, const T* b, float* d) {
  GPU_SHARED(T[16][24], rows_a);
  GPU_SHARED(T[32][8], rows_b);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) {
    rows_a[i / 16][i % 16] = a[i];
    rows_b[i / 8][i % 8] = i < 128 ? b[i] : T{};
  }
  __syncwarp();
  unsigned fa[4], fb[4];
  float fd[4] = {};
  ptx::ldmatrix_x4(fa, &rows_a[lane % 16][lane / 16 * 8]);
  ptx::ldmatrix_x4_trans(fb, &rows_b[lane][0]);
  const unsigned fb0[2] = {fb[0], fb[1]};
  ptx::mma_m16n8k16(fd, fa, fb0, T{});
  for (int i = 0; i < 4; i++) d[(lane / 4 + i / 2 * 8) * 8 + 2 * (lane % 4) + i % 2] = fd[i];
}

template <class T>
void test_mma(const char* fact) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<T> a(256), b(128);
  for (T& v : a) v = from_float<T>(normal(random));
  for (T& v : b) v = from_float<T>(normal(random));
  DeviceArray<T> da(a), db(b);
  for (auto kernel : {mma_by_elements<T>, mma_by_ldmatrix<T>}) {
    DeviceArray<float> dd(128);
    gpu::launch(kernel, dim3(1), 32, 0, nullptr, da.data(), db.data(), dd.data());
    const std::vector<float> d = dd.read();
    double error = 0;
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 8; j++) {
        double sum = 0;
        for (int k = 0; k < 16; k++) sum += static_cast<double>(to_float(a[i * 16 + k])) * to_float(b[k * 8 + j]);
        error = std::fmax(error, std::fabs(sum - d[i * 8 + j]));
      }
    const std::string report = simt::take_report();
    if (!report.empty()) printf("%s\n", report.c_str());
    expect(report.empty() && error < 1e-5, fact);
  }
}

__global__ void shuffles_and_votes(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  int sum = lane;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  out[lane] = sum;
  out[32 + lane] = __shfl_down_sync(~0u, lane, 3);
  out[64 + lane] = static_cast<int>(__ballot_sync(~0u, lane % 3 == 0));
  if (lane < 16)
    out[96 + lane] = __shfl_xor_sync(0xffffu, lane, 1);
  else
    out[96 + lane] = __shfl_up_sync(0xffff0000u, lane, 2, 16);
  out[128 + lane] = __any_sync(~0u, lane == 7) + 2 * __all_sync(~0u, lane < 31);
  out[160 + lane] = __shfl_sync(~0u, lane, 9);
}

void test_shuffles_and_votes() {
  DeviceArray<int> out(192);
  gpu::launch(shuffles_and_votes, dim3(1), 32, 0, nullptr, out.data());
  const std::vector<int> o = out.read();
  const std::string report = simt::take_report();
  if (!report.empty()) printf("%s\n", report.c_str());
  bool ok = report.empty();
  for (int i = 0; i < 32; i++) {
    ok = ok && o[i] == 496 && o[32 + i] == (i + 3 < 32 ? i + 3 : i) && o[64 + i] == 0x49249249;
    ok = ok && o[96 + i] == (i < 16 ? i ^ 1 : i % 16 < 2 ? i : i - 2) && o[128 + i] == 1 && o[160 + i] == 9;
  }
  expect(ok, "shuffles and votes");
}

/** Nine words, each changed by all 128 threads, but for the exchange. */
template <class T>
__global__ void integer_atomics(T* out) {
  const T v = static_cast<T>(threadIdx.x);
  atomicAdd(out, v);
  atomicMin(out + 1, static_cast<T>(v + 3));
  atomicMax(out + 2, v);
  atomicAnd(out + 3, static_cast<T>(~(T{1} << (v % 8))));
  atomicOr(out + 4, static_cast<T>(T{1} << (v % 8)));
  atomicXor(out + 5, v);
  if (threadIdx.x == 77) out[6] = atomicExch(out + 7, v);
  for (T old = 0, seen; (seen = atomicCAS(out + 8, old, static_cast<T>(old + 2))) != old;) old = seen;
}

template <class T>
void test_integer_atomics(const char* fact) {
  const T start[9] = {5, 100, 7, 0x3ff, 0x400, 0x5a, 0, 9, 0};
  DeviceArray<T> out(std::vector<T>(start, start + 9));
  gpu::launch(integer_atomics<T>, dim3(1), kThreads, 0, nullptr, out.data());
  const std::vector<T> o = out.read();
  T sum = 0, parity = 0;
  for (T i = 0; i < static_cast<T>(kThreads); i++) sum += i, parity ^= i;
  const T expected[9] = {static_cast<T>(5 + sum), 3, 127, 0x300, 0x4ff, static_cast<T>(0x5a ^ parity), 9, 77, 2 * kThreads};
  expect(simt::take_report().empty() && std::equal(o.begin(), o.end(), expected), fact);
}

// Planted faults. Each kernel runs with 128 threads and an array of 128 zeros.
//
// Where a fault shows depends on the order of threads, so a kernel says so itself: threads change places at waits alone, hence
// the last to call next_line() before a fault is the thread that meets it, in the line after its call.

struct Place {
  int line = 0;
  uint3 block{}, thread{};
};
Place g_last_place;

[[gnu::noinline, gnu::no_sanitize("thread")]] void next_line(int line = __builtin_LINE()) {
  g_last_place = {line + 1, blockIdx, threadIdx};
}

/** The end of a report on `place`. */
std::string position_of(const Place& place) {
  char text[100];
  snprintf(text, sizeof text, " at self_test.cu:%d [block %u,%u,%u thread %u,%u,%u]", place.line, place.block.x, place.block.y,
           place.block.z, place.thread.x, place.thread.y, place.thread.z);
  return text;
}

struct FourInts {
  int v[4];
};

__global__ void two_barriers(int* out, int) {
  if (threadIdx.x < 64) {
    next_line();
    __syncthreads();
  } else {
    next_line();
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}
__global__ void barrier_some_skip(int*, int) {
  next_line();
  if (threadIdx.x < 100) __syncthreads();
}
__global__ void one_barrier_more(int*, int) {
  for (int i = 0; i < 3; i++) {
    next_line();
    if (i < 2 || threadIdx.x < 32) __syncthreads();
  }
}
__global__ void shuffle_with_a_lane_gone(int*, int) {
  next_line();
  if (threadIdx.x != 5) __shfl_xor_sync(~0u, 1, 1);
}
__global__ void lanes_at_different_operations(int*, int) {
  if (threadIdx.x % 32 == 5) {
    next_line();
    __syncwarp();
  } else {
    next_line();
    __shfl_xor_sync(~0u, 1, 1);
  }
}
__global__ void shuffle_source_outside_mask(int*, int) {
  if (threadIdx.x % 32 >= 16) return;
  next_line();
  __shfl_xor_sync(0xffffu, 1, 16);
}
__global__ void caller_not_in_mask(int*, int) {
  next_line();
  __syncwarp(0xffffu);
}
/** The report is on the first of those who wait. */
__global__ void deadlock_of_a_warp(int*, int) {
  if (threadIdx.x == 0) next_line();
  if (threadIdx.x % 32 < 16) __syncwarp();
  if (threadIdx.x % 32 >= 16) __syncthreads();
}
__global__ void race_in_a_warp(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 1;
  __syncthreads();
  next_line();
  s[threadIdx.x] = 2;
  next_line();
  out[threadIdx.x] = s[threadIdx.x ^ 1];
}
__global__ void ordered_by_syncwarp(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 1;
  __syncwarp();
  out[threadIdx.x] = s[threadIdx.x ^ 1];
}
__global__ void race_between_warps(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 1;
  __syncthreads();
  next_line();
  s[threadIdx.x] = 2;
  __syncwarp();
  next_line();
  out[threadIdx.x] = s[threadIdx.x ^ 32];
}
__global__ void write_of_what_others_read(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 1;
  __syncthreads();
  next_line();
  out[threadIdx.x] = s[threadIdx.x ^ 1];
  next_line();
  s[threadIdx.x] = 2;
}
__global__ void all_write_one_element(int* out, int) {
  next_line();
  out[0] = static_cast<int>(threadIdx.x);
}
__global__ void unwritten_shared(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  next_line();
  out[threadIdx.x] = s[threadIdx.x];
}
/** Of a buffer whose second half nobody wrote. */
__global__ void unwritten_global(int* out, int) {
  if (threadIdx.x >= 64) return;
  next_line();
  out[threadIdx.x] = out[threadIdx.x ^ (threadIdx.x == 40 ? 64 : 0)];
}
__global__ void past_a_shared_array(int*, int n) {
  GPU_SHARED(int[kThreads], s);
  int* p = s;
  next_line();
  p[n] = 1;
}
__global__ void past_a_buffer(int* out, int n) {
  next_line();
  out[threadIdx.x == 93 ? n : static_cast<int>(threadIdx.x)] = 1;
}
__global__ void read_before_a_buffer(int* out, int n) {
  next_line();
  out[threadIdx.x] = out[static_cast<int>(threadIdx.x) - n];
}
__global__ void struct_read_past_a_buffer(int* out, int n) {
  if (threadIdx.x != 0) return;
  next_line();
  const FourInts four = *reinterpret_cast<FourInts*>(out + n - 2);
  out[0] = four.v[0] + four.v[1] + four.v[2] + four.v[3];
}
__global__ void memcpy_past_a_buffer(int* out, int n) {
  GPU_SHARED(int[2 * kThreads], s);
  next_line();
  if (threadIdx.x == 0) memcpy(s, out + 1, static_cast<size_t>(n) * sizeof(int));
}
__global__ void signed_overflow(int* out, int n) {
  next_line();
  out[threadIdx.x] = 0x7fffffff + n;
}
__global__ void blocks_write_one_element(int* out, int) {
  next_line();
  out[threadIdx.x] = 1;
}
__global__ void blocks_write_what_others_read(int* out, int) {
  if (threadIdx.x != 0) return;
  const bool writes = blockIdx.x == gridDim.x / 2;
  next_line();
  if (!writes) out[blockIdx.x] = out[64];
  next_line();
  if (writes) out[64] = 1;
}
__global__ void read_before_the_wait(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  if (threadIdx.x >= 32) return;
  ptx::cp_async16(&s[threadIdx.x * 4], out + threadIdx.x * 4, 16);
  ptx::cp_async_commit();
  next_line();
  out[threadIdx.x * 4] = s[threadIdx.x * 4];
}
__global__ void write_before_the_wait(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  if (threadIdx.x >= 32) return;
  ptx::cp_async16(&s[threadIdx.x * 4], out + threadIdx.x * 4, 16);
  next_line();
  s[threadIdx.x * 4] = 1;
}
__global__ void wait_for_too_few_groups(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  if (threadIdx.x >= 32) return;
  ptx::cp_async16(&s[threadIdx.x * 4], out + threadIdx.x * 4, 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait<1>();
  next_line();
  out[threadIdx.x * 4] = s[threadIdx.x * 4];
}
__global__ void no_barrier_after_the_wait(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 0;
  __syncthreads();
  next_line();
  if (threadIdx.x < 32) ptx::cp_async16(&s[threadIdx.x * 4], out + threadIdx.x * 4, 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  next_line();
  if (s[threadIdx.x ^ 64] != 0) out[threadIdx.x] = 1;
}
__global__ void misaligned_copy(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  next_line();
  if (threadIdx.x == 0) ptx::cp_async16(&s[4], out + 1, 16);
}
__global__ void copied_after_wait_and_barrier(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  if (threadIdx.x < 32) ptx::cp_async16(&s[threadIdx.x * 4], out + threadIdx.x * 4, 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  out[threadIdx.x] = s[threadIdx.x ^ 64];
}

/** Every block writes one element; the last to take a ticket (out[127]) adds them. Faults: a fence or a barrier left out. */
template <bool kFenceBefore, bool kFenceAfter, bool kBarrier>
__global__ void ticket(int* out, int) {
  GPU_SHARED(int, last);
  if (threadIdx.x == 0) last = 0;
  __syncthreads();
  if (threadIdx.x == 0) {
    out[blockIdx.x] = 1;
    if (kFenceBefore) __threadfence();
    next_line();
    last = atomicAdd(out + 127, 1) == static_cast<int>(gridDim.x) - 1;
    if (kFenceAfter) __threadfence();
  }
  if (kBarrier) __syncthreads();
  next_line();
  if (last == 0) return;
  next_line();
  if (threadIdx.x < gridDim.x) out[64 + threadIdx.x] = out[threadIdx.x] + 1;
}

enum class Acquire { kNobody, kFirstThread, kEveryReader };
/** The same, with a release fence before the ticket, and an acquire load of it by those who read what other blocks wrote. */
template <bool kRelease, Acquire kAcquire>
__global__ void acquired_ticket(int* out, int) {
  GPU_SHARED(bool, last);
  unsigned* const count = reinterpret_cast<unsigned*>(out + 127);
  if (threadIdx.x == 0) {
    out[blockIdx.x] = 1;
    if (kRelease) ptx::fence_release();
    last = atomicAdd(count, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last) return;
  if (kAcquire == Acquire::kEveryReader || (kAcquire == Acquire::kFirstThread && threadIdx.x == 0)) ptx::load_acquire(count);
  next_line();
  if (threadIdx.x < gridDim.x) out[64 + threadIdx.x] = out[threadIdx.x] + 1;
}
/** Asks for the count without an atomic or an acquire load. */
__global__ void polled_ticket(int* out, int) {
  if (threadIdx.x != 0) return;
  ptx::fence_release();
  next_line();
  atomicAdd(out + 127, 1);
  next_line();
  if (*static_cast<volatile int*>(out + 127) == static_cast<int>(gridDim.x)) out[64] = 1;
}
__global__ void acquired_from_a_plain_write(int* out, int) {
  if (threadIdx.x != 0) return;
  next_line();
  ptx::load_acquire(reinterpret_cast<unsigned*>(out + 127));
  out[127] = 1;
}
__global__ void plain_ticket(int* out, int) {
  next_line();
  if (threadIdx.x == 0) out[127]++;
}
__global__ void counted_by_atomics(int* out, int) {
  atomicAdd(out + threadIdx.x % 4, 1);
}
__global__ void loop_without_end(int* out, int) {
  if (threadIdx.x != 77) return;
  next_line();
  for (int i = 0; i >= 0; i = (i + 1) % 64) out[i] = i;
}

/** No other thread runs meanwhile. */
__global__ void wait_without_end(int* out, int) {
  if (threadIdx.x != 31) return;
  next_line();
  while (ptx::load_acquire(reinterpret_cast<unsigned*>(out)) == 0) continue;
}

/** Whether one of the kinds, which "|" separates, is part of the report. */
bool is_of_kind(const std::string& report, const std::string& kinds) {
  for (size_t first = 0, end; first <= kinds.size(); first = end + 1) {
    end = std::min(kinds.find('|', first), kinds.size());
    if (report.find(kinds.substr(first, end - first)) != std::string::npos) return true;
  }
  return false;
}

/**
 * `kind` is part of the report, which ends with the kernel's last place; "" for a kernel without fault. Where the order of
 * threads decides what a fault shows as, kinds are separated by "|". Blocks side by side form clusters of `cluster`.
 */
void test_fault(void (*kernel)(int*, int), int blocks, const std::string& kind, const char* name, int seeds = kSeeds,
                size_t shared_bytes = 0, unsigned cluster = 1) {
  for (int seed = 1; seed <= seeds; seed++) {
    simt::set_seed(static_cast<uint64_t>(seed));
    DeviceArray<int> out(std::vector<int>(kThreads, 0));
    if (kernel == unwritten_global) simt::forget(out.data() + kThreads / 2, kThreads / 2 * sizeof(int));
    g_last_place = {};
    gpu::launch_clusters(kernel, dim3(static_cast<unsigned>(blocks)), kThreads, cluster, shared_bytes, nullptr, out.data(),
                         kThreads);
    const std::string report = simt::take_report(), end = position_of(g_last_place);
    const bool located = report.size() >= end.size() && report.compare(report.size() - end.size(), end.size(), end) == 0;
    const bool ok = kind.empty() ? report.empty() : is_of_kind(report, kind) && located;
    if (!ok || seed == 1) printf("%-32s %s\n", name, report.empty() ? "-" : report.c_str());
    if (!ok && !kind.empty()) printf("%-32s %s ...%s was expected\n", "", kind.c_str(), end.c_str());
    expect(ok, name);
  }
}
#define FAULT(kernel, blocks, kind) test_fault(kernel, blocks, kind, #kernel)

void test_faults() {
  FAULT(two_barriers, 1, "different block barriers");
  FAULT(barrier_some_skip, 1, "has left");
  FAULT(one_barrier_more, 1, "has left");
  FAULT(shuffle_with_a_lane_gone, 1, "has left");
  FAULT(lanes_at_different_operations, 1, "different warp operations");
  FAULT(shuffle_source_outside_mask, 1, "its mask does not name");
  FAULT(caller_not_in_mask, 1, "not in its own mask");
  FAULT(deadlock_of_a_warp, 1, "deadlock");
  FAULT(race_in_a_warp, 1, "race: write of what another thread reads");
  FAULT(ordered_by_syncwarp, 1, "");
  FAULT(race_between_warps, 1, "race");
  FAULT(write_of_what_others_read, 1, "race");
  FAULT(all_write_one_element, 1, "race: two threads write");
  FAULT(unwritten_shared, 1, "read of memory that nobody wrote (shared memory");
  FAULT(unwritten_global, 1, "read of memory that nobody wrote (global memory, byte ");
  FAULT(past_a_shared_array, 1, "outside a shared array");
  FAULT(past_a_buffer, 1, "write outside every buffer");
  FAULT(read_before_a_buffer, 1, "read outside every buffer");
  FAULT(struct_read_past_a_buffer, 1, "read outside every buffer");
  FAULT(memcpy_past_a_buffer, 1, "past the end");
  FAULT(signed_overflow, 1, "undefined behaviour");
  FAULT(blocks_write_one_element, 2, "race between blocks: two writes");
  FAULT(blocks_write_what_others_read, 5, "race between blocks");
  FAULT(read_before_the_wait, 1, "cp.async has not filled");
  FAULT(write_before_the_wait, 1, "write to memory that a cp.async is filling");
  FAULT(wait_for_too_few_groups, 1, "cp.async has not filled");
  FAULT(no_barrier_after_the_wait, 1, "race: ");
  FAULT(misaligned_copy, 1, "not aligned");
  FAULT(copied_after_wait_and_barrier, 1, "");
  FAULT((ticket<true, true, true>), 7, "");
  FAULT((ticket<false, true, true>), 7, "race between blocks");
  FAULT((ticket<true, false, true>), 7, "race between blocks");
  FAULT((ticket<true, true, false>), 7, "race");
  FAULT((acquired_ticket<true, Acquire::kEveryReader>), 7, "");
  FAULT((acquired_ticket<false, Acquire::kEveryReader>), 7, "race between blocks: read of another block's write");
  FAULT((acquired_ticket<true, Acquire::kNobody>), 7, "race between blocks: read of another block's write");
  FAULT((acquired_ticket<true, Acquire::kFirstThread>), 7, "race between blocks: read of another block's write");
  FAULT(polled_ticket, 3, "race between blocks");
  FAULT(acquired_from_a_plain_write, 2, "race between blocks: read of another block's write");
  FAULT(plain_ticket, 2, "race between blocks");
  FAULT(counted_by_atomics, 5, "");
  test_fault(loop_without_end, 1, "does not end", "loop_without_end", 1);
  test_fault(wait_without_end, 1, "does not end", "wait_without_end", 1);
}

/** The host, too, must not take an element that no kernel wrote for a result. */
__global__ void leaves_one_out(int* out, int n) {
  if (static_cast<int>(threadIdx.x) != n / 2) out[threadIdx.x] = 1;
}
void test_unwritten_output() {
  DeviceArray<int> out(kThreads);
  gpu::launch(leaves_one_out, dim3(1), kThreads, 0, nullptr, out.data(), kThreads);
  expect(simt::take_report().empty(), "a kernel may leave memory unwritten");
  out.read();
  expect(simt::take_report().find("nobody wrote, byte 256") != std::string::npos, "an unwritten output is reported");
}

// Of compute capability 9.0: bulk copies, their barriers, products by warpgroups.

constexpr int kBoxRows = 64, kBoxBytes = kBoxRows * 128;

struct Boxes {
  unsigned char* memory;  // of several boxes, in shared memory
  uint64_t* barriers;
};
/** Room for four boxes, and barriers that this block's first thread has made ready: of one arrival twice, of all threads, of
 * all warps. */
Boxes make_boxes(bool fenced = true) {
  GPU_SHARED(uint64_t[4], barriers);
  GPU_DYNAMIC_SHARED(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) ptx::mbarrier_init(barriers + i, 1);
    ptx::mbarrier_init(barriers + 2, kThreads);
    ptx::mbarrier_init(barriers + 3, kThreads / 32);
    if (fenced) ptx::fence_proxy_async();
  }
  __syncthreads();
  return {memory + (0 - ptx::shared_address(memory)) % 1024, barriers};
}
constexpr size_t kBoxesBytes = 1024 + 4 * kBoxBytes;

template <class T>
cuda::TensorMap map_of(const T* data, int64_t ld, int64_t rows, int64_t columns) {
  cuda::TensorMap map = {};
  ok(cuda::make_tensor_map<T>({data, ld, rows, columns}, kBoxRows, &map), "a tensor map is made");
  return map;
}

/** Copies the box at (row, column) and writes it out as it lies: groups of 16 bytes changed places by the row's number. */
__global__ void copy_box(cuda::TensorMap map, int row, int column, __half* out) {
  const Boxes boxes = make_boxes();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, kBoxBytes);
    ptx::bulk_load(boxes.memory, &map, column, row, boxes.barriers);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  const __half* box = reinterpret_cast<const __half*>(boxes.memory);
  for (int i = static_cast<int>(threadIdx.x); i < kBoxRows * 64; i += kThreads) out[i] = box[i];
}

/** Before any other test makes a tensor map. */
void test_driver_lookup() {
  DeviceArray<__half> matrix(std::vector<__half>(kBoxRows * 64));
  cuda::TensorMap map;
  const auto make = [&](auto element) {
    return cuda::make_tensor_map<decltype(element)>({matrix.data(), 64, kBoxRows, 64}, kBoxRows, &map);
  };
  for (const cudaError_t reason : {cudaErrorInsufficientDriver, cudaErrorNotSupported}) {
    simt::set_driver_answer(reason);
    expect(make(__half{}) == reason && make(__half{}) == reason, "why there are no tensor maps is returned each time");
  }
  simt::set_driver_answer(cudaSuccess);
  const int before = simt::driver_questions();
  bool made = true;
  for (int i = 0; i < 3; i++) made = made && make(__half{}) == cudaSuccess && make(__nv_bfloat16{}) == cudaSuccess;
  expect(made && simt::driver_questions() <= before + 2,
         "the driver's functions are looked up until they are found, then kept");
}

void test_bulk_copies() {
  constexpr int64_t kRows = 70, kColumns = 75, kLd = 88;
  std::vector<__half> values(kRows * kLd);
  for (size_t i = 0; i < values.size(); i++) values[i] = __float2half(static_cast<float>(i % 2039));
  DeviceArray<__half> matrix(values);
  const cuda::TensorMap map = map_of(matrix.data(), kLd, kRows, kColumns);
  const int places[][2] = {{0, 0}, {3, 11}, {40, 48}, {-20, 30}, {10, -9}, {100, 0}, {-64, -64}};
  bool right = true;
  for (const auto& [row, column] : places) {
    DeviceArray<__half> out(kBoxRows * 64);
    gpu::launch(copy_box, dim3(1), kThreads, kBoxesBytes, nullptr, map, row, column, out.data());
    const std::vector<__half> box = out.read();
    for (int r = 0; r < kBoxRows; r++)
      for (int c = 0; c < 64; c++) {
        const bool inside = row + r >= 0 && row + r < kRows && column + c >= 0 && column + c < kColumns;
        const int lies = r * 64 + (c / 8 ^ r % 8) * 8 + c % 8;
        right = right && box[lies].x == (inside ? values[(row + r) * kLd + column + c].x : 0);
      }
  }
  const std::string report = simt::take_report();
  if (!report.empty()) printf("%s\n", report.c_str());
  expect(right && report.empty(), "a box of a tensor map lies swizzled, zeros where it leaves the matrix");
  cuda::TensorMap bad;
  cudaError_t first = cudaErrorInvalidValue;
  std::thread([&] { first = cuda::make_tensor_map<__half>({matrix.data(), kLd, kRows, kColumns}, kBoxRows, &bad); }).join();
  expect(first == cudaSuccess, "a tensor map can be a thread's first call");
  expect(cuda::make_tensor_map<__half>({matrix.data() + 1, kLd, kRows, kColumns}, kBoxRows, &bad) != cudaSuccess,
         "an unaligned matrix");
  expect(cuda::make_tensor_map<__half>({matrix.data(), kLd - 1, kRows, kColumns}, kBoxRows, &bad) != cudaSuccess,
         "unaligned rows");
  expect(cuda::make_tensor_map<__half>({matrix.data(), kLd, kRows, kColumns}, 257, &bad) != cudaSuccess,
         "a box of too many rows");
  simt::set_tensor_map_answer(CUDA_ERROR_LAUNCH_FAILED);
  expect(cuda::make_tensor_map<__half>({matrix.data(), kLd, kRows, kColumns}, kBoxRows, &bad) == cudaErrorLaunchFailure,
         "the driver's answer is returned");
  simt::set_tensor_map_answer(CUDA_SUCCESS);
}

/** D [64,64] += A [64,64] B twice over, B [64,64] with its columns or its inner dimension along rows; row-major D by fragments.
 */
template <class T, bool kColumnsInner>
__global__ void multiply_boxes(cuda::TensorMap a, cuda::TensorMap b, float* out) {
  const Boxes boxes = make_boxes();
  float d[32] = {};
  for (unsigned turn = 0; turn < 2; turn++) {
    if (threadIdx.x == 0) {
      ptx::mbarrier_arrive_expect(boxes.barriers, 2 * kBoxBytes);
      ptx::bulk_load(boxes.memory, &a, 0, 0, boxes.barriers);
      ptx::bulk_load(boxes.memory + kBoxBytes, &b, 0, 0, boxes.barriers);
    }
    ptx::mbarrier_wait(boxes.barriers, turn);
    ptx::wgmma_fence();
    for (int k = 0; k < 64; k += 16)
      ptx::wgmma_m64n64k16<kColumnsInner>(
          d, ptx::swizzled_operand(boxes.memory + k * 2, 16, 1024),
          ptx::swizzled_operand(boxes.memory + kBoxBytes + (kColumnsInner ? k * 128 : k * 2), kBoxBytes, 1024), T{});
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    ptx::mbarrier_arrive(boxes.barriers + 2);
    if (threadIdx.x == 0) ptx::mbarrier_wait(boxes.barriers + 2, turn);
  }
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 4; i++) out[(warp * 16 + lane / 4 + i / 2 * 8) * 64 + j * 8 + lane % 4 * 2 + i % 2] = d[4 * j + i];
}

template <class T, bool kColumnsInner>
void test_warpgroup_product(const char* fact) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<T> a(64 * 64), b(64 * 64);
  for (T& v : a) v = from_float<T>(normal(random));
  for (T& v : b) v = from_float<T>(normal(random));
  DeviceArray<T> da(a), db(b);
  for (uint64_t seed = 1; seed <= kSeeds; seed++) {
    simt::set_seed(seed);
    DeviceArray<float> dd(64 * 64);
    gpu::launch(multiply_boxes<T, kColumnsInner>, dim3(1), kThreads, kBoxesBytes, nullptr, map_of(da.data(), 64, 64, 64),
                map_of(db.data(), 64, 64, 64), dd.data());
    const std::vector<float> d = dd.read();
    double error = 0;
    for (int i = 0; i < 64; i++)
      for (int j = 0; j < 64; j++) {
        double sum = 0;
        for (int k = 0; k < 64; k++)
          sum += 2.0 * static_cast<double>(to_float(a[i * 64 + k])) * to_float(b[kColumnsInner ? k * 64 + j : j * 64 + k]);
        error = std::fmax(error, std::fabs(sum - d[i * 64 + j]));
      }
    const std::string report = simt::take_report();
    if (!report.empty()) printf("%s\n", report.c_str());
    expect(report.empty() && error < 1e-4, fact);
  }
}

/** A thread's part of 16 columns from `k` on of a row-major A [64,64], as a product takes it from registers. */
template <class T>
void load_left(unsigned (&registers)[4], const T* a, int k) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = 0; i < 4; i++) {
    const T* const from = a + (warp * 16 + lane / 4 + i % 2 * 8) * 64 + k + lane % 4 * 2 + i / 2 * 8;
    registers[i] = static_cast<unsigned>(from[0].x) | static_cast<unsigned>(from[1].x) << 16;
  }
}

/** D [64,kColumns] += A [64,64] Bᵀ, B [kColumns,64] in boxes, A in registers or, of few columns, in the last box. */
template <class T, int kColumns, bool kInRegisters>
__global__ void multiply_rows(cuda::TensorMap a_map, cuda::TensorMap b, const T* a, float* out) {
  constexpr int kBoxes = kColumns / kBoxRows + (kColumns < kBoxRows ? 1 : 0) + (kInRegisters ? 0 : 1);
  const Boxes boxes = make_boxes();
  unsigned char* const last = boxes.memory + (kBoxes - 1) * kBoxBytes;
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, kBoxes * kBoxBytes);
    for (int i = 0; i < kBoxes - (kInRegisters ? 0 : 1); i++)
      ptx::bulk_load(boxes.memory + i * kBoxBytes, &b, 0, i * kBoxRows, boxes.barriers);
    if (!kInRegisters) ptx::bulk_load(last, &a_map, 0, 0, boxes.barriers);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  float d[kColumns / 2] = {};
  unsigned left[4][4];
  for (int i = 0; i < 4; i++) load_left(left[i], a, 16 * i);
  ptx::wgmma_fence();
  for (int i = 0; i < 4; i++) {
    const uint64_t of_b = ptx::swizzled_operand(boxes.memory + 32 * i, 16, 1024);
    if constexpr (kColumns == 256)
      ptx::wgmma_m64n256k16<false>(d, left[i], of_b, T{});
    else if constexpr (kInRegisters)
      ptx::wgmma_narrow(d, left[i], of_b, T{});
    else
      ptx::wgmma_narrow<false, false>(d, ptx::swizzled_operand(last + 32 * i, 16, 1024), of_b, T{});
  }
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = 0; i < kColumns / 2; i++)
    out[(warp * 16 + lane / 4 + i / 2 % 2 * 8) * kColumns + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
}

/** D [64,32] = Aᵀ B of A [64,64] and the first columns of B [64,64], both with columns along rows, whatever D was. */
__global__ void multiply_transposed(cuda::TensorMap a, cuda::TensorMap b, float* out) {
  constexpr int kColumns = 32;
  const Boxes boxes = make_boxes();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, 2 * kBoxBytes);
    ptx::bulk_load(boxes.memory, &a, 0, 0, boxes.barriers);
    ptx::bulk_load(boxes.memory + kBoxBytes, &b, 0, 0, boxes.barriers);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  float d[kColumns / 2];
  for (float& v : d) v = 7;
  const auto from = [&](int box, int row) {
    return ptx::swizzled_operand(boxes.memory + box * kBoxBytes + row * 128, 16, 1024);
  };
  ptx::wgmma_fence();
  ptx::wgmma_narrow<true, true, false>(d, from(0, 0), from(1, 0), __half{});
  for (int k = 16; k < 64; k += 16) ptx::wgmma_narrow<true, true>(d, from(0, k), from(1, k), __half{});
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  for (int i = 0; i < kColumns / 2; i++)
    out[(warp * 16 + lane / 4 + i / 2 % 2 * 8) * kColumns + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
}

void test_transposed() {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<__half> a(64 * 64), b(64 * 64);
  for (auto* matrix : {&a, &b})
    for (__half& v : *matrix) v = from_float<__half>(normal(random));
  DeviceArray<__half> da(a), db(b);
  DeviceArray<float> out(64 * 32);
  gpu::launch(multiply_transposed, dim3(1), kThreads, kBoxesBytes, nullptr, map_of(da.data(), 64, 64, 64),
              map_of(db.data(), 64, 64, 64), out.data());
  const std::vector<float> got = out.read();
  double worst = 0;
  for (int i = 0; i < 64; i++)
    for (int j = 0; j < 32; j++) {
      double sum = 0;
      for (int k = 0; k < 64; k++) sum += double{__half2float(a[k * 64 + i])} * __half2float(b[k * 64 + j]);
      worst = std::max(worst, std::abs(sum - got[i * 32 + j]));
    }
  expect(simt::take_report().empty() && worst < 1e-4, "a product of transposed operands that overwrites");
}

template <class T, int kColumns, bool kInRegisters>
void test_rows(const char* fact) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<T> a(64 * 64), b(kColumns * 64);
  for (T& v : a) v = from_float<T>(normal(random));
  for (T& v : b) v = from_float<T>(normal(random));
  DeviceArray<T> da(a), db(b);
  for (uint64_t seed = 1; seed <= kSeeds; seed++) {
    simt::set_seed(seed);
    DeviceArray<float> dd(64 * kColumns);
    gpu::launch(multiply_rows<T, kColumns, kInRegisters>, dim3(1), kThreads, kBoxesBytes, nullptr,
                map_of(da.data(), 64, 64, 64), map_of(db.data(), 64, kColumns, 64), static_cast<const T*>(da.data()),
                dd.data());
    const std::vector<float> d = dd.read();
    double error = 0;
    for (int i = 0; i < 64; i++)
      for (int j = 0; j < kColumns; j++) {
        double sum = 0;
        for (int k = 0; k < 64; k++) sum += static_cast<double>(to_float(a[i * 64 + k])) * to_float(b[j * 64 + k]);
        error = std::fmax(error, std::fabs(sum - d[i * kColumns + j]));
      }
    const std::string report = simt::take_report();
    if (!report.empty()) printf("%s\n", report.c_str());
    expect(report.empty() && error < 1e-4, fact);
  }
}

/** Of the kernels below, which know only an array of integers: 64 rows of 128 halves. */
cuda::TensorMap g_map;

enum class Planted {
  kNothing,
  kBarrierNotFenced,
  kProductBeforeTheWait,
  kWaitOfOneThread,
  kCopyOntoWhatIsRead,
  kCopyAfterOneWarpsWait,
  kNoFenceOfRegisters,
  kTooManyBytesExpected,
  kTooFewBytesExpected,
  kMisalignedTarget,
  kOneArrivalTooMany,
  kUnderWayAtTheEnd,
  kNoWaitForTheProduct
};
/** One product of what two copies bring, and a copy after it; with one thing wrong. */
template <Planted kPlanted>
__global__ void planted(int* out, int) {
  const Boxes boxes = make_boxes(kPlanted != Planted::kBarrierNotFenced);
  const auto copy = [&](int box, int barrier) {
    unsigned char* const target = boxes.memory + box * kBoxBytes + (kPlanted == Planted::kMisalignedTarget ? 128 : 0);
    next_line();
    ptx::bulk_load(target, &g_map, 0, 0, boxes.barriers + barrier);
  };
  if (threadIdx.x == 0) {
    constexpr unsigned kExpected = 2 * kBoxBytes + (kPlanted == Planted::kTooManyBytesExpected ? 16 : 0) -
                                   (kPlanted == Planted::kTooFewBytesExpected ? 16 : 0);
    ptx::mbarrier_arrive_expect(boxes.barriers, kExpected);
    next_line();
    if (kPlanted == Planted::kOneArrivalTooMany) ptx::mbarrier_arrive(boxes.barriers);
    copy(0, 0);
    copy(1, 0);
    if (kPlanted == Planted::kUnderWayAtTheEnd) {
      ptx::mbarrier_arrive_expect(boxes.barriers + 1, kBoxBytes);
      copy(2, 1);
    }
  }
  if (kPlanted != Planted::kProductBeforeTheWait && (kPlanted != Planted::kWaitOfOneThread || threadIdx.x == 0)) {
    if (threadIdx.x == 0) next_line();
    ptx::mbarrier_wait(boxes.barriers, 0);
  }
  __syncthreads();
  float d[32] = {};
  if (kPlanted != Planted::kNoFenceOfRegisters) ptx::wgmma_fence();
  const uint64_t a = ptx::swizzled_operand(boxes.memory, 16, 1024),
                 b = ptx::swizzled_operand(boxes.memory + kBoxBytes, 16, 1024);
  next_line();
  ptx::wgmma_m64n64k16<false>(d, a, b, __half{});
  ptx::wgmma_commit();
  if (kPlanted != Planted::kCopyOntoWhatIsRead && kPlanted != Planted::kNoWaitForTheProduct) ptx::wgmma_wait<0>();
  if (kPlanted != Planted::kCopyOntoWhatIsRead && kPlanted != Planted::kCopyAfterOneWarpsWait) __syncthreads();
  if (kPlanted == Planted::kUnderWayAtTheEnd || kPlanted == Planted::kNoWaitForTheProduct) return;
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers + 1, kBoxBytes);
    copy(1, 1);
  }
  ptx::mbarrier_wait(boxes.barriers + 1, 0);
  if (kPlanted == Planted::kCopyOntoWhatIsRead) ptx::wgmma_wait<0>();
  out[threadIdx.x] = static_cast<int>(d[0]);
}

enum class PlantedLeft { kNothing, kNoFence, kNoFenceBeforeTheWait, kChanged };
/** Two products whose left operand is in registers. */
template <PlantedLeft kPlanted>
__global__ void planted_left(int* out, int) {
  const Boxes boxes = make_boxes();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, kBoxBytes);
    ptx::bulk_load(boxes.memory, &g_map, 0, 0, boxes.barriers);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  float d[8] = {}, e[8] = {};
  unsigned left[4] = {threadIdx.x, 0, 0, 0};
  const uint64_t b = ptx::swizzled_operand(boxes.memory, 16, 1024);
  ptx::wgmma_fence();
  next_line();
  ptx::wgmma_narrow(d, left, b, __half{});
  ptx::wgmma_commit();
  if (kPlanted == PlantedLeft::kNoFenceBeforeTheWait) {
    unsigned other[4] = {left[0] + 1, 0, 0, 0};
    next_line();
    ptx::wgmma_narrow(d, other, b, __half{});
    ptx::wgmma_commit();
  }
  if (kPlanted == PlantedLeft::kChanged) left[1]++;
  ptx::wgmma_wait<0>();
  left[1]++;
  if (kPlanted != PlantedLeft::kNoFence) ptx::wgmma_fence();
  next_line();
  ptx::wgmma_narrow(e, left, b, __half{});
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  out[threadIdx.x] = static_cast<int>(d[0] + e[0]);
}

enum class PlantedRead { kNothing, kBeforeTheWait, kNoSyncwarp, kNoWaitForWarps };
/** Threads read what a copy has brought, and a copy takes its place. */
template <PlantedRead kPlanted>
__global__ void planted_read(int* out, int) {
  const Boxes boxes = make_boxes();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, kBoxBytes);
    ptx::bulk_load(boxes.memory, &g_map, 0, 0, boxes.barriers);
  }
  if (kPlanted != PlantedRead::kBeforeTheWait || threadIdx.x == 0) ptx::mbarrier_wait(boxes.barriers, 0);
  if (kPlanted == PlantedRead::kBeforeTheWait) __syncthreads();
  next_line();
  const __half read = reinterpret_cast<const __half*>(boxes.memory)[threadIdx.x];
  if (kPlanted != PlantedRead::kNoSyncwarp) __syncwarp();
  if (threadIdx.x % 32 == 0) ptx::mbarrier_arrive(boxes.barriers + 3);
  if (threadIdx.x == 0) {
    if (kPlanted != PlantedRead::kNoWaitForWarps) ptx::mbarrier_wait(boxes.barriers + 3, 0);
    ptx::mbarrier_arrive_expect(boxes.barriers + 1, kBoxBytes);
    if (kPlanted != PlantedRead::kBeforeTheWait) next_line();
    ptx::bulk_load(boxes.memory, &g_map, 0, 0, boxes.barriers + 1);
  }
  ptx::mbarrier_wait(boxes.barriers + 1, 0);
  out[threadIdx.x] = static_cast<int>(__half2float(read));
}

/** What the registers of an accumulator hold before the wait for its product. */
__global__ void read_too_early(float* out) {
  const Boxes boxes = make_boxes();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, kBoxBytes);
    ptx::bulk_load(boxes.memory, &g_map, 0, 0, boxes.barriers);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  float d[32] = {};
  const uint64_t box = ptx::swizzled_operand(boxes.memory, 16, 1024);
  ptx::wgmma_fence();
  ptx::wgmma_m64n64k16<false>(d, box, box, __half{});
  ptx::wgmma_commit();
  ptx::wgmma_fence();
  ptx::wgmma_m64n64k16<false>(d, box, box, __half{});
  ptx::wgmma_commit();
  ptx::wgmma_wait<1>();
  out[threadIdx.x] = d[0];  // the second product is not done
  ptx::wgmma_wait<0>();
  out[kThreads + threadIdx.x] = d[0];
}

void test_warpgroups() {
  test_driver_lookup();
  test_bulk_copies();
  test_warpgroup_product<__nv_bfloat16, false>("a warpgroup's product of bf16, inner dimension along rows");
  test_warpgroup_product<__nv_bfloat16, true>("a warpgroup's product of bf16, columns along rows");
  test_warpgroup_product<__half, false>("a warpgroup's product of half, inner dimension along rows");
  test_warpgroup_product<__half, true>("a warpgroup's product of half, columns along rows");
  test_rows<__nv_bfloat16, 16, false>("a product of bf16 with 16 columns");
  test_rows<__half, 32, false>("a product of half with 32 columns");
  test_rows<__half, 64, false>("a product of half with 64 columns, by the narrow form");
  test_rows<__nv_bfloat16, 48, true>("a product of bf16 with 48 columns, left operand in registers");
  test_rows<__half, 16, true>("a product of half with 16 columns, left operand in registers");
  test_rows<__nv_bfloat16, 32, true>("a product of bf16 with 32 columns, left operand in registers");
  test_rows<__nv_bfloat16, 256, true>("a product of bf16 with 256 columns, left operand in registers");
  test_rows<__half, 256, true>("a product of half with 256 columns, left operand in registers");
  test_transposed();
  DeviceArray<__half> matrix(std::vector<__half>(64 * 128, __float2half(1.0f)));
  g_map = map_of(matrix.data(), 128, 64, 128);
  const auto plant = [](void (*kernel)(int*, int), const char* kind, const char* name) {
    test_fault(kernel, 1, kind, name, kSeeds, kBoxesBytes);
  };
  plant(planted<Planted::kNothing>, "", "a copy, a product, a copy");
  plant(planted_left<PlantedLeft::kNothing>, "", "two products with a left operand in registers");
  plant(planted_left<PlantedLeft::kNoFence>, "no wgmma.fence", "a left operand in registers without a fence");
  plant(planted_left<PlantedLeft::kNoFenceBeforeTheWait>, "no wgmma.fence", "others loaded before the wait without a fence");
  plant(planted_read<PlantedRead::kNothing>, "", "reads of a copy, and a copy in its place");
  plant(planted_read<PlantedRead::kBeforeTheWait>, "read of a bulk copy that the thread has not waited for",
        "a read before the wait");
  plant(planted_read<PlantedRead::kNoSyncwarp>, "race: write of what another thread reads",
        "an arrival before the warp has read");
  plant(planted_read<PlantedRead::kNoWaitForWarps>, "race: write of what another thread reads",
        "a copy before the warps' arrivals");
  plant(planted<Planted::kBarrierNotFenced>, "has not been fenced for the copy engine", "an unfenced mbarrier");
  plant(planted<Planted::kProductBeforeTheWait>, "wgmma reads", "a product before the wait");
  plant(planted<Planted::kWaitOfOneThread>, "that its threads have not waited for", "a wait of one thread");
  plant(planted<Planted::kCopyOntoWhatIsRead>, "a bulk copy onto what a wgmma may yet read",
        "a copy before the product's wait");
  plant(planted<Planted::kCopyAfterOneWarpsWait>, "a bulk copy onto what a wgmma may yet read", "a copy after one warp's wait");
  plant(planted<Planted::kNoFenceOfRegisters>, "no wgmma.fence", "registers without a fence");
  plant(planted<Planted::kTooManyBytesExpected>, "deadlock: ", "more bytes expected than come");
  plant(planted<Planted::kTooFewBytesExpected>, "deadlock: ", "fewer bytes expected than come");
  plant(planted<Planted::kMisalignedTarget>, "not aligned to 1024 bytes", "a misaligned target");
  plant(planted<Planted::kOneArrivalTooMany>, "more arrivals at an mbarrier", "an arrival too many");
  const auto leave_undone = [](void (*kernel)(int*, int), const char* kind) {
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
      simt::set_seed(seed);
      DeviceArray<int> unused(kThreads);
      gpu::launch(kernel, dim3(1), kThreads, kBoxesBytes, nullptr, unused.data(), kThreads);
      expect(simt::take_report().find(kind) == 0, kind);
    }
  };
  leave_undone(planted<Planted::kUnderWayAtTheEnd>, "a block has ended without a wait for one of its bulk copies");
  leave_undone(planted<Planted::kNoWaitForTheProduct>, "a thread has left with a wgmma under way");
  leave_undone(planted_left<PlantedLeft::kChanged>, "registers of a wgmma's left operand have changed before the wait for it");
  DeviceArray<float> out(2 * kThreads);
  gpu::launch(read_too_early, dim3(1), kThreads, kBoxesBytes, nullptr, out.data());
  const std::vector<float> d = out.read();
  expect(simt::take_report().empty() && d[5] != d[5] && d[kThreads + 5] == 32, "an accumulator shows NaN until all is done");
}

// What threads write, and a product or a copy then reads.

enum class Unfenced { kNothing, kNoFence, kFenceAfterTheBarrier, kFenceOfOneThread, kFenceOfOtherMemory };
/** A barrier after what threads have written to one of the memories, with the fence that it takes, or not quite. */
template <Unfenced kFault, bool kGlobal>
void fence_and_wait() {
  using F = Unfenced;
  const auto fence = [] {
    if (kGlobal != (kFault == F::kFenceOfOtherMemory))
      ptx::fence_proxy_async_global();
    else
      ptx::fence_proxy_async();
  };
  if (kFault == F::kNothing || kFault == F::kFenceOfOtherMemory) fence();
  if (kFault == F::kFenceOfOneThread && threadIdx.x == 77) fence();
  __syncthreads();
  if (kFault == F::kFenceAfterTheBarrier) fence();
}

template <Unfenced kFault>
__global__ void product_of_stores(int* out, int) {
  const Boxes boxes = make_boxes();
  __half* const box = reinterpret_cast<__half*>(boxes.memory);
  for (int i = static_cast<int>(threadIdx.x); i < kBoxRows * 64; i += kThreads) box[i] = __float2half(1.0f);
  fence_and_wait<kFault, false>();
  float d[32] = {};
  ptx::wgmma_fence();
  const uint64_t operand = ptx::swizzled_operand(boxes.memory, 16, 1024);
  next_line();
  ptx::wgmma_m64n64k16<false>(d, operand, operand, __half{});
  ptx::wgmma_commit();
  ptx::wgmma_wait<0>();
  out[threadIdx.x] = static_cast<int>(d[0]);
}

/** Of g_map, in device memory. */
__half* g_matrix;

/** The first thread's copy of the matrix's first box. */
void copy_matrix(const Boxes& boxes) {
  ptx::mbarrier_arrive_expect(boxes.barriers, kBoxBytes);
  next_line();
  ptx::bulk_load(boxes.memory, &g_map, 0, 0, boxes.barriers);
}

template <Unfenced kFault>
__global__ void copy_of_stores(int* out, int) {
  const Boxes boxes = make_boxes();
  for (int i = static_cast<int>(threadIdx.x); i < kBoxRows * 128; i += kThreads) g_matrix[i] = __float2half(16.0f);
  fence_and_wait<kFault, true>();
  if (threadIdx.x == 0) copy_matrix(boxes);
  ptx::mbarrier_wait(boxes.barriers, 0);
  out[threadIdx.x] = static_cast<int>(__half2float(reinterpret_cast<const __half*>(boxes.memory)[threadIdx.x]));
}

enum class Handed { kAsItMust, kNotFencedByTheWriter, kNotFencedByTheReader };
/** The last block to take a ticket (out[127]) copies what the first thread of each has written. */
template <Handed kHanded>
__global__ void copy_of_other_blocks_stores(int* out, int) {
  const Boxes boxes = make_boxes();
  if (threadIdx.x != 0) return;
  unsigned* const count = reinterpret_cast<unsigned*>(out + 127);
  g_matrix[blockIdx.x * 128] = __float2half(16.0f);
  if (kHanded != Handed::kNotFencedByTheWriter) ptx::fence_proxy_async_global();
  ptx::fence_release();
  if (atomicAdd(count, 1u) != gridDim.x - 1) return;
  ptx::load_acquire(count);
  if (kHanded != Handed::kNotFencedByTheReader) ptx::fence_proxy_async_global();
  copy_matrix(boxes);
  ptx::mbarrier_wait(boxes.barriers, 0);
}

void test_proxies() {
  DeviceArray<__half> matrix(std::vector<__half>(64 * 128, __float2half(1.0f)));
  g_matrix = matrix.data();
  g_map = map_of(matrix.data(), 128, 64, 128);
  const auto plant = [](void (*kernel)(int*, int), int blocks, const char* kind, const char* name) {
    test_fault(kernel, blocks, kind, name, kSeeds, kBoxesBytes);
  };
  using F = Unfenced;
  const char* const unfenced = "what a thread has written is read past its caches without a proxy fence";
  const char* const unordered = "what a thread has written is read past its caches: its proxy fence is not ordered before";
  const std::string either = std::string(unfenced) + "|" + unordered;
  plant(product_of_stores<F::kNothing>, 1, "", "a product of what threads wrote");
  plant(product_of_stores<F::kNoFence>, 1, unfenced, "the same, without a fence");
  plant(product_of_stores<F::kFenceAfterTheBarrier>, 1, unordered, "the same, fenced after the barrier");
  plant(product_of_stores<F::kFenceOfOneThread>, 1, unfenced, "the same, fenced by one thread");
  plant(product_of_stores<F::kFenceOfOtherMemory>, 1, unfenced, "the same, device memory fenced");
  plant(copy_of_stores<F::kNothing>, 1, "", "a copy of what threads wrote");
  plant(copy_of_stores<F::kNoFence>, 1, unfenced, "the same, without a fence");
  plant(copy_of_stores<F::kFenceAfterTheBarrier>, 1, either.c_str(), "the same, fenced after the barrier");
  plant(copy_of_stores<F::kFenceOfOneThread>, 1, unfenced, "the same, fenced by one thread");
  plant(copy_of_stores<F::kFenceOfOtherMemory>, 1, unfenced, "the same, shared memory fenced");
  plant(copy_of_other_blocks_stores<Handed::kAsItMust>, 5, "", "a copy of what other blocks wrote");
  plant(copy_of_other_blocks_stores<Handed::kNotFencedByTheWriter>, 5, unfenced, "the same, not fenced by the writer");
  plant(copy_of_other_blocks_stores<Handed::kNotFencedByTheReader>, 5, "no proxy fence follows the acquire",
        "the same, not fenced by the reader");
  DeviceArray<int> out(kThreads);
  for (auto kernel : {product_of_stores<F::kNothing>, copy_of_stores<F::kNothing>}) {
    gpu::launch(kernel, dim3(1), kThreads, kBoxesBytes, nullptr, out.data(), kThreads);
    expect(out.read() == std::vector<int>(kThreads, 16) && simt::take_report().empty(), "what threads wrote is read");
  }
}

// Registers that one warpgroup gives to others.

enum class Shared { kWhatThereIs, kMoreThanThereIs, kByOneWarp, kMoreAfterLess, kLessAfterMore };
/** Three warpgroups, which have 168 registers a thread at first. */
template <Shared kShared>
__global__ void share_registers(int* out) {
  const unsigned warp = threadIdx.x / 32;
  if (kShared == Shared::kByOneWarp) {
    if (warp == 8) ptx::lower_registers<40>();
  } else if (warp >= 8) {
    ptx::lower_registers<kShared == Shared::kMoreAfterLess ? 176 : 40>();
  } else {
    ptx::raise_registers<kShared == Shared::kMoreThanThereIs ? 240 : kShared == Shared::kLessAfterMore ? 160 : 232>();
  }
  out[threadIdx.x] = 1;
}

void test_registers() {
  constexpr int kAll = 3 * kThreads;
  const auto run = [](void (*kernel)(int*), const std::string& kind) {
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
      simt::set_seed(seed);
      DeviceArray<int> out(std::vector<int>(kAll, 0));
      gpu::launch(kernel, dim3(1), kAll, 0, nullptr, out.data());
      const std::string report = simt::take_report();
      if (kind.empty()) expect(report.empty() && out.read() == std::vector<int>(kAll, 1), "registers change hands");
      if (!kind.empty() && report.find(kind) != 0) printf("%s\n", report.c_str());
      if (!kind.empty()) expect(report.find(kind) == 0, kind.c_str());
    }
  };
  run(share_registers<Shared::kWhatThereIs>, "");
  run(share_registers<Shared::kMoreThanThereIs>, "deadlock: 32 threads wait at setmaxnreg");
  run(share_registers<Shared::kByOneWarp>, "a warpgroup's warps have different numbers of registers");
  run(share_registers<Shared::kMoreAfterLess>, "setmaxnreg.dec to more registers");
  run(share_registers<Shared::kLessAfterMore>, "setmaxnreg.inc to fewer registers");
}

// Clusters of two blocks.

/** Each block brings one of two boxes to both, which write out what they have got, as it lies. */
__global__ void copy_to_both(cuda::TensorMap map, int, __half* out) {
  const Boxes boxes = make_boxes();
  const unsigned rank = ptx::cluster_rank();
  if (threadIdx.x == 0) ptx::fence_mbarrier_init();
  ptx::cluster_barrier();
  if (threadIdx.x == 0) {
    ptx::mbarrier_arrive_expect(boxes.barriers, 2 * kBoxBytes);
    ptx::bulk_load_multicast(boxes.memory + rank * kBoxBytes, &map, 0, static_cast<int>(rank) * kBoxRows, boxes.barriers, 3);
  }
  ptx::mbarrier_wait(boxes.barriers, 0);
  const __half* box = reinterpret_cast<const __half*>(boxes.memory);
  for (int i = static_cast<int>(threadIdx.x); i < 2 * kBoxRows * 64; i += kThreads)
    out[blockIdx.x * 2 * kBoxRows * 64 + static_cast<unsigned>(i)] = box[i];
}

void test_copies_to_both_blocks() {
  constexpr int kRows = 2 * kBoxRows - 3, kClusters = 3;
  std::vector<__half> values(static_cast<size_t>(kRows) * 64);
  for (size_t i = 0; i < values.size(); i++) values[i] = __float2half(static_cast<float>(i % 2039));
  DeviceArray<__half> matrix(values);
  for (uint64_t seed = 1; seed <= kSeeds; seed++) {
    simt::set_seed(seed);
    DeviceArray<__half> out(static_cast<size_t>(2 * kClusters) * 2 * kBoxRows * 64);
    gpu::launch_clusters(copy_to_both, dim3(2 * kClusters), kThreads, 2, kBoxesBytes, nullptr,
                         map_of(matrix.data(), 64, kRows, 64), 0, out.data());
    const std::vector<__half> boxes = out.read();
    bool right = true;
    for (int block = 0; block < 2 * kClusters; block++)
      for (int r = 0; r < 2 * kBoxRows; r++)
        for (int c = 0; c < 64; c++) {
          const int lies = (block * 2 * kBoxRows + r) * 64 + (c / 8 ^ r % 8) * 8 + c % 8;
          right = right && boxes[static_cast<size_t>(lies)].x == (r < kRows ? values[static_cast<size_t>(r * 64 + c)].x : 0);
        }
    const std::string report = simt::take_report();
    if (!report.empty()) printf("%s\n", report.c_str());
    expect(right && report.empty(), "a copy to both blocks of a cluster lies alike in both");
  }
}

enum class ClusterFault {
  kNothing,
  kNoBarrierAtTheStart,
  kNotFencedForTheCluster,
  kNotFencedForTheCopies,
  kReleaseOfOwnBlock,
  kReleaseBeforeTheWait,
  kOneBlocksBytesExpected,
  kMaskOfOwnBlock,
  kMaskOfOtherBlock,
  kMaskOfNoBlock,
  kMaskBeyondTheCluster,
  kRankBeyondTheCluster,
  kOneArrivalTooMany,
  kOneBlockSkipsTheEnd,
  kTwoBarriersAtTheEnd,
  kNoBarrierAtTheEnd,
};
/** A ring of one stage: each block brings half of it to both; the four warps of both release it. With one thing wrong. */
template <ClusterFault kFault>
__global__ void cluster_ring(int* out, int) {
  using F = ClusterFault;
  constexpr int kTurns = 3;
  GPU_SHARED(uint64_t[2], barriers);
  GPU_DYNAMIC_SHARED(memory);
  unsigned char* const boxes = memory + (0 - ptx::shared_address(memory)) % 1024;
  const unsigned rank = ptx::cluster_rank(), lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(barriers, 1);
    ptx::mbarrier_init(barriers + 1, 2 * kThreads / 32);
    if (kFault != F::kNotFencedForTheCopies) ptx::fence_proxy_async();
    if (kFault != F::kNotFencedForTheCluster) ptx::fence_mbarrier_init();
  }
  if (kFault == F::kNoBarrierAtTheStart)
    __syncthreads();
  else
    ptx::cluster_barrier();
  const auto release = [&] {
    if (lane >= 2) return;
    const unsigned to = kFault == F::kReleaseOfOwnBlock ? rank : lane + (kFault == F::kRankBeyondTheCluster ? 1 : 0);
    next_line();
    ptx::mbarrier_arrive_at(barriers + 1, to);
    next_line();
    if (kFault == F::kOneArrivalTooMany && threadIdx.x == 0) ptx::mbarrier_arrive_at(barriers, 1 - rank);
  };
  float d[32] = {};
  for (unsigned turn = 0; turn < kTurns; turn++) {
    if (threadIdx.x == 0) {
      next_line();
      ptx::mbarrier_wait(barriers + 1, turn % 2 ^ 1);
      ptx::mbarrier_arrive_expect(barriers, (kFault == F::kOneBlocksBytesExpected ? 1 : 2) * kBoxBytes);
      const unsigned mask = kFault == F::kMaskOfOwnBlock         ? 1u << rank
                            : kFault == F::kMaskOfOtherBlock     ? 2u >> rank
                            : kFault == F::kMaskOfNoBlock        ? 0
                            : kFault == F::kMaskBeyondTheCluster ? 7
                                                                 : 3;
      next_line();
      ptx::bulk_load_multicast(boxes + rank * kBoxBytes, &g_map, 0, 0, barriers, mask);
    }
    if (threadIdx.x == 0) next_line();
    ptx::mbarrier_wait(barriers, turn % 2);
    ptx::wgmma_fence();
    const uint64_t a = ptx::swizzled_operand(boxes, 16, 1024), b = ptx::swizzled_operand(boxes + kBoxBytes, 16, 1024);
    next_line();
    ptx::wgmma_m64n64k16<false>(d, a, b, __half{});
    ptx::wgmma_commit();
    if (kFault == F::kReleaseBeforeTheWait && rank == 1) release();
    ptx::wgmma_wait<0>();
    if (kFault != F::kReleaseBeforeTheWait || rank == 0) release();
  }
  if (threadIdx.x < kThreads / 2) out[rank * kThreads / 2 + threadIdx.x] = static_cast<int>(d[0]);
  if (kFault == F::kNoBarrierAtTheEnd || (kFault == F::kOneBlockSkipsTheEnd && rank == 1)) return;
  if (kFault == F::kTwoBarriersAtTheEnd && rank == 1) {
    next_line();
    ptx::cluster_barrier();
  } else {
    next_line();
    ptx::cluster_barrier();
  }
}

/** Of device memory; a cluster barrier between, or a barrier of each block alone. */
template <bool kOrdered>
__global__ void read_by_the_other_block(int* out, int) {
  if (ptx::cluster_rank() == 0) out[threadIdx.x] = 5;
  if (kOrdered)
    ptx::cluster_barrier();
  else
    __syncthreads();
  if (threadIdx.x >= kThreads / 2 || ptx::cluster_rank() == 0) return;
  next_line();
  const int read = out[kThreads / 2 + threadIdx.x];
  next_line();
  out[threadIdx.x] = read;
}
/** An address of one block's shared memory is none of another's. */
__global__ void pointer_into_the_other_block(int* out, int) {
  GPU_SHARED(int[kThreads], s);
  s[threadIdx.x] = 1;
  int** const given = reinterpret_cast<int**>(out);
  if (ptx::cluster_rank() == 0 && threadIdx.x == 0) *given = s;
  ptx::cluster_barrier();
  if (ptx::cluster_rank() == 0 || threadIdx.x != 77) return;
  const int* p = *given;
  next_line();
  out[64] = p[1];
}

void test_clusters() {
  test_copies_to_both_blocks();
  DeviceArray<__half> matrix(std::vector<__half>(64 * 128, __float2half(1.0f)));
  g_map = map_of(matrix.data(), 128, 64, 128);
  using F = ClusterFault;
  const auto plant = [](void (*kernel)(int*, int), const char* kind, const char* name) {
    test_fault(kernel, 2, kind, name, 3 * kSeeds, kBoxesBytes, 2);
  };
  plant(cluster_ring<F::kNothing>, "", "a ring of both blocks");
  plant(cluster_ring<F::kNoBarrierAtTheStart>, "no cluster barrier has come between another block's mbarrier's initialisation",
        "no barrier at the start");
  plant(cluster_ring<F::kNotFencedForTheCluster>, "has not been fenced for the cluster", "unfenced for the cluster");
  plant(cluster_ring<F::kNotFencedForTheCopies>, "has not been fenced for the copy engine", "unfenced for the copies");
  plant(cluster_ring<F::kReleaseOfOwnBlock>,
        "a bulk copy onto what a wgmma may yet read|wgmma reads|write to memory that a cp.async is filling",
        "a release of the own block");
  plant(cluster_ring<F::kReleaseBeforeTheWait>, "a bulk copy onto what a wgmma may yet read", "one block's early release");
  plant(cluster_ring<F::kMaskOfNoBlock>, "to no block, or to one that the cluster has not", "a mask of no block");
  plant(cluster_ring<F::kMaskBeyondTheCluster>, "to no block, or to one that the cluster has not", "a mask beyond the cluster");
  plant(cluster_ring<F::kRankBeyondTheCluster>, "the cluster has no block of that rank", "a rank beyond the cluster");
  plant(cluster_ring<F::kTwoBarriersAtTheEnd>, "threads wait at different cluster barriers", "two barriers at the end");
  plant(read_by_the_other_block<true>, "", "read after a cluster barrier");
  plant(read_by_the_other_block<false>, "race between blocks: ", "read without a cluster barrier");
  plant(pointer_into_the_other_block, "read outside every buffer", "a pointer into the other block");
  // What two blocks do wrong together is met by either.
  const auto plant_anywhere = [](void (*kernel)(int*, int), const char* kind, const char* name) {
    for (uint64_t seed = 1; seed <= 3 * kSeeds; seed++) {
      simt::set_seed(seed);
      DeviceArray<int> unused(kThreads);
      gpu::launch_clusters(kernel, dim3(2), kThreads, 2, kBoxesBytes, nullptr, unused.data(), kThreads);
      const std::string report = simt::take_report();
      const bool ok = is_of_kind(report, kind);
      if (!ok || seed == 1) printf("%-32s %s\n", name, report.empty() ? "-" : report.c_str());
      expect(ok, name);
    }
  };
  plant_anywhere(cluster_ring<F::kOneBlocksBytesExpected>, "deadlock: |wgmma reads", "one block's bytes expected");
  plant_anywhere(cluster_ring<F::kMaskOfOwnBlock>, "deadlock: 256 threads wait at mbarrier", "a mask of the own block");
  plant_anywhere(cluster_ring<F::kMaskOfOtherBlock>, "deadlock: 256 threads wait at mbarrier", "a mask of the other block");
  plant_anywhere(cluster_ring<F::kOneArrivalTooMany>, "more arrivals at an mbarrier|deadlock: |wgmma reads|a bulk copy onto",
                 "an arrival too many from outside");
  plant_anywhere(cluster_ring<F::kOneBlockSkipsTheEnd>,
                 "a thread has left while others wait at a cluster barrier|a cluster barrier after some thread has left",
                 "a block that skips the end");
  plant_anywhere(cluster_ring<F::kNoBarrierAtTheEnd>,
                 "a block may leave before another's arrival here|another block is reached that has left",
                 "no barrier at the end");
  DeviceArray<int> out(kThreads);
  gpu::launch_clusters(cluster_ring<F::kNothing>, dim3(2), kThreads, 2, kBoxesBytes, nullptr, out.data(), kThreads);
  expect(out.read() == std::vector<int>(kThreads, 3 * 16) && simt::take_report().empty(), "products of both blocks' copies");
}

// Streams and graphs.

__global__ void do_nothing() {}

__global__ void count_blocks(int* out) {
  atomicAdd(out + threadIdx.x, 1);
}

__global__ void set_all(int* out, int value) {
  out[threadIdx.x] = value;
}

__global__ void add_everywhere(int* out, int value) {
  out[threadIdx.x] += value;
}

/** What a device refuses before a kernel runs. */
void test_refused_launches() {
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  const auto launch = [&](unsigned blocks, unsigned cluster, size_t shared_bytes) {
    return gpu::launch_clusters(count_blocks, dim3(blocks), kThreads, cluster, shared_bytes, nullptr, out.data());
  };
  expect(launch(2, 2, 0) == cudaErrorInvalidClusterSize, "clusters are of compute capability 9.0");
  simt::set_compute_major(9);
  ok(launch(2, 2, 0), "a cluster");
  expect(launch(3, 2, 0) == cudaErrorInvalidClusterSize, "clusters divide the grid");
  expect(launch(2, 1, 228 * 1024) == cudaErrorInvalidValue, "more shared memory than there is");
  expect(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess, "an error stays until it is read");
  cudaLaunchConfig_t config = {dim3(1), dim3(kThreads), 48 * 1024 + 1, nullptr, nullptr, 0};
  expect(cudaLaunchKernelEx(&config, do_nothing) == cudaErrorInvalidValue, "shared memory that was not asked for");
  cudaGetLastError();
  expect(launch(2147483648u, 1, 0) == cudaErrorInvalidConfiguration, "more blocks in a row than a device may have");
  expect(gpu::launch(do_nothing, int64_t{1} << 32, kThreads, 0, nullptr) == cudaErrorInvalidConfiguration,
         "so many blocks that 32 bits would hold none of them");
  expect(gpu::launch(do_nothing, {1, 65536}, kThreads, 0, nullptr) == cudaErrorInvalidConfiguration, "too many rows of blocks");
  config = {dim3(2147483648u), dim3(kThreads), 0, nullptr, nullptr, 0};
  expect(cudaLaunchKernelEx(&config, do_nothing) == cudaErrorInvalidConfiguration, "the same of the runtime");
  cudaGetLastError();
  gpu::launch(do_nothing, {65536, 65535, 3}, kThreads, 0, nullptr);
  expect(simt::take_report().find("more blocks than the emulator runs") != std::string::npos,
         "blocks that 32 bits do not count");
  static_assert(gpu::parameter_bytes<>() == 0 && gpu::parameter_bytes<char, double, char>() == 17, "parameters are aligned");
  expect(out.read() == std::vector<int>(kThreads, 2), "what is refused does not run");
  simt::set_compute_major(8);
}

/** Has shared memory by name too. */
__global__ void named_memory(int* out) {
  GPU_SHARED(int[6 * 1024], named);
  GPU_DYNAMIC_SHARED(memory);
  named[threadIdx.x] = 1;
  reinterpret_cast<int*>(memory)[threadIdx.x] = named[threadIdx.x];
  out[threadIdx.x] = reinterpret_cast<int*>(memory)[threadIdx.x];
}

/** Shared memory by name counts too: beside dynamic memory of 48 KB without asking, else of what the device has. */
void test_named_shared_memory() {
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  constexpr size_t kNamed = 24 * 1024, kFits = 48 * 1024 - kNamed, kMost = 99 * 1024 - kNamed;
  const auto launch = [&](size_t bytes) {
    cudaLaunchConfig_t config = {dim3(1), dim3(kThreads), bytes, nullptr, nullptr, 0};
    ok(cudaLaunchKernelEx(&config, named_memory, out.data()), "a launch of a kernel with shared memory by name");
    return simt::take_report();
  };
  const char* const kTooMuch = "are more than the kernel may have or has asked for";
  expect(launch(kFits).empty(), "48 KB in all need not be asked for");
  expect(launch(kFits + 16).find(kTooMuch) != std::string::npos, "more than 48 KB in all have to be asked for");
  for (const size_t bytes : {kFits, size_t{40} * 1024, kMost}) {
    ok(gpu::launch(named_memory, 1, kThreads, bytes, nullptr, out.data()), "the launcher asks");
    expect(simt::take_report().empty(), "what was asked for may be had");
  }
  ok(gpu::launch(named_memory, 1, kThreads, kMost + 16, nullptr, out.data()), "the launcher asks");
  expect(simt::take_report().find(kTooMuch) != std::string::npos, "more in all than a block may have");
}

/** A launch with less shared memory takes nothing from one with more, which another thread may be about to make. */
void test_shared_memory_stays() {
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  constexpr size_t kMore = 90 * 1024, kLess = 64 * 1024;
  for (const size_t bytes : {kLess, kMore, kLess})
    ok(gpu::launch(count_blocks, dim3(1), kThreads, bytes, nullptr, out.data()), "a launch with much shared memory");
  cudaLaunchConfig_t config = {dim3(1), dim3(kThreads), kMore, nullptr, nullptr, 0};
  ok(cudaLaunchKernelEx(&config, count_blocks, out.data()), "the launch of another thread, which has asked before");
  expect(simt::take_report().empty(), "what a kernel may have is not made smaller");
  cudaFuncSetAttribute(reinterpret_cast<const void*>(count_blocks), cudaFuncAttributeMaxDynamicSharedMemorySize, kLess);
  expect(simt::take_report().find("made smaller") != std::string::npos, "it is noticed where it is");
}

/** An error that is handled where it comes up is still the last one, until somebody asks; a launch gives its own status. */
void test_last_errors() {
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  void* memory = nullptr;
  simt::fail_allocation(1);
  expect(cudaMalloc(&memory, 64) == cudaErrorMemoryAllocation, "an allocation fails");
  ok(gpu::launch(count_blocks, dim3(1), kThreads, 0, nullptr, out.data()), "a launch after an error");
  expect(out.read() == std::vector<int>(kThreads, 1), "a launch after an error runs");
  expect(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess, "an allocation's error stays");
  expect(cudaSetDevice(1) == cudaErrorInvalidDevice && cudaGetLastError() == cudaErrorInvalidDevice, "a device's error stays");
}

/** Whether, over orders of streams, the second of two pieces of work was always, sometimes or never the last. */
template <class Enqueue>
std::string order_of(const Enqueue& enqueue) {
  int second_last = 0;
  constexpr int kRuns = 64;
  for (int run = 0; run < kRuns; run++) {
    simt::set_seed(static_cast<uint64_t>(run + 1));
    DeviceArray<int> out(std::vector<int>(kThreads, 0));
    ok(cudaDeviceSynchronize(), "the device is waited for");
    enqueue([&](int value, cudaStream_t stream) {
      ok(gpu::launch(set_all, dim3(1), kThreads, 0, stream, out.data(), value), "set");
    });
    ok(cudaDeviceSynchronize(), "the device is waited for");
    second_last += out.read()[0] == 2;
  }
  return second_last == 0 ? "never" : second_last == kRuns ? "always" : "sometimes";
}

void test_order_of_streams() {
  cudaStream_t blocking = nullptr, other = nullptr, free = nullptr;
  cudaEvent_t event = nullptr;
  ok(cudaStreamCreate(&blocking), "a stream is made");
  ok(cudaStreamCreate(&other), "another stream is made");
  ok(cudaStreamCreateWithFlags(&free, cudaStreamNonBlocking), "a stream that does not block is made");
  ok(cudaEventCreate(&event), "an event is made");
  const auto two = [](cudaStream_t first, cudaStream_t second) {
    return order_of([=](const auto& set) {
      set(1, first);
      set(2, second);
    });
  };
  expect(two(free, free) == "always", "a stream's own work is in order");
  expect(two(nullptr, free) == "sometimes", "a stream that does not block does not wait for the legacy stream");
  expect(two(free, nullptr) == "sometimes", "nor the other way round");
  expect(two(blocking, other) == "sometimes", "streams do not wait for each other");
  expect(two(nullptr, blocking) == "always", "a blocking stream waits for the legacy stream");
  expect(two(blocking, nullptr) == "always", "and the other way round");
  expect(order_of([=](const auto& set) {
           set(1, blocking);
           ok(cudaEventRecord(event, blocking), "an event is recorded");
           ok(cudaStreamWaitEvent(free, event, 0), "a stream waits for an event");
           set(2, free);
         }) == "always",
         "a stream waits for an event");
  expect(order_of([=](const auto& set) {
           set(1, free);
           ok(cudaStreamSynchronize(free), "a stream is waited for");
           set(2, other);
         }) == "always",
         "the host waits for a stream");
  simt::set_seed(1);
  ok(cudaEventDestroy(event), "an event is freed");
  for (cudaStream_t stream : {blocking, other, free}) ok(cudaStreamDestroy(stream), "a stream is freed");
}

template <class Enqueue>
cudaGraphExec_t capture(cudaStream_t stream, Enqueue&& enqueue) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture begins");
  enqueue();
  ok(cudaStreamEndCapture(stream, &graph), "a capture ends");
  ok(cudaGraphInstantiate(&executable, graph, 0), "a graph is made executable");
  ok(cudaGraphDestroy(graph), "a graph is freed");
  return executable;
}

void test_graphs() {
  cudaStream_t stream = nullptr;
  ok(cudaStreamCreate(&stream), "a stream is made");
  DeviceArray<int> out(std::vector<int>(kThreads, 5));
  int value = 3;
  const cudaGraphExec_t graph = capture(stream, [&] {
    ok(cudaMemsetAsync(out.data(), 0, sizeof(int), stream), "a fill is recorded");
    ok(gpu::launch(add_everywhere, dim3(1), kThreads, 0, stream, out.data(), value), "a launch is recorded");
    ok(gpu::launch(add_everywhere, dim3(1), kThreads, 0, stream, out.data(), 10 * value), "a second launch is recorded");
  });
  expect(out.read()[7] == 5, "a captured launch does not run");
  value = 100;  // arguments are those of the capture
  for (int replay = 1; replay <= 3; replay++) {
    ok(cudaGraphLaunch(graph, stream), "a graph is launched");
    ok(cudaStreamSynchronize(stream), "a stream is waited for");
    expect(out.read()[7] == 5 + 33 * replay && out.read()[0] == 33, "a replay does all of its work in order");
  }
  ok(cudaGraphExecDestroy(graph), "an executable graph is freed");

  const cudaGraphExec_t faulty = capture(stream, [&] {
    ok(gpu::launch(past_a_buffer, dim3(1), kThreads, 0, stream, out.data(), kThreads), "a faulty launch is recorded");
    ok(gpu::launch(add_everywhere, dim3(1), kThreads, 0, stream, out.data(), 1), "a launch after it is recorded");
  });
  ok(cudaGraphLaunch(faulty, stream), "a launch does not wait for a fault");
  expect(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure, "a fault in a replay is an error");
  expect(simt::take_report().find("write outside every buffer") == 0, "a fault in a replay is reported");
  const int first = out.read()[0];
  expect(first == 33 || first == 1, "what comes after a fault in a graph does not run");
  ok(cudaGraphExecDestroy(faulty), "the faulty graph is freed");
  ok(cudaStreamDestroy(stream), "a stream is freed");
}

/** Work of a stream that waits for a captured stream's event is captured too, and is in order with it as events say. */
void test_branches_of_a_graph() {
  cudaStream_t stream = nullptr, branch = nullptr, other = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream is made");
  for (cudaStream_t* one : {&branch, &other}) ok(cudaStreamCreateWithFlags(one, cudaStreamNonBlocking), "a branch is made");
  for (cudaEvent_t* event : {&forked, &joined}) ok(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "an event is made");
  const auto fork = [&] {
    ok(cudaEventRecord(forked, stream), "a fork is recorded");
    ok(cudaStreamWaitEvent(branch, forked, 0), "a branch begins");
  };
  const auto join = [&] {
    ok(cudaEventRecord(joined, branch), "a branch's end is recorded");
    ok(cudaStreamWaitEvent(stream, joined, 0), "a branch is joined");
  };
  const auto order = [&](const std::function<void(const std::function<void(int, cudaStream_t)>&)>& enqueue) {
    std::vector<cudaGraphExec_t> graphs;
    const std::string found = order_of([&](const auto& set) {
      graphs.push_back(capture(stream, [&] { enqueue(set); }));
      ok(cudaGraphLaunch(graphs.back(), stream), "a graph is launched");
    });
    for (cudaGraphExec_t graph : graphs) ok(cudaGraphExecDestroy(graph), "a graph is freed");
    return found;
  };
  DeviceArray<int> unused(std::vector<int>(kThreads, 0));
  ok(gpu::launch(set_all, dim3(1), kThreads, 0, stream, unused.data(), 0), "a kernel is loaded");
  const auto beside = [&](const auto& set) {
    fork();
    set(1, stream);
    set(2, branch);
    join();
  };
  expect(order(beside) == "sometimes", "a branch is beside what is captured after its fork");
  expect(order([&](const auto& set) {
           set(1, stream);
           fork();
           set(2, branch);
           join();
         }) == "always",
         "a branch comes after what lies before its fork");
  expect(order([&](const auto& set) {
           fork();
           set(1, branch);
           join();
           set(2, stream);
         }) == "always",
         "what lies behind a join comes after the branch");
  expect(order_of(beside) == "sometimes", "the same without a capture");

  cudaGraph_t graph = nullptr;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const auto begin = [&] { ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture begins"); };
  const auto set = [&](cudaStream_t to) { return gpu::launch(set_all, dim3(1), kThreads, 0, to, unused.data(), 1); };
  begin();
  fork();
  ok(cudaStreamIsCapturing(branch, &status), "a branch says whether it is captured");
  expect(status == cudaStreamCaptureStatusActive, "a branch is captured");
  ok(set(branch), "a branch has work");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureUnjoined && graph == nullptr,
         "a branch is to be joined");
  expect(cudaStreamWaitEvent(other, forked, 0) == cudaErrorCapturedEvent, "an event of a capture that is over");
  begin();
  fork();
  ok(set(branch), "a branch has work");
  join();
  ok(set(branch), "it has more");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureUnjoined, "a branch is joined before its end");
  ok(cudaEventRecord(joined, other), "an event is recorded elsewhere");
  begin();
  ok(set(other), "a stream that takes no part runs");
  expect(cudaStreamWaitEvent(stream, joined, 0) == cudaErrorStreamCaptureIsolation, "it does not wait for others");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated, "a wait for others ends a capture");
  begin();
  fork();
  expect(cudaStreamSynchronize(branch) == cudaErrorStreamCaptureUnsupported, "a branch is not waited for");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated, "a wait for a branch ends a capture");
  ok(cudaDeviceSynchronize(), "the device is waited for");
  for (cudaEvent_t event : {forked, joined}) ok(cudaEventDestroy(event), "an event is freed");
  for (cudaStream_t one : {stream, branch, other}) ok(cudaStreamDestroy(one), "a stream is freed");
  simt::set_seed(1);
}

/** A kernel's code is loaded at its first use, which a capture does not allow to a thread that has not relaxed its mode. */
void test_loading_in_a_capture() {
  cudaStream_t stream = nullptr;
  ok(cudaStreamCreate(&stream), "a stream is made");
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  simt::unload_kernels();
  cudaGraph_t graph = nullptr;
  ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture begins");
  cudaLaunchConfig_t config = {dim3(1), dim3(kThreads), 0, stream, nullptr, 0};
  expect(cudaLaunchKernelEx(&config, add_everywhere, out.data(), 1) == cudaErrorStreamCaptureUnsupported, "a first use");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated, "a first use ends a capture");
  const cudaGraphExec_t loaded = capture(stream, [&] {
    ok(gpu::launch(add_everywhere, dim3(1), kThreads, 0, stream, out.data(), 1), "the launcher loads what it launches");
  });
  ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture begins");
  void* memory = nullptr;
  expect(cudaMalloc(&memory, 64) == cudaErrorStreamCaptureUnsupported, "the launcher leaves the thread's mode as it was");
  expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated, "an allocation ends a capture");
  ok(cudaGraphLaunch(loaded, stream), "a graph is launched");
  ok(cudaStreamSynchronize(stream), "a stream is waited for");
  expect(out.read() == std::vector<int>(kThreads, 1), "what was loaded runs");
  ok(cudaGraphExecDestroy(loaded), "a graph is freed");
  ok(cudaStreamDestroy(stream), "a stream is freed");
}

/**
 * Nor does one in global mode allow it to other threads that have not relaxed theirs. Those of a capture in its thread's mode
 * are free.
 */
void test_loading_beside_a_capture() {
  cudaStream_t stream = nullptr, other = nullptr;
  for (cudaStream_t* made : {&stream, &other}) ok(cudaStreamCreateWithFlags(made, cudaStreamNonBlocking), "a stream is made");
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  cudaLaunchConfig_t config = {dim3(1), dim3(kThreads), 0, other, nullptr, 0};
  const auto launched_beside = [&](cudaStreamCaptureMode mode, bool by_launcher, cudaError_t* end) {
    simt::unload_kernels();
    ok(cudaStreamBeginCapture(stream, mode), "a capture begins");
    cudaError_t launched = cudaErrorLaunchFailure;
    std::thread([&] {
      launched = by_launcher ? gpu::launch(add_everywhere, dim3(1), kThreads, 0, other, out.data(), 1)
                             : cudaLaunchKernelEx(&config, add_everywhere, out.data(), 1);
    }).join();
    cudaGraph_t graph = nullptr;
    *end = cudaStreamEndCapture(stream, &graph);
    if (*end == cudaSuccess) ok(cudaGraphDestroy(graph), "a graph is freed");
    return launched;
  };
  cudaError_t end;
  expect(launched_beside(cudaStreamCaptureModeGlobal, false, &end) == cudaErrorStreamCaptureUnsupported,
         "a first use beside a capture in global mode");
  expect(end == cudaErrorStreamCaptureInvalidated, "a first use by another thread ends a capture in global mode");
  expect(launched_beside(cudaStreamCaptureModeThreadLocal, false, &end) == cudaSuccess && end == cudaSuccess,
         "a first use beside a capture in its thread's mode");
  for (const cudaStreamCaptureMode mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal})
    expect(launched_beside(mode, true, &end) == cudaSuccess && end == cudaSuccess,
           "the launcher leaves a capture beside it whole");
  ok(cudaStreamSynchronize(other), "a stream is waited for");
  expect(out.read() == std::vector<int>(kThreads, 3), "what was launched beside a capture runs");
  for (cudaStream_t one : {stream, other}) ok(cudaStreamDestroy(one), "a stream is freed");
}

/** What may not be done during a capture, alone or through the default stream: it fails, and so does the end of the capture. */
void test_forbidden_in_a_capture() {
  DeviceArray<int> out(std::vector<int>(kThreads, 0));
  int* memory = nullptr;
  cudaStream_t stream = nullptr;
  ok(cudaStreamCreate(&stream), "a stream is made");
  const std::vector<int> host(kThreads);
  const auto forbidden = [&](cudaError_t expected, const char* fact, const std::function<cudaError_t()>& call) {
    cudaGraph_t graph = nullptr;
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a capture begins");
    expect(call() == expected, fact);
    expect(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated && graph == nullptr, fact);
  };
  forbidden(cudaErrorStreamCaptureUnsupported, "no allocation",
            [&] { return cudaMalloc(reinterpret_cast<void**>(&memory), 4); });
  forbidden(cudaErrorStreamCaptureUnsupported, "no freeing", [&] { return cudaFree(out.data()); });
  forbidden(cudaErrorStreamCaptureUnsupported, "no wait", [&] { return cudaStreamSynchronize(stream); });
  forbidden(cudaErrorStreamCaptureUnsupported, "no wait for the device", [] { return cudaDeviceSynchronize(); });
  forbidden(cudaErrorStreamCaptureUnsupported, "no copy that waits",
            [&] { return cudaMemcpy(out.data(), host.data(), 4, cudaMemcpyHostToDevice); });
  forbidden(cudaErrorStreamCaptureImplicit, "nothing on the default stream",
            [&] { return gpu::launch(add_everywhere, dim3(1), kThreads, 0, nullptr, out.data(), 1); });
  expect(out.read() == std::vector<int>(kThreads, 0), "nothing of it has run");
  ok(cudaStreamDestroy(stream), "a stream is freed");
}
}  // namespace

int main() {
  test_types();
  test_mma<__nv_bfloat16>("mma of bf16 agrees with float64");
  test_mma<__half>("mma of half agrees with float64");
  test_shuffles_and_votes();
  test_integer_atomics<int>("atomics of int");
  test_integer_atomics<unsigned>("atomics of unsigned");
  test_integer_atomics<unsigned long long>("atomics of unsigned long long");
  test_faults();
  test_unwritten_output();
  test_refused_launches();
  test_named_shared_memory();
  test_shared_memory_stays();
  test_last_errors();
  simt::set_compute_major(9);
  test_warpgroups();
  test_proxies();
  test_registers();
  test_clusters();
  test_order_of_streams();
  test_graphs();
  test_branches_of_a_graph();
  test_loading_in_a_capture();
  test_loading_beside_a_capture();
  test_forbidden_in_a_capture();
  printf("%s\n", g_failures == 0 ? "passed" : "FAILED");
  return g_failures != 0;
}
