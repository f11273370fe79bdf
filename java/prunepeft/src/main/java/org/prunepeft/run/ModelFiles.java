package org.prunepeft.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.checkpoint.WritingFiles;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
import org.prunepeft.settings.Setup;

/** The base model of a run: where it is, and whether it is the one that the run was made with. */
public final class ModelFiles {
  /** The member of a run's {@code config.json} that lists what they hold. */
  static final String MEMBER = Manifest.MODEL_FILES;

  /**
   * The member of a run's {@code config.json} that says that the list has a decoder's {@code
   * generation_config.json} and chat templates too, where they are there. Earlier versions left
   * these out.
   */
  static final String OF_WRITING = "model_files_of_writing";

  /** The member of a run's {@code config.json} with the model's directory, absolute. */
  public static final String DIRECTORY = "model_directory";

  private ModelFiles() {}

  /**
   * Puts into a configuration what its readers need to find the model and to know it.
   *
   * @param files of the model as it was loaded
   */
  public static void put(Map<String, Object> config, String model, List<FileChecksum> files) {
    config.put(DIRECTORY, Models.directory(model).map(Path::toString).orElse(null));
    config.put(MEMBER, files);
    config.put(OF_WRITING, true);
  }

  /**
   * {@return what a model's files hold now; none of a program's own, which has no files}
   *
   * @throws UncheckedIOException if one can't be read
   */
  public static List<FileChecksum> of(Models.KnownModel model) {
    try (Pretrained parts = model.loader().open()) {
      return parts.files();
    } catch (UnsupportedOperationException e) {
      return List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /** Puts the same into another object. */
  public static void copy(Map<String, Object> config, Map<String, Object> to) {
    if (config.containsKey(MEMBER)) {
      to.put(DIRECTORY, config.get(DIRECTORY));
      to.put(MEMBER, config.get(MEMBER));
      if (config.containsKey(OF_WRITING)) {
        to.put(OF_WRITING, config.get(OF_WRITING));
      }
    }
  }

  /**
   * {@return the members of a setup that was read as JSON, with another model}
   *
   * @param model its name or directory
   */
  public static Map<String, Object> withModel(Object setup, String model) {
    Map<String, Object> members = new LinkedHashMap<>();
    ((Map<?, ?>) setup).forEach((name, value) -> members.put(name.toString(), value));
    members.put("model", model);
    return members;
  }

  /**
   * {@return how a run was set up, with its model where that is now}
   *
   * @param file of the run that says it
   * @param model its name or directory; null: where the run found it
   */
  public static Setup setup(RunDirectory run, String file, String model) {
    Setup setup = run.readJson(file, "setup", Setup.class);
    if (file.equals(RunFiles.CONFIG)) {
      // Not compared with the checksums: those of a run that was changed are to be renewed.
      String chosen = RunFiles.CONFIGURATION;
      setup = setup.sizedBy(run.readJson(chosen), run.file(chosen).toString());
    }
    if (model != null) {
      return setup.withModel(model);
    }
    return Optional.ofNullable(run.readJson(file).get(DIRECTORY))
        .map(directory -> path(run, file, directory.toString()))
        .filter(Files::isDirectory)
        .map(Path::toString)
        .map(setup::withModel)
        .orElse(setup);
  }

  private static Path path(RunDirectory run, String file, String directory) {
    try {
      return Path.of(directory);
    } catch (InvalidPathException e) {
      throw new RunDirectoryException(
          "%s, %s: %s; name the model's directory with --model"
              .formatted(run.file(file), DIRECTORY, e.getMessage()),
          e);
    }
  }

  /**
   * {@return the model's name or directory where the run found it, by a file that may have been
   * changed}
   *
   * @param file of the run
   * @param config what it says
   */
  public static String model(RunDirectory run, String file, Map<String, Object> config) {
    return Optional.ofNullable(config.get(DIRECTORY))
        .map(directory -> path(run, file, directory.toString()))
        .filter(Files::isDirectory)
        .map(Path::toString)
        .orElseGet(
            () ->
                config.get("setup") instanceof Map<?, ?> setup
                        && setup.get("model") instanceof String model
                    ? model
                    : Setup.DEFAULT.model());
  }

  /**
   * {@return a run's model}
   *
   * @param file of the run that says where the run found it
   * @param model its name or directory now
   * @throws RunDirectoryException if it is where the run found it, and this directory is not there
   *     any more; names it and the remedy
   * @throws IllegalArgumentException if it is another and not known
   */
  public static Models.KnownModel known(RunDirectory run, String file, String model) {
    try {
      return Models.byName(model);
    } catch (IllegalArgumentException e) {
      Map<String, Object> config = RunDirectory.parse(run.file(file));
      Object directory = config.get(DIRECTORY);
      if (directory == null || !model.equals(model(run, file, config))) {
        throw e;
      }
      throw new RunDirectoryException(
          "the model directory %s of the run %s is not there; name the model's directory with --model DIR"
              .formatted(directory, run.path()),
          e);
    }
  }

  /** The same of a run's own configuration. */
  public static Setup setup(RunDirectory run, String model) {
    return setup(run, RunFiles.CONFIG, model);
  }

  /**
   * Checks that a model is the one that a run was made with.
   *
   * @param files of the model as it was loaded
   * @throws RunDirectoryException if it is another; names the file and both checksums
   */
  public static void require(RunDirectory run, List<FileChecksum> files) {
    requireNone(run, changes(run, RunFiles.CONFIG, files));
  }

  /**
   * The same of differences that were found.
   *
   * @param changes of {@link #changes}
   */
  public static void requireNone(RunDirectory run, List<String> changes) {
    if (!changes.isEmpty()) {
      throw new RunDirectoryException(
          "%s; name the directory of the model that the run was made with (--model), or, if this one is meant, take it with 'prunepeft seal %s --model MODEL'"
              .formatted(String.join("; ", changes), run.path()));
    }
  }

  /**
   * Those that are read, whose names differ whatever folder they are in: an export may have names
   * alone.
   *
   * @param config of the run
   */
  private static Map<Path, FileChecksum> byName(
      List<FileChecksum> files, Map<String, Object> config) {
    boolean writes = writes(config);
    boolean templates = !keepsTemplate(config);
    return files.stream()
        .filter(one -> !WritingFiles.isUnread(one.file()))
        .filter(one -> writes || !WritingFiles.isOne(one.file()))
        .filter(one -> templates || !WritingFiles.isTemplate(one.file()))
        .collect(Collectors.toMap(RunData::name, Function.identity(), (a, b) -> a));
  }

  /** Whether a run, or an export, is a language model, or does not say. */
  private static boolean writes(Map<String, Object> config) {
    Object problem = config.get(Schema.PROBLEM_TYPE);
    return problem == null || problem.equals(TaskKind.LANGUAGE_MODELING.problemType());
  }

  /** Whether a run has a chat template of its own, by which it writes whatever its model has. */
  private static boolean keepsTemplate(Map<String, Object> config) {
    return config.get("setup") instanceof Map<?, ?> setup
        && setup.get("files") instanceof Map<?, ?> files
        && files.get("chat") != null;
  }

  /**
   * {@return how a model differs from that of a run, a line each; none where that is not known.
   * Files that nothing reads do not count, nor for a classification or a regression those that
   * decide what a language model writes, nor for a run that keeps a chat template its model's. A
   * chat template that came later is no difference: who writes a conversation is told of it}
   *
   * @param file of the run that says what its model held
   */
  public static List<String> changes(RunDirectory run, String file, List<FileChecksum> files) {
    return changes(run, file, run.readJson(file), files);
  }

  /**
   * {@return the same by a file that may have been changed}
   *
   * @param config what it says
   */
  public static List<String> changes(
      RunDirectory run, String file, Map<String, Object> config, List<FileChecksum> files) {
    return changes(run, file, config, files, true);
  }

  /**
   * {@return the same of the model that another run's configuration lists} Where one of the two is
   * of a version that left out those that decide what a language model writes, these do not count.
   *
   * @param other that configuration, which has the list
   */
  public static List<String> changes(RunDirectory run, RunConfig other) {
    return changes(
        run,
        RunFiles.CONFIG,
        run.readJson(RunFiles.CONFIG),
        other.files(MEMBER),
        listsAll(other.members()));
  }

  private static boolean listsAll(Map<String, Object> config) {
    return Boolean.TRUE.equals(config.get(OF_WRITING));
  }

  /**
   * Compares them.
   *
   * @param all whether the files have those that decide what a language model writes, where they
   *     are there
   */
  private static List<String> changes(
      RunDirectory run,
      String file,
      Map<String, Object> config,
      List<FileChecksum> files,
      boolean all) {
    if (!config.containsKey(MEMBER)) {
      return List.of();
    }
    List<FileChecksum> its =
        Arrays.asList(RunDirectory.member(run.file(file), config, MEMBER, FileChecksum[].class));
    Map<Path, FileChecksum> then = byName(its, config);
    Map<Path, FileChecksum> now = byName(files, config);
    List<String> changes = new ArrayList<>();
    then.forEach(
        (name, earlier) -> {
          FileChecksum later = now.get(name);
          if (later == null && !all && WritingFiles.isOne(earlier.file())) {
            return;
          }
          if (later == null) {
            changes.add(
                "the model has no %s, of which the run %s read %s"
                    .formatted(name, run.path(), earlier.content()));
          } else if (!later.holdsSame(earlier)) {
            changes.add(RunData.difference(run, earlier, later));
          }
        });
    boolean listed = listsAll(config);
    now.forEach(
        (name, later) -> {
          if (!then.containsKey(name)
              && !WritingFiles.isTemplate(name)
              && (listed || !WritingFiles.isOne(name))) {
            changes.add(
                "%s was not there when the run %s was made".formatted(later.file(), run.path()));
          }
        });
    return changes;
  }
}
