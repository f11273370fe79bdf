package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.kernels.ProcessMemory.Range;

class ProcessMemoryTest {
  private static final int BYTES = 1 << 24;

  @TempDir static Path temporary;

  @Test
  void whatNobodyMayWriteAndNobodyHasChangedIsThere() {
    List<String> smaps =
        List.of(
            "1000-3000 r--p 00000000 fe:00 30  /usr/lib/libx.so",
            "Rss:                   8 kB",
            "Anonymous:             0 kB",
            "Swap:                  0 kB",
            "3000-9000 r-xp 00002000 fe:00 30  /usr/lib/libx.so",
            "Anonymous:             0 kB",
            "Swap:                  0 kB",
            "VmFlags: rd ex mr mw me",
            // Linked, so that its addresses are not those of the file.
            "9000-a000 r--p 00008000 fe:00 30  /usr/lib/libx.so",
            "Anonymous:             4 kB",
            "Swap:                  0 kB",
            // The same, and swapped out.
            "a000-b000 r--p 00009000 fe:00 30  /usr/lib/libx.so",
            "Anonymous:             0 kB",
            "Swap:                  4 kB",
            "b000-c000 rw-p 0000a000 fe:00 30  /usr/lib/libx.so",
            "Anonymous:             0 kB",
            "c000-d000 r--p 00000000 00:00 0",
            "Anonymous:             0 kB",
            "d000-e000 r-xp 00000000 00:00 0   [vdso]",
            "Anonymous:             0 kB",
            "7fff00000000-7fff00001000 r--s 00000000 fe:00 31  /a file",
            "Anonymous:             0 kB");
    assertEquals(
        List.of(
            new Range(0x1000, 0x3000),
            new Range(0x3000, 0x9000),
            new Range(0x7fff00000000L, 0x7fff00001000L)),
        ProcessMemory.unchanged(smaps));
  }

  @Test
  void aFilesPagesAreGivenBackAndReadAgain() throws IOException {
    assumeTrue(Files.isReadable(Path.of("/proc/self/smaps")), "only Linux lists mappings");
    Path file = Files.write(temporary.resolve("file"), new byte[BYTES]).toRealPath();
    try (FileChannel channel = FileChannel.open(file)) {
      MappedByteBuffer mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, BYTES);
      assertEquals(0, sum(mapped));
      assertTrue(resident(file) >= BYTES, () -> "resident when read");
      ProcessMemory.giveBackPages();
      assertTrue(resident(file) < BYTES / 2, () -> "resident when given back");
      assertEquals(0, sum(mapped));
    }
  }

  private static long sum(ByteBuffer bytes) {
    long sum = 0;
    for (int i = 0; i < bytes.limit(); i++) {
      sum += bytes.get(i);
    }
    return sum;
  }

  /** Bytes of a file that are mapped and in memory. */
  private static long resident(Path file) {
    try {
      boolean own = false;
      for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
        own = line.matches("\\p{XDigit}+-.*") ? line.endsWith(file.toString()) : own;
        if (own && line.startsWith("Rss:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) << 10;
        }
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return 0;
  }
}
