package org.prunepeft.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.FlatParameters;

/**
 * The task head: a linear classifier over the mean of the last hidden states. Always trained, never
 * pruned.
 */
public final class Head implements AutoCloseable {
  /** Keys in adapter files. */
  public static final String WEIGHT = "classifier.weight";

  public static final String BIAS = "classifier.bias";

  private final FlatParameters parameters;
  private final long labels;

  /**
   * A head of zeros.
   *
   * @param labels number of classes
   * @param hidden size of the pooled output
   */
  public Head(long labels, long hidden) {
    this.labels = labels;
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put(WEIGHT, new long[] {labels, hidden});
    shapes.put(BIAS, new long[] {labels});
    parameters = new FlatParameters(shapes);
  }

  /** A head of its own with the same weights. */
  public Head copy() {
    Head copy = new Head(labels, parameters.get(WEIGHT).size(1));
    try (NoGradGuard guard = new NoGradGuard()) {
      copy.parameters.values().copy_(parameters.values());
    }
    return copy;
  }

  public FlatParameters parameters() {
    return parameters;
  }

  /** Scores [B, labels] of pooled outputs [B, hidden]. */
  public Tensor logits(Tensor pooled) {
    return torch.linear(pooled, parameters.get(WEIGHT), new TensorOptional(parameters.get(BIAS)));
  }

  /** Mean over the real tokens, [B·T, hidden] to [B, hidden]. */
  public static Tensor pool(Tensor hidden, EncoderInput input) {
    long batch = input.ids().size(0);
    long length = input.ids().size(1);
    Tensor weights = input.mask().div(input.mask().sum(new long[] {1}, true, null)).unsqueeze(1);
    return torch.bmm(weights, hidden.view(batch, length, hidden.size(1))).squeeze(1);
  }

  @Override
  public void close() {
    parameters.close();
  }
}
