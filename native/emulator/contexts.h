// Devices' contexts as threads have them: which have been made, and what one thread after another uses.
#pragma once

namespace simt {
/** Whether something has made the device's context, which takes some hundred megabytes of a real one. */
bool has_context(int device);
/** As if no context had been made, and the calling thread had chosen no device. */
void forget_contexts();
}  // namespace simt
