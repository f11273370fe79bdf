package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.Gguf;
import org.prunepeft.io.GgufValue;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;

/**
 * LoRA of a language model as llama.cpp and Ollama take it: {@value #FILE}, a GGUF file. Of each
 * linear it has {@code blk.N.attn_q.weight.lora_a} [r, in] and {@code .lora_b} [out, r], in
 * PyTorch's order; the scale is {@value #ALPHA} / r, with the rank of each tensor.
 *
 * <p>Llama's query and key are rotated in pairs of rows that lie half a head apart in Hugging
 * Face's models, and next to each other in llama.cpp's: {@link #interleaved}.
 */
public final class GgufFormat implements AdapterFormat {
  static final String FILE = "adapter.gguf";
  static final String ALPHA = "adapter.lora.alpha";
  private static final String TYPE = "adapter.type";

  /**
   * What may be said of an adapter that is LoRA and nothing else; name and prefix change nothing
   * that is computed.
   */
  private static final Set<String> KNOWN =
      Set.of(TYPE, ALPHA, "adapter.lora.task_name", "adapter.lora.prompt_prefix");

  static final String ARCHITECTURE = "general.architecture";

  @Override
  public String name() {
    return "gguf";
  }

  @Override
  public void require(TrainedAdapter adapter) {
    StoredLinear.fuse(adapter.encoder(), PlainLora.required(adapter, "llama.cpp"));
  }

  @Override
  public boolean hasTokenizer() {
    return false;
  }

