package org.prunepeft.model;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.ComputeDevice;

/**
 * Disentangled attention (He et al. 2021, DeBERTa). With content Q, K and relative positions' Q',
 * K':
 *
 * <pre>{@code
 * score(i,j) = (Q_i·K_j + Q_i·K'_δ(i,j) + K_j·Q'_δ(i,j)) / √(d (1 + number of position terms))
 * }</pre>
 *
 * <p>δ(i,j) is the bucket of i − j ({@link RelativeAttention#bucket}). The paper writes δ(j,i) in
 * the last term; the authors' code, by which all checkpoints were trained, takes δ(i,j).
 */
final class Deberta implements SelfAttention {
  private final RelativeAttention relative;
  private final int heads;

  private final PositionTable table;

  /** By distance, from 1 - maxTokens on: its bucket's row of the table, int64. */
  private final Tensor rows;

  private final List<PositionProjections> projections = new ArrayList<>();

  /**
   * The embeddings of relative positions.
   *
   * @param embeddings [2·span, hidden]
   * @param norm null: they are not normalised
   * @param constant normalised, as long as nothing of it is trained
   */
  private record PositionTable(Tensor embeddings, LayerNorm norm, Tensor constant) {
    PositionTable(Tensor embeddings, LayerNorm norm) {
      this(embeddings, norm, norm == null ? embeddings : norm.apply(embeddings));
    }

    Tensor get() {
      return norm != null && embeddings.requires_grad() ? norm.apply(embeddings) : constant;
    }
  }

  /**
   * A projection of positions, on which nothing sits, so that its result is a constant as long as
   * it is not trained.
   *
   * @param constant [2·span, hidden]
   */
  private record PositionProjection(Tensor weight, Tensor bias, Tensor constant) {
    PositionProjection(Tensor weight, Tensor bias, PositionTable table) {
      this(weight, bias, torch.linear(table.get(), weight, new TensorOptional(bias)));
    }

    Tensor of(PositionTable table) {
      return weight.requires_grad()
          ? torch.linear(table.get(), weight, new TensorOptional(bias))
          : constant;
    }
  }

  /**
   * A layer's.
   *
   * @param shared the content's query, key and value, whose first two positions go through; null:
   *     not shared
   * @param query gives Q'; null: none, or shared
   * @param key gives K', likewise
   */
  private record PositionProjections(
      FrozenLinear shared, PositionProjection query, PositionProjection key) {}

  private Deberta(RelativeAttention relative, int heads, int maxTokens, PositionTable table) {
    this.relative = relative;
    this.heads = heads;
    this.table = table;
    long[] places = new long[2 * maxTokens - 1];
    for (int i = 0; i < places.length; i++) {
      places[i] = relative.bucket(i + 1 - maxTokens) + relative.span();
    }
    rows = ComputeDevice.of(table.embeddings).longs(places, places.length);
  }

  static Deberta read(EncoderWeights weights, EncoderConfig config) throws IOException {
    RelativeAttention relative = config.relative();
    Tensor table =
        weights.take("encoder.rel_embeddings.weight", 2L * relative.span(), config.hidden());
    LayerNorm norm =
        relative.normalised() ? weights.norm("encoder.LayerNorm", config.hidden()) : null;
    return new Deberta(
        relative, config.heads(), config.maxTokens(), new PositionTable(table, norm));
  }

  /**
   * To be called for every layer, in their order.
   *
   * @param content the stacked query, key and value
   */
  void readLayer(EncoderWeights weights, String path, FrozenLinear content) throws IOException {
    if (relative.sharedProjections()) {
      projections.add(new PositionProjections(content, null, null));
      return;
    }
    projections.add(
        new PositionProjections(
            null,
            relative.positionToContent()
                ? projection(weights, path + ".attention.self.pos_query_proj")
                : null,
            relative.contentToPosition()
                ? projection(weights, path + ".attention.self.pos_key_proj")
                : null));
  }

