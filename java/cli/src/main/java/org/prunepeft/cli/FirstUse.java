package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Loads the classes that commands begin with, by use: for the launcher, which has the virtual
 * machine keep them in an archive.
 */
final class FirstUse {
  private FirstUse() {}

  public static void main(String[] arguments) throws IOException {
    Path directory = Files.createTempDirectory("prunepeft");
    Main.execute(Main.commandLine(), "doctor");
    Main.execute(
        Main.commandLine(),
        "train",
        "--train-examples=32",
        "--validation-examples=32",
        "--test-examples=32",
        "--epochs=1",
        "--output=" + directory.resolve("run"));
    delete(directory);
    System.exit(0);
  }

  private static void delete(Path directory) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.walk(directory)) {
      files = all.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path file : files) {
      Files.delete(file);
    }
  }
}
