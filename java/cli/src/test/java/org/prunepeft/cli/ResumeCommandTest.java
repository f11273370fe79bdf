package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.Endless;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.ProcessorTime;
import org.prunepeft.text.ShellWords;

/** Processes that are killed or asked to end, and what {@code --resume} makes of what they left. */
@FixedSeed("the weights are a prop; java/kill-and-resume draws other moments")
@Timeout(3600)
class ResumeCommandTest {
  private static final int LONG = 40;

  /** Epochs enough for a signal that comes within them, of runs that have more to do. */
  private static final int MANY = 20;

  /** Among words: of a language model and its data. */
  private static final String LANGUAGE = "LANGUAGE";

  /** Of such a model, with conversations as its data. */
  private static final String CHATS = "CHATS";

  /** With data in a directory as the hub keeps them. */
  private static final String DATASET = "DATASET";

  /** Processor time within which a process that is told to end while it trains does. */
  private static final Duration PROMISED = Duration.ofSeconds(10);

  /** The same of one that may still have to load its libraries. */
  private static final Duration WHERE_IT_BEGINS = Duration.ofSeconds(30);

  @TempDir static Path temporary;
  private static Path model;
  private static Path data;

  /** A language model, and prompts with completions. */
  private static Path decoder;

  private static Path pairs;

  /** Conversations. */
  private static Path chats;

