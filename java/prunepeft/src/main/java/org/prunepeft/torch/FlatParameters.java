package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Matrix;

/**
 * Trainable tensors that lie in one flat buffer, with their gradients in another of the same
 * layout. What touches all of them (an optimiser's update, a sum of gradients, a norm) is then one
 * operation on one tensor.
 *
 * <p>Each tensor is a leaf of the autograd graph whose gradient is accumulated into its part of the
 * gradient buffer. They begin at multiples of 16 elements; the elements between them stay 0.
 */
public final class FlatParameters implements AutoCloseable {
  private static final long ALIGNMENT = 16;

  private final PointerScope scope;
  private final Tensor values;
  private final Tensor gradients;
  private final Map<String, ParameterSlice> parts = new LinkedHashMap<>();
  private final Set<Tensor> members = Collections.newSetFromMap(new IdentityHashMap<>());

  /** All values in another type, and the tensors' parts of it; null: nobody has asked. */
  private Tensor copy;

  private final Map<Tensor, Tensor> copies = new IdentityHashMap<>();

  /** Of those that were asked for. */
  private final Map<Tensor, Matrix> matrices = new IdentityHashMap<>();

  private final List<Moved> moved = new ArrayList<>();

  private record ParameterSlice(Tensor tensor, Tensor gradient, long offset, long length) {}

  /** A tensor of someone else's, and a handle on the memory that it had. */
  private record Moved(Tensor tensor, Tensor before) {}

  /**
   * A tensor whose rows are those of several named ones: the stacked projections of an attention
   * layer. Most have one name for all rows.
   *
   * @param tensor float32, dense, a leaf of the autograd graph
   * @param rows extents of the first dimension by name, in order; they add up to the tensor's
   */
  public record Stacked(Tensor tensor, Map<String, Long> rows) {}

