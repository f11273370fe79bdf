package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.LibPrunePeft;
import org.prunepeft.kernels.binding.LinearHandle;
import org.prunepeft.kernels.binding.LinearShapeStruct;
import org.prunepeft.kernels.binding.MatrixStruct;

/**
 * A frozen linear with LoRA modules on it, y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ, for one adapter or for
 * rows of many. Modules on rows of their own are independent: results are bit for bit those of
 * calls with each one's rows alone.
 *
 * <p>There are two paths with the same result within the type's rounding. {@link Path#FUSED} is our
 * own product with W, prepared once, and forward and the gradient by x are one call each. On {@link
 * Path#SPLIT} the products with W are a library's, and the static methods do the rest. {@link
 * #gradUp} and {@link #gradDown} belong to both. A linear that is given a library ({@link
 * FrozenProduct}) takes at each {@link #forward}, {@link #gradInput} and {@link #backward} the path
 * that {@link #choosePaths} predicts to be the faster, as training does; without one, and with a
 * quantised W, it takes the fused path. {@link #paths} tells which. To take a path of one's own
 * choice, use a linear without a library for fused, and the library and the static methods for
 * split.
 *
 * <p>On CUDA all matrices of a call are of one dtype, gradients of weights excepted. On the CPU x,
 * y and their gradients are of W's type, float32 or bfloat16, and A, B, S and dS float32 ({@link
 * Device#trainedType}); the static methods take float32 alone there, {@link #gradUp} and {@link
 * #gradDown} excepted.
 *
 * <p>Methods throw {@link IllegalArgumentException} if shapes or types disagree, {@link
 * KernelException} if the native call fails, and {@link IllegalStateException} if something is
 * closed. A call for M = 0 reads and writes nothing: gradients stay as they are, even where they
 * would be replaced. On a CUDA device calls only enqueue.
 *
 * <p>On the CPU, W and b are copied and may be freed, unless it {@link #borrowing borrows} W; on
 * CUDA they must outlive this object. Immutable, and good for several threads at once, each with a
 * context of its own; with a library for as many as the library is.
 */
public final class Linear implements AutoCloseable {
  /** The most runs of rows in a call, whatever modules are on them. */
  public static final int MOST_RUNS =
      LibPrunePeft.PP_MOST_MODULES / LibPrunePeft.PP_MOST_MODULES_OF_A_ROW;

  /** By which products a linear is computed. */
  public enum Path {
    /** A library's product with W, and the products of rank r around it. */
    SPLIT,
    /** Our own product. */
    FUSED
  }

  /**
   * A path for each direction.
   *
   * @param forward that of y
   * @param backward that of dX and the gradients
   * @param keepMasks whether the backward pass should read dropout masks that the forward pass has
   *     kept ({@link LoraPass#keptMask}) rather than draw them again
   */
  public record Paths(Path forward, Path backward, boolean keepMasks) {
    /**
     * Paths that keep no masks.
     *
     * @param forward that of y
     * @param backward that of dX and the gradients
     */
    public Paths(Path forward, Path backward) {
      this(forward, backward, false);
    }
  }

  /**
   * What a choice of paths depends on.
   *
   * @param dtype of x and y
   * @param rows M, 0 or more
   * @param inputs K, 1 or more
   * @param outputs N, 1 or more
   * @param ranks of each module, 1 or more; empty: the frozen linear alone. Several modules are
   *     taken to be on all rows and to share out the columns of y, as query, key and value do
   * @param masks how many of the modules drop some of x, 0 to all of them, each by a mask of its
   *     own, all with the same probability. On CUDA LoRA's own calls follow the fused product where
   *     some do not drop; they do so too where probabilities differ, which a shape does not tell
   */
  public record Shape(
      DType dtype, long rows, long inputs, long outputs, List<Long> ranks, int masks) {
    public Shape {
      ranks = List.copyOf(ranks);
    }

    /**
     * {@return the shape of a call with these modules} Where some are on rows of their own, it has
     * none: they are launches of their own on both paths.
     *
     * @param dtype of x and y
     * @param rows M, 0 or more
     * @param inputs K, 1 or more
     * @param outputs N, 1 or more
     * @param modules may be empty
     * @param rank of a module, by its A
     * @param <T> what weights are
     */
    public static <T> Shape of(
        DType dtype,
        long rows,
        long inputs,
        long outputs,
        List<LoraModule<T>> modules,
        ToLongFunction<T> rank) {
      if (modules.stream().anyMatch(module -> module.rows() != null)) {
        return new Shape(dtype, rows, inputs, outputs, List.of(), 0);
      }
      List<Long> ranks = modules.stream().map(module -> rank.applyAsLong(module.a())).toList();
      int masks = (int) modules.stream().filter(LoraModule::drops).count();
      return new Shape(dtype, rows, inputs, outputs, ranks, masks);
    }
  }

