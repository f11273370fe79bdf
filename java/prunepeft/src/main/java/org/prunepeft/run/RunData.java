package org.prunepeft.run;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
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
   * Names the files of a task that hold something else than when a run read those of the same
   * names. Files that one of the two lacks are passed over.
   *
   * @return a line each, for the user; none if all is as it was
   * @throws DataException if a file can't be read
   */
  public static List<String> changes(RunDirectory run, Task task) {
    if (!run.readJson(RunFiles.CONFIG).containsKey(MEMBER)) {
      return List.of();
    }
    FileChecksum[] then = run.readJson(RunFiles.CONFIG, MEMBER, FileChecksum[].class);
    Map<Path, FileChecksum> now = byName(RunData.of(task));
    List<String> changes = new ArrayList<>();
    for (FileChecksum earlier : then) {
      FileChecksum later = now.get(earlier.file().getFileName());
      if (later != null && !later.holdsSame(earlier)) {
        changes.add(difference(run, earlier, later));
      }
    }
    return changes;
  }

  static Map<Path, FileChecksum> byName(List<FileChecksum> files) {
    return files.stream()
        .collect(
            Collectors.toMap(
                checksum -> checksum.file().getFileName(), Function.identity(), (a, b) -> a));
  }

  static String difference(RunDirectory run, FileChecksum earlier, FileChecksum later) {
    return "%s is not what the run %s read: it has %s, and had %s"
        .formatted(later.file(), run.path(), later.content(), earlier.content());
  }
}
