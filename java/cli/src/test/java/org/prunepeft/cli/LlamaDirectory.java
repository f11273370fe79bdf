package org.prunepeft.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;

/**
 * A small Llama with random weights and a byte-level BPE tokenizer, in a directory as Hugging
 * Face's library saves it.
 */
final class LlamaDirectory {
  static final int LAYERS = 3;

  /** What config.json says. */
  record Size(
      int layers, int hidden, int intermediate, int heads, int keyValueHeads, int positions) {
    private static final Size SMALL = new Size(LAYERS, 16, 24, 4, 2, 128);
  }

  private final Size size;
  private final Random random;
  private final Map<String, Tensor> tensors = new TreeMap<>();

  private LlamaDirectory(Size size, Random random) {
    this.size = size;
    this.random = random;
  }

  static Path write(Path directory) throws IOException {
    return write(directory, TestSeed.random());
  }

  static Path write(Path directory, Random random) throws IOException {
    return write(directory, Size.SMALL, 0, true, random);
  }

  /**
   * @param vocabulary tokens that the model has, of which the tokenizer may know fewer; 0: as many
   */
  static Path write(Path directory, Size size, int vocabulary) throws IOException {
    return write(directory, size, vocabulary, true, TestSeed.random());
  }

  /**
   * @param tied whether the embeddings are the output layer too
   */
  static Path write(Path directory, boolean tied) throws IOException {
    return write(directory, Size.SMALL, 0, tied, TestSeed.random());
  }

  private static Path write(Path directory, Size size, int words, boolean tied, Random random)
      throws IOException {
    ObjectNode tokenizer = RobertaDirectory.tokenizer();
    // Nothing is put around a text.
    tokenizer.putNull("post_processor");
    int vocabulary = Math.max(words, tokenizer.at("/model/vocab").size());
    LlamaDirectory llama = new LlamaDirectory(size, random);
    llama.draw(vocabulary);
    if (!tied) {
      llama.put("lm_head", 0, vocabulary, size.hidden());
    }
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("architectures", List.of("LlamaForCausalLM"));
    config.put("model_type", "llama");
    config.put("hidden_size", size.hidden());
    config.put("intermediate_size", size.intermediate());
    config.put("num_hidden_layers", size.layers());
    config.put("num_attention_heads", size.heads());
    config.put("num_key_value_heads", size.keyValueHeads());
    config.put("vocab_size", vocabulary);
    config.put("max_position_embeddings", size.positions());
    config.put("rms_norm_eps", 1e-5);
    config.put("rope_theta", 10000.0);
    config.put("hidden_act", "silu");
    config.put("tie_word_embeddings", tied);
    config.put("bos_token_id", 0);
    config.put("eos_token_id", 2);
    new HuggingFaceDirectory(directory)
        .write(
            config,
            new ObjectMapper().writeValueAsBytes(tokenizer),
            Map.of(),
            new MapCheckpoint("memory", llama.tensors));
    return directory;
  }

  private void draw(int vocabulary) {
    int keyValue = size.hidden() / size.heads() * size.keyValueHeads();
    put("model.embed_tokens", 0, vocabulary, size.hidden());
    put("model.norm", 1, size.hidden());
    for (int layer = 0; layer < size.layers(); layer++) {
      String path = "model.layers." + layer + ".";
      put(path + "input_layernorm", 1, size.hidden());
      put(path + "self_attn.q_proj", 0, size.hidden(), size.hidden());
      put(path + "self_attn.k_proj", 0, keyValue, size.hidden());
      put(path + "self_attn.v_proj", 0, keyValue, size.hidden());
      put(path + "self_attn.o_proj", 0, size.hidden(), size.hidden());
      put(path + "post_attention_layernorm", 1, size.hidden());
      put(path + "mlp.gate_proj", 0, size.intermediate(), size.hidden());
      put(path + "mlp.up_proj", 0, size.intermediate(), size.hidden());
      put(path + "mlp.down_proj", 0, size.hidden(), size.intermediate());
    }
  }

  private void put(String path, double mean, long... shape) {
    float[] values = new float[(int) (shape.length == 1 ? shape[0] : shape[0] * shape[1])];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + 0.2 * random.nextGaussian());
    }
    tensors.put(path + ".weight", new Tensor(shape, values));
  }
}
