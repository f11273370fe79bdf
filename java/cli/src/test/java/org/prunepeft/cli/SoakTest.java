package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FixedSeed;
import picocli.CommandLine;

/** Many runs in one process, one after another and at the same time. */
@FixedSeed("the weights are a prop: bits and what memory grows by do not depend on them")
@Timeout(7200)
class SoakTest {
  /** Of searches one after another; {@code java/soak} sets it. */
  private static final double MINUTES =
      Double.parseDouble(System.getProperty("prunepeft.soak.minutes", "0.2"));

  /** From when on memory has to be flat. */
  private static final double WARM_UP_MINUTES = Math.min(5, MINUTES / 2);

  /** Searches with which nothing is compared: the first ones load libraries and begin threads. */
  private static final int WARM_UP = 3;

  /** At least so many are compared. */
  private static final int WARM = 5;

  /** What a collection has others close, and threads that are ending, take no longer. */
  private static final Duration SETTLED = Duration.ofSeconds(30);

  private static final double MOST_GROWTH = 1.02;
  private static final double MIB = 1 << 20;

  @TempDir static Path temporary;
  private static Path model;

  /** Own examples: those of a task take seconds to read. */
  private static Path examples;

  private static Path texts;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
    examples = temporary.resolve("examples.tsv");
    Files.write(
        examples,
        IntStream.range(-1, 160)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 3))
            .toList());
    texts = temporary.resolve("texts.txt");
    Files.writeString(texts, "the thing in a tin\nan other thing\n\nthat\n".repeat(20));
  }

  /**
   * What a process holds.
   *
   * @param resident memory in MiB
   * @param outside of it what is not Java's heap, where that is touched from the start ({@code
   *     java/soak}), in MiB
   * @param compiled of that, what is in use for classes and compiled code, in MiB
   * @param objects what Java's objects take of the heap after a collection, in MiB
   * @param files open ones
   */
  private record Held(
      double minutes,
      double resident,
      double outside,
      double compiled,
      double objects,
      int files,
      int threads) {
    static Held after(double minutes) throws IOException {
      Runtime runtime = Runtime.getRuntime();
      System.gc();
      long resident = Pointer.physicalBytes();
      return new Held(
          minutes,
          resident / MIB,
          (resident - runtime.totalMemory()) / MIB,
          ManagementFactory.getMemoryMXBean().getNonHeapMemoryUsage().getUsed() / MIB,
          (runtime.totalMemory() - runtime.freeMemory()) / MIB,
          entries("/proc/self/fd"),
          liveThreads());
    }

    boolean holdsMoreThan(Held other) {
      return files > other.files || threads > other.threads;
    }

    /**
     * But for those that wait for an earlier test's processes or were its HTTP clients, which end
     * by themselves, the common pool's, of which there may be one for each processor, and the
     * virtual machine's own, which it begins and ends as it needs them.
     */
    private static int liveThreads() {
      File[] tasks = new File("/proc/self/task").listFiles();
      return tasks == null ? 0 : (int) Stream.of(tasks).filter(Held::isOurs).count();
    }

    private static boolean isOurs(File task) {
      try {
        return isOurs(Files.readString(task.toPath().resolve("comm")));
      } catch (IOException e) {
        return false; // it has ended
      }
    }

    /** Names are cut to 15 characters; newer versions of Java leave out their middle. */
    private static boolean isOurs(String name) {
      return !name.matches("(process|ForkJoi|HttpCli|(C1|C2|G1|GC|VM) ).*\\R");
    }

    private static int entries(String directory) {
      String[] names = new File(directory).list();
      return names == null ? 0 : names.length;
    }
  }

  private static List<String> search(Path output, int seed) {
    return List.of(
        "search",
        "--model=" + model,
        "--train-file=" + examples,
        "--train-examples=64",
        "--validation-examples=32",
        "--test-examples=32",
        "--epochs=1",
        "--max-seq-length=24",
        "--threads=2",
        "--lora-r=2",
        "--adapter-size=2",
        "--strategy=all",
        "--rounds=2",
        "--round-examples=32",
        "--seed=" + seed,
        "--output=" + output);
  }

  @Test
  void searchesOneAfterAnotherHoldNoMoreThanTheFirstOnes() throws Exception {
    List<Held> held = new ArrayList<>();
    List<Held> warm = new ArrayList<>();
    long begun = System.nanoTime();
    double minutes = 0;
    for (int run = 0; minutes < MINUTES || warm.size() < WARM; run++) {
      Path output = temporary.resolve("soak-" + run);
      Call.of(search(output, run)).exits(0);
      Call.of("predict", output, texts).exits(0);
      Directories.delete(output);
      minutes = (System.nanoTime() - begun) / 60e9;
      held.add(Held.after(minutes));
      if (run >= WARM_UP && minutes >= WARM_UP_MINUTES) {
        warm.add(held.get(run));
      }
    }
    Held first = least(warm.subList(0, WARM));
    Held last = warm.get(warm.size() - 1);
    long end = System.nanoTime() + SETTLED.toNanos();
    while (last.holdsMoreThan(first) && System.nanoTime() < end) {
      Thread.sleep(50);
      last = Held.after(minutes);
    }
    int part = Math.max(1, warm.size() / 10);
    List<Held> early = warm.subList(0, part);
    List<Held> late = warm.subList(warm.size() - part, warm.size());
    for (int i = 0; i < held.size(); i += Math.max(1, held.size() / 20)) {
      print(held.get(i));
    }
    print(last);
    double before = median(early, Held::resident);
    double after = median(late, Held::resident);
    System.out.printf(
        "%d searches: %.1f MiB resident after %.1f minutes, %.1f at the end; outside of Java's heap %.1f, %.1f; classes and compiled code %.1f, %.1f%n",
        held.size(),
        before,
        WARM_UP_MINUTES,
        after,
        median(early, Held::outside),
        median(late, Held::outside),
        median(early, Held::compiled),
        median(late, Held::compiled));
    assertNoMore(first, last, held.size());
    if (MINUTES >= 10) { // compiled code still grows in the first minutes
      assertTrue(after <= MOST_GROWTH * before, () -> before + " MiB, then " + after);
    }
  }

  /** Fewer are no leak: others than the searches may have ended since. */
  private static void assertNoMore(Held first, Held last, int searches) {
    assertFalse(
        last.holdsMoreThan(first),
        () ->
            "%d files and %d threads after the first searches, %d and %d after the last of %d"
                .formatted(first.files(), first.threads(), last.files(), last.threads(), searches));
  }

  /** Files and threads of which some may just be closed or ending. */
  private static Held least(List<Held> held) {
    return held(
        held.stream().mapToInt(Held::files).min().orElseThrow(),
        held.stream().mapToInt(Held::threads).min().orElseThrow());
  }

  /** The numbers of what searches and predictions were left with. */
  @Test
  void whatHoldsMoreThanTheFirstSearchesIsALeak() {
    Held first = held(7, 5);
    assertEquals(first, least(List.of(held(9, 5), held(7, 6), held(8, 5))));
    for (Held last : List.of(held(7, 5), held(6, 5), held(7, 4))) {
      assertNoMore(first, last, 3);
    }
    for (Held last : List.of(held(8, 5), held(7, 6), held(6, 6))) {
      assertEquals(
          "7 files and 5 threads after the first searches, %d and %d after the last of 3 ==> expected: <false> but was: <true>"
              .formatted(last.files(), last.threads()),
          assertThrows(AssertionError.class, () -> assertNoMore(first, last, 3)).getMessage());
    }
  }

  private static Held held(int files, int threads) {
    return new Held(0, 0, 0, 0, 0, files, threads);
  }

  @Test
  void threadsThatComeAndGoByThemselvesAreNotCounted() {
    for (String name :
        List.of(
            "process reaper",
            "ForkJoinPool.co",
            "ForkJoi..rker-1",
            "HttpClient-1-Se",
            "HttpClient-12-W",
            "C2 CompilerThre",
            "GC Thread#1")) {
      assertFalse(Held.isOurs(name + "\n"), name);
    }
    for (String name : List.of("java", "main", "pool-3-thread-1", "GPU", "Thread-7")) {
      assertTrue(Held.isOurs(name + "\n"), name);
    }
  }

  private static void print(Held held) {
    System.out.printf(
        "%6.2f min: %7.1f MiB resident, %7.1f outside of Java's heap, classes and compiled code %6.1f, objects %6.1f, %d files, %d threads%n",
        held.minutes(),
        held.resident(),
        held.outside(),
        held.compiled(),
        held.objects(),
        held.files(),
        held.threads());
  }

  private static double median(List<Held> held, ToDoubleFunction<Held> of) {
    double[] sorted = held.stream().mapToDouble(of).sorted().toArray();
    return sorted[sorted.length / 2];
  }

  @Test
  void searchesAndPredictionsAtOnceGiveWhatEachGivesAlone() throws Exception {
    Path[] alone = {temporary.resolve("alone-0"), temporary.resolve("alone-1")};
    List<Map<String, byte[]>> expected = new ArrayList<>();
    for (int seed = 0; seed < 2; seed++) {
      Call.of(search(alone[seed], seed)).exits(0);
      expected.add(Results.of(alone[seed]));
      execute(predict(alone[seed], temporary.resolve("alone-" + seed + ".txt")));
    }
    ExecutorService threads = Executors.newFixedThreadPool(10);
    PrintStream systemOut = System.out;
    System.setOut(new PrintStream(OutputStream.nullOutputStream())); // two summaries, line by line
    try {
      List<Future<?>> all = new ArrayList<>();
      for (int seed = 0; seed < 2; seed++) {
        int own = seed;
        all.add(threads.submit(() -> execute(search(temporary.resolve("beside-" + own), own))));
      }
      for (int predictor = 0; predictor < 8; predictor++) {
        int own = predictor;
        all.add(
            threads.submit(
                () ->
                    execute(predict(alone[own % 2], temporary.resolve("beside-" + own + ".txt")))));
      }
      for (Future<?> one : all) {
        one.get();
      }
    } finally {
      System.setOut(systemOut);
      threads.shutdownNow();
    }
    for (int seed = 0; seed < 2; seed++) {
      Results.assertSame(expected.get(seed), temporary.resolve("beside-" + seed));
    }
    for (int predictor = 0; predictor < 8; predictor++) {
      assertArrayEquals(
          Files.readAllBytes(temporary.resolve("alone-" + predictor % 2 + ".txt")),
          Files.readAllBytes(temporary.resolve("beside-" + predictor + ".txt")));
    }
  }

  private static List<String> predict(Path run, Path output) {
    return List.of("predict", run.toString(), texts.toString(), "--output=" + output);
  }

  /** {@link Call} takes the process's streams, which these calls would share. */
  private static void execute(List<String> words) {
    StringWriter said = new StringWriter();
    String[] arguments = words.toArray(String[]::new);
    CommandLine commandLine = Main.commandLine(arguments);
    commandLine.setOut(new PrintWriter(said, true));
    commandLine.setErr(new PrintWriter(said, true));
    int exit = Main.execute(commandLine, arguments);
    assertEquals(0, exit, () -> Arrays.toString(words.toArray()) + ": " + said);
  }
}
