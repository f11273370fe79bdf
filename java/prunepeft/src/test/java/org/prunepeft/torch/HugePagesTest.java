package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class HugePagesTest {
  private static final Path SETTING = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");

  /** In a process of its own: LibTorch reads the setting once, when it first allocates. */
  @Test
  void largeTensorsAskForHugePages() throws Exception {
    assumeTrue(Files.exists(SETTING) && System.getenv("THP_MEM_ALLOC_ENABLE") == null);
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    String flags = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor());
    assertTrue((flags + " ").contains(" hg "), flags);
  }

  /** Prints the flags of a large tensor's memory. */
  static final class Program {
    private Program() {}

    public static void main(String[] arguments) throws IOException {
      Torch.load();
      try (Tensor tensor =
          torch.zeros(new long[] {64 << 18}, new TensorOptions(torch.ScalarType.Float))) {
        System.out.print(flags(tensor.data_ptr().address() + (32 << 20)));
      }
    }
  }

  /** VmFlags of the mapping that holds an address. */
  private static String flags(long address) throws IOException {
    List<String> lines = Files.readAllLines(Path.of("/proc/self/smaps"));
    boolean inside = false;
    for (String line : lines) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        String[] range = line.split("[- ]");
        inside =
            Long.compareUnsigned(Long.parseUnsignedLong(range[0], 16), address) <= 0
                && Long.compareUnsigned(address, Long.parseUnsignedLong(range[1], 16)) < 0;
      } else if (inside && line.startsWith("VmFlags:")) {
        return line;
      }
    }
    throw new AssertionError("no mapping holds " + Long.toHexString(address));
  }
}
