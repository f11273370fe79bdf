package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.kernels.Isa;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Models;
import org.prunepeft.torch.ComputeDevice;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;

class MainTest {
  @TempDir Path temporary;

  @Test
  void helpListsTheCommandsAndTheExitCodes() {
    Call call = Call.of("--help").exits(0);
    for (String text : List.of("search", "train", "models", "tasks", "Exit codes", "wrong use")) {
      call.prints(text);
    }
  }

  @Test
  void helpOfSearchTellsWhatHappensTheDefaultsAndExamples() {
    Call call = Call.of("search", "--help").exits(0);
    for (String text :
        List.of(
            "supernet",
            "warm-up",
            "--keep=SHARE",
            "(default: 0.5)",
            "--budget=N",
            "--threads=N",
            "Examples:",
            "prunepeft search --keep 0.25 --seed 1")) {
      call.prints(text);
    }
  }

  @Test
  void helpOfEveryCommandIsAllThatIsSaid() {
    List<List<String>> commands = new ArrayList<>(List.of(List.of()));
    Main.commandLine()
        .getSubcommands()
        .forEach(
            (name, command) -> {
              commands.add(List.of(name));
              command.getSubcommands().keySet().forEach(own -> commands.add(List.of(name, own)));
            });
    for (List<String> words : commands) {
      assertEquals("", Call.of(words, "--help").exits(0).err(), words::toString);
    }
  }

  @Test
  void versionNamesTheKernels() {
    Call call = Call.of("--version").exits(0);
    assertTrue(
        call.out().matches("(?s)prunepeft \\d+\\.\\d+\\.\\d+ \\(kernels: \\w+\\)\\s*"), call.out());
  }

  @Test
  void modelsAndTasksAreListedWithSourceAndLicence() {
    String models = Call.of("models").exits(0).out();
    assertTrue(
        models.matches("(?s)(.*\\R)?minilm\\R  [^\n]*\\R[^\n]*licence Apache-2.0\\R.*"), models);
    String tasks = Call.of("tasks").exits(0).out();
    assertTrue(tasks.matches("(?s)(.*\\R)?wordnet\\R  [^\n]*\\R[^\n]*licence WordNet.*"), tasks);
    assertTrue(
        tasks.matches("(?s)acceptability\\R  [^\n]*\\R  from LanguageTool 6.8 by [^\n]*LGPL-2.1.*"),
        tasks);
  }

  @Test
  void optionsAreKnownByTheNamesThatHuggingFacesProgramsGiveThem() {
    CommandLine main = Main.commandLine();
    String[] words = {
      "train",
      "--model_name_or_path=minlm",
      "--max_train_samples=8",
      "--per_device_train_batch_size=2",
      "--num_train_epochs=1",
      "--output_dir=" + temporary.resolve("a_b")
    };
    main.setErr(new PrintWriter(Writer.nullWriter()));
    assertEquals(2, Main.execute(main, words));
    Map<String, Object> expected =
        Map.of(
            "--model",
            "minlm",
            "--train-examples",
            8,
            "--batch-size",
            2,
            "--epochs",
            1,
            "--output",
            temporary.resolve("a_b"));
    CommandSpec train = main.getSubcommands().get("train").getCommandSpec();
    expected.forEach((name, value) -> assertEquals(value, train.findOption(name).getValue(), name));
  }

  @Test
  void anUnknownCommandHasNoHelp() {
    Call.of("serch", "--help").exits(2, "unknown command 'serch'; did you mean search?");
  }

  @Test
  void helpOfSearchBeginsWithOneLineAndEndsItsOwnOptionsWithPlugins() {
    String help = Call.of("search", "--help").exits(0).out();
    assertTrue(help.startsWith("Usage: prunepeft search [OPTIONS]"), help);
    assertTrue(help.indexOf("--plugins") > help.indexOf("--checkpoint-steps"), help);
  }

  @Test
  void examplesOfHelpFitIntoALine() {
    List<CommandSpec> commands = new ArrayList<>();
    Main.commandLine()
        .getSubcommands()
        .values()
        .forEach(
            command -> {
              commands.add(command.getCommandSpec());
              command.getSubcommands().values().forEach(own -> commands.add(own.getCommandSpec()));
            });
    for (CommandSpec command : commands) {
      for (String line : command.usageMessage().footer()) {
        assertTrue(line.length() <= 100, () -> command.qualifiedName() + ": " + line);
      }
    }
  }

