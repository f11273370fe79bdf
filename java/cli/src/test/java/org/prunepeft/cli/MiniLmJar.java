package org.prunepeft.cli;

import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/** The jar of the model MiniLM on this process's class path. */
final class MiniLmJar {
  private MiniLmJar() {}

  static Optional<Path> find() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(Path::of)
        .filter(path -> path.toString().endsWith(".jar"))
        .filter(path -> path.getFileName().toString().contains("all-minilm-l6-v2"))
        .findFirst();
  }
}
