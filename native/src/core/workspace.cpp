// Workspaces: blocks of a device's memory, of which the newest is the largest and in use. On the CPU, where a call is over when
// it returns, there is no other.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <vector>

#include "core/arguments.h"
#include "core/context.h"
#include "core/memory.h"
#include "core/status.h"
#include "cuda/availability.h"
#include "prunepeft/device.h"

struct pp_workspace {
  struct Block {
    void* memory;
    size_t bytes;
  };
  pp_device device;
  std::vector<Block> blocks;
  /** Of the newest block, and of all. */
  size_t bytes = 0;
  size_t all_bytes = 0;
};

namespace prunepeft {
namespace {

constexpr size_t kLeastBytes = 4096;

std::atomic<bool> exact{false};
/** Around a block of exact size. */
constexpr size_t kBefore = 65, kAfter = 256;
constexpr unsigned char kPoison = 0xFF;

/** For a call on the device's stream. `release`: whether another library may be asked to give memory back. */
pp_status add_block(pp_workspace& workspace, size_t bytes, const pp_device& device, bool release = true) {
  if constexpr (kCuda) {
    if (is_cuda(&device) && cuda::is_recording(device)) {
      return fail(PP_INVALID_ARGUMENT,
                  "the workspace has %zu bytes and would have to grow to %zu while a graph is recorded; make the call, or "
                  "pp_workspace_reserve, once before",
                  workspace.bytes, bytes);
    }
  }
  void* block = nullptr;
  pp_status status = take_memory(device, bytes, release, &block);
  if (status != PP_OK) return status;
  try {
    workspace.blocks.push_back({block, bytes});
  } catch (const std::bad_alloc&) {
    pp_free(&workspace.device, block);
    return fail(PP_OUT_OF_MEMORY, "out of memory for a workspace");
  }
  workspace.bytes = bytes;
  workspace.all_bytes += bytes;
  return PP_OK;
}

/** Frees all blocks but the newest. */
void free_outgrown(pp_workspace& workspace) {
  for (size_t i = 0; i + 1 < workspace.blocks.size(); ++i) pp_free(&workspace.device, workspace.blocks[i].memory);
  workspace.blocks.erase(workspace.blocks.begin(), workspace.blocks.end() - 1);
  workspace.all_bytes = workspace.bytes;
}

/** Doubles at least, if there is room for that without another library's memory. */
pp_status grow(pp_workspace& workspace, size_t bytes, const pp_device& device) {
  if (bytes <= workspace.bytes) return PP_OK;
  const size_t wanted = std::max({bytes, kLeastBytes, workspace.bytes <= SIZE_MAX / 2 ? 2 * workspace.bytes : bytes});
  pp_status status = add_block(workspace, wanted, device, wanted == bytes);
  if (status == PP_OUT_OF_MEMORY && wanted > bytes) status = add_block(workspace, bytes, device);
  if (status == PP_OK && device.type == PP_CPU) free_outgrown(workspace);
  return status;
}

}  // namespace

pp_status take_workspace(const pp_context& context, size_t bytes, void** memory) {
  *memory = nullptr;
  if (bytes == 0) return PP_OK;
  pp_workspace* const workspace = context.workspace;
  const pp_device& device = context.device;
  Arguments arguments;
  arguments.handle("context->workspace", Handle::kWorkspace, workspace);
  if (arguments.failed()) return arguments.status();
  const pp_device& own = workspace->device;
  arguments.require(own.type == device.type && (own.type == PP_CPU || own.index == device.index),
                    "context->workspace must be of the context's device (type %d, index %d), got type %d, index %d",
                    static_cast<int>(device.type), static_cast<int>(device.index), static_cast<int>(own.type),
                    static_cast<int>(own.index));
  if (arguments.failed()) return arguments.status();
  if (bytes > kMostBytes) return fail(PP_OUT_OF_MEMORY, "%zu bytes for a workspace could not be had", bytes);
  const bool guarded = exact && device.type == PP_CPU;
  const size_t before = guarded ? kBefore : exact ? 1 : 0;
  const pp_status status =
      exact ? add_block(*workspace, before + bytes + (guarded ? kAfter : 0), device) : grow(*workspace, bytes, device);
  if (status != PP_OK) return status;
  const pp_workspace::Block& block = workspace->blocks.back();
  if (guarded) std::memset(block.memory, kPoison, block.bytes);
  *memory = static_cast<char*>(block.memory) + before;
  return PP_OK;
}

pp_status reserve_workspace(const pp_context& context, size_t bytes) {
  void* memory;
  return exact ? PP_OK : take_workspace(context, bytes, &memory);
}

}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_workspace_create(const pp_device* device, pp_workspace** workspace) {
  Arguments arguments;
  arguments.target(device, PP_FLOAT32);
  arguments.not_null("workspace", workspace);
  if (arguments.failed()) return arguments.status();
  const pp_status supported = check_supported(device, PP_FLOAT32);
  if (supported != PP_OK) return supported;
  pp_workspace* const made = new (std::nothrow) pp_workspace{*device, {}};
  if (made == nullptr) return fail(PP_OUT_OF_MEMORY, "out of memory for a workspace");
  return give_handle(Handle::kWorkspace, made, workspace, [=] { delete made; });
}

pp_status pp_workspace_destroy(pp_workspace* workspace) {
  if (workspace == nullptr) return PP_OK;
  return end_handle(Handle::kWorkspace, "workspace", workspace, [=] {
    for (const auto& block : workspace->blocks) pp_free(&workspace->device, block.memory);
    delete workspace;
    return PP_OK;
  });
}

pp_status pp_workspace_reserve(const pp_context* context, size_t bytes) {
  Arguments arguments;
  arguments.not_null("context", context);
  void* memory;
  return arguments.failed() ? arguments.status() : take_workspace(*context, bytes, &memory);
}

size_t pp_workspace_bytes(const pp_workspace* workspace) {
  if (workspace == nullptr || check_handle(Handle::kWorkspace, "workspace", workspace) != PP_OK) return 0;
  return workspace->all_bytes;
}

void pp_internal_exact_workspaces(int on) {
  exact = on != 0;
}

int pp_internal_workspace_intact(const pp_workspace* workspace) {
  if (workspace->device.type != PP_CPU) return 1;
  return std::all_of(workspace->blocks.begin(), workspace->blocks.end(), [](const pp_workspace::Block& block) {
    const unsigned char* bytes = static_cast<const unsigned char*>(block.memory);
    const auto poisoned = [](unsigned char byte) { return byte == kPoison; };
    return std::all_of(bytes, bytes + kBefore, poisoned) &&
           std::all_of(bytes + block.bytes - kAfter, bytes + block.bytes, poisoned);
  });
}
