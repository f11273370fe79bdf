package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * Trained modules and head, apart from the model that they sit in: what adapter files hold.
 *
 * @param base base_model_name_or_path: the name of the model on the hub, or its directory
 * @param encoder its architecture and sizes
 * @param parts the modules' pieces; of updates that sit on one projection one is made
 * @param labels names of the classes, in the head's order
 * @param headWeight of the linear head over the mean of the last hidden states, [labels, hidden],
 *     or over more features, of two texts that were encoded by themselves; null: a language model,
 *     whose head is its own
 * @param headBias [labels]; null where there is no head
 */
public record TrainedAdapter(
    String base,
    EncoderConfig encoder,
    List<AdapterPart> parts,
    List<String> labels,
    Tensor headWeight,
    Tensor headBias) {
  /**
   * @throws IllegalArgumentException if updates sit on one projection that cannot be one; names
   *     both, and what to do instead
   */
  public TrainedAdapter {
    parts = JoinedUpdates.of(parts);
    labels = List.copyOf(labels);
  }

  /** The same for a base model that has this name. */
  public TrainedAdapter withBase(String base) {
    return new TrainedAdapter(base, encoder, parts, labels, headWeight, headBias);
  }

  /** The same with other pieces. */
  TrainedAdapter withParts(List<AdapterPart> parts) {
    return new TrainedAdapter(base, encoder, parts, labels, headWeight, headBias);
  }

  /** Whether it has a head of its own; a language model has not. */
  public boolean hasHead() {
    return headWeight != null;
  }

  /** Whether the head compares two texts, which no other library's head does. */
  public boolean headComparesTexts() {
    return hasHead() && headWeight.shape()[1] != encoder.hidden();
  }

  /** The low-rank updates. */
  List<LowRank> lowRank() {
    return select(LowRank.class);
  }

  /** The bottleneck adapters. */
  List<Bottleneck> bottlenecks() {
    return select(Bottleneck.class);
  }

  private <T extends AdapterPart> List<T> select(Class<T> kind) {
    List<T> selected = new ArrayList<>();
    for (AdapterPart part : parts) {
      if (kind.isInstance(part)) {
        selected.add(kind.cast(part));
      }
    }
    return selected;
  }
}
