#include "core/call.h"

namespace prunepeft {
namespace {

struct Settings {
  int32_t depth;
  int32_t threads;
  pp_isa isa;
};

thread_local Settings of_call;

}  // namespace

Call::Call() {
  Settings& own = of_call;
  if (own.depth++ > 0) return;
  own.threads = pp_num_threads();
  own.isa = pp_cpu_isa();
}

Call::~Call() {
  --of_call.depth;
}

int64_t call_threads() {
  const Settings& own = of_call;
  return own.depth > 0 ? own.threads : pp_num_threads();
}

pp_isa call_isa() {
  const Settings& own = of_call;
  return own.depth > 0 ? own.isa : pp_cpu_isa();
}

}  // namespace prunepeft