  private final DType dtype;
  private final long outputs;
  private final long inputs;
  private final NativeObject<LinearHandle> plan;

  /** What the native object reads where it lies; null: it has copies. */
  private List<Object> borrowed;

  /** Null: there is no library. */
  private final Split split;

  /** A library with what it multiplies by. */
  private record Split(FrozenProduct library, Matrix weight, Matrix bias) {
    /** Work of one stream does not wait for that of another. */
    void require(Device device) {
      if (!device.isSameAs(library.device())) {
        throw new IllegalArgumentException(
            "the linear's library must be of the context's device and stream, "
                + "got a library of %s and a context of %s".formatted(library.device(), device));
      }
    }
  }

  /**
   * Prepares a linear without a library: it takes the fused path.
   *
   * @param context for this call alone
   * @param weight W [N,K]
   * @param bias b [N]; null: none
   */
  public Linear(Context context, Matrix weight, Matrix bias) {
    this(context, weight, bias, false, null);
  }

  /**
   * Prepares a linear that takes the path which should be the faster, call by call.
   *
   * @param context for this call alone
   * @param weight W [N,K]
   * @param bias b [N]; null: none
   * @param library of the device and stream of all contexts that this linear is called with; stays
   *     the caller's, and has to live as long as this. Null: none
   * @throws IllegalArgumentException if the library is of another device or stream
   */
  public Linear(Context context, Matrix weight, Matrix bias, FrozenProduct library) {
    this(context, weight, bias, false, library);
  }

  private Linear(
      Context context, Matrix weight, Matrix bias, boolean borrows, FrozenProduct library) {
    Matrix.given("weight", weight);
    split = library == null ? null : new Split(library, weight, bias);
    if (split != null) {
      split.require(context.device());
    }
    if (bias != null) {
      bias.require("bias", weight.dtype(), 1, weight.rows());
    }
    dtype = weight.dtype();
    outputs = weight.rows();
    inputs = weight.cols();
    Arguments call = context.arguments();
    LinearHandle created = new LinearHandle((Pointer) null);
    MatrixStruct w = call.matrix(0, weight);
    MatrixStruct b = call.matrix(1, bias);
    check(
        borrows
            ? LibPrunePeft.pp_linear_borrow(context.struct(), w, b, created)
            : LibPrunePeft.pp_linear_create(context.struct(), w, b, created),
        context);
    borrowed = borrows || context.device().isCuda() ? Arrays.asList(weight, bias) : null;
    plan = new NativeObject<>(this, created, LibPrunePeft::pp_linear_destroy);
  }

  /**
   * A linear that has no copy of W on the CPU either: calls read W where it lies, as it is then.
   * For those on some hundred rows, which take 10 to 25 % longer; one on few rows takes more than
   * twice as long. The results are the same, bit for bit.
   *
   * @param context for this call alone
   * @param weight W [N,K], whose memory must not be freed before the linear is closed
   * @param bias b [N]; null: none
   * @return the linear; the caller closes it
   */
  public static Linear borrowing(Context context, Matrix weight, Matrix bias) {
    return new Linear(context, weight, bias, true, null);
  }

