package org.prunepeft.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example for newer JDKs, by one that is found. */
class KernelsOnSegmentsTest {
  private static final Path SOURCE =
      Path.of("src/foreign/java/org/prunepeft/examples/KernelsOnSegments.java");
  private static final Pattern VERSION = Pattern.compile("JAVA_VERSION=\"(\\d+)");

  @TempDir Path temporary;

  /** This JDK, or the first beside it that has java.lang.foreign. */
  private static Optional<Path> jdk() throws IOException {
    Path own = Path.of(System.getProperty("java.home")).toRealPath();
    try (Stream<Path> beside = Files.list(own.getParent())) {
      return Stream.concat(Stream.of(own), beside.sorted())
          .filter(directory -> Files.isExecutable(directory.resolve("bin/javac")))
          .filter(directory -> version(directory.resolve("release")) >= 22)
          .findFirst();
    }
  }

  private static int version(Path release) {
    try {
      Matcher version = VERSION.matcher(Files.exists(release) ? Files.readString(release) : "");
      return version.find() ? Integer.parseInt(version.group(1)) : 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void kernelsMultiplySegments() throws IOException, InterruptedException {
    Optional<Path> jdk = jdk();
    assumeTrue(jdk.isPresent(), "no JDK 22 or newer beside " + System.getProperty("java.home"));
    String classPath =
        Stream.of("jdk.module.path", "java.class.path")
            .map(System::getProperty)
            .filter(path -> path != null && !path.isEmpty())
            .collect(Collectors.joining(File.pathSeparator));
    Path errors = temporary.resolve("errors");
    Path printed = temporary.resolve("printed");
    Process process =
        new ProcessBuilder(
                jdk.get().resolve("bin/java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                classPath,
                SOURCE.toString())
            .redirectOutput(printed.toFile())
            .redirectError(errors.toFile())
            .start();
    try {
      assertTrue(process.waitFor(10, TimeUnit.MINUTES), () -> text(errors));
    } finally {
      process.destroyForcibly();
    }
    assertEquals("y 4.0 8.0 11.5 20.0\n", text(printed), () -> text(errors));
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
