package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;

/**
 * Kills commands at random moments: once a drawn number of checkpoints has been written since the
 * process began, every other time while another is being written or removed, and every fifth time
 * before its first. Resumes what they left, kills that, and compares each run that comes to its end
 * with one that nothing cut off. A run is killed some eight times, from its beginning to its end,
 * then another begins.
 */
@FixedSeed("the weights are a prop; java/kill-and-resume draws the moments")
@Timeout(7200)
class KillAndResumeTest {
  /** Of each command. */
  private static final int KILLS = Kills.count(2);

  /** Of those that a run writes, the largest part that a process may write before it is killed. */
  private static final double MOST_OF_RUN = 0.25;

  /** Part of the names of commands that are tried; {@code java/kill-and-resume} sets it. */
  private static final String ONLY = System.getProperty("prunepeft.kills.only");

  /** Those of a build; {@link ResumeTest} cuts off the others' work too. */
  private static final Set<String> OF_A_BUILD = Set.of("train", "search", "together");

  /** Of a task, whose examples take a process seconds to read, the first alone. */
  private static final Map<String, String> COMMANDS =
      new TreeMap<>(
          Map.ofEntries(
              Map.entry("train", "train --epochs=6"),
              Map.entry("threads", "train --train-file=DATA --epochs=6 --threads=2"),
              Map.entry(
                  "upper layers", "train --train-file=DATA --epochs=6 --modules=depth --keep=0.3"),
              Map.entry("full", "train --train-file=DATA --epochs=4 --modules=full"),
              Map.entry("language", "train --train-file=PAIRS --epochs=6"),
              Map.entry(
                  "search",
                  "search --train-file=DATA --module-types=vera --module-settings=vera.rank=4 --epochs=2 --warm-up-turns=1 --warm-up-examples=16 --warm-up-epochs=1 --rounds=2 --round-examples=32"),
              Map.entry(
                  "measured",
                  "search --train-file=DATA --strategy=measured --epochs=2 --supernet-examples=32 --supernet-epochs=2 --measured-examples=32 --subsets=24"),
              Map.entry(
                  "gates",
                  "search --train-file=DATA --strategy=gates --search-examples=48 --search-epochs=3 --epochs=2"),
              Map.entry(
                  "first-order",
                  "search --train-file=DATA --strategy=first-order --search-examples=48 --search-epochs=3 --epochs=2"),
              Map.entry(
                  "bayesian",
                  "search --train-file=DATA --strategy=bayesian --search-examples=16 --trials=6 --epochs=2"),
              Map.entry(
                  "budgets",
                  "search --train-file=DATA --epochs=2 --strategy=all --rounds=1 --round-examples=32 --keep=0.5,0.25"),
              Map.entry("seeds", "train --train-file=DATA --epochs=3 --seeds=1,2"),
              Map.entry(
                  "together",
                  "search --train-file=DATA --epochs=2 --strategy=all --rounds=2 --round-examples=32 --seeds=1,2 --together")));

  @TempDir static Path temporary;
  private static Path model;

  /** Examples of classes, and texts and their answers. */
  private static Path data, pairs;

  /** A language model, of the command that is named so. */
  private static Path decoder;

  /** Two commands at a time, since most have one thread; each test waits for its own. */
  private static final ExecutorService TWO = Executors.newFixedThreadPool(2);

  private static final Map<String, Future<?>> TRIALS = new TreeMap<>();

