package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.testing.Endless;
import org.prunepeft.testing.FailingWrites;

class RunDirectoryTest {
  @TempDir Path temporary;
  private Path directory;

  private enum Origin {
    WARM_UP;

    @Override
    public String toString() {
      return "warm-up";
    }
  }

  private record Result(
      String name,
      Origin origin,
      List<Integer> ranks,
      Optional<String> note,
      OptionalDouble accuracy,
      OptionalDouble loss) {}

  private static final Result RESULT =
      new Result(
          "é",
          Origin.WARM_UP,
          List.of(1, 2),
          Optional.of("x"),
          OptionalDouble.of(0.5),
          OptionalDouble.empty());

  @BeforeEach
  void name() {
    directory = temporary.resolve("runs").resolve("first");
  }

  /** With the names that lead to it: {@code runs} in {@code temporary}, {@code first} in that. */
  @Test
  void thePowerCutThatComesAsItIsMadeTakesNothingOfIt() {
    FailingWrites disk = new FailingWrites();
    RunDirectory.create(disk.at(directory)).writeText("config.json", "{}");
    assertEquals(Set.of(), disk.unsynced());
  }

  @Test
  void discardingRemovesTheDirectoryWithTheParentsThatWereMade() {
    RunDirectory run = RunDirectory.create(directory);
    run.fail("unknown option");
    run.discardIfEmpty();
    assertFalse(Files.exists(directory.getParent()));
    assertTrue(Files.exists(temporary));
  }

  @Test
  void discardingLeavesADirectoryThatWasThereBefore() throws IOException {
    Files.createDirectories(directory);
    RunDirectory.create(directory).discardIfEmpty();
    try (var files = Files.list(directory)) {
      assertEquals(0, files.count());
    }
  }

  @Test
  void discardingLeavesWhatTheRunHasWritten() {
    RunDirectory run = RunDirectory.create(directory);
    run.writeText("config.json", "{}");
    run.discardIfEmpty();
    assertTrue(Files.exists(directory.resolve("config.json")));
    assertTrue(Files.exists(directory.resolve(RunDirectory.INCOMPLETE)));
  }

