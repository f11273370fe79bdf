package org.prunepeft.files;

import static org.prunepeft.files.RunErrors.unwritten;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.NewDirectories;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.Unfinished;
import org.prunepeft.io.Uninterrupted;
import org.prunepeft.io.UnresumableRunException;
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
 * several threads at once. An interrupt of a thread ends no writing of a file.
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

  private static final String FORMAT_MEMBER = "format";

  /** Of several runs at once the directory of checkpoints is above theirs. */
  private static final String REMEDY =
      "restore it from a copy, or delete the directory '%s' of the run that is resumed, to begin it from its start"
          .formatted(CheckpointDirectory.NAME);

  /** To remove what another thread may be writing. */
  private static final int MOST_ATTEMPTS = 100;

  private static final int ATTEMPT_MILLIS = 10;

  private final Path directory;

  /** Null: it was there before, with what its run has written. */
  private final NewDirectories made;

  private final RunHold hold;

  private final WrittenFiles written = new WrittenFiles();

  private RunDirectory(Path directory, NewDirectories made, RunHold hold) {
    this.directory = directory;
    this.made = made;
    this.hold = hold;
  }

  /** Of a run that is complete, or is looked at. */
  private static RunDirectory read(Path directory) {
    return new RunDirectory(directory, null, RunHold.none(directory));
  }

  private static RunDirectory running(Path directory, NewDirectories made, RunHold hold) {
    RunDirectory run = new RunDirectory(directory, made, hold);
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
    return create(directory, RunMark.ofThisProcess());
  }

  static RunDirectory create(Path directory, String mark) {
    NewDirectories made = new NewDirectories(directory);
    requireDirectory(directory, made.nearest());
    try {
      made.make();
      RunHold hold = RunHold.take(directory, mark, found -> requireEmpty(directory, found));
      try {
        // A run that was faster may have come to its end since.
        requireEmpty(directory, Optional.empty());
      } catch (RunDirectoryException e) {
        hold.complete();
        throw e;
      } catch (IOException e) {
        hold.letGo();
        throw e;
      }
      removePartial(directory, hold);
      return running(directory, made, hold);
    } catch (IOException e) {
      throw new RunDirectoryException(
          "can't make the directory %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
  }

  /**
   * Opens the directory of a run that was cut off, to go on with it; makes that of a run that has
   * not begun. What was being written when it was cut off is removed.
   *
   * @param complete whether that of a complete run is opened too, and is incomplete then
   * @return open for writing, incomplete
   * @throws RunDirectoryException if the run is complete, or a process that goes on has it, or one
   *     of another machine that has renewed its mark within ten minutes, or the directory can't be
   *     made or written, or a file of the run there is a symbolic link
   */
  public static RunDirectory resume(Path directory, boolean complete) {
    return resume(directory, complete, RunMark.ofThisProcess());
  }

  static RunDirectory resume(Path directory, boolean complete, String mark) {
    if (isAbsentOrEmpty(directory)) {
      return create(directory, mark);
    }
    RunFiles.all(directory).forEach(file -> OwnFiles.require(directory, file));
    try {
      RunHold hold =
          RunHold.take(directory, mark, found -> requireCutOff(directory, complete, found));
      removePartial(directory, hold);
      return running(directory, null, hold);
    } catch (IOException e) {
      throw unwritten(RunMark.file(directory), e);
    }
  }

  /** Removes what was being written when a run was cut off. */
  private static void removePartial(Path directory, RunHold hold) throws IOException {
    try {
      AtomicFile.removePartial(directory);
      new CheckpointDirectory(read(directory)).removePartial();
    } catch (IOException | RunDirectoryException e) {
      hold.letGo();
      throw e;
    }
  }

  private static void requireCutOff(Path directory, boolean complete, Optional<RunMark> mark)
      throws IOException {
    if (mark.isPresent()) {
      mark.get().requireNoOther();
    } else if (!complete) {
      throw new RunDirectoryException(
          directory + " has a complete run; there is nothing to go on with");
    }
  }

  /** Whether a run has yet to make its directory, or has made it and no more. */
  private static boolean isAbsentOrEmpty(Path directory) {
    if (!Files.isDirectory(directory)) {
      return true;
    }
    try (var files = Files.list(directory)) {
      return files.allMatch(AtomicFile::isPartial);
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
    return written && !Files.exists(RunMark.file(directory));
  }

  /** Of a run that was cut off before it wrote anything, there may be its mark. */
  private static void requireEmpty(Path directory, Optional<RunMark> mark) throws IOException {
    if (mark.isPresent()) {
      mark.get().requireGone();
    }
    Path own = RunMark.file(directory);
    try (var files = Files.list(directory)) {
      if (!files.allMatch(file -> file.equals(own) || AtomicFile.isPartial(file))) {
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
    RunMark.requireNone(directory);
    return read(directory);
  }

  /** {@return a directory as it is, complete or not, to read what is there} */
  public static RunDirectory look(Path directory) {
    return read(directory);
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
   * Writes a value as indented JSON. Replaces a file of that name. An object that is one of {@link
   * RunFiles#SIGNED} gets the checksum of its members as the last one.
   *
   * @throws RunDirectoryException if writing fails; the older file is then as it was
   * @throws IllegalArgumentException if the value has no JSON, or the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public void writeJson(String name, Object value) {
    boolean signed = RunFiles.SIGNED.contains(name) && value instanceof Map;
    writeText(name, format(name, signed ? Manifest.signed(name, (Map<?, ?>) value) : value));
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
    written.wrote(name, write(name, text));
  }

  /** The same of a file that is gone again before the run is complete. */
  synchronized FileChecksum write(String name, String text) {
    Path file = writable(name);
    byte[] content = text.getBytes(StandardCharsets.UTF_8);
    try {
      Files.createDirectories(file.getParent());
      AtomicFile.write(file, content);
      return FileChecksum.of(file, content);
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * Takes a file as it is, if it is there: as others have written it, or as the run that goes on
   * has left it.
   *
   * @throws RunDirectoryException if it can't be read
   */
  public synchronized void take(String name) {
    Path file = file(name);
    try {
      if (Files.exists(file)) {
        written.wrote(name, FileChecksum.of(file));
      }
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
    }
  }

  /** {@return the names of the files that this process has written or taken} */
  synchronized Set<String> written() {
    return written.names();
  }

  /**
   * {@return what a file holds}
   *
   * @throws RunDirectoryException if it can't be read, or this process has written or taken it, and
   *     it is not what it was then
   */
  synchronized FileChecksum checksum(String name) {
    Path file = file(name);
    try {
      return written.require(name, file);
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
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
   * @throws RunDirectoryException if writing fails, the file is then as it was, if possible; or if
   *     it is not as long as what was appended so far
   * @throws IllegalArgumentException if the value has no JSON, or the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public synchronized void appendJsonLine(String name, Object value) {
    Path file = writable(name);
    byte[] line = RunJson.line(name, value).getBytes(StandardCharsets.UTF_8);
    try {
      Files.createDirectories(file.getParent());
      Crc32c sum = written.sum(name, file);
      AtomicFile.append(file, line);
      sum.add(line);
      written.appended(name, sum);
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
   *     newer {@link #FORMAT}; or if it is one of {@link RunFiles#SIGNED} and has another checksum
   *     than its members, which is left out of what is returned
   * @throws IllegalArgumentException if the name leads elsewhere
   */
  public Map<String, Object> readJson(String name) {
    Map<String, Object> object = RunJson.parse(file(name));
    if (RunFiles.SIGNED.contains(name) && object.containsKey(Manifest.OWN)) {
      Manifest.requireOwn(this, name, object);
    }
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
    return member(file(name), readJson(name), member, type);
  }

  /**
   * {@return a member of a JSON object that was read, as that does}
   *
   * @param file that it was read from
   * @throws RunDirectoryException if there is no such member, or it is not of the type
   */
  public static <T> T member(Path file, Map<String, Object> object, String member, Class<T> type) {
    return RunJson.member(file, object, member, type);
  }

  /**
   * Declares that everything is there. Nothing more can be written.
   *
   * @throws RunDirectoryException if the mark can't be removed; the run is then still incomplete
   * @throws IllegalStateException if the run has failed or is complete already
   */
  public synchronized void complete() {
    hold.complete();
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
    hold.fail(RunMark.ofFailure(reason));
  }

  /** Declares that the run was interrupted, as {@link #fail} does that it failed. */
  public synchronized void interrupt() {
    hold.fail(RunMark.ofInterruption());
  }

  /**
   * Removes what {@link #create} made, if the run has written nothing since but the command's
   * options; else does nothing.
   */
  public synchronized void discardIfEmpty() {
    if (made == null) {
      return;
    }
    Path mark = RunMark.file(directory);
    Path options = directory.resolve(RunFiles.OPTIONS);
    try (var files = Files.list(directory)) {
      if (hold.mayDiscard() && files.allMatch(Set.of(mark, options)::contains)) {
        Files.deleteIfExists(options);
        Files.deleteIfExists(mark);
        made.remove();
      }
    } catch (IOException e) {
      // What is left says that it is incomplete.
    }
  }

  /**
   * Removes all that is in the directory, and it too if {@link #create} made it; does nothing to
   * what is complete. Nothing more can be written. For a process that is told to end while another
   * thread writes: what that makes meanwhile goes as well.
   *
   * @return what is left, for the user
   */
  public String discard() {
    synchronized (this) {
      if (hold.isComplete()) {
        return "interrupted when %s was complete".formatted(directory);
      }
      if (made == null || !hold.discard()) {
        return "interrupted; %s is incomplete".formatted(directory);
      }
    }
    int gone = 0;
    for (int attempt = 0; attempt < MOST_ATTEMPTS && gone < 2; attempt++) {
      try {
        Unfinished.clear(directory);
        made.remove();
        gone++;
        Thread.sleep(ATTEMPT_MILLIS);
      } catch (IOException e) {
        // A file has come, or one above has others by now.
        gone = Files.exists(directory) ? 0 : gone + 1;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
    }
    return gone > 0
        ? "interrupted; nothing is left of %s".formatted(directory)
        : "interrupted; %s is incomplete: delete it to write it again".formatted(directory);
  }

  /**
   * Checks that nobody has deleted the directory, or taken the run over.
   *
   * @throws RunDirectoryException if it is gone, or another process has it
   */
  public void requireThere() {
    hold.requireThere();
  }

  /**
   * Says that the run goes on, to other machines.
   *
   * @return whether it does
   */
  synchronized boolean renew() {
    return hold.renew();
  }

  /**
   * Has the disk keep what was appended to a file.
   *
   * @return what it holds; {@link Appended#NOTHING} if there is no such file
   * @throws RunDirectoryException if that fails, or it is not as long as what was appended
   */
  public synchronized Appended force(String name) {
    Path file = OwnFiles.require(directory, file(name));
    try {
      Crc32c sum = written.sum(name, file);
      if (Files.notExists(file)) {
        return Appended.NOTHING;
      }
      Uninterrupted.run(
          () -> {
            try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
              channel.force(true);
            }
          });
      written.appended(name, sum);
      return new Appended(sum.bytes(), sum.hex());
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * Checks that a file is there which the run had written before its checkpoint.
   *
   * @throws UnresumableRunException if it is gone
   */
  public void requireLeft(String name) {
    Path file = file(name);
    if (Files.notExists(file)) {
      throw new UnresumableRunException(
          "%s is gone, but was there when the checkpoint was written; %s".formatted(file, REMEDY));
    }
  }

  /**
   * Cuts a file off, so that it is as it was earlier.
   *
   * @param then what {@link #force} gave then
   * @throws UnresumableRunException if its first bytes are not what they were, or it is shorter or
   *     gone; it is then as it was
   * @throws RunDirectoryException if it can't be read or changed
   */
  public synchronized void truncate(String name, Appended then) {
    Path file = writable(name);
    boolean there = Files.exists(file);
    if (!there && then.bytes() == 0) {
      return;
    }
    try {
      Crc32c sum = there ? Crc32c.of(file, then.bytes()) : new Crc32c();
      if (sum.bytes() < then.bytes()) {
        throw new UnresumableRunException(
            "%s has %d bytes, but had %d when the checkpoint was written; %s"
                .formatted(file, sum.bytes(), then.bytes(), REMEDY));
      }
      if (then.crc32c() != null && !then.crc32c().equals(sum.hex())) {
        throw new UnresumableRunException(
            "%s is damaged or was changed: its first %d bytes have CRC-32C %s, but had %s when the checkpoint was written; %s"
                .formatted(file, then.bytes(), sum.hex(), then.crc32c(), REMEDY));
      }
      Uninterrupted.run(
          () -> {
            try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
              channel.truncate(then.bytes());
            }
          });
      written.appended(name, sum);
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /**
   * The path of a file, for those who write it themselves.
   *
   * @throws RunDirectoryException if nobody may write it there: the directory is gone, or another
   *     process has it, or it, or a directory above it there, is a symbolic link
   * @throws IllegalArgumentException if the name leads elsewhere
   * @throws IllegalStateException if the run is complete
   */
  public Path writable(String name) {
    if (hold.isComplete()) {
      throw new IllegalStateException(
          "the run in %s is complete, can't write %s".formatted(directory, name));
    }
    requireThere();
    Path file = file(name);
    if (file.equals(RunMark.file(directory))) {
      throw new IllegalArgumentException(name + " is written by complete and fail only");
    }
    return OwnFiles.require(directory, file);
  }
}
