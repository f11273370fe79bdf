package org.prunepeft.train.head;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * What a head sees of two texts that were encoded by themselves: their pooled outputs u and v, how
 * far these are from each other in each coordinate, and their cosine.
 */
public final class PairFeatures {
  /** In their order; all but the cosine are as wide as the encoder. */
  public static final List<String> NAMES = List.of("u", "v", "|u-v|", "cos(u,v)");

  /** The least that a norm counts as in the cosine. */
  private static final double EPSILON = 1e-8;

  private PairFeatures() {}

  /** {@return how many features there are} */
  public static int width(int hidden) {
    return (NAMES.size() - 1) * hidden + 1;
  }

  /**
   * {@return what the standardised cosine is multiplied by in a fit with a penalty} It then varies
   * as much as all coordinates of u together, and so costs as little.
   *
   * @param width how many features there are
   */
  static double cosineScale(int width) {
    return Math.sqrt((width - 1) / (NAMES.size() - 1));
  }

  /**
   * {@return features [B, 3·hidden + 1], through which gradients flow}
   *
   * @param pooled [2·B, hidden], the two texts of a pair one below the other
   */
  static Tensor of(Tensor pooled) {
    Tensor pairs = pooled.view(pooled.size(0) / 2, 2, pooled.size(1));
    Tensor u = pairs.select(1, 0);
    Tensor v = pairs.select(1, 1);
    Tensor cosine = torch.cosine_similarity(u, v, 1, EPSILON).unsqueeze(1);
    return torch.cat(new TensorVector(u, v, u.sub(v).abs(), cosine), 1);
  }
}
