package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;

/**
 * A frozen pre-trained language model whose tokens see those before them. Its hidden states are
 * normalised after the last layer: they are what the output weight takes.
 */
public interface Decoder extends Encoder {
  /**
   * {@return lm_head, [vocabulary, hidden], in the model's precision; the word embeddings where
   * they are tied. Owned by the model}
   */
  Tensor outputWeight();

  /** {@return soft cap of the logits, cap · tanh(logit / cap); 0: none} */
  double logitCap();

  /**
   * Hidden states of tokens that follow those of earlier calls.
   *
   * @param input T new tokens a row. Its {@code starts}, if any, count from the beginning of the
   *     cache's rows; null: as in the call before. Prompts of different lengths are padded on the
   *     left
   * @param cache keys and values of the tokens before; gets those of the new ones too
   * @param insertions what sits in the model; the same at each call
   * @return [B·T, hidden]; rows of padding hold no meaning
   * @throws IllegalArgumentException if the cache has no place for so many tokens or rows
   */
  Tensor next(EncoderInput input, KeyValueCache cache, Insertions insertions);
}