  /**
   * Makes zero tensors.
   *
   * @param device where they lie
   * @param shapes by name, in the order in which they are to lie
   */
  public FlatParameters(ComputeDevice device, Map<String, long[]> shapes) {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      long total = 0;
      for (long[] shape : shapes.values()) {
        total += padded(length(shape));
      }
      values = device.zeros(total);
      gradients = device.zeros(total);
      long offset = 0;
      for (Map.Entry<String, long[]> entry : shapes.entrySet()) {
        long length = length(entry.getValue());
        Tensor leaf = values.narrow(0, offset, length).view(entry.getValue()).detach();
        Tensor gradient = gradients.narrow(0, offset, length).view(entry.getValue());
        leaf.set_requires_grad(true);
        leaf.mutable_grad().put(gradient);
        parts.put(entry.getKey(), new ParameterSlice(leaf, gradient, offset, length));
        members.add(leaf);
        offset += padded(length);
      }
      values.set_requires_grad(true);
      values.mutable_grad().put(gradients);
    }
  }

  private FlatParameters(List<Stacked> tensors) {
    try (PointerScope own = new PointerScope()) {
      scope = own;
      own.extend();
      long total = tensors.stream().mapToLong(stacked -> padded(stacked.tensor.numel())).sum();
      ComputeDevice device = ComputeDevice.of(tensors.get(0).tensor);
      values = device.zeros(total);
      gradients = device.zeros(total);
      long offset = 0;
      for (Stacked stacked : tensors) {
        move(stacked, offset);
        offset += padded(stacked.tensor.numel());
      }
      values.set_requires_grad(true);
      values.mutable_grad().put(gradients);
    }
  }

  /**
   * Makes tensors that a model computes with trainable: until {@link #close}, which gives them
   * their memory and values back, they lie in this object's buffer and require gradients.
   *
   * @param tensors those of the model; they stay its own and must outlive this object
   * @return the parameters, the caller's to close
   */
  public static FlatParameters adopt(List<Stacked> tensors) {
    return new FlatParameters(tensors);
  }

  private void move(Stacked stacked, long offset) {
    Tensor tensor = stacked.tensor;
    long[] shape = tensor.shape();
    Tensor place = values.narrow(0, offset, tensor.numel()).view(shape);
    Tensor gradient = gradients.narrow(0, offset, tensor.numel()).view(shape);
    try (NoGradGuard guard = new NoGradGuard()) {
      place.copy_(tensor);
    }
    moved.add(new Moved(tensor, tensor.detach()));
    tensor.set_data(place);
    tensor.set_requires_grad(true);
    tensor.mutable_grad().put(gradient);
    long row = 0;
    for (Map.Entry<String, Long> entry : stacked.rows.entrySet()) {
      long rows = entry.getValue();
      long length = tensor.numel() / shape[0] * rows;
      Tensor part = place.narrow(0, row, rows);
      parts.put(
          entry.getKey(), new ParameterSlice(part, gradient.narrow(0, row, rows), offset, length));
      members.add(part);
      row += rows;
      offset += length;
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

  /** {@return the names, in order} */
  public Iterable<String> names() {
    return parts.keySet();
  }

  /**
   * {@return the tensor of that name; owned by this object} It is a leaf of the autograd graph, but
   * for rows of an adopted tensor, which only share its memory.
   *
   * @param name one of {@link #names}
   */
  public Tensor get(String name) {
    return part(name).tensor;
  }

  /**
   * {@return the gradient of the tensor of that name; owned by this object}
   *
   * @param name one of {@link #names}
   */
  public Tensor gradient(String name) {
    return part(name).gradient;
  }

  private ParameterSlice part(String name) {
    ParameterSlice part = parts.get(name);
    if (part == null) {
      throw new IllegalArgumentException("no parameter " + name + "; there are " + parts.keySet());
    }
    return part;
  }

  /**
   * {@return the extents of the tensor of that name; a copy}
   *
   * @param name one of {@link #names}
   */
  public long[] shape(String name) {
    Tensor tensor = get(name);
    long[] shape = new long[(int) tensor.dim()];
    Arrays.setAll(shape, tensor::size);
    return shape;
  }

  /**
   * Sets a tensor's values.
   *
   * @param name one of {@link #names}
   * @param data as many as it has elements, row-major
   * @throws IllegalArgumentException if there are more or fewer
   */
  public void put(String name, float[] data) {
    ParameterSlice part = part(name);
    if (data.length != part.length) {
      throw new IllegalArgumentException(
          "%s has %d elements, got %d".formatted(name, part.length, data.length));
    }
    try (NoGradGuard guard = new NoGradGuard();
        Tensor flat = Torch.floats(data, data.length);
        Tensor given = flat.view_as(part.tensor)) {
      part.tensor.detach().copy_(given);
    }
  }

  /** {@return elements of all tensors together, padding left out} */
  public long count() {
    return parts.values().stream().mapToLong(ParameterSlice::length).sum();
  }

  /** {@return all values, flat; its gradient is {@link #gradients()}} Owned by this object. */
  public Tensor values() {
    return values;
  }

  /** {@return all gradients, flat} Owned by this object. */
  public Tensor gradients() {
    return gradients;
  }

  /**
   * {@return the part of a flat tensor of this layout that belongs to a name, as [1,n]}
   *
   * @param flat [elements with padding], such as {@link #values}
   * @param name one of {@link #names}
   */
  public Matrix segment(Tensor flat, String name) {
    ParameterSlice part = part(name);
    return Matrix.vector(new FloatPointer(flat.data_ptr()).position(part.offset), part.length);
  }

  /**
   * {@return the part of a flat tensor of this layout that belongs to a name, in the shape of its
   * tensor}
   *
   * @param flat [elements with padding], such as {@link #values}
   * @param name one of {@link #names}
   */
  public Tensor view(Tensor flat, String name) {
    ParameterSlice part = part(name);
    return flat.narrow(0, part.offset, part.length).view(shape(name));
  }

  /** Whether a tensor is one of {@link #get}, itself and no other on its memory. */
  boolean holds(Tensor tensor) {
    return members.contains(tensor);
  }

  /** {@return the memory of a tensor that this {@link #holds}, of one or two dimensions} */
  synchronized Matrix matrix(Tensor tensor) {
    return matrices.computeIfAbsent(tensor, Torch::matrix);
  }

  /**
   * Copies all values at once.
   *
   * @param type of the copies; interned
   * @return by tensor of {@link #get}: its values in that type, owned by this object and good until
   *     the next call
   */
  synchronized Map<Tensor, Tensor> copies(torch.ScalarType type) {
    if (copy == null || copy.scalar_type().intern() != type) {
      try (PointerScope temporary = new PointerScope()) {
        copy = values.detach().to(type);
        scope.attach(copy);
        copies.clear();
        for (ParameterSlice part : parts.values()) {
          Tensor view = copy.narrow(0, part.offset, part.length).view(part.tensor.shape());
          scope.attach(view);
          copies.put(part.tensor, view);
        }
      }
    } else {
      try (NoGradGuard guard = new NoGradGuard()) {
        copy.copy_(values);
      }
    }
    return copies;
  }

  /** Sets all gradients to 0. */
  public void clearGradients() {
    gradients.zero_();
  }

  @Override
  public void close() {
    for (Moved entry : moved) {
      entry.tensor.set_requires_grad(false);
      entry.tensor.mutable_grad().put(new Tensor());
      entry.tensor.set_data(entry.before);
    }
    moved.clear();
    scope.close();
  }
}
