package org.prunepeft.formats;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.model.Pretrained;

/**
 * A plain Hugging Face model directory with the low-rank updates in the weights: config.json with
 * the names of the classes, model.safetensors with encoder and head, the class that computes them,
 * and the tokenizer's files.
 */
public final class MergedModel {
  private MergedModel() {}

  /**
   * Checks that all of an adapter can be folded into weights.
   *
   * @throws IllegalArgumentException if it cannot; says why, and what to do instead
   */
  public static void require(TrainedAdapter adapter) {
    int bottlenecks = adapter.bottlenecks().size();
    if (bottlenecks > 0) {
      throw new IllegalArgumentException(
          "bottleneck adapters are not linear and so cannot be merged into weights, and %s of this run's modules are some; %ssearch with --adapter-size 0 for LoRA alone"
              .formatted(
                  bottlenecks,
                  adapter.encoder().architecture().isDecoder()
                      ? ""
                      : "--format adapters holds them, or "));
    }
  }

  /**
   * Writes a model.
   *
   * @param base the model that the adapter was trained on; read, not closed
   * @param maxLength tokens at which its tokenizer is to cut texts
   * @param directory open for writing
   * @throws IllegalArgumentException as {@link #require} does; nothing is written then
   * @throws IOException if reading or writing fails
   */
  public static void write(
      TrainedAdapter adapter, Pretrained base, int maxLength, RunDirectory directory)
      throws IOException {
    require(adapter);
    Checkpoint merged = MergedCheckpoint.of(base.encoder(), adapter.lowRank());
    Map<String, Object> config = base.configToWrite();
    SequenceClassifier classifier = SequenceClassifier.of(adapter);
    directory.writeText(classifier.file(), classifier.source(base.config().architecture()));
    config.putAll(classifier.config(adapter));
    new HuggingFaceDirectory(directory.path())
        .write(
            config,
            base.tokenizer(),
            base.tokenizerFilesToWrite(OptionalInt.of(maxLength)),
            SequenceClassifier.weights(adapter, merged));
  }

  /** The names of the classes as Hugging Face's configurations have them. */
  static Map<String, Object> labels(List<String> labels) {
    Map<String, Object> idToLabel = new LinkedHashMap<>();
    Map<String, Object> labelToId = new LinkedHashMap<>();
    for (String label : labels) {
      idToLabel.put(String.valueOf(idToLabel.size()), label);
      labelToId.put(label, labelToId.size());
    }
    Map<String, Object> names = new LinkedHashMap<>();
    if (!labels.isEmpty()) {
      names.put("id2label", idToLabel);
      names.put("label2id", labelToId);
    }
    return names;
  }
}
