package org.prunepeft.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A real Llama of 0.26 million parameters that tells stories: stories260K.bin and tok512.bin of the
 * llama2.c project, among the tests' resources.
 */
public final class TinyLlama {
  private static final Path SOURCE = Path.of("src/test/resources/org/prunepeft/tiny-llama");

  private TinyLlama() {}

  /**
   * Makes a Hugging Face directory of it in another one, by the script that the project has for
   * this; without a python3 the test is skipped.
   */
  public static Path in(Path directory) throws IOException, InterruptedException {
    assumeTrue(hasPython(), "there is no python3, which the conversion needs");
    Path target = directory.resolve("tiny-llama");
    Path script = Path.of("../llama2c-to-hugging-face").toAbsolutePath().normalize();
    Process process =
        new ProcessBuilder(
                "python3",
                script.toString(),
                SOURCE.resolve("stories260K.bin").toString(),
                SOURCE.resolve("tok512.bin").toString(),
                target.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor(), output);
    return target;
  }

  private static boolean hasPython() {
    return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, "python3")));
  }
}
