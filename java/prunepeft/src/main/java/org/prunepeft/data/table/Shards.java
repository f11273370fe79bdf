package org.prunepeft.data.table;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.io.FormatException;

/**
 * Sets of files that are one table, {@code train-00000-of-00003.parquet} as Hugging Face's hub has
 * them; the first stands for all.
 */
final class Shards {
  private static final Pattern SHARD = Pattern.compile("(.*-)(\\d{5})(-of-)(\\d{5})(\\.[^.]*)");

  private Shards() {}

  /**
   * The file, or it and those of its set.
   *
   * @throws FormatException if one is missing
   * @throws IllegalArgumentException if it is one of a set, but not the first
   */
  static List<Path> of(Path first) throws IOException {
    Matcher name = SHARD.matcher(first.getFileName().toString());
    if (!name.matches()) {
      return List.of(first);
    }
    if (Integer.parseInt(name.group(2)) != 0) {
      throw new IllegalArgumentException(
          "%s is one shard of several; name the first, %s00000-of-%s%s, and all are read"
              .formatted(first, name.group(1), name.group(4), name.group(5)));
    }
    List<Path> shards = new ArrayList<>();
    for (int i = 0; i < Math.max(1, Integer.parseInt(name.group(4))); i++) {
      Path shard =
          first.resolveSibling(
              String.format(
                  Locale.ROOT, "%s%05d-of-%s%s", name.group(1), i, name.group(4), name.group(5)));
      if (i > 0 && !Files.exists(shard)) {
        throw new FormatException(
            String.format(
                Locale.ROOT,
                "%s is missing; %s says that there are %d shards",
                shard,
                first,
                Integer.parseInt(name.group(4))));
      }
      shards.add(shard);
    }
    return shards;
  }
}
