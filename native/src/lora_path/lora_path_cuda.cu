// A CUDA device's properties, for the choice of a path. SPDX-License-Identifier: Apache-2.0
#include "lora_path/lora_path_cuda.h"

#include "cuda/device.h"

namespace prunepeft::cuda {
namespace {
cudaError_t read_rates(int device, DeviceRates* rates) {
  constexpr double kKilohertzPerMegahertz = 1e3, kBitsPerByte = 8, kTransfersAClock = 2;
  int kilohertz = 0, memory_kilohertz = 0, bus_bits = 0;
  const struct {
    cudaDeviceAttr attribute;
    int* value;
  } wanted[] = {{cudaDevAttrComputeCapabilityMajor, &rates->compute_major},
                {cudaDevAttrComputeCapabilityMinor, &rates->compute_minor},
                {cudaDevAttrMultiProcessorCount, &rates->multiprocessors},
                {cudaDevAttrClockRate, &kilohertz},
                {cudaDevAttrMemoryClockRate, &memory_kilohertz},
                {cudaDevAttrGlobalMemoryBusWidth, &bus_bits}};
  for (const auto& [attribute, value] : wanted) {
    const cudaError_t error = cudaDeviceGetAttribute(value, attribute, device);
    if (error != cudaSuccess) return error;
  }
  rates->megahertz = kilohertz / kKilohertzPerMegahertz;
  rates->memory_bytes = kTransfersAClock * memory_kilohertz / kKilohertzPerMegahertz * bus_bits / kBitsPerByte;
  return cudaSuccess;
}
}  // namespace

pp_status choose_lora_paths(const pp_device& device, const LoraShape& shape, LoraPaths* paths) {
  DeviceRates rates;
  const cudaError_t error = read_rates(device.index, &rates);
  if (error == cudaSuccess) *paths = choose_paths(rates, shape);
  return to_status(error, "pp_lora_choose_paths");
}
}  // namespace prunepeft::cuda
