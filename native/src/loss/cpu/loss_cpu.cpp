#include "loss/cpu/loss_cpu.h"

#include "core/isa.h"

namespace prunepeft {

PP_KERNELS_OF_TYPE(LossKernels, loss_kernels, loss_cpu)

}  // namespace prunepeft
