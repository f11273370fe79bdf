// Tests of what the emulator counts: kernels whose sectors, wavefronts and bytes through memory are known.
#include "count.h"

#include <cstdio>
#include <memory>
#include <string>

#include "cuda/element.cuh"
#include "cuda/ptx.cuh"

namespace {
using namespace prunepeft;
using simt::Counted;

constexpr int kThreads = 128, kBlocks = 4, kAll = kThreads * kBlocks;
constexpr uint64_t kWarps = kAll / gpu::kWarp;
int g_failures = 0;

void expect(uint64_t got, uint64_t expected, const std::string& what) {
  if (got == expected) return;
  printf("FAILED: %s: %llu, not %llu\n", what.c_str(), static_cast<unsigned long long>(got),
         static_cast<unsigned long long>(expected));
  g_failures++;
}

struct Free {
  void operator()(float* p) const { cudaFree(p); }
};
/** Of zeros. */
std::unique_ptr<float, Free> floats(int n) {
  void* memory = nullptr;
  cudaMalloc(&memory, static_cast<size_t>(n) * sizeof(float));
  cudaMemset(memory, 0, static_cast<size_t>(n) * sizeof(float));
  return std::unique_ptr<float, Free>(static_cast<float*>(memory));
}

/** What one launch moves. */
template <class... Arguments>
simt::Traffic count(void (*kernel)(Arguments...), size_t cache_bytes, Arguments... arguments) {
  simt::start_counting(cache_bytes);
  const cudaError_t error = gpu::launch(kernel, dim3(kBlocks), kThreads, 0, nullptr, arguments...);
  const simt::Traffic traffic = simt::stop_counting();
  const std::string report = simt::take_report();
  if (error != cudaSuccess || !report.empty()) printf("FAILED: %s\n", report.c_str());
  g_failures += error != cudaSuccess || !report.empty();
  return traffic;
}

/** The only access of its kind. */
simt::AccessCount only(const simt::Traffic& traffic, Counted kind) {
  simt::AccessCount found = {};
  int count = 0;
  for (const simt::AccessCount& access : traffic.accesses) {
    if (access.kind != kind) continue;
    found = access;
    count++;
  }
  expect(static_cast<uint64_t>(count), 1, std::string("accesses of kind ") + simt::name(kind));
  return found;
}

void expect_sectors(const simt::Traffic& traffic, Counted kind, uint64_t sectors, uint64_t least, const std::string& what) {
  const simt::AccessCount access = only(traffic, kind);
  expect(access.requests, kWarps, what + ": requests");
  expect(access.sectors, kWarps * sectors, what + ": sectors");
  expect(access.least_sectors, kWarps * least, what + ": least sectors");
}

void expect_wavefronts(const simt::Traffic& traffic, Counted kind, uint64_t requests, uint64_t wavefronts, uint64_t least,
                       const std::string& what) {
  const simt::AccessCount access = only(traffic, kind);
  expect(access.requests, kWarps * requests, what + ": requests");
  expect(access.wavefronts, kWarps * wavefronts, what + ": wavefronts");
  expect(access.least_wavefronts, kWarps * least, what + ": least wavefronts");
}

void expect_bytes(const simt::Traffic& traffic, uint64_t read, uint64_t written, const std::string& what) {
  expect(traffic.read, read, what + ": bytes read");
  expect(traffic.written, written, what + ": bytes written");
}

GPU_INLINE int own_number() {
  return static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
}

__global__ void copy_strided(const float* in, float* out, int stride) {
  out[own_number()] = in[own_number() * stride];
}
__global__ void read_one(const float* in, float* out) {
  out[own_number()] = in[0];
}
/** 16 bytes a thread, `stride` of them apart. */
__global__ void write_vectors(__half* out, int stride, int offset) {
  const float v[gpu::kGroup] = {1, 2, 3, 4, 5, 6, 7, 8};
  gpu::store_group(out + (own_number() * stride + offset) * gpu::kGroup, v);
}
/** 32 bytes a thread, in two stores. */
__global__ void write_both_halves(float* out) {
  const float v[gpu::kGroup] = {1, 2, 3, 4, 5, 6, 7, 8};
  gpu::store_group(out + own_number() * gpu::kGroup, v);
}
__global__ void read_twice(const float* in, float* out) {
  float sum = 0;
  for (int turn = 0; turn < 2; turn++)
    for (int i = static_cast<int>(threadIdx.x); i < kAll; i += kThreads) sum += in[i];
  out[own_number()] = sum;
}
__global__ void uneven(const float* in, float* out) {
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWarp;
  float sum = 0;
  for (int i = 0; i < 1 + lane / 16; i++) sum += in[own_number() + i * kAll];
  out[own_number()] = sum;
}
__global__ void store_shared(int stride) {
  GPU_SHARED(float[kThreads * 33], tile);
  tile[static_cast<int>(threadIdx.x) * stride] = 1;
}
/** Two vectors a thread, so that eight threads find each time every second one. */
__global__ void load_shared_groups(float* out) {
  GPU_SHARED(float[kThreads * gpu::kGroup], tile);
  for (int i = 0; i < gpu::kGroup; i++) tile[static_cast<int>(threadIdx.x) + i * kThreads] = 1;
  __syncthreads();
  float v[gpu::kGroup];
  gpu::load_group(tile + static_cast<int>(threadIdx.x) * gpu::kGroup, v);
  out[own_number()] = v[0] + v[7];
}
/** Rows of 64 elements; `padding` more lie between them. */
__global__ void load_matrices(unsigned* out, int padding) {
  GPU_SHARED(__half[16 * 72], tile);
  for (int i = static_cast<int>(threadIdx.x); i < 16 * 72; i += kThreads) tile[i] = __float2half(1);
  __syncthreads();
  unsigned r[4];
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWarp;
  ptx::ldmatrix_x4(r, tile + lane % 16 * (64 + padding) + lane / 16 * 8);
  out[own_number()] = r[0];
}
__global__ void copy_async(const float* in, float* out) {
  GPU_SHARED(float[kThreads * 4], tile);
  ptx::cp_async16(tile + threadIdx.x * 4, in + own_number() * 4, 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  out[own_number()] = tile[threadIdx.x * 4];
}
__global__ void count_up(unsigned* counter) {
  atomicAdd(counter, 1u);
}

constexpr size_t kLarge = simt::kH100CacheBytes, kSmall = 256;
constexpr uint64_t kBytes = kAll * sizeof(float);

void test_device_memory() {
  const auto in = floats(kAll * 8), out = floats(kAll * 8);
  for (const int stride : {1, 2, 4}) {
    const std::string what = "copy of every " + std::to_string(stride) + ". element";
    const simt::Traffic traffic = count(copy_strided, kLarge, static_cast<const float*>(in.get()), out.get(), stride);
    const auto factor = static_cast<uint64_t>(stride);
    expect_sectors(traffic, Counted::kLoad, 4 * factor, 4, what);
    expect_sectors(traffic, Counted::kStore, 4, 4, what);
    expect_bytes(traffic, kBytes * factor, kBytes, what);
  }
  const simt::Traffic one = count(read_one, kLarge, static_cast<const float*>(in.get()), out.get());
  expect_sectors(one, Counted::kLoad, 1, 1, "one element for all");
  expect_bytes(one, 32, kBytes, "one element for all");

  const auto vectors = reinterpret_cast<__half*>(out.get());
  const simt::Traffic whole = count(write_vectors, kLarge, vectors, 1, 0);
  expect_sectors(whole, Counted::kStore, 16, 16, "vectors side by side");
  expect_bytes(whole, 0, 4 * kBytes, "vectors side by side");
  for (const int offset : {0, 1}) {
    const simt::Traffic half = count(write_vectors, kLarge, vectors, 2, offset);
    expect_sectors(half, Counted::kStore, 32, 16, "half sectors");
    expect_bytes(half, 8 * kBytes, 8 * kBytes, "half sectors are read and written whole");
  }
  const simt::Traffic both = count(write_both_halves, kLarge, out.get());
  expect(both.requests(Counted::kStore), 2 * kWarps, "both halves of sectors: requests");
  expect(only(both, Counted::kStore).sectors, 2 * kWarps * 32, "both halves of sectors: sectors");
  expect_bytes(both, 0, 8 * kBytes, "both halves of sectors meet in the cache");

  const simt::Traffic later = count(uneven, kLarge, static_cast<const float*>(in.get()), out.get());
  expect(only(later, Counted::kLoad).requests, 2 * kWarps, "lanes that go on alone: requests");
  expect(only(later, Counted::kLoad).sectors, kWarps * (4 + 2), "lanes that go on alone: sectors");

  const simt::Traffic async = count(copy_async, kLarge, static_cast<const float*>(in.get()), out.get());
  expect_sectors(async, Counted::kAsyncCopy, 16, 16, "cp.async");
  expect_bytes(async, 4 * kBytes, kBytes, "cp.async");

  const simt::Traffic atomics = count(count_up, kLarge, reinterpret_cast<unsigned*>(out.get()));
  expect_sectors(atomics, Counted::kAtomic, 1, 1, "atomics of one counter");
  expect_bytes(atomics, 32, 32, "atomics of one counter");
}

void test_cache() {
  const auto in = floats(kAll), out = floats(kAll);
  const auto source = static_cast<const float*>(in.get());
  expect_bytes(count(read_twice, kLarge, source, out.get()), kBytes, kBytes, "read twice, cached");
  expect_bytes(count(read_twice, kSmall, source, out.get()), 2 * kBlocks * kBytes, kBytes,
               "read twice by each block, not cached");

  simt::start_counting();
  cudaMemset(out.get(), 0, kBytes);
  gpu::launch(copy_strided, dim3(kBlocks), kThreads, 0, nullptr, out.get(), in.get(), 1);
  const simt::Traffic filled = simt::stop_counting();
  expect_bytes(filled, 0, 2 * kBytes, "what was just filled is read from the cache");
  expect(only(filled, Counted::kFill).sectors, kBytes / 32, "a fill's sectors");
}

void test_shared_memory() {
  const auto out = floats(kAll);
  for (const auto& [stride, wavefronts] : {std::pair{1, 1}, {2, 2}, {32, 32}, {33, 1}}) {
    const std::string what = "stores to shared memory, stride " + std::to_string(stride);
    expect_wavefronts(count(store_shared, kLarge, stride), Counted::kSharedStore, 1, static_cast<uint64_t>(wavefronts), 1,
                      what);
  }
  expect_wavefronts(count(load_shared_groups, kLarge, out.get()), Counted::kSharedLoad, 2, 16, 8, "groups of shared memory");
  for (const auto& [padding, wavefronts] : {std::pair{0, 32}, {8, 4}}) {
    const std::string what = "ldmatrix, padding " + std::to_string(padding);
    const simt::Traffic traffic = count(load_matrices, kLarge, reinterpret_cast<unsigned*>(out.get()), padding);
    expect_wavefronts(traffic, Counted::kMatrixLoad, 1, static_cast<uint64_t>(wavefronts), 4, what);
  }
}

/** A place names the line of the access, and into what it was inlined. */
void test_places() {
  const auto out = floats(kAll * 8);
  const std::string place = simt::place(only(count(write_both_halves, kLarge, out.get()), Counted::kStore));
  if (place.rfind("element.cuh:", 0) == 0 && place.find(", counts.cu:") != std::string::npos) return;
  printf("FAILED: a store of store_group, which is inlined here, is said to be at %s\n", place.c_str());
  g_failures++;
}
}  // namespace

int main() {
  test_device_memory();
  test_cache();
  test_shared_memory();
  test_places();
  printf("%s\n", g_failures == 0 ? "passed" : "FAILED");
  return g_failures != 0;
}
