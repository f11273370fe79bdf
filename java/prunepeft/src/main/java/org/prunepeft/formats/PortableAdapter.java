package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An adapter for what reads PEFT's files but not all of their fields, such as vLLM: LoRA of one
 * rank for all modules, and of the scale 1. What has a smaller rank is padded with zeros, and
 * scales go into B.
 */
public final class PortableAdapter {
  /** vLLM's default for {@code --max-lora-rank}. */
  private static final int DEFAULT_RANK = 16;

  /** What it may be else. */
  private static final List<Integer> LARGER_RANKS = List.of(32, 64, 128, 256, 320, 512);

  private static final Logger LOG = LoggerFactory.getLogger(PortableAdapter.class);

  private PortableAdapter() {}

  /**
   * {@return the same adapter in that form, which computes the same}
   *
   * @throws IllegalArgumentException if it cannot have it: it is no language model's, or not of
   *     LoRA alone
   */
  public static TrainedAdapter of(TrainedAdapter adapter) {
    List<LowRank> updates =
        StoredLinear.fuse(adapter.encoder(), PlainLora.required(adapter, "vLLM"));
    int rank = updates.stream().mapToInt(LowRank::rank).max().orElseThrow();
    if (rank > DEFAULT_RANK) {
      LOG.warn(
          "the adapter has rank {}: vLLM takes {} unless it is started with --max-lora-rank {}",
          rank,
          DEFAULT_RANK,
          LARGER_RANKS.stream().filter(larger -> larger >= rank).findFirst().orElse(rank));
    }
    List<AdapterPart> parts = new ArrayList<>();
    updates.forEach(update -> parts.add(PlainLora.padded(PlainLora.of(update), rank)));
    return adapter.withParts(parts);
  }
}
