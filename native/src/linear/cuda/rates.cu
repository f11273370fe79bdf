#include "linear/cuda/rates.h"

#include <map>
#include <mutex>
#include <new>

#include "cuda/device.h"

namespace prunepeft::cuda {
namespace {
pp_status ask_rates(int32_t device_index, DeviceRates* rates) {
  constexpr double kKilohertzPerMegahertz = 1e3, kBitsPerByte = 8, kTransfersAClock = 2;
  int kilohertz = 0, memory_kilohertz = 0, bus_bits = 0, shared_bytes = 0, cache_bytes = 0;
  const struct {
    cudaDeviceAttr attribute;
    int* value;
  } wanted[] = {{cudaDevAttrComputeCapabilityMajor, &rates->compute_major},
                {cudaDevAttrComputeCapabilityMinor, &rates->compute_minor},
                {cudaDevAttrMultiProcessorCount, &rates->multiprocessors},
                {cudaDevAttrClockRate, &kilohertz},
                {cudaDevAttrMemoryClockRate, &memory_kilohertz},
                {cudaDevAttrGlobalMemoryBusWidth, &bus_bits},
                {cudaDevAttrMaxSharedMemoryPerBlockOptin, &shared_bytes},
                {cudaDevAttrL2CacheSize, &cache_bytes}};
  for (const auto& [attribute, value] : wanted) {
    const cudaError_t error = cudaDeviceGetAttribute(value, attribute, device_index);
    if (error != cudaSuccess) return to_status(error, "reading a device's properties");
  }
  rates->megahertz = kilohertz / kKilohertzPerMegahertz;
  rates->memory_bytes = kTransfersAClock * memory_kilohertz / kKilohertzPerMegahertz * bus_bits / kBitsPerByte;
  rates->shared_bytes_per_block = shared_bytes;
  rates->cache_bytes = cache_bytes;
  return PP_OK;
}
/** By device. Never destroyed: a thread may make a call while the process ends. */
struct KnownRates {
  std::mutex mutex;
  std::map<int32_t, DeviceRates> of;
};
KnownRates& known = *new KnownRates;
}  // namespace

pp_status read_rates(int32_t device_index, DeviceRates* rates) {
  const std::lock_guard<std::mutex> lock(known.mutex);
  const auto found = known.of.find(device_index);
  if (found != known.of.end()) {
    *rates = found->second;
    return PP_OK;
  }
  const pp_status status = ask_rates(device_index, rates);
  try {
    if (status == PP_OK) known.of[device_index] = *rates;
  } catch (const std::bad_alloc&) {
    // They are asked for again.
  }
  return status;
}
}  // namespace prunepeft::cuda
