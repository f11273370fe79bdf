package org.prunepeft.files;

import static org.prunepeft.files.RunErrors.unwritten;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.NewDirectories;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Reason;

/**
 * The directory that a run leaves behind: what was asked for, what was found and how it went.
 *
 * <p>From its creation until {@link #complete} the directory has a file {@value #INCOMPLETE}, so
 * that what a crash, a full disk or an interruption leaves is never taken for a result. Every file
 * except those of {@link #appendJsonLine} is there as a whole or not at all.
 *
 * <p>JSON: records by their components, an empty {@code Optional} as null, enumerations by {@code
 * toString}, paths as text, NaN and infinities as the strings {@code "NaN"}, {@code "Infinity"} and
 * {@code "-Infinity"}. Text is UTF-8 with lines ended by a line feed.
 *
 * <p>File names are relative to the directory and may have parents, with {@code /}. May be used by
 * several threads at once.
 */
public final class RunDirectory {
  /** The file that marks a run that isn't finished; its text says since when, or why. */
  public static final String INCOMPLETE = "INCOMPLETE";

  /**
   * What the members of {@value RunFiles#CONFIG} and {@value RunFiles#RESULT} mean, as a number. It
   * grows when an older reader would take them for something else; files of before there was a
   * number are of the first format.
   */
  public static final int FORMAT = 1;

  /** The {@link #state} of a run whose process goes on. */
  public static final String RUNNING = "running";

  /** Begins the reason of a run that failed since its numbers are none any more. */
  public static final String DIVERGED = "diverged: ";

  private static final String FAILED = "failed: ";
  private static final String FORMAT_MEMBER = "format";

  private enum State {
    RUNNING,
    FAILED,
    /** Another process has taken it over. */
    LOST,
    COMPLETE
  }

  private final Path directory;

  /** Null: it was there before, with what its run has written. */
  private final NewDirectories made;

  /** The text of the mark while the run goes on; null: it is not this process's. */
  private final String mark;

  private State state;

  private RunDirectory(Path directory, NewDirectories made, String mark, State state) {
    this.directory = directory;
    this.made = made;
    this.mark = mark;
    this.state = state;
  }

  /** Of a run that is complete, or is looked at. */
  private static RunDirectory read(Path directory) {
    return new RunDirectory(directory, null, null, State.COMPLETE);
  }

  private static RunDirectory running(Path directory, NewDirectories made, String mark) {
    RunDirectory run = new RunDirectory(directory, made, mark, State.RUNNING);
    Renewal.of(run);
    return run;
  }

