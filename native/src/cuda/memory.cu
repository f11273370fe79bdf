// Memory of a CUDA device, and copies to and from it.
#include <atomic>

#include "cuda/availability.h"
#include "cuda/device.h"
#include "cuda/release_memory.h"

namespace prunepeft::cuda {
namespace {
std::atomic<pp_release_memory> release_memory{nullptr};

pp_status copy(const pp_device& device, void* to, const void* from, size_t bytes, cudaMemcpyKind kind, const char* action) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, stream_of(device));
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream_of(device));
  return to_status(error, action);
}
}  // namespace

pp_status allocate(const pp_device& device, size_t bytes, void** memory) {
  return allocate(device, bytes, true, memory);
}

pp_status allocate(const pp_device& device, size_t bytes, bool release, void** memory) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return allocate_current(device, bytes, memory, "allocating device memory", release);
}

pp_status allocate_current(const pp_device& device, size_t bytes, void** memory, const char* action, bool release) {
  cudaError_t error = cudaMalloc(memory, bytes);
  const pp_release_memory by = release ? release_memory.load() : nullptr;
  if (error == cudaErrorMemoryAllocation && by != nullptr) {
    cudaGetLastError();  // not to be met by what the other library does
    if (!is_recording(device) && by(device.index) != 0) {
      const CurrentDevice again(device);
      if (again.status() != PP_OK) return again.status();
      error = cudaMalloc(memory, bytes);
    }
  }
  return to_status(error, action);
}

void set_release_memory(pp_release_memory release) {
  release_memory = release;
}

pp_status free_memory(const pp_device& device, void* memory) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return to_status(cudaFree(memory), "freeing device memory");
}

pp_status copy_to_device(const pp_device& device, void* to, const void* from, size_t bytes) {
  return copy(device, to, from, bytes, cudaMemcpyHostToDevice, "copying to the device");
}

pp_status copy_to_host(const pp_device& device, void* to, const void* from, size_t bytes) {
  return copy(device, to, from, bytes, cudaMemcpyDeviceToHost, "copying to the host");
}

bool is_recording(const pp_device& device) {
  const CurrentDevice current(device);  // or the question would make the context of another
  if (current.status() != PP_OK) return false;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t error = cudaStreamIsCapturing(stream_of(device), &status);
  if (error != cudaSuccess) cudaGetLastError();  // not to be met by a later call
  return error == cudaSuccess && status != cudaStreamCaptureStatusNone;
}

pp_status synchronize(const pp_device& device) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return to_status(cudaStreamSynchronize(stream_of(device)), "waiting for the device");
}
}  // namespace prunepeft::cuda