  @Test
  void callWithoutCommandIsToldOne() {
    Call.of().exits(2, "name a command, such as: prunepeft search");
  }

  @Test
  void aModelIsKnownByItsNameOnTheHub() {
    for (String name : List.of("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2")) {
      CommandLine main = Main.commandLine();
      main.setErr(new PrintWriter(Writer.nullWriter()));
      // The task is looked for after the model.
      assertEquals(2, Main.execute(main, "train", "--model=" + name, "--task=wordnt"));
      CommandSpec train = main.getSubcommands().get("train").getCommandSpec();
      assertEquals("minilm", train.findOption("--model").getValue());
    }
    Call.of("models").exits(0).prints("on the hub sentence-transformers/all-MiniLM-L6-v2");
    Call.of("train", "--model=BAAI/bge-smal-en-v1.5", "--output=" + temporary.resolve("run"))
        .exits(2, "unknown model 'BAAI/bge-smal-en-v1.5'");
  }

  @Test
  void aModelThatIsNotHereIsFetchedByTheCommandThatTheErrorNames() {
    String repository = System.getProperty("maven.repo.local");
    System.setProperty("maven.repo.local", temporary.toString());
    try {
      for (String name : List.of("minilm", "bge-small", "bert-base")) {
        String hub = Models.hubName(name).orElseThrow();
        Models.KnownModel model = Models.byName(hub);
        assertEquals(name, model.name());
        if (model.download() != null) {
          String error =
              Call.of("train", "--model=" + hub, "--output=" + temporary.resolve(name))
                  .exits(1, "the model " + name + " is not on this machine")
                  .err();
          Matcher hint = Pattern.compile("with 'prunepeft ([^']+)'").matcher(error);
          assertTrue(hint.find(), error);
          CommandLine.ParseResult fetch = Main.commandLine().parseArgs(hint.group(1).split(" "));
          assertEquals("models", fetch.subcommand().commandSpec().name());
          assertEquals(name, fetch.subcommand().matchedOption("--fetch").getValue());
        }
      }
    } finally {
      if (repository == null) {
        System.clearProperty("maven.repo.local");
      } else {
        System.setProperty("maven.repo.local", repository);
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "serch | unknown command 'serch'; did you mean search?",
        "search --kep 0.5 | unknown option --kep of prunepeft search; did you mean --keep?",
        "train --dropout=0.5 | unknown option --dropout of prunepeft train; did you mean --lora-dropout?",
        "train --rounds 3 | unknown option --rounds of prunepeft train; it is one of search",
        "train --zzzzzzzz | unknown option --zzzzzzzz of prunepeft train",
        "train more | 'more' is one word too many for prunepeft train",
        "train --weight-decay | missing required parameter for option '--weight-decay'",
        "train --batch-size many | invalid value for option '--batch-size': 'many' is not a whole number",
        "train --batch-size 2.5 | invalid value for option '--batch-size': '2.5' is not a whole number",
        "train --batch-size 3000000000 | invalid value for option '--batch-size': '3000000000' is out of range; at most 2,147,483,647",
        "train --num_train_epochs=x | invalid value for option '--num-train-epochs': 'x' is not a whole number",
        "train --seed -9999999999999999999999 | invalid value for option '--seed': '-9999999999999999999999' is out of range; at least -9,223,372,036,854,775,808",
        "search --tolerance 0.5% | invalid value for option '--tolerance': '0.5%' is not a number",
        "train --learning-rate fast | invalid value for option '--learning-rate': 'fast' is not a number",
        "train --lr 1e-3 | unknown option --lr of prunepeft train; here it is --learning-rate",
        "train --bf16 | unknown option --bf16 of prunepeft train; here it is --precision bf16",
        "search --load_in_4bit | unknown option --load-in-4bit of prunepeft search; here it is --quantize nf4",
        "train --r 8 | unknown option --r of prunepeft train; here it is --lora-r",
        "train --save_steps 8 | unknown option --save-steps of prunepeft train; here it is --checkpoint-steps",
        "train --metric_for_best_model f1 | unknown option --metric-for-best-model of prunepeft train; here it is the first of --metric",
        "train --eval_strategy epoch | unknown option --eval-strategy of prunepeft train; validation is measured after each epoch",
        "train --bias all | unknown option --bias of prunepeft train; there is none",
        "train --epochs 1 --batch-size | missing required parameter for option '--batch-size' (N)",
        "train -o | missing required parameter for option '-o' (DIR)",
        "strategy shw | unknown command 'shw'; did you mean show?",
      })
  void whatIsTypedWronglyIsSaidInALineWithTheNearestName(String line, String message) {
    List<String> said = Call.of((Object[]) line.split(" ")).exits(2).err().lines().toList();
    assertEquals(2, said.size(), said.toString());
    assertTrue(said.get(0).startsWith("prunepeft: " + message), said.get(0));
    assertTrue(said.get(1).endsWith(" --help' explains the options"), said.get(1));
  }

  @Test
  void anOptionThatIsLikeNoneHasNoGuess() {
    String said = Call.of("train", "--init-range", "1").exits(2).err();
    assertFalse(said.contains("did you mean"), said);
  }

  @Test
  void wholeNumbersMayEndInAPointAndSharesBeInPercent() {
    CommandLine main = Main.commandLine();
    main.setErr(new PrintWriter(Writer.nullWriter()));
    String[] words = {
      "search", "--model=minlm", "--epochs=3.0", "--seed", "2.", "--keep", "25 %,12.5%"
    };
    assertEquals(2, Main.execute(main, words));
    CommandSpec search = main.getSubcommands().get("search").getCommandSpec();
    Map<String, Object> expected =
        Map.of("--epochs", 3, "--seed", 2L, "--keep", List.of(0.25, 0.125));
    expected.forEach(
        (name, value) -> assertEquals(value, search.findOption(name).getValue(), name));
  }

  @Test
  void anOptionThatIsGivenTwiceHasItsLastValueAndTheOthersKeepTheirs() {
    CommandLine main = Main.commandLine();
    main.setErr(new PrintWriter(Writer.nullWriter()));
    String line =
        "train --model=minlm --batch-size 8 --epochs 1 --num_train_epochs=2 --seed 1 --seed 3"
            + " --use-dora true --target-modules query --lora-r 4 --use-dora=false"
            + " --target-modules=key,value";
    assertEquals(2, Main.execute(main, line.split(" ")));
    CommandSpec train = main.getSubcommands().get("train").getCommandSpec();
    Map<String, Object> expected =
        Map.of(
            "--batch-size",
            8,
            "--epochs",
            2,
            "--seed",
            3L,
            "--lora-r",
            4,
            "--use-dora",
            false,
            "--target-modules",
            List.of("key", "value"));
    expected.forEach((name, value) -> assertEquals(value, train.findOption(name).getValue(), name));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "search --task wordnt | unknown task 'wordnt'; did you mean wordnet?",
        "train --task wordnt | unknown task 'wordnt'; did you mean wordnet?",
        "search --model minlm | unknown model 'minlm'; did you mean minilm?",
        "search --strategy wisdom | wisdom",
        "search --keep 0 | the share to keep must be above 0 and at most 1, got 0.0",
        "search --keep 1.5 | the share to keep must be above 0 and at most 1, got 1.5",
        "search --keep NaN | the share to keep must be above 0 and at most 1, got NaN",
        "search --keep half | --keep",
        "train --modules depth --keep 1.5 | the share to keep must be above 0 and at most 1, got 1.5",
        "train --keep 0.5 | --keep is for --modules all-linear, random, first-layers, middle-layers and last-layers,"
            + " and for search, but --modules is supernet",
        "train --modules best | unknown choice of --modules 'best'; known are head, lora, adapter,"
            + " supernet, both, full, all-linear, random, first-layers, middle-layers, last-layers, depth,"
            + " names of modules, or a run's directory",
        "train --modules lorra | did you mean lora?",
        "train --modules random --budget 0 | the budget must be at least 1 parameter, got 0",
        "search --budget 0 | the budget must be at least 1 parameter, got 0",
        "search --budget -5 | the budget must be at least 1 parameter, got -5",
        "search --threads 0 | threads must be in [1, 1024], got 0",
        "train --max-seq-length 7 | the longest sequence must have at least 8 tokens, got 7",
        "train --learning-rate 0 | the learning rate of LoRA must be above 0, got 0.0",
        "train --optim sgd | unknown optimiser 'sgd'; known are adamw, adamw_torch, adafactor",
        "train --lr-scheduler-type cosin | did you mean cosine?",
        "train --reduction-factor 0 | the adapters' reduction_factor must be above 0, got 0.0",
        "train --init-r 4 | --init-r is for --use-adalora; add that, or leave it out",
        "train --deltaT 4 | --deltaT is for --use-adalora",
        "train --use-adalora --lora-r 4 | --lora-r has no effect with --use-adalora",
        "train --adapter-size 4 --reduction-factor 4 | --adapter-size has no effect with"
            + " --reduction-factor; leave one of the two out",
        "train --seed 1 --seeds 1,2 | --seed has no effect with --seeds; leave one of the two out",
        "train --lora-r 0 --use-dora | --use-dora has no effect with --lora-r 0",
        "train --lora-r 0 --target-modules key | --target-modules has no effect with --lora-r 0",
        "train --adapter-size 0 --adapter-config houlsby | --adapter-config has no effect with"
            + " --adapter-size 0; leave one of the two out",
        "search --adapter-size 0 --adapter-scaling 2 | --adapter-scaling has no effect with",
        "search --zero-dtype bfloat16 | --zero-dtype is for the criterion zeros, which does not"
            + " judge here; add it to --warm-up-criteria, or leave the option out",
        "search --strategy weight --threshold 0.1 | --threshold is for the criterion threshold",
        "train --encoder-learning-rate 1e-4 | --encoder-learning-rate is for --modules full, but"
            + " --modules is supernet",
        "search --encoder-learning-rate 1e-4 | --encoder-learning-rate is for train --modules full",
        "train --max-new-tokens 9 | --max-new-tokens is for what language models write",
        "train --train-file x.csv --do-regression --label-smoothing-factor 0.1 |"
            + " --label-smoothing-factor is for classes, and the task is a regression",
        "search --strategy authors --warm-up-turns 1 | --warm-up-turns has no effect with --strategy"
            + " authors; leave one of the two out",
        "search --strategy /tmp --partitioning quantile | --partitioning has no effect with"
            + " --strategy /tmp",
        "search --strategy gates --trials 3 | --trials has no effect with --strategy gates",
        "search --strategy bayesian --gate-learning-rate 1 | --gate-learning-rate has no effect with"
            + " --strategy bayesian",
        "train --max-grad-norm -1 | the largest gradient norm must be 0 (no clipping) or more, got"
            + " -1.0",
        "search --epochs 0 | epochs must be at least 1, got 0",
        "search --warm-up-criteria weight,sensitivty | unknown criterion 'sensitivty'; did you mean"
            + " sensitivity?",
        "search --rounds 0 | rounds must be at least 1, got 0",
        "search --test-examples 0 | the test part needs at least 1 example, got 0",
        "search --lora-r 0 --adapter-size 0 | a supernet needs LoRA modules or adapters, got"
            + " neither",
        "search --lora-dropout 1 | LoRA dropout must be in [0, 1), got 1.0",
        "search --selection best | best",
        "search --device gpu | the device must be cpu, cuda, cuda:N or auto, got gpu",
      })
  void wrongUseIsNamedAndLeavesNothing(String line, String message) throws IOException {
    Path output = temporary.resolve("runs").resolve("first");
    Call call = refused(line, output);
    call.exits(2);
    call.says(message);
    assertNothingIn(temporary);
  }

