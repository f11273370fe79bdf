package org.prunepeft.kernels;

import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_BIAS;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_BIAS_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSA;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_T;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_NOT_SUPPORTED;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_SUCCESS;
import static org.bytedeco.cuda.global.cublas.cublasLtCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtGetStatusString;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmul;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulAlgoGetHeuristic;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescInit;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceInit;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutInit;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16BF;
import static org.bytedeco.cuda.global.cudart.CUDA_R_16F;
import static org.bytedeco.cuda.global.cudart.CUDA_R_32F;
import static org.bytedeco.cuda.global.cudart.cudaGetDevice;
import static org.bytedeco.cuda.global.cudart.cudaGetErrorString;
import static org.bytedeco.cuda.global.cudart.cudaSetDevice;
import static org.bytedeco.cuda.global.cudart.cudaSuccess;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cublas.cublasLtMatmulDescOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulHeuristicResult_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulPreferenceOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatrixLayoutOpaque_t;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * The products with W of {@link Linear.Path#SPLIT} by cuBLASLt on a CUDA device, through JavaCPP's
 * presets, which the user adds: org.bytedeco:cuda with the platform's classifier, beside CUDA's own
 * libraries. Sums are float32; a bias is added before they are rounded. The library's first choice
 * of an algorithm is kept for each layout of operands: others are not tried, since calls only
 * enqueue.
 *
 * <p>One object a device's stream and thread, with 32 MiB of scratch memory. The CUDA device that
 * is current for the calling thread stays as it was.
 */
public final class CublasProduct implements FrozenProduct, AutoCloseable {
  /** What NVIDIA recommends for Hopper; others ask for less. */
  private static final long WORKSPACE = 32L << 20;

  /** A training has some linears, in each some lengths of a batch. */
  private static final int MOST_PLANS = 512;

  private final Device device;
  private final DeviceBuffer workspace;
  private final cublasLtContext handle;
  private final FloatPointer one = new FloatPointer(1f);
  private final FloatPointer zero = new FloatPointer(0f);
  private final Map<Product, ProductPlan> plans = new HashMap<>();

  /**
   * On the device's stream.
   *
   * @param device the CUDA device; has to live as long as this
   * @throws IllegalArgumentException if it is the CPU, whatever libraries there are
   * @throws LinkageError if the presets' or CUDA's libraries are not there; the message says what
   *     to add and what the loader missed
   * @throws IllegalStateException if CUDA or cuBLASLt refuses, with its reason
   */
  public CublasProduct(Device device) {
    if (!device.isCuda()) {
      throw new IllegalArgumentException("cuBLASLt multiplies on a CUDA device, got the CPU");
    }
    this.device = device;
    // First: what follows is not freed if this fails.
    workspace = new DeviceBuffer(device, WORKSPACE);
    try {
      handle = new cublasLtContext();
      for (Pointer kept : new Pointer[] {handle, one, zero}) {
        kept.retainReference();
      }
      onDevice(() -> check("cublasLtCreate", cublasLtCreate(handle)));
    } catch (LinkageError e) {
      workspace.close();
      throw new LinkageError(
          "cuBLASLt cannot be loaded; add org.bytedeco:cuda with the classifier %s to the class path, and CUDA's own libraries to the loader's (%s)"
              .formatted(Loader.getPlatform(), e),
          e);
    }
  }

  /** With our device as the calling thread's current one: handles and algorithms are a device's. */
  private void onDevice(Runnable body) {
    int[] before = new int[1];
    checkCuda("cudaGetDevice", cudaGetDevice(before));
    int index = device.index();
    if (before[0] == index) {
      body.run();
      return;
    }
    checkCuda("cudaSetDevice", cudaSetDevice(index));
    try {
      body.run();
    } finally {
      checkCuda("cudaSetDevice", cudaSetDevice(before[0]));
    }
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public void forward(Matrix x, Matrix w, Matrix bias, Matrix y) {
    multiply(x, w, true, bias, y);
  }

  @Override
  public void gradInput(Matrix dy, Matrix w, Matrix dx) {
    multiply(dy, w, false, null, dx);
  }

  private void multiply(Matrix left, Matrix w, boolean transposed, Matrix bias, Matrix out) {
    Product product = Product.of(left, w, transposed, bias, out);
    if (left.rows() > 0) {
      onDevice(() -> enqueue(product, left, w, bias, out));
    }
  }

  private void enqueue(Product product, Matrix left, Matrix w, Matrix bias, Matrix out) {
    if (plans.size() == MOST_PLANS) {
      closePlans();
    }
    ProductPlan plan = plans.computeIfAbsent(product, key -> new ProductPlan(handle, key, bias));
    if (bias != null) {
      // A call copies its description as it is enqueued, and this thread alone makes calls.
      plan.setBias(bias);
    }
    try (CUstream_st stream = new CUstream_st(device.stream())) {
      check(
          "cublasLtMatmul",
          cublasLtMatmul(
              handle,
              plan.operation,
              one,
              w.data(),
              plan.a,
              left.data(),
              plan.b,
              zero,
              out.data(),
              plan.c,
              out.data(),
              plan.c,
              plan.choice.algo(),
              workspace.pointer(),
              plan.choice.workspaceSize(),
              stream));
    }
  }

  private void closePlans() {
    plans.values().forEach(ProductPlan::close);
    plans.clear();
  }

  /**
   * A row-major matrix as the library sees it, which counts columns first: the transposed one, with
   * the same leading dimension.
   *
   * @param alignment of its first element, in bytes: a power of two, at most 256, above which the
   *     library treats all alike
   */
  record MatrixLayout(long rows, long cols, long ld, int alignment) {
    static MatrixLayout of(Matrix matrix) {
      DeviceBuffer.requireOpen(matrix.data());
      return new MatrixLayout(
          matrix.cols(),
          matrix.rows(),
          matrix.ld(),
          matrix.data() == null ? 256 : alignment(matrix.data().address()));
    }

    static int alignment(long address) {
      return (int) Math.min(Long.lowestOneBit(address | 256), 256);
    }
  }

  /**
   * out = left · wᵀ or left · w as the library computes it, c = aᵀ · b or a · b with a = w', b =
   * left' and c = out'. A bias is added to each row of out, so to each column of c. A value: what
   * the library has worked out for one product holds for the next one that equals it.
   *
   * @param biasAlignment as that of a layout; 0: there is no bias
   */
  record Product(
      DType dtype,
      boolean transposeA,
      MatrixLayout a,
      MatrixLayout b,
      MatrixLayout c,
      int biasAlignment) {
    /**
     * @param bias null: none
     * @throws IllegalArgumentException if shapes or types disagree, or another matrix is null
     */
    static Product of(Matrix left, Matrix w, boolean transposed, Matrix bias, Matrix out) {
      String result = transposed ? "y" : "dx";
      DType dtype = Matrix.given(transposed ? "x" : "dy", left).dtype();
      long inner = left.cols();
      long cols = Matrix.given(result, out).cols();
      Matrix.given("w", w)
          .require("w", dtype, transposed ? cols : inner, transposed ? inner : cols);
      if (bias != null) {
        bias.require("bias", dtype, 1, cols);
      }
      out.require(result, dtype, left.rows(), cols);
      return new Product(
          dtype,
          transposed,
          MatrixLayout.of(w),
          MatrixLayout.of(left),
          MatrixLayout.of(out),
          bias == null ? 0 : MatrixLayout.of(bias).alignment());
    }
  }

  /** A product's descriptions, and the algorithm that the library takes for it. */
  private static final class ProductPlan implements AutoCloseable {
    private final PointerScope scope;
    private final cublasLtMatmulDescOpaque_t operation;
    private final cublasLtMatrixLayoutOpaque_t a;
    private final cublasLtMatrixLayoutOpaque_t b;
    private final cublasLtMatrixLayoutOpaque_t c;
    private final cublasLtMatmulHeuristicResult_t choice;

    /**
     * @param bias a first one, by which the library chooses; null: none
     */
    ProductPlan(cublasLtContext handle, Product product, Matrix bias) {
      try (PointerScope own = new PointerScope()) {
        int type = type(product.dtype());
        operation = new cublasLtMatmulDescOpaque_t();
        check(
            "cublasLtMatmulDescInit",
            cublasLtMatmulDescInit(operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
        if (product.transposeA()) {
          set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
        }
        if (bias != null) {
          set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
          setBias(bias);
        }
        a = layout(type, product.a());
        b = layout(type, product.b());
        c = layout(type, product.c());
        choice = new cublasLtMatmulHeuristicResult_t();
        IntPointer found = new IntPointer(new int[] {0});
        int status =
            cublasLtMatmulAlgoGetHeuristic(
                handle, operation, a, b, c, c, preference(product), 1, choice, found);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED
            || (status == CUBLAS_STATUS_SUCCESS && found.get() == 0)) {
          throw new IllegalStateException("cuBLASLt has no algorithm for " + product);
        }
        check("cublasLtMatmulAlgoGetHeuristic", status);
        check("cublasLtMatmulAlgoGetHeuristic", choice.state());
        own.extend();
        scope = own;
      }
    }

    private void set(int attribute, int value) {
      try (IntPointer memory = new IntPointer(new int[] {value})) {
        set(attribute, memory, Integer.BYTES);
      }
    }

    private void set(int attribute, Pointer value, long bytes) {
      check(
          "cublasLtMatmulDescSetAttribute",
          cublasLtMatmulDescSetAttribute(operation, attribute, value, bytes));
    }

    /** For the calls that come, of a product with a bias. */
    void setBias(Matrix bias) {
      try (LongPointer address = new LongPointer(new long[] {bias.data().address()})) {
        set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, address, Long.BYTES);
      }
    }

    private static cublasLtMatrixLayoutOpaque_t layout(int type, MatrixLayout layout) {
      cublasLtMatrixLayoutOpaque_t description = new cublasLtMatrixLayoutOpaque_t();
      check(
          "cublasLtMatrixLayoutInit",
          cublasLtMatrixLayoutInit(description, type, layout.rows(), layout.cols(), layout.ld()));
      return description;
    }

    private static cublasLtMatmulPreferenceOpaque_t preference(Product product) {
      cublasLtMatmulPreferenceOpaque_t preference = new cublasLtMatmulPreferenceOpaque_t();
      check("cublasLtMatmulPreferenceInit", cublasLtMatmulPreferenceInit(preference));
      check(
          "cublasLtMatmulPreferenceSetAttribute",
          cublasLtMatmulPreferenceSetAttribute(
              preference,
              CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
              new LongPointer(new long[] {WORKSPACE}),
              Long.BYTES));
      // Others add up the parts of a long K in the outputs' type.
      check(
          "cublasLtMatmulPreferenceSetAttribute",
          cublasLtMatmulPreferenceSetAttribute(
              preference,
              CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
              new IntPointer(new int[] {CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}),
              Integer.BYTES));
      align(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, product.a().alignment());
      align(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, product.b().alignment());
      align(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, product.c().alignment());
      // The bias is read as the outputs are written; the library has no attribute for it alone.
      int written = product.c().alignment();
      align(
          preference,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
          product.biasAlignment() == 0 ? written : Math.min(written, product.biasAlignment()));
      return preference;
    }

    /** The library takes 256 bytes for granted. */
    private static void align(
        cublasLtMatmulPreferenceOpaque_t preference, int attribute, int alignment) {
      check(
          "cublasLtMatmulPreferenceSetAttribute",
          cublasLtMatmulPreferenceSetAttribute(
              preference, attribute, new IntPointer(new int[] {alignment}), Integer.BYTES));
    }

    @Override
    public void close() {
      scope.close();
    }
  }

  private static int type(DType dtype) {
    return switch (dtype) {
      case FLOAT32 -> CUDA_R_32F;
      case FLOAT16 -> CUDA_R_16F;
      case BFLOAT16 -> CUDA_R_16BF;
    };
  }

  private static void checkCuda(String call, int error) {
    if (error != cudaSuccess) {
      throw new IllegalStateException(call + ": " + cudaGetErrorString(error).getString());
    }
  }

  private static void check(String call, int status) {
    if (status != CUBLAS_STATUS_SUCCESS) {
      throw new IllegalStateException(call + ": " + cublasLtGetStatusString(status).getString());
    }
  }

  /** Frees cuBLASLt's own memory; work that it has enqueued must have ended. */
  @Override
  public void close() {
    if (!handle.isNull()) {
      closePlans();
      workspace.close();
      onDevice(() -> check("cublasLtDestroy", cublasLtDestroy(handle)));
      handle.setNull();
      one.releaseReference();
      zero.releaseReference();
    }
  }
}
