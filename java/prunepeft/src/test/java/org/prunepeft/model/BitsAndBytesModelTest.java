package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.io.BytesSource;
import org.prunepeft.io.QuantizedTensor.Form;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** A directory that bitsandbytes quantised: its codes go to the kernels as they are. */
class BitsAndBytesModelTest {
  @TempDir Path directory;
  private final Map<String, Source> tensors = new HashMap<>();
  private Random random;

  /** Of NF4's codes: the same for all, as all linears of a model have it. */
  private Source meanings;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Our own operations, without modules. */
  private record Kernels(Tape tape) implements Insertions {}

  private Source floats(double mean, double deviation, int count) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putFloat((float) (mean + deviation * random.nextGaussian()));
    }
    return new BytesSource(StoredType.F32, bytes.array(), count);
  }

  private void bytes(String name, StoredType type, long... shape) {
    byte[] bytes = new byte[(int) (shape.length == 1 ? shape[0] : shape[0] * shape[1])];
    random.nextBytes(bytes);
    tensors.put(name, new BytesSource(type, bytes, shape));
  }

  private void quantised(String name, Form form, long[] shape) {
    int count = (int) (shape[0] * shape[1]);
    if (form == Form.INT8) {
      bytes(name, StoredType.I8, shape);
      tensors.put(name.replace(".weight", ".SCB"), floats(0.3, 0.01, (int) shape[0]));
      return;
    }
    int blocks = (count + 63) / 64;
    bytes(name, StoredType.U8, (count + 1) / 2, 1);
    tensors.put(name + ".quant_map", meanings);
    bytes(name + ".absmax", StoredType.U8, blocks);
    tensors.put(name + ".nested_quant_map", floats(0, 0.5, 256));
    tensors.put(name + ".nested_absmax", floats(0.1, 0.01, (blocks + 255) / 256));
    byte[] state =
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"float32\", \"shape\": [%d, %d], \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 0.2}"
            .formatted(shape[0], shape[1])
            .getBytes(StandardCharsets.UTF_8);
    tensors.put(
        name + ".quant_state.bitsandbytes__nf4",
        new BytesSource(StoredType.U8, state, state.length));
  }

  private void write(DecoderFamilies.Family family, Form form) throws IOException {
    family
        .tensors(random)
        .forEach(
            (name, tensor) -> {
              if (name.endsWith("_proj.weight")) {
                quantised(name, form, tensor.shape());
              } else {
                ByteBuffer bytes = ByteBuffer.allocate(4 * tensor.values().length);
                bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(tensor.values());
                tensors.put(name, new BytesSource(StoredType.F32, bytes.array(), tensor.shape()));
              }
            });
    // Not read, since the embeddings stand in for it.
    int hidden = family.config().hidden();
    Source output = floats(0, 1, DecoderFamilies.VOCABULARY * hidden);
    tensors.put("lm_head.weight", output);
    SafeTensors.write(directory.resolve("model.safetensors"), tensors, Map.of());
    ObjectNode config = family.json().deepCopy();
    config
        .putObject("quantization_config")
        .put("quant_method", "bitsandbytes")
        .put("load_in_4bit", form == Form.NF4)
        .put("load_in_8bit", form == Form.INT8);
    new ObjectMapper().writeValue(directory.resolve("config.json").toFile(), config);
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
  }

  private Encoder load(Quantization quantization) {
    return load(Models.byName(directory.toString()).loader(), quantization);
  }

  private static Encoder load(Models.Loader loader, Quantization quantization) {
    return loader.load(Precision.FLOAT32, quantization, ComputeDevice.CPU).encoder();
  }

  @ParameterizedTest
  @CsvSource({"Llama 3.2, NF4", "Llama 3.2, INT8", "Phi-4-mini, NF4", "Phi-4-mini, INT8"})
  void codesAreTakenAsTheyAre(String name, Form form) throws IOException {
    random = TestSeed.random();
    meanings = floats(0, 0.5, 16);
    write(DecoderFamilies.all().filter(one -> one.name().equals(name)).findFirst().get(), form);
    assertEquals(
        form == Form.NF4 ? Quantization.NF4 : Quantization.INT8,
        Models.storedQuantization(directory.toString()));
    try (Encoder classifier =
        load(Models.byName(directory.toString()).loader().withoutLogits(), Quantization.AUTO)) {
      assertThrows(UnsupportedOperationException.class, classifier::trainable);
    }
    try (Encoder quantised = load(Quantization.AUTO);
        Encoder dense = load(Quantization.NONE);
        PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape()) {
      assertThrows(UnsupportedOperationException.class, quantised::trainable);
      dense.trainable().close();
      long[] ids = random.longs(12, 0, DecoderFamilies.VOCABULARY).toArray();
      byte[] mask = new byte[12];
      Arrays.fill(mask, (byte) 1);
      EncoderInput input = EncoderInput.of(ids, new long[12], mask, 2, 6);
      Insertions kernels = new Kernels(tape);
      assertArrayEquals(
          Torch.toFloats(dense.forward(input, kernels)),
          Torch.toFloats(quantised.forward(input, kernels)));
    }
  }
}