  @ParameterizedTest
  @ValueSource(strings = {"search", "train"})
  void manyMoreThreadsThanProcessorsAreRefused(String command) throws IOException {
    int most = 4 * Runtime.getRuntime().availableProcessors();
    assumeTrue(most < 1024, "a machine of 256 processors may have all threads that there can be");
    refused(command + " --threads " + (most + 1), temporary.resolve("run"))
        .exits(2, "threads must be at most " + most + ", 4 for each of the ");
    assertNothingIn(temporary);
  }

  /**
   * Known from the data or the model, so after these are loaded; before anything is tokenised or
   * trained.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "search --budget 100000000 | the budget must be at most the supernet's",
        "search --budget 100 | the budget must leave room for one module",
        "search --max-seq-length 513 | the longest sequence must have at most the model's 512"
            + " tokens, got 513",
        "search --target-modules quary | unknown LoRA target 'quary'",
      })
  void settingThatTheModelDoesNotFitIsRefusedBeforeTheLongWork(String line, String message)
      throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    Call call = refused(line, temporary.resolve("runs").resolve("first")).exits(2);
    call.says(message);
    assertFalse(call.err().contains("tokenise"), call.err());
    assertNothingIn(temporary);
  }

  @Test
  void aGpuThatIsFullIsSaidWithWhatTakesLessAndWithoutTheCallsOfCpp() {
    String reason = "CUDA out of memory. Tried to allocate 2.00 GiB.";
    String calls = "\nException raised from malloc (most recent call first):\nframe #0: f() + 1";
    String message = Main.message(new RuntimeException(reason + calls));
    assertTrue(message.startsWith(reason + "; these take less: a smaller --batch-size"), message);
    assertFalse(message.contains("frame #"), message);
    assertEquals("sizes differ", Main.message(new RuntimeException("sizes differ" + calls)));
  }

  @Test
  void aDeviceThatCannotBeUsedIsRefusedWithTheReason() throws IOException {
    String absence = ComputeDevice.cudaAbsence().orElse(null);
    assumeTrue(absence != null, "there is a GPU");
    refused("train --device cuda", temporary.resolve("run"))
        .exits(1, "the device cuda cannot be used: " + absence);
    assertNothingIn(temporary);
  }

  /** It is the processor's. */
  @Test
  void theSpeedOfBfloat16IsNotMeasuredForAGpu() throws IOException {
    assumeTrue(ComputeDevice.cudaAbsence().isPresent(), "there is a GPU");
    Kernels.setIsa(Isa.PORTABLE);
    try {
      Call call =
          refused("train --device cuda --precision bf16", temporary.resolve("run")).exits(1);
      call.says("the device cuda cannot be used");
      assertFalse(call.err().contains("no instructions for it"), call.err());
    } finally {
      Kernels.setIsa(Kernels.supportedIsa());
    }
  }