  @Override
  public void write(TrainedAdapter adapter, RunDirectory directory) throws IOException {
    EncoderConfig encoder = adapter.encoder();
    List<LowRank> updates = StoredLinear.fuse(encoder, PlainLora.required(adapter, "llama.cpp"));
    float alpha = (float) (updates.get(0).scale() * updates.get(0).rank());
    if (!(alpha > 0 && Float.isFinite(alpha))) {
      throw new IllegalArgumentException(
          "a GGUF file has lora_alpha as a FLOAT32 above 0, which %s of %s is not; train the adapter anew with another alpha"
              .formatted(updates.get(0).scale() * updates.get(0).rank(), updates.get(0).path()));
    }
    Map<String, Tensor> tensors = new TreeMap<>();
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : StoredLinear.of(encoder, layer)) {
        updates.stream()
            .filter(update -> update.path().equals(linear.path()))
            .forEach(update -> put(tensors, linear, PlainLora.scaled(update, alpha)));
      }
    }
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    metadata.put(ARCHITECTURE, GgufValue.of(architecture(encoder)));
    metadata.put("general.type", GgufValue.of("adapter"));
    metadata.put("general.file_type", GgufValue.unsigned(0));
    metadata.put(TYPE, GgufValue.of("lora"));
    metadata.put(ALPHA, GgufValue.of(alpha));
    Gguf.write(directory.file(FILE), metadata, new MapCheckpoint("the adapter", tensors));
  }

  private static void put(Map<String, Tensor> tensors, StoredLinear linear, LowRank update) {
    tensors.put(name(linear) + ".lora_a", update.a());
    tensors.put(name(linear) + ".lora_b", interleaved(update.b(), rotatedHeads(linear), false));
  }

  /** Of a linear in llama.cpp's models. */
  private static String name(StoredLinear linear) {
    boolean fused = linear.projections().size() > 1;
    String part =
        switch (linear.projections().get(0)) {
          case QUERY -> fused ? "attn_qkv" : "attn_q";
          case KEY -> "attn_k";
          case VALUE -> "attn_v";
          case ATTENTION_OUTPUT -> "attn_output";
          // Gate and up together are its ffn_up.
          case GATE -> fused ? "ffn_up" : "ffn_gate";
          case INTERMEDIATE -> "ffn_up";
          case OUTPUT -> "ffn_down";
        };
    return String.format(Locale.ROOT, "blk.%d.%s.weight", linear.layer(), part);
  }

  private static String architecture(EncoderConfig encoder) {
    return switch (encoder.architecture()) {
      case LLAMA, MISTRAL -> "llama";
      case QWEN2 -> "qwen2";
      case QWEN3 -> "qwen3";
      case GEMMA2 -> "gemma2";
      case GEMMA3 -> "gemma3";
      case PHI3 -> "phi3";
      case SMOLLM3 -> "smollm3";
      default ->
          throw new IllegalArgumentException(encoder.architecture() + " is no language model");
    };
  }

  /** How many heads' rows llama.cpp has in another order; 0: none. */
  private static int rotatedHeads(StoredLinear linear) {
    EncoderConfig encoder = linear.encoder();
    boolean permutes =
        switch (encoder.architecture()) {
          case LLAMA, MISTRAL, SMOLLM3 -> true;
          default -> false;
        };
    Projection projection = linear.projections().get(0);
    if (!permutes) {
      return 0;
    }
    return switch (projection) {
      case QUERY -> encoder.heads();
      case KEY -> encoder.decoder().keyValueHeads();
      default -> 0;
    };
  }

  /**
   * Rows of each head in the order 0, n, 1, n + 1, ..., n being half of them.
   *
   * @param b [out, r]
   * @param heads 0: b as it is
   * @param back from that order
   */
  private static Tensor interleaved(Tensor b, int heads, boolean back) {
    if (heads == 0) {
      return b;
    }
    int rank = (int) b.shape()[1];
    int size = (int) b.shape()[0] / heads;
    int half = size / 2;
    float[] values = new float[b.values().length];
    for (int row = 0; row < heads * size; row++) {
      int within = row % size;
      int paired = row - within + 2 * (within % half) + within / half;
      System.arraycopy(
          b.values(), (back ? paired : row) * rank, values, (back ? row : paired) * rank, rank);
    }
    return new Tensor(b.shape(), values);
  }

  @Override
  public boolean recognises(Path directory, Map<String, Object> config) {
    return Files.exists(directory.resolve(FILE));
  }

  @Override
  public boolean ofLanguageModel(
      Path directory, Map<String, Object> config, BooleanSupplier decoder) {
    return true;
  }

  @Override
  public TrainedAdapter read(
      Path directory, Map<String, Object> config, EncoderConfig encoder, List<String> labels)
      throws IOException {
    Path file = directory.resolve(FILE);
    try (Gguf stored = Gguf.open(file)) {
      Map<String, GgufValue> metadata = stored.metadata();
      require(file, metadata, "general.type", "adapter");
      require(file, metadata, TYPE, "lora");
      require(file, metadata, ARCHITECTURE, architecture(encoder));
      if (metadata.get(ALPHA) == null || !(metadata.get(ALPHA).value() instanceof Float alpha)) {
        throw new FormatException("%s has no %s, a FLOAT32".formatted(file, ALPHA));
      }
      if (!(alpha >= 0 && Float.isFinite(alpha))) {
        throw new FormatException(
            "%s: %s must be finite and at least 0, got %s; 0 means that B·A is not scaled"
                .formatted(file, ALPHA, alpha));
      }
      for (String key : metadata.keySet()) {
        if (key.startsWith("adapter.") && !KNOWN.contains(key)) {
          throw new FormatException(
              "%s: %s is not supported, with which it computes something else than LoRA; of the keys adapter.* only %s are read"
                  .formatted(file, key, String.join(", ", new TreeSet<>(KNOWN))));
        }
      }
      StoredTensors tensors = new StoredTensors(file, stored);
      List<AdapterPart> parts = new ArrayList<>();
      for (int layer = 0; layer < encoder.layers(); layer++) {
        for (StoredLinear linear : StoredLinear.of(encoder, layer)) {
          if (tensors.has(name(linear) + ".lora_a")) {
            parts.addAll(linear.split(update(tensors, linear, alpha)));
          }
        }
      }
      tensors.finish();
      return new TrainedAdapter("", encoder, parts, labels, null, null);
    }
  }

  private static LowRank update(StoredTensors tensors, StoredLinear linear, float alpha)
      throws FormatException {
    Tensor a = tensors.take(name(linear) + ".lora_a", -1, linear.inputs());
    Tensor b = tensors.take(name(linear) + ".lora_b", linear.outputs(), a.shape()[0]);
    return AdapterPartLowRankBuilder.builder()
        .layer(linear.layer())
        .path(linear.path())
        .a(a)
        .b(interleaved(b, rotatedHeads(linear), true))
        // As llama.cpp has it, without one B·A is not scaled.
        .alpha(alpha == 0 ? a.shape()[0] : alpha)
        .build();
  }

  private static void require(
      Path file, Map<String, GgufValue> metadata, String key, String expected)
      throws FormatException {
    GgufValue value = metadata.get(key);
    if (value == null || !value.value().equals(expected)) {
      throw new FormatException(
          "%s must have the %s %s to fit this model, got %s"
              .formatted(file, key, expected, value == null ? "none" : value.value()));
    }
  }
}
