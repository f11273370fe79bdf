package org.prunepeft.torch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.function.Supplier;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.presets.openblas_nolapack;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.DType;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.ProcessEnvironment;

/** LibTorch's process-wide settings, and the step from tensors to plain arrays and pointers. */
public final class Torch {
  private static final TensorOptional NO_TENSOR;

  static {
    // Before LibTorch loads its OpenMP run-time, and before it allocates.
    ProcessEnvironment.makeThreadsYield();
    ProcessEnvironment.useHugePages();
    OwnLibTorch.load();
    NO_TENSOR = new TensorOptional();
    NO_TENSOR.retainReference();
    multiplyAsFloat32();
  }

  private Torch() {}

  /** On a GPU cuDNN's convolutions would round float32 to TF32, with 10 bits for a fraction. */
  private static void multiplyAsFloat32() {
    try (org.bytedeco.pytorch.Context context = torch.globalContext()) {
      context.setAllowTF32CuDNN(false);
      context.setAllowTF32CuBLAS(false);
    }
  }

  /**
   * Sets the threads of all three pools: LibTorch's (OpenMP), OpenBLAS's own, and that of the
   * kernels.
   *
   * @param threads 1 to {@value Threads#MOST}
   */
  public static void setThreads(int threads) {
    Threads.require(threads);
    torch.set_num_threads(threads);
    openblas_nolapack.blas_set_num_threads(threads);
    Kernels.setThreads(threads);
  }

  /** Loads the native libraries in the order that they need. */
  public static void load() {
    torch.get_num_threads();
    Kernels.threads();
  }

  /**
   * Lets go of tensors that nobody reads any more, before their scope ends. What backward passes
   * need of them stays: autograd and the tape's operations hold it by themselves.
   *
   * @param tensors may be one several times
   */
  public static void free(Tensor... tensors) {
    for (Tensor tensor : tensors) {
      tensor.close();
    }
  }

  /**
   * Computes in a scope of its own, so that of the tensors that are made the result alone is kept.
   *
   * @return owned by the scope around this call
   */
  public static Tensor alone(Supplier<Tensor> work) {
    PointerScope outer = PointerScope.getInnerScope();
    try (PointerScope temporary = new PointerScope()) {
      return outliving(outer, work.get());
    }
  }

  /**
   * {@return a tensor that is kept beyond the scope in which it was made}
   *
   * @param outer the scope that is to own it; null: the collector
   */
  static Tensor outliving(PointerScope outer, Tensor tensor) {
    if (outer == null) {
      tensor.retainReference();
    } else {
      outer.attach(tensor);
    }
    return tensor;
  }

  /** LibTorch's version, with that of its presets. */
  public static String version() {
    try {
      return Loader.getVersion("org.bytedeco", "pytorch");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** LibTorch's threads. */
  public static int threads() {
    return torch.get_num_threads();
  }

  /** The optional that holds no tensor. */
  public static TensorOptional none() {
    return NO_TENSOR;
  }

  /** A float32 tensor that holds a copy of the values. */
  public static Tensor floats(float[] values, long... shape) {
    return Tensor.create(values, shape);
  }

  /** An int64 tensor that holds a copy of the values. */
  public static Tensor longs(long[] values, long... shape) {
    return Tensor.create(values, shape);
  }

  /** A copy of a float32 tensor's elements in row-major order. */
  public static float[] toFloats(Tensor tensor) {
    try (Tensor dense = tensor.detach().cpu().contiguous();
        FloatPointer data = dense.data_ptr_float()) {
      float[] values = new float[Math.toIntExact(dense.numel())];
      data.get(values);
      return values;
    }
  }

  /** The numbers 0 to count - 1, int64, [count]. */
  public static Tensor range(ComputeDevice device, long count) {
    return torch.arange(new Scalar(count), device.options(torch.ScalarType.Long));
  }

  /**
   * The tensor's memory as numbers one after another.
   *
   * @param numbers int32, dense; null: none
   */
  static IntPointer ints(Tensor numbers) {
    return numbers == null ? null : new IntPointer(dense(numbers, torch.ScalarType.Int));
  }

  /**
   * The tensor's memory as numbers one after another.
   *
   * @param numbers int64, dense
   */
  static LongPointer longs(Tensor numbers) {
    return new LongPointer(dense(numbers, torch.ScalarType.Long));
  }

  private static Pointer dense(Tensor numbers, torch.ScalarType type) {
    if (numbers.scalar_type().intern() != type || !numbers.is_contiguous()) {
      throw new IllegalArgumentException(
          "expected dense numbers of type %s, got %s with strides %s"
              .formatted(type, numbers.scalar_type(), numbers.strides()));
    }
    return numbers.data_ptr();
  }

  /** The kernels' type for LibTorch's; null: they have none. */
  static DType dtype(torch.ScalarType type) {
    return switch (type) {
      case Float -> DType.FLOAT32;
      case BFloat16 -> DType.BFLOAT16;
      default -> null;
    };
  }

  /**
   * The tensor's memory as the kernels' matrix: float32 or bfloat16, of two dimensions with unit
   * stride in the second, or a dense vector.
   *
   * @throws IllegalArgumentException if it is none, also where its rows overlap, as those of an
   *     expanded tensor do
   */
  public static Matrix matrix(Tensor tensor) {
    long dims = tensor.dim();
    DType dtype = dtype(tensor.scalar_type().intern());
    if (dtype == null
        || dims < 1
        || dims > 2
        // A stride that nothing goes by may be any.
        || tensor.numel() > 0 && tensor.size(dims - 1) > 1 && tensor.stride(dims - 1) != 1) {
      throw new IllegalArgumentException(
          "expected a float32 or bfloat16 vector or matrix with unit stride in its last dimension, got %s with %s dimensions"
              .formatted(tensor.scalar_type(), dims));
    }
    if (dims == 1) {
      return new Matrix(tensor.data_ptr(), dtype, 1, tensor.size(0), tensor.size(0));
    }
    long rows = tensor.size(0);
    long cols = tensor.size(1);
    if (tensor.numel() > 0 && rows > 1 && tensor.stride(0) < cols) {
      throw new IllegalArgumentException(
          "expected a matrix whose rows do not overlap, got %d rows of %d columns with a stride of %d; take its contiguous()"
              .formatted(rows, cols, tensor.stride(0)));
    }
    // A single row may carry any stride.
    return new Matrix(tensor.data_ptr(), dtype, rows, cols, Math.max(tensor.stride(0), cols));
  }
}