  private PositionProjection projection(EncoderWeights weights, String path) throws IOException {
    long hidden = table.embeddings.size(1);
    return new PositionProjection(
        weights.take(path + ".weight", hidden, hidden),
        weights.take(path + ".bias", hidden),
        table);
  }

  @Override
  public List<Tensor> weights(int layer) {
    List<Tensor> weights = new ArrayList<>(List.of(table.embeddings));
    if (table.norm != null) {
      weights.addAll(table.norm.tensors());
    }
    PositionProjections own = projections.get(layer);
    Stream.of(own.query, own.key)
        .filter(Objects::nonNull)
        .forEach(projection -> weights.addAll(List.of(projection.weight, projection.bias)));
    return weights;
  }

  @Override
  public Tensor apply(int layer, Tensor qkv, EncoderInput input, Insertions insertions) {
    TensorVector split = SelfAttention.split(Precision.FLOAT32.of(qkv), input, heads);
    Tensor query = split.get(0);
    Tensor key = split.get(1);
    long batch = input.rows();
    long length = input.length();
    // Rows of the table that this length reaches.
    int span = relative.span();
    int reach = relative.bucket((int) length - 1);
    int first = Math.max(0, span - reach);
    int count = Math.min(2 * span, span + reach + 1) - first;
    Tensor places = places(length, first, count);
    PositionProjections own = projections.get(layer);
    long hidden = table.embeddings.size(1);
    Tensor positionQuery =
        own.query == null ? null : byHead(own.query.of(table).narrow(0, first, count));
    Tensor positionKey = own.key == null ? null : byHead(own.key.of(table).narrow(0, first, count));
    if (own.shared != null) {
      Tensor qk =
          Precision.FLOAT32.of(
              own.shared.apply(
                  insertions, own.shared.cast(table.get().narrow(0, first, count)), false));
      positionQuery = byHead(qk.narrow(1, 0, hidden));
      positionKey = byHead(qk.narrow(1, hidden, hidden));
    }
    int terms = 1;
    Tensor scores = query.matmul(key.transpose(-1, -2));
    if (relative.contentToPosition()) {
      Tensor byPlace = query.matmul(positionKey.transpose(-1, -2));
      scores = scores.add(byPlace.gather(-1, places.expand(batch, heads, length, length)));
      terms++;
    }
    if (relative.positionToContent()) {
      Tensor byPlace = key.matmul(positionQuery.transpose(-1, -2));
      Tensor mirrored = places.transpose(-1, -2).expand(batch, heads, length, length);
      scores = scores.add(byPlace.gather(-1, mirrored).transpose(-1, -2));
      terms++;
    }
    scores = scores.mul(new Scalar(1 / Math.sqrt((double) hidden / heads * terms)));
    Tensor bias = input.attentionBias();
    if (bias != null) {
      scores = scores.add(bias);
    }
    Tensor context = torch.softmax(scores, -1).matmul(split.get(2));
    return context.transpose(1, 2).reshape(batch * length, hidden);
  }

  /** [2·span, hidden] to [heads, 2·span, hidden / heads]. */
  private Tensor byHead(Tensor positions) {
    return positions.reshape(positions.size(0), heads, positions.size(1) / heads).permute(1, 0, 2);
  }

  /** δ(i,j) as row numbers of the table from row `first` on, [1,1,T,T]. */
  private Tensor places(long length, int first, int count) {
    Tensor positions = torch.arange(new Scalar(length), rows.options());
    Tensor distances = positions.unsqueeze(1).sub(positions.unsqueeze(0));
    // The shortest distance of all, 1 - maxTokens, is the first of the rows.
    Tensor found = rows.index_select(0, distances.add(new Scalar(rows.size(0) / 2)).view(-1));
    return found
        .sub(new Scalar(first))
        .clamp_min_(new Scalar(0))
        .clamp_max_(new Scalar(count - 1))
        .view(1, 1, length, length);
  }
}