  /**
   * Another machine's driver, over the emulated device: by one process, since the native test
   * {@code device_absence_emulated} has what is said of all others.
   */
  @Test
  void whyAGpuCannotBeUsedIsSaidByARun() throws Exception {
    Path texts = temporary.resolve("texts.tsv");
    Files.writeString(texts, "text\tlabel\n" + "a thing\tyes\nanother\tno\n".repeat(20));
    Path output = temporary.resolve("run");
    String reason = "no CUDA devices: the NVIDIA driver is for CUDA 12.4 and this build needs CUDA";
    onAnotherMachine(
            "DRIVER=12040", "train", "--train-file=" + texts, "--device=cuda", "-o=" + output)
        .exits(1, "the device cuda cannot be used: " + reason, "; --device cpu works");
    assertFalse(Files.exists(output));
  }

  /** Once: it tries every model and task. */
  @Test
  void whyAGpuCannotBeUsedIsSaidByDoctor() throws Exception {
    onAnotherMachine("CAPABILITY=7", "doctor")
        .exits(0, "gpu              none: CUDA device 0 has compute capability 7.0");
  }

  private static Call onAnotherMachine(String machine, String... arguments) throws Exception {
    Path standIn = Path.of("../kernels/target/native/stand-in").toAbsolutePath().normalize();
    assumeTrue(Files.isDirectory(standIn), "the emulated device was not built");
    // Of native libraries, which the emulated device has others of; the library's tests fill it.
    Path caches = Path.of("../prunepeft/target/javacpp-stand-in").toAbsolutePath().normalize();
    List<String> options =
        List.of(
            "-Dorg.bytedeco.javacpp.pathsFirst=true",
            "-Djava.library.path=" + standIn,
            "-Dorg.bytedeco.javacpp.cachedir=" + caches);
    ProcessBuilder builder =
        new ProcessBuilder(
            Child.command(options, System.getProperty("java.class.path"), List.of(arguments)));
    String[] setting = machine.split("=");
    builder.environment().put("PRUNEPEFT_EMULATED_" + setting[0], setting[1]);
    return Child.call(builder);
  }

