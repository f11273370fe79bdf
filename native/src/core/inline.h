// Functions in headers that translation units of different instruction sets share must leave no copy behind that the linker
// could merge: they are inlined always, even without optimisation.
#pragma once

#define PP_INLINE inline __attribute__((always_inline))
