package org.prunepeft.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The mark of a process's most resident memory, which not all that is like Linux has. */
public final class ProcessMark {
  private static final Path STATUS = Path.of("/proc/self/status");

  private ProcessMark() {}

  /** Skips the test where the system has no such mark (VmHWM). */
  public static void require() throws IOException {
    assumeTrue(
        Files.exists(STATUS) && Files.readString(STATUS).contains("VmHWM:"),
        "the system has no mark of a process's most memory");
  }

  /** Skips the test where it has none, or none that can be set back. */
  public static void requireToSetBack() throws IOException {
    require();
    assumeTrue(
        Files.isWritable(Path.of("/proc/self/clear_refs")),
        "the system's mark of a process's most memory can't be set back");
  }
}
