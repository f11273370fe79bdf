package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.ModuleSettings;
import org.prunepeft.report.Environment;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Reason;

/**
 * Runs whose results are put together, while they are made: those that were complete before they
 * were resumed are to be what the others become, but for the seed or the budget.
 */
public final class RunsAlike implements AutoCloseable {
  /** What a measured search has from that of a larger budget. */
  private static final String SUPERNET = "search.measured.supernet";

  /** In what they differ. */
  public enum Kind {
    /** A language model's rows, and so its steps, go by the texts that a seed draws. */
    SEED(Set.of("setup.seed", "setup.lora.adaLora.totalStep")),
    /** A search goes on from what a larger budget kept. */
    BUDGET(
        Set.of(
            "budget",
            "selection.budget",
            "search.keep",
            "search.budget",
            "search.start",
            SUPERNET));

    private final Set<String> members;

    Kind(Set<String> members) {
      this.members = members;
    }

    private Set<String> apart(RunConfig one, RunConfig other) {
      Set<String> apart = new HashSet<>(members);
      // Compared by what they hold.
      apart.add(RunData.MEMBER);
      if (this == BUDGET && (strategy(one) == null || strategy(other) == null)) {
        // One found it in its warm-up, and the other took it.
        apart.add("search.strategy");
      }
      if (this == BUDGET && isAllLinear(one) && isAllLinear(other)) {
        apart.addAll(BY_BUDGET);
      }
      return apart;
    }

    private static Object strategy(RunConfig config) {
      return config.get("search") instanceof Map<?, ?> search ? search.get("strategy") : null;
    }

    private static boolean isAllLinear(RunConfig config) {
      return config.get("selection") instanceof Map<?, ?> selection
          && ModuleChoice.Kind.ALL_LINEAR.toString().equals(selection.get("kind"));
    }
  }

  /** What goes by the budget in LoRA on all linear layers. */
  private static final Set<String> BY_BUDGET = Set.of("setup.lora.rank", "setup.lora.alpha");

  /** What a search of another budget than the largest has from that of a larger one. */
  private static final Set<String> GONE_ON_WITH =
      Set.of("search.start", "search.strategy", SUPERNET);

  /** Members of a setup that a run fills in when it knows its model, its data or its modules. */
  private static final Set<String> FILLED_IN =
      Set.of(
          "setup.lora",
          "setup.adapter",
          "setup.pairEncoding",
          // Of plain LoRA on all linear layers none is left.
          "setup.modules",
          "setup.moduleSettings",
          "setup.quantization");

  /** Names of directories of runs of a seed or a budget: seed-3, keep-0.25, budget-100000. */
  private static final Pattern NAME = Pattern.compile("seed--?[0-9]+|(keep|budget)-[0-9.]+");

  /** Those of this process, by the directory of each of their runs. */
  private static final Map<Path, RunsAlike> BEGUN = new ConcurrentHashMap<>();

  private final Kind kind;

  /** Absolute. */
  private final List<Path> runs;

  private RunsAlike(Kind kind, List<Path> runs) {
    this.kind = kind;
    this.runs = runs;
  }

  /**
   * Says which runs are put together, until it is closed.
   *
   * @param directories of the runs, made or not; none: nothing is written
   */
  public static RunsAlike begin(Kind kind, List<Path> directories) {
    RunsAlike alike = new RunsAlike(kind, directories.stream().map(Path::toAbsolutePath).toList());
    alike.runs.forEach(run -> BEGUN.put(run, alike));
    return alike;
  }

  @Override
  public void close() {
    BEGUN.keySet().removeAll(runs);
  }

