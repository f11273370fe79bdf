// The runtime functions that the library and its tests call. One device, whose memory is the host's.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <utility>

#include "counting.h"

namespace simt {
void forget(const void* pointer, size_t bytes) {
  const HostCall call;
  finish_streams();
  mark_global(pointer, bytes, false);
}

cudaError_t launch_status() {
  return pending_report().empty() ? cudaSuccess : cudaErrorLaunchFailure;
}

std::recursive_mutex& host_calls() {
  static std::recursive_mutex mutex;
  return mutex;
}
}  // namespace simt

namespace {
constexpr size_t kAlignment = 256;       // cudaMalloc's
constexpr unsigned char kPoison = 0xff;  // NaN in every floating-point type
constexpr int kRuntimeVersion = 13000;
int g_compute_major = 8;
int g_multiprocessors = 2;
int g_driver_version = kRuntimeVersion;
int g_devices = 1;
int g_failing_allocation = 0;  // counts down to 0
bool g_later_fail = false, g_allocation_failed = false;
thread_local cudaError_t g_last_error = cudaSuccess;
constexpr size_t kDefaultSharedBytes = 48 * 1024;
/** A kernel on a device. */
using Loaded = std::pair<int, const void*>;
Loaded here(const void* kernel) {
  return {simt::current_device(), kernel};
}
/** What kernels have asked for. */
std::map<Loaded, size_t> g_shared_bytes;
/** Those whose code is there. */
std::set<Loaded> g_loaded;
std::atomic<uint64_t> g_unloadings{0};

/** What every call meets that needs a device. */
cudaError_t driver_status() {
  if (g_driver_version < kRuntimeVersion) return simt::keep_error(cudaErrorInsufficientDriver);
  return simt::keep_error(g_devices == 0 ? cudaErrorNoDevice : cudaSuccess);
}

/** At a kernel's first use. */
cudaError_t load(const void* kernel) {
  if (g_loaded.count(here(kernel)) != 0) return cudaSuccess;
  if (const cudaError_t error = simt::may_be_unsafe()) return error;
  g_loaded.insert(here(kernel));
  return cudaSuccess;
}

/** What a block may have of shared memory if its kernel asks. */
size_t most_shared_bytes() {
  constexpr size_t kHopper = 227 * 1024, kLeastOfAmpere = 99 * 1024;
  return g_compute_major == 9 ? kHopper : kLeastOfAmpere;
}

/** An element that no kernel wrote must not reach the host. */
void check_written(const void* from, size_t bytes) {
  const ptrdiff_t offset = simt::first_unwritten(from, bytes);
  if (offset < 0) return;
  const std::string text = "the host reads memory that nobody wrote, byte " + std::to_string(offset);
  simt::fail(text.c_str(), "cudaMemcpy", 0);
}

void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;  // then either may be null, which memcpy does not allow
  if (kind == cudaMemcpyDeviceToHost) check_written(from, bytes);
  memcpy(to, from, bytes);
  if (kind != cudaMemcpyDeviceToHost) simt::mark_global(to, bytes, true);
}

/** What the host gives is read at once, as from memory that is not pinned. */
cudaError_t enqueue_copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (kind != cudaMemcpyHostToDevice) return simt::enqueue(stream, [=] { copy(to, from, bytes, kind); });
  const auto* first = static_cast<const unsigned char*>(from);
  return simt::enqueue(
      stream, [=, staged = std::vector<unsigned char>(first, first + bytes)] { copy(to, staged.data(), bytes, kind); });
}

void fill(void* pointer, int value, size_t bytes) {
  if (bytes == 0) return;
  if (simt::g_counting) simt::count_fill(reinterpret_cast<uintptr_t>(pointer), bytes);
  memset(pointer, value, bytes);
  simt::mark_global(pointer, bytes, true);
}
}  // namespace

cudaError_t simt::keep_error(cudaError_t error) {
  if (error != cudaSuccess) g_last_error = error;
  return error;
}

void simt::unload_kernels() {
  g_loaded.clear();
  g_unloadings++;
}

uint64_t simt::unloadings() {
  return g_unloadings;
}

cudaError_t simt::check_launch(const cudaLaunchConfig_t& config, Launch* launch) {
  const HostCall call;
  constexpr unsigned kMostX = 0x7fffffff, kMostOther = 0xffff;
  const void* const kernel = launch->kernel;
  if (const cudaError_t error = load(kernel)) return error;
  for (unsigned i = 0; i < config.numAttrs; i++) {
    if (config.attrs[i].id != cudaLaunchAttributeClusterDimension) return keep_error(cudaErrorInvalidValue);
    const auto& size = config.attrs[i].val.clusterDim;
    if (g_compute_major < 9 || size.x == 0 || size.y != 1 || size.z != 1 || config.gridDim.x % size.x != 0)
      return keep_error(cudaErrorInvalidClusterSize);
    launch->cluster = size.x;
  }
  const dim3 grid = config.gridDim;
  if (grid.x > kMostX || grid.y > kMostOther || grid.z > kMostOther || grid.x == 0 || grid.y == 0 || grid.z == 0)
    return keep_error(cudaErrorInvalidConfiguration);
  const auto asked = g_shared_bytes.find(here(kernel));
  const bool has_asked = asked != g_shared_bytes.end();
  const size_t shared_bytes = has_asked ? asked->second : kDefaultSharedBytes;
  if (config.dynamicSmemBytes > shared_bytes) return keep_error(cudaErrorInvalidValue);
  launch->most_named_bytes = std::min(
      kDefaultSharedBytes, has_asked ? most_shared_bytes() - shared_bytes : kDefaultSharedBytes - config.dynamicSmemBytes);
  return cudaSuccess;
}

