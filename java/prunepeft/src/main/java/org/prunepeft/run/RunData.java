package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
  public static final String MEMBER = RunFiles.DATA;

  private RunData() {}

  /**
   * What a task's files hold now.
   *
   * @throws DataException if one can't be read
   */
  public static List<FileChecksum> of(Task task) {
    return task.files().stream().map(RunData::checksum).toList();
  }

  private static FileChecksum checksum(Path file) {
    try {
      return FileChecksum.of(file);
    } catch (IOException e) {
      throw new DataException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  /**
   * Checks that files hold what they held before a task was loaded from them.
   *
   * @param before what they held then
   * @throws DataException if one does not, or can't be read; names it and the remedy
   */
  static void requireUnchanged(List<FileChecksum> before) {
    for (FileChecksum earlier : before) {
      FileChecksum now = checksum(earlier.file());
      if (!now.holdsSame(earlier)) {
        throw new DataException(
            "%s changed while it was read: it had %s, and has %s; run again once it no longer changes"
                .formatted(now.file(), earlier.content(), now.content()));
      }
    }
  }

  /**
   * Names the files of a task that hold something else than when a run read them. Where a file is
   * at another path now, it is known by its name, of several by its place among them. Files that
   * one of the two lacks are passed over.
   *
   * @return a line each, for the user; none if all is as it was
   * @throws DataException if a file can't be read
   */
  public static List<String> changes(RunDirectory run, Task task) {
    return RunConfig.of(run).has(MEMBER) ? changes(run, RunData.of(task)) : List.of();
  }

  /**
   * Names the files that hold something else than when a run read them, as that does.
   *
   * @param now what they hold, or what another run read
   * @return a line each, for the user; none if all is as it was
   */
  public static List<String> changes(RunDirectory run, List<FileChecksum> now) {
    return differences(run, RunConfig.of(run).files(MEMBER), now);
  }

  static List<String> differences(
      RunDirectory run, List<FileChecksum> then, List<FileChecksum> now) {
    Map<Path, FileChecksum> inPlace =
        now.stream()
            .collect(Collectors.toMap(FileChecksum::file, Function.identity(), (a, b) -> a));
    Set<Path> before = then.stream().map(FileChecksum::file).collect(Collectors.toSet());
    Map<Path, List<FileChecksum>> movedTo = byName(now, file -> !before.contains(file));
    Map<FileChecksum, FileChecksum> later = new HashMap<>();
    byName(then, file -> !inPlace.containsKey(file))
        .forEach((name, from) -> later.putAll(moved(from, movedTo.getOrDefault(name, List.of()))));
    then.stream()
        .filter(earlier -> inPlace.containsKey(earlier.file()))
        .forEach(earlier -> later.put(earlier, inPlace.get(earlier.file())));
    return then.stream()
        .filter(earlier -> later.containsKey(earlier) && !later.get(earlier).holdsSame(earlier))
        .map(earlier -> difference(run, earlier, later.get(earlier)))
        .toList();
  }

  private static Map<Path, List<FileChecksum>> byName(
      List<FileChecksum> files, Predicate<Path> which) {
    return files.stream()
        .filter(file -> which.test(file.file()))
        .distinct()
        .collect(Collectors.groupingBy(RunData::name));
  }

  /** {@return by what a file is known that may have moved; of a root, which has no name, itself} */
  static Path name(FileChecksum file) {
    return Objects.requireNonNullElse(file.file().getFileName(), file.file());
  }

  /**
   * Where files of one name are now: by their order. If there are not as many, those that hold the
   * same come first, and what one side has more is passed over.
   */
  private static Map<FileChecksum, FileChecksum> moved(
      List<FileChecksum> from, List<FileChecksum> to) {
    List<FileChecksum> earlier = new ArrayList<>(from);
    List<FileChecksum> later = new ArrayList<>(to);
    Map<FileChecksum, FileChecksum> found = new HashMap<>();
    if (from.size() != to.size()) {
      earlier.removeIf(
          one -> {
            Optional<FileChecksum> same = later.stream().filter(one::holdsSame).findFirst();
            same.ifPresent(later::remove);
            return same.isPresent();
          });
    }
    for (int i = 0; i < Math.min(earlier.size(), later.size()); i++) {
      found.put(earlier.get(i), later.get(i));
    }
    return found;
  }

  static String difference(RunDirectory run, FileChecksum earlier, FileChecksum later) {
    return "%s is not what the run %s read: it has %s, and had %s"
        .formatted(later.file(), run.path(), later.content(), earlier.content());
  }
}