  /**
   * Checks that a directory has no runs of seeds or budgets beside those that are asked for, which
   * nobody would miss in what these give together.
   *
   * @param directory may be absent
   * @param runs in it
   * @throws UnresumableRunException if it has; names them
   */
  static void requireNoOthers(Path directory, List<Path> runs) {
    if (!Files.isDirectory(directory)) {
      return;
    }
    Set<Path> known = runs.stream().map(Path::getFileName).collect(Collectors.toSet());
    try (var inside = Files.list(directory)) {
      List<String> others =
          inside
              .filter(one -> NAME.matcher(one.getFileName().toString()).matches())
              .filter(one -> !known.contains(one.getFileName()))
              .filter(one -> Files.isDirectory(one, LinkOption.NOFOLLOW_LINKS))
              .map(one -> one.getFileName().toString())
              .sorted()
              .toList();
      if (!others.isEmpty()) {
        throw new UnresumableRunException(
            "%s has runs of seeds or budgets that are not asked for: %s; ask for these too, in its %s, or move their directories elsewhere, and resume"
                .formatted(directory, String.join(", ", others), RunFiles.OPTIONS));
      }
    } catch (IOException e) {
      throw new RunDirectoryException(
          "can't read %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
  }

  /**
   * Checks before anything is trained that the runs that are complete are alike, and have the data,
   * the model, the plugins and the settings that the others would have now; what these fill in
   * later, {@link #require} compares. Where all are complete, they are to be what setup and
   * settings ask for all the same, and of data and model that is read alone which is said to be
   * elsewhere. Says where versions differ.
   *
   * @param setup of the runs, but for the seed; its output is the directory that they are in
   * @param settings of the run that begins them; null: they have none
   * @throws UnresumableRunException if not, with a run, what differs and the remedy; or if the
   *     directory has runs of other seeds or budgets, which it names
   * @throws org.prunepeft.io.DamagedRunException if the configuration of one is not what it wrote
   * @throws RunDirectoryException if that has a member of another type than a run writes
   * @throws org.prunepeft.data.DataException if a file of the data can't be read
   * @throws java.io.UncheckedIOException if a file of the model can't be read
   */
  public void require(Setup setup, RunSettings settings, ProgressListener progress) {
    if (!runs.isEmpty()) {
      requireNoOthers(setup.output(), runs);
    }
    List<RunDirectory> complete = complete();
    if (complete.isEmpty()) {
      return;
    }
    RunDirectory first = complete.get(0);
    RunConfig others;
    if (complete.size() == runs.size()) {
      others = RunConfig.of(first);
    } else {
      others = now(setup, settings, true, true);
      complete.forEach(run -> require(run, others));
    }
    complete.subList(1, complete.size()).forEach(other -> require(first, other));
    if (complete.size() == runs.size()) {
      requireAsked(complete, setup, settings);
    }
    Set<Object> said = new HashSet<>();
    for (RunDirectory run : complete) {
      ConfigDifference.ofVersions(RunConfig.of(run), others)
          .filter(versions -> said.add(versions.before()))
          .ifPresent(
              versions ->
                  progress.message(
                      "the run in %s was made with %s: their last bits may be others"
                          .formatted(run.path(), versions.text("and others with"))));
    }
  }

  /**
   * Of a run that is not complete, as far as it is known before it has been prepared.
   *
   * @param model whether the model is read
   * @param data whether the data are
   */
  private static RunConfig now(Setup setup, RunSettings settings, boolean model, boolean data) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put(RunRecord.VERSIONS, Environment.versions());
    config.put(RunRecord.SETUP, setup.asRecorded());
    if (settings != null) {
      config.put(
          settings instanceof SearchSettings ? RunRecord.SEARCH : RunRecord.SELECTION, settings);
    }
    if (model) {
      ModelFiles.put(config, setup.model(), ModelFiles.of(Models.byName(setup.model())));
    }
    if (data) {
      config.put(RunData.MEMBER, RunData.of(setup.resolveTask()));
    }
    return RunConfig.now(setup.output(), config);
  }

  /** Checks that runs that are all complete are what a setup asks for: it may have been changed. */
  private void requireAsked(List<RunDirectory> complete, Setup setup, RunSettings settings) {
    List<RunConfig> configs = complete.stream().map(RunConfig::of).toList();
    Setup own = onModel(setup, settings, configs.get(0).encoder());
    RunConfig named = now(own, settings, false, false);
    RunConfig asked =
        now(
            own,
            settings,
            configs.stream().anyMatch(run -> !Objects.equals(run.setup("model"), setup.model())),
            configs.stream().anyMatch(run -> !ConfigDifference.namesSameData(run, named)));
    complete.forEach(
        run -> requireSame(run, asked, apart(run, asked, filledInLater(setup, settings))));
  }

  /** In what a run may differ from what is asked for. */
  private Set<String> apart(RunDirectory run, RunConfig asked, Set<String> filledIn) {
    Set<String> apart = kind.apart(RunConfig.of(run), asked);
    if (runs.indexOf(run.path()) == 0) {
      apart.removeAll(GONE_ON_WITH);
      apart.removeAll(BY_BUDGET);
    }
    apart.addAll(filledIn);
    return apart;
  }

  /** A setup as a run has it on its model. */
  private static Setup onModel(Setup setup, RunSettings settings, EncoderConfig model) {
    Setup own =
        settings instanceof ModuleChoice choice
            ? AllLinear.on(setup, choice, model)
            : setup.on(model);
    return own.withModuleSettings(ModuleSettings.of(own.furtherTypes()));
  }

  /** Members that a run fills in when it knows more than its model. */
  private static Set<String> filledInLater(Setup setup, RunSettings settings) {
    Set<String> members = new HashSet<>(Set.of("setup.lora.adaLora.totalStep"));
    if (setup.pairEncoding() == PairEncoding.AUTO) {
      members.add("setup.pairEncoding");
    }
    if (settings == null) {
      members.addAll(FILLED_IN);
    }
    if (settings instanceof ModuleChoice choice && choice.trainsEncoder()) {
      members.add("setup.quantization");
    }
    return members;
  }

  /**
   * Checks that a run that goes on is like those beside it that are complete, if it is one of
   * several.
   *
   * @param now the run's configuration
   * @throws UnresumableRunException if not; names the other run, what differs and the remedy
   */
  static void require(Path run, RunConfig now) {
    RunsAlike alike = BEGUN.get(run.toAbsolutePath());
    if (alike != null) {
      alike.complete().stream()
          .filter(other -> !other.path().equals(run.toAbsolutePath()))
          .forEach(
              other ->
                  alike.requireWithPlugins(other, now, alike.kind.apart(RunConfig.of(other), now)));
    }
  }

  private List<RunDirectory> complete() {
    return runs.stream()
        .filter(RunDirectory::isComplete)
        // A program's own runs may write something else.
        .filter(run -> Files.exists(run.resolve(RunFiles.CONFIG)))
        .map(run -> Manifest.open(run, Set.of(RunFiles.CONFIG)))
        .toList();
  }

  /** Of one that is complete and what the others would be, before they have been prepared. */
  void require(RunDirectory run, RunConfig now) {
    requireWithPlugins(run, now, apart(run, now, FILLED_IN));
  }

  private void requireWithPlugins(RunDirectory run, RunConfig now, Set<String> apart) {
    refuse(PluginJars.changes(run), remedy(run));
    requireSame(run, now, apart);
  }

  private static String remedy(RunDirectory run) {
    return "put back what it was made with, or delete the directory %s".formatted(run.path());
  }

  private void requireSame(RunDirectory run, RunConfig now, Set<String> apart) {
    String remedy = remedy(run);
    requireSameFiles(run, now, remedy);
    ConfigDifference.of(RunConfig.of(run), now, apart)
        .map(difference -> difference.ofSettings(run.path(), "and now it would be"))
        .ifPresent(difference -> refuse(List.of(difference), remedy));
  }

  /** Of two that are complete. */
  void require(RunDirectory first, RunDirectory other) {
    String remedy = "delete the directory of one of the two";
    refuse(PluginJars.differences(first, other), remedy);
    RunConfig its = RunConfig.of(first);
    RunConfig others = RunConfig.of(other);
    requireSameFiles(first, others, remedy);
    ConfigDifference.ofRuns(its, others, kind.apart(its, others))
        .map(
            difference ->
                difference.ofSettings(first.path(), "and that of %s".formatted(other.path())))
        .ifPresent(difference -> refuse(List.of(difference), remedy));
  }

  /** Of data and model, as far as the other lists them. */
  private void requireSameFiles(RunDirectory run, RunConfig now, String remedy) {
    refuse(RunData.changes(run, now.files(RunData.MEMBER)), remedy);
    if (now.has(ModelFiles.MEMBER)) {
      refuse(ModelFiles.changes(run, now), remedy);
    }
  }

  private void refuse(List<String> differences, String remedy) {
    if (!differences.isEmpty()) {
      throw new UnresumableRunException(
          "%s; runs that are put together differ in the %s alone: %s, and --resume makes that run anew"
              .formatted(
                  String.join("; ", differences), kind == Kind.SEED ? "seed" : "budget", remedy));
    }
  }
}
