// Entry points of prunepeft/loss.h: arguments are checked here.
#include "prunepeft/loss.h"

#include <cstring>
#include <limits>

#include "core/arguments.h"
#include "core/status.h"
#include "loss/cpu/loss_cpu.h"

namespace prunepeft {
namespace {

/** Each label names a logit of its row. */
void check_labels(Arguments& arguments, const int64_t* labels, int64_t rows, int64_t vocabulary) {
  if (rows > 0) arguments.not_null("target->labels", labels);
  for (int64_t i = 0; i < rows && !arguments.failed(); ++i) {
    int64_t label;
    std::memcpy(&label, labels + i, sizeof label);
    arguments.require(label >= 0 && label < vocabulary, "target->labels[%lld] must be in [0, %lld), got %lld",
                      static_cast<long long>(i), static_cast<long long>(vocabulary), static_cast<long long>(label));
  }
}

}  // namespace
}  // namespace prunepeft

using namespace prunepeft;

pp_status pp_cross_entropy_loss(const pp_context* context, const pp_cross_entropy* target, const pp_matrix* z,
                                const pp_matrix* losses, const pp_matrix* dz) {
  Arguments arguments;
  if (!arguments.first(context, "z", z)) return arguments.status();
  arguments.not_null("target", target);
  if (arguments.failed()) return arguments.status();
  arguments.require(target->cap >= 0, "target->cap must be at least 0, got %g", static_cast<double>(target->cap));
  arguments.require(target->cap <= std::numeric_limits<float>::max(), "target->cap must be finite, got %g",
                    static_cast<double>(target->cap));
  arguments.require(target->smoothing >= 0 && target->smoothing < 1, "target->smoothing must be in [0, 1), got %g",
                    static_cast<double>(target->smoothing));
  arguments.matrix("losses", losses, PP_FLOAT32, z->rows, 1);
  if (dz != nullptr && arguments.matrix("dz", dz, z->dtype, z->rows, z->cols) && dz->data == z->data && z->rows > 0) {
    arguments.require(dz->ld == z->ld, "dz.ld must be z.ld = %lld where they are one buffer, got %lld",
                      static_cast<long long>(z->ld), static_cast<long long>(dz->ld));
  }
  if (arguments.failed()) return arguments.status();
  if (context->device.type == PP_CUDA) {
    return fail(PP_UNSUPPORTED, "cross-entropy is not supported on CUDA; use a library's there");
  }
  const pp_status status = check_trainable(&context->device, z->dtype);
  if (status != PP_OK) return status;
  check_labels(arguments, target->labels, z->rows, z->cols);
  if (arguments.failed() || z->rows == 0) return arguments.status();
  loss_cpu(z->dtype).cross_entropy(*target, *z, *losses, dz);
  return PP_OK;
}