  /**
   * Prepares a linear whose W is quantised, which is decoded as it is multiplied: results are bit
   * for bit those of the decoded W. On the CPU codes and scales are copied, on CUDA they must
   * outlive this object.
   *
   * @param context for this call alone
   * @param weight W [N,K]
   * @param bias b [N] of that type; null: none
   * @param dtype of x and y, and what decoded weights are rounded to
   */
  public Linear(Context context, QuantizedMatrix weight, Matrix bias, DType dtype) {
    if (bias != null) {
      bias.require("bias", dtype, 1, weight.rows());
    }
    this.dtype = dtype;
    outputs = weight.rows();
    inputs = weight.cols();
    Arguments call = context.arguments();
    LinearHandle created = new LinearHandle((Pointer) null);
    weight.with(
        struct ->
            check(
                LibPrunePeft.pp_linear_create_quantized(
                    context.struct(), struct, call.matrix(0, bias), dtype.ordinal(), created),
                context));
    borrowed = context.device().isCuda() ? Arrays.asList(weight, bias) : null;
    split = null;
    plan = new NativeObject<>(this, created, LibPrunePeft::pp_linear_destroy);
  }

  /**
   * The paths that should be the fastest: on CUDA predicted from the device's properties, on the
   * CPU {@link Path#FUSED}.
   *
   * @param device where the matrices lie
   * @param shape type and extents of the call, and its modules' ranks
   * @return a path for each direction
   */
  public static Paths choosePaths(Device device, Shape shape) {
    return choosePaths(device, shape, false);
  }

  /**
   * The paths that should be the fastest.
   *
   * @param device where the matrices lie
   * @param shape type and extents of the call, and its modules' ranks
   * @param quantized whether W is, or there is no library: then both are {@link Path#FUSED}
   * @return a path for each direction
   */
  public static Paths choosePaths(Device device, Shape shape, boolean quantized) {
    int[] forward = new int[1];
    int[] backward = new int[1];
    int[] keepMasks = new int[1];
    long[] ranks = shape.ranks.stream().mapToLong(Long::longValue).toArray();
    try (LinearShapeStruct struct = new LinearShapeStruct();
        LongPointer memory = new LongPointer(ranks)) {
      struct.dtype(shape.dtype.ordinal()).M(shape.rows).K(shape.inputs).N(shape.outputs);
      struct.ranks(memory).modules(ranks.length).masks(shape.masks);
      struct.quantized(quantized ? 1 : 0);
      check(
          LibPrunePeft.pp_linear_choose_paths(
              device.struct(), struct, forward, backward, keepMasks));
    }
    return new Paths(Path.values()[forward[0]], Path.values()[backward[0]], keepMasks[0] != 0);
  }

  /**
   * The paths that calls of this linear take, by their rows and modules: with a library those of
   * {@link #choosePaths}, without one {@link Path#FUSED}. A caller asks for {@link
   * Paths#keepMasks}, and gives the modules memory then ({@link LoraPass#keeping}).
   *
   * @param context of the calls
   * @param rows M
   * @param modules may be empty
   * @return a path for each direction
   */
  public Paths paths(Context context, long rows, List<LoraModule<Matrix>> modules) {
    Shape shape = Shape.of(dtype, rows, inputs, outputs, modules, a -> Matrix.given("a", a).rows());
    return choosePaths(context.device(), shape, split == null);
  }

  /** Whether a call is the library's in a direction. */
  private boolean splits(
      Context context, long rows, List<LoraPass> passes, Function<Paths, Path> direction) {
    if (split == null) {
      return false;
    }
    plan.open();
    split.require(context.device());
    List<LoraModule<Matrix>> modules = passes.stream().map(LoraPass::module).toList();
    return direction.apply(paths(context, rows, modules)) == Path.SPLIT;
  }

  /**
   * {@return the bytes of a mask that is kept from the forward to the backward pass}
   *
   * @param rows that the module serves
   * @param inputs K
   */
  public static long keptMaskBytes(long rows, long inputs) {
    return LibPrunePeft.pp_kept_mask_bytes(rows, inputs);
  }

  /**
   * Some rows of W, bit for bit as it was given; of a quantised W as {@link
   * QuantizedMatrix#dequantize} gives them. On the CPU alone.
   *
   * @param first the first of them, 0-based
   * @param to [count,K], written; W has as many rows from the first on
   */
  public void rows(Context context, long first, Matrix to) {
    to.require("to", dtype, to.rows(), inputs);
    check(
        LibPrunePeft.pp_linear_rows(
            context.struct(), plan.open(), first, context.arguments().matrix(0, to)),
        this,
        context);
  }

