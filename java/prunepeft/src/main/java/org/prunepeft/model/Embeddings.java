package org.prunepeft.model;

import java.io.IOException;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * The sum of word, position and token type embeddings, normalised.
 *
 * @param positions as the architecture counts them
 * @param types null: none
 * @param projection [hidden, embedding_size], applied to the normalised sum; null: none
 */
record Embeddings(
    EncoderConfig config,
    Tensor words,
    Tensor positions,
    Tensor types,
    LayerNorm norm,
    Tensor projection,
    Tensor projectionBias) {

  static Embeddings read(Weights weights, EncoderConfig config) throws IOException {
    long width = config.embedding();
    Tensor words = weights.take("embeddings.word_embeddings.weight", config.vocabulary(), width);
    Tensor positions =
        weights.take("embeddings.position_embeddings.weight", config.positions(), width);
    Tensor types =
        config.types() == 0
            ? null
            : weights.take("embeddings.token_type_embeddings.weight", config.types(), width);
    LayerNorm norm = weights.norm("embeddings.LayerNorm", width);
    if (width == config.hidden()) {
      return new Embeddings(config, words, positions, types, norm, null, null);
    }
    return new Embeddings(
        config,
        words,
        positions,
        types,
        norm,
        weights.take("embeddings_project.weight", config.hidden(), width),
        weights.take("embeddings_project.bias", config.hidden()));
  }

  /**
   * @return [B·T, hidden]
   */
  Tensor apply(EncoderInput input) {
    Tensor sum = torch.embedding(words, input.ids());
    sum.add_(positions(input));
    if (types != null) {
      sum.add_(config.types() == 1 ? types : torch.embedding(types, input.types()));
    }
    Tensor x = norm.apply(sum).view((long) input.rows() * input.length(), config.embedding());
    return projection == null ? x : torch.linear(x, projection, new TensorOptional(projectionBias));
  }

  /** [T,width], or [B,T,width] where a position depends on the tokens before it. */
  private Tensor positions(EncoderInput input) {
    return switch (config.architecture()) {
      case ROBERTA, XLM_ROBERTA -> {
        // Tokens that are no padding count from padding + 1 on; padding itself is at `padding`.
        Scalar padding = new Scalar(config.padding());
        Tensor real = input.ids().ne(padding).to(torch.ScalarType.Long);
        Tensor places = torch.cumsum(real, 1).mul_(real).add_(padding);
        yield torch.embedding(positions, places);
      }
      default -> positions.narrow(0, 0, input.length());
    };
  }
}
