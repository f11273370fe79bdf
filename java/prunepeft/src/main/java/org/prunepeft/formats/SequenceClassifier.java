package org.prunepeft.formats;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.model.Architecture;

/**
 * A linear head over the mean of the last hidden states as a class of Hugging Face's library: what
 * {@code AutoModelForSequenceClassification} loads with {@code trust_remote_code=True}. The
 * library's own classifiers all look at the first token, so that none of them can express it.
 */
final class SequenceClassifier {
  /** The class, in Python. */
  static final String MODELING = "modeling_mean_pooled.py";

  private SequenceClassifier() {}

  /** The class's source for an architecture. */
  static String source(Architecture architecture) throws IOException {
    try (InputStream template = SequenceClassifier.class.getResourceAsStream(MODELING)) {
      return new String(template.readAllBytes(), StandardCharsets.UTF_8)
          .replace("${class}", architecture.className())
          .replace("${encoder}", architecture.prefix());
    }
  }

  /** What config.json says of the class and of what it predicts. */
  static Map<String, Object> config(TrainedAdapter adapter) {
    String name =
        "MeanPooled" + adapter.encoder().architecture().className() + "ForSequenceClassification";
    String module = MODELING.substring(0, MODELING.lastIndexOf('.'));
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("architectures", List.of(name));
    config.put("auto_map", Map.of("AutoModelForSequenceClassification", module + "." + name));
    boolean regression = adapter.labels().isEmpty();
    config.put("problem_type", regression ? "regression" : "single_label_classification");
    if (regression) {
      config.put("num_labels", adapter.headWeight().shape()[0]);
    }
    // The library's own name of a regression's output.
    config.putAll(MergedModel.labels(regression ? List.of("LABEL_0") : adapter.labels()));
    return config;
  }

  /** The class's weights: the encoder under its prefix, and the head beside it. */
  static Checkpoint weights(TrainedAdapter adapter, Checkpoint encoder) {
    String prefix = adapter.encoder().architecture().prefix() + ".";
    Checkpoint head =
        new MapCheckpoint(
            "the head",
            Map.of(HeadFile.WEIGHT, adapter.headWeight(), HeadFile.BIAS, adapter.headBias()));
    Map<String, TensorSource> tensors = new TreeMap<>();
    encoder.names().forEach(name -> tensors.put(prefix + name, new TensorSource(encoder, name)));
    head.names().forEach(name -> tensors.put(name, new TensorSource(head, name)));
    return new Combined(encoder.origin(), tensors);
  }

  /** A tensor by its name in another checkpoint. */
  private record TensorSource(Checkpoint in, String name) {}

  private record Combined(String origin, Map<String, TensorSource> tensors) implements Checkpoint {
    @Override
    public Set<String> names() {
      return tensors.keySet();
    }

    @Override
    public long[] shape(String name) {
      TensorSource tensor = tensors.get(name);
      return tensor.in.shape(tensor.name);
    }

    @Override
    public void readFloats(String name, long first, ByteBuffer target) throws IOException {
      TensorSource tensor = tensors.get(name);
      tensor.in.readFloats(tensor.name, first, target);
    }

    /** They stay their owners'. */
    @Override
    public void close() {}
  }
}
