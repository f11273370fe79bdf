package org.prunepeft.formats;

import java.util.List;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;

/** Low-rank updates with all that scales them in B: W + B·A, and of DoRA m·(W + B·A)/‖W + B·A‖. */
final class PlainLora {
  private PlainLora() {}

  /**
   * The updates of a language model for what takes LoRA alone.
   *
   * @param reader what takes them: vLLM, llama.cpp
   * @throws IllegalArgumentException if the adapter has something else; says what to do instead
   */
  static List<LowRank> required(TrainedAdapter adapter, String reader) {
    if (adapter.hasHead()) {
      throw new IllegalArgumentException(
          "%s takes adapters of language models, and this run has a head of its own; --format peft holds it, and --merge writes a whole model with it"
              .formatted(reader));
    }
    int bottlenecks = adapter.bottlenecks().size();
    if (bottlenecks > 0) {
      throw new IllegalArgumentException(
          "%s has no bottleneck adapters, and %d of this run's modules are some; search with --adapter-size 0 for LoRA alone"
              .formatted(reader, bottlenecks));
    }
    List<LowRank> updates = adapter.lowRank();
    if (updates.isEmpty()) {
      throw new IllegalArgumentException(
          "%s needs at least one LoRA module, and this run has none; --merge writes the whole model, or keep more modules (--keep)"
              .formatted(reader));
    }
    if (updates.stream().anyMatch(update -> update.magnitude() != null)) {
      throw new IllegalArgumentException(
          "%s takes no DoRA, and this run's low-rank updates are some; --merge writes a whole model that %s takes, or train without --use-dora"
              .formatted(reader, reader));
    }
    return updates;
  }

  /** What a configuration says once of all updates. */
  private record Settings(boolean rsLora, double dropout, AdaLoraConfig adaLora) {
    static Settings of(LowRank update) {
      return new Settings(
          update.rsLora(),
          update.dropout(),
          update.singular() == null ? null : update.singular().config());
    }
  }

  /**
   * The same updates with one kind of scale and one dropout: as they are where they have that, else
   * {@linkplain #withoutSettings without}.
   */
  static List<LowRank> alike(List<LowRank> updates) {
    return updates.stream().map(Settings::of).distinct().count() > 1
        ? updates.stream().map(PlainLora::withoutSettings).toList()
        : updates;
  }

  /**
   * The same update as LoRA whose scale, alpha / r, is 1: rank-stabilised scales, other alphas and
   * AdaLoRA's singular values go into B.
   */
  static LowRank of(LowRank update) {
    return scaled(update, update.rank());
  }

  /** That without dropout, which matters to a training alone. */
  static LowRank withoutSettings(LowRank update) {
    return AdapterPartLowRankBuilder.builder(of(update)).dropout(0).build();
  }

  /**
   * The same update as LoRA with that alpha, so that its scale is alpha / r. Where that is its
   * scale already, B's values stay as they are.
   *
   * @throws IllegalArgumentException if a value of B is too large then; names the update
   */
  static LowRank scaled(LowRank update, double alpha) {
    int rank = update.rank();
    float[] b = update.b().values().clone();
    for (int i = 0; i < b.length; i++) {
      b[i] = (float) (update.scale(i % rank) * rank / alpha * b[i]);
      if (!Float.isFinite(b[i])) {
        throw new IllegalArgumentException(
            "the update of %s has lora_alpha %s, by which its B, scaled, has %s as value %d; train it anew with a smaller alpha"
                .formatted(update.path(), update.alpha(), b[i], i));
      }
    }
    return AdapterPartLowRankBuilder.builder(update)
        .b(new Tensor(update.b().shape(), b))
        .alpha(alpha)
        .rsLora(false)
        .singular(null)
        .build();
  }

  /**
   * The same update with that rank: rows of A and columns of B are added that are 0.
   *
   * @param update whose scale is 1
   * @param rank at least its own
   */
  static LowRank padded(LowRank update, int rank) {
    int own = update.rank();
    int inputs = (int) update.a().shape()[1];
    int outputs = (int) update.b().shape()[0];
    float[] a = new float[Math.multiplyExact(rank, inputs)];
    float[] b = new float[Math.multiplyExact(outputs, rank)];
    System.arraycopy(update.a().values(), 0, a, 0, own * inputs);
    for (int row = 0; row < outputs; row++) {
      System.arraycopy(update.b().values(), row * own, b, row * rank, own);
    }
    return AdapterPartLowRankBuilder.builder(update)
        .a(new Tensor(new long[] {rank, inputs}, a))
        .b(new Tensor(new long[] {outputs, rank}, b))
        .alpha(rank)
        .build();
  }
}