  @Test
  void aWordThatBeginsWithAnAtSignIsNoFile() throws IOException {
    Path file = Files.writeString(temporary.resolve("words"), "--epochs=0");
    Call.of("train", "@" + file).exits(2, "'@" + file + "' is one word too many");
  }

  @Test
  void aSeedOfGreedyTextsIsRefused() {
    Call.of("generate", "runs/absent", "--prompt=y", "--seed=1")
        .exits(2, "--seed has no effect with --temperature 0");
  }

  @Test
  void moreTestExamplesThanTheTaskHasAreRefused() throws IOException {
    refused("search --test-examples 1000000", temporary.resolve("run"))
        .exits(2, "1001000 are asked for");
    assertNothingIn(temporary);
  }

  @ParameterizedTest
  @ValueSource(strings = {"search", "train"})
  void outputDirectoryWithFilesIsNamedAndLeftAlone(String command) throws IOException {
    Path output = Files.createDirectory(temporary.resolve("run"));
    Files.writeString(output.resolve("notes.txt"), "mine");
    refused(command, output)
        .exits(1, output + " is not empty; name a new directory, or delete this one");
    try (var files = Files.list(output)) {
      assertEquals(List.of(output.resolve("notes.txt")), files.toList());
    }
  }

  @Test
  void outputBelowAFileIsNamed() throws IOException {
    Path file = Files.writeString(temporary.resolve("file"), "mine");
    refused("search", file.resolve("run")).exits(1, file.toString(), "is not a directory");
    assertEquals("mine", Files.readString(file));
  }

