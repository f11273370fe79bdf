package org.prunepeft.model;

import static org.prunepeft.torch.Torch.none;

import java.io.IOException;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * The sum of word, position and token type embeddings, normalised. Where the tables are of another
 * width than the layers, ELECTRA projects the normalised sum, DeBERTa the sum before it is
 * normalised.
 *
 * @param positions null: none
 * @param types null: none
 * @param projection [hidden, embedding_size]; null: none
 * @param projectionBias null: none
 */
record Embeddings(
    EncoderConfig config,
    Tensor words,
    Tensor positions,
    Tensor types,
    Tensor projection,
    Tensor projectionBias,
    LayerNorm norm) {

  static Embeddings read(EncoderWeights weights, EncoderConfig config) throws IOException {
    long width = config.embedding();
    long hidden = config.hidden();
    boolean deberta = config.architecture() == Architecture.DEBERTA_V2;
    String table = "embeddings.position_embeddings.weight";
    if (!config.absolutePositions()) {
      weights.leave(table);
    }
    boolean projected = width != hidden;
    return new Embeddings(
        config,
        weights.take("embeddings.word_embeddings.weight", config.vocabulary(), width),
        config.absolutePositions() ? weights.take(table, config.positions(), width) : null,
        config.types() == 0
            ? null
            : weights.take("embeddings.token_type_embeddings.weight", config.types(), width),
        !projected
            ? null
            : weights.take(
                deberta ? "embeddings.embed_proj.weight" : "embeddings_project.weight",
                hidden,
                width),
        !projected || deberta ? null : weights.take("embeddings_project.bias", hidden),
        weights.norm("embeddings.LayerNorm", deberta ? hidden : width));
  }

  /**
   * @return [B·T, hidden]
   */
  Tensor apply(EncoderInput input) {
    Tensor sum = torch.embedding(words, input.ids());
    if (positions != null) {
      sum.add_(positions(input));
    }
    if (types != null) {
      sum.add_(config.types() == 1 ? types : torch.embedding(types, input.types()));
    }
    Tensor x = sum.view((long) input.rows() * input.length(), config.embedding());
    return config.architecture() == Architecture.DEBERTA_V2
        ? norm.apply(project(x))
        : project(norm.apply(x));
  }

  private Tensor project(Tensor x) {
    return projection == null
        ? x
        : torch.linear(
            x, projection, projectionBias == null ? none() : new TensorOptional(projectionBias));
  }

  /** [T,width], or [B,T,width] where a position depends on the tokens before it. */
  private Tensor positions(EncoderInput input) {
    if (!config.architecture().positionsBehindPadding()) {
      return positions.narrow(0, 0, input.length());
    }
    // Tokens that are no padding count from padding + 1 on; padding itself is at `padding`.
    Scalar padding = new Scalar(config.padding());
    Tensor real = input.ids().ne(padding).to(torch.ScalarType.Long);
    Tensor places = torch.cumsum(real, 1).mul_(real).add_(padding);
    return torch.embedding(positions, places);
  }
}
