package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Task;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.text.Reason;

/** The files that a run read its data from, and whether they hold the same now. */
public final class RunData {
  /** The member of a run's {@code config.json} that lists them. */
  public static final String MEMBER = "data";

  private RunData() {}

  /**
   * What a task's files hold now.
   *
   * @throws DataException if one can't be read
   */
  public static List<FileChecksum> of(Task task) {
    List<FileChecksum> checksums = new ArrayList<>();
    for (Path file : task.files()) {
      try {
        checksums.add(FileChecksum.of(file));
      } catch (IOException e) {
        throw new DataException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
      }
    }
    return checksums;
  }

  /**
   * Names the files of a task that hold something else than when a run read them. Where a file is
   * at another path now, it is known by its name and its place among the files of that name. Files
   * that one of the two lacks are passed over.
   *
   * @return a line each, for the user; none if all is as it was
   * @throws DataException if a file can't be read
   */
  public static List<String> changes(RunDirectory run, Task task) {
    if (!run.readJson(RunFiles.CONFIG).containsKey(MEMBER)) {
      return List.of();
    }
    List<FileChecksum> then = List.of(run.readJson(RunFiles.CONFIG, MEMBER, FileChecksum[].class));
    return differences(run, then, RunData.of(task));
  }

  private static List<String> differences(
      RunDirectory run, List<FileChecksum> then, List<FileChecksum> now) {
    Map<Path, FileChecksum> inPlace =
        now.stream()
            .collect(Collectors.toMap(FileChecksum::file, Function.identity(), (a, b) -> a));
    Set<Path> before = then.stream().map(FileChecksum::file).collect(Collectors.toSet());
    Map<Path, List<FileChecksum>> movedFrom = byName(then, file -> !inPlace.containsKey(file));
    Map<Path, List<FileChecksum>> movedTo = byName(now, file -> !before.contains(file));
    List<String> changes = new ArrayList<>();
    for (FileChecksum earlier : then) {
      FileChecksum later = inPlace.get(earlier.file());
      if (later == null) {
        Path name = earlier.file().getFileName();
        later =
            moved(earlier, movedFrom.get(name), movedTo.getOrDefault(name, List.of()))
                .orElse(earlier);
      }
      if (!later.holdsSame(earlier)) {
        changes.add(difference(run, earlier, later));
      }
    }
    return changes;
  }

  private static Map<Path, List<FileChecksum>> byName(
      List<FileChecksum> files, Predicate<Path> which) {
    return files.stream()
        .filter(file -> which.test(file.file()))
        .distinct()
        .collect(Collectors.groupingBy(file -> file.file().getFileName()));
  }

  /**
   * Where a file is now, of several of its name the one at its place; if there are not as many, one
   * with its content, or else the first.
   */
  private static Optional<FileChecksum> moved(
      FileChecksum earlier, List<FileChecksum> from, List<FileChecksum> to) {
    if (from.size() == to.size()) {
      return Optional.of(to.get(from.indexOf(earlier)));
    }
    return to.stream().filter(earlier::holdsSame).findFirst().or(() -> to.stream().findFirst());
  }

  static String difference(RunDirectory run, FileChecksum earlier, FileChecksum later) {
    return "%s is not what the run %s read: it has %s, and had %s"
        .formatted(later.file(), run.path(), later.content(), earlier.content());
  }
}
