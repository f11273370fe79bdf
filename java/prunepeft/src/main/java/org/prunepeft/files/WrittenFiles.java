package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;

/**
 * What the files of a run hold, by what this process has written, so that what becomes of one
 * before the run's end is not signed. Not for two threads at once.
 */
final class WrittenFiles {
  /** What a run that is resumed goes on with; all else it writes anew. */
  private static final Set<String> GONE_ON_WITH =
      Set.of(RunFiles.OPTIONS, RunFiles.CONFIG, RunFiles.METRICS);

  /** Of files that were written as a whole, or are as the run found them, by their names. */
  private final Map<String, FileChecksum> whole = new LinkedHashMap<>();

  /** Of files that lines were appended to, by their names, so that none is read again for it. */
  private final Map<String, Crc32c> appended = new HashMap<>();

  /** A file was written as a whole. */
  void wrote(String name, FileChecksum checksum) {
    appended.remove(name);
    whole.put(name, checksum);
  }

  /** A file was appended to. */
  void appended(String name, Crc32c sum) {
    whole.remove(name);
    appended.put(name, sum);
  }

  /**
   * {@return what a file that is appended to has, which is what was appended so far}
   *
   * @throws RunDirectoryException if it has another length
   */
  Crc32c sum(String name, Path file) throws IOException {
    boolean there = Files.exists(file);
    Crc32c sum = appended.get(name);
    if (sum == null) {
      return there ? Crc32c.of(file) : new Crc32c();
    }
    long size = there ? Files.size(file) : 0;
    if (size != sum.bytes()) {
      throw new RunDirectoryException(
          "%s %s, but its run has written %d: it was changed while the run went on; %s"
              .formatted(
                  file,
                  there ? "has %d bytes".formatted(size) : "is gone",
                  sum.bytes(),
                  remedy(name)));
    }
    return sum;
  }

  private static String remedy(String name) {
    return "%sresume the run (--resume), or make it anew"
        .formatted(GONE_ON_WITH.contains(name) ? "restore it from a copy and " : "");
  }

  /** {@return the names of all} */
  Set<String> names() {
    Set<String> names = new LinkedHashSet<>(whole.keySet());
    names.addAll(appended.keySet());
    return names;
  }

  /**
   * {@return what a file holds, which is what was written, as far as that is known}
   *
   * @throws RunDirectoryException if it holds something else
   */
  FileChecksum require(String name, Path file) throws IOException {
    FileChecksum then = whole.get(name);
    if (then != null && Files.notExists(file)) {
      throw new RunDirectoryException(
          "%s is gone, which had %s: it was deleted while the run went on; %s"
              .formatted(file, then.content(), remedy(name)));
    }
    Crc32c sum = appended.containsKey(name) ? sum(name, file) : null;
    FileChecksum now = FileChecksum.of(file);
    if (then != null && !now.holdsSame(then)) {
      throw new RunDirectoryException(
          "%s was changed while the run went on: it has %s, but was written with %s; %s"
              .formatted(file, now.content(), then.content(), remedy(name)));
    }
    String crc = sum == null ? null : Crc32c.of(file).hex();
    if (crc != null && !crc.equals(sum.hex())) {
      throw new RunDirectoryException(
          "%s was changed while the run went on: it has CRC-32C %s, but was written with %s; %s"
              .formatted(file, crc, sum.hex(), remedy(name)));
    }
    return now;
  }
}