  /**
   * y = x Wᵀ + b + Σ S Bᵀ, S = s·D(x) Aᵀ.
   *
   * @param x [M,K]
   * @param modules may be empty; s is written
   * @param y [M,N], written
   */
  public void forward(Context context, Matrix x, List<LoraPass> modules, Matrix y) {
    require("x", x, dtype, inputs);
    require("y", y, dtype, x.rows(), outputs);
    DType trained = context.device().trainedType(dtype);
    for (LoraPass pass : modules) {
      Matrix a = requireA(pass, trained, inputs);
      require("b", pass.module().b(), trained, a.rows());
      require("s", pass.s(), trained, x.rows(), a.rows());
    }
    if (splits(context, x.rows(), modules, Paths::forward)) {
      split.library.forward(x, split.weight, split.bias, y);
      down(context, x, modules);
      up(context, modules, y);
      return;
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_linear_forward(
            context.struct(),
            plan.open(),
            call.matrix(0, x),
            call.modules(modules, x.rows()),
            modules.size(),
            call.matrix(1, y)),
        this,
        context);
  }

  /**
   * dX = dY W + Σ Dᵀ(dS A).
   *
   * @param dy [M,N]
   * @param modules may be empty; ds is read, and scaled already
   * @param dx [M,K], written
   */
  public void gradInput(Context context, Matrix dy, List<LoraPass> modules, Matrix dx) {
    require("dy", dy, dtype, outputs);
    require("dx", dx, dtype, dy.rows(), inputs);
    DType trained = context.device().trainedType(dtype);
    for (LoraPass pass : modules) {
      require("ds", pass.ds(), trained, dy.rows(), requireA(pass, trained, inputs).rows());
    }
    if (splits(context, dy.rows(), modules, Paths::backward)) {
      splitGradInput(context, dy, modules, dx);
      return;
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_linear_grad_input(
            context.struct(),
            plan.open(),
            call.matrix(0, dy),
            call.modules(modules, dy.rows()),
            modules.size(),
            call.matrix(1, dx)),
        this,
        context);
  }

  /**
   * dX, dS and dB: {@link #gradUp} and {@link #gradInput} in one call, which on CUDA may read dY
   * once.
   *
   * @param dy [M,N]
   * @param modules may be empty; s is read, ds and db are written
   * @param dx [M,K], written
   */
  public void backward(Context context, Matrix dy, List<LoraPass> modules, Matrix dx) {
    backward(context, dy, null, modules, dx);
  }

  /**
   * dX, dS, dB and dA: {@link #gradUp}, {@link #gradInput} and {@link #gradDown} in one call. On
   * CUDA dY may be read once, or dA made beside dX on a stream of the library's own, which the
   * context's stream waits for.
   *
   * @param dy [M,N]
   * @param x [M,K], not in dX's place; null: dA is not made
   * @param modules may be empty; s is read, ds, db and da are written
   * @param dx [M,K], written
   */
  public void backward(Context context, Matrix dy, Matrix x, List<LoraPass> modules, Matrix dx) {
    require("dy", dy, dtype, outputs);
    require("dx", dx, dtype, dy.rows(), inputs);
    if (x != null) {
      x.require("x", dtype, dy.rows(), inputs);
    }
    DType trained = context.device().trainedType(dtype);
    for (LoraPass pass : modules) {
      long rank = requireA(pass, trained, inputs).rows();
      Matrix b = Matrix.given("b", pass.module().b());
      require("b", b, trained, rank);
      require("s", pass.s(), trained, dy.rows(), rank);
      require("ds", pass.ds(), trained, dy.rows(), rank);
      require("db", pass.db(), DType.FLOAT32, b.rows(), rank);
      if (x != null) {
        require("da", pass.da(), DType.FLOAT32, rank, inputs);
      }
    }
    if (splits(context, dy.rows(), modules, Paths::backward)) {
      gradUp(context, dy, modules);
      splitGradInput(context, dy, modules, dx);
      if (x != null) {
        gradDown(context, x, modules);
      }
      return;
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_linear_backward(
            context.struct(),
            plan.open(),
            call.matrix(0, dy),
            call.matrix(2, x),
            call.modules(modules, dy.rows()),
            modules.size(),
            call.matrix(1, dx)),
        this,
        context);
  }

