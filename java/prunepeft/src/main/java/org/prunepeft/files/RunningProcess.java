package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Says in a run's directory which process the run has, and whether that is still there. */
final class RunningProcess {
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

  /** Whether the process of a line is on this machine and goes on; false: it may be on another. */
  static boolean isAlive(String text) {
    Matcher line = TEXT.matcher(text);
    return line.find() && isHere(line) && find(line).isPresent();
  }

  /** Whether another process of this machine has a run and goes on. */
  static boolean isAnother(String text) {
    Matcher line = TEXT.matcher(text);
    return isAlive(text)
        && line.find()
        && Long.parseLong(line.group(2)) != ProcessHandle.current().pid();
  }

  /** Whether the process of a line was on this machine and has ended. */
  static boolean isGone(String text) {
    Matcher line = TEXT.matcher(text);
    return line.find() && isHere(line) && find(line).isEmpty();
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