  @ParameterizedTest
  @ValueSource(strings = {"search --strategy", "train --modules"})
  void directoryWithoutACompleteRunIsRefused(String start) throws IOException {
    Path earlier = Files.createDirectory(temporary.resolve("earlier"));
    Files.writeString(earlier.resolve("INCOMPLETE"), "failed: disk full\n");
    refused(start + " " + earlier, temporary.resolve("run"))
        .exits(1, earlier + " has no complete run: failed: disk full");
    assertFalse(Files.exists(temporary.resolve("run")));
  }

  @Test
  void damagedModelIsNamedWithTheRemedy() throws Exception {
    Path jar = MiniLmJar.find().orElse(null);
    assumeTrue(jar != null, "MiniLM's jar is not on the class path");
    Path damaged = temporary.resolve("minilm-damaged.jar");
    byte[] start = new byte[1 << 20];
    try (var in = Files.newInputStream(jar)) {
      Files.write(damaged, Arrays.copyOf(start, in.readNBytes(start, 0, start.length)));
    }
    String classPath =
        System.getProperty("java.class.path").replace(jar.toString(), damaged.toString());
    Path run = temporary.resolve("run");
    List<String> search = List.of("search", "--threads", "1", "--output", run.toString());
    Child.call(new ProcessBuilder(Child.command(List.of(), classPath, search)))
        .exits(1, damaged + " is damaged", "delete that file and build again");
    assertFalse(Files.exists(run));
  }

  private static Call refused(String line, Path output) {
    return Call.of(line.split(" "), "--output", output);
  }

  private static void assertNothingIn(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      assertEquals(List.of(), files.toList());
    }
  }

  @Test
  void outputThatCannotBePrintedIsAFailure() throws IOException {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.isWritable(full), "there is no /dev/full");
    PrintStream lost = new PrintStream(Files.newOutputStream(full), true);
    lost.println("models");
    assertEquals(1, Main.printed(lost, 0));
    assertEquals(2, Main.printed(lost, 2));
    assertEquals(0, Main.printed(new PrintStream(new ByteArrayOutputStream()), 0));
  }

  /** Before the data is looked for, which is not there. */
  @Test
  void aNameOfLinearsThatMeansMoreInPeftIsSaid() {
    String note = "PEFT takes attention.output.dense for it too";
    for (String targets : List.of("output.dense", "attention.output.dense,output.dense", "query")) {
      Call call =
          Call.of("train", "--train-file=absent.csv", "--target-modules=" + targets).exits(1);
      assertEquals(targets.equals("output.dense"), call.err().contains(note), call.err());
    }
  }
}
