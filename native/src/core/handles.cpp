#include "core/handles.h"

#include <mutex>
#include <new>
#include <shared_mutex>
#include <unordered_map>

#include "core/status.h"

namespace prunepeft {
namespace {

struct Table {
  std::shared_mutex mutex;
  std::unordered_map<const void*, Handle> kinds;

  bool has(Handle kind, const void* object) const {
    const auto found = kinds.find(object);
    return found != kinds.end() && found->second == kind;
  }
};

/** Never destroyed: threads may call while the process ends. */
Table& table() {
  alignas(Table) static char place[sizeof(Table)];
  static Table* const made = new (place) Table;
  return *made;
}

const char* maker(Handle kind) {
  switch (kind) {
    case Handle::kHostMemory:
      return "pp_allocate for the CPU";
    case Handle::kDeviceMemory:
      return "pp_allocate for a CUDA device";
    case Handle::kWorkspace:
      return "pp_workspace_create";
    case Handle::kStream:
      return "pp_stream_create";
    case Handle::kGraph:
      return "pp_graph_end";
    case Handle::kLinear:
      return "pp_linear_create";
    case Handle::kImportancePlan:
      return "pp_importance_plan_create";
  }
  return "this library";
}

pp_status refuse(Handle kind, const char* name, const void* object) {
  if (object == nullptr) return fail(PP_INVALID_ARGUMENT, "%s must not be null", name);
  return fail(PP_INVALID_ARGUMENT, "%s must be what %s gave and nobody has freed, got %p", name, maker(kind), object);
}

}  // namespace

pp_status add_handle(Handle kind, const void* object) {
  const std::unique_lock<std::shared_mutex> lock(table().mutex);
  try {
    table().kinds[object] = kind;
    return PP_OK;
  } catch (const std::bad_alloc&) {
    return fail(PP_OUT_OF_MEMORY, "out of memory for an object of %s", maker(kind));
  }
}

pp_status check_handle(Handle kind, const char* name, const void* object) {
  const std::shared_lock<std::shared_mutex> lock(table().mutex);
  return table().has(kind, object) ? PP_OK : refuse(kind, name, object);
}

pp_status remove_handle(Handle kind, const char* name, const void* object) {
  const std::unique_lock<std::shared_mutex> lock(table().mutex);
  if (!table().has(kind, object)) return refuse(kind, name, object);
  table().kinds.erase(object);
  return PP_OK;
}

}  // namespace prunepeft