  /**
   * Makes a directory for a new run, with its parents.
   *
   * @param directory absent or empty, but for the mark of a process that is gone
   * @return open for writing, incomplete
   * @throws RunDirectoryException if it has files already, or can't be made or written
   */
  public static RunDirectory create(Path directory) {
    NewDirectories made = new NewDirectories(directory);
    requireDirectory(directory, made.nearest());
    String mark = RunningProcess.describe();
    try {
      made.make();
      requireEmpty(directory);
      AtomicFile.write(directory.resolve(INCOMPLETE), mark.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new RunDirectoryException(
          "can't make the directory %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
    return running(directory, made, mark);
  }

  /**
   * Opens the directory of a run that was cut off, to go on with it; makes that of a run that has
   * not begun. What was being written when it was cut off is removed.
   *
   * @param complete whether that of a complete run is opened too, and is incomplete then
   * @return open for writing, incomplete
   * @throws RunDirectoryException if the run is complete, or a process that goes on has it, or one
   *     of another machine that has renewed its mark within ten minutes, or the directory can't be
   *     made or written
   */
  public static RunDirectory resume(Path directory, boolean complete) {
    if (isAbsentOrEmpty(directory)) {
      return create(directory);
    }
    Path marker = directory.resolve(INCOMPLETE);
    String mark = RunningProcess.describe();
    try {
      if (!Files.exists(marker) && !complete) {
        throw new RunDirectoryException(
            directory + " has a complete run; there is nothing to go on with");
      }
      if (Files.exists(marker)) {
        String text = Files.readString(marker);
        if (RunningProcess.isAnother(marker, text)) {
          throw new RunDirectoryException(
              "the run in %s goes on: %s; end that process first%s"
                  .formatted(
                      directory,
                      text.strip(),
                      RunningProcess.isElsewhere(text)
                          ? ", or wait until it has not been heard of for %d minutes"
                              .formatted(RunningProcess.HEARD.toMinutes())
                          : ""));
        }
      }
      AtomicFile.write(marker, mark.getBytes(StandardCharsets.UTF_8));
      AtomicFile.removePartial(directory);
      Path checkpoints = directory.resolve(CheckpointDirectory.NAME);
      if (Files.isDirectory(checkpoints)) {
        AtomicFile.removePartial(checkpoints);
      }
    } catch (IOException e) {
      throw unwritten(marker, e);
    }
    return running(directory, null, mark);
  }

  /** Whether a run has yet to make its directory, or has made it and no more. */
  private static boolean isAbsentOrEmpty(Path directory) {
    if (!Files.isDirectory(directory)) {
      return true;
    }
    try (var files = Files.list(directory)) {
      return files.findAny().isEmpty();
    } catch (IOException e) {
      throw RunErrors.unread(directory, e);
    }
  }

  /** {@return whether a directory has a complete run} */
  public static boolean isComplete(Path directory) {
    // An import has no summary.
    boolean written =
        Files.exists(directory.resolve(RunFiles.SUMMARY))
            || Files.exists(directory.resolve(RunFiles.RESULT));
    return written && !Files.exists(directory.resolve(INCOMPLETE));
  }

  /** Of a run that was cut off before it wrote anything, there may be its mark. */
  private static void requireEmpty(Path directory) throws IOException {
    AtomicFile.removePartial(directory);
    Path marker = directory.resolve(INCOMPLETE);
    try (var files = Files.list(directory)) {
      if (!files.allMatch(marker::equals)
          || Files.exists(marker) && RunningProcess.isAlive(marker, Files.readString(marker))) {
        throw new RunDirectoryException(
            directory + " is not empty; name a new directory, or delete this one");
      }
    }
  }

  /** Throws if a file is where the directory, or one above it, would be. */
  private static void requireDirectory(Path directory, Path nearest) {
    if (nearest != null && !Files.isDirectory(nearest)) {
      throw new RunDirectoryException(
          "can't make the directory %s: %s exists and is not a directory"
              .formatted(directory, nearest));
    }
  }

  /**
   * Opens the directory of a run that is complete, for reading.
   *
   * @throws RunDirectoryException if it is absent or incomplete; says since when or why
   */
  public static RunDirectory open(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new RunDirectoryException(
          directory + (Files.exists(directory) ? " is not a directory" : " does not exist"));
    }
    Path marker = directory.resolve(INCOMPLETE);
    try {
      if (Files.exists(marker)) {
        String text = Files.readString(marker).strip();
        throw new RunDirectoryException(
            "%s has no complete run: %s%s%s"
                .formatted(
                    directory,
                    text,
                    RunningProcess.isGone(marker, text) ? ", which is gone" : "",
                    RunningProcess.isAlive(marker, text) ? "" : goOn(directory)));
      }
    } catch (IOException e) {
      throw new RunDirectoryException(
          "%s has no complete run, and %s can't be read: %s"
              .formatted(directory, marker, Reason.of(marker, e)),
          e);
    }
    return read(directory);
  }

  /** {@return a directory as it is, complete or not, to read what is there} */
  public static RunDirectory look(Path directory) {
    return read(directory);
  }

  /**
   * {@return how it stands with a run: complete, running, cut off, or failed and why}
   *
   * @throws RunDirectoryException if its mark can't be read
   */
  public static String state(Path directory) {
    Path marker = directory.resolve(INCOMPLETE);
    try {
      String text = Files.exists(marker) ? Files.readString(marker).strip() : "complete";
      return RunningProcess.isAlive(marker, text)
          ? RUNNING
          : RunningProcess.isGone(marker, text) ? "cut off" : text;
    } catch (NoSuchFileException e) {
      // It has come to its end meanwhile.
      return "complete";
    } catch (IOException e) {
      throw new RunDirectoryException(
          "can't read %s: %s".formatted(marker, Reason.of(marker, e)), e);
    }
  }

  /**
   * {@return whether a run failed since its numbers are none any more}
   *
   * @throws RunDirectoryException if its mark can't be read
   */
  public static boolean hasDiverged(Path directory) {
    return state(directory).startsWith(FAILED + DIVERGED);
  }

  /** How a run that was cut off goes on; empty where only its program knows. */
  private static String goOn(Path directory) {
    Path above = directory.toAbsolutePath().getParent();
    if (above != null
        && Files.exists(above.resolve(INCOMPLETE))
        && Files.exists(above.resolve(RunFiles.OPTIONS))) {
      // One of several seeds.
      return "; go on with: prunepeft %s --resume %s".formatted(command(directory), above);
    }
    return Files.exists(directory.resolve(RunFiles.OPTIONS))
        ? "; go on with: prunepeft %s --resume %s".formatted(command(directory), directory)
        : "";
  }

  private static String command(Path directory) {
    try {
      return String.valueOf(RunJson.parse(directory.resolve(RunFiles.CONFIG)).get("command"));
    } catch (RunDirectoryException e) {
      // It was cut off before it wrote that.
      return "COMMAND";
    }
  }

  /**
   * Opens the directory of a run whose choice of modules is made, complete or not, for reading.
   *
   * @throws RunDirectoryException if it is absent, or incomplete and has no {@link
   *     RunFiles#CONFIGURATION} yet; says since when or why
   */
  public static RunDirectory openChosen(Path directory) {
    if (Files.exists(directory.resolve(RunFiles.CONFIGURATION))
        && Files.exists(directory.resolve(RunFiles.CONFIG))) {
      return read(directory);
    }
    return open(directory);
  }

  /**
   * {@return an object for {@value RunFiles#CONFIG} or {@value RunFiles#RESULT}, with the format as
   * its first member}
   */
  public static Map<String, Object> formatted() {
    Map<String, Object> object = new LinkedHashMap<>();
    object.put(FORMAT_MEMBER, FORMAT);
    return object;
  }

  /** The directory. */
  public Path path() {
    return directory;
  }

  /**
   * {@return the names of the files in the directory itself that are neither hidden nor its mark}
   *
   * @throws RunDirectoryException if it can't be read
   */
  public List<String> names() {
    try (var files = Files.list(directory)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> file.getFileName().toString())
          .filter(name -> !name.startsWith(".") && !name.equals(INCOMPLETE))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw RunErrors.unread(directory, e);
    }
  }

  /**
   * The path of a file, for those who write or read it themselves.
   *
   * @throws IllegalArgumentException if the name leads out of the directory
   */
  public Path file(String name) {
    Path relative = Path.of(name).normalize();
    if (relative.isAbsolute() || relative.startsWith("..") || relative.toString().isEmpty()) {
      throw new IllegalArgumentException(
          "a file's name must lead into the directory of the run, got '%s'".formatted(name));
    }
    return directory.resolve(relative);
  }

  /**
   * Writes a value as indented JSON. Replaces a file of that name.
   *
   * @throws RunDirectoryException if writing fails; the older file is then as it was
   * @throws IllegalArgumentException if the value has no JSON, or the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public void writeJson(String name, Object value) {
    writeText(name, format(name, value));
  }

  /** {@return a value as {@link #writeJson} writes it} */
  public static String format(String name, Object value) {
    return RunJson.format(name, value);
  }

  /**
   * Writes a text. Replaces a file of that name.
   *
   * @throws RunDirectoryException if writing fails; the older file is then as it was
   * @throws IllegalArgumentException if the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public synchronized void writeText(String name, String text) {
    Path file = writable(name);
    try {
      Files.createDirectories(file.getParent());
      AtomicFile.write(file, text.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * Writes values as JSON, a line each. Replaces a file of that name.
   *
   * @throws RunDirectoryException as {@link #writeText} does
   */
  public void writeJsonLines(String name, List<?> values) {
    StringBuilder lines = new StringBuilder();
    values.forEach(value -> lines.append(RunJson.line(name, value)));
    writeText(name, lines.toString());
  }

  /**
   * Appends a value as a line of JSON, and hands it to the operating system at once.
   *
   * @throws RunDirectoryException if writing fails; the file is then as it was, if possible
   * @throws IllegalArgumentException if the value has no JSON, or the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public synchronized void appendJsonLine(String name, Object value) {
    Path file = writable(name);
    byte[] line = RunJson.line(name, value).getBytes(StandardCharsets.UTF_8);
    try {
      Files.createDirectories(file.getParent());
      try (var channel =
          FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        AtomicFile.append(channel, ByteBuffer.wrap(line));
      }
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * Reads a JSON object: members in order; values are String, Integer, Long, BigInteger, Double,
   * Boolean, List, Map or null.
   *
   * @throws RunDirectoryException if it is absent, can't be read, or is no JSON object; names file,
   *     line and column; or if it is {@value RunFiles#CONFIG} or {@value RunFiles#RESULT} of a
   *     newer {@link #FORMAT}
   * @throws IllegalArgumentException if the name leads elsewhere
   */
  public Map<String, Object> readJson(String name) {
    Map<String, Object> object = RunJson.parse(file(name));
    boolean numbered = name.equals(RunFiles.CONFIG) || name.equals(RunFiles.RESULT);
    if (numbered
        && object.get(FORMAT_MEMBER) instanceof Number format
        && format.doubleValue() > FORMAT) {
      throw new RunDirectoryException(
          "%s has format %s, but this version of PrunePEFT reads up to %d; take the version that wrote it"
              .formatted(file(name), format, FORMAT));
    }
    return object;
  }

  /**
   * {@return what {@link #readJson(String)} gives, or no members where the file is not there yet}
   *
   * @throws RunDirectoryException as that does
   */
  public Map<String, Object> readIfThere(String name) {
    return Files.exists(file(name)) ? readJson(name) : Map.of();
  }

  /**
   * {@return the objects of a file that has an array of them}
   *
   * @throws RunDirectoryException if it can't be read or one is not of the type; names the place
   */
  public <T> List<T> readJsonArray(String name, Class<T> type) {
    return RunJson.array(file(name), type);
  }

  /**
   * {@return the objects of a file of {@link #writeJsonLines}}
   *
   * @throws RunDirectoryException if it can't be read or a line is not of the type; names the line
   */
  public <T> List<T> readJsonLines(String name, Class<T> type) {
    return RunJson.lines(file(name), type);
  }

  /**
   * {@return a value of a JSON object that was read, as a type that {@link #writeJson} can write}
   *
   * @throws IllegalArgumentException if it is not of the type
   */
  public static <T> T convert(Object value, Class<T> type) {
    return RunJson.convert(value, type);
  }

  /** {@return a value as it comes back from a file that {@link #writeJson} has written} */
  public static Map<String, Object> reread(String name, Object value) {
    return RunJson.reread(name, value);
  }

  /**
   * {@return the JSON object in a file}
   *
   * @throws RunDirectoryException if it can't be read or is no JSON object; names the place
   */
  public static Map<String, Object> parse(Path file) {
    return RunJson.parse(file);
  }

  /**
   * Reads a member of a JSON object as a type that {@link #writeJson} can write, such as a record.
   *
   * @throws RunDirectoryException if the file is no JSON object, has no such member, or the member
   *     is not of the type; names file and member
   * @throws IllegalArgumentException if the name leads elsewhere
   */
  public <T> T readJson(String name, String member, Class<T> type) {
    return RunJson.member(file(name), readJson(name), member, type);
  }

  /**
   * Declares that everything is there. Nothing more can be written.
   *
   * @throws RunDirectoryException if the mark can't be removed; the run is then still incomplete
   * @throws IllegalStateException if the run has failed or is complete already
   */
  public synchronized void complete() {
    if (state != State.RUNNING) {
      throw new IllegalStateException("the run in %s is over: %s".formatted(directory, state));
    }
    requireThere();
    try {
      Files.delete(directory.resolve(INCOMPLETE));
    } catch (IOException e) {
      throw unwritten(directory.resolve(INCOMPLETE), e);
    }
    state = State.COMPLETE;
  }

  /**
   * Declares that the run failed; the directory stays incomplete. Does nothing to a complete run.
   * Throws nothing if the reason can't be written, as on a full disk, since what made the run fail
   * matters more; the mark of a running run stays then, and so does that of another process that
   * has taken the run over.
   *
   * @param reason for the user
   */
  public synchronized void fail(String reason) {
    if (state == State.COMPLETE) {
      return;
    }
    if (state == State.RUNNING && isTakenOver()) {
      state = State.LOST;
      return;
    }
    state = State.FAILED;
    try {
      AtomicFile.write(
          directory.resolve(INCOMPLETE),
          (FAILED + reason.strip() + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      // See above.
    }
  }

  /**
   * Removes what {@link #create} made, if the run has written nothing since but the command's
   * options; else does nothing.
   */
  public synchronized void discardIfEmpty() {
    if (made == null) {
      return;
    }
    Set<Path> first = Set.of(directory.resolve(INCOMPLETE), directory.resolve(RunFiles.OPTIONS));
    try (var files = Files.list(directory)) {
      if (state != State.COMPLETE && state != State.LOST && files.allMatch(first::contains)) {
        Files.deleteIfExists(directory.resolve(RunFiles.OPTIONS));
        Files.deleteIfExists(directory.resolve(INCOMPLETE));
        made.remove();
      }
    } catch (IOException e) {
      // What is left says that it is incomplete.
    }
  }

  /**
   * Checks that nobody has deleted the directory, or taken the run over.
   *
   * @throws RunDirectoryException if it is gone, or another process has it
   */
  public void requireThere() {
    if (state == State.COMPLETE) {
      return;
    }
    if (Files.notExists(directory.resolve(INCOMPLETE))) {
      throw new RunDirectoryException(
          "the directory %s is gone: it was deleted, moved or emptied while its run went on; the run ends"
              .formatted(directory));
    }
    if (state == State.RUNNING && isTakenOver()) {
      throw new RunDirectoryException(
          "another process has taken over the run in %s; it ends here".formatted(directory));
    }
  }

  /** Whether the mark is there and is another's; false if it can't be read. */
  private boolean isTakenOver() {
    try {
      return !Files.readString(directory.resolve(INCOMPLETE)).equals(mark);
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Says that the run goes on, to other machines.
   *
   * @return whether it does
   */
  synchronized boolean renew() {
    Path marker = directory.resolve(INCOMPLETE);
    if (state != State.RUNNING || Files.notExists(marker) || isTakenOver()) {
      return false;
    }
    try {
      Files.setLastModifiedTime(marker, FileTime.from(Instant.now()));
    } catch (IOException e) {
      // The next may be written.
    }
    return true;
  }

  /**
   * Has the disk keep what was appended to a file.
   *
   * @return its length in bytes; 0 if there is no such file
   * @throws RunDirectoryException if that fails
   */
  public synchronized long force(String name) {
    Path file = file(name);
    if (Files.notExists(file)) {
      return 0;
    }
    try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
      return channel.size();
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * Cuts a file off, so that it is as it was earlier.
   *
   * @param length what {@link #force} gave then
   * @throws RunDirectoryException if it can't be changed, or is shorter
   */
  public synchronized void truncate(String name, long length) {
    Path file = writable(name);
    if (Files.notExists(file) && length == 0) {
      return;
    }
    try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      if (channel.size() < length) {
        throw new RunDirectoryException(
            "%s has %d bytes, but had %d when the checkpoint was written; it was changed since"
                .formatted(file, channel.size(), length));
      }
      channel.truncate(length);
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  private Path writable(String name) {
    if (state == State.COMPLETE) {
      throw new IllegalStateException(
          "the run in %s is complete, can't write %s".formatted(directory, name));
    }
    requireThere();
    Path file = file(name);
    if (file.equals(directory.resolve(INCOMPLETE))) {
      throw new IllegalArgumentException(name + " is written by complete and fail only");
    }
    return file;
  }
}
