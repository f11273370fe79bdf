package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adamw_create;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adamw_destroy;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adamw_refresh;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adamw_step;

import java.lang.ref.Cleaner;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.AdamWHandle;
import org.prunepeft.kernels.binding.AdamWSettingsStruct;

/**
 * Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019, algorithm 2) over one flat
 * float32 buffer of trained weights, which in the same pass refreshes the copies that products
 * read: matrices in another type and place.
 *
 * <p>The buffers are float32 vectors [1,n] of the device's memory. Immutable, and good for several
 * threads at once. Methods throw {@link IllegalArgumentException} if lengths disagree, {@link
 * KernelException} if the native call fails, {@link IllegalStateException} after {@link #close()}.
 */
public final class AdamW implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  /**
   * Of one step.
   *
   * @param learningRate at least 0
   * @param beta1 in [0, 1)
   * @param beta2 in [0, 1)
   * @param epsilon above 0
   * @param weightDecay at least 0
   * @param step counts from 1
   */
  public record Settings(
      float learningRate, float beta1, float beta2, float epsilon, float weightDecay, long step) {

    /**
     * {@return settings with β1 0.9, β2 0.999, ε 1e-8}
     *
     * @param learningRate 0 or more
     * @param weightDecay 0 or more
     * @param step of the optimiser, from 1
     */
    public static Settings of(float learningRate, float weightDecay, long step) {
      return new Settings(learningRate, 0.9f, 0.999f, 1e-8f, weightDecay, step);
    }
  }

  private final long length;
  private final Native handle;
  private final Cleaner.Cleanable cleanable;

  /** Frees the native side once, by close() or else when this object was forgotten. */
  private static final class Native implements Runnable {
    private AdamWHandle pointer;

    @Override
    public synchronized void run() {
      if (pointer != null) {
        pp_adamw_destroy(pointer);
        pointer.releaseReference();
        pointer = null;
      }
    }

    synchronized AdamWHandle open() {
      if (pointer == null) {
        throw new IllegalStateException("this AdamW is closed");
      }
      return pointer;
    }
  }

  /**
   * @param device whose kernels compute; what it reads and writes lies there
   * @param dtype of the copies
   * @param length n
   * @param copies in rising order of offset, none overlapping; may be empty. Their memory must
   *     outlive this object
   * @throws KernelException if a copy does not lie within the buffer, or memory is short
   */
  public AdamW(Device device, DType dtype, long length, List<WeightCopy> copies) {
    for (WeightCopy copy : copies) {
      copy.to().require("a copy", dtype, copy.to().rows(), copy.to().cols());
    }
    this.length = length;
    handle = new Native();
    try (PointerScope scope = new PointerScope()) {
      AdamWHandle created = new AdamWHandle((Pointer) null);
      check(
          pp_adamw_create(
              device.struct(),
              dtype.ordinal(),
              length,
              WeightCopy.structs(copies),
              copies.size(),
              created));
      created.retainReference();
      handle.pointer = created;
    }
    cleanable = CLEANER.register(this, handle);
  }

  /**
   * One step, and all copies.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param settings rates and moments of this step
   * @param weights [1,n], read and written
   * @param gradients [1,n]
   * @param mean m [1,n], read and written; zeros at first
   * @param square v [1,n], read and written; zeros at first
   */
  public void step(
      Device device,
      Settings settings,
      Matrix weights,
      Matrix gradients,
      Matrix mean,
      Matrix square) {
    weights.require("weights", DType.FLOAT32, 1, length);
    gradients.require("gradients", DType.FLOAT32, 1, length);
    mean.require("mean", DType.FLOAT32, 1, length);
    square.require("square", DType.FLOAT32, 1, length);
    try (PointerScope scope = new PointerScope()) {
      AdamWSettingsStruct struct =
          new AdamWSettingsStruct()
              .learning_rate(settings.learningRate)
              .beta1(settings.beta1)
              .beta2(settings.beta2)
              .epsilon(settings.epsilon)
              .weight_decay(settings.weightDecay)
              .step(settings.step);
      check(
          pp_adamw_step(
              device.struct(),
              handle.open(),
              struct,
              new FloatPointer(weights.data()),
              new FloatPointer(gradients.data()),
              new FloatPointer(mean.data()),
              new FloatPointer(square.data())));
    }
  }

  /**
   * Writes the copies alone: after the weights were read from a file, say.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param weights [1,n]
   */
  public void refresh(Device device, Matrix weights) {
    weights.require("weights", DType.FLOAT32, 1, length);
    try (PointerScope scope = new PointerScope()) {
      check(pp_adamw_refresh(device.struct(), handle.open(), new FloatPointer(weights.data())));
    }
  }

  /** Frees the plan; no call that uses it may be running. */
  @Override
  public void close() {
    cleanable.clean();
  }
}
