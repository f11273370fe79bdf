package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.LoraConfig;

/**
 * The configuration in which each piece of an adapter file is a module of its own.
 *
 * @param lora null: no low-rank updates
 * @param adapter null: no bottlenecks
 */
public record ImportedModules(LoraConfig lora, AdapterConfig adapter) {
  /**
   * @throws IllegalArgumentException if there is no piece, or pieces of a kind differ in what a
   *     configuration has once
   */
  public static ImportedModules of(List<AdapterPart> parts, EncoderConfig encoder) {
    List<LowRank> updates = new ArrayList<>();
    List<Bottleneck> bottlenecks = new ArrayList<>();
    for (AdapterPart part : parts) {
      if (part instanceof LowRank update) {
        updates.add(update);
      } else if (part instanceof Bottleneck bottleneck) {
        bottlenecks.add(bottleneck);
      }
    }
    if (parts.isEmpty()) {
      throw new IllegalArgumentException("the adapter has no modules in this model");
    }
    return new ImportedModules(
        updates.isEmpty() ? null : lora(updates, encoder),
        bottlenecks.isEmpty() ? null : adapter(bottlenecks, encoder));
  }

  private static LoraConfig lora(List<LowRank> updates, EncoderConfig encoder) {
    Set<String> targets = new LinkedHashSet<>();
    Map<String, Integer> ranks = new TreeMap<>();
    Map<String, Double> alphas = new TreeMap<>();
    int rank = SharedSettings.mostFrequent(updates, LowRank::rank);
    double alpha = SharedSettings.mostFrequent(updates, LowRank::alpha);
    for (LowRank update : updates) {
      for (Projection projection : encoder.projections()) {
        if (encoder.path(update.layer(), projection).equals(update.path())) {
          targets.add(projection.target());
        }
      }
      if (update.rank() != rank) {
        ranks.put(update.path(), update.rank());
      }
      if (update.alpha() != alpha) {
        alphas.put(update.path(), update.alpha());
      }
    }
    return LoraConfig.builder()
        .rank(rank)
        .alpha(alpha)
        .dropout(common(updates, LowRank::dropout, "dropout"))
        .targets(List.copyOf(targets))
        .rsLora(common(updates, LowRank::rsLora, "use_rslora"))
        .dora(common(updates, update -> update.magnitude() != null, "use_dora"))
        .perProjection(true)
        .rankPattern(ranks)
        .alphaPattern(alphas)
        .adaLora(
            common(
                updates,
                update -> update.singular() == null ? null : update.singular().config(),
                "AdaLoRA configuration"))
        .build();
  }

  private static AdapterConfig adapter(List<Bottleneck> bottlenecks, EncoderConfig encoder) {
    AdapterConfig.Style style =
        switch (common(bottlenecks, Bottleneck::input, "original_ln_before and is_parallel")) {
          case NORMED_SUM -> AdapterConfig.Style.PFEIFFER;
          case OUTPUT -> AdapterConfig.Style.HOULSBY;
          case RESIDUAL -> AdapterConfig.Style.PARALLEL;
        };
    Set<Block> places = EnumSet.noneOf(Block.class);
    bottlenecks.forEach(bottleneck -> places.add(bottleneck.place()));
    if (style != AdapterConfig.Style.HOULSBY && places.contains(Block.ATTENTION)) {
      throw new IllegalArgumentException(
          "adapters at attention (mh_adapter) that are parallel or see the normalised sum"
              + " (is_parallel, original_ln_before) are not supported; only Houlsby's are");
    }
    int size = SharedSettings.mostFrequent(bottlenecks, Bottleneck::size);
    Map<String, Integer> sizes = new TreeMap<>();
    for (Bottleneck bottleneck : bottlenecks) {
      if (bottleneck.size() != size) {
        sizes.put(
            AdapterConfig.path(encoder, bottleneck.layer(), bottleneck.place()), bottleneck.size());
      }
    }
    Activation activation = common(bottlenecks, Bottleneck::activation, "non_linearity");
    return new AdapterConfig(
        size, activation, style, common(bottlenecks, Bottleneck::scaling, "scaling"), sizes);
  }

  private static <P, T> T common(List<P> parts, Function<P, T> of, String setting) {
    return SharedSettings.common(
        parts, of, "the adapter's modules must have one " + setting + ", got");
  }
}
