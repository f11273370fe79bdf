package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** A small BERT in a directory, for tests of what is read there. */
abstract class ModelDirectoryTest {
  static final EncoderConfig BERT =
      ArchitecturesTest.config(Architecture.BERT, HiddenActivation.GELU, 2);
  static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  final Random random = TestSeed.random();
  Map<String, Tensor> tensors;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @BeforeEach
  void draw() {
    tensors = RandomCheckpoint.tensors(BERT, random);
  }

  void write(EncoderConfig config) throws IOException {
    new HuggingFaceDirectory(directory)
        .write(
            HuggingFaceConfig.write(config),
            "{}".getBytes(StandardCharsets.UTF_8),
            Map.of(),
            new MapCheckpoint("memory", tensors));
  }

  Path weights() {
    return directory.resolve("model.safetensors");
  }

  /** Sets a field of the written configuration to a value in JSON. */
  void configure(String name, String value) throws IOException {
    File file = directory.resolve("config.json").toFile();
    ObjectNode config = (ObjectNode) JSON.readTree(file);
    config.set(name, JSON.readTree(value));
    JSON.writeValue(file, config);
  }

  void failsWith(String... messages) {
    Exception e =
        assertThrows(
            UncheckedIOException.class,
            () -> Models.byName(directory.toString()).loader().load().encoder().close());
    for (String message : messages) {
      assertTrue(e.getMessage().contains(message), e.getMessage());
    }
  }
}
