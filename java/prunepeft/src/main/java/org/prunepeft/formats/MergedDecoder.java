package org.prunepeft.formats;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.formats.MergedCheckpoint.Fold;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * A language model's directory with the low-rank updates in the weights: all tensors of the base
 * model by its own names and in its own types, its config.json, and the files of tokenizer, chat
 * template and generation. With a head for classes it has that in place of an output layer, and the
 * class that computes it.
 */
public final class MergedDecoder {
  /** What it says was undone when the weights were read. */
  private static final String QUANTIZATION = "quantization_config";

  private static final String OUTPUT = "lm_head.weight";

  private MergedDecoder() {}

  /**
   * Writes a model.
   *
   * @param adapter that {@link MergedModel#require} takes
   * @param weights of the base model, as they are stored; read, not closed
   * @param base the base model's directory
   * @param target open for writing
   * @throws FormatException if the adapter does not fit the weights
   * @throws IOException if reading or writing fails
   */
  public static void write(
      TrainedAdapter adapter, Checkpoint weights, HuggingFaceDirectory base, RunDirectory target)
      throws IOException {
    MergedModel.require(adapter);
    Checkpoint merged = merged(adapter, weights);
    Map<String, SafeTensors.Source> tensors = new TreeMap<>();
    String prefix = adapter.encoder().architecture().prefix() + ".";
    // Beside an output layer Hugging Face's library looks for the others behind their prefix.
    boolean bare =
        (adapter.hasHead() || merged.names().contains(OUTPUT))
            && merged.names().stream().noneMatch(name -> name.startsWith(prefix));
    merged
        .names()
        .forEach(
            name ->
                tensors.put(
                    bare && !name.equals(OUTPUT) ? prefix + name : name, merged.source(name)));
    Map<String, Object> changes = new LinkedHashMap<>();
    if (base.config().has(QUANTIZATION)) {
      changes.put(QUANTIZATION, null);
    }
    if (adapter.hasHead()) {
      tensors.keySet().removeIf(name -> !name.startsWith(prefix)); // such as an output layer
      Checkpoint head = SequenceClassifier.head(adapter);
      head.names().forEach(name -> tensors.put(name, head.source(name)));
      SequenceClassifier classifier = SequenceClassifier.of(adapter);
      target.writeText(classifier.file(), classifier.source(adapter.encoder().architecture()));
      changes.putAll(classifier.config(adapter));
    }
    base.copyLanguageModel(target.path(), tensors, changes);
  }

  /** The weights with the updates in them. */
  static MergedCheckpoint merged(TrainedAdapter adapter, Checkpoint weights)
      throws FormatException {
    EncoderConfig encoder = adapter.encoder();
    String prefix = encoder.architecture().prefix() + ".";
    Map<String, LowRank> updates = new LinkedHashMap<>();
    adapter.lowRank().forEach(update -> updates.put(update.path(), update));
    List<Fold> folds = new ArrayList<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : StoredLinear.of(encoder, layer)) {
        String name = linear.path() + ".weight";
        // A base model on its own has no prefix.
        String stored = weights.names().contains(name) ? name : prefix + name;
        for (int i = 0; i < linear.projections().size(); i++) {
          Projection projection = linear.projections().get(i);
          LowRank update = updates.get(encoder.path(layer, projection));
          if (update != null) {
            folds.add(new Fold(stored, linear.firstRow(i), linear.outputs(), update));
          }
        }
      }
    }
    return new MergedCheckpoint(weights, folds);
  }
}