  @BeforeAll
  static void begin() throws IOException {
    model = Small.model(temporary);
    data = temporary.resolve("texts.tsv");
    Files.write(
        data,
        IntStream.range(-1, 120)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 3))
            .toList());
    decoder = LlamaDirectory.write(temporary.resolve("tiny-llama"));
    pairs = LetterPairs.write(temporary, 120);
    names()
        .forEach(
            name -> {
              String words = COMMANDS.get(name);
              Random random = new Random(Kills.seed(name));
              TRIALS.put(name, TWO.submit(() -> check(name, words, random)));
            });
  }

  @AfterAll
  static void end() {
    TWO.shutdownNow();
  }

  static List<String> names() {
    return COMMANDS.keySet().stream()
        .filter(name -> ONLY == null ? OF_A_BUILD.contains(name) : name.contains(ONLY))
        .toList();
  }

  private static List<String> command(String words, Path output) {
    List<String> arguments = new ArrayList<>();
    for (String word : words.split(" ")) {
      arguments.add(word.replace("DATA", data.toString()).replace("PAIRS", pairs.toString()));
    }
    arguments.addAll(
        List.of(
            "--model=" + (words.contains("PAIRS") ? decoder : model),
            "--train-examples=64",
            "--validation-examples=24",
            "--test-examples=16",
            "--max-seq-length=24",
            "--lora-r=2",
            "--adapter-size=2",
            "--batch-size=4",
            "--checkpoint-steps=1",
            "--output=" + output));
    if (!words.contains("--threads=")) {
      arguments.add("--threads=1");
    }
    return arguments;
  }

  @ParameterizedTest
  @MethodSource("names")
  void whatIsKilledAgainAndAgainEndsAsWhatIsNot(String name) throws Throwable {
    try {
      TRIALS.get(name).get();
    } catch (ExecutionException e) {
      throw e.getCause();
    }
  }

  private static Void check(String name, String words, Random random) throws Exception {
    Path whole = temporary.resolve(name + "-whole");
    Path said = temporary.resolve(name + ".txt");
    long begun = System.nanoTime();
    Process uninterrupted = Child.start(command(words, whole), said);
    Checkpoints all = new Checkpoints(whole);
    all.await(uninterrupted, 1);
    long startUp = (System.nanoTime() - begun) / 1_000_000;
    all.await(uninterrupted, Integer.MAX_VALUE);
    Child.awaitEnd(uninterrupted, said);
    assertEquals(0, uninterrupted.exitValue(), Child.text(said));
    Map<String, byte[]> expected = Results.of(whole);

    int kills = 0;
    int writing = 0;
    int early = 0;
    int runs = 0;
    int[] quarters = new int[4];
    while (kills < KILLS) {
      Path run = temporary.resolve(name + "-" + runs++);
      Checkpoints written = new Checkpoints(run);
      while (!RunDirectory.isComplete(run)) {
        boolean begins = Files.notExists(run.resolve("config.yaml"));
        Set<String> left = unfinished(run);
        Process process =
            Child.start(
                begins
                    ? command(words, run)
                    : List.of(words.split(" ")[0], "--resume", run.toString()),
                said);
        if (kills < KILLS) {
          int before = written.count();
          if (kills % 5 == 4) {
            process.waitFor(random.nextLong(startUp), TimeUnit.MILLISECONDS);
          } else {
            int most =
                Math.min((int) (MOST_OF_RUN * all.count()), Math.max(0, all.count() - before));
            int wanted = 1 + random.nextInt(1 + most);
            written.await(process, before + wanted);
            while (kills % 2 == 1 && process.isAlive() && left.containsAll(unfinished(run))) {
              Thread.onSpinWait();
            }
          }
          process.destroyForcibly().waitFor();
          if (process.exitValue() == 137) {
            kills++;
            written.look();
            writing += left.containsAll(unfinished(run)) ? 0 : 1;
            early += written.count() == before ? 1 : 0;
            quarters[Math.min(3, 4 * written.count() / Math.max(1, all.count()))]++;
          }
        } else {
          Child.awaitEnd(process, said);
        }
        if (process.exitValue() != 137) {
          assertEquals(0, process.exitValue(), Child.text(said));
        }
      }
      // A kill between the end of the run and that of the process.
      synchronized (TWO) {
        // Its output is the process's.
        Call.of(words.split(" ")[0], "--resume", run).exits(0);
      }
      Results.assertSame(expected, run);
    }
    // The other commands are called with another output meanwhile.
    synchronized (TWO) {
      System.out.printf(
          "%s: %d kills, %d of them while a checkpoint was written or removed, %d before a process's first, in the quarters of %d runs with %d checkpoints each %s: all ended with the same bytes%n",
          name, kills, writing, early, runs, all.count(), Arrays.toString(quarters));
    }
    return null;
  }

  /** Those that a run has written so far, as far as they were seen before they were removed. */
  private static final class Checkpoints {
    private final Path run;
    private final Set<String> seen = new HashSet<>();

    Checkpoints(Path run) {
      this.run = run;
    }

    int count() {
      return seen.size();
    }

    void look() {
      for (File directory : directories(run)) {
        String[] names = directory.list((parent, name) -> name.endsWith(".json"));
        for (String name : names == null ? new String[0] : names) {
          seen.add(directory + "/" + name);
        }
      }
    }

    /** Until there are so many, or the process has ended. */
    void await(Process process, int wanted) throws InterruptedException {
      for (look(); process.isAlive() && count() < wanted; look()) {
        Thread.sleep(1);
      }
    }
  }

  /** Where a run keeps checkpoints, and those of several seeds or budgets. */
  private static List<File> directories(Path run) {
    List<File> directories = new ArrayList<>();
    directories.add(run.resolve(CheckpointDirectory.NAME).toFile());
    File[] parts = run.toFile().listFiles((directory, name) -> name.matches("(seed|keep)-.*"));
    for (File part : parts == null ? new File[0] : parts) {
      directories.add(new File(part, CheckpointDirectory.NAME));
    }
    return directories;
  }

  /**
   * The files of checkpoints that were begun and not ended, or not yet removed, each with the time
   * of its last change; of one of several seeds or budgets too. Those that are there before a
   * process begins an earlier kill has left.
   */
  private static Set<String> unfinished(Path run) {
    Set<String> unfinished = new HashSet<>();
    directories(run).forEach(directory -> add(directory, unfinished));
    return unfinished;
  }

  private static void add(File directory, Set<String> unfinished) {
    File[] files = directory.listFiles();
    List<File> all = files == null ? List.of() : List.of(files);
    for (File file : all) {
      String name = file.getName();
      boolean tensorsAlone =
          name.endsWith(".safetensors")
              && !all.contains(
                  new File(file.getParentFile(), name.replace(".safetensors", ".json")));
      long changed = file.lastModified();
      // 0: it is gone meanwhile.
      if (changed > 0 && (tensorsAlone || name.endsWith(".partial"))) {
        unfinished.add(file + " " + changed);
      }
    }
  }
}