  private void splitGradInput(Context context, Matrix dy, List<LoraPass> modules, Matrix dx) {
    split.library.gradInput(dy, split.weight, dx);
    addGradInput(context, modules, dx);
  }

  /**
   * S = s·D(x) Aᵀ.
   *
   * @param x [M,K]
   * @param modules may be empty; s is written
   */
  public static void down(Context context, Matrix x, List<LoraPass> modules) {
    for (LoraPass pass : modules) {
      Matrix a = requireA(pass, x.dtype(), x.cols());
      require("s", pass.s(), x.dtype(), x.rows(), a.rows());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_lora_down(
            context.struct(), call.matrix(0, x), call.modules(modules, x.rows()), modules.size()),
        context);
  }

  /**
   * y += S Bᵀ.
   *
   * @param modules may be empty; s is read
   * @param y [M,N], read and written
   */
  public static void up(Context context, List<LoraPass> modules, Matrix y) {
    for (LoraPass pass : modules) {
      Matrix b = Matrix.given("b", pass.module().b());
      require("b", b, y.dtype(), b.cols());
      require("s", pass.s(), y.dtype(), y.rows(), b.cols());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_lora_up(
            context.struct(),
            call.modules(modules, y.rows()),
            modules.size(),
            call.matrix(0, y),
            1),
        context);
  }

  /**
   * dS = s·dY B and dB = dYᵀ S, from one reading of dY.
   *
   * @param dy [M,N]
   * @param modules may be empty; s is read, ds, unless it is null, and db are written
   */
  public static void gradUp(Context context, Matrix dy, List<LoraPass> modules) {
    DType trained = context.device().trainedType(dy.dtype());
    for (LoraPass pass : modules) {
      Matrix b = Matrix.given("b", pass.module().b());
      require("b", b, trained, b.cols());
      require("s", pass.s(), trained, dy.rows(), b.cols());
      if (pass.ds() != null) {
        pass.ds().require("ds", trained, dy.rows(), b.cols());
      }
      require("db", pass.db(), DType.FLOAT32, b.rows(), b.cols());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_lora_grad_up(
            context.struct(), call.matrix(0, dy), call.modules(modules, dy.rows()), modules.size()),
        context);
  }

  /**
   * dA = dSᵀ D(x).
   *
   * @param x [M,K]
   * @param modules may be empty; ds is read, da is written
   */
  public static void gradDown(Context context, Matrix x, List<LoraPass> modules) {
    DType trained = context.device().trainedType(x.dtype());
    for (LoraPass pass : modules) {
      Matrix ds = Matrix.given("ds", pass.ds());
      ds.require("ds", trained, x.rows(), ds.cols());
      require("da", pass.da(), DType.FLOAT32, ds.cols(), x.cols());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_lora_grad_down(
            context.struct(), call.matrix(0, x), call.modules(modules, x.rows()), modules.size()),
        context);
  }

  /**
   * dX += Dᵀ(dS A).
   *
   * @param modules may be empty; ds is read
   * @param dx [M,K], read and written
   */
  public static void addGradInput(Context context, List<LoraPass> modules, Matrix dx) {
    for (LoraPass pass : modules) {
      Matrix a = requireA(pass, dx.dtype(), dx.cols());
      require("ds", pass.ds(), dx.dtype(), dx.rows(), a.rows());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_lora_grad_input(
            context.struct(),
            call.modules(modules, dx.rows()),
            modules.size(),
            call.matrix(0, dx),
            1),
        context);
  }

  /** Of the native object. */
  long address() {
    return plan.open().address();
  }

  private static Matrix requireA(LoraPass pass, DType dtype, long inputs) {
    Matrix a = Matrix.given("a", pass.module().a());
    return a.require("a", dtype, a.rows(), inputs);
  }

  private static void require(String name, Matrix matrix, DType dtype, long cols) {
    Matrix.given(name, matrix).require(name, dtype, matrix.rows(), cols);
  }

  private static void require(String name, Matrix matrix, DType dtype, long rows, long cols) {
    Matrix.given(name, matrix).require(name, dtype, rows, cols);
  }

  @Override
  public void close() {
    plan.close();
    borrowed = null;
  }
}
