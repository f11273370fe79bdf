package org.prunepeft.files;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which process of a number it is, as Linux tells it: nothing of it changes with the clock or with
 * the machine's name.
 *
 * @param boot what the kernel drew when it was booted
 * @param namespace that the process's number is of; unlike any other of the same boot
 * @param ticks of the kernel's clock from its boot to the process's beginning
 */
record ProcessIdentity(String boot, String namespace, long ticks) {
  private static final Path PROC = Path.of("/proc");
  private static final Path BOOT = PROC.resolve("sys/kernel/random/boot_id");

  private static final Pattern LINE =
      Pattern.compile("(?m)^boot (\\S+), (pid:\\[[0-9]+\\]), start ([0-9]{1,18})$");

  /** Of a process's line of figures, behind its name: its state is the 3rd, the 22nd its start. */
  private static final int FIRST = 3;

  private static final int START = 22;

  /** A process that has ended, and whose end its parent has not asked for yet. */
  private static final String ENDED = "ZXx";

  /** This process's; empty: not on this system. */
  private static final Optional<ProcessIdentity> CURRENT = read();

  static Optional<ProcessIdentity> current() {
    return CURRENT;
  }

  /** What a text has as {@link #toString} writes it, in a line of its own. */
  static Optional<ProcessIdentity> in(String text) {
    Matcher line = LINE.matcher(text);
    return line.find()
        ? Optional.of(
            new ProcessIdentity(line.group(1), line.group(2), Long.parseLong(line.group(3))))
        : Optional.empty();
  }

  private static Optional<ProcessIdentity> read() {
    try {
      String boot = Files.readString(BOOT).strip();
      String namespace = Files.readSymbolicLink(PROC.resolve("self/ns/pid")).toString();
      long pid = ProcessHandle.current().pid();
      OptionalLong ticks = ticks(pid);
      boolean itsOwn = Files.readSymbolicLink(PROC.resolve("self")).endsWith(Long.toString(pid));
      if (!itsOwn || ticks.isEmpty()) {
        // The numbers of that /proc are of another namespace.
        return Optional.empty();
      }
      return in(new ProcessIdentity(boot, namespace, ticks.getAsLong()).toString());
    } catch (IOException | UnsupportedOperationException e) {
      return Optional.empty();
    }
  }

  /** When a process of this one's namespace began; empty: there is none of that number. */
  static OptionalLong ticks(long pid) {
    try {
      return ticksIn(PROC, pid);
    } catch (IOException e) {
      return OptionalLong.empty();
    }
  }

  private static OptionalLong ticksIn(Path proc, long pid) throws IOException {
    // The name may have any bytes.
    String figures =
        Files.readString(
            proc.resolve(Long.toString(pid)).resolve("stat"), StandardCharsets.ISO_8859_1);
    String[] behind = figures.substring(figures.lastIndexOf(')') + 1).strip().split(" ");
    try {
      return behind.length <= START - FIRST || ENDED.contains(behind[0])
          ? OptionalLong.empty()
          : OptionalLong.of(Long.parseLong(behind[START - FIRST]));
    } catch (NumberFormatException e) {
      return OptionalLong.empty();
    }
  }

  /**
   * {@return whether the process goes on; empty: this system does not show it, as where {@code
   * /proc} hides the processes of other users}
   *
   * @param pid its number
   */
  Optional<Boolean> goesOn(long pid) {
    return goesOn(PROC, pid);
  }

  /**
   * The same.
   *
   * @param proc where {@code /proc} is
   */
  Optional<Boolean> goesOn(Path proc, long pid) {
    try {
      return Optional.of(ticksIn(proc, pid).equals(OptionalLong.of(ticks)));
    } catch (IOException e) {
      // It may have ended since its file was opened.
      boolean gone = Files.notExists(proc.resolve(Long.toString(pid)));
      return gone && showsOthers(proc) ? Optional.of(false) : Optional.empty();
    }
  }

  /** Whether there is the first process, which is another user's but for the superuser. */
  private static boolean showsOthers(Path proc) {
    try {
      return !Files.readString(proc.resolve("1/stat"), StandardCharsets.ISO_8859_1).isEmpty();
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether numbers of processes mean the same to both. */
  boolean isBeside(ProcessIdentity other) {
    return boot.equals(other.boot) && namespace.equals(other.namespace);
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "boot %s, %s, start %d", boot, namespace, ticks);
  }
}
