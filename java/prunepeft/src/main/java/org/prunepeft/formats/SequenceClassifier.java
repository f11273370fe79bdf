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
 * A run's head as a class of Hugging Face's library: what {@code
 * AutoModelForSequenceClassification} loads with {@code trust_remote_code=True}. The library's own
 * classifiers of encoders all look at the first token, those of decoders have no bias, and none
 * encodes the texts of a pair by themselves.
 *
 * @param module the Python file's name, without its ending
 * @param kind what the class's name begins with
 * @param template the file that it is made of
 * @param pooled the function that gives a text's features
 * @param states what these are, in words
 */
record SequenceClassifier(
    String module, String kind, String template, String pooled, String states) {
  private static final String MEAN = "the mean of the last hidden states";
  private static final String LAST = "the last token's last hidden state";

  /** The class of an adapter's head. */
  static SequenceClassifier of(TrainedAdapter adapter) {
    return of(adapter.encoder().architecture(), adapter.headComparesTexts());
  }

  /** The class of an architecture. */
  static SequenceClassifier of(Architecture architecture, boolean comparesTexts) {
    boolean decoder = architecture.isDecoder();
    String pooled = decoder ? "pool_last.py" : "pool_mean.py";
    String states = decoder ? LAST : MEAN;
    if (comparesTexts) {
      return new SequenceClassifier(
          "modeling_text_pairs", "TextPairs", "modeling_text_pairs.py", pooled, states);
    }
    return new SequenceClassifier(
        decoder ? "modeling_last_token" : "modeling_mean_pooled",
        decoder ? "LastToken" : "MeanPooled",
        "modeling_classifier.py",
        pooled,
        states);
  }

  /** The Python file. */
  String file() {
    return module + ".py";
  }

  private String name(Architecture architecture) {
    return kind + architecture.className() + "ForSequenceClassification";
  }

  /** The class's source for an architecture. */
  String source(Architecture architecture) throws IOException {
    return resource(template)
        .replace("${pooled}", resource(pooled))
        .replace("${states}", states)
        .replace("${name}", name(architecture))
        .replace("${class}", architecture.className())
        .replace("${model}", architecture.modelClass())
        .replace("${encoder}", architecture.prefix());
  }

  private static String resource(String name) throws IOException {
    try (InputStream stream = SequenceClassifier.class.getResourceAsStream(name)) {
      return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** What config.json says of the class and of what it predicts. */
  Map<String, Object> config(TrainedAdapter adapter) {
    String name = name(adapter.encoder().architecture());
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

  /** The head's weights. */
  static Checkpoint head(TrainedAdapter adapter) {
    return new MapCheckpoint(
        "the head",
        Map.of(HeadFile.WEIGHT, adapter.headWeight(), HeadFile.BIAS, adapter.headBias()));
  }

  /** The class's weights: the encoder under its prefix, and the head beside it. */
  static Checkpoint weights(TrainedAdapter adapter, Checkpoint encoder) {
    String prefix = adapter.encoder().architecture().prefix() + ".";
    Checkpoint head = head(adapter);
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
