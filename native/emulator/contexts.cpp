// What the driver has of contexts, as far as the library asks for it. A device has one, the runtime's; cuCtxCreate is not here.
#include "contexts.h"

#include <array>
#include <atomic>
#include <vector>

#include "state.h"

struct CUctx_st {
  int device;
};

namespace simt {
namespace {
constexpr int kMostDevices = 4;
std::array<CUctx_st, kMostDevices> g_contexts = {{{0}, {1}, {2}, {3}}};
std::array<std::atomic<bool>, kMostDevices> g_made = {};
/** The calling thread's, the current one last, where a null one stands for none; and its device where it has none. */
thread_local std::vector<CUcontext> g_stack;
thread_local int g_device = 0;

CUcontext make(int device) {
  g_made[static_cast<size_t>(device)] = true;
  return &g_contexts[static_cast<size_t>(device)];
}
}  // namespace

bool has_context(int device) {
  return g_made[static_cast<size_t>(device)];
}

void forget_contexts() {
  for (auto& made : g_made) made = false;
  g_stack.clear();
  g_device = 0;
}

bool is_device(int device) {
  return device >= 0 && device < device_count() && device < kMostDevices;
}

CUcontext current_context() {
  return g_stack.empty() ? nullptr : g_stack.back();
}

int current_device() {
  return current_context() != nullptr ? current_context()->device : g_device;
}

void choose_device(int device) {
  g_device = device;
  if (!g_stack.empty()) g_stack.pop_back();
  g_stack.push_back(make(device));
}

void use_device() {
  make(current_device());
}
}  // namespace simt

extern "C" {
CUresult cuInit(unsigned) {
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  *device = ordinal;
  return simt::is_device(ordinal) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  *context = simt::make(device);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = simt::current_context();
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context) {
  simt::g_stack.push_back(context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext* context) {
  *context = simt::current_context();
  if (simt::g_stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  simt::g_stack.pop_back();
  return CUDA_SUCCESS;
}
}
