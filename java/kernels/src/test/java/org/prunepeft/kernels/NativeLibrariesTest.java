package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.Directories;

/** In JavaCPP's own cache, under a name that no archive has. */
class NativeLibrariesTest {
  private static final FileTime TIME = FileTime.fromMillis(1_700_000_000_000L);
  private static final String LIBRARY = "org/any/linux/liba.so";

  @TempDir Path temporary;
  private String name;

  @BeforeEach
  void name() {
    name = "prunepeft-" + temporary.getFileName() + ".jar";
  }

  @AfterEach
  void clear() throws IOException {
    Path extracted = Loader.getCacheDir().toPath().resolve(name);
    if (Files.exists(extracted)) {
      Directories.delete(extracted);
    }
  }

  /** An archive as each build writes it: of one name, and its entries of one time. */
  private Path archive(String content) throws IOException {
    Path archive = Files.createDirectories(temporary.resolve(content)).resolve(name);
    try (OutputStream file = Files.newOutputStream(archive);
        JarOutputStream out = new JarOutputStream(file)) {
      out.putNextEntry(new JarEntry(LIBRARY).setLastModifiedTime(TIME));
      out.write(content.getBytes());
    }
    return archive;
  }

  /** What JavaCPP would load of it. */
  private static Path extracted(Path archive) throws IOException {
    return Loader.cacheResource(URI.create("jar:" + archive.toUri() + "!/" + LIBRARY).toURL())
        .toPath();
  }

  private static void forget(Path archive) throws IOException {
    try (JarFile jar = new JarFile(archive.toFile())) {
      NativeLibraries.forgetOtherBuilds(jar, "org/any/linux/", Loader.getCacheDir().toPath());
    }
  }

  @Test
  void anotherBuildOfTheSameSizeAndTimeIsNotTaken() throws IOException {
    Path first = archive("first");
    Path other = archive("other");
    forget(first);
    assertEquals("first", Files.readString(extracted(first)));
    assertEquals("first", Files.readString(extracted(other)), "JavaCPP compares size and time");
    forget(other);
    assertEquals("other", Files.readString(extracted(other)));
  }

  @Test
  void theyComeFromAnArchiveOrAFolder() throws IOException {
    Path archive = archive("first");
    assertEquals(
        Optional.of(archive),
        NativeLibraries.origin(URI.create("jar:" + archive.toUri() + "!/" + LIBRARY).toURL()));
    assertEquals(
        Optional.of(temporary.resolve("a folder")),
        NativeLibraries.origin(temporary.resolve("a folder/liba.so").toUri().toURL()));
    assertEquals(
        Optional.empty(),
        NativeLibraries.origin(URI.create("jar:http://localhost/a.jar!/" + LIBRARY).toURL()));
  }

  @Test
  void whatIsOfTheSameBuildStays() throws IOException {
    Path first = archive("first");
    Path file = extracted(first);
    FileTime time = Files.getLastModifiedTime(file);
    forget(first);
    assertEquals(time, Files.getLastModifiedTime(file));
    assertEquals("first", Files.readString(file));
  }
}
