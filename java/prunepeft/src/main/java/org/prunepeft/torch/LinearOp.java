package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.ObjIntConsumer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.kernels.ModuleOutput;
import org.prunepeft.kernels.Rows;

/**
 * A frozen linear, with LoRA modules on it or without, y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ, as one
 * operation of the autograd graph. The product with W is our own or, on a GPU where that should be
 * faster, LibTorch's with our kernels around it ({@link Linear.Path}). Modules on all rows share
 * the input, each adding to its own columns of y. Modules may also be on rows of their own, those
 * of several trainings over one batch: a module's gradients are those of its rows alone. W may be
 * float32 or bfloat16; A, B and their gradients are float32. A quantised W has the kernels' product
 * alone.
 */
public final class LinearOp {
  private LinearOp() {}

  /**
   * @param tape keeps the operation until the backward pass
   * @param x [M,K], dense, of W's type
   * @param linear W [N,K] and b
   * @param modules may be empty
   * @param observer is given each module's output on its rows, with the module's index; good until
   *     this returns; null: none
   * @return y [M,N], of W's type
   */
  public static Tensor apply(
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      List<LoraModule<Tensor>> modules,
      ObjIntConsumer<ModuleOutput> observer) {
    Linear.Shape shape =
        Linear.Shape.of(
            Torch.dtype(linear.type()),
            x.size(0),
            x.size(1),
            linear.outputs(),
            modules,
            a -> a.size(0));
    Linear.Paths paths =
        Linear.choosePaths(ComputeDevice.of(x).kernels(), shape, linear.isQuantized());
    return apply(paths, tape, x, linear, modules, observer);
  }

  /** By given paths. */
  static Tensor apply(
      Linear.Paths paths,
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      List<LoraModule<Tensor>> modules,
      ObjIntConsumer<ModuleOutput> observer) {
    Tensor input = x.detach();
    Operands call = new Operands(tape, linear, input, modules, paths.keepMasks());
    Tensor y;
    try (NoGradGuard guard = new NoGradGuard()) {
      y = call.forward(paths.forward());
      if (observer != null) {
        call.show(observer);
      }
    }
    List<Tensor> inputs = new ArrayList<>(List.of(x));
    List<Tensor> saved = new ArrayList<>();
    for (LoraModule<Tensor> module : modules) {
      inputs.add(module.a());
      inputs.add(module.b());
    }
    if (modules.isEmpty()) {
      // The gradient by x needs W alone.
      input.close();
    } else {
      saved.addAll(inputs.subList(1, inputs.size()));
      saved.addAll(List.of(input, call.s));
      call.masks.stream().filter(Objects::nonNull).forEach(saved::add);
    }
    boolean needsInput = x.requires_grad();
    return tape.record(
        y,
        inputs,
        saved,
        gradient -> call.backward(paths.backward(), gradient.contiguous(), needsInput));
  }

  /** What both passes compute with. */
  private static final class Operands {
    private final ComputeDevice place;
    private final Context context;
    private final FrozenWeight linear;
    private final Tensor x;

    /** As the kernels take them. */
    private final List<LoraModule<Tensor>> modules = new ArrayList<>();

    /** Where each module's columns of S begin. */
    private final long[] columns;

    /** S [M,R] of all modules. */
    private final Tensor s;

    /** Memory for the modules' dropout masks; null for those that are drawn again. */
    private final List<Tensor> masks = new ArrayList<>();

    Operands(
        Tape tape,
        FrozenWeight linear,
        Tensor x,
        List<LoraModule<Tensor>> given,
        boolean keepMasks) {
      this.linear = linear;
      this.x = x;
      place = ComputeDevice.of(x);
      context = tape.context(place.kernels());
      torch.ScalarType type = x.scalar_type().intern();
      try (NoGradGuard guard = new NoGradGuard()) {
        for (LoraModule<Tensor> module : given) {
          modules.add(module.of(tape.staged(module.a(), type), tape.staged(module.b(), type)));
        }
        columns = new long[modules.size()];
        s = place.emptyMatrix(x.size(0), placeColumns(), place.stagedType(type));
        for (LoraModule<Tensor> module : given) {
          long rows = module.rows() == null ? x.size(0) : module.rows().count();
          long bytes = Linear.keptMaskBytes(rows, x.size(1));
          masks.add(
              keepMasks && module.drops() && bytes > 0
                  ? place.emptyMatrix(1, bytes, torch.ScalarType.Byte)
                  : null);
        }
      }
    }

    /**
     * A module has columns of S for itself, but that those on different rows which add to the same
     * columns of y share theirs: they are one launch then.
     *
     * @return R
     */
    private long placeColumns() {
      int blocks = 0;
      int[] block = new int[columns.length];
      long[] width = new long[columns.length];
      for (int i = 0; i < columns.length; i++) {
        while (block[i] < blocks && !mayShare(block, i)) {
          block[i]++;
        }
        blocks = Math.max(blocks, block[i] + 1);
        width[block[i]] = Math.max(width[block[i]], modules.get(i).a().size(0));
      }
      for (int i = 0; i < columns.length; i++) {
        for (int before = 0; before < block[i]; before++) {
          columns[i] += width[before];
        }
      }
      return Arrays.stream(width).sum();
    }

