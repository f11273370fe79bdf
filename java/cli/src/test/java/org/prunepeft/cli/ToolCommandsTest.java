package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Models;
import org.prunepeft.search.Partition;
import org.prunepeft.search.Strategy;
import org.prunepeft.settings.StrategyFile;
import org.prunepeft.testing.EndedProcess;
import picocli.CommandLine;

/** The commands that train nothing. */
class ToolCommandsTest {
  @TempDir Path temporary;

  @Test
  void doctorTellsVersionsInstructionSetThreadsAndWhyThereIsNoGpu() {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    Call call = Call.of("doctor").exits(0);
    List<String> lines = call.out().lines().toList();
    for (String start :
        List.of(
            "java             " + System.getProperty("java.version"),
            "kernels          " + Kernels.version() + ", instruction set ",
            "libtorch         2.",
            "tokenizers       load",
            "gpu              ",
            "model minilm     reads",
            "task wordnet     reads")) {
      assertTrue(lines.stream().anyMatch(line -> line.startsWith(start)), start + call.out());
    }
    assertFalse(call.out().contains("DOES NOT WORK"), call.out());
  }

  @Test
  void doctorTakesModelsThatAProgramHasRegistered() throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    Models.Loader files = Models.byName(Small.model(temporary).toString()).loader();
    Models.Loader loads = (precision, device) -> files.load(precision, device);
    Models.Loader fails =
        (precision, device) -> {
          throw new IllegalStateException("its server is away");
        };
    Models.register(new Models.KnownModel("doctor-test-loads", "", "", "", loads));
    Models.register(new Models.KnownModel("doctor-test-fails", "", "", "", fails));
    Call.of("doctor")
        .exits(0)
        .prints(
            "\nmodel doctor-test-loads reads\n",
            "\nmodel doctor-test-fails not here: its server is away\n");
  }

  /** With a script in the place of Maven, which waits. */
  @Test
  @Timeout(3600)
  void aFetchThatIsToldToEndEndsMavenToo() throws Exception {
    Path begun = temporary.resolve("begun");
    Path bin = Files.createDirectory(temporary.resolve("bin"));
    Path maven = bin.resolve("mvn");
    Files.writeString(
        maven,
        "#!/bin/sh\necho $$ > '%1$s.new'\nmv '%1$s.new' '%1$s'\nexec sleep 36000\n"
            .formatted(begun));
    assertTrue(maven.toFile().setExecutable(true));
    List<String> options =
        List.of("-Xmx256m", "-Dmaven.repo.local=" + temporary.resolve("repository"));
    String classPath = System.getProperty("java.class.path");
    Path said = temporary.resolve("said.txt");
    ProcessBuilder builder =
        new ProcessBuilder(
                Child.command(options, classPath, List.of("models", "--fetch", "bge-small")))
            .redirectErrorStream(true)
            .redirectOutput(said.toFile());
    builder.environment().merge("PATH", bin.toString(), (path, first) -> first + ":" + path);
    Process process = builder.start();
    try {
      while (Files.notExists(begun)) {
        assertTrue(process.isAlive(), () -> Child.text(said));
        Thread.sleep(5);
      }
      ProcessHandle waiting =
          ProcessHandle.of(Long.parseLong(Files.readString(begun).strip())).orElseThrow();
      try {
        Signal.TERM.send(process);
        Child.awaitEnd(process, said);
        assertEquals(Signal.TERM.exitCode, process.exitValue(), Child.text(said));
        EndedProcess.await(waiting, Child.LIMIT);
        assertFalse(Child.text(said).contains("could not fetch"), Child.text(said));
      } finally {
        waiting.destroyForcibly();
      }
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void doctorFailsWhereWhatEveryRunNeedsIsAbsentAndSaysWhy() throws Exception {
    Path jar = MiniLmJar.find().orElse(null);
    assumeTrue(jar != null, "MiniLM's jar is not on the class path");
    String classPath = System.getProperty("java.class.path").replace(jar.toString(), "/absent.jar");
    List<String> doctor = Child.command(List.of(), classPath, List.of("doctor"));
    String text = Child.call(new ProcessBuilder(doctor)).exits(1).out();
    assertTrue(text.matches("(?s).*model minilm +DOES NOT WORK: .*/absent.jar.*"), text);
    assertTrue(text.matches("(?s).*task wordnet +reads.*"), text);
  }

  @Test
  void aCommandIsReadWithoutTheOptionsOfOthers() {
    assertEquals(Set.of("doctor"), Main.commandLine("doctor", "-h").getSubcommands().keySet());
    Set<String> all = Main.commandLine().getSubcommands().keySet();
    assertTrue(all.containsAll(List.of("search", "train", "doctor")), all.toString());
    assertEquals(all, Main.commandLine("docter").getSubcommands().keySet());
    assertEquals(all, Main.commandLine("--help").getSubcommands().keySet());
    assertEquals(all, Main.commandLine(new String[0]).getSubcommands().keySet());
  }

  @Test
  void numbersAreWrittenInTheDigitsZeroToNineWhateverTheLocale() throws Exception {
    List<String> egyptian =
        List.of("-Duser.language=ar", "-Duser.country=EG", "-Duser.extensions=u-nu-arab");
    List<String> transfer =
        List.of("strategy", "transfer", "authors", "--layers=3", "-o", temporary + "/small.json");
    String classPath = System.getProperty("java.class.path");
    ProcessBuilder process = new ProcessBuilder(Child.command(egyptian, classPath, transfer));
    String said = Child.call(process).exits(0).out();
    assertTrue(said.contains("a strategy for 3 layers, from 24"), said);
  }

  @Test
  void strategyIsShownByPartition() {
    String shown = Call.of("strategy", "show", "authors").exits(0).out();
    assertTrue(shown.startsWith("authors: authors, spindle blocks"), shown);
    assertTrue(shown.contains("| lora/1    |        | threshold, activation "), shown);
    String all = Call.of("strategy", "show", "all").exits(0).out();
    assertTrue(
        all.contains("everywhere: weight, zeros, threshold, activation, sensitivity, gradient"),
        all);
  }

  @Test
  void transferredStrategyIsAFileThatReadsBack() {
    Path file = temporary.resolve("small.json");
    Call written = Call.of("strategy", "transfer", "authors", "--layers=3", "-o", file).exits(0);
    assertEquals("wrote %s: a strategy for 3 layers, from 24\n".formatted(file), written.out());
    Strategy transferred = StrategyFile.read(file);
    // The middles of three layers lie at 1/6, 1/2 and 5/6 of the depth: where blocks begin.
    assertEquals(List.of("threshold"), transferred.criteriaOf(new Partition("lora", 1)));
    assertEquals(List.of("zeros"), transferred.criteriaOf(new Partition("lora", 2)));
    assertEquals(List.of("gradient"), transferred.criteriaOf(new Partition("lora", 3)));
    String printed = Call.of("strategy", "transfer", "authors", "--layers=3").exits(0).out();
    assertEquals(StrategyFile.format(transferred), printed);
    printed = Call.of("strategy", "transfer", "authors", "--layers=3", "-o", "-").exits(0).out();
    assertEquals(StrategyFile.format(transferred), printed);
    Path nowhere = temporary.resolve("absent/small.json");
    Call call = Call.of("strategy", "transfer", "authors", "--layers=3", "-o", nowhere).exits(1);
    assertEquals(
        "prunepeft: can't write %s: %s does not exist\n".formatted(nowhere, nowhere.getParent()),
        call.err());
    String shown = Call.of("strategy", "show", file).exits(0).out();
    assertTrue(shown.contains("| lora/3    |        | gradient "), shown);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "strategy | name one of: show, transfer",
        "strategy show absent | 'absent' is neither a run's directory nor a strategy's file",
        "strategy transfer authors | --layers",
        "strategy transfer authors --layers 0 | a model must have at least 1 layer, got 0",
        "completion | SHELL",
        "completion fish | invalid SHELL: expected one of bash, zsh, but was 'fish'",
        "evaluate | prunepeft evaluate needs RUN: directory of a complete run",
        "compare a | prunepeft compare needs 2 RUNs or more; directories of complete runs",
        "export run -o x | prunepeft export needs --format=FORMAT or --merge",
        "predict run | FILE",
      })
  void wrongUseOfAToolIsNamed(String line, String message) {
    Call.of(line.split(" ")).exits(2, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "not JSON | line 1, column",
        "{\"version\": 1, \"origin\": \"best\"} | origin: must be one of",
        "{\"version\": 1, \"orign\": \"all\"} | orign: unknown key 'orign'; did you mean origin?",
      })
  void damagedStrategyFileIsNamedWithThePlace(String text, String message) throws IOException {
    Path file = Files.writeString(temporary.resolve("strategy.json"), text);
    Call call = Call.of("strategy", "show", file);
    assertTrue(call.exit() != 0 && call.err().contains(file.toString()), call.err());
    call.says(message);
    call = Call.of("search", "--strategy=" + file, "--output=" + temporary.resolve("run"));
    assertTrue(call.exit() != 0 && call.err().contains(message), call.err());
    assertFalse(Files.exists(temporary.resolve("run")));
  }

  @Test
  void completionScriptCompletesCommandsAndOptionsInBash() throws Exception {
    Path script = temporary.resolve("completion");
    Files.writeString(script, Call.of("completion", "bash").exits(0).out());
    assertEquals("search seal", complete(script, "prunepeft", "sea"));
    assertTrue(complete(script, "prunepeft", "search", "--warm-up").contains("--warm-up-turns"));
    assertEquals("transfer", complete(script, "prunepeft", "strategy", "tr"));
    Map<String, String> values =
        Map.of(
            "search --quantize ''", "auto none int8 nf4",
            "search --precision ''", "float32 bf16",
            "search --report-to ''", "none tensorboard",
            "search --zero-dtype ''", "float32 float16 bfloat16",
            "search --strategy m", "measured",
            "train --modules s", "supernet",
            "train --model mini", "minilm",
            "train --lr-scheduler-type c", "cosine constant",
            "compare --format ''", "md csv json",
            "export run --format o", "onnx");
    for (Map.Entry<String, String> each : values.entrySet()) {
      String[] words = ("prunepeft " + each.getKey()).split(" ");
      assertEquals(each.getValue(), complete(script, words), each::getKey);
    }
  }

  /** What bash would offer for the last word. */
  private static String complete(Path script, String... words) throws Exception {
    String line = String.join(" ", words);
    String program =
        "source '%s'; COMP_WORDS=(%s); COMP_CWORD=%d; COMP_LINE=\"%s\"; COMP_POINT=%d; _complete_prunepeft 2>/dev/null; echo \"${COMPREPLY[@]}\""
            .formatted(script, line, words.length - 1, line, line.length());
    return Child.call(new ProcessBuilder("bash", "-c", program)).exits(0).out().strip();
  }

  @ParameterizedTest
  @CsvSource({"memory, out of memory", "linkage, does not load: java.lang.UnsatisfiedLinkError"})
  void errorOfTheVirtualMachineGetsAMessageAndExitCodeOne(String kind, String message) {
    Error error =
        kind.equals("memory")
            ? new OutOfMemoryError("Java heap space")
            : new ExceptionInInitializerError(new UnsatisfiedLinkError("no jniTorch"));
    CommandLine commandLine = Main.commandLine();
    commandLine.addSubcommand("break", new Broken(error));
    StringWriter err = new StringWriter();
    commandLine.setErr(new PrintWriter(err, true));
    assertEquals(1, Main.execute(commandLine, "break"));
    assertTrue(err.toString().startsWith("prunepeft: "), err.toString());
    assertTrue(err.toString().contains(message), err.toString());
    assertFalse(err.toString().contains("\tat "), err.toString());
  }

  @CommandLine.Command(name = "break")
  private record Broken(Error error) implements Runnable {
    @Override
    public void run() {
      throw error;
    }
  }
}
