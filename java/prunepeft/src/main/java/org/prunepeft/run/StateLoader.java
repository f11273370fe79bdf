package org.prunepeft.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.StateExchange;

/** Takes a state from a checkpoint. */
final class StateLoader implements StateExchange {
  /** Weights that are read at once, on their way to whichever device: 16 MB. */
  private static final long CHUNK = 1 << 22;

  static final String REMEDY =
      "go on with that one, or delete the directory of checkpoints, and the run begins from its start";

  private final String prefix;
  private final SafeTensors tensors;
  private final Map<?, ?> values;

  StateLoader(String prefix, SafeTensors tensors, Map<?, ?> values) {
    this.prefix = prefix;
    this.tensors = tensors;
    this.values = values;
  }

  @Override
  public boolean restoring() {
    return true;
  }

  @Override
  public boolean has(String name) {
    return values.containsKey(name);
  }

  @Override
  public void tensor(String name, Tensor tensor) {
    long bytes = bytes(name);
    if (bytes != tensor.numel() * Float.BYTES) {
      throw new UnresumableRunException(
          "%s has %d bytes for %s%s, but this run has %d there: another version of PrunePEFT wrote it; %s"
              .formatted(
                  tensors.origin(), bytes, prefix, name, tensor.numel() * Float.BYTES, REMEDY));
    }
    try (NoGradGuard guard = new NoGradGuard();
        Tensor all = tensor.view(-1);
        Tensor part = ComputeDevice.CPU.zeros(Math.min(CHUNK, tensor.numel()))) {
      for (long from = 0; from < tensor.numel(); from += CHUNK) {
        long count = Math.min(CHUNK, tensor.numel() - from);
        try (BytePointer data = new BytePointer(part.data_ptr());
            Tensor read = part.narrow(0, 0, count);
            Tensor target = all.narrow(0, from, count)) {
          read(name, from * Float.BYTES, data.capacity(count * Float.BYTES).asByteBuffer());
          target.copy_(read);
        }
      }
    }
  }

  @Override
  public float[] floats(String name, float[] now) {
    float[] values = new float[Math.toIntExact(bytes(name) / Float.BYTES)];
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.multiplyExact(values.length, Float.BYTES))
            .order(ByteOrder.LITTLE_ENDIAN);
    read(name, 0, bytes);
    bytes.flip().asFloatBuffer().get(values);
    return values;
  }

  private long bytes(String name) {
    if (!tensors.names().contains(prefix + name)) {
      throw absent(name);
    }
    return tensors.entry(prefix + name).bytes();
  }

  private void read(String name, long offset, ByteBuffer target) {
    try {
      tensors.read(prefix + name, offset, target);
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(tensors.origin(), e), e);
    }
  }

  @Override
  public <T> T value(String name, Class<T> type, T now) {
    if (!values.containsKey(name)) {
      throw absent(name);
    }
    try {
      T value = RunDirectory.convert(values.get(name), type);
      boolean needed = Number.class.isAssignableFrom(type) || type == Boolean.class;
      if (value != null || !needed) {
        return value;
      }
    } catch (IllegalArgumentException e) {
      // Named below.
    }
    throw new UnresumableRunException(
        "the checkpoint with %s has for %s%s no %s, but %s: another version of PrunePEFT wrote it; %s"
            .formatted(
                tensors.origin(), prefix, name, type.getSimpleName(), values.get(name), REMEDY));
  }

  private UnresumableRunException absent(String name) {
    return new UnresumableRunException(
        "the checkpoint with %s has no %s%s: another version of PrunePEFT wrote it; %s"
            .formatted(tensors.origin(), prefix, name, REMEDY));
  }

  @Override
  public StateExchange part(String name) {
    if (!(values.get(name) instanceof Map<?, ?> own)) {
      throw absent(name);
    }
    return new StateLoader(prefix + name + "/", tensors, own);
  }
}