  @Test
  void aRunIsIncompleteUntilItIsDeclaredComplete() throws IOException {
    var run = RunDirectory.create(directory);
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.open(directory));
    assertTrue(
        e.getMessage().startsWith(directory + " has no complete run: running since 20"),
        e.getMessage());
    run.writeText("notes.txt", "ü\n");
    run.complete();
    assertEquals(directory, RunDirectory.open(directory).path());
    assertEquals("ü\n", Files.readString(run.file("notes.txt")));
    assertEquals(List.of("notes.txt"), names());
    assertThrows(IllegalStateException.class, () -> run.writeText("notes.txt", "more"));
    assertThrows(IllegalStateException.class, run::complete);
    run.fail("too late");
    RunDirectory.open(directory);
  }

  @Test
  void aFailedRunTellsWhy() {
    var run = RunDirectory.create(directory);
    run.fail("the loss is not finite\n");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.open(directory));
    assertEquals(
        directory + " has no complete run: failed: the loss is not finite", e.getMessage());
    assertThrows(IllegalStateException.class, run::complete);
  }

  @Test
  void aFileOfAbsurdSizeIsNotRead() throws IOException {
    Files.createDirectories(directory);
    // Without content: a hole as large.
    try (var file = new RandomAccessFile(directory.resolve("config.json").toFile(), "rw")) {
      file.setLength(100_000_001);
    }
    var run = RunDirectory.open(directory);
    var e = assertThrows(RunDirectoryException.class, () -> run.readJson("config.json"));
    assertEquals(
        run.file("config.json")
            + " has more than 100,000,000 bytes, the most that such a file may have; name another",
        e.getMessage());
  }

  @Test
  void recordsAndOptionalsAreWrittenAsJson() throws IOException {
    var run = RunDirectory.create(directory);
    run.writeJson("more/result.json", RESULT);
    assertEquals(
        """
        {
          "name" : "é",
          "origin" : "warm-up",
          "ranks" : [ 1, 2 ],
          "note" : "x",
          "accuracy" : 0.5,
          "loss" : null
        }
        """,
        Files.readString(directory.resolve("more/result.json")));
    var read = run.readJson("more/result.json");
    assertEquals(
        List.of("name", "origin", "ranks", "note", "accuracy", "loss"), List.copyOf(read.keySet()));
    assertEquals(0.5, read.get("accuracy"));
    assertNull(read.get("loss"));
  }

  @Test
  void linesAreAppendedOneByOne() throws IOException {
    var run = RunDirectory.create(directory);
    run.appendJsonLine("log.jsonl", Map.of("step", 1));
    run.appendJsonLine("log.jsonl", Map.of("loss", Double.NaN));
    assertEquals("{\"step\":1}\n{\"loss\":\"NaN\"}\n", Files.readString(run.file("log.jsonl")));
  }

  @Test
  void aDirectoryThatHasFilesIsRefusedAndLeftAlone() throws IOException {
    Files.createDirectories(directory);
    RunDirectory.create(directory).complete();
    Files.writeString(directory.resolve("mine"), "precious");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.create(directory));
    assertEquals(
        directory + " is not empty; name a new directory, or delete this one", e.getMessage());
    assertEquals(List.of("mine"), names());
  }

  @Test
  void aFileInTheWayIsNamed() throws IOException {
    Files.writeString(temporary.resolve("runs"), "");
    String notADirectory =
        assertThrows(FileSystemException.class, () -> Files.createDirectory(directory)).getReason();
    for (Path path : List.of(directory, directory.getParent())) {
      var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.create(path));
      assertTrue(
          e.getMessage().startsWith("can't make the directory " + path + ": "), e.getMessage());
      assertTrue(
          e.getMessage().endsWith("runs exists and is not a directory")
              || e.getMessage().endsWith(notADirectory),
          e.getMessage());
      assertThrows(RunDirectoryException.class, () -> RunDirectory.open(path));
    }
  }

  @Test
  void aLinkToADirectoryWillDo() throws IOException {
    Files.createDirectories(directory);
    Path link = Files.createSymbolicLink(temporary.resolve("link"), directory);
    RunDirectory.create(link).complete();
    RunDirectory.open(directory);
  }

  @Test
  void aReadOnlyDirectoryIsNamed() throws IOException {
    Files.createDirectories(directory.getParent());
    Files.setPosixFilePermissions(
        directory.getParent(), PosixFilePermissions.fromString("r-xr-xr-x"));
    assumeFalse(
        Files.isWritable(directory.getParent()), "root may write into a read-only directory");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.create(directory));
    assertTrue(
        e.getMessage().contains(directory + ": it must not be read or written"), e.getMessage());
  }

  @Test
  void aPlaceWhereNobodyMayWriteIsNamed() {
    Path proc = Path.of("/proc/prunepeft/run");
    assumeTrue(Files.isDirectory(Path.of("/proc/self")), "needs Linux's /proc");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.create(proc));
    assertTrue(e.getMessage().startsWith("can't make the directory " + proc), e.getMessage());
  }

  @Test
  void aFullDiskLeavesTheOlderFileAndIsNamed() throws IOException {
    FailingWrites disk = new FailingWrites();
    var run = RunDirectory.create(disk.at(directory));
    run.writeJson("result.json", RESULT);
    String older = Files.readString(run.file("result.json"));
    disk.fillAt(1);
    var e = assertThrows(RunDirectoryException.class, () -> run.writeJson("result.json", Map.of()));
    assertTrue(
        e.getMessage()
            .startsWith("can't write " + run.file("result.json") + ": " + FailingWrites.REASON),
        e.getMessage());
    assertTrue(disk.stop());
    assertEquals(older, Files.readString(run.file("result.json")));
    assertEquals(List.of("INCOMPLETE", "result.json"), names());

    disk.fillAt(1);
    e = assertThrows(RunDirectoryException.class, () -> run.appendJsonLine("log.jsonl", RESULT));
    assertTrue(e.getMessage().contains("log.jsonl: " + FailingWrites.REASON), e.getMessage());
    assertTrue(disk.stop());

    disk.fillAt(1);
    run.fail("the disk is full");
    assertTrue(disk.stop());
    e = assertThrows(RunDirectoryException.class, () -> RunDirectory.open(directory));
    assertTrue(e.getMessage().contains("running since"), e.getMessage());
  }

  @Test
  void aMistakeInJsonIsNamedWithItsPlace() throws IOException {
    var run = RunDirectory.create(directory);
    Path file = run.file("bad.json");
    Files.writeString(file, "{\n  \"rank\": 4,\n  \"alpha\": x\n}\n");
    assertPlace(run, file + ", line 3, column 1");
    Files.writeString(file, "[1, 2]");
    assertPlace(run, file + ", line 1, column 1: ");
    Files.writeString(file, "{\"rank\": 1,\n \"rank\": 2}");
    assertPlace(run, file + ", line 2, column ");
    Files.writeString(file, "{} {}");
    assertPlace(run, file + ", line 1, column 4: ");
    for (String text : List.of("null", "", "{\"a\":" + "[".repeat(100_000))) {
      Files.writeString(file, text);
      assertPlace(run, file + ", line 1, column ");
    }
    Files.delete(file);
    assertPlace(run, "can't read " + file + ": it does not exist");
  }

  @Test
  void namesThatLeadElsewhereAreRefused() {
    var run = RunDirectory.create(directory);
    for (String name :
        List.of("../x", "/tmp/x", "a/../../x", "", "INCOMPLETE", "a/../INCOMPLETE")) {
      assertThrows(IllegalArgumentException.class, () -> run.writeText(name, "x"), name);
    }
    assertFalse(Files.exists(directory.resolveSibling("x")));
  }

  @Test
  void aValueWithoutJsonIsRefused() {
    var run = RunDirectory.create(directory);
    assertThrows(IllegalArgumentException.class, () -> run.writeJson("x.json", new Object()));
  }

  @Test
  void filesOfANewerFormatAreRefused() {
    var run = RunDirectory.create(directory);
    for (String name : List.of(RunFiles.CONFIG, RunFiles.RESULT)) {
      run.writeJson(name, RunDirectory.formatted());
      assertEquals(Map.of("format", 1), run.readJson(name));
      run.writeJson(name, Map.of("format", 2, "setup", "x"));
      var e =
          assertThrows(
              RunDirectoryException.class, () -> run.readJson(name, "setup", String.class));
      assertEquals(
          run.file(name)
              + " has format 2, but this version of PrunePEFT reads up to 1; take the version that"
              + " wrote it",
          e.getMessage());
    }
  }

  @Test
  void filesOfBeforeThereWasAFormatAndThoseOfOthersAreRead() {
    var run = RunDirectory.create(directory);
    run.writeJson(RunFiles.CONFIG, Map.of("setup", "x"));
    assertEquals("x", run.readJson(RunFiles.CONFIG, "setup", String.class));
    run.writeJson("adapter_config.json", Map.of("format", 2));
    assertEquals(Map.of("format", 2), run.readJson("adapter_config.json"));
  }

  /** As a process of another machine leaves it, which has renewed its mark so long ago. */
  private void runElsewhere(Duration ago) throws IOException {
    Files.createDirectories(directory);
    Path mark = directory.resolve(RunDirectory.INCOMPLETE);
    Files.writeString(mark, "running since 2026-01-01T00:00:00Z, as process 1 on else.where\n");
    Files.writeString(directory.resolve("config.json"), "{}");
    Files.setLastModifiedTime(mark, FileTime.from(Instant.now().minus(ago)));
  }

  @Test
  void aRunOfAnotherMachineIsTakenOverOnlyWhenItHasNotBeenHeardOfForLong() throws IOException {
    runElsewhere(RunMark.HEARD.minusMinutes(1));
    assertEquals(RunMark.RUNNING, RunMark.state(directory));
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, false));
    assertTrue(
        e.getMessage()
            .endsWith(
                "as process 1 on else.where; end that process first, or wait until it has not been"
                    + " heard of for 10 minutes"),
        e.getMessage());
    assertThrows(RunDirectoryException.class, () -> RunDirectory.create(directory));
    runElsewhere(RunMark.HEARD.plusMinutes(1));
    assertEquals("cut off", RunMark.state(directory));
    RunDirectory.resume(directory, false).complete();
    assertTrue(Files.notExists(directory.resolve(RunDirectory.INCOMPLETE)));
  }

  /** The mark of a process on a machine of this one's name, begun when the clock said so. */
  private void runHere(long pid, Instant since, ProcessIdentity identity) throws IOException {
    Files.createDirectories(directory);
    String host = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
    Files.writeString(
        directory.resolve(RunDirectory.INCOMPLETE),
        "running since %s, as process %d on %s\n%s\nx\n".formatted(since, pid, host, identity));
    Files.writeString(directory.resolve("config.json"), "{}");
  }

  private static ProcessIdentity own() {
    assumeTrue(ProcessIdentity.current().isPresent(), "needs Linux's /proc");
    return ProcessIdentity.current().get();
  }

  @Test
  void aRunIsNotTakenOverWhenTheClockWasSet() throws Exception {
    ProcessIdentity own = own();
    Process process = new ProcessBuilder("sleep", "600").start();
    try {
      long ticks = ProcessIdentity.ticks(process.pid()).orElseThrow();
      ProcessIdentity its = new ProcessIdentity(own.boot(), own.namespace(), ticks);
      // An hour before the process began, by the clock of now.
      runHere(process.pid(), Instant.now().minusSeconds(3600), its);
      assertEquals(RunMark.RUNNING, RunMark.state(directory));
      var e =
          assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, false));
      assertTrue(e.getMessage().endsWith("; end that process first"), e.getMessage());
      // Another process has the number.
      its = new ProcessIdentity(own.boot(), own.namespace(), ticks - 1);
      runHere(process.pid(), Instant.now(), its);
      assertEquals("cut off", RunMark.state(directory));
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void aProcessOfAnotherContainerOrBootOnAMachineOfTheSameNameCountsByItsRenewals()
      throws IOException {
    ProcessIdentity own = own();
    long pid = ProcessHandle.current().pid();
    for (ProcessIdentity other :
        List.of(
            new ProcessIdentity(own.boot(), "pid:[1]", own.ticks()),
            new ProcessIdentity("another-boot", own.namespace(), own.ticks()))) {
      runHere(pid, Instant.now(), other);
      Path mark = directory.resolve(RunDirectory.INCOMPLETE);
      assertEquals(RunMark.RUNNING, RunMark.state(directory));
      var e =
          assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, false));
      assertTrue(e.getMessage().endsWith("not been heard of for 10 minutes"), e.getMessage());
      Files.setLastModifiedTime(
          mark, FileTime.from(Instant.now().minus(RunMark.HEARD).minusSeconds(60)));
      assertEquals("cut off", RunMark.state(directory));
    }
  }

  @Test
  void aProcessThatHasEndedAndWasNotAskedForIsGone() throws Exception {
    own();
    Process process =
        new ProcessBuilder("sh", "-c", "sleep 0 & echo $!; exec sleep 600")
            .redirectErrorStream(true)
            .start();
    try {
      long child = Long.parseLong(process.inputReader().readLine());
      // Its parent never asks how it ended.
      for (int i = 0; i < 3000 && ProcessIdentity.ticks(child).isPresent(); i++) {
        Thread.sleep(10);
      }
      assertTrue(ProcessIdentity.ticks(child).isEmpty());
    } finally {
      process.destroyForcibly();
    }
  }

  /** As where /proc is mounted with hidepid. */
  @Test
  void aProcessThatTheSystemHidesIsNotTakenForGone() throws IOException {
    Path proc = Files.createDirectories(directory.resolve("proc"));
    ProcessIdentity its = new ProcessIdentity("a-boot", "pid:[1]", 77);
    assertEquals(Optional.empty(), its.goesOn(proc, 5));
    Files.createDirectories(proc.resolve("1"));
    assertEquals(Optional.empty(), its.goesOn(proc, 5));
    Path stat = Files.createDirectories(proc.resolve("5")).resolve("stat");
    Files.createDirectory(stat);
    Files.writeString(proc.resolve("1/stat"), "1 (init) S");
    assertEquals(Optional.empty(), its.goesOn(proc, 5));
    Files.delete(stat);
    Files.writeString(stat, "5 (a name) S" + " 0".repeat(18) + " 77 0");
    assertEquals(Optional.of(true), its.goesOn(proc, 5));
    Files.writeString(stat, "5 (a name) S" + " 0".repeat(18) + " 78 0");
    assertEquals(Optional.of(false), its.goesOn(proc, 5));
    assertEquals(Optional.of(false), its.goesOn(proc, 6));
  }

  @Test
  void aMarkHasTheProcessesIdentity() throws IOException {
    ProcessIdentity own = own();
    RunDirectory run = RunDirectory.create(directory);
    String mark = Files.readString(directory.resolve(RunDirectory.INCOMPLETE));
    assertEquals(Optional.of(own), ProcessIdentity.in(mark), mark);
    assertEquals(RunMark.RUNNING, RunMark.state(directory));
    run.complete();
  }

  @Test
  void aRunRenewsItsMarkUntilItIsOver() throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    Path mark = directory.resolve(RunDirectory.INCOMPLETE);
    String text = Files.readString(mark);
    Files.setLastModifiedTime(mark, FileTime.from(Instant.now().minus(RunMark.HEARD)));
    assertTrue(run.renew());
    assertTrue(Files.getLastModifiedTime(mark).toInstant().isAfter(Instant.now().minusSeconds(60)));
    assertEquals(text, Files.readString(mark));
    run.complete();
    assertFalse(run.renew());
    assertFalse(Files.exists(mark));
  }

  @Test
  void aRunThatWasTakenOverWritesNothingMore() throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    run.writeText("a.txt", "");
    runElsewhere(Duration.ZERO);
    Path mark = directory.resolve(RunDirectory.INCOMPLETE);
    String others = Files.readString(mark);
    FileTime before = FileTime.from(Instant.parse("2026-01-01T00:00:00Z"));
    Files.setLastModifiedTime(mark, before);
    assertFalse(run.renew());
    assertEquals(before, Files.getLastModifiedTime(mark));
    var e = assertThrows(RunDirectoryException.class, () -> run.writeText("b.txt", ""));
    assertEquals(
        "another process has taken over the run in " + directory + "; it ends here",
        e.getMessage());
    assertThrows(RunDirectoryException.class, run::complete);
    run.fail("it ends");
    run.discardIfEmpty();
    assertEquals(others, Files.readString(mark));
    assertFalse(Files.exists(directory.resolve("b.txt")));
  }

  @Test
  void ofTwoResumptionsInOneProcessTheEarlierHasTheRunUntilItEnds() {
    RunDirectory earlier = RunDirectory.create(directory);
    earlier.writeText("a.txt", "");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, false));
    assertEquals(
        "the run in %s goes on in this process; wait for its end, or cancel it, and resume it then"
            .formatted(directory),
        e.getMessage());
    earlier.fail("cancelled");
    RunDirectory later = RunDirectory.resume(directory, false);
    assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, false));
    later.writeText("b.txt", "");
    later.complete();
    RunDirectory.resume(directory, true).complete();
  }

  @Test
  void anInterruptedThreadWritesAndSaysWhyItFailed() throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    Thread.currentThread().interrupt();
    run.writeText("a.txt", "a");
    run.appendJsonLine("a.jsonl", 1);
    run.appendJsonLine("a.jsonl", 2);
    assertEquals(4, run.force("a.jsonl").bytes());
    run.truncate("a.jsonl", new Appended(2, null));
    run.fail("cancelled");
    assertTrue(Thread.interrupted());
    assertEquals("failed: cancelled", RunMark.state(directory));
    run.interrupt();
    assertEquals("interrupted", RunMark.state(directory));
    assertEquals("1\n", Files.readString(directory.resolve("a.jsonl")));
  }

  @Test
  void whatWasAppendedIsKnownByItsChecksum() throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    String name = "a.jsonl";
    Path file = run.file(name);
    assertEquals(Appended.NOTHING, run.force(name));
    assertEquals("00000000", Appended.NOTHING.crc32c());
    run.truncate(name, Appended.NOTHING);
    assertTrue(Files.notExists(file));
    run.appendJsonLine(name, "first");
    Appended first = run.force(name);
    run.appendJsonLine(name, "second");
    Appended second = run.force(name);
    // The published check value of CRC-32C, and of the file as a whole.
    Path check = Files.writeString(run.file("check"), "123456789");
    assertEquals("e3069283", Crc32c.of(check).hex());
    assertEquals(new Appended(Files.size(file), Crc32c.of(file).hex()), second);
    run.fail("cut off");

    RunDirectory later = RunDirectory.resume(directory, false);
    later.truncate(name, first);
    assertEquals("\"first\"\n", Files.readString(file));
    later.appendJsonLine(name, "second");
    assertEquals(second, later.force(name));
    Files.writeString(file, Files.readString(file).replace("second", "secund"));
    assertThrows(UnresumableRunException.class, () -> later.truncate(name, second));
    later.truncate(name, first);
    assertThrows(UnresumableRunException.class, () -> later.truncate(name, second));
    Files.delete(file);
    assertThrows(UnresumableRunException.class, () -> later.truncate(name, first));
    later.complete();
  }

  /** What a directory may be when it is taken. */
  private enum Found {
    ABSENT,
    EMPTY,
    CUT_OFF,
    FAILED,
    CUT_OFF_AS_IT_WAS_TAKEN;

    void make(Path directory) throws IOException {
      if (this == ABSENT) {
        return;
      }
      Files.createDirectories(directory);
      if (this == EMPTY) {
        return;
      }
      Files.writeString(directory.resolve("config.json"), "{}");
      Path mark = directory.resolve(RunDirectory.INCOMPLETE);
      Files.writeString(mark, this == FAILED ? "failed: why" : markOf("gone", 0));
      lose(mark);
      if (this == CUT_OFF_AS_IT_WAS_TAKEN) {
        Path claim = directory.resolve(".INCOMPLETE.0.partial");
        Files.writeString(claim, markOf("gone-too", 0));
        lose(claim);
      }
    }

    private static void lose(Path mark) throws IOException {
      Instant lost = Instant.now().minus(RunMark.HEARD).minusSeconds(60);
      Files.setLastModifiedTime(mark, FileTime.from(lost));
    }
  }

  /** As that of a process on another machine, unlike any other. */
  private static String markOf(String machine, int number) {
    return "running since 2026-01-01T00:00:00Z, as process 1 on %s\n%d\n"
        .formatted(machine, number);
  }

  @ParameterizedTest
  @EnumSource(Found.class)
  void ofManyMachinesThatTakeADirectoryAtOnceOneHasIt(Found found) throws Exception {
    int machines = 8;
    ExecutorService threads = Executors.newFixedThreadPool(machines);
    try {
      for (int run = 0; run < 30; run++) {
        directory = temporary.resolve("run-" + run);
        found.make(directory);
        CyclicBarrier start = new CyclicBarrier(machines);
        List<Future<RunDirectory>> all = new ArrayList<>();
        for (int machine = 0; machine < machines; machine++) {
          String mark = markOf("machine-" + machine, run);
          all.add(
              threads.submit(
                  () -> {
                    start.await();
                    return RunDirectory.resume(directory, false, mark);
                  }));
        }
        RunDirectory taken = theOnly(all);
        taken.writeText("config.json", "{}");
        assertEquals(List.of(RunDirectory.INCOMPLETE, "config.json"), names());
        taken.complete();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** The directory of the one that has it; all others say that it goes on. */
  private RunDirectory theOnly(List<Future<RunDirectory>> all) throws Exception {
    List<RunDirectory> taken = new ArrayList<>();
    for (Future<RunDirectory> one : all) {
      try {
        taken.add(one.get());
      } catch (ExecutionException e) {
        String message = e.getCause().toString();
        String start =
            "%s: the run in %s goes on: running since 2026-01-01T00:00:00Z, as process 1";
        assertTrue(
            message.startsWith(start.formatted(RunDirectoryException.class.getName(), directory)),
            message);
      }
    }
    assertEquals(1, taken.size(), "have " + directory);
    return taken.get(0);
  }

  @Test
  void ofManyProcessesThatTakeDirectoriesAtOnceOneHasEach() throws Exception {
    for (int run = 0; run < RunTaker.RUNS; run += 2) {
      Path mark = Files.createDirectory(temporary.resolve("" + run)).resolve("INCOMPLETE");
      Files.writeString(mark, "running since 2026-01-01T00:00:00Z, as process 999999999\n");
    }
    List<Process> processes = new ArrayList<>();
    List<String> taken = new ArrayList<>();
    try {
      for (int process = 0; process < 3; process++) {
        processes.add(RunTaker.start(temporary));
      }
      for (Process process : processes) {
        assertEquals("begun", process.inputReader().readLine());
      }
      for (Process process : processes) {
        process.outputWriter().append("go\n").flush();
      }
      for (Process process : processes) {
        process.inputReader().lines().takeWhile(line -> !line.equals("done")).forEach(taken::add);
      }
    } finally {
      processes.forEach(Process::destroyForcibly);
    }
    List<String> each = IntStream.range(0, RunTaker.RUNS).mapToObj(run -> "" + run).toList();
    assertEquals(each.stream().sorted().toList(), taken.stream().sorted().toList());
  }

  private static void assertPlace(RunDirectory run, String start) {
    var e = assertThrows(RunDirectoryException.class, () -> run.readJson("bad.json"));
    assertTrue(e.getMessage().startsWith(start), e.getMessage());
  }

  private Path partial(String name) {
    return directory.resolve("." + name + "." + ProcessHandle.current().pid() + ".partial");
  }

  private List<String> names() throws IOException {
    try (var files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void howARunGoesOnIsSaidAsAShellTakesIt() throws IOException {
    directory = temporary.resolve("the runs/it's");
    RunDirectory run = RunDirectory.create(directory);
    run.writeText(RunFiles.OPTIONS, "seed: 1\n");
    run.writeJson(RunFiles.CONFIG, Map.of("command", "train"));
    run.fail("the disk was full");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.open(directory));
    String quoted = "'" + directory.toString().replace("'", "'\\''") + "'";
    assertTrue(
        e.getMessage().endsWith("; go on with: prunepeft train --resume " + quoted),
        e.getMessage());
  }

  @Test
  void theCommandOfARunThatWroteItsOptionsAloneIsTheirs() throws IOException {
    directory = temporary.resolve("run");
    RunDirectory run = RunDirectory.create(directory);
    run.writeText(
        RunFiles.OPTIONS,
        "# To run this again: prunepeft search --config THIS_FILE --output NEW\nseed: 1\n");
    run.fail("the disk was full");
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.open(directory));
    assertTrue(
        e.getMessage().endsWith("; go on with: prunepeft search --resume " + directory),
        e.getMessage());
  }

  /** A directory of a run that was cut off becomes that of a complete one. */
  static Path completed(Path run) throws IOException {
    Files.delete(run.resolve(RunDirectory.INCOMPLETE));
    return run;
  }

  /** In a directory that came from elsewhere. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "metrics.jsonl",
        "config.yaml",
        "config.json",
        "rounds.json",
        "result.json",
        "adapter.safetensors",
        "summary.md",
        "INCOMPLETE",
        ".INCOMPLETE.0.partial"
      })
  void whatALinkLeadsToIsNotWritten(String name) throws IOException {
    RunDirectory.create(directory).fail("cancelled");
    Path mine = Files.writeString(temporary.resolve("mine"), "failed: mine\n");
    Path link = directory.resolve(name);
    Files.deleteIfExists(link);
    Files.createSymbolicLink(link, mine);
    var e = assertThrows(RunDirectoryException.class, () -> RunDirectory.resume(directory, true));
    assertEquals("failed: mine\n", Files.readString(mine));
    assertTrue(e.getMessage().startsWith(link + " is a symbolic link; "), e.getMessage());
  }

  @Test
  void aLinkThatComesLaterIsNotWrittenEither() throws IOException {
    Path linked = Files.createSymbolicLink(temporary.resolve("linked"), temporary);
    // The directory itself may be reached by one.
    RunDirectory run = RunDirectory.create(linked.resolve("run"));
    Path mine = Files.writeString(temporary.resolve("mine"), "mine");
    for (String name : List.of("metrics.jsonl", "rounds.json")) {
      Files.createSymbolicLink(run.file(name), mine);
    }
    Files.createSymbolicLink(run.file("more"), Files.createDirectory(temporary.resolve("more")));
    for (Executable change :
        List.<Executable>of(
            () -> run.appendJsonLine("metrics.jsonl", 1),
            () -> run.truncate("metrics.jsonl", Appended.NOTHING),
            () -> run.writeText("rounds.json", "[]"),
            () -> run.writeText("more/text", "text"))) {
      String said = assertThrows(RunDirectoryException.class, change).getMessage();
      assertTrue(said.contains(" is a symbolic link; "), said);
    }
    Files.delete(run.file(RunDirectory.INCOMPLETE));
    Files.createSymbolicLink(run.file(RunDirectory.INCOMPLETE), mine);
    run.fail("cancelled");
    assertEquals("mine", Files.readString(mine));
    assertFalse(Files.exists(temporary.resolve("more/text")));
  }

  /** What is cut, deleted or longer meanwhile would be taken for all that was appended. */
  @Test
  void whatIsAppendedToHasTheLengthOfWhatWasAppended() throws IOException {
    var run = RunDirectory.create(directory);
    run.appendJsonLine("log.jsonl", Map.of("step", 1));
    Path file = run.file("log.jsonl");
    String line = Files.readString(file);
    for (String changed : Arrays.asList(null, "", "{", line + line)) {
      if (changed == null) {
        Files.delete(file);
      } else {
        Files.writeString(file, changed);
      }
      for (Executable change :
          List.<Executable>of(
              () -> run.appendJsonLine("log.jsonl", Map.of("step", 2)),
              () -> run.force("log.jsonl"))) {
        var e = assertThrows(RunDirectoryException.class, change);
        assertTrue(e.getMessage().startsWith(file + " "), e.getMessage());
        assertTrue(e.getMessage().contains("but its run has written 11"), e.getMessage());
      }
    }
    Files.writeString(file, line);
    run.appendJsonLine("log.jsonl", Map.of("step", 2));
    assertEquals(2, Files.readAllLines(file).size());
  }

  @ParameterizedTest
  @EnumSource
  void whatHasNoEndIsRefusedByItsName(Endless endless) throws IOException {
    var run = RunDirectory.create(directory);
    run.writeJson("config.json", Map.of());
    run.appendJsonLine("metrics.jsonl", Map.of("step", 1));
    for (String name : List.of("config.json", "metrics.jsonl", RunDirectory.INCOMPLETE)) {
      Path file = run.file(name);
      var e =
          endless.read(
              file,
              () ->
                  assertThrows(
                      RunDirectoryException.class,
                      () -> {
                        run.readJsonLines("metrics.jsonl", Map.class);
                        run.readJson("config.json");
                        RunDirectory.open(directory);
                      }));
      assertTrue(
          e.getMessage().contains(file + " is a device, a FIFO or a socket"), e.getMessage());
    }
  }
}
