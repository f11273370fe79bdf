package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Says in the mark of a run's directory which process has the run, and whether that goes on. One of
 * this machine does if it is there; one of another machine, on a folder that both see, if it has
 * renewed the mark lately.
 */
final class RunningProcess {
  /** How long ago a process of another machine may have renewed its mark: many renewals. */
  static final Duration HEARD = Duration.ofMinutes(10);

  private static final Pattern TEXT =
      Pattern.compile("running since (\\S+), as process ([0-9]{1,18})(?: on (\\S+))?");

  private static final Path HOST = Path.of("/proc/sys/kernel/hostname");

  private RunningProcess() {}

  /** This process, in a line. */
  static String describe() {
    return "running since %s, as process %d%s\n"
        .formatted(
            Instant.now().truncatedTo(ChronoUnit.SECONDS),
            ProcessHandle.current().pid(),
            host().map(name -> " on " + name).orElse(""));
  }

  /**
   * Whether the process of a mark goes on.
   *
   * @param text of the mark
   */
  static boolean isAlive(Path mark, String text) throws IOException {
    Matcher line = TEXT.matcher(text);
    return line.find() && (isHere(line) ? find(line).isPresent() : isRenewed(mark));
  }

  /** Whether that is another process than this. */
  static boolean isAnother(Path mark, String text) throws IOException {
    Matcher line = TEXT.matcher(text);
    return isAlive(mark, text)
        && line.find()
        && !(isHere(line) && Long.parseLong(line.group(2)) == ProcessHandle.current().pid());
  }

  /** Whether the process of a mark has ended, or has not been heard of for long. */
  static boolean isGone(Path mark, String text) throws IOException {
    return TEXT.matcher(text).find() && !isAlive(mark, text);
  }

  /** Whether the process of a mark is, or was, on another machine. */
  static boolean isElsewhere(String text) {
    Matcher line = TEXT.matcher(text);
    return line.find() && !isHere(line);
  }

  private static boolean isRenewed(Path mark) throws IOException {
    Instant renewed = Files.getLastModifiedTime(mark).toInstant();
    return renewed.plus(HEARD).isAfter(Instant.now());
  }

  private static boolean isHere(Matcher line) {
    return line.group(3) == null || host().equals(Optional.of(line.group(3)));
  }

  private static Optional<ProcessHandle> find(Matcher line) {
    long pid = Long.parseLong(line.group(2));
    Instant since = Instant.parse(line.group(1)).plusSeconds(2);
    return ProcessHandle.of(pid)
        .filter(ProcessHandle::isAlive)
        // Another may have got its number.
        .filter(
            process ->
                process.info().startInstant().map(start -> start.isBefore(since)).orElse(true));
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
