package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Edge;
import org.bytedeco.pytorch.EdgeVector;
import org.bytedeco.pytorch.FunctionPostHook;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.CallbackReferences;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Matrix;

/**
 * Records our own differentiable operations in LibTorch's autograd graph, and keeps what their
 * backward passes need until the step is over.
 *
 * <p>LibTorch's presets do not let Java subclass an autograd node. So an operation borrows the node
 * of a small concatenation, points its edges at the operation's own inputs and runs the backward
 * kernels in the node's hooks: the hook before the node takes the incoming gradient and computes,
 * the hook after it hands over the gradients in place of the node's own (empty) result. The engine
 * holds the hooks by native pointers that the Java collector does not see; the tape keeps their
 * Java side alive.
 *
 * <p>A step records, runs backward and clears. The tape also owns the kernels' scratch memory,
 * which the next step uses again. Not for two threads at once.
 *
 * <p>With gradient checkpointing (Chen et al. 2016) it keeps of each {@link #layer} what goes in,
 * and the backward pass computes the layer once more.
 */
public final class Tape implements AutoCloseable {
  /** The backward pass of a recorded operation. */
  @FunctionalInterface
  public interface Backward {
    /**
     * Runs without recording, inside a PointerScope of its own.
     *
     * @param gradient that of the output, of the output's shape
     * @return one gradient an input, null where the input does not require one
     */
    Tensor[] apply(Tensor gradient);
  }

  private final boolean checkpointing;
  private final List<RecordedOperation> operations = new ArrayList<>();

  /** Whose gradients were handed over last; null: nobody's. */
  private RecordedOperation last;

  private boolean recomputing;

  /** Weights by what they belong to, as the kernels take them; null: not copied yet. */
  private final Map<FlatParameters, Map<Tensor, Tensor>> staged = new IdentityHashMap<>();

  /** One for each device and stream, which is one object. */
  private final Map<Device, Context> contexts = new IdentityHashMap<>();

  /** Empty; for one encoder and one thread. */
  public Tape() {
    this(false);
  }

  /**
   * Empty; for one encoder and one thread.
   *
   * @param checkpointing whether layers are computed again in the backward pass
   */
  public Tape(boolean checkpointing) {
    this.checkpointing = checkpointing;
  }

  /**
   * Makes {@code output} the result of a recorded operation. Does nothing if no input requires a
   * gradient, or where LibTorch's gradient mode is off.
   *
   * @param output computed already from the inputs, without recording; not a view of an input
   * @param inputs in the order in which {@code backward} returns gradients
   * @param saved tensors whose contents the backward pass reads: it refuses to run if one was
   *     changed in place since. Not closed before the step is over, unlike the inputs: of an input
   *     that is read the operation's own handle, {@code detach()}
   * @param backward gives the gradients of the inputs
   * @return {@code output}
   */
  public Tensor record(Tensor output, List<Tensor> inputs, List<Tensor> saved, Backward backward) {
    if (!GradMode.is_enabled() || inputs.stream().noneMatch(Tensor::requires_grad)) {
      return output;
    }
    RecordedOperation operation = new RecordedOperation(inputs, saved, backward);
    operation.attach(output);
    operations.add(operation);
    return output;
  }

  /**
   * A layer's output. What else the layer computes is kept for the backward pass or, with gradient
   * checkpointing, computed again there, by the same operations on the same values, so that
   * gradients have the same bits. Where no gradient is asked for, nothing else is kept.
   *
   * @param x what goes into the layer
   * @param weights gives those of the layer; all that require a gradient are among them
   * @param work computes the layer: the same whenever it is called, until the step is over; its
   *     result is not a view of x
   * @return what the work gives
   */
  public Tensor layer(Tensor x, Supplier<List<Tensor>> weights, UnaryOperator<Tensor> work) {
    if (!GradMode.is_enabled()) {
      return Torch.alone(() -> work.apply(x));
    }
    List<Tensor> inputs = new ArrayList<>(List.of(x));
    weights.get().stream().filter(Tensor::requires_grad).forEach(inputs::add);
    if (!checkpointing && inputs.stream().anyMatch(Tensor::requires_grad)) {
      return work.apply(x);
    }
    return record(
        outputAlone(x.detach(), work), inputs, inputs, gradient -> again(inputs, work, gradient));
  }

