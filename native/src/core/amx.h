// Whether tile registers may be used.
#pragma once

namespace prunepeft {

/** Has the processor AMX-TILE and AMX-BF16, and does the operating system let this process use them? It is asked to. */
bool may_use_amx();

}  // namespace prunepeft
