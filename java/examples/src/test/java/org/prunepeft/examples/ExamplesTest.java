package org.prunepeft.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.KernelException;
import org.prunepeft.model.Models;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;

/** Every example runs; what is registered takes part in searches. */
class ExamplesTest {
  @TempDir Path temporary;

  @BeforeAll
  static void register() {
    Criteria.register(new SignalToNoise());
    ModuleTypes.register(new Ia3());
    Tasks.register(new LargerNumber());
    Models.register(LowerHalf.ENTRY);
  }

  private static String output(Consumer<String[]> program, String... arguments) {
    PrintStream before = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true));
    try {
      program.accept(arguments);
    } finally {
      System.setOut(before);
    }
    return bytes.toString();
  }

  @Test
  void theSearchProgramNamesWhatIsKept() {
    Path run = temporary.resolve("run");
    String out = output(SearchProgram::main, run.toString(), "64");
    assertTrue(out.matches("(?s)encoder\\.layer\\.\\d\\..*\\ntest accuracy .*"), out);
    assertTrue(Files.exists(run.resolve("adapter.safetensors")));
  }

  private static final String PRODUCTS =
      "y 4.0 8.0 11.5 20.0\ndX 2.5 2.5 1.5 2.5 2.5 1.5\ndA 7.5 10.5 13.5\ndB 10.5 10.5\n";

  @Test
  void kernelsMultiplyPlainBuffersAndTensors() {
    assertEquals(
        PRODUCTS + "Paths[forward=FUSED, backward=FUSED, keepMasks=false]\n",
        output(KernelsOnBuffers::main, "cpu"));
    assertEquals("y 4.0 8.0 11.5 20.0\n", output(KernelsOnByteBuffers::main));
    String[] words = output(KernelsOnTensors::main).strip().split(" ");
    assertTrue(Double.parseDouble(words[2]) < 1e-3, words[2]);
  }

  @Test
  void kernelsMultiplyOnAGpuOrSayWhatIsMissing() {
    Optional<String> absence = Device.cudaAbsence();
    if (absence.isPresent()) {
      KernelException refused =
          assertThrows(KernelException.class, () -> output(KernelsOnBuffers::main, "cuda"));
      assertTrue(refused.getMessage().contains(absence.get()), refused.getMessage());
      assertTrue(absence.get().matches("(no CUDA devices: |CUDA device 0 ).+"), absence.get());
      return;
    }
    try {
      String out = output(KernelsOnBuffers::main, "cuda");
      assertTrue(out.startsWith(PRODUCTS + "Paths[forward="), out);
    } catch (LinkageError noCublas) {
      // A GPU, and a class path without the presets' libraries.
      assertTrue(
          noCublas.getMessage().startsWith("cuBLASLt cannot be loaded; add org.bytedeco:cuda"),
          noCublas.getMessage());
    }
  }

  private static Setup setup(long seed, Path output) {
    return Setup.builder()
        .model("minilm-half")
        .task("larger-number")
        .sizes(new SplitSizes(48, 32, 32))
        .lora(null)
        .adapter(AdapterConfig.of(8, AdapterConfig.DEFAULT.nonLinearity()))
        .modules(List.of("ia3"))
        .epochs(1)
        .threads(1)
        .seed(seed)
        .output(output)
        .build();
  }

  private static SearchOutcome search(long seed, Path output, ProgressListener progress) {
    SearchSettings settings =
        SearchSettings.builder()
            .strategy(Strategy.byName("signal-to-noise"))
            .rounds(2)
            .roundExamples(32)
            .build();
    return PrunePeft.search(setup(seed, output), settings, progress);
  }

  @Test
  void whatIsRegisteredTakesPartInASearch() {
    Path run = temporary.resolve("own");
    SearchOutcome outcome = search(1, run, ProgressListener.NONE);
    assertEquals(List.of("signal-to-noise"), outcome.pruning().strategy().criteria());
    var removed =
        outcome.pruning().rounds().stream().flatMap(round -> round.removals().stream()).toList();
    var types =
        removed.stream().map(removal -> removal.module().type()).collect(Collectors.toSet());
    outcome.pruning().kept().forEach(module -> types.add(module.type()));
    assertEquals(Set.of("adapter", "ia3"), types);
    assertTrue(
        outcome.pruning().rounds().stream()
            .flatMap(round -> round.readings().stream())
            .anyMatch(reading -> reading.type().equals("ia3") && reading.spread() > 0));
    try (TrainedModel model = TrainedModel.load(run)) {
      assertEquals(
          outcome.retrained().test().loss(), model.evaluate(model.dataset().test()).loss());
    }
  }

  @Test
  void aRegisteredCriterionIsAmongThoseThatAWarmUpChoosesFrom() {
    List<String> candidates = List.of("signal-to-noise", "gradient");
    SearchSettings settings =
        SearchSettings.builder()
            .warmUpCriteria(candidates)
            .warmUp(WarmUpSettings.DEFAULT.withTurns(1))
            .warmUpExamples(48)
            // So many that the training learns something: one that does not has no vote.
            .warmUpEpochs(15)
            .rounds(1)
            .roundExamples(32)
            .build();
    SearchOutcome outcome = PrunePeft.search(setup(1, null), settings, ProgressListener.NONE);
    Strategy strategy = outcome.pruning().strategy();
    assertEquals(Set.copyOf(candidates), Set.copyOf(strategy.criteria()));
    var tally = strategy.warmUp().orElseThrow().tallies().get("signal-to-noise");
    assertTrue(tally.values().stream().anyMatch(removed -> removed > 0), tally.toString());
    assertTrue(
        strategy.assignment().values().stream().anyMatch(list -> list.contains("signal-to-noise")));
  }

  @Test
  void twoSearchesAtOnceGiveWhatEachGivesAlone() throws Exception {
    var first = CompletableFuture.supplyAsync(() -> search(2, null, ProgressListener.NONE));
    var second = CompletableFuture.supplyAsync(() -> search(3, null, ProgressListener.NONE));
    SearchOutcome two = first.get();
    SearchOutcome three = second.get();
    for (SearchOutcome together : List.of(two, three)) {
      SearchOutcome alone = search(together == two ? 2 : 3, null, ProgressListener.NONE);
      assertEquals(alone.pruning().kept(), together.pruning().kept());
      assertEquals(alone.pruning().rounds(), together.pruning().rounds());
      assertEquals(alone.retrained().test().loss(), together.retrained().test().loss());
    }
  }

  @Test
  void aSearchIsCancelledWhileAnotherGoesOn() throws Exception {
    var whole = CompletableFuture.supplyAsync(() -> search(2, null, ProgressListener.NONE));
    ProgressListener cancelling =
        new ProgressListener() {
          @Override
          public boolean cancelled() {
            return true;
          }
        };
    var cancelled = CompletableFuture.supplyAsync(() -> search(3, null, cancelling));
    var e = assertThrows(ExecutionException.class, cancelled::get);
    assertTrue(e.getCause() instanceof CancellationException, e.toString());
    assertTrue(!whole.get().pruning().kept().isEmpty());
  }
}
