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
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.HuggingFaceConfig;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.ComputeDevice;

/**
 * Models of published shapes, whose weights are uniform with the deviation that initializer_range
 * gives those of the pre-training, biases 0 and normalisations' weights 1; values are computed
 * where they are read. What is measured with them needs no download.
 */
final class RandomModel implements Checkpoint {
  /**
   * SmolLM2-135M, which has 30 layers: hidden size 576, 9 heads over 3 of keys, intermediate size
   * 1536, a vocabulary of 49152 whose embeddings are the output layer too.
   */
  private static final String LLAMA =
      """
      {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
       "num_hidden_layers": %d, "hidden_size": 576, "intermediate_size": 1536,
       "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
       "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 100000,
       "tie_word_embeddings": true}
      """;

  private static final double LLAMA_DEVIATION = 0.041666666666666664;

  private static final double BERT_DEVIATION = 0.02;

  private final String origin;
  private final double deviation;
  private final Map<String, long[]> shapes = new LinkedHashMap<>();

  private RandomModel(String origin, double deviation) {
    this.origin = origin;
    this.deviation = deviation;
  }

  static EncoderConfig llamaConfig(int layers) throws IOException {
    return HuggingFaceConfig.read(
        new ObjectMapper().readTree(LLAMA.formatted(layers)), "a random Llama");
  }

  /** {@return a Llama of SmolLM2-135M's shape} */
  static Decoder llama(int layers, Precision precision, Quantization quantization)
      throws IOException {
    EncoderConfig config = llamaConfig(layers);
    try (RandomModel model = new RandomModel("a random Llama", LLAMA_DEVIATION)) {
      long hidden = config.hidden();
      long keys = (long) config.decoder().keyValueHeads() * config.decoder().headSize();
      long intermediate = config.intermediate();
      model.put("model.embed_tokens.weight", config.vocabulary(), hidden);
      for (int i = 0; i < layers; i++) {
        String layer = "model.layers." + i + ".";
        model.put(layer + "self_attn.q_proj.weight", hidden, hidden);
        model.put(layer + "self_attn.k_proj.weight", keys, hidden);
        model.put(layer + "self_attn.v_proj.weight", keys, hidden);
        model.put(layer + "self_attn.o_proj.weight", hidden, hidden);
        model.put(layer + "mlp.gate_proj.weight", intermediate, hidden);
        model.put(layer + "mlp.up_proj.weight", intermediate, hidden);
        model.put(layer + "mlp.down_proj.weight", hidden, intermediate);
        model.put(layer + "input_layernorm.weight", hidden);
        model.put(layer + "post_attention_layernorm.weight", hidden);
      }
      model.put("model.norm.weight", hidden);
      return new CausalDecoder(config, model, precision, quantization, ComputeDevice.CPU);
    }
  }

  /** {@return a BERT of bge-small's shape, which has 12 layers: hidden size 384, 12 heads} */
  static Encoder bert(int layers) throws IOException {
    EncoderConfig config = EncoderConfig.bert(layers, 384, 12, 1536, 30522, 512);
    try (RandomModel model = new RandomModel("a random BERT", BERT_DEVIATION)) {
      long hidden = config.hidden();
      model.put("embeddings.word_embeddings.weight", config.vocabulary(), hidden);
      model.put("embeddings.position_embeddings.weight", config.positions(), hidden);
      model.put("embeddings.token_type_embeddings.weight", config.types(), hidden);
      model.putWithBias("embeddings.LayerNorm", hidden);
      for (int i = 0; i < layers; i++) {
        String layer = "encoder.layer." + i + ".";
        model.putWithBias(layer + "attention.self.query", hidden, hidden);
        model.putWithBias(layer + "attention.self.key", hidden, hidden);
        model.putWithBias(layer + "attention.self.value", hidden, hidden);
        model.putWithBias(layer + "attention.output.dense", hidden, hidden);
        model.putWithBias(layer + "attention.output.LayerNorm", hidden);
        model.putWithBias(layer + "intermediate.dense", config.intermediate(), hidden);
        model.putWithBias(layer + "output.dense", hidden, config.intermediate());
        model.putWithBias(layer + "output.LayerNorm", hidden);
      }
      return new PostNormEncoder(config, model);
    }
  }

  private void putWithBias(String name, long... shape) {
    put(name + ".weight", shape);
    put(name + ".bias", shape[0]);
  }

  private void put(String name, long... shape) {
    shapes.put(name, shape);
  }

  @Override
  public String origin() {
    return origin;
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
    boolean vector = shapes.get(name).length == 1;
    float ofVectors = name.endsWith(".bias") ? 0 : 1;
    long size = LongStream.of(shapes.get(name)).reduce(1, Math::multiplyExact);
    if (first < 0 || first > size - values.remaining()) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on"
              .formatted(name, size, values.remaining(), first));
    }
    for (long i = first; values.hasRemaining(); i++) {
      double uniform = new SplittableRandom(name.hashCode() + i * 0x9E3779B97F4A7C15L).nextDouble();
      values.put(vector ? ofVectors : (float) ((uniform - 0.5) * Math.sqrt(12) * deviation));
    }
    target.position(target.limit());
  }

  /** Nothing is open. */
  @Override
  public void close() {}
}