  /** A training that nothing cut off. */
  private static Path whole;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
    data = temporary.resolve("texts.tsv");
    writeData("kind");
    decoder = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    pairs = LetterPairs.write(temporary, 80);
    chats =
        Files.writeString(
            temporary.resolve("chats.jsonl"),
            """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
            """
                .repeat(40));
    whole = temporary.resolve("whole");
    Call.of(train(whole, LONG)).exits(0);
  }

  private static void writeData(String word) throws IOException {
    StringBuilder rows = new StringBuilder("text\tlabel\n");
    for (int i = 0; i < 80; i++) {
      rows.append("the %s thing %d\t%s\n".formatted(word, i, i % 3 == 0 ? "yes" : "no"));
    }
    Files.writeString(data, rows);
  }

  private static List<String> train(Path output, int epochs) {
    return command("train", output, epochs);
  }

  /**
   * @param words the command and options of its own
   */
  private static List<String> command(String words, Path output, int epochs) {
    boolean language = words.contains(LANGUAGE);
    List<String> command = new ArrayList<>(List.of(words.replaceAll(" [A-Z]+", "").split(" +")));
    command.addAll(
        List.of(
            "--model=" + (language ? decoder : model),
            "--train-file=" + (language ? pairs : data),
            "--max-seq-length=16",
            "--threads=1",
            "--lora-r=2",
            "--adapter-size=2",
            "--batch-size=8",
            "--epochs=" + epochs,
            "--checkpoint-steps=3",
            "--output=" + output));
    if (words.contains("--use-adalora")) {
      command.remove("--lora-r=2");
    }
    return command;
  }

  /** Ends a process. */
  private interface Ending {
    void end(Process process) throws Exception;
  }

  /**
   * Starts a command, waits until it has written a checkpoint and then some milliseconds, and ends
   * it. A run that was quicker, as on a fast machine, is made again and ended sooner.
   */
  private static Process cutOff(List<String> command, Path run, Path said, Ending ending)
      throws Exception {
    Random random = new Random(Kills.seed(run.getFileName().toString()));
    for (int most = 300; ; most = Math.max(1, most / 2)) {
      Process process = ended(command, run, said, ending, random.nextInt(most));
      if (!RunDirectory.isComplete(run)) {
        assertNotEquals(0, process.exitValue(), Child.text(said));
        assertFalse(checkpoints(run).isEmpty(), Child.text(said));
        return process;
      }
      Directories.delete(run);
    }
  }

  /** Ends a command so long after it has written a checkpoint; it may have ended before. */
  private static Process ended(
      List<String> command, Path run, Path said, Ending ending, int milliseconds) throws Exception {
    Set<String> before = checkpoints(run);
    Process process = Child.start(command, said);
    while (process.isAlive() && before.containsAll(checkpoints(run))) {
      Thread.sleep(1);
    }
    Thread.sleep(milliseconds);
    ending.end(process);
    assertTrue(ProcessorTime.endsWithin(PROMISED, Child.LIMIT, process), "it goes on");
    return process;
  }

  /** Those that are whole; of several seeds or budgets those of each. */
  private static Set<String> checkpoints(Path run) {
    File[] parts = run.toFile().listFiles((directory, name) -> name.matches("(seed|keep)-.*"));
    return Stream.concat(Stream.of(run.toFile()), parts == null ? Stream.empty() : Stream.of(parts))
        .map(each -> new File(each, CheckpointDirectory.NAME))
        .map(directory -> directory.listFiles((parent, name) -> name.endsWith(".json")))
        .filter(Objects::nonNull)
        .flatMap(Stream::of)
        .map(File::toString)
        .collect(Collectors.toSet());
  }

  private static void assertSame(Path expected, Path run) throws IOException {
    for (String name :
        List.of("configuration.json", "metrics.jsonl", "adapter.safetensors", "head.safetensors")) {
      assertArrayEquals(
          Files.readAllBytes(expected.resolve(name)), Files.readAllBytes(run.resolve(name)), name);
    }
    assertEquals(Small.test(expected), Small.test(run));
  }

  @Test
  void aProcessThatIsKilledLeavesARunThatIsResumed() throws Exception {
    Path run = temporary.resolve("killed");
    Path said = temporary.resolve("killed.txt");
    Process process = cutOff(train(run, LONG), run, said, Process::destroyForcibly);
    Call.of("evaluate", run)
        .exits(
            1,
            "as process " + process.pid(),
            ", which is gone; go on with: prunepeft train --resume "
                + ShellWords.quoted(run.toString()));
    Call.of("train", "--resume", run).exits(0);
    assertSame(whole, run);
    Call.of("train", "--resume", run).exits(0, "is complete; nothing is left to do");
  }

  @ParameterizedTest
  @EnumSource
  void aProcessThatIsToldToEndWritesACheckpointAndSaysHowToGoOn(Signal signal) throws Exception {
    assumeFalse(
        signal == Signal.INT && Signal.ignoresInterrupts(),
        "a shell started this in the background");
    Path run = temporary.resolve("interrupted by " + signal);
    Path said = temporary.resolve(signal + ".txt");
    Process process = cutOff(train(run, LONG), run, said, signal::send);
    assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
    String line = "prunepeft: interrupted; go on with: prunepeft train --resume '" + run + "'";
    assertEquals(line, Child.text(said).lines().reduce((a, b) -> b).orElse(""), Child.text(said));
    assertFalse(Child.text(said).contains("prunepeft: cancelled"), Child.text(said));
    Call.of("evaluate", run)
        .exits(1, "interrupted; go on with: prunepeft train --resume '" + run + "'");
    Call.of("train", "--resume=" + run).exits(0);
    assertSame(whole, run);
  }

  /** The model is read, or texts are tokenised; nothing has been trained. */
  @Test
  void aTrainingThatIsToldToEndBeforeItsFirstCheckpointBeginsAgain() throws Exception {
    for (Signal signal : Signal.without(Signal.INT)) {
      Path run = temporary.resolve("not begun by " + signal);
      Path said = temporary.resolve("not begun by " + signal + ".txt");
      while (true) {
        Process process = Child.start(train(run, LONG), said);
        while (process.isAlive() && Files.notExists(run.resolve("config.yaml"))) {
          Thread.sleep(1);
        }
        signal.send(process);
        assertTrue(ProcessorTime.endsWithin(WHERE_IT_BEGINS, Child.LIMIT, process), "it goes on");
        assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
        if (checkpoints(run).isEmpty()) {
          break;
        }
        // It was quicker than the signal, as on a fast machine.
        Directories.delete(run);
      }
      assertEquals(
          "prunepeft: interrupted; go on with: prunepeft train --resume '" + run + "'",
          Child.text(said).lines().reduce((a, b) -> b).orElse(""),
          Child.text(said));
      // On a busy machine the process may have given up waiting for its libraries.
      Call.of("evaluate", run).exits(1, "; go on with: prunepeft train --resume '" + run + "'");
      Call.of("train", "--resume=" + run).exits(0);
      assertSame(whole, run);
    }
  }

  @Test
  void aRunThatGoesOnAndIsToldToEndGoesOnAgain() throws Exception {
    for (Signal signal : Signal.without(Signal.INT)) {
      Path run = temporary.resolve("twice by " + signal);
      Path said = temporary.resolve("twice by " + signal + ".txt");
      Random random = new Random(Kills.seed("twice"));
      Process process;
      int most = 200;
      do {
        if (Files.exists(run)) {
          Directories.delete(run);
        }
        cutOff(train(run, LONG), run, said, signal::send);
        List<String> resumption = List.of("train", "--resume=" + run);
        process = ended(resumption, run, said, signal::send, random.nextInt(most));
        most = Math.max(1, most / 2);
      } while (RunDirectory.isComplete(run));
      assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
      assertEquals(
          "prunepeft: interrupted; go on with: prunepeft train --resume '" + run + "'",
          Child.text(said).lines().reduce((a, b) -> b).orElse(""),
          Child.text(said));
      Call.of("train", "--resume=" + run).exits(0);
      assertSame(whole, run);
    }
  }

  /** Other runs than a training of one seed. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "search --strategy=all --rounds=2 --round-examples=48 --keep=0.5",
        "search --strategy=measured --supernet-examples=48 --supernet-epochs=8 --validation-examples=24 --measured-examples=24 --subsets=24 --keep=0.5",
        "search --strategy=all --rounds=1 --round-examples=48 --keep=0.5,0.25",
        "search --strategy=gates --search-examples=48 --search-epochs=10",
        "search --strategy=first-order --search-examples=48 --search-epochs=10",
        "search --strategy=bayesian --search-examples=24 --trials=6",
        "train --modules=full",
        "train LANGUAGE",
        "train --seeds=1,2",
        "search --strategy=all --rounds=1 --round-examples=48 --seeds=1,2 --together"
      })
  void anyRunThatIsToldToEndGoesOnAsIfItHadNot(String words) throws Exception {
    Path uninterrupted = Files.createTempDirectory(temporary, "uninterrupted");
    Call.of(command(words, uninterrupted, MANY)).exits(0);
    for (Signal signal : Signal.without(words.contains("--seeds") ? Signal.TERM : Signal.INT)) {
      Path run = Files.createTempDirectory(temporary, "told");
      Path said = temporary.resolve(run.getFileName() + ".txt");
      Process process = cutOff(command(words, run, MANY), run, said, signal::send);
      assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
      String name = words.substring(0, words.indexOf(' '));
      String line = "prunepeft: interrupted; go on with: prunepeft %s --resume %s";
      assertEquals(
          line.formatted(name, ShellWords.quoted(run.toString())),
          Child.text(said).lines().reduce((a, b) -> b).orElse(""),
          Child.text(said));
      Call.of(name, "--resume=" + run).exits(0);
      Results.assertSame(Results.of(uninterrupted), run);
    }
  }

  /** A run that its own process cut off, as by a full disk. */
  private static Path cutOff(String name) throws Exception {
    Path run = temporary.resolve(name);
    Path said = temporary.resolve(name + ".txt");
    cutOff(train(run, LONG), run, said, Process::destroyForcibly);
    return run;
  }

  @Test
  void otherSettingsDataOrModelsAreRefused() throws Exception {
    Path run = cutOff("refused");
    Call.of("train", "--resume", run, "--epochs=3").exits(2, "leave out --epochs");
    Call.of("train", "--resume", run, "--threads=2").exits(2, "leave out --threads");
    Call.of("search", "--resume", run)
        .exits(
            2,
            "is a train; go on with: prunepeft train --resume "
                + ShellWords.quoted(run.toString()));
    writeData("unkind");
    Call.of("train", "--resume", run).exits(3, data + " is not what the run", "with SHA-256");
    writeData("kind");
    Path weights = model.resolve("model.safetensors");
    byte[] content = Files.readAllBytes(weights);
    byte[] other = content.clone();
    // A sign or a bit of the exponent, which no rounding hides.
    other[other.length / 2 | 3] ^= 0x40;
    Files.write(weights, other);
    Call.of("train", "--resume", run)
        .exits(3, "the frozen encoder's outputs are not those that the run began with");
    Files.write(weights, content);
    Path config = run.resolve("config.json");
    byte[] settings = Files.readAllBytes(config);
    Files.delete(config);
    Path options = run.resolve("config.yaml");
    with(
        options,
        Files.readString(options)
            .replaceFirst("\nlora_learning_rate: .*", "\nlora_learning_rate: 0.1"),
        () ->
            Call.of("train", "--resume", run)
                .exits(3, config + " is gone, but was there when the checkpoint was written"));
    assertFalse(Files.exists(config));
    Files.write(config, settings);
    Path page = run.resolve("report.html");
    Call.of("train", "--resume", run, "--watch").exits(0, "watch it at " + page.toUri());
    assertTrue(Files.readString(page).contains("\"state\":\"complete\""));
  }

  /**
   * Leaves several runs as where they were cut off before the second wrote its settings.
   *
   * @return the directories of the first and of the second, which is gone
   */
  private static List<Path> cutOffBeforeTheSecond(Path run) throws IOException {
    List<Path> members = new ArrayList<>();
    for (String name : List.of("seed-1", "seed-2", "keep-0.5", "keep-0.25")) {
      if (Files.exists(run.resolve(name))) {
        members.add(run.resolve(name));
      }
    }
    assertEquals(2, members.size());
    Directories.delete(members.get(1));
    cutOffBeforeTheirResults(run);
    return members;
  }

  /** The same where the second had come to its end too. */
  private static void cutOffBeforeTheirResults(Path run) throws IOException {
    for (String name : List.of("seeds.json", "budgets.json", "summary.md")) {
      Files.deleteIfExists(run.resolve(name));
    }
    Files.writeString(run.resolve(RunDirectory.INCOMPLETE), "interrupted\n");
  }

  /** Does something while a file has other content. */
  private static void with(Path file, byte[] content, Runnable work) throws IOException {
    byte[] whole = Files.readAllBytes(file);
    assertFalse(Arrays.equals(whole, content), file + " is to change");
    Files.write(file, content);
    try {
      work.run();
    } finally {
      Files.write(file, whole);
    }
  }

  private static void with(Path file, String from, String to, Runnable work) throws IOException {
    with(file, Files.readString(file).replace(from, to), work);
  }

  private static void with(Path file, String content, Runnable work) throws IOException {
    with(file, content.getBytes(StandardCharsets.UTF_8), work);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train --seeds=1,2",
        "train --seeds=1,2 --together",
        "search --strategy=all --rounds=1 --round-examples=48 --keep=0.5,0.25"
      })
  void aCompleteRunIsNotPutTogetherWithThoseOfOtherDataSettingsOrModels(String words)
      throws IOException {
    Path run = Files.createTempDirectory(temporary, "several");
    Call.of(command(words, run, 2)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    List<Path> members = cutOffBeforeTheSecond(run);
    Path first = members.get(0);
    String name = words.substring(0, words.indexOf(' '));
    String remedy =
        "alone: put back what it was made with, or delete the directory %s, and --resume"
            .formatted(first);
    // All labels are the others.
    String labels = Files.readString(data);
    String permuted =
        labels.replace("\tyes", "\t?").replace("\tno", "\tyes").replace("\t?", "\tno");
    with(
        data,
        permuted.getBytes(StandardCharsets.UTF_8),
        () ->
            Call.of(name, "--resume", run)
                .exits(3, data + " is not what the run " + first + " read: it has", remedy));
    Path weights = model.resolve("model.safetensors");
    byte[] other = Files.readAllBytes(weights);
    other[other.length / 2 | 3] ^= 0x40;
    with(
        weights,
        other,
        () ->
            Call.of(name, "--resume", run)
                .exits(3, weights + " is not what the run " + first + " read: it has", remedy));
    with(
        run.resolve("config.yaml"),
        "epochs: 2\n",
        "epochs: 3\n",
        () ->
            Call.of(name, "--resume", run)
                .exits(
                    3,
                    "the run in %s began with other settings or data".formatted(first),
                    "its config.json has setup {epochs=2} and now it would be {epochs=3}",
                    remedy));
    // Nothing was trained.
    assertFalse(Files.exists(members.get(1)));
    Call.of(name, "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  /** They are known when a run has been prepared, and compared before it trains. */
  @ParameterizedTest
  @ValueSource(strings = {"--seeds=1,2", "--keep=0.5,0.25"})
  void norWithThoseOfOtherSettingsOfTheSearch(String several) throws IOException {
    Path run = Files.createTempDirectory(temporary, "several");
    String words = "search --strategy=weight --rounds=1 --round-examples=48 " + several;
    Call.of(command(words, run, 2)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    List<Path> members = cutOffBeforeTheSecond(run);
    with(
        run.resolve("config.yaml"),
        "round_examples: 48\n",
        "round_examples: 32\n",
        () ->
            Call.of("search", "--resume", run)
                .exits(
                    3,
                    "the run in %s began with other settings or data".formatted(members.get(0)),
                    "search {roundExamples=48} and now it would be {roundExamples=32}"));
    assertFalse(Files.exists(members.get(1).resolve("config.json")));
    Call.of("search", "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  /** Its configuration says that no other modules are left. */
  @Test
  void trainingsOfAllLinearLayersInPlaceOfOtherModulesGoOn() throws IOException {
    Path run = Files.createTempDirectory(temporary, "several");
    String words = "train --modules=all-linear --module-types=vera --keep=0.5 --seeds=1,2";
    Call.of(command(words, run, 1)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheSecond(run);
    Call.of("train", "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  /** A command that reads the same data in a directory of its own. */
  private static List<String> reading(Path train, String words, Path run) throws IOException {
    Files.createDirectories(train.getParent());
    Files.copy(words.contains(CHATS) ? chats : words.contains(LANGUAGE) ? pairs : data, train);
    List<String> command = command(words, run, 1);
    command.replaceAll(
        word ->
            !word.startsWith("--train-file=")
                ? word.replace("--max-seq-length=16", "--max-seq-length=48")
                : words.contains(DATASET)
                    ? "--dataset-name=" + train.getParent()
                    : "--train-file=" + train);
    return command;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train",
        "train --seeds=1,2",
        "search --strategy=all --rounds=1 --round-examples=48 --keep=0.5,0.25"
      })
  void dataThatHaveMovedAreKnownByWhatTheyHold(String words) throws IOException {
    Path run = Files.createTempDirectory(temporary, "moving");
    Path train = run.resolveSibling(run.getFileName() + "-data").resolve("train.tsv");
    Call.of(reading(train, words, run)).exits(0);
    Path first = run;
    if (words.equals("train")) {
      Files.delete(run.resolve("result.json"));
      Files.writeString(run.resolve(RunDirectory.INCOMPLETE), "interrupted\n");
    } else {
      first = cutOffBeforeTheSecond(run).get(0);
    }
    Path moved = run.resolveSibling(run.getFileName() + "-moved").resolve("train.tsv");
    Files.createDirectories(moved.getParent());
    Files.move(train, moved);
    Path options = run.resolve("config.yaml");
    String text = Files.readString(options);
    assertTrue(text.contains(train.toString()), text);
    Files.writeString(options, text.replace(train.toString(), moved.toString()));
    String name = words.split(" ")[0];
    String refused = "%s is not what the run %s read: it has".formatted(moved, first);
    with(moved, "\tyes", "\tperhaps", () -> Call.of(name, "--resume", run).exits(3, refused));
    Call.of(name, "--resume", run).exits(0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "train --seeds=1,2",
        "train --seeds=1,2 --together",
        "search --strategy=all --rounds=1 --round-examples=48 --keep=0.5,0.25",
        "train DATASET --seeds=1,2",
        "train LANGUAGE --seeds=1,2",
        "train LANGUAGE DATASET --seeds=1,2 --together",
        "train LANGUAGE CHATS --modules=random --keep=0.5,0.25",
        "train --modules=all-linear --module-types=vera --keep=0.5 --seeds=1,2",
        "train --modules=all-linear --module-types=vera --keep=0.8,0.6",
        "train --modules=full --seeds=1,2",
        "train --use-adalora --init-r=4 --target-r=2 --tinit=1 --tfinal=1 --seeds=1,2",
        "train LANGUAGE --use-adalora --init-r=4 --target-r=2 --tinit=0 --tfinal=0 --seeds=1,2",
        "search --warm-up-examples=24 --warm-up-epochs=1 --warm-up-turns=1 --rounds=1 --round-examples=48 --keep=0.5,0.25"
      })
  void runsThatAreAllCompleteAreNotToReadTheirDataAgain(String words) throws IOException {
    Path run = Files.createTempDirectory(temporary, "ended");
    Path train =
        run.resolveSibling(run.getFileName() + "-data")
            .resolve(words.contains(LANGUAGE) ? "train.jsonl" : "train.tsv");
    Call.of(reading(train, words, run)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheirResults(run);
    Directories.delete(train.getParent());
    Call.of(words.split(" ")[0], "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  @Test
  void runsThatAreAllCompleteAndUnlikeHaveNoMean() throws IOException {
    Path run = Files.createTempDirectory(temporary, "several");
    Call.of(command("train --seeds=1,2", run, 1)).exits(0);
    Path others = Files.createTempDirectory(temporary, "several");
    Call.of(command("train --modules=lora --seeds=1,2", others, 1)).exits(0);
    cutOffBeforeTheirResults(run);
    Path second = run.resolve("seed-2");
    Directories.delete(second);
    Files.move(others.resolve("seed-2"), second);
    Call.of("train", "--resume", run)
        .exits(
            3,
            "the run in %s began with other settings".formatted(run.resolve("seed-1")),
            "and that of " + second,
            "delete the directory of one of the two");
    assertFalse(Files.exists(run.resolve("seeds.json")));
    Directories.delete(second);
    Call.of("train", "--resume", run).exits(0);
    assertTrue(Files.exists(run.resolve("seeds.json")));
  }

  /** Of them the mean says what model and what task it is of. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "train --seeds=1,2,3",
        "search --strategy=all --rounds=1 --round-examples=48 --keep=0.5,0.25,0.125"
      })
  void runsThatAreAllCompleteAreToBeWhatTheirOptionsAskFor(String words) throws IOException {
    Path run = Files.createTempDirectory(temporary, "asked");
    Call.of(command(words, run, 1)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheirResults(run);
    boolean seeds = words.contains("seeds");
    Path first = run.resolve(seeds ? "seed-1" : "keep-0.5");
    String name = words.split(" ")[0];
    Path options = run.resolve("config.yaml");
    String remedy = "alone: put back what it was made with, or delete the directory " + first;
    with(
        options,
        "epochs: 1\n",
        "epochs: 2\n",
        () ->
            Call.of(name, "--resume", run)
                .exits(
                    3,
                    "the run in %s began with other settings or data".formatted(first),
                    "its config.json has setup {epochs=1} and now it would be {epochs=2}",
                    remedy));
    // What is named otherwise is read.
    Path labels = Files.createTempDirectory(temporary, "labels").resolve("texts.tsv");
    Files.writeString(labels, Files.readString(data).replace("\tyes", "\tperhaps"));
    with(
        options,
        data.toString(),
        labels.toString(),
        () ->
            Call.of(name, "--resume", run)
                .exits(3, labels + " is not what the run " + first + " read: it has", remedy));
    Path moved = Files.createTempDirectory(temporary, "model");
    for (String file : Small.names(model)) {
      Files.copy(model.resolve(file), moved.resolve(file));
    }
    Path weights = moved.resolve("model.safetensors");
    byte[] other = Files.readAllBytes(weights);
    other[other.length / 2 | 3] ^= 0x40;
    Files.write(weights, other);
    with(
        options,
        model.toString(),
        moved.toString(),
        () ->
            Call.of(name, "--resume", run)
                .exits(3, weights + " is not what the run " + first + " read: it has", remedy));
    with(
        options,
        seeds ? "- 3\n" : "- 0.125\n",
        "",
        () ->
            Call.of(name, "--resume", run)
                .exits(
                    3,
                    run
                        + " has runs of seeds or budgets that are not asked for: "
                        + (seeds ? "seed-3; " : "keep-0.125; ")));
    assertFalse(Files.exists(run.resolve("summary.md")));
    Call.of(name, "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  private static void assertNotAsked(Path run, String from, String to, String difference)
      throws IOException {
    Path options = run.resolve("config.yaml");
    String text = Files.readString(options);
    String name = text.contains(" search ") ? "search" : "train";
    Path first =
        Stream.of("seed-1", "keep-0.8", "keep-0.5")
            .map(run::resolve)
            .filter(Files::exists)
            .findFirst()
            .orElseThrow();
    with(
        options,
        // A line of its own, or one more.
        from.isEmpty() ? text + to + "\n" : text.replace("\n" + from + "\n", "\n" + to + "\n"),
        () ->
            Call.of(name, "--resume", run)
                .exits(
                    3,
                    "the run in %s began with other settings or data".formatted(first),
                    "its config.json has " + difference,
                    "alone: put back what it was made with, or delete the directory " + first));
    assertFalse(Files.exists(run.resolve("summary.md")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"--seeds=1,2", "--keep=0.5,0.25"})
  void searchesThatAreAllCompleteAreToBeWhatTheirOptionsAskFor(String several) throws IOException {
    Path run = Files.createTempDirectory(temporary, "asked");
    String words = "search --strategy=weight --rounds=1 --round-examples=48 " + several;
    Call.of(command(words, run, 1)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheirResults(run);
    assertNotAsked(
        run, "rounds: 1", "rounds: 2", "search {rounds=1} and now it would be {rounds=2}");
    assertNotAsked(
        run,
        "round_examples: 48",
        "round_examples: 32",
        "search {roundExamples=48} and now it would be {roundExamples=32}");
    assertNotAsked(run, "strategy: weight", "strategy: all", "search {strategy=");
    assertNotAsked(run, "strategy: weight", "strategy: warm-up", "search {strategy=");
    assertNotAsked(run, "strategy: weight", "strategy: measured", "search {strategy=");
    assertNotAsked(run, "", "modules: encoder.layer.0.lora", "search {start=null}");
    assertNotAsked(run, "lora_r: 2", "lora_r: 3", "setup {lora=");
    Call.of("search", "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--keep=0.5 --seeds=1,2", "--keep=0.5,0.25"})
  void trainingsThatAreAllCompleteAreToBeWhatTheirOptionsAskFor(String several) throws IOException {
    Path run = Files.createTempDirectory(temporary, "asked");
    String words = "train --modules=random --module-types=vera " + several;
    Call.of(command(words, run, 1)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheirResults(run);
    assertNotAsked(run, "draw: 0", "draw: 1", "selection {draw=0} and now it would be {draw=1}");
    assertNotAsked(run, "modules: random", "modules: last-layers", "selection {kind=random}");
    assertNotAsked(run, "modules: random", "modules: all-linear", "setup {lora=");
    assertNotAsked(run, "adapter_size: 2", "adapter_size: 3", "setup {adapter={");
    assertNotAsked(run, "module_types: vera", "", "setup {");
    if (several.contains("seeds")) {
      assertNotAsked(run, "keep: 0.5", "keep: 0.4", "selection {budget=");
    }
    Call.of("train", "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  /** Their rank and alpha go by the budget, and nothing else of LoRA does. */
  @Test
  void budgetsOfAllLinearLayersHaveTheLoraThatIsAskedFor() throws IOException {
    Path run = Files.createTempDirectory(temporary, "all-linear");
    String words =
        "train --modules=all-linear --module-types=vera --lora-dropout=0.25 --keep=0.8,0.6";
    Call.of(command(words, run, 1)).exits(0);
    Map<String, byte[]> expected = Results.of(run);
    cutOffBeforeTheirResults(run);
    assertNotAsked(run, "lora_dropout: 0.25", "lora_dropout: 0.5", "setup {lora={");
    assertNotAsked(run, "lora_r: 2", "lora_r: 4", "setup {lora={");
    Directories.delete(run.resolve("keep-0.6"));
    assertNotAsked(run, "lora_dropout: 0.25", "lora_dropout: 0.5", "setup {lora={");
    Call.of("train", "--resume", run).exits(0);
    Results.assertSame(expected, run);
  }

  @Test
  void aMeanIsOfTheTaskOfItsRuns() throws IOException {
    Path run = Files.createTempDirectory(temporary, "asked");
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--modules=head",
            "--seeds=1,2",
            "--output=" + run)
        .exits(0);
    cutOffBeforeTheirResults(run);
    with(
        run.resolve("config.yaml"),
        "task: wordnet\n",
        "task: acceptability\n",
        () ->
            Call.of("train", "--resume", run)
                .exits(
                    3,
                    "the run in %s began with other settings".formatted(run.resolve("seed-1")),
                    "setup {task=wordnet} and now it would be {task=acceptability}"));
    assertFalse(Files.exists(run.resolve("summary.md")));
    // For one run alone they would be in the way.
    with(
        run.resolve("config.yaml"),
        "seeds:\n- 1\n- 2\n",
        "",
        () -> Call.of("train", "--resume", run).exits(3, "are not asked for: seed-1, seed-2; "));
    assertFalse(Files.exists(run.resolve("config.json")));
    Call.of("train", "--resume", run).exits(0).prints(" on wordnet, seeds 1, 2");
  }

  @Test
  void whatIsNotOfItsTypeInTheSettingsOfARunIsRefusedByFileAndMember() throws IOException {
    Path run = temporary.resolve("other types");
    Call.of(train(run, 1)).exits(0);
    Files.delete(run.resolve("result.json"));
    Files.writeString(run.resolve(RunDirectory.INCOMPLETE), "interrupted\n");
    Path config = run.resolve("config.json");
    String none = config + " has no member '%s'";
    assertRefused(run, 1, "plugins", null, none.formatted("plugins"));
    assertRefused(run, 1, "data", null, none.formatted("data"));
    assertRefused(run, 1, "encoder", null, none.formatted("encoder"));
    assertRefused(run, 1, "encoder", "x", config + ", encoder: ");
    List<?> root = List.of(Map.of("file", "/", "bytes", 1, "sha256", "00"));
    assertRefused(run, 3, "data", root, "began with other settings or data");
    Call.of("train", "--resume", run).exits(0);
  }

  private static void assertRefused(Path run, int exit, String member, Object value, String said)
      throws IOException {
    Path config = run.resolve("config.json");
    Map<String, Object> object = RunDirectory.parse(config);
    object.remove("sha256");
    object.put(member, value);
    with(
        config,
        RunDirectory.format("config.json", object).getBytes(StandardCharsets.UTF_8),
        () -> Call.of("train", "--resume", run).exits(exit, said));
  }

  @Test
  void otherVersionsOfACompleteRunOfSeveralAreSaid() throws IOException {
    Path run = Files.createTempDirectory(temporary, "several");
    Call.of(command("train --seeds=1,2", run, 1)).exits(0);
    Path first = cutOffBeforeTheSecond(run).get(0);
    Path config = first.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config).replaceFirst("\"java\" : \"[^\"]*\"", "\"java\" : \"1.2.3\""));
    Call.of("seal", first).exits(0);
    Call.of("train", "--resume", run)
        .exits(
            0,
            "the run in %s was made with {".formatted(first),
            "java=1.2.3",
            "their last bits may be others");
  }

  @Test
  void whatHasNotBegunIsToBeBegun() throws IOException {
    Path absent = temporary.resolve("absent");
    Call refused =
        Call.of("train", "--resume", absent).exits(1, absent + " is not the directory of a run");
    assertFalse(refused.err().contains("anew"), refused.err());
    Path empty = Files.createDirectories(temporary.resolve("empty"));
    Call.of("train", "--resume", empty).exits(3, "its run had not begun; begin it anew");
  }

  @Test
  void optionsThatAreNoTextAreRefusedByTheirName() throws IOException {
    Path run = Files.createDirectories(temporary.resolve("no text"));
    Path options = run.resolve("config.yaml");
    Files.write(options, new byte[] {(byte) 0xff, '\n'});
    Call.of("train", "--resume", run).exits(2, options + " must be a mapping of options to values");
  }

  @ParameterizedTest
  @EnumSource
  void optionsThatHaveNoEndAreRefusedByTheirName(Endless endless) throws IOException {
    Path run = Files.createDirectories(temporary.resolve("no end " + endless));
    Path options = run.resolve("config.yaml");
    Call refused = endless.read(options, () -> Call.of("train", "--resume", run));
    refused.exits(1, options + " is a device, a FIFO or a socket");
    // Of a run that says no command itself, they are asked how it goes on.
    Files.writeString(run.resolve("INCOMPLETE"), "failed: cancelled\n");
    refused = endless.read(options, () -> Call.of("predict", run, "--text=a"));
    refused.exits(1, "go on with: prunepeft COMMAND --resume '" + run + "'");
  }

  @Test
  void aSearchThatWasKilledAfterItsLastRoundGivesItsModules() throws Exception {
    Path run = temporary.resolve("searched");
    Path said = temporary.resolve("searched.txt");
    List<String> search = new ArrayList<>(train(run, LONG));
    search.set(0, "search");
    search.addAll(List.of("--strategy=all", "--rounds=1", "--round-examples=16", "--keep=0.5"));
    Process process = Child.start(search, said);
    while (Files.notExists(run.resolve("configuration.json"))) {
      assertTrue(process.isAlive(), () -> Child.text(said));
      Thread.sleep(5);
    }
    process.destroyForcibly().waitFor();
    assertTrue(Files.exists(run.resolve(RunDirectory.INCOMPLETE)));
    Path trained = temporary.resolve("trained");
    Call.of(train(trained, 1), "--modules=" + run).exits(0, run + " is not complete; the choice");
    Map<?, ?> found = RunDirectory.openChosen(run).readJson("configuration.json");
    assertEquals(
        found.get("modules"),
        RunDirectory.open(trained).readJson("configuration.json").get("modules"));
  }
}
