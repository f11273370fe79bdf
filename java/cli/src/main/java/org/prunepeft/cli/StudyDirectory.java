package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.RunOrigin;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunStatus;
import org.prunepeft.study.RateChoice;
import org.prunepeft.study.RunResult;
import org.prunepeft.study.StudyRun;
import org.prunepeft.text.Reason;
import org.prunepeft.text.ShellWords;

/**
 * How the runs of a study stand, by what is in its directory: {@code runs} and {@code tuning} have
 * run directories of the ordinary kind, {@code commands} says by which command each was begun,
 * {@code logs} what it printed.
 */
final class StudyDirectory {
  private static final String LOCK = ".lock";
  private static final String ALL_DIVERGED =
      "its training diverged at all learning rates that were tried; name lower ones";

  /** How far a run is. */
  enum State {
    /** Nothing is there. */
    ABSENT,
    /** It was begun by the same command and has not ended. */
    CUT_OFF,
    /** A process has it. */
    RUNNING,
    /** It tried a learning rate, by the same command, and its training diverged. */
    DIVERGED,
    /** It was made by another command, or can't go on. */
    OTHER,
    /** By the same command, but its files are not what it wrote. */
    DAMAGED,
    /** It can't be read now, or a newer version wrote it. */
    UNREADABLE,
    /** By the same command. */
    COMPLETE
  }

  /**
   * How far a run is.
   *
   * @param why it is {@link State#DAMAGED} or {@link State#UNREADABLE}; null: it is neither
   */
  record Standing(State state, RuntimeException why) {}

  /** By these a command names what it reads its data from. */
  private static final Set<String> DATA =
      Stream.concat(
              StudyFile.DATA_SET.stream(),
              Stream.of("--task", "--data", "--train-file", "--validation-file", "--test-file"))
          .collect(Collectors.toSet());

  private static final String MODEL = "--model";

  /** Bytes of a command line. */
  private static final int MOST = 1_000_000;

  private final Study study;
  private final StudyPlan plan;

  /** Of complete runs, by their names: they stay as they are. */
  private final Map<String, RunResult> results = new ConcurrentHashMap<>();

  /** What the same were made from. */
  private final Map<String, RunOrigin> origins = new ConcurrentHashMap<>();

  /** The first of those that read the same data, model or plugins, by that; guarded by this. */
  private final Map<List<String>, RunOrigin> firsts = new HashMap<>();

  /** Those that were compared with them, by their names; guarded by this. */
  private final Set<String> alike = new HashSet<>();

  StudyDirectory(Study study, StudyPlan plan) {
    this.study = study;
    this.plan = plan;
  }

  Path root() {
    return study.output();
  }

  Path log(PlannedRun run) {
    return root().resolve("logs").resolve(run.name() + ".txt");
  }

  private Path command(PlannedRun run) {
    return root().resolve("commands").resolve(run.name() + ".txt");
  }

  /** The words of a run's command, when all that it needs is complete; but for where it goes. */
  List<String> arguments(PlannedRun run) {
    return plan.arguments(run, rate(run));
  }

  /** A run's command, and those of the runs that it takes: of other modules it is another. */
  private String line(PlannedRun run) {
    List<String> words = new ArrayList<>(List.of("prunepeft"));
    words.addAll(arguments(run));
    StringBuilder text = new StringBuilder(ShellWords.line(words)).append('\n');
    plan.taken(run).forEach(its -> text.append("# takes a run of ").append(line(its)));
    return text.toString();
  }

  /** Its learning rate, when all that it needs is complete; null: the command's default. */
  String rate(PlannedRun run) {
    List<PlannedRun> tryouts = plan.tryouts(run);
    if (tryouts.isEmpty()) {
      List<String> rates = run.method().rates().candidates();
      return run.tried() != null ? run.tried() : rates.isEmpty() ? null : rates.get(0);
    }
    Map<String, RunResult> tried = new LinkedHashMap<>();
    tryouts.forEach(
        tryout -> tried.put(tryout.tried(), isComplete(tryout) ? result(tryout) : null));
    return RateChoice.of(tried, run.method().rates().metric());
  }

  /** Whether all that a run needs is there. */
  boolean isReady(PlannedRun run) {
    return plan.needs(run).stream().allMatch(this::isOver) && refusal(run) == null;
  }

