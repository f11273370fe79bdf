package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.ProcessMark;

class HostMemoryTest {
  private static final long KILOBYTE = 1024;

  @TempDir Path root;

  private void write(String file, String text) throws IOException {
    Path path = root.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  private OptionalLong limit() {
    return new HostMemory(root).limit();
  }

  @Test
  void theLimitIsWhatIsFreeAndWhatTheProcessHasUnlessItsGroupHasLess() throws IOException {
    assertEquals(OptionalLong.empty(), limit());
    write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\nSwapFree: 700 kB\n");
    write("proc/self/status", "VmHWM:\t  400 kB\nVmRSS:\t  300 kB\n");
    assertEquals(OptionalLong.of(6000 * KILOBYTE), limit());
    assertEquals(OptionalLong.of(400 * KILOBYTE), new HostMemory(root).peak());
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory.max", "max\n");
    assertEquals(OptionalLong.of(6000 * KILOBYTE), limit());
    write("proc/self/cgroup", "0::/user/one\n");
    write("sys/fs/cgroup/user/one/memory.max", "123456\n");
    assertEquals(OptionalLong.of(123456), limit());
  }

  @Test
  void theLowestLimitFromTheOwnGroupUpToTheRootCounts() throws IOException {
    write("proc/self/cgroup", "1:cpu:/a\n0::/user/one/two\n");
    write("sys/fs/cgroup/user/one/two/memory.max", "max\n");
    write("sys/fs/cgroup/user/one/memory.max", "5000\n");
    write("sys/fs/cgroup/user/memory.max", "4000\n");
    write("sys/fs/cgroup/a/memory.max", "1\n");
    write("sys/fs/cgroup/user/other/memory.max", "2\n");
    assertEquals(OptionalLong.of(4000), limit());
    write("sys/fs/cgroup/user/one/two/memory.max", "3000\n");
    assertEquals(OptionalLong.of(3000), limit());
    write("sys/fs/cgroup/memory.max", "2000\n");
    assertEquals(OptionalLong.of(2000), limit());
  }

  @Test
  void groupsOfVersion1HaveLimitsToo() throws IOException {
    write("proc/self/cgroup", "5:cpu,cpuacct:/elsewhere\n4:hugetlb,memory:/user/one\n0::/\n");
    write("sys/fs/cgroup/memory/elsewhere/memory.limit_in_bytes", "1\n");
    write("sys/fs/cgroup/memory/user/one/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(OptionalLong.empty(), limit());
    write("sys/fs/cgroup/memory/user/memory.limit_in_bytes", "7000\n");
    assertEquals(OptionalLong.of(7000), limit());
  }

  @Test
  void aGroupThatAContainerDoesNotSeeHasNoLimitOfItsOwn() throws IOException {
    write("proc/self/cgroup", "0::/../other\n");
    write("sys/fs/cgroup/memory.max", "6000\n");
    write("sys/fs/other/memory.max", "5000\n");
    assertEquals(OptionalLong.of(6000), limit());
  }

  @Test
  void thisProcessHasTakenSome() throws IOException {
    ProcessMark.require();
    assertTrue(new HostMemory().peak().orElseThrow() > 10 << 20);
  }
}
