package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;

/**
 * Low-rank updates that modules of several types have on one projection, as the one update that
 * they are together: its ranks are those of all, and their scales are in B.
 */
final class JoinedUpdates {
  private JoinedUpdates() {}

  /**
   * Pieces of which no two are updates of one projection.
   *
   * @throws IllegalArgumentException if what two compute together is no low-rank update
   */
  static List<AdapterPart> of(List<AdapterPart> parts) {
    Map<String, List<LowRank>> updates = new LinkedHashMap<>();
    for (AdapterPart part : parts) {
      if (part instanceof LowRank update) {
        updates.computeIfAbsent(update.path(), path -> new ArrayList<>()).add(update);
      }
    }
    if (updates.values().stream().allMatch(own -> own.size() == 1)) {
      return List.copyOf(parts);
    }
    List<AdapterPart> joined = new ArrayList<>();
    for (AdapterPart part : parts) {
      if (!(part instanceof LowRank update)) {
        joined.add(part);
        continue;
      }
      List<LowRank> own = updates.remove(update.path());
      if (own != null) {
        joined.add(own.size() == 1 ? update : joined(own));
      }
    }
    return joined;
  }

  private static LowRank joined(List<LowRank> own) {
    LowRank first = own.get(0);
    if (own.stream().anyMatch(update -> update.magnitude() != null)) {
      throw new IllegalArgumentException(
          "modules of %d types sit on %s, %s, which together are no low-rank update; train without --use-dora, or on one type's projections without the other (--target-modules, --module-settings)"
              .formatted(
                  own.size(),
                  first.path(),
                  own.stream().map(JoinedUpdates::kind).collect(Collectors.joining(" and "))));
    }
    int rank = own.stream().mapToInt(LowRank::rank).sum();
    int inputs = (int) first.a().shape()[1];
    int outputs = (int) first.b().shape()[0];
    float[] a = new float[Math.multiplyExact(rank, inputs)];
    float[] b = new float[Math.multiplyExact(outputs, rank)];
    int done = 0;
    for (LowRank update : own) {
      LowRank part = PlainLora.of(update);
      int ranks = part.rank();
      System.arraycopy(part.a().values(), 0, a, done * inputs, ranks * inputs);
      for (int row = 0; row < outputs; row++) {
        System.arraycopy(part.b().values(), row * ranks, b, row * rank + done, ranks);
      }
      done += ranks;
    }
    return AdapterPartLowRankBuilder.builder(first)
        .a(new Tensor(new long[] {rank, inputs}, a))
        .b(new Tensor(new long[] {outputs, rank}, b))
        .alpha(rank)
        .rsLora(false)
        .dropout(0)
        .singular(null)
        .build();
  }

  private static String kind(LowRank update) {
    return update.magnitude() != null ? "DoRA" : update.singular() != null ? "AdaLoRA" : "LoRA";
  }
}
