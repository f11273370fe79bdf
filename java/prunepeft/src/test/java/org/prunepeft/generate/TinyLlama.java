package org.prunepeft.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A real Llama of 0.26 million parameters that tells stories: stories260K.bin and tok512.bin of the
 * llama2.c project. The environment variable PRUNEPEFT_TINY_LLAMA names the directory that they are
 * in; without it tests are skipped.
 */
public final class TinyLlama {
  private TinyLlama() {}

  /** Makes a Hugging Face directory of it in another one. */
  public static Path in(Path directory) throws IOException, InterruptedException {
    String source = System.getenv("PRUNEPEFT_TINY_LLAMA");
    assumeTrue(source != null, "PRUNEPEFT_TINY_LLAMA is not set");
    Path model = Path.of(source).resolve("stories260K.bin");
    assumeTrue(Files.exists(model), model + " is absent");
    Path target = directory.resolve("tiny-llama");
    Path script = Path.of("../llama2c-to-hugging-face").toAbsolutePath().normalize();
    Process process =
        new ProcessBuilder(
                "python3",
                script.toString(),
                model.toString(),
                model.resolveSibling("tok512.bin").toString(),
                target.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor(), output);
    return target;
  }
}