  private static Tensor outputAlone(Tensor x, UnaryOperator<Tensor> work) {
    try (NoGradGuard guard = new NoGradGuard()) {
      return Torch.alone(() -> work.apply(x));
    }
  }

  /** A layer's backward pass, and the forward pass that it needs. */
  private Tensor[] again(List<Tensor> inputs, UnaryOperator<Tensor> work, Tensor gradient) {
    PointerScope outer = PointerScope.getInnerScope();
    int kept = operations.size();
    recomputing = true;
    try (PointerScope temporary = new PointerScope();
        AutoGradMode mode = new AutoGradMode(true)) {
      boolean needsInput = inputs.get(0).requires_grad();
      Tensor x = inputs.get(0).detach().set_requires_grad(needsInput);
      Tensor y = work.apply(x);
      Tensor[] gradients = new Tensor[inputs.size()];
      if (!y.requires_grad()) {
        return gradients;
      }
      TensorVector sources = new TensorVector();
      if (needsInput) {
        sources.push_back(x);
      }
      inputs.subList(1, inputs.size()).forEach(sources::push_back);
      TensorVector found =
          torch.grad(
              new TensorVector(y),
              sources,
              new TensorVector(gradient),
              new BoolOptional(false),
              false,
              true);
      int first = needsInput ? 0 : 1;
      for (int i = first; i < gradients.length; i++) {
        // A handle of its own: the vector's goes with it.
        gradients[i] = Torch.outliving(outer, new Tensor(found.get(i - first)));
      }
      return gradients;
    } finally {
      recomputing = false;
      List<RecordedOperation> own = operations.subList(kept, operations.size());
      own.forEach(RecordedOperation::release);
      own.clear();
    }
  }

  /** {@return whether a layer is being computed again: its outputs have been there before} */
  public boolean isRecomputing() {
    return recomputing;
  }

  /**
   * Names the weights of the operations that come. Where kernels take them in another type, all of
   * a group are copied at once, when the first is asked for; so this comes again after each change.
   *
   * @param groups stay the caller's
   */
  public void serve(Collection<FlatParameters> groups) {
    groups.forEach(group -> staged.put(group, null));
  }

  /**
   * {@return a trained weight as the kernels take it in a call of a type: itself on the CPU, where
   * they round it as they go; on a GPU a copy of that type}
   *
   * @param weight float32
   * @param call the type of the call's activations: float32 or bfloat16
   */
  public Tensor staged(Tensor weight, torch.ScalarType call) {
    torch.ScalarType type = ComputeDevice.of(weight).stagedType(call);
    if (weight.scalar_type().intern() == type) {
      return weight;
    }
    for (FlatParameters group : staged.keySet()) {
      if (group.holds(weight)) {
        return staged.computeIfAbsent(group, whole -> whole.copies(type)).get(weight);
      }
    }
    return weight.to(type);
  }

  /**
   * {@return a weight's memory; of those that are served it is looked up but once}
   *
   * @param weight float32
   */
  public Matrix matrix(Tensor weight) {
    for (FlatParameters group : staged.keySet()) {
      if (group.holds(weight)) {
        return group.matrix(weight);
      }
    }
    return Torch.matrix(weight);
  }

  /** {@return how many operations are recorded} */
  public int size() {
    return operations.size();
  }

  /**
   * {@return in which the kernels of one operation at a time run}
   *
   * @param device where its tensors lie
   */
  public Context context(Device device) {
    return contexts.computeIfAbsent(device, Context::new);
  }

  /** Lets go of everything that was recorded. A backward pass through it is an error afterwards. */
  public void clear() {
    operations.forEach(RecordedOperation::release);
    operations.clear();
    last = null;
    staged.clear();
  }

  @Override
  public void close() {
    clear();
    contexts.values().forEach(Context::close);
    contexts.clear();
  }

  /** Hooks of operations that are over. */
  private static final class Ended {
    static final FunctionPreHook BEFORE = new Before();
    static final FunctionPostHook AFTER = new After();

