package org.prunepeft.train.head;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Precision;

/** Which of a text's hidden states stand for it. */
public enum Pooling {
  /** The mean over the real tokens. */
  MEAN {
    @Override
    Tensor weights(Tensor mask) {
      return mask.div(mask.sum(new long[] {1}, true, null));
    }
  },
  /** The last real token, which alone sees the whole text where tokens see those before them. */
  LAST {
    @Override
    Tensor weights(Tensor mask) {
      Tensor last = torch.cumsum(mask, 1).mul(mask).argmax(new LongOptional(1), true);
      return torch.zeros_like(mask).scatter(1, last, torch.ones_like(mask));
    }
  };

  /** {@return what suits a model} */
  public static Pooling of(EncoderConfig config) {
    return config.decoder() == null ? MEAN : LAST;
  }

  /** [B,T] that add up to 1 in each row, of a mask [B,T]. */
  abstract Tensor weights(Tensor mask);

  /**
   * {@return what stands for each text, [B, hidden] in float32}
   *
   * @param hidden [B·T, hidden]
   * @param input the batch that they come from
   */
  public Tensor of(Tensor hidden, EncoderInput input) {
    Tensor rows = Precision.FLOAT32.of(hidden).view(input.rows(), input.length(), hidden.size(1));
    return torch.bmm(weights(input.mask()).unsqueeze(1), rows).squeeze(1);
  }
}
