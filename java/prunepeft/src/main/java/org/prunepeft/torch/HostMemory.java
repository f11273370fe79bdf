package org.prunepeft.torch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.function.Predicate;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** The memory of the machine and of this process, in bytes, as Linux reports it. */
public final class HostMemory {
  private static final int KILOBYTE = 1024;

  private final Path root;

  /** That of this machine. */
  public HostMemory() {
    this(Path.of("/"));
  }

  /**
   * @param root where proc and sys are
   */
  HostMemory(Path root) {
    this.root = root;
  }

  /**
   * {@return the most that this process had in memory since its start, or since its mark was set
   * back; empty where nobody tells}
   */
  public OptionalLong peak() {
    return field("proc/self/status", "VmHWM:");
  }

  /** {@return what this process has in memory; empty where nobody tells} */
  public OptionalLong resident() {
    return field("proc/self/status", "VmRSS:");
  }

  /**
   * {@return the most that this process may have in memory: what it has, what is free or may be
   * freed, and swap, but not more than the lowest limit of its control group and of those above it;
   * empty where nobody tells}
   */
  public OptionalLong limit() {
    OptionalLong available = field("proc/meminfo", "MemAvailable:");
    OptionalLong own = resident();
    OptionalLong swap = field("proc/meminfo", "SwapFree:");
    LongStream machine =
        available.isPresent()
            ? LongStream.of(available.getAsLong() + own.orElse(0) + swap.orElse(0))
            : LongStream.empty();
    return LongStream.concat(machine, groups()).min();
  }

  /**
   * The limits of the process's control groups, of version 2 and of version 1: those of its own and
   * of each above it, up to the root, whose files are also those of a container.
   */
  private LongStream groups() {
    return Stream.concat(
            limits("sys/fs/cgroup", "memory.max", line -> line.startsWith("0::")),
            limits(
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                line -> line.matches("\\d+:([^:]*,)?memory(,[^:]*)?:.*")))
        .flatMap(this::lines)
        .filter(line -> line.matches("\\d{1,18}"))
        .mapToLong(Long::parseLong);
  }

  /**
   * Files with a limit.
   *
   * @param mount where the groups are
   * @param name of the file in each
   * @param mine tells the line of proc/self/cgroup with the process's own group
   */
  private Stream<String> limits(String mount, String name, Predicate<String> mine) {
    Stream<Path> groups =
        lines("proc/self/cgroup")
            .filter(mine)
            .map(line -> Path.of(line.split(":", 3)[2]))
            .filter(group -> !group.startsWith("/..")) // outside of what this container sees
            .flatMap(group -> Stream.iterate(group, Objects::nonNull, Path::getParent));
    return Stream.concat(Stream.of(Path.of("/")), groups)
        .distinct()
        .map(group -> mount + group.resolve(name));
  }

  private OptionalLong field(String file, String name) {
    return lines(file)
        .filter(line -> line.startsWith(name))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * KILOBYTE)
        .findFirst();
  }

  /** None of a file that is not there. */
  private Stream<String> lines(String file) {
    try {
      return Files.readAllLines(root.resolve(file)).stream();
    } catch (IOException e) {
      return Stream.empty();
    }
  }
}
