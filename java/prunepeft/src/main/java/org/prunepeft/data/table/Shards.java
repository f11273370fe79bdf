package org.prunepeft.data.table;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.prunepeft.io.FormatException;

/**
 * Sets of files that are one table, {@code train-00000-of-00003.parquet} as Hugging Face's hub has
 * them; the first stands for all. Older releases of {@code datasets} put a fingerprint behind the
 * count, of each shard another: {@code train-00000-of-00003-a3ecf92756993583.parquet}.
 */
final class Shards {
  private static final Pattern SHARD =
      Pattern.compile("(.*-)(\\d{5})(-of-\\d{5})(-[0-9a-f]+)?(\\.[^.]*(?i:\\.gz)?)");

  private final Path first;

  /** Of the first one's name. */
  private final Matcher name;

  private Shards(Path first, Matcher name) {
    this.first = first;
    this.name = name;
  }

  /**
   * The file, or it and those of its set.
   *
   * @throws FormatException if one is missing
   * @throws IllegalArgumentException if it is one of a set, but not the first, or there are two of
   *     one number
   */
  static List<Path> of(Path first) throws IOException {
    Matcher name = SHARD.matcher(first.getFileName().toString());
    return name.matches() ? new Shards(first, name).all() : List.of(first);
  }

  private List<Path> all() throws IOException {
    boolean fingerprints = name.group(4) != null;
    if (Integer.parseInt(name.group(2)) != 0) {
      throw new IllegalArgumentException(
          "%s is one shard of several; name the first, %s, and all are read"
              .formatted(first, name(0, fingerprints ? "-*" : "")));
    }
    int count = Math.max(1, Integer.parseInt(name.group(3).substring("-of-".length())));
    Map<Integer, Path> byNumber = fingerprints && count > 1 ? withFingerprints() : Map.of();
    List<Path> shards = new ArrayList<>(List.of(first));
    for (int i = 1; i < count; i++) {
      Path plain = first.resolveSibling(name(i, fingerprints ? "-*" : ""));
      Path shard = fingerprints ? byNumber.get(i) : plain;
      if (shard == null || !Files.exists(shard)) {
        throw new FormatException(
            String.format(
                Locale.ROOT,
                "%s is missing; %s says that there are %d shards",
                plain,
                first,
                count));
      }
      shards.add(shard);
    }
    return shards;
  }

  private String name(int number, String fingerprint) {
    return String.format(
        Locale.ROOT,
        "%s%05d%s%s%s",
        name.group(1),
        number,
        name.group(3),
        fingerprint,
        name.group(5));
  }

  /** The files of the set by their numbers, whatever their fingerprints. */
  private Map<Integer, Path> withFingerprints() throws IOException {
    Map<Integer, Path> byNumber = new TreeMap<>();
    Path directory = first.toAbsolutePath().getParent();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.sorted().toList()) {
        Matcher other = SHARD.matcher(file.getFileName().toString());
        if (!other.matches()
            || other.group(4) == null
            || !List.of(1, 3, 5).stream().allMatch(i -> name.group(i).equals(other.group(i)))) {
          continue;
        }
        Path shard = first.resolveSibling(file.getFileName());
        Path earlier = byNumber.put(Integer.parseInt(other.group(2)), shard);
        if (earlier != null) {
          throw new IllegalArgumentException(
              "%s and %s are the same shard of a table; move what belongs to another one away"
                  .formatted(earlier, shard));
        }
      }
    }
    return byNumber;
  }
}
