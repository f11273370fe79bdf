package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.prunepeft.testing.EndedProcess;
import org.prunepeft.testing.ProcessMark;

/** The peak resident size of a Java process of its own. */
public final class ProcessPeak {
  private ProcessPeak() {}

  /**
   * {@return VmHWM at the end of a main method, in bytes} Skips the test where the system has none.
   *
   * @param main on this process's class path; it calls {@link #print} last
   */
  public static long of(Class<?> main, String... arguments)
      throws IOException, InterruptedException {
    ProcessMark.require();
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                // A heap that is there from the beginning does not grow with what is measured.
                "-Xms160m",
                "-Xmx160m",
                "-XX:+AlwaysPreTouch",
                "-XX:+UseSerialGC",
                // Each thread that reads has buffers, whatever the size of what it reads.
                "-XX:ActiveProcessorCount=2",
                "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
                "-Dorg.bytedeco.javacpp.maxBytes=0",
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("MALLOC_ARENA_MAX", "1");
    EndedProcess ended = EndedProcess.of(builder, Duration.ofMinutes(20));
    assertEquals(0, ended.exitValue(), ended.text());
    return ended
        .text()
        .lines()
        .filter(line -> line.startsWith(PREFIX))
        .mapToLong(line -> Long.parseLong(line.substring(PREFIX.length())))
        .findFirst()
        .orElseThrow(() -> new AssertionError(ended.text()));
  }

  private static final String PREFIX = "peak ";

  /** To be called at the end of such a method. */
  public static void print() {
    System.out.println(PREFIX + new HostMemory().peak().orElseThrow());
  }
}
