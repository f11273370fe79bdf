package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.FileStates;
import org.prunepeft.io.ReadFiles;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;

/** A model's directory that changes while the model is read. */
class ChangingModelTest {
  @TempDir Path temporary;
  private Path directory;

  /** Changes a file. */
  @FunctionalInterface
  private interface Change {
    void of(Path file) throws IOException;
  }

  @BeforeEach
  void write() throws IOException {
    directory =
        SmallBertDirectory.write(
            temporary.resolve("bert"), List.of("a", "boat"), 8, TestSeed.random());
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.setLastModifiedTime(file, FileTime.from(Instant.parse("2026-03-01T00:00:00Z")));
      }
    }
  }

  /** With the size and the time of the file that it replaces. */
  private void replace(Path file) throws IOException {
    Path other = temporary.resolve("other");
    Files.copy(file, other, StandardCopyOption.COPY_ATTRIBUTES);
    Files.move(other, file, StandardCopyOption.REPLACE_EXISTING);
  }

  private static void write(Path file) throws IOException {
    Files.write(file, Files.readAllBytes(file));
  }

  /** Changes a file once the parts are open, of which values are still to be read. */
  private void assertRefused(String name, Change change) {
    Path file = directory.resolve(name);
    Models.Loader loader = Models.byName(directory.toString()).loader();
    Models.Loader changing =
        new Models.PretrainedLoader(
            () -> {
              Pretrained parts = loader.open();
              change.of(file);
              return parts;
            },
            false);
    assertSaid(file, assertThrows(UncheckedIOException.class, changing::load));
  }

  private static void assertSaid(Path file, Exception e) {
    assertEquals(
        file + " changed while it was read; run again once it no longer changes", e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"config.json", "model.safetensors", "tokenizer.json"})
  void aFileThatIsReplacedWrittenOrRemovedIsNotTakenForWhatWasRead(String name) throws IOException {
    assertRefused(name, this::replace);
    assertRefused(name, ChangingModelTest::write);
    assertRefused(name, Files::delete);
  }

  @ParameterizedTest
  @ValueSource(strings = {"config.json", "model.safetensors", "tokenizer.json"})
  void soIsOneThatIsReplacedBetweenConfigurationAndWeights(String name) throws IOException {
    Models.Loader loader = Models.byName(directory.toString()).loader();
    replace(directory.resolve(name));
    assertSaid(directory.resolve(name), assertThrows(UncheckedIOException.class, loader::load));
  }

  @Test
  void soIsOneThatComesMeanwhile() throws IOException {
    Models.Loader loader = Models.byName(directory.toString()).loader();
    Path file = Files.writeString(directory.resolve("tokenizer_config.json"), "{}");
    assertSaid(file, assertThrows(UncheckedIOException.class, loader::load));
  }

  /** A decoder has their values by then, and its checksums would not name them. */
  @ParameterizedTest
  @ValueSource(strings = {"generation_config.json", "tokenizer_config.json"})
  void soAreADecodersSettingsThatAreRemovedBetweenConfigurationAndWeights(String name)
      throws IOException {
    Path file = Files.writeString(decoder().resolve(name), "{}");
    Models.Loader loader = Models.byName(file.getParent().toString()).loader();
    Files.delete(file);
    assertSaid(file, assertThrows(UncheckedIOException.class, loader::load));
  }

  @Test
  void soIsAShardThatIsReplacedOrWritten() throws IOException {
    directory = decoder();
    for (String name : List.of("model-1.safetensors", "model.safetensors.index.json")) {
      assertRefused(name, this::replace);
      assertRefused(name, ChangingModelTest::write);
    }
  }

  /** A directory of a Llama whose weights are in shards. */
  private Path decoder() throws IOException {
    Path decoder = Files.createDirectory(temporary.resolve("llama"));
    DecoderFamilies.Family family = DecoderFamilies.llama();
    Map<String, Tensor> stored = new TreeMap<>();
    family
        .tensors(TestSeed.random())
        .forEach(
            (name, tensor) ->
                stored.put(name.startsWith("lm_head.") ? name : "model." + name, tensor));
    WeightFiles.shards(decoder, stored, "F32");
    Files.writeString(decoder.resolve("config.json"), family.json().toString());
    Files.writeString(decoder.resolve("tokenizer.json"), "{}");
    return decoder;
  }

  /** The checksums would be those of vocab.txt. */
  @Test
  void soIsATokenizerThatIsRemovedBesideAVocabulary() throws IOException {
    Files.writeString(directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
    HuggingFaceDirectory files = new HuggingFaceDirectory(directory);
    FileStates before = files.states();
    files.tokenizer(true);
    Path file = directory.resolve("tokenizer.json");
    Files.delete(file);
    ReadFiles read = new ReadFiles(files.checksums(true), before);
    assertSaid(file, assertThrows(IOException.class, read::requireUnchanged));
  }

  @Test
  void whatIsNoneOfTheModelsFilesMayChange() throws IOException {
    Path notes = Files.writeString(directory.resolve("notes.txt"), "one");
    // Where a directory of templates may be.
    Files.writeString(directory.resolve("additional_chat_templates"), "none");
    Files.createSymbolicLink(directory.resolve("loop"), directory.resolve("loop"));
    Models.Loader loader = Models.byName(directory.toString()).loader();
    Files.writeString(notes, "two, longer");
    Files.writeString(directory.resolve("more.txt"), "three");
    Models.LoadedModel loaded = loader.load();
    loaded.encoder().close();
    assertEquals(3, loaded.files().size());
  }
}