    static {
      // Whatever scope is open, they stay.
      BEFORE.retainReference();
      AFTER.retainReference();
    }

    private static IllegalStateException over() {
      return new IllegalStateException("a backward pass through a step that is over");
    }

    private static final class Before extends FunctionPreHook {
      @Override
      public TensorVector apply(TensorVector incoming) {
        throw over();
      }
    }

    private static final class After extends FunctionPostHook {
      @Override
      public TensorVector apply(TensorVector unused, TensorVector incoming) {
        throw over();
      }
    }
  }

  private final class RecordedOperation {
    private final List<Tensor> inputs;
    private final List<Tensor> saved;
    private final long[] versions;
    private final Backward backward;
    private final FunctionPreHook before = new Before();
    private final FunctionPostHook after = new After();
    private final long beforeAddress = before.address();
    private final long afterAddress = after.address();

    /** Whose hooks these are; null: none yet, or released. */
    private Node node;

    private TensorVector gradients;

    RecordedOperation(List<Tensor> inputs, List<Tensor> saved, Backward backward) {
      this.inputs = inputs;
      this.saved = saved;
      this.versions = saved.stream().mapToLong(Tensor::_version).toArray();
      this.backward = backward;
    }

    void attach(Tensor output) {
      Tensor scalar = torch.zeros(1).set_requires_grad(true);
      TensorVector operands = new TensorVector((long) inputs.size());
      EdgeVector edges = new EdgeVector((long) inputs.size());
      for (int i = 0; i < inputs.size(); i++) {
        operands.put(i, scalar);
        put(edges, i, inputs.get(i));
      }
      Node borrowed = torch.cat(operands).grad_fn();
      borrowed.clear_input_metadata();
      borrowed.set_next_edges(edges);
      torch.create_gradient_edge(output, borrowed);
      borrowed.add_pre_hook(before);
      borrowed.add_post_hook(after);
      // The hooks are there as long as their node is.
      borrowed.retainReference();
      node = borrowed;
    }

    /** Says where an input's gradient goes. */
    private static void put(EdgeVector edges, int i, Tensor input) {
      if (!input.requires_grad()) {
        edges.put(i, new Edge());
        return;
      }
      // The view would keep the input's memory until the step is over.
      try (Tensor view = input.view_as(input);
          Node node = view.grad_fn()) {
        edges.put(i, node.next_edge(0));
      }
    }

    /** Frees what lives beyond the step's PointerScope. */
    void release() {
      if (node != null) {
        CallbackReferences.delete(beforeAddress, Ended.BEFORE.address());
        CallbackReferences.delete(afterAddress, Ended.AFTER.address());
        node.releaseReference();
        node = null;
      }
      releaseGradients();
    }

    private void releaseGradients() {
      if (gradients != null) {
        gradients.releaseReference();
        gradients = null;
      }
    }

    private void compute(Tensor gradient) {
      for (int i = 0; i < versions.length; i++) {
        if (saved.get(i)._version() != versions[i]) {
          throw new IllegalStateException(
              "a tensor that the backward pass needs was changed in place after the forward pass");
        }
      }
      Tensor[] results = backward.apply(gradient);
      // The engine has taken over those of the operation before.
      if (last != null) {
        last.releaseGradients();
      }
      last = this;
      gradients = new TensorVector((long) inputs.size());
      // The hook after the node reads it, when the scope of this one is closed.
      gradients.retainReference();
      for (int i = 0; i < results.length; i++) {
        gradients.put(i, results[i] == null ? new Tensor() : results[i]);
      }
    }

    private final class Before extends FunctionPreHook {
      @Override
      public TensorVector apply(TensorVector incoming) {
        try (PointerScope scope = new PointerScope();
            NoGradGuard guard = new NoGradGuard()) {
          compute(incoming.get(0));
        }
        return new TensorVector(new Tensor());
      }
    }

    private final class After extends FunctionPostHook {
      @Override
      public TensorVector apply(TensorVector unused, TensorVector incoming) {
        return gradients;
      }
    }
  }
}
