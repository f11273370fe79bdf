package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CodeChecksumTest {
  @TempDir Path directory;

  /** Any class that needs no other. */
  static final class Loaded {}

  private static byte[] content() throws IOException {
    try (InputStream in =
        CodeChecksumTest.class.getResourceAsStream("CodeChecksumTest$Loaded.class")) {
      return in.readAllBytes();
    }
  }

  private static String checksum(Path place) throws Exception {
    try (URLClassLoader loader =
        new URLClassLoader(
            new URL[] {place.toUri().toURL()}, ClassLoader.getPlatformClassLoader())) {
      Path origin = CodeChecksum.origin(loader.loadClass(Loaded.class.getName())).orElseThrow();
      assertEquals(place, origin);
      return CodeChecksum.of(List.of(origin));
    }
  }

  private Path folder(String name, String other) throws IOException {
    Path file =
        directory.resolve(name).resolve(Loaded.class.getName().replace('.', '/') + ".class");
    Files.createDirectories(file.getParent());
    Files.write(file, content());
    Files.writeString(file.resolveSibling("library.so"), other);
    return directory.resolve(name);
  }

  private Path archive(String name, String other) throws IOException {
    Path file = directory.resolve(name);
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(file))) {
      out.putNextEntry(new JarEntry(Loaded.class.getName().replace('.', '/') + ".class"));
      out.write(content());
      JarEntry library = new JarEntry("library.so");
      library.setTime(0);
      out.putNextEntry(library);
      out.write(other.getBytes(StandardCharsets.UTF_8));
    }
    return file;
  }

  @Test
  void equalBuildsHaveTheSameWhereverTheyLie() throws Exception {
    String first = checksum(folder("first folder", "native code"));
    assertEquals(first, checksum(folder("second", "native code")));
    assertNotEquals(first, checksum(folder("third", "other native code")));
  }

  @Test
  void archivesCountByWhatTheyHold() throws Exception {
    Path one = archive("one.jar", "native code");
    Path copy = Files.createDirectory(directory.resolve("elsewhere")).resolve("one.jar");
    Files.copy(one, copy);
    assertEquals(checksum(one), checksum(copy));
    assertNotEquals(checksum(one), checksum(archive("two.jar", "other code")));
  }

  /** Those of the JDK come from no file. */
  @Test
  void someClassesComeFromNoFile() {
    assertEquals(Optional.empty(), CodeChecksum.origin(String.class));
  }
}
