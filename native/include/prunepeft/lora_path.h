// How a LoRA linear is computed as a whole, y = x Wᵀ + s·D(x) Aᵀ Bᵀ: by which path, forward and backward.
//
//   split     a library's product with W, and the products of rank r around it (lora.h)
//   bordered  one product of the library a direction, whose inner dimension is longer by r: A and B lie around W in
//             G = [[W,B],[A,0]], S beside x and dS beside dY
//   fused     this library's own product (linear.h)
//
// All give the same within the type's rounding; which is the fastest depends on shape and device.
#ifndef PRUNEPEFT_LORA_PATH_H
#define PRUNEPEFT_LORA_PATH_H

#include "prunepeft/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pp_lora_path { PP_LORA_SPLIT = 0, PP_LORA_BORDERED = 1, PP_LORA_FUSED = 2 } pp_lora_path;

/**
 * The paths that a linear of W [N,K] with LoRA modules of r ranks together (0: the frozen linear alone) should take on M rows,
 * of those that the caller can take: `possible` is the sum of 1 << path over them, split or fused among them (bordered needs G,
 * and x and dY in wide buffers). On CUDA: what was measured at such a shape on a device of the same compute capability; where
 * nothing was, what is predicted from the device's multiprocessors, clock and bandwidth. On the CPU: fused if possible, whose
 * product is the faster one there.
 *
 * With `dropout` (not 0) *backward is never PP_LORA_BORDERED: the mask is on the ranks' part of dX alone.
 */
PP_API pp_status pp_lora_choose_paths(const pp_device* device, pp_dtype dtype, int64_t M, int64_t K, int64_t N, int64_t r,
                                      int32_t dropout, int32_t possible, pp_lora_path* forward, pp_lora_path* backward);

#ifdef __cplusplus
}
#endif

#endif