    /** Whether module i may have the block of S with those before it. */
    private boolean mayShare(int[] block, int i) {
      LoraModule<Tensor> own = modules.get(i);
      for (int j = 0; j < i; j++) {
        LoraModule<Tensor> other = modules.get(j);
        if (block[j] == block[i]
            && (Objects.equals(own.rows(), other.rows())
                || own.firstColumn() != other.firstColumn()
                || own.b().size(0) != other.b().size(0))) {
          return false;
        }
      }
      return true;
    }

    private Matrix part(Tensor narrow, int module) {
      Matrix whole = Torch.matrix(narrow);
      return whole.part(0, columns[module], whole.rows(), modules.get(module).a().size(0));
    }

    private LoraPass keepingMask(LoraPass pass, int module) {
      Tensor mask = masks.get(module);
      return mask == null ? pass : pass.keeping(mask.data_ptr());
    }

    private LoraModule<Matrix> matrices(int module) {
      LoraModule<Tensor> own = modules.get(module);
      return own.of(Torch.matrix(own.a()), Torch.matrix(own.b()));
    }

    Tensor forward(Linear.Path path) {
      List<LoraPass> passes = new ArrayList<>();
      for (int i = 0; i < modules.size(); i++) {
        passes.add(keepingMask(new LoraPass(matrices(i), part(s, i)), i));
      }
      if (path == Linear.Path.FUSED) {
        Tensor y = place.emptyMatrix(x.size(0), linear.outputs(), x.scalar_type().intern());
        linear.prepared(context).forward(context, Torch.matrix(x), passes, Torch.matrix(y));
        return y;
      }
      Tensor y =
          torch.linear(
              x,
              linear.weight().detach(),
              linear.bias() == null ? Torch.none() : new TensorOptional(linear.bias().detach()));
      if (!passes.isEmpty()) {
        Linear.down(context, Torch.matrix(x), passes);
        Linear.up(context, passes, Torch.matrix(y));
      }
      return y;
    }

    void show(ObjIntConsumer<ModuleOutput> observer) {
      for (int i = 0; i < modules.size(); i++) {
        Matrix own = part(s, i);
        Rows rows = modules.get(i).rows();
        if (rows != null) {
          own = own.part(rows.first(), 0, rows.count(), own.cols());
        }
        Matrix b = Torch.matrix(modules.get(i).b());
        observer.accept(new ModuleOutput(own, Activation.IDENTITY, b, null), i);
      }
    }

    Tensor[] backward(Linear.Path path, Tensor dy, boolean needsInput) {
      Tensor[] gradients = new Tensor[1 + 2 * modules.size()];
      Tensor ds = place.emptyMatrix(dy.size(0), s.size(1), s.scalar_type().intern());
      List<LoraPass> passes = new ArrayList<>();
      for (int i = 0; i < modules.size(); i++) {
        LoraModule<Tensor> module = modules.get(i);
        Tensor da = place.emptyMatrix(module.a().size(0), module.a().size(1));
        Tensor db = place.emptyMatrix(module.b().size(0), module.b().size(1));
        if ((module.rows() == null ? dy.size(0) : module.rows().count()) == 0) {
          // The kernels leave the gradients of a module without rows as they are.
          da.zero_();
          db.zero_();
        }
        LoraPass pass =
            new LoraPass(matrices(i), part(s, i), part(ds, i), Torch.matrix(da), Torch.matrix(db));
        passes.add(keepingMask(pass, i));
        gradients[1 + 2 * i] = da;
        gradients[2 + 2 * i] = db;
      }
      if (needsInput && path == Linear.Path.FUSED) {
        gradients[0] = place.emptyMatrix(dy.size(0), linear.inputs(), dy.scalar_type().intern());
        Matrix kept = passes.isEmpty() ? null : Torch.matrix(x); // which is let go without modules
        linear
            .prepared(context)
            .backward(context, Torch.matrix(dy), kept, passes, Torch.matrix(gradients[0]));
        return gradients;
      }
      if (!passes.isEmpty()) {
        Linear.gradUp(context, Torch.matrix(dy), passes);
        Linear.gradDown(context, Torch.matrix(x), passes);
      }
      if (needsInput) {
        gradients[0] = splitGradInput(dy, passes);
      }
      return gradients;
    }

    private Tensor splitGradInput(Tensor dy, List<LoraPass> passes) {
      Tensor dx = dy.matmul(linear.weight().detach());
      if (!passes.isEmpty()) {
        Linear.addGradInput(context, passes, Torch.matrix(dx));
      }
      return dx;
    }
  }
}
