// Launches of decoder.cuh.
#include "decoder/cuda/decoder_cuda.h"

#include <type_traits>

#include "cuda/device.h"
#include "decoder/cuda/decoder.cuh"
#include "decoder/cuda/decoder_cost.h"

namespace prunepeft::cuda {
static_assert(kDecoderThreads == kThreadsOfBlock && gpu::kWarp == kThreadsOfWarp && gpu::kGroup == kElementsOfThread);

namespace {
/** For runs, or rows, of so many threads each. */
int64_t blocks_of(int64_t runs, int log_threads) {
  return gpu::divide_up(runs, kDecoderThreads >> log_threads);
}

int64_t group_blocks(const pp_matrix& matrix) {
  return gpu::divide_up(matrix.rows * gpu::divide_up(matrix.cols, gpu::kGroup), kDecoderThreads);
}

template <class T>
bool is_aligned(const pp_matrix& matrix) {
  return gpu::rows_aligned<T>(matrix.data, matrix.ld);
}

/** Calls `launch` with whether rows and groups are aligned and whole, as a constant. */
template <class Launch>
cudaError_t launch_aligned(bool aligned, Launch launch) {
  return aligned ? launch(std::true_type{}) : launch(std::false_type{});
}

template <class T>
const T* elements(const pp_matrix& matrix) {
  return static_cast<const T*>(matrix.data);
}

/** Calls `launch(element, stream)` on the device, with a value of the element type. */
template <class Launch>
pp_status run_on(const pp_device& device, pp_dtype dtype, const char* action, Launch launch) {
  const CurrentDevice current(device);
  if (current.status() != PP_OK) return current.status();
  return to_status(dispatch(dtype, [&](auto element) { return launch(element, stream_of(device)); }), action);
}

/** `dy` is null forward. */
template <class T>
cudaError_t launch_norm(const pp_rms_norm& norm, const pp_matrix* dy, const pp_matrix& x, const pp_matrix* scales,
                        const pp_matrix& out, cudaStream_t stream) {
  NormArguments<T> arguments = {};
  arguments.x = elements<T>(x);
  arguments.ldx = x.ld;
  arguments.out = static_cast<T*>(out.data);
  arguments.ldout = out.ld;
  arguments.weight = elements<T>(norm.weight);
  arguments.offset = norm.adds_one != 0 ? 1.0f : 0.0f;
  arguments.epsilon = norm.epsilon;
  arguments.K = norm.weight.cols;
  arguments.runs_of_row = x.cols / arguments.K;
  arguments.runs = x.rows * arguments.runs_of_row;
  if (dy != nullptr) {
    arguments.dy = elements<T>(*dy);
    arguments.lddy = dy->ld;
  }
  if (scales != nullptr) {
    arguments.scales = static_cast<float*>(scales->data);
    arguments.ldscales = scales->ld;
  }
  arguments.log_threads = log_threads_of(arguments.K);
  const bool aligned = is_aligned<T>(x) && is_aligned<T>(out) && gpu::rows_aligned<T>(norm.weight.data, 0) &&
                       (dy == nullptr || is_aligned<T>(*dy)) && arguments.K % gpu::kGroup == 0;
  return launch_aligned(aligned, [&](auto constant) {
    constexpr bool kAligned = decltype(constant)::value;
    const auto kernel = dy == nullptr ? rms_norm_forward_kernel<T, kAligned> : rms_norm_backward_kernel<T, kAligned>;
    return gpu::launch(kernel, blocks_of(arguments.runs, arguments.log_threads), kDecoderThreads, 0, stream, arguments);
  });
}
}  // namespace

pp_status rms_norm_forward(const pp_device& device, const pp_rms_norm& norm, const pp_matrix& x, const pp_matrix& y,
                           const pp_matrix* scales) {
  return run_on(device, x.dtype, "pp_rms_norm_forward", [&](auto element, cudaStream_t stream) {
    return launch_norm<decltype(element)>(norm, nullptr, x, scales, y, stream);
  });
}

pp_status rms_norm_backward(const pp_device& device, const pp_rms_norm& norm, const pp_matrix& dy, const pp_matrix& x,
                            const pp_matrix& scales, const pp_matrix& dx) {
  return run_on(device, x.dtype, "pp_rms_norm_backward", [&](auto element, cudaStream_t stream) {
    return launch_norm<decltype(element)>(norm, &dy, x, &scales, dx, stream);
  });
}

pp_status rotate(const pp_device& device, const pp_rotary& rotary, const pp_matrix& x, const pp_matrix& y) {
  return run_on(device, x.dtype, "pp_rotate", [&](auto element, cudaStream_t stream) {
    using T = decltype(element);
    RotateArguments<T> arguments = {};
    arguments.x = elements<T>(x);
    arguments.ldx = x.ld;
    arguments.y = static_cast<T*>(y.data);
    arguments.ldy = y.ld;
    arguments.rows = x.rows;
    arguments.columns = x.cols;
    arguments.cosines = elements<float>(rotary.cosines);
    arguments.ldcosines = rotary.cosines.ld;
    arguments.sines = elements<float>(rotary.sines);
    arguments.ldsines = rotary.sines.ld;
    arguments.n = rotary.cosines.cols;
    arguments.positions = rotary.cosines.rows;
    arguments.tokens = rotary.tokens;
    arguments.heads = rotary.heads;
    arguments.head_size = rotary.head_size;
    arguments.past = rotary.past;
    arguments.starts = rotary.starts;
    arguments.direction = rotary.backward != 0 ? -1.0f : 1.0f;
    arguments.log_threads = log_threads_of(x.cols);
    const bool aligned = is_aligned<T>(x) && is_aligned<T>(y) && is_aligned<float>(rotary.cosines) &&
                         is_aligned<float>(rotary.sines) && rotary.head_size % gpu::kGroup == 0 &&
                         arguments.n % gpu::kGroup == 0;
    return launch_aligned(aligned, [&](auto constant) {
      return gpu::launch(rotate_kernel<T, decltype(constant)::value>, blocks_of(x.rows, arguments.log_threads), kDecoderThreads,
                         0, stream, arguments);
    });
  });
}

pp_status gate_forward(const pp_device& device, pp_gate gate, const pp_matrix& gate_up, const pp_matrix& out) {
  return run_on(device, out.dtype, "pp_gate_forward", [&](auto element, cudaStream_t stream) {
    using T = decltype(element);
    const GateArguments<T> arguments = {
        gate, elements<T>(gate_up), gate_up.ld, nullptr, 0, static_cast<T*>(out.data), out.ld, out.rows, out.cols};
    const bool aligned = is_aligned<T>(gate_up) && is_aligned<T>(out) && out.cols % gpu::kGroup == 0;
    return launch_aligned(aligned, [&](auto constant) {
      return gpu::launch(gate_forward_kernel<T, decltype(constant)::value>, group_blocks(out), kDecoderThreads, 0, stream,
                         arguments);
    });
  });
}

pp_status gate_backward(const pp_device& device, pp_gate gate, const pp_matrix& dout, const pp_matrix& gate_up,
                        const pp_matrix& dgate_up) {
  return run_on(device, dout.dtype, "pp_gate_backward", [&](auto element, cudaStream_t stream) {
    using T = decltype(element);
    const GateArguments<T> arguments = {gate,     elements<T>(gate_up),           gate_up.ld,  elements<T>(dout),
                                        dout.ld,  static_cast<T*>(dgate_up.data), dgate_up.ld, dout.rows,
                                        dout.cols};
    const bool aligned =
        is_aligned<T>(gate_up) && is_aligned<T>(dout) && is_aligned<T>(dgate_up) && dout.cols % gpu::kGroup == 0;
    return launch_aligned(aligned, [&](auto constant) {
      return gpu::launch(gate_backward_kernel<T, decltype(constant)::value>, group_blocks(dout), kDecoderThreads, 0, stream,
                         arguments);
    });
  });
}
}  // namespace prunepeft::cuda
