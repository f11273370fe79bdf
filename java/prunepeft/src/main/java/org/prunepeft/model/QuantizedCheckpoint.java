package org.prunepeft.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.io.SafeTensors;

/** A checkpoint whose layers' linears have the values that are left of them once quantised. */
final class QuantizedCheckpoint implements Checkpoint {
  private final Checkpoint checkpoint;
  private final Quantization quantization;
  private final Set<String> linears = new HashSet<>();

  /** The values of the last one that was read. */
  private float[] values;

  private String name;

  /**
   * @param checkpoint is closed with this
   * @param quantization {@link Quantization#isForced}
   */
  QuantizedCheckpoint(Checkpoint checkpoint, EncoderConfig config, Quantization quantization) {
    this.checkpoint = checkpoint;
    this.quantization = quantization;
    String prefix = config.architecture().prefix() + ".";
    for (int layer = 0; layer < config.layers(); layer++) {
      for (String path : paths(config, layer)) {
        linears.add(path + ".weight");
        linears.add(prefix + path + ".weight");
      }
    }
    linears.retainAll(checkpoint.names());
  }

  /** Of a layer's linears, as checkpoints have them. */
  private static List<String> paths(EncoderConfig config, int layer) {
    Architecture names = config.architecture();
    return names.hasFusedProjections()
        ? List.of(
            names.fusedPath(layer, Projection.QUERY),
            names.fusedPath(layer, Projection.GATE),
            config.path(layer, Projection.ATTENTION_OUTPUT),
            config.path(layer, Projection.OUTPUT))
        : config.projections().stream().map(one -> config.path(layer, one)).toList();
  }

  @Override
  public String origin() {
    return checkpoint.origin();
  }

  @Override
  public Set<String> names() {
    return checkpoint.names();
  }

  @Override
  public long[] shape(String name) {
    return checkpoint.shape(name);
  }

  @Override
  public synchronized void readFloats(String name, long first, ByteBuffer target)
      throws IOException {
    if (!linears.contains(name)) {
      checkpoint.readFloats(name, first, target);
      return;
    }
    if (!name.equals(this.name)) {
      values = rounded(name);
      this.name = name;
    }
    int count = target.remaining() / Float.BYTES;
    target.asFloatBuffer().put(values, Math.toIntExact(first), count);
    target.position(target.limit());
  }

  private float[] rounded(String name) throws IOException {
    long[] shape = checkpoint.shape(name);
    int count = Math.toIntExact(shape[0] * shape[1]);
    Optional<QuantizedTensor> stored = quantization.stored(checkpoint, name);
    if (stored.isPresent()) {
      return stored.get().values(0, count);
    }
    try (QuantizedWeight own = QuantizedWeight.of(checkpoint, name, quantization.form())) {
      return own.values(0, count);
    }
  }

  /** In the type that the checkpoint has it in. */
  @Override
  public SafeTensors.Source source(String name) {
    SafeTensors.Source stored = checkpoint.source(name);
    return linears.contains(name) ? SafeTensors.rounded(this, name, stored.dtype()) : stored;
  }

  @Override
  public void close() throws IOException {
    checkpoint.close();
  }
}
