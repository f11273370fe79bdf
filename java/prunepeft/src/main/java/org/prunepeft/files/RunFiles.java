package org.prunepeft.files;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;

/** The files of a run directory. */
public final class RunFiles {
  /** What was asked for. */
  public static final String CONFIG = "config.json";

  public static final String STRATEGY = "strategy.json";
  public static final String ROUNDS = "rounds.json";
  public static final String MEASURED = "measured.json";

  /** What another way to choose modules than pruning and measuring gave. */
  public static final String PEER = "peer.json";

  public static final String CONFIGURATION = "configuration.json";
  public static final String METRICS = "metrics.jsonl";

  /** What was predicted of each test example. */
  public static final String PREDICTIONS = "predictions.jsonl";

  /** What was measured; written last. */
  public static final String RESULT = "result.json";

  public static final String ADAPTER = "adapter.safetensors";
  public static final String HEAD = "head.safetensors";
  public static final String ENCODER = "encoder.safetensors";

  /** The trained supernet of a measured search, and the head that was trained with it. */
  public static final String SUPERNET = "supernet.safetensors";

  /** The options of the command, where there was one; written before anything else. */
  public static final String OPTIONS = "config.yaml";

  public static final String SUMMARY = "summary.md";

  /** Means and deviations over several seeds, in the directory above those of the runs. */
  public static final String SEEDS = "seeds.json";

  /** The results of several budgets, in the directory above those of the runs. */
  public static final String BUDGETS = "budgets.json";

  /** What the runs of several seeds or budgets gave together: one of the two is above them. */
  static final List<String> TOGETHER = List.of(SEEDS, BUDGETS);

  /** Says in {@link #CONFIGURATION} whether the encoder's own weights were trained. */
  public static final String FULL = "full_fine_tuning";

  /** When a run's settings were written first, in {@link #CONFIG}. */
  public static final String BEGAN = "began";

  /** All that a run may have written when it is complete, but {@link #RESULT}. */
  private static final List<String> BEFORE_RESULT =
      List.of(
          OPTIONS,
          CONFIG,
          STRATEGY,
          ROUNDS,
          SUPERNET,
          MEASURED,
          PEER,
          CONFIGURATION,
          METRICS,
          ADAPTER,
          HEAD,
          ENCODER,
          PREDICTIONS,
          SUMMARY);

  /** All that a run may have written beside its weights and {@link #RESULT}. */
  public static final List<String> DESCRIPTION =
      BEFORE_RESULT.stream().filter(name -> !name.endsWith(".safetensors")).toList();

  /**
   * Objects that are read where no {@link #RESULT} has their checksums: their last member is the
   * checksum of the others. Those of earlier versions have none, nor do those that someone wrote by
   * hand.
   */
  public static final Set<String> SIGNED = Set.of(CONFIG, CONFIGURATION, MEASURED, SEEDS, BUDGETS);

  /** The member of {@link #CONFIG} that lists the files of a run's data, with their checksums. */
  public static final String DATA = "data";

  /** The member of {@link #CONFIG} that lists the jars of plugins, likewise; absent: none. */
  public static final String PLUGINS = "plugins";

  /** Members of {@link #CONFIG} that are settings. */
  private static final List<String> SETTINGS =
      List.of("command", "versions", "setup", "search", "selection", "budget", "metrics");

  /** Characters of a setting's name with those of all that it is in. */
  private static final int LONGEST_SETTING = 1000;

  /** Where a run is says nothing of it. */
  private static final Set<String> PLACES = Set.of("setup.output", "setup.checkpoints.resume");

  private RunFiles() {}

  /** {@return the settings of a run by their names in {@link #CONFIG}, such as setup.seed} */
  public static Map<String, Object> settings(RunDirectory run) {
    Map<String, Object> config = run.readJson(CONFIG);
    Map<String, Object> settings = new LinkedHashMap<>();
    SETTINGS.stream()
        .filter(config::containsKey)
        .forEach(
            name -> {
              if (!flatten(name, config.get(name), settings)) {
                throw new RunDirectoryException(
                    "%s has a setting under %s whose name has more than %d characters; make the run anew"
                        .formatted(run.file(CONFIG), name, LONGEST_SETTING));
              }
            });
    settings.keySet().removeAll(PLACES);
    return settings;
  }

  /**
   * {@return when a run's settings were written first; empty: they do not say}
   *
   * @param config what {@link #CONFIG} says
   */
  public static Optional<Instant> began(Map<String, Object> config) {
    try {
      return Optional.ofNullable(config.get(BEGAN)).map(Object::toString).map(Instant::parse);
    } catch (DateTimeException e) {
      return Optional.empty();
    }
  }

  /** Whether all names are short enough. */
  private static boolean flatten(String name, Object value, Map<String, Object> into) {
    if (name.length() > LONGEST_SETTING) {
      return false;
    }
    if (value instanceof Map<?, ?> members) {
      return members.entrySet().stream()
          .allMatch(member -> flatten(name + "." + member.getKey(), member.getValue(), into));
    }
    into.put(name, value);
    return true;
  }

  /**
   * {@return the names of those files of a run that {@link #RESULT} has checksums of, or of those
   * above several that {@link #SEEDS} or {@link #BUDGETS} has}
   */
  public static List<String> beforeResult(RunDirectory run) {
    return BEFORE_RESULT.stream().filter(name -> Files.exists(run.file(name))).toList();
  }

  /**
   * {@return the files that a run read its data and its model from, as {@link #CONFIG} says; none
   * where that is not there or can't be read. Each has a name}
   */
  public static List<Path> sources(Path run) {
    Path file = run.resolve(CONFIG);
    try {
      Map<String, Object> config = RunDirectory.parse(file);
      return Stream.of(DATA, Manifest.MODEL_FILES)
          .filter(config::containsKey)
          .map(member -> RunDirectory.member(file, config, member, FileChecksum[].class))
          .flatMap(Stream::of)
          .map(FileChecksum::file)
          .filter(source -> source.getFileName() != null)
          .toList();
    } catch (RunDirectoryException e) {
      return List.of();
    }
  }

  /** {@return all files and directories that a run may write, there or not, and its mark} */
  static List<Path> all(Path run) {
    return Stream.concat(
            BEFORE_RESULT.stream(),
            Stream.of(RESULT, RunDirectory.INCOMPLETE, CheckpointDirectory.NAME))
        .map(run::resolve)
        .toList();
  }

  /** {@return those files that a run has written and that are there; none where there is no run} */
  public static List<Path> written(Path run) {
    return Stream.concat(BEFORE_RESULT.stream(), Stream.of(RESULT))
        .map(run::resolve)
        .filter(Files::isRegularFile)
        .toList();
  }

  /** Whether a run trained the encoder's own weights, which {@link #ENCODER} then holds. */
  public static boolean isFull(RunDirectory run) {
    return Boolean.TRUE.equals(run.readJson(CONFIGURATION).get(FULL));
  }
}
