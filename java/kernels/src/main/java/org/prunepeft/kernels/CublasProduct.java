package org.prunepeft.kernels;

import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F;
import static org.bytedeco.cuda.global.cublas.CUBLAS_GEMM_DEFAULT;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_N;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_T;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_SUCCESS;
import static org.bytedeco.cuda.global.cublas.cublasCreate_v2;
import static org.bytedeco.cuda.global.cublas.cublasDestroy_v2;
import static org.bytedeco.cuda.global.cublas.cublasGemmEx_64;
import static org.bytedeco.cuda.global.cublas.cublasGetStatusString;
import static org.bytedeco.cuda.global.cublas.cublasSetStream_v2;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16BF;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16F;
import static org.bytedeco.cuda.global.cudart.CUDA_R_32F;

import org.bytedeco.cuda.cublas.cublasContext;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Products by cuBLAS on a CUDA device, through JavaCPP's presets, which the user adds:
 * org.bytedeco:cuda with the platform's classifier, beside CUDA's own libraries. Sums are float32.
 *
 * <p>One object a device and thread. Calls only enqueue, on the stream of the device they are
 * given.
 */
public final class CublasProduct implements MatrixProduct, AutoCloseable {
  private final cublasContext handle = new cublasContext();
  private final FloatPointer one = new FloatPointer(1f);
  private final FloatPointer zero = new FloatPointer(0f);

  /**
   * On the CUDA device that is current for the calling thread.
   *
   * @throws LinkageError if the presets' or CUDA's libraries are not there
   * @throws IllegalStateException if cuBLAS refuses, with its reason
   */
  public CublasProduct() {
    for (Pointer kept : new Pointer[] {handle, one, zero}) {
      kept.retainReference();
    }
    check("cublasCreate", cublasCreate_v2(handle));
  }

  @Override
  public void multiply(Device device, Matrix left, Matrix right, boolean transposed, Matrix out) {
    if (!device.isCuda()) {
      throw new IllegalArgumentException("cuBLAS multiplies on a CUDA device, got the CPU");
    }
    long inner = left.cols();
    right.require(
        "right", left.dtype(), transposed ? out.cols() : inner, transposed ? inner : out.cols());
    out.require("out", left.dtype(), left.rows(), out.cols());
    check("cublasSetStream", cublasSetStream_v2(handle, new CUstream_st(device.stream())));
    int type = type(left.dtype());
    // cuBLAS counts columns first: to it, these are outᵀ = op(right) leftᵀ.
    check(
        "cublasGemmEx",
        cublasGemmEx_64(
            handle,
            transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
            CUBLAS_OP_N,
            out.cols(),
            out.rows(),
            inner,
            one,
            right.data(),
            type,
            right.ld(),
            left.data(),
            type,
            left.ld(),
            zero,
            out.data(),
            type,
            out.ld(),
            CUBLAS_COMPUTE_32F,
            CUBLAS_GEMM_DEFAULT));
  }

  private static int type(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> CUDA_R_32F;
      case FLOAT16 -> CUDA_R_16F;
      case BFLOAT16 -> CUDA_R_16BF;
    };
  }

  private static void check(String call, int status) {
    if (status != CUBLAS_STATUS_SUCCESS) {
      throw new IllegalStateException(call + ": " + cublasGetStatusString(status).getString());
    }
  }

  /** Frees cuBLAS's own memory; work that it has enqueued must have ended. */
  @Override
  public void close() {
    if (!handle.isNull()) {
      check("cublasDestroy", cublasDestroy_v2(handle));
      handle.setNull();
      one.releaseReference();
      zero.releaseReference();
    }
  }
}
