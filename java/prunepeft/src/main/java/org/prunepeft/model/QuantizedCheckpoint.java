package org.prunepeft.model;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.prunepeft.checkpoint.ChangedCheckpoint;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;

/** A checkpoint whose layers' linears have the values that are left of them once quantised. */
final class QuantizedCheckpoint extends ChangedCheckpoint {
  private final Checkpoint checkpoint;
  private final Quantization quantization;
  private final Set<String> linears = new HashSet<>();

  /**
   * @param checkpoint is closed with this
   * @param quantization {@link Quantization#isForced}
   */
  QuantizedCheckpoint(Checkpoint checkpoint, EncoderConfig config, Quantization quantization) {
    super(checkpoint);
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
  protected boolean changes(String name) {
    return linears.contains(name);
  }

  @Override
  protected float[] changed(String name) throws IOException {
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
}
