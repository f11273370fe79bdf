package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.io.CodeChecksum;
import org.prunepeft.kernels.Kernels;

/** By the class path of this process: folders of classes, or archives once there are some. */
class EnvironmentTest {
  private static final String LIBRARY = System.mapLibraryName("prunepeft");

  @TempDir Path temporary;

  private static boolean holdsLibrary(Path place) throws IOException {
    if (Files.isDirectory(place)) {
      return holdsLibraryBelow(place);
    }
    try (FileSystem archive = FileSystems.newFileSystem(place)) {
      return holdsLibraryBelow(archive.getPath("/"));
    }
  }

  private static boolean holdsLibraryBelow(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.anyMatch(file -> file.endsWith(LIBRARY));
    }
  }

  /** A folder with what another holds, or an archive in such a one. */
  private Path copy(Path place, String name) throws IOException {
    Path folder = Files.createDirectory(temporary.resolve(name));
    if (!Files.isDirectory(place)) {
      return Files.copy(place, folder.resolve(place.getFileName()));
    }
    try (Stream<Path> files = Files.list(place)) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    return folder;
  }

  private static String checksum(Path nativeCode) {
    Path own = Kernels.nativeCode().orElseThrow();
    List<Path> places =
        Environment.code().stream().map(place -> place.equals(own) ? nativeCode : place).toList();
    assertTrue(places.contains(nativeCode), places::toString);
    return CodeChecksum.of(places);
  }

  @Test
  void theBuildsChecksumIsOfTheNativeLibrariesToo() throws IOException {
    Path own = Kernels.nativeCode().orElseThrow();
    assertTrue(holdsLibrary(own), own::toString);
    String build = Environment.versions().get("prunepeft_build");
    assertEquals(build, checksum(copy(own, "same")));
    Path other = copy(own, "other");
    Path changed = Files.isDirectory(other) ? other.resolve(LIBRARY) : other;
    byte[] content = Files.readAllBytes(changed);
    content[content.length / 2] ^= 1;
    Files.write(changed, content);
    assertNotEquals(build, checksum(other));
  }
}
