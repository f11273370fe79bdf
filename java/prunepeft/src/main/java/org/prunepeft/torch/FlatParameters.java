package org.prunepeft.torch;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Matrix;

/**
 * Trainable tensors that lie in one flat buffer, with their gradients in another of the same
 * layout. What touches all of them (an optimiser's update, a sum of gradients, a norm) is then one
 * operation on one tensor.
 *
 * <p>Each tensor is a leaf of the autograd graph whose gradient is accumulated into its part of the
 * gradient buffer. Tensors begin at multiples of 16 elements; the elements between them stay 0.
 */
public final class FlatParameters implements AutoCloseable {
  private static final long ALIGNMENT = 16;

  private final PointerScope scope;
  private final Tensor values;
  private final Tensor gradients;
  private final Map<String, Part> parts = new LinkedHashMap<>();

  private record Part(Tensor leaf, long offset, long length) {}

  /**
   * Makes zero tensors.
   *
   * @param shapes by name, in the order in which they are to lie
   */
  public FlatParameters(Map<String, long[]> shapes) {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      long total = 0;
      for (long[] shape : shapes.values()) {
        total += padded(length(shape));
      }
      values = Torch.zeros(total);
      gradients = Torch.zeros(total);
      long offset = 0;
      for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
        long length = length(entry.getValue());
        Tensor leaf = values.narrow(0, offset, length).view(entry.getValue()).detach();
        leaf.set_requires_grad(true);
        leaf.mutable_grad().put(gradients.narrow(0, offset, length).view(entry.getValue()));
        parts.put(entry.getKey(), new Part(leaf, offset, length));
        offset += padded(length);
      }
      values.set_requires_grad(true);
      values.mutable_grad().put(gradients);
    }
  }

  private static long padded(long length) {
    return (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  private static long length(long[] shape) {
    long length = 1;
    for (long extent : shape) {
      length = Math.multiplyExact(length, extent);
    }
    return length;
  }

  /** The names, in order. */
  public Iterable<String> names() {
    return parts.keySet();
  }

  /** The leaf tensor of that name; owned by this object. */
  public Tensor get(String name) {
    Part part = parts.get(name);
    if (part == null) {
      throw new IllegalArgumentException("no parameter " + name + "; there are " + parts.keySet());
    }
    return part.leaf;
  }

  /** The extents of the tensor of that name; a copy. */
  public long[] shape(String name) {
    Tensor tensor = get(name);
    long[] shape = new long[(int) tensor.dim()];
    Arrays.setAll(shape, tensor::size);
    return shape;
  }

  /**
   * Sets a tensor's values.
   *
   * @param data as many as it has elements, row-major
   * @throws IllegalArgumentException if there are more or fewer
   */
  public void put(String name, float[] data) {
    Part part = parts.get(name);
    if (data.length != get(name).numel()) {
      throw new IllegalArgumentException(
          "%s has %d elements, got %d".formatted(name, part.length, data.length));
    }
    try (NoGradGuard guard = new NoGradGuard();
        Tensor plain = values.detach();
        FloatPointer memory = plain.data_ptr_float()) {
      memory.position(part.offset).put(data);
    }
  }

  /** Elements of all tensors together, padding left out. */
  public long count() {
    return parts.values().stream().mapToLong(Part::length).sum();
  }

  /** All values, flat; its gradient is {@link #gradients()}. Owned by this object. */
  public Tensor values() {
    return values;
  }

  /** All gradients, flat. Owned by this object. */
  public Tensor gradients() {
    return gradients;
  }

  /** The part of a flat tensor of this layout that belongs to a name, as [1,n]. */
  public Matrix segment(Tensor flat, String name) {
    get(name);
    Part part = parts.get(name);
    return Matrix.vector(flat.data_ptr_float().position(part.offset), part.length);
  }

  /** Sets all gradients to 0. */
  public void clearGradients() {
    gradients.zero_();
  }

  @Override
  public void close() {
    scope.close();
  }
}