void simt::set_compute_major(int major) {
  finish_streams();
  g_compute_major = major;
}

void simt::set_multiprocessors(int count) {
  g_multiprocessors = count;
}

void simt::fail_allocation(int n, bool and_later) {
  g_failing_allocation = n;
  g_later_fail = and_later;
  g_allocation_failed = false;
}

bool simt::allocation_failed() {
  return g_allocation_failed;
}

void simt::set_driver_version(int version) {
  g_driver_version = version;
}

void simt::set_device_count(int count) {
  g_devices = count;
}

int simt::device_count() {
  return g_devices;
}

bool simt::allocation_fails() {
  const bool fails = g_failing_allocation != 0 && --g_failing_allocation == 0;
  if (!fails) return false;
  g_allocation_failed = true;
  g_failing_allocation = g_later_fail ? 1 : 0;
  return true;
}

extern "C" {
cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  const simt::HostCall call;
  if (const cudaError_t error = simt::may_be_unsafe()) return error;
  simt::use_device();
  *pointer = simt::allocation_fails() ? nullptr : aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);
  if (*pointer == nullptr) return simt::keep_error(cudaErrorMemoryAllocation);
  memset(*pointer, kPoison, bytes);
  if (bytes != 0) simt::add_global_region(*pointer, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  const simt::HostCall call;
  simt::use_device();
  if (const cudaError_t error = simt::may_be_unsafe()) return error;
  if (pointer == nullptr) return cudaSuccess;
  simt::finish_streams();
  simt::Region* region = simt::global_region(reinterpret_cast<uintptr_t>(pointer));
  if (region != nullptr) simt::remove_global_region(region);
  free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const simt::HostCall call;
  if (const cudaError_t error = simt::outside_capture()) return error;
  const cudaError_t error = enqueue_copy(to, from, bytes, kind, nullptr);
  return error == cudaSuccess && kind == cudaMemcpyDeviceToHost ? simt::finish(nullptr) : error;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const simt::HostCall call;
  return enqueue_copy(to, from, bytes, kind, stream);
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  const simt::HostCall call;
  if (const cudaError_t error = simt::outside_capture()) return error;
  return cudaMemsetAsync(pointer, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  const simt::HostCall call;
  return simt::enqueue(stream, [=] { fill(pointer, value, bytes); });
}

cudaError_t cudaGetLastError() {
  const simt::HostCall call;
  const cudaError_t before = std::exchange(g_last_error, cudaSuccess);
  return before == cudaSuccess ? simt::launch_status() : before;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = g_devices;
  return driver_status();
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = g_driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = simt::current_device();
  return driver_status();
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = driver_status()) return error;
  if (!simt::is_device(device)) return simt::keep_error(cudaErrorInvalidDevice);
  simt::choose_device(device);
  return cudaSuccess;
}

/** A small device: two multiprocessors, so that tests come to paths for many blocks with few. */
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (!simt::is_device(device)) return simt::keep_error(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
      *value = 1000;  // kilohertz
      return cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth:
      *value = 64;  // bits
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = g_multiprocessors;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 1 << 20;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = g_compute_major;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(most_shared_bytes());
      return cudaSuccess;
    default:
      return simt::keep_error(cudaErrorInvalidValue);
  }
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  if (!simt::is_device(device)) return simt::keep_error(cudaErrorInvalidDevice);
  snprintf(id, static_cast<size_t>(length), "0000:01:00.0");
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {"SIMT emulator", 0, 0};
  cudaDeviceGetAttribute(&properties->multiProcessorCount, cudaDevAttrMultiProcessorCount, device);
  return cudaDeviceGetAttribute(&properties->l2CacheSize, cudaDevAttrL2CacheSize, device);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  const simt::HostCall call;
  simt::use_device();
  *attributes = {};
  return load(kernel);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int bytes) {
  const simt::HostCall call;
  simt::use_device();
  if (const cudaError_t error = load(kernel)) return error;
  if (bytes < 0 || static_cast<size_t>(bytes) > most_shared_bytes()) return simt::keep_error(cudaErrorInvalidValue);
  size_t& asked = g_shared_bytes[here(kernel)];
  if (static_cast<size_t>(bytes) < asked)
    simt::fail("a kernel's shared memory is made smaller, with which another thread may be about to launch it",
               "cudaFuncSetAttribute", 0);
  asked = static_cast<size_t>(bytes);
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorLaunchFailure:
      return simt::pending_report().c_str();
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureImplicit:
      return "operation would make the legacy stream depend on a capturing blocking stream";
    default:
      return "error of the emulated runtime";
  }
}
}
