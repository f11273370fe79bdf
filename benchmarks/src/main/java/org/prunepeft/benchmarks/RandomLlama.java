package org.prunepeft.benchmarks;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.HuggingFaceConfig;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.ComputeDevice;

/**
 * A Llama of SmolLM2-135M's shape, which has 30 layers: hidden size 576, 9 heads over 3 of keys,
 * intermediate size 1536, a vocabulary of 49152 whose embeddings are the output layer too. Weights
 * are uniform with the deviation that initializer_range gives those of the pre-training, and
 * computed where they are read.
 */
final class RandomLlama implements Checkpoint {
  private static final String CONFIG =
      """
      {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
       "num_hidden_layers": %d, "hidden_size": 576, "intermediate_size": 1536,
       "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
       "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 100000,
       "tie_word_embeddings": true}
      """;

  private static final String ORIGIN = "a random Llama";

  private static final double DEVIATION = 0.041666666666666664;

  private final EncoderConfig config;
  private final Map<String, long[]> shapes = new LinkedHashMap<>();

  private RandomLlama(int layers) throws IOException {
    config = config(layers);
    long hidden = config.hidden();
    long keys = (long) config.decoder().keyValueHeads() * config.decoder().headSize();
    long intermediate = config.intermediate();
    put("embed_tokens", config.vocabulary(), hidden);
    for (int i = 0; i < config.layers(); i++) {
      String layer = "layers." + i + ".";
      put(layer + "self_attn.q_proj", hidden, hidden);
      put(layer + "self_attn.k_proj", keys, hidden);
      put(layer + "self_attn.v_proj", keys, hidden);
      put(layer + "self_attn.o_proj", hidden, hidden);
      put(layer + "mlp.gate_proj", intermediate, hidden);
      put(layer + "mlp.up_proj", intermediate, hidden);
      put(layer + "mlp.down_proj", hidden, intermediate);
      put(layer + "input_layernorm", hidden);
      put(layer + "post_attention_layernorm", hidden);
    }
    put("norm", hidden);
  }

  static EncoderConfig config(int layers) throws IOException {
    return HuggingFaceConfig.read(new ObjectMapper().readTree(CONFIG.formatted(layers)), ORIGIN);
  }

  static Decoder load(int layers, Precision precision, Quantization quantization)
      throws IOException {
    try (RandomLlama checkpoint = new RandomLlama(layers)) {
      return new CausalDecoder(
          checkpoint.config, checkpoint, precision, quantization, ComputeDevice.CPU);
    }
  }

  private void put(String name, long... shape) {
    shapes.put("model." + name + ".weight", shape);
  }

  @Override
  public String origin() {
    return ORIGIN;
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(shapes.keySet());
  }

  @Override
  public long[] shape(String name) {
    return shapes.get(name).clone();
  }

  /** Values depend on the tensor and the place alone, since parts are read in any order. */
  @Override
  public void readFloats(String name, long first, ByteBuffer target) {
    FloatBuffer values = target.asFloatBuffer();
    boolean norm = shapes.get(name).length == 1;
    long size = LongStream.of(shapes.get(name)).reduce(1, Math::multiplyExact);
    if (first < 0 || first > size - values.remaining()) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on"
              .formatted(name, size, values.remaining(), first));
    }
    for (long i = first; values.hasRemaining(); i++) {
      double uniform = new SplittableRandom(name.hashCode() + i * 0x9E3779B97F4A7C15L).nextDouble();
      values.put(norm ? 1 : (float) ((uniform - 0.5) * Math.sqrt(12) * DEVIATION));
    }
    target.position(target.limit());
  }

  /** Nothing is open. */
  @Override
  public void close() {}
}
