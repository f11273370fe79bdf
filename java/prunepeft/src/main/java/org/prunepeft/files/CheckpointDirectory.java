package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.Uninterrupted;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.text.Reason;

/**
 * The checkpoints of a run that goes on, in its directory. Each has a number, its tensors in {@code
 * N.safetensors} and all else in {@code N.json}, which is written last, holds the CRC-32C of the
 * tensors' file and the SHA-256 of its other members, and makes the checkpoint valid: whenever the
 * process ends, the one before is still there. The two newest are kept, but for those that {@link
 * #newest} has passed over.
 */
public final class CheckpointDirectory {
  /** Its name in a run's directory. */
  public static final String NAME = "checkpoints";

  private static final int KEPT = 2;
  private static final String TENSORS = ".safetensors";
  private static final String VALUES = ".json";
  private static final String CHECKSUM = "tensors_crc32c";

  /** Names of files, and of what {@link AtomicFile} makes of them. */
  private static final Pattern OWN =
      Pattern.compile(
          "[0-9]{1,18}\\.(json|safetensors)|\\.[0-9]{1,18}\\.(json|safetensors)\\.[0-9]+\\.partial");

  private final RunDirectory run;
  private final Path directory;

  /** Newer than the one that was read, and not whole. */
  private final Set<Long> passedOver = new HashSet<>();

  /**
   * @param run that they are of; nothing is made yet
   */
  public CheckpointDirectory(RunDirectory run) {
    this.run = run;
    directory = run.file(NAME);
  }

  /**
   * A checkpoint that is read.
   *
   * @param values as {@link RunDirectory#readJson} gives them
   * @param damaged what was wrong with newer ones, a line each
   */
  public record Saved(SafeTensors tensors, Map<String, Object> values, List<String> damaged)
      implements AutoCloseable {
    @Override
    public void close() {
      try {
        tensors.close();
      } catch (IOException e) {
        throw new RunDirectoryException("can't close a checkpoint: " + e.getMessage(), e);
      }
    }
  }

