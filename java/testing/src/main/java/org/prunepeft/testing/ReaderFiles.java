package org.prunepeft.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The files that readers are tested with: those that are saved, and those of the moment. */
public final class ReaderFiles {
  /** Of the moment. */
  public static final Path DIRECTORY = directory();

  /** Directories that were made below it. */
  private static final Set<Path> MADE = new HashSet<>();

  private ReaderFiles() {}

  private static Path directory() {
    try {
      return Directories.temporary();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * {@return the directory with the saved files of each reader}
   *
   * @param readers the class whose methods they are
   */
  public static Path saved(Class<?> readers) {
    try {
      return Path.of(readers.getResource(readers.getSimpleName() + "Inputs").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * {@return the names of all readers}
   *
   * @param readers the class whose methods they are
   */
  public static List<String> names(Class<?> readers) throws IOException {
    return list(saved(readers)).stream()
        .map(directory -> directory.getFileName().toString())
        .toList();
  }

  static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.sorted().toList();
    }
  }

  /** {@return a file below {@link #DIRECTORY} that now holds this} */
  public static Path put(String name, byte[] content) throws IOException {
    Path file = DIRECTORY.resolve(name);
    if (MADE.add(file.getParent())) {
      Files.createDirectories(file.getParent());
    }
    return Files.write(file, content);
  }

  /** Puts what is the same for all files of a reader. */
  public static void putOnce(String name, String content) throws IOException {
    if (!Files.exists(DIRECTORY.resolve(name))) {
      put(name, content.getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Deletes those of the moment. */
  public static void clean() {
    MADE.clear();
    if (Files.exists(DIRECTORY)) {
      Directories.delete(DIRECTORY);
    }
  }
}
