package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.testing.FixedSeed;

/** A language model's data in directories of Hugging Face's hub, in Parquet and in JSON Lines. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class LanguageDatasetTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> COLUMNS = List.of(ParquetRows.MESSAGES.formatted("messages"));
  private static final String CHAT =
      "{'messages': [{'role': 'user', 'content': '%s'}, {'role': 'assistant', 'content': '%s'}]}";

  /** An instruction's prompt has 200 bytes, each of them a token. */
  private static final int TOKENS = 256;

  @TempDir static Path temporary;
  private static Path model;

  @BeforeAll
  static void write() throws IOException {
    model =
        LlamaDirectory.write(
            temporary.resolve("tiny-llama"),
            new LlamaDirectory.Size(LlamaDirectory.LAYERS, 16, 24, 4, 2, TOKENS),
            0);
  }

  /** Columns, and a row that says two letters. */
  static Stream<Arguments> layouts() {
    String text = ParquetRows.TEXT;
    return Stream.of(
        Arguments.of(List.of(text.formatted("text")), "{'text': '%s:%s'}"),
        Arguments.of(
            List.of(text.formatted("prompt"), text.formatted("completion")),
            "{'prompt': '%s:', 'completion': '%s'}"),
        Arguments.of(
            List.of(
                ParquetRows.MESSAGES.formatted("prompt"),
                ParquetRows.MESSAGES.formatted("completion")),
            "{'prompt': [{'role': 'user', 'content': '%s'}], 'completion': [{'role': 'assistant', 'content': '%s'}]}"),
        Arguments.of(COLUMNS, CHAT),
        Arguments.of(
            List.of(ParquetRows.CONVERSATIONS.formatted("conversations")),
            "{'conversations': [{'from': 'human', 'value': '%s'}, {'from': 'gpt', 'value': '%s'}]}"),
        Arguments.of(
            List.of(
                text.formatted("instruction"), text.formatted("input"), text.formatted("output")),
            "{'instruction': 'What follows?', 'input': '%s', 'output': '%s'}"),
        Arguments.of(
            List.of(text.formatted("instruction"), text.formatted("output")),
            "{'instruction': 'What follows %s?', 'output': '%s'}"));
  }

  private static List<JsonNode> rows(String row, int from, int to) throws IOException {
    List<JsonNode> rows = new ArrayList<>();
    for (int i = from; i < to; i++) {
      String said = row.formatted((char) ('a' + i % 6), (char) ('a' + (i + 1) % 6));
      rows.add(JSON.readTree(said.replace('\'', '"')));
    }
    return rows;
  }

  private static Path directory(String name) throws IOException {
    return Files.createDirectories(Files.createTempDirectory(temporary, "set").resolve(name));
  }

  private static Call train(Path set, Path run) {
    return Call.of(
        "train",
        "--model=" + model,
        "--dataset-name=" + set,
        "--epochs=1",
        "--lora-r=2",
        "--adapter-size=2",
        "--max-seq-length=" + TOKENS,
        "--threads=2",
        "--output=" + run);
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void shardsOfParquetAreLearntAsLinesOfJsonAre(List<String> columns, String row)
      throws IOException {
    Path parquet = directory("data");
    ParquetRows.write(parquet.resolve("train-00000-of-00002.parquet"), columns, rows(row, 0, 30));
    ParquetRows.write(parquet.resolve("train-00001-of-00002.parquet"), columns, rows(row, 30, 50));
    ParquetRows.write(parquet.resolve("test-00000-of-00001.parquet"), columns, rows(row, 0, 12));
    Path lines = directory("data");
    lines(lines.resolve("train.jsonl"), rows(row, 0, 50));
    lines(lines.resolve("test.jsonl"), rows(row, 0, 12));
    List<Path> runs = List.of(directory("run"), directory("run"));
    train(parquet.getParent(), runs.get(0)).exits(0);
    train(lines.getParent(), runs.get(1)).exits(0);
    assertEquals(Small.test(runs.get(1)), Small.test(runs.get(0)));
    assertEquals(12, Small.test(runs.get(0)).get("examples"));
    String measured = Call.of("evaluate", runs.get(0)).exits(0).out();
    assertTrue(measured.contains(", 12 examples"), measured);
    String file = "--test-file=" + parquet.resolve("train-00000-of-00002.parquet");
    Call.of("evaluate", runs.get(0), file).exits(0).prints(", 50 examples");
  }

  private static void lines(Path file, List<JsonNode> rows) throws IOException {
    Files.write(file, rows.stream().map(JsonNode::toString).toList());
  }

  @Test
  void aReadmeSaysWhichFilesAreAPart() throws IOException {
    Path set = directory("chats");
    Files.createDirectories(set.resolve("en"));
    ParquetRows.write(set.resolve("en/first.parquet"), COLUMNS, rows(CHAT, 0, 40));
    ParquetRows.write(set.resolve("en/held.parquet"), COLUMNS, rows(CHAT, 0, 7));
    Files.writeString(
        set.resolve("README.md"),
        """
        ---
        configs:
        - config_name: default
          data_files:
          - split: train
            path: en/first.parquet
          - split: test
            path: en/held.parquet
        ---
        # Chats
        """);
    Path run = directory("run");
    train(set, run).exits(0);
    assertEquals(7, Small.test(run).get("examples"));
  }

  @Test
  void aRowThatIsWrongIsNamedWithItsShard() throws IOException {
    Path data = directory("data");
    List<JsonNode> second = rows(CHAT, 0, 5);
    second.addAll(rows("{'messages': [{'content': '%s%s'}]}", 0, 1));
    ParquetRows.write(data.resolve("train-00000-of-00002.parquet"), COLUMNS, rows(CHAT, 0, 30));
    ParquetRows.write(data.resolve("train-00001-of-00002.parquet"), COLUMNS, second);
    Path run = temporary.resolve("never");
    train(data.getParent(), run)
        .exits(
            1, data.resolve("train-00001-of-00002.parquet") + ", row 6: messages[0] has no role");
    assertFalse(Files.exists(run));
  }
}
