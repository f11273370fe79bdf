package org.prunepeft.run;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.torch.StateExchange;

/** Gathers a state for a checkpoint; tensors are read when that is written. */
final class StateSaver implements StateExchange {
  private final String prefix;
  private final Map<String, SafeTensors.Source> tensors;
  private final Map<String, Object> values;

  /**
   * @param prefix of the tensors' names
   * @param tensors to which this adds
   * @param values to which this adds
   */
  StateSaver(String prefix, Map<String, SafeTensors.Source> tensors, Map<String, Object> values) {
    this.prefix = prefix;
    this.tensors = tensors;
    this.values = values;
  }

  @Override
  public boolean restoring() {
    return false;
  }

  @Override
  public void tensor(String name, Tensor tensor) {
    add(name, new InMemory(tensor));
  }

  @Override
  public float[] floats(String name, float[] now) {
    add(name, new InArray(now));
    return now;
  }

  private void add(String name, SafeTensors.Source source) {
    if (tensors.put(prefix + name, source) != null) {
      throw new IllegalStateException("two pieces of a state are named " + prefix + name);
    }
  }

  @Override
  public <T> T value(String name, Class<T> type, T now) {
    if (values.containsKey(name)) {
      throw new IllegalStateException("two pieces of a state are named " + prefix + name);
    }
    values.put(name, now);
    return now;
  }

  @Override
  public StateExchange part(String name) {
    Map<String, Object> own = new LinkedHashMap<>();
    values.put(name, own);
    return new StateSaver(prefix + name + "/", tensors, own);
  }

  /** Of LibTorch, float32 and dense, on any device: each part is fetched when it is written. */
  private record InMemory(Tensor tensor) implements SafeTensors.Source {
    @Override
    public SafeTensors.StoredType dtype() {
      return SafeTensors.StoredType.F32;
    }

    @Override
    public long[] shape() {
      return new long[] {tensor.numel()};
    }

    @Override
    public void read(long offset, ByteBuffer target) {
      int bytes = target.remaining();
      try (Tensor all = tensor.detach();
          Tensor row = all.view(-1);
          Tensor part = row.narrow(0, offset / Float.BYTES, bytes / Float.BYTES);
          Tensor fetched = part.cpu();
          BytePointer data = new BytePointer(fetched.data_ptr())) {
        target.put(data.capacity(bytes).asByteBuffer());
      }
    }
  }

  private record InArray(float[] values) implements SafeTensors.Source {
    @Override
    public SafeTensors.StoredType dtype() {
      return SafeTensors.StoredType.F32;
    }

    @Override
    public long[] shape() {
      return new long[] {values.length};
    }

    @Override
    public void read(long offset, ByteBuffer target) {
      int count = target.remaining() / Float.BYTES;
      target.asFloatBuffer().put(values, (int) (offset / Float.BYTES), count);
      target.position(target.limit());
    }
  }
}