  /**
   * Writes a checkpoint, and removes those before the last, and those that were passed over.
   *
   * @throws RunDirectoryException if it can't be written, or the run's directory is gone; those of
   *     before are then as they were
   */
  public void write(Map<String, SafeTensors.Source> tensors, Map<String, Object> values) {
    run.requireThere();
    OwnFiles.require(run.path(), directory);
    try {
      if (!Files.isDirectory(directory)) {
        Files.createDirectory(directory);
        AtomicFile.forceDirectory(run.path());
      }
      List<Long> numbers = numbers();
      long number = numbers.isEmpty() ? 1 : numbers.get(0) + 1;
      writeNew(number, tensors, values);
      int kept = 1;
      for (long earlier : numbers) {
        if (passedOver.contains(earlier) || ++kept > KEPT) {
          remove(earlier);
        }
      }
    } catch (IOException e) {
      run.requireThere();
      throw new RunDirectoryException(
          "can't write a checkpoint to %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
  }

  /** Whole, or nothing of it. */
  private void writeNew(
      long number, Map<String, SafeTensors.Source> tensors, Map<String, Object> values)
      throws IOException {
    try {
      SafeTensors.write(OwnFiles.require(run.path(), file(number, TENSORS)), tensors, Map.of());
      Map<String, Object> all = new LinkedHashMap<>();
      all.put(CHECKSUM, Crc32c.of(file(number, TENSORS)).hex());
      all.putAll(values);
      String name = name(number, VALUES);
      run.write(NAME + "/" + name, RunDirectory.format(name, Manifest.signed(name, all)));
    } catch (IOException | RunDirectoryException e) {
      // What another process has taken over is its own.
      run.requireThere();
      try {
        remove(number);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /**
   * Reads the newest checkpoint that is whole.
   *
   * @return to be closed by the caller; empty if there is none
   * @throws UnresumableRunException if there are some and none is whole
   * @throws RunDirectoryException if none is known to be whole, and one can't be read now
   */
  public Optional<Saved> newest() {
    List<String> damaged = new ArrayList<>();
    boolean unread = false;
    passedOver.clear();
    try {
      for (long number : numbers()) {
        try {
          Saved[] read = new Saved[1];
          Uninterrupted.run(() -> read[0] = read(number, damaged));
          return Optional.of(read[0]);
        } catch (IOException | RunDirectoryException e) {
          damaged.add(e.getMessage());
          passedOver.add(number);
          unread |= !isDamage(e);
        }
      }
    } catch (IOException e) {
      throw RunErrors.unread(directory, e);
    }
    if (!damaged.isEmpty()) {
      String reasons = String.join("; ", damaged);
      throw unread
          ? new RunDirectoryException(
              "no checkpoint in %s can be read now: %s".formatted(directory, reasons))
          : new UnresumableRunException(
              "no checkpoint in %s is whole; delete that directory to begin the run from its start: %s"
                  .formatted(directory, reasons));
    }
    return Optional.empty();
  }

  /** Whether what can't be read is not what was written; else the disk or permissions are why. */
  private static boolean isDamage(Exception e) {
    return e instanceof FormatException
        || e instanceof NoSuchFileException
        || e instanceof DamagedRunException;
  }

  private Saved read(long number, List<String> damaged) throws IOException {
    Path json = file(number, VALUES);
    Map<String, Object> values = RunDirectory.parse(json);
    Object said = values.remove(Manifest.OWN);
    if (said == null) {
      throw new FormatException(
          json + " has no checksum: it is damaged, or an earlier version of PrunePEFT wrote it");
    }
    if (!Manifest.isOwn(json.getFileName().toString(), values, said)) {
      throw new FormatException(
          json + " is damaged: its SHA-256 is not the one it was written with");
    }
    Path file = file(number, TENSORS);
    if (!Crc32c.of(file).hex().equals(values.get(CHECKSUM))) {
      throw new FormatException(
          file + " is damaged: its CRC-32C is not the one it was written with");
    }
    return new Saved(SafeTensors.open(file), values, damaged);
  }

  /**
   * {@return the number of the newest checkpoint, whole or not; 0: there is none}
   *
   * @throws RunDirectoryException if the directory can't be read
   */
  public long newestNumber() {
    try {
      List<Long> numbers = numbers();
      return numbers.isEmpty() ? 0 : numbers.get(0);
    } catch (IOException e) {
      throw RunErrors.unread(directory, e);
    }
  }

  /**
   * Removes what a run has left that was cut off when it was complete.
   *
   * @param run its directory
   */
  public static void deleteLeft(Path run) {
    new CheckpointDirectory(RunDirectory.open(run)).delete();
  }

  /**
   * Removes what a process that was killed has left of checkpoints that it was writing or removing.
   *
   * @throws IOException if a file can't be removed
   * @throws RunDirectoryException if they are elsewhere, where a link leads
   */
  void removePartial() throws IOException {
    OwnFiles.require(run.path(), directory);
    if (!Files.isDirectory(directory)) {
      return;
    }
    AtomicFile.removePartial(directory);
    for (long number : numbers(TENSORS)) {
      if (Files.notExists(file(number, VALUES))) {
        Files.deleteIfExists(file(number, TENSORS));
      }
    }
  }

  /**
   * Removes all of them, when the run is complete. What else someone has put there stays, and the
   * directory then.
   *
   * @throws RunDirectoryException if one can't be removed, or they are elsewhere, where a link
   *     leads
   */
  public void delete() {
    OwnFiles.require(run.path(), directory);
    try {
      if (!Files.isDirectory(directory)) {
        return;
      }
      try (var files = Files.list(directory)) {
        for (Path file : files.toList()) {
          if (isOwn(file)) {
            Files.deleteIfExists(file);
          }
        }
      }
      Files.deleteIfExists(directory);
    } catch (DirectoryNotEmptyException e) {
      // What is left is not the run's.
    } catch (IOException e) {
      throw new RunDirectoryException(
          "can't delete %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
  }

  /** Whether a file is of a checkpoint, or what a kill has left of one. */
  private static boolean isOwn(Path file) {
    return OWN.matcher(file.getFileName().toString()).matches()
        && !Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** Those that are written to their end, the newest first. */
  private List<Long> numbers() throws IOException {
    return numbers(VALUES);
  }

  /** Those of files with this ending, the newest first. */
  private List<Long> numbers(String ending) throws IOException {
    List<Long> numbers = new ArrayList<>();
    if (Files.isDirectory(directory)) {
      try (var files = Files.list(directory)) {
        for (Path file : files.toList()) {
          String name = file.getFileName().toString();
          if (name.matches("[0-9]{1,18}\\" + ending)) {
            numbers.add(Long.parseLong(name.substring(0, name.length() - ending.length())));
          }
        }
      }
    }
    numbers.sort(Comparator.reverseOrder());
    return numbers;
  }

  private void remove(long number) throws IOException {
    Files.deleteIfExists(file(number, VALUES));
    Files.deleteIfExists(file(number, TENSORS));
  }

  private Path file(long number, String ending) {
    return directory.resolve(name(number, ending));
  }

  private static String name(long number, String ending) {
    return String.format(Locale.ROOT, "%06d%s", number, ending);
  }
}
