package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Reason;
import org.prunepeft.text.ShellWords;

/**
 * How it stands with a run, by the file {@value RunDirectory#INCOMPLETE} in its directory. Its text
 * names the process that has the run, or says that the run was interrupted, or why it failed. A
 * process of this machine goes on if it is there; one of another machine, on a folder that both
 * see, if it has renewed the file lately.
 *
 * <p>On Linux the mark has a {@link ProcessIdentity}, which neither a clock that is set nor two
 * machines of one name deceive; elsewhere, and in marks of earlier versions, machines are told
 * apart by their names and processes by when they began.
 */
public final class RunMark {
  /** The {@link #state} of a run whose process goes on. */
  public static final String RUNNING = "running";

  /** The {@link #state} of a run that a signal or its program ended. */
  public static final String INTERRUPTED = "interrupted";

  /** Begins the reason of a run that failed since a loss, a gradient or a score was not finite. */
  public static final String DIVERGED = "diverged: ";

  /** How long ago a process of another machine may have renewed its mark: many renewals. */
  static final Duration HEARD = Duration.ofMinutes(10);

  private static final String FAILED = "failed: ";

  /** Bytes: far more than any reason has. */
  private static final int MOST = 10_000_000;

  private static final Pattern PROCESS =
      Pattern.compile("running since (\\S+), as process ([0-9]{1,18})(?: on (\\S+))?");

  /** In the comment by which a run's options begin. */
  private static final Pattern CALL = Pattern.compile("prunepeft ([a-z]+) --config ");

  private static final Path HOST = Path.of("/proc/sys/kernel/hostname");

  private final Path directory;
  private final Path file;
  private final String content;

  /** For messages. */
  private final String text;

  /** Of a process, matched; null: it names none. */
  private final Matcher process;

  private final Optional<ProcessIdentity> identity;

  private RunMark(Path directory, Path file, String content) {
    this.directory = directory;
    this.file = file;
    this.content = content;
    Matcher line = PROCESS.matcher(content);
    process = line.find() ? line : null;
    identity = ProcessIdentity.in(content);
    text = process == null ? content.strip() : line.group();
  }

  /** Where a run's directory has it. */
  static Path file(Path directory) {
    return directory.resolve(RunDirectory.INCOMPLETE);
  }

  /** The mark of a run; empty: it is complete, or has not begun. */
  static Optional<RunMark> read(Path directory) throws IOException {
    return read(directory, file(directory));
  }

