// Functions in headers that translation units of different instruction sets share must leave no copy behind that the linker
// could merge: they are inlined always, even without optimisation.
#ifndef PRUNEPEFT_CORE_INLINE_H
#define PRUNEPEFT_CORE_INLINE_H

#define PP_INLINE inline __attribute__((always_inline))

#endif
