package org.prunepeft.train.head;

import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Precision;
import org.prunepeft.torch.Torch;

/** Which of a text's hidden states stand for it. */
public enum Pooling {
  /** The mean over the real tokens. */
  MEAN {
    @Override
    public Tensor of(Tensor hidden, EncoderInput input) {
      Tensor mask = input.mask();
      Tensor weights = mask.div(mask.sum(new long[] {1}, true, null));
      Tensor rows = Precision.FLOAT32.of(hidden).view(input.rows(), input.length(), hidden.size(1));
      return torch.bmm(weights.unsqueeze(1), rows).squeeze(1);
    }
  },
  /** The last real token, which alone sees the whole text where tokens see those before them. */
  LAST {
    @Override
    public Tensor of(Tensor hidden, EncoderInput input) {
      Tensor mask = input.mask();
      Tensor last = torch.cumsum(mask, 1).mul(mask).argmax(new LongOptional(1), false);
      Tensor first = Torch.range(input.device(), input.rows()).mul(new Scalar(input.length()));
      return Precision.FLOAT32.of(hidden.index_select(0, first.add(last)));
    }
  };

  /** {@return what suits a model} */
  public static Pooling of(EncoderConfig config) {
    return config.decoder() == null ? MEAN : LAST;
  }

  /**
   * {@return what stands for each text, [B, hidden] in float32}
   *
   * @param hidden [B·T, hidden]
   * @param input the batch that they come from
   */
  public abstract Tensor of(Tensor hidden, EncoderInput input);
}