  /** A mark of a run that is in this file, if there is one. */
  static Optional<RunMark> read(Path directory, Path file) throws IOException {
    try {
      return Optional.of(new RunMark(directory, file, text(file)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** What the file of a mark holds. */
  static String text(Path file) throws IOException {
    return BoundedFile.text(BoundedFile.regular(file), MOST);
  }

  /**
   * What a mark of this process says: the process in a line, where the system tells it its identity
   * in another, and in the last what no other mark has.
   */
  static String ofThisProcess() {
    return String.format(
        Locale.ROOT,
        "running since %s, as process %d%s\n%s%s\n",
        Instant.now().truncatedTo(ChronoUnit.SECONDS),
        ProcessHandle.current().pid(),
        host().map(name -> " on " + name).orElse(""),
        ProcessIdentity.current().map(own -> own + "\n").orElse(""),
        UUID.randomUUID());
  }

  /** What the mark of a run that failed says, in a line. */
  static String ofFailure(String reason) {
    return FAILED + reason.strip() + "\n";
  }

  /** What the mark of a run that was interrupted says, in a line. */
  static String ofInterruption() {
    return INTERRUPTED + "\n";
  }

  /**
   * {@return how it stands with a run: complete, running, cut off, interrupted, or failed and why}
   *
   * @throws RunDirectoryException if its mark can't be read
   */
  public static String state(Path directory) {
    try {
      Optional<RunMark> mark = read(directory);
      return mark.isPresent() ? mark.get().state() : "complete";
    } catch (NoSuchFileException e) {
      // It has come to its end meanwhile.
      return "complete";
    } catch (IOException e) {
      throw RunErrors.unread(file(directory), e);
    }
  }

  /** All that its file holds. */
  String content() {
    return content;
  }

  private String state() throws IOException {
    if (process == null) {
      return text;
    }
    return isAlive() ? RUNNING : "cut off";
  }

  /**
   * {@return whether a run failed since a loss, a gradient or a score was NaN or infinite}
   *
   * @throws RunDirectoryException if its mark can't be read
   */
  public static boolean hasDiverged(Path directory) {
    return state(directory).startsWith(FAILED + DIVERGED);
  }

  /**
   * Requires that a directory has no mark.
   *
   * @throws RunDirectoryException if it has; says since when or why, and how the run goes on
   */
  static void requireNone(Path directory) {
    try {
      Optional<RunMark> mark = read(directory);
      if (mark.isPresent()) {
        throw new RunDirectoryException(
            "%s has no complete run: %s".formatted(directory, mark.get().sentence()));
      }
    } catch (IOException e) {
      Path file = file(directory);
      throw new RunDirectoryException(
          "%s has no complete run, and %s can't be read: %s"
              .formatted(directory, file, Reason.of(file, e)),
          e);
    }
  }

  private String sentence() throws IOException {
    return isAlive() ? text : text + (process == null ? "" : ", which is gone") + goOn(directory);
  }

  /** How a run that was cut off goes on; empty where only its program knows. */
  private static String goOn(Path directory) {
    Path above = directory.toAbsolutePath().getParent();
    if (above != null
        && Files.exists(file(above))
        && Files.exists(above.resolve(RunFiles.OPTIONS))) {
      // One of several seeds.
      return resumption(directory, above);
    }
    return Files.exists(directory.resolve(RunFiles.OPTIONS))
        ? resumption(directory, directory)
        : "";
  }

  /**
   * @param whole what is resumed: the run, or a directory above it
   */
  private static String resumption(Path run, Path whole) {
    return "; go on with: prunepeft %s --resume %s"
        .formatted(command(run, whole), ShellWords.quoted(whole.toString()));
  }

  private static String command(Path run, Path whole) {
    try {
      return String.valueOf(RunJson.parse(run.resolve(RunFiles.CONFIG)).get("command"));
    } catch (RunDirectoryException e) {
      // It was cut off before it wrote that.
      return calledBy(run).or(() -> calledBy(whole)).orElse("COMMAND");
    }
  }

  /** The command in the comment by which the options of a directory begin. */
  private static Optional<String> calledBy(Path directory) {
    try {
      Path options = directory.resolve(RunFiles.OPTIONS);
      Matcher call = CALL.matcher(BoundedFile.firstLine(BoundedFile.regular(options)));
      return call.find() ? Optional.of(call.group(1)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /**
   * Requires that no other process goes on with the run, and this one neither: of it there may be
   * the mark of a run that ended and could not say so.
   *
   * @throws RunDirectoryException if one does
   */
  void requireNoOther() throws IOException {
    if (process == null || !isHere() || pid() != ProcessHandle.current().pid()) {
      requireGone();
    } else if (RunHold.isHeld(content)) {
      throw new RunDirectoryException(
          "the run in %s goes on in this process; wait for its end, or cancel it, and resume it then"
              .formatted(directory));
    }
  }

  /**
   * Requires that no process goes on with the run.
   *
   * @throws RunDirectoryException if one does
   */
  void requireGone() throws IOException {
    if (!isAlive()) {
      return;
    }
    throw new RunDirectoryException(
        "the run in %s goes on: %s; end that process first%s"
            .formatted(
                directory,
                text,
                isHere()
                    ? ""
                    : String.format(
                        Locale.ROOT,
                        ", or wait until it has not been heard of for %d minutes",
                        HEARD.toMinutes())));
  }

  /** Whether it names a process that goes on. */
  boolean isAlive() throws IOException {
    return process != null && (isHere() ? isThere() : isRenewed());
  }

  private boolean isThere() throws IOException {
    if (identity.isEmpty() || ProcessIdentity.current().isEmpty()) {
      return find().isPresent();
    }
    Optional<Boolean> goesOn = identity.get().goesOn(pid());
    return goesOn.isPresent() ? goesOn.get() : isRenewed();
  }

  private boolean isRenewed() throws IOException {
    Instant renewed = Files.getLastModifiedTime(file).toInstant();
    return renewed.plus(HEARD).isAfter(Instant.now());
  }

  private boolean isHere() {
    Optional<ProcessIdentity> own = ProcessIdentity.current();
    if (identity.isPresent() && own.isPresent()) {
      return identity.get().isBeside(own.get());
    }
    return process.group(3) == null || host().equals(Optional.of(process.group(3)));
  }

  private long pid() {
    return Long.parseLong(process.group(2));
  }

  private Optional<ProcessHandle> find() {
    return ProcessHandle.of(pid()).filter(ProcessHandle::isAlive).filter(this::mayBe);
  }

  /** Whether a process of that number had begun by then: another may have got it since. */
  private boolean mayBe(ProcessHandle one) {
    Instant since;
    try {
      since = Instant.parse(process.group(1)).plusSeconds(2);
    } catch (DateTimeException e) {
      // A damaged mark.
      return true;
    }
    return one.info().startInstant().map(start -> start.isBefore(since)).orElse(true);
  }

  /** The machine's name, or a container's. */
  private static Optional<String> host() {
    try {
      return Optional.of(Files.readString(HOST).strip()).filter(name -> name.matches("\\S+"));
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
