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
  private static final int HIDDEN = 16;
  private static final int INTERMEDIATE = 24;
  private static final int HEADS = 4;
  private static final int KEY_VALUE_HEADS = 2;
  private static final int POSITIONS = 128;

  private final Random random = TestSeed.random();
  private final Map<String, Tensor> tensors = new TreeMap<>();

  private LlamaDirectory() {}

  static Path write(Path directory) throws IOException {
    return write(directory, true);
  }

  /**
   * @param tied whether the embeddings are the output layer too
   */
  static Path write(Path directory, boolean tied) throws IOException {
    ObjectNode tokenizer = RobertaDirectory.tokenizer();
    // Nothing is put around a text.
    tokenizer.putNull("post_processor");
    int vocabulary = tokenizer.at("/model/vocab").size();
    LlamaDirectory llama = new LlamaDirectory();
    llama.draw(vocabulary);
    if (!tied) {
      llama.put("lm_head", 0, vocabulary, HIDDEN);
    }
    Map<String, Object> config = new LinkedHashMap<>();
    config.put("architectures", List.of("LlamaForCausalLM"));
    config.put("model_type", "llama");
    config.put("hidden_size", HIDDEN);
    config.put("intermediate_size", INTERMEDIATE);
    config.put("num_hidden_layers", LAYERS);
    config.put("num_attention_heads", HEADS);
    config.put("num_key_value_heads", KEY_VALUE_HEADS);
    config.put("vocab_size", vocabulary);
    config.put("max_position_embeddings", POSITIONS);
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
    int keyValue = HIDDEN / HEADS * KEY_VALUE_HEADS;
    put("model.embed_tokens", 0, vocabulary, HIDDEN);
    put("model.norm", 1, HIDDEN);
    for (int layer = 0; layer < LAYERS; layer++) {
      String path = "model.layers." + layer + ".";
      put(path + "input_layernorm", 1, HIDDEN);
      put(path + "self_attn.q_proj", 0, HIDDEN, HIDDEN);
      put(path + "self_attn.k_proj", 0, keyValue, HIDDEN);
      put(path + "self_attn.v_proj", 0, keyValue, HIDDEN);
      put(path + "self_attn.o_proj", 0, HIDDEN, HIDDEN);
      put(path + "post_attention_layernorm", 1, HIDDEN);
      put(path + "mlp.gate_proj", 0, INTERMEDIATE, HIDDEN);
      put(path + "mlp.up_proj", 0, INTERMEDIATE, HIDDEN);
      put(path + "mlp.down_proj", 0, HIDDEN, INTERMEDIATE);
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