  /**
   * Why no learning rate can be chosen for a run, though all that were tried are over: all
   * diverged, or its task has no such metric. Null: one can, or there is more to try.
   */
  String refusal(PlannedRun run) {
    List<PlannedRun> tryouts = plan.tryouts(run);
    if (tryouts.isEmpty() || !tryouts.stream().allMatch(this::isOver)) {
      return null;
    }
    if (tryouts.stream().noneMatch(this::isComplete)) {
      return ALL_DIVERGED;
    }
    try {
      rate(run);
      return null;
    } catch (IllegalArgumentException e) {
      return e.getMessage();
    }
  }

  /** Whether there is nothing more to make of a run: it is complete, or tried a rate in vain. */
  boolean isOver(PlannedRun run) {
    return isComplete(run) || isReady(run) && state(run) == State.DIVERGED;
  }

  boolean isComplete(PlannedRun run) {
    return results.containsKey(run.name()) || isReady(run) && state(run) == State.COMPLETE;
  }

  /** What a complete run gave. */
  RunResult result(PlannedRun run) {
    return results.computeIfAbsent(run.name(), name -> RunResult.read(run.directory(root())));
  }

  /** Of a run that is ready. */
  State state(PlannedRun run) {
    return standing(run).state;
  }

  /** The same, with the reason. */
  Standing standing(PlannedRun run) {
    try {
      return new Standing(found(run), null);
    } catch (DamagedRunException e) {
      return new Standing(State.DAMAGED, e);
    } catch (RunDirectoryException | UncheckedIOException e) {
      return new Standing(State.UNREADABLE, e);
    }
  }

  /** Reads a complete run. */
  private State found(PlannedRun run) {
    Path directory = run.directory(root());
    if (isBlank(directory)) {
      return State.ABSENT;
    }
    if (RunStatus.isRunning(directory)) {
      return State.RUNNING;
    }
    if (!line(run).equals(readIfThere(command(run)))) {
      return State.OTHER;
    }
    if (run.tried() != null && RunStatus.hasDiverged(directory)) {
      return State.DIVERGED;
    }
    if (RunStatus.of(directory) != RunStatus.COMPLETE) {
      return Files.exists(directory.resolve(RunStatus.OPTIONS)) ? State.CUT_OFF : State.OTHER;
    }
    result(run);
    return State.COMPLETE;
  }

  /**
   * Checks that tables have all runs that were made.
   *
   * @throws RunDirectoryException if one is damaged or can't be read; names the file
   * @throws UncheckedIOException if one can't be read
   */
  void requireUndamaged() {
    plan.runs().stream()
        .filter(this::isReady)
        .map(run -> standing(run).why)
        .filter(Objects::nonNull)
        .findFirst()
        .ifPresent(
            why -> {
              throw why;
            });
  }

  /**
   * Checks that those complete runs that are to read the same data, or to have the same model or
   * plugins, as their commands say it, have read files that held the same. Runs of versions that
   * kept no checksums are passed over. Only what was found complete since the last time is looked
   * at.
   *
   * @throws RunDirectoryException if two have not; names both, the file, both checksums and the
   *     remedy
   */
  synchronized void requireAlike() {
    for (PlannedRun run : plan.runs()) {
      if (results.containsKey(run.name()) && !alike.contains(run.name())) {
        RunOrigin origin = origin(run);
        List<String> words = arguments(run);
        if (origin.knowsData()) {
          RunOrigin other = firsts.computeIfAbsent(named(words, DATA), key -> origin);
          refuse(origin, other, other.dataChanges(origin), "data");
        }
        if (origin.knowsModel()) {
          RunOrigin other = firsts.computeIfAbsent(named(words, Set.of(MODEL)), key -> origin);
          refuse(origin, other, other.modelChanges(origin), "model");
        }
        Set<String> jars = Set.of(PluginOptions.PLUGINS);
        if (origin.knowsPlugins() && !named(words, jars).isEmpty()) {
          RunOrigin other = firsts.computeIfAbsent(named(words, jars), key -> origin);
          refuse(origin, other, other.pluginChanges(origin), "plugins");
        }
        alike.add(run.name());
      }
    }
  }

  /** Of a command line the options of these names, with their values. */
  private static List<String> named(List<String> words, Set<String> names) {
    return words.stream().filter(word -> names.contains(word.replaceFirst("=.*", ""))).toList();
  }

