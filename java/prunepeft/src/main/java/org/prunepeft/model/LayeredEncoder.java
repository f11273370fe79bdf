package org.prunepeft.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.io.FormatException;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** An encoder or decoder whose weights are a checkpoint's: what it owns, and how that is freed. */
abstract class LayeredEncoder implements Encoder {
  private static final Logger LOG = LoggerFactory.getLogger(LayeredEncoder.class);

  final EncoderConfig config;
  final Precision precision;
  final ComputeDevice device;

  /** Of all layers. */
  final List<FrozenLinear> linears = new ArrayList<>();

  private PointerScope scope;
  private List<FlatParameters.Stacked> own;

  LayeredEncoder(EncoderConfig config, Precision precision, ComputeDevice device) {
    this.config = config;
    this.precision = precision;
    this.device = device;
  }

  /**
   * Takes over what was read. A constructor calls it last: only a whole encoder outlives its scope.
   *
   * @param origin of the weights, whose tensors that were not read are named in the log
   * @param whole in which all tensors were made
   * @throws FormatException if there are tensors that the configuration has no place for
   */
  final void own(EncoderWeights weights, String origin, PointerScope whole) throws FormatException {
    own = weights.taken();
    Set<String> unread = weights.finish();
    if (!unread.isEmpty()) {
      LOG.info("not read from {}: {}", origin, String.join(", ", unread));
    }
    scope = whole;
    whole.extend();
  }

  @Override
  public final EncoderConfig config() {
    return config;
  }

  @Override
  public final ComputeDevice device() {
    return device;
  }

  @Override
  public final Precision precision() {
    return precision;
  }

  @Override
  public FlatParameters trainable() {
    precision.requireTrainable();
    linears.forEach(FrozenLinear::requireTrainable);
    // LibTorch multiplies by what is trained; the kernels' forms would only take memory.
    linears.forEach(FrozenLinear::close);
    return FlatParameters.adopt(own);
  }

  @Override
  public final void keepPreparedAlone() {
    linears.forEach(FrozenLinear::keepPreparedAlone);
  }

  @Override
  public void close() {
    linears.forEach(FrozenLinear::close);
    scope.close();
    Pointer.trimMemory(); // the C library would keep what was freed
  }
}
