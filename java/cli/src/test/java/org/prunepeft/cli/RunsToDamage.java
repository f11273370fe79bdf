package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.prunepeft.files.RunDirectory;

/**
 * Runs whose files tests damage and mend again. All tests of a process share them: the weights are
 * a prop, what is damaged is drawn.
 */
final class RunsToDamage {
  /** What a language model writes by, beside its weights and its tokenizer. */
  static final List<String> WRITING =
      List.of(
          "generation_config.json",
          "chat_template.jinja",
          "additional_chat_templates/default.jinja",
          "additional_chat_templates/tool_use.jinja");

  /** Templates that nothing here reads. */
  static final List<String> UNREAD =
      List.of(
          "chat_template.json",
          "additional_chat_templates/plain.jinja",
          "additional_chat_templates/chat_template.jinja");

  private static RunsToDamage made;

  private final Path directory;
  final Path model;

  /** A search by pruning. */
  final Path run;

  /** That run in AdapterHub's form. */
  final Path export;

  private RunsToDamage() throws IOException {
    directory = Small.lasting();
    model = Small.fixedModel(directory);
    run = search("all", "--rounds=1", "--round-examples=16");
    export = directory.resolve("export");
    Call.of("export", run, "--format=adapters", "--output=" + export).exits(0);
  }

  static synchronized RunsToDamage get() throws IOException {
    if (made == null) {
      made = new RunsToDamage();
    }
    return made;
  }

  /** Makes one in a directory of the strategy's name, which must not be there yet. */
  Path search(String strategy, String... options) {
    Path output = directory.resolve(strategy);
    Call.of(
            "search",
            "--model=" + model,
            Small.examples(24),
            "--lora-r=2",
            "--adapter-size=2",
            "--strategy=" + strategy,
            "--keep=0.5",
            options,
            "--output=" + output)
        .exits(0);
    return output;
  }

  static List<Path> files(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  /** Copies the files of a directory, and says where. */
  static Path copy(Path directory, Path copy) throws IOException {
    Files.createDirectories(copy);
    for (Path file : files(directory)) {
      Files.copy(file, copy.resolve(file.getFileName()));
    }
    return copy;
  }

  /** A copy of a search, as if that had been killed once its choice was made. */
  static Path killed(Path search, Path copy) throws IOException {
    copy(search, copy);
    Files.delete(copy.resolve("result.json"));
    Files.writeString(copy.resolve(RunDirectory.INCOMPLETE), "failed: cancelled\n");
    return copy;
  }

  /** A run of a language model whose directory has each of these files. */
  static Path writer(Path llama, Path output) throws IOException {
    return trained(llama, output, "{\"text\": \"z\"}\n".repeat(40));
  }

  static Path trained(Path llama, Path output, String examples) throws IOException {
    LlamaDirectory.write(llama);
    Files.createDirectory(llama.resolve("additional_chat_templates"));
    Stream.concat(WRITING.stream().skip(1), UNREAD.stream())
        .forEach(template -> write(llama.resolve(template), "{{ messages[0].content }}"));
    Files.writeString(llama.resolve(WRITING.get(0)), "{\"eos_token_id\": 2}");
    Path file = Files.writeString(llama.resolve("a.jsonl"), examples);
    Call.of(
            "train",
            "--model=" + llama,
            "--train-file=" + file,
            "--epochs=1",
            "--lora-r=2",
            "--adapter-size=0",
            "--max-seq-length=16",
            "--threads=1",
            "--output=" + output)
        .exits(0);
    return output;
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