  private static void refuse(RunOrigin run, RunOrigin other, List<String> changes, String what) {
    if (!changes.isEmpty()) {
      throw new RunDirectoryException(
          "%s and %s can't be compared, for the %s changed between them: %s; delete or move the directory of each run that is not to count, which the same command makes anew, or give the study another 'output'"
              .formatted(other.directory(), run.directory(), what, String.join("; ", changes)));
    }
  }

  private RunOrigin origin(PlannedRun run) {
    return origins.computeIfAbsent(run.name(), name -> RunOrigin.read(run.directory(root())));
  }

  /**
   * {@return the versions in which the complete runs that are compared differ, in a line for the
   * user; empty: in none}
   */
  Optional<String> versions() {
    Map<String, Map<String, Integer>> found = new TreeMap<>();
    for (PlannedRun run : plan.compared()) {
      if (isComplete(run)) {
        origin(run)
            .versions()
            .forEach(
                (name, version) ->
                    found
                        .computeIfAbsent(name, key -> new TreeMap<>())
                        .merge(version, 1, Integer::sum));
      }
    }
    found.values().removeIf(versions -> versions.size() == 1);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(
        "The runs were not all made with the same versions, by which their last bits may differ: %s"
            .formatted(
                found.entrySet().stream()
                    .map(one -> one.getKey() + " " + counted(one.getValue()))
                    .collect(Collectors.joining("; "))));
  }

  private static String counted(Map<String, Integer> versions) {
    return versions.entrySet().stream()
        .map(one -> "%s (%d)".formatted(one.getKey(), one.getValue()))
        .collect(Collectors.joining(", "));
  }

  /** Whether nothing is there but the mark of a process that is gone. */
  private static boolean isBlank(Path directory) {
    if (!Files.isDirectory(directory)) {
      return true;
    }
    if (RunStatus.isRunning(directory)) {
      return false;
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(file -> file.getFileName().toString())
          .allMatch(name -> name.startsWith(".") || name.equals(RunStatus.INCOMPLETE));
    } catch (IOException e) {
      throw unread(directory, e);
    }
  }

  /**
   * A run begins: says by which command.
   *
   * @throws RunDirectoryException if its files lie elsewhere, by a symbolic link
   */
  void begins(PlannedRun run) {
    OwnFiles.require(root(), command(run));
    OwnFiles.require(root(), log(run));
    try {
      Files.createDirectories(command(run).getParent());
      Files.createDirectories(log(run).getParent());
      Outputs.write(command(run), writer -> writer.write(line(run)));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /**
   * Moves what is in a run's place, and was made in another way or can't go on, out of it.
   *
   * @return where it is now
   */
  Path setAside(PlannedRun run) {
    Path earlier = OwnFiles.require(root(), root().resolve("earlier"));
    try {
      Files.createDirectories(earlier);
      int number = 1;
      Path place = earlier.resolve(run.name() + "-" + number);
      while (Files.exists(place)) {
        place = earlier.resolve(run.name() + "-" + ++number);
      }
      return Files.move(run.directory(root()), place);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "can't move %s: %s".formatted(run.directory(root()), Reason.of(earlier, e)), e);
    }
  }

  /** The complete runs that are compared, in the order of tables. */
  List<StudyRun> collected() {
    return plan.compared().stream()
        .filter(this::isComplete)
        .map(
            run ->
                new StudyRun(
                    run.taskAndModel(), run.arm(), rate(run), run.seed(), run.draw(), result(run)))
        .toList();
  }

  /** Keeps others from the study until it is closed. */
  FileChannel lock() {
    try {
      Files.createDirectories(root());
      FileChannel channel =
          FileChannel.open(
              OwnFiles.require(root(), root().resolve(LOCK)),
              StandardOpenOption.CREATE,
              StandardOpenOption.WRITE);
      try {
        FileLock lock = channel.tryLock();
        if (lock != null) {
          return channel;
        }
      } catch (OverlappingFileLockException e) {
        // This process has it.
      }
      channel.close();
      throw new RunDirectoryException(
          "another process goes on with the study in %s; end that first".formatted(root()));
    } catch (IOException e) {
      throw new UncheckedIOException(
          "can't write in %s: %s".formatted(root(), Reason.of(root(), e)), e);
    }
  }

  private static String readIfThere(Path file) {
    try {
      return Files.exists(file) ? BoundedFile.text(BoundedFile.regular(file), MOST) : null;
    } catch (IOException e) {
      throw unread(file, e);
    }
  }

  private static UncheckedIOException unread(Path file, IOException e) {
    return new UncheckedIOException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
  }
}
