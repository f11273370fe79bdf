package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.report.RunStatus;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.text.ShellWords;
import picocli.CommandLine;

/** Where commands write, when that is something else than a file or a new directory. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
@Timeout(3600)
class OutputPlacesTest {
  private static final Path FULL = Path.of("/dev/full");

  /** Of these lines a pipe holds some thousands. */
  private static final int MANY = 50_000;

  @TempDir static Path temporary;
  private static Path model;
  private static Path run;
  private static Path texts;

  @BeforeAll
  static void train() throws IOException {
    model = Small.model(temporary);
    run = temporary.resolve("run");
    texts = Files.writeString(temporary.resolve("texts.txt"), "the thing in a tin\n");
    Call.of(
            "train",
            "--model=" + model,
            Small.examples(24),
            "--lora-r=2",
            "--adapter-size=0",
            "--output=" + run)
        .exits(0);
  }

  /** Commands that write a file. */
  private enum Writer {
    PREDICT,
    REPORT,
    STRATEGY;

    private List<Object> words() {
      return switch (this) {
        case PREDICT -> List.of("predict", run, texts);
        case REPORT -> List.of("report", run, "--format=md");
        case STRATEGY -> List.of("strategy", "transfer", "authors", "--layers=3");
      };
    }

    private Call to(Path output) {
      return Call.of(words(), "-o", output);
    }

    /** What it writes. */
    private String text() {
      return Call.of(words()).exits(0).out();
    }
  }

  private static Path fifo(String name) throws Exception {
    Path fifo = temporary.resolve(name);
    Process made = new ProcessBuilder("mkfifo", fifo.toString()).start();
    assumeTrue(made.waitFor() == 0, "there is no mkfifo");
    return fifo;
  }

  /** All that is written to a FIFO until it is closed. */
  private static String read(Path fifo) {
    // A file's stream asks for its place, which a FIFO has not.
    try (var in = new BufferedInputStream(new FileInputStream(fifo.toFile()))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isOther(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class).isOther();
  }

  @ParameterizedTest
  @EnumSource
  void aFifoIsWrittenToAndStays(Writer command) throws Exception {
    String text = command.text();
    Path fifo = fifo("fifo-" + command);
    CompletableFuture<String> read = CompletableFuture.supplyAsync(() -> read(fifo));
    command.to(fifo).exits(0).prints("wrote " + fifo);
    assertEquals(text, read.get(10, TimeUnit.MINUTES));
    assertTrue(isOther(fifo));
  }

  @ParameterizedTest
  @EnumSource
  void aLinkStaysAndWhatItNamesIsWritten(Writer command) throws IOException {
    String text = command.text();
    Path directory = Files.createDirectory(temporary.resolve("links-" + command));
    Path there = Files.writeString(directory.resolve("there"), "earlier\n");
    for (Path named : List.of(there, directory.resolve("new"))) {
      Path link = directory.resolve("link-to-" + named.getFileName());
      Files.createSymbolicLink(link, named);
      command.to(link).exits(0);
      assertTrue(Files.isSymbolicLink(link));
      assertEquals(text, Files.readString(named));
    }
    assertEquals(4, Small.names(directory).size());
  }

  @ParameterizedTest
  @EnumSource
  void aDeviceStaysADevice(Writer command) throws IOException {
    Path device = Path.of("/dev/null");
    assumeTrue(Files.exists(device) && isOther(device), "there is no /dev/null");
    Path link = Files.createSymbolicLink(temporary.resolve("null-" + command), device);
    command.to(link).exits(0);
    assertTrue(Files.isSymbolicLink(link));
    assertTrue(isOther(device));
  }

  @ParameterizedTest
  @EnumSource
  void aDirectoryIsNotReplaced(Writer command) throws IOException {
    Path directory = Files.createDirectory(temporary.resolve("directory-" + command));
    for (Path name : List.of(directory, directory.resolve("."))) {
      command.to(name).exits(1, "can't write " + name + ": it is a directory; name a file");
    }
    assertEquals(0, Small.names(directory).size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "export RUN --format=adapters",
        "export RUN --merge",
        "export RUN --format=onnx",
        "import ADAPTER",
        "export-mlflow RUN",
        "train",
        "search --strategy=all",
        "search --strategy=all --seeds=1,2"
      })
  void whatIsNoDirectoryIsRefusedAndStays(String line) throws Exception {
    List<String> words = inPlace(line);
    boolean trains = words.get(0).equals("train") || words.get(0).equals("search");
    List<String> options = new ArrayList<>(trains ? Small.examples(24) : List.of());
    if (trains) {
      options.add("--model=" + model);
    }
    Path directory = Files.createTempDirectory(temporary, "no-directory");
    Path file = Files.writeString(directory.resolve("file"), "the user's\n");
    Path link = Files.createSymbolicLink(directory.resolve("link"), file);
    Path fifo = fifo(directory.getFileName() + "/fifo");
    for (Path output : List.of(file, link, fifo)) {
      Call.of(words, options, "--output=" + output)
          .exits(1, output + " exists and is not a directory");
    }
    assertEquals("the user's\n", Files.readString(file));
    assertTrue(Files.isSymbolicLink(link));
    assertTrue(isOther(fifo));
    assertEquals(3, Small.names(directory).size());
  }

  @Test
  void predictReplacesNeitherItsInputNorFilesOfItsRun() throws Exception {
    String content = "text,label\nthe thing,1\n";
    Path directory = Files.createDirectory(temporary.resolve("inputs"));
    Path table = Files.writeString(directory.resolve("table.csv"), content);
    Path link = Files.createSymbolicLink(directory.resolve("link.csv"), table);
    Path other = Files.createSymbolicLink(temporary.resolve("inputs-link"), directory);
    for (Path output : List.of(table, link, other.resolve("table.csv"))) {
      Call.of("predict", run, table, "-o", output)
          .exits(2, output + " is a file that this command reads", "name another file");
    }
    Call.of("predict", run, link, "-o", table).exits(2, table + " is a file that");
    assertEquals(content, Files.readString(table));
    Call.of("predict", run, texts, "-o", texts).exits(2, texts + " is a file that");

    Map<String, byte[]> before = Results.of(run);
    List<Path> files = RunStatus.files(run);
    assertTrue(files.contains(run.resolve("result.json")), files.toString());
    assertTrue(files.contains(run.resolve("adapter.safetensors")), files.toString());
    Path inRun = Files.createSymbolicLink(directory.resolve("run"), run);
    for (Path file : files) {
      for (Path output : List.of(file, inRun.resolve(file.getFileName()))) {
        refusesFileOfTheRun(output, "predict", run, texts);
      }
    }
    refusesFileOfTheRun(run.resolve("metrics.jsonl"), "predict", run, "--text=the thing");
    refusesFileOfTheRun(run.resolve("summary.md"), "report", run, "--format=md");
    Results.assertSame(before, run);
    // Its directory is where other files may be.
    Path beside = run.resolve("predicted.jsonl");
    Call.of("predict", run, table, "-o", beside).exits(0);
    Call.of("predict", run, table, "-o", beside).exits(0);
    Files.delete(beside);
  }

  private static void refusesFileOfTheRun(Path output, Object... words) {
    Call.of(words, "-o", output)
        .exits(2, output + " is a file of the run " + run, "name another file");
  }

  @Test
  void neitherDataNorModelOfARunIsReplaced() throws IOException {
    Path data = Files.createDirectory(temporary.resolve("data"));
    Path train = data.resolve("train.jsonl");
    Path test = data.resolve("test.jsonl");
    for (Path file : List.of(train, test)) {
      Files.write(
          file,
          IntStream.range(0, 40)
              .mapToObj(i -> "{\"text\": \"%s %d\", \"label\": \"%d\"}".formatted(file, i, i % 2))
              .toList());
    }
    Path own = temporary.resolve("run-of-files");
    Call.of(
            "train",
            "--model=" + model,
            "--train-file=" + train,
            "--test-file=" + test,
            Small.modules(),
            "--modules=head",
            "--output=" + own)
        .exits(0);
    Path moved = Files.createDirectory(temporary.resolve("moved-model"));
    for (String name : Small.names(model)) {
      Files.copy(model.resolve(name), moved.resolve(name));
    }
    Map<String, byte[]> dataBefore = Results.of(data);
    Map<String, byte[]> modelBefore = Results.of(model);
    List<Path> sources = RunStatus.sources(own);
    assertTrue(sources.contains(model.resolve("tokenizer.json")), sources.toString());
    assertTrue(sources.contains(test), sources.toString());
    for (Path source : sources) {
      for (List<?> words :
          List.of(List.of("report", own, "--format=json"), List.of("predict", own, texts))) {
        Call.of(words, "-o", source)
            .exits(2, source + " is a file of the data or the model that the run " + own);
      }
    }
    Path tokenizer = moved.resolve("tokenizer.json");
    Call.of("predict", own, texts, "--model=" + moved, "-o", tokenizer)
        .exits(2, tokenizer + " is a file that this command reads");
    Results.assertSame(dataBefore, data);
    Results.assertSame(modelBefore, model);
    Results.assertSame(modelBefore, moved);
  }

  @Test
  void whatIsShownOfAStudyIsNotReplaced() throws IOException {
    Path study = temporary.resolve("study");
    Path file =
        Files.writeString(
            temporary.resolve("study.yaml"),
            "output: %s\ntasks: [wordnet]\nmethods: {search: {command: search}}\nbudgets: [0.5]\nseeds: [0]\n"
                .formatted(study));
    MadeStudy.make(
        file,
        TaskKind.CLASSIFICATION,
        List.of(Metric.ACCURACY),
        one -> Optional.of(new MadeStudy.Given(0.5)));
    Call.of("study", file, "--collect").exits(0);
    for (String name : StudyJson.ALL) {
      Path shown = study.resolve(name);
      String text = Files.readString(shown);
      Call.of("report", study, "--format=json", "-o", shown)
          .exits(2, shown + " is a file that this command reads");
      assertEquals(text, Files.readString(shown));
    }
  }

  @Test
  void aStrategyIsNotReplacedByWhatIsMadeOfIt() throws IOException {
    Path file = temporary.resolve("strategy.json");
    Call.of("strategy", "transfer", "authors", "--layers=3", "-o", file).exits(0);
    String written = Files.readString(file);
    Call.of("strategy", "transfer", file, "--layers=2", "-o", file)
        .exits(2, file + " is a file that this command reads");
    assertEquals(written, Files.readString(file));
  }

  @Test
  void aPromptIsNotShownWhereNothingIsWritten() {
    Call call = Call.of("generate", run, "--prompt=the thing").exits(2, "which writes no texts");
    assertEquals("", call.out());
  }

  /** As {@link Main#main} does it. */
  private static Call toFull(Object... words) throws IOException {
    PrintStream systemOut = System.out;
    PrintStream systemErr = System.err;
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    try (FileOutputStream full = new FileOutputStream(FULL.toFile());
        PrintStream out = new PrintStream(full, false, StandardCharsets.UTF_8);
        PrintStream said = new PrintStream(err, true, StandardCharsets.UTF_8)) {
      System.setOut(out);
      System.setErr(said);
      String[] arguments = List.of(words).stream().map(Object::toString).toArray(String[]::new);
      CommandLine commandLine = Main.commandLine(arguments);
      commandLine.setErr(new PrintWriter(said, true));
      int exit = Main.printed(out, Main.execute(commandLine, arguments));
      return new Call(exit, "", err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(systemOut);
      System.setErr(systemErr);
    }
  }

  @Test
  void aFullStandardOutputIsAFailureOfEachCommand() throws IOException {
    assumeTrue(Files.isWritable(FULL), "there is no /dev/full");
    String said = "prunepeft: the standard output could not be written";
    toFull("models").exits(1, said);
    toFull("tasks").exits(1, said);
    toFull("runs", run).exits(1, said);
    toFull("strategy", "show", "authors").exits(1, said);
    toFull("completion", "bash").exits(1, said);
    toFull("evaluate", run).exits(1, said);
    toFull("train", "--help").exits(1, said);
    for (Writer command : Writer.values()) {
      toFull(command.words().toArray()).exits(1, "can't write to the standard output");
    }
  }

  @Test
  void aProcessWhoseStandardOutputIsFullFails() throws Exception {
    assumeTrue(Files.isWritable(FULL), "there is no /dev/full");
    Path said = temporary.resolve("said.txt");
    String classPath = System.getProperty("java.class.path");
    Process process =
        new ProcessBuilder(Child.command(List.of("-Xmx256m"), classPath, List.of("models")))
            .redirectOutput(FULL.toFile())
            .redirectError(said.toFile())
            .start();
    Child.awaitEnd(process, said);
    assertEquals(1, process.exitValue(), Child.text(said));
    assertTrue(Child.text(said).contains("standard output"), Child.text(said));
    assertFalse(Child.text(said).contains("\tat "), Child.text(said));
  }

  /** The command in a process of its own, as a word of a shell's line. */
  private static String quoted(List<?> words) {
    List<String> command =
        Child.command(
            List.of("-Xmx512m"),
            System.getProperty("java.class.path"),
            words.stream().map(Object::toString).toList());
    return ShellWords.line(command);
  }

  /**
   * What a line of bash prints; its exit code is that of its last command, or of a pipe's first.
   */
  private static Call bash(String line) throws Exception {
    assumeTrue(Files.exists(Path.of("/bin/bash")), "there is no bash");
    Path out = Files.createTempFile(temporary, "out", ".txt");
    Path err = Files.createTempFile(temporary, "err", ".txt");
    Process process =
        new ProcessBuilder("/bin/bash", "-c", line)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try {
      Child.awaitEnd(process, err);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
    return new Call(process.exitValue(), Files.readString(out), Files.readString(err));
  }

  /** Links that lead to a pipe, which has no name of its own. */
  @Test
  void aPipeIsWrittenToByEachOfItsNames() throws Exception {
    String predicted = Writer.PREDICT.text();
    String predict = quoted(List.of("predict", run, texts));
    assumeTrue(Files.exists(Path.of("/dev/fd")), "there is no /dev/fd");
    for (String name : List.of("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")) {
      Call piped = bash(predict + " -o " + name + " | cat; exit ${PIPESTATUS[0]}").exits(0);
      assertEquals(predicted, piped.out(), name);
    }
    Path substituted = temporary.resolve("substituted.txt");
    bash("exec 3> >(cat > '%s'); %s -o /dev/fd/3; code=$?; exec 3>&-; wait $!; exit $code"
            .formatted(substituted, predict))
        .exits(0)
        .prints("wrote /dev/fd/3: 1 predictions");
    assertEquals(predicted, Files.readString(substituted));
  }

  @Test
  void theStandardOutputByItsNameIsWrittenAlone() throws Exception {
    Path redirected = temporary.resolve("redirected.txt");
    bash(quoted(List.of("predict", run, texts)) + " -o /dev/stdout > '" + redirected + "'")
        .exits(0);
    assertEquals(Writer.PREDICT.text(), Files.readString(redirected));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"})
  void whatAFileHasStaysWhereTheStandardOutputIsAppendedToIt(String name) throws Exception {
    assumeTrue(Files.exists(Path.of("/dev/fd")), "there is no /dev/fd");
    Path appended = Files.createTempFile(temporary, "appended", ".txt");
    Files.writeString(appended, "earlier\n");
    Path link = temporary.resolve("link to the standard output");
    if (Files.notExists(link)) {
      Files.createSymbolicLink(link, Path.of("/dev/stdout"));
    }
    String place = name.equals("link") ? link.toString() : name;
    bash(quoted(List.of("predict", run, texts, "-o", place)) + " >> '" + appended + "'").exits(0);
    assertEquals("earlier\n" + Writer.PREDICT.text(), Files.readString(appended));
  }

  /** Far more texts than a chunk or a pipe holds. */
  private static Path many() throws IOException {
    Path many = temporary.resolve("many.txt");
    if (Files.notExists(many)) {
      Files.write(many, Collections.nCopies(MANY, "the thing in a tin is in the other tin"));
    }
    return many;
  }

  @Test
  void aPipeThatIsClosedEndsTheWorkQuietly() throws Exception {
    String predict = quoted(List.of("predict", run, many()));
    Path progress = temporary.resolve("closed.txt");
    Call closed = bash(predict + " 2>'" + progress + "' | head -1; exit ${PIPESTATUS[0]}");
    assertEquals(StandardOutput.CLOSED_PIPE, closed.exit(), Files.readString(progress));
    assertEquals(1, closed.out().lines().count(), closed.out());
    assertFalse(Files.readString(progress).contains("prunepeft:"), Files.readString(progress));
    Call models = bash("exec 3> >(exec true); wait $!; " + quoted(List.of("models")) + " >&3");
    assertEquals(StandardOutput.CLOSED_PIPE, models.exit(), models.err());
    assertFalse(models.err().contains("prunepeft:"), models.err());
  }

  /** Also where messages are in another language than English. */
  @Test
  void aFifoThatIsClosedEndsTheWorkQuietly() throws Exception {
    Path fifo = fifo("closed fifo");
    String predict = quoted(List.of("predict", run, many()));
    Call closed =
        bash(
            "head -1 < '%1$s' & %2$s > '%1$s'; code=$?; wait; exit $code".formatted(fifo, predict));
    assertEquals(StandardOutput.CLOSED_PIPE, closed.exit(), closed.err());
    assertEquals(1, closed.out().lines().count(), closed.out());
    assertFalse(closed.err().contains("prunepeft:"), closed.err());
  }

  @Test
  void aFullDiskBehindTheStandardOutputIsSaidAtOnce() throws Exception {
    assumeTrue(Files.isWritable(FULL), "there is no /dev/full");
    // Its texts never end: only what it writes can end it.
    bash("yes 'the thing in a tin' | " + quoted(List.of("predict", run, "-")) + " > /dev/full")
        .exits(1, "prunepeft: can't write to the standard output: ");
  }

  @ParameterizedTest
  @EnumSource
  void whatWasBegunIsNotLeftByAProcessThatIsToldToEnd(Signal signal) throws Exception {
    assumeFalse(
        signal == Signal.INT && Signal.ignoresInterrupts(),
        "a shell started this in the background");
    Path directory = Files.createDirectory(temporary.resolve("told-" + signal));
    Path output = Files.writeString(directory.resolve("labels.tsv"), "earlier");
    Path said = temporary.resolve("told-" + signal + ".txt");
    Process process =
        Child.start(List.of("predict", run.toString(), "-", "-o", output.toString()), said);
    try {
      // It waits for texts.
      while (Small.names(directory).size() < 2) {
        assertTrue(process.isAlive(), () -> Child.text(said));
        Thread.sleep(5);
      }
      signal.send(process);
      Child.awaitEnd(process, said);
    } finally {
      process.destroyForcibly();
    }
    assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
    assertEquals(Set.of("labels.tsv"), Small.names(directory));
    assertEquals("earlier", Files.readString(output));
  }

  /** Into a new directory, or an empty one, which stays. */
  @ParameterizedTest
  @CsvSource({
    "export RUN --format=adapters, TERM, true",
    "export RUN --merge, INT, false",
    "import ADAPTER, TERM, false"
  })
  void anExportOrImportThatIsToldToEndLeavesNothing(String line, Signal signal, boolean there)
      throws Exception {
    assumeFalse(
        signal == Signal.INT && Signal.ignoresInterrupts(),
        "a shell started this in the background");
    Path parent = Files.createTempDirectory(temporary, "told");
    Path output = parent.resolve("new/output");
    Path said = Files.createTempFile(temporary, "told", ".txt");
    List<String> words = new ArrayList<>(inPlace(line));
    words.add("--output=" + output);
    for (int attempt = 0; ; attempt++) {
      if (there) {
        Files.createDirectories(output);
      }
      Process process = Child.start(words, said);
      try {
        while (Files.notExists(output.resolve("INCOMPLETE")) && process.isAlive()) {
          Thread.onSpinWait();
        }
        signal.send(process);
        Child.awaitEnd(process, said);
      } finally {
        process.destroyForcibly();
      }
      boolean complete =
          Files.notExists(output.resolve("INCOMPLETE"))
              && (Files.exists(output.resolve("prunepeft.json"))
                  || Files.exists(output.resolve("result.json")));
      if (!complete) {
        assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
        break;
      }
      // It was quicker.
      assumeFalse(attempt == 20, "exports are quicker than signals: " + Child.text(said));
      Directories.delete(parent.resolve("new"));
    }
    assertEquals(
        "prunepeft: interrupted; nothing is left of " + output,
        Child.text(said).lines().reduce((a, b) -> b).orElse(""),
        Child.text(said));
    assertFalse(Child.text(said).contains("can't "), Child.text(said));
    assertEquals(there ? Set.of("new") : Set.of(), Small.names(parent));
    if (there) {
      assertEquals(Set.of(), Small.names(output));
    }
    Call.of(words).exits(0);
  }

  @ParameterizedTest
  @EnumSource
  void aSubmissionThatIsToldToEndLeavesNothing(Signal signal) throws Exception {
    assumeFalse(
        signal == Signal.INT && Signal.ignoresInterrupts(),
        "a shell started this in the background");
    Path parent = Files.createTempDirectory(temporary, "submission");
    Path glue = parent.resolve("glue");
    Path trained = GlueFiles.trainMnli(model, glue, parent.resolve("run"));
    Path first = glue.resolve("MNLI/test_matched.tsv");
    List<String> lines = Files.readAllLines(first);
    Files.write(first, Collections.nCopies(MANY, lines.get(1)), StandardOpenOption.APPEND);
    Path sent = parent.resolve("new/sent");
    Path link = Files.createDirectory(parent.resolve("links")).resolve("AX.tsv");
    Files.createSymbolicLink(link, model.resolve("tokenizer.json"));
    Call.of("predict", trained, "--submission=" + link.getParent())
        .exits(2, link + " is a file of the data or the model");
    Path said = parent.resolve("said.txt");
    Process process =
        Child.start(List.of("predict", trained.toString(), "--submission=" + sent), said);
    try {
      while (Files.notExists(sent)) {
        assertTrue(process.isAlive(), () -> Child.text(said));
        Thread.sleep(5);
      }
      signal.send(process);
      Child.awaitEnd(process, said);
    } finally {
      process.destroyForcibly();
    }
    assertEquals(signal.exitCode, process.exitValue(), Child.text(said));
    assertEquals(
        "prunepeft: interrupted; nothing is left of the submission in " + sent,
        Child.text(said).lines().reduce((a, b) -> b).orElse(""),
        Child.text(said));
    assertEquals(Set.of("glue", "links", "run", "said.txt"), Small.names(parent));
  }

  /** A command line with the run and an adapter of it. */
  private static List<String> inPlace(String line) {
    Path adapter = temporary.resolve("adapter");
    if (Files.notExists(adapter)) {
      Call.of("export", run, "--format=adapters", "--output=" + adapter).exits(0);
    }
    return Stream.of(line.split(" "))
        .map(word -> word.replace("RUN", run.toString()).replace("ADAPTER", adapter.toString()))
        .toList();
  }
}
