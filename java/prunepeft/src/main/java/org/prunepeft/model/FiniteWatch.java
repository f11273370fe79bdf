package org.prunepeft.model;

import java.util.Optional;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.Tape;

/** What sits in a model, watched: notes the first place whose output is NaN or infinite. */
public final class FiniteWatch implements Insertions {
  private final Encoder encoder;
  private final Insertions watched;

  /** Null: all was finite so far. */
  private String first;

  private FiniteWatch(Encoder encoder, Insertions watched) {
    this.encoder = encoder;
    this.watched = watched;
  }

  /**
   * Makes a pass anew, to see where its numbers cease to be finite. Within a PointerScope and
   * without gradients.
   *
   * @param input of the pass
   * @param insertions what sits in the model, ready for a pass
   * @param after makes the outputs of the hidden states
   * @param name of what makes them, such as the head
   * @return the first place by the model's order whose output is not finite, such as embeddings or
   *     encoder.layer.0.output.dense; empty: all outputs are finite
   */
  public static Optional<String> first(
      Encoder encoder,
      EncoderInput input,
      Insertions insertions,
      UnaryOperator<Tensor> after,
      String name) {
    Tensor embedded = encoder.embed(input);
    if (!isFinite(embedded)) {
      return Optional.of("embeddings");
    }
    FiniteWatch watch = new FiniteWatch(encoder, insertions);
    Tensor hidden = encoder.layers(0, encoder.config().layers(), embedded, input, watch);
    if (watch.first == null && !isFinite(after.apply(hidden))) {
      watch.first = isFinite(hidden) ? name : "the last layer";
    }
    return Optional.ofNullable(watch.first);
  }

  /** {@return whether no number of a tensor is NaN or infinite} */
  public static boolean isFinite(Tensor tensor) {
    try (PointerScope temporary = new PointerScope()) {
      return torch.isfinite(tensor).all().item_bool();
    }
  }

  /**
   * {@return what {@link #first} found, for an error}
   *
   * @param place that it gave
   */
  public static String described(Optional<String> place) {
    return place
        .map(first -> "the first that is not finite is the output of " + first)
        .orElse("the output of each module is finite");
  }

  @Override
  public Tape tape() {
    return watched.tape();
  }

  @Override
  public OnLinear on(FrozenLinear linear, boolean tokens) {
    return watched.on(linear, tokens);
  }

  @Override
  public boolean seesEachLinear() {
    return true;
  }

  @Override
  public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
    Tensor result = watched.afterLinear(linear, x, y);
    for (FrozenLinear.Part part : linear.parts()) {
      note(part.path(), result.narrow(1, part.firstRow(), part.rows()));
    }
    return result;
  }

  @Override
  public Tensor afterBlock(Block block, int layer, Tensor h, Tensor input, LayerNorm norm) {
    String path =
        encoder
            .config()
            .path(
                layer, block == Block.ATTENTION ? Projection.ATTENTION_OUTPUT : Projection.OUTPUT);
    note(path, h);
    Tensor result = watched.afterBlock(block, layer, h, input, norm);
    note("the adapter behind " + path, result);
    return result;
  }

  private void note(String place, Tensor tensor) {
    if (first == null && !isFinite(tensor)) {
      first = place;
    }
  }
}
