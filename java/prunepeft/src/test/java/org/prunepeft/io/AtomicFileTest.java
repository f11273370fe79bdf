package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.testing.FailingWrites;

class AtomicFileTest {
  private static final byte[] CONTENT = {1, 2, 3};

  private static final AtomicFile.Content CONTENT_OF_FILE =
      channel -> AtomicFile.writeFully(channel, ByteBuffer.wrap(CONTENT));

  @TempDir Path directory;

  private List<String> names() throws IOException {
    try (var files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void fileIsReplacedAndNothingElseIsLeft() throws IOException {
    Path file = directory.resolve("file");
    AtomicFile.write(file, new byte[] {9});
    AtomicFile.write(file, CONTENT);
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
    assertEquals(List.of("file"), names());
  }

  @Test
  void anInterruptEndsNoWritingAndIsThereAfterwards() throws IOException {
    Path file = directory.resolve("file");
    Thread.currentThread().interrupt();
    AtomicFile.write(file, CONTENT);
    assertTrue(Thread.interrupted());
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
    Thread.currentThread().interrupt();
    AtomicFile.append(file, new byte[] {4});
    assertTrue(Thread.interrupted());
    assertArrayEquals(new byte[] {1, 2, 3, 4}, Files.readAllBytes(file));
    Thread.currentThread().interrupt();
    assertTrue(AtomicFile.create(directory.resolve("new"), CONTENT));
    assertTrue(Thread.interrupted());
    assertEquals(List.of("file", "new"), names());
  }

  @Test
  void anInterruptAmidAWritingHasItWrittenAgain() throws IOException {
    Path file = directory.resolve("file");
    AtomicInteger times = new AtomicInteger();
    AtomicFile.write(
        file,
        channel -> {
          AtomicFile.writeFully(channel, ByteBuffer.wrap(CONTENT, 0, 2));
          if (times.incrementAndGet() == 1) {
            Thread.currentThread().interrupt();
          }
          AtomicFile.writeFully(channel, ByteBuffer.wrap(CONTENT, 2, 1));
        });
    assertTrue(Thread.interrupted());
    assertEquals(2, times.get());
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
  }

  @Test
  void failureLeavesTheFileAsItWas() throws IOException {
    Path file = directory.resolve("file");
    AtomicFile.write(file, CONTENT);
    assertThrows(
        IOException.class,
        () ->
            AtomicFile.write(
                file,
                channel -> {
                  throw new IOException("no more");
                }));
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
    assertEquals(List.of("file"), names());
  }

  /** The first two writes are renames. */
  @Test
  void whereOneOfSeveralCannotBeRenamedNewOnesAreGone() throws IOException {
    Path first = directory.resolve("first");
    Path second = Files.write(directory.resolve("second"), new byte[] {9});
    FailingWrites failing = new FailingWrites();
    for (int failed : new int[] {2, 0}) {
      try (var one = AtomicFile.beside(failing.at(first), CONTENT_OF_FILE);
          var other = AtomicFile.beside(failing.at(second), CONTENT_OF_FILE)) {
        assertEquals(3, names().size());
        failing.failAt(failed, false);
        if (failed == 0) {
          AtomicFile.put(List.of(one, other));
        } else {
          assertThrows(IOException.class, () -> AtomicFile.put(List.of(one, other)));
        }
        failing.stop();
      }
      assertEquals(failed == 0 ? List.of("first", "second") : List.of("second"), names());
      assertArrayEquals(failed == 0 ? CONTENT : new byte[] {9}, Files.readAllBytes(second));
    }
    assertArrayEquals(CONTENT, Files.readAllBytes(first));
  }

  @Test
  void theFileThatIsReplacedLeavesItsPermissions() throws IOException {
    Path file = directory.resolve("file");
    AtomicFile.write(file, CONTENT);
    assumeTrue(Files.getFileStore(file).supportsFileAttributeView("posix"), "needs permissions");
    for (String permissions : List.of("rw-------", "rw-rw-rw-", "r--------", "rwxr-x---")) {
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
      AtomicFile.write(
          file,
          channel -> {
            Path partial =
                directory.resolve(
                    names().stream().filter(name -> name.endsWith(".partial")).findFirst().get());
            assertEquals(permissions, permissions(partial));
            channel.write(ByteBuffer.wrap(CONTENT));
          });
      assertEquals(permissions, permissions(file));
    }
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  /** In whichever language: what is said of another directory that can't be synced is no error. */
  @Test
  void whatTheSystemSaysOfDirectoriesItNeverSyncsIsPassedOver() throws IOException {
    FailingWrites failing = new FailingWrites();
    Path failed = failing.at(directory);
    failing.failAt(1, true);
    AtomicFile.forceDirectory(failed, failed);
    IOException e =
        assertThrows(IOException.class, () -> AtomicFile.forceDirectory(failed, directory));
    assertTrue(e.getMessage().contains(FailingWrites.REASON), e.getMessage());
    Path never = Path.of("/proc/self");
    assumeTrue(Files.isDirectory(never), "needs Linux's /proc");
    assertNotNull(AtomicFile.refusal(never));
    AtomicFile.forceDirectory(never);
  }

  /** A file system whose directories can't be synced. */
  @Test
  void aDirectoryThatCannotBeSyncedIsSaid() throws IOException {
    FailingWrites failing = new FailingWrites();
    Path failed = failing.at(directory);
    failing.failAt(1, false);
    IOException e = assertThrows(IOException.class, () -> AtomicFile.forceDirectory(failed));
    assertTrue(e.getMessage().contains(FailingWrites.REASON), e.getMessage());
    assertTrue(e.getMessage().contains(directory.toString()), e.getMessage());
    AtomicFile.forceDirectory(directory.resolve("absent"));
    // Made, linked, its own name synced: the file is gone where the last of these fails.
    for (int write = 1; Files.notExists(directory.resolve("new")); write++) {
      failing.failAt(write, false);
      boolean done = false;
      try {
        done = AtomicFile.create(failed.resolve("new"), CONTENT);
      } catch (IOException expected) {
        assertEquals(List.of(), names(), "write " + write);
      }
      failing.stop();
      assertEquals(done, Files.exists(directory.resolve("new")));
    }
  }

  @Test
  void linkStaysAndTheFileThatItNamesIsWritten() throws IOException {
    Path file = directory.resolve("file");
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("file"));
    AtomicFile.write(link, CONTENT);
    assertTrue(Files.isSymbolicLink(link));
    assertFalse(Files.isSymbolicLink(file));
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
  }

  @Test
  void linkThatNamesNothingYetMakesTheFile() throws IOException {
    Path second = Files.createSymbolicLink(directory.resolve("second"), Path.of("file"));
    Path link = Files.createSymbolicLink(directory.resolve("link"), second);
    AtomicFile.write(link, CONTENT);
    assertTrue(Files.isSymbolicLink(link));
    assertTrue(Files.isSymbolicLink(second));
    assertArrayEquals(CONTENT, Files.readAllBytes(directory.resolve("file")));
  }

  @Test
  void linksThatNameEachOtherAreRefused() throws IOException {
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("other"));
    Files.createSymbolicLink(directory.resolve("other"), Path.of("link"));
    assertThrows(IOException.class, () -> AtomicFile.write(link, CONTENT));
    assertEquals(List.of("link", "other"), names());
  }

  @Test
  void fifoStaysAndIsWrittenTo() throws Exception {
    Path fifo = directory.resolve("fifo");
    Process made;
    try {
      made = new ProcessBuilder("mkfifo", fifo.toString()).start();
    } catch (IOException e) {
      assumeTrue(false, "there is no mkfifo: " + e.getMessage());
      return;
    }
    assumeTrue(made.waitFor() == 0, "mkfifo failed");
    CompletableFuture<byte[]> read =
        CompletableFuture.supplyAsync(
            () -> {
              ByteArrayOutputStream bytes = new ByteArrayOutputStream();
              // From JDK 21 on readAllBytes asks for the position, which a FIFO has not.
              try (InputStream in = Files.newInputStream(fifo)) {
                for (int next = in.read(); next >= 0; next = in.read()) {
                  bytes.write(next);
                }
              } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
              }
              return bytes.toByteArray();
            });
    AtomicFile.write(fifo, CONTENT);
    assertArrayEquals(CONTENT, read.get(10, TimeUnit.MINUTES));
    assertEquals(List.of("fifo"), names());
  }

  /** Of two that make a file the first has, and leaves nothing else. */
  private static void checkCreation(Path where) throws IOException {
    Path file = where.resolve("file");
    assertTrue(AtomicFile.create(file, CONTENT));
    assertFalse(AtomicFile.create(file, new byte[] {9}));
    assertArrayEquals(CONTENT, Files.readAllBytes(file));
    try (var files = Files.list(where)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void whatIsCreatedIsNotReplaced() throws IOException {
    checkCreation(directory);
  }

  @Test
  void aFileSystemWithoutLinksWillDo() throws IOException {
    Path zip = directory.resolve("a.zip");
    try (FileSystem files = FileSystems.newFileSystem(zip, Map.of("create", "true"))) {
      Path where = Files.createDirectory(files.getPath("/run"));
      assertThrows(
          UnsupportedOperationException.class,
          () -> Files.createLink(where.resolve("link"), where.resolve("file")));
      checkCreation(where);
    }
  }

  /** In a directory that came from elsewhere, or that a killed process has left. */
  @Test
  void whatIsInThePlaceOfThePartialFileIsNotWritten() throws IOException {
    Path mine = Files.writeString(directory.resolve("mine"), "mine");
    Path partial = directory.resolve(".file." + ProcessHandle.current().pid() + ".partial");
    Files.createSymbolicLink(partial, mine);
    AtomicFile.write(directory.resolve("file"), CONTENT);
    assertEquals("mine", Files.readString(mine));
    assertArrayEquals(CONTENT, Files.readAllBytes(directory.resolve("file")));
    assertEquals(List.of("file", "mine"), names());
  }

  /** A path by which this is called before a file of the name of a partial one is made. */
  private static Path before(Path path, Runnable made) {
    return (Path)
        Proxy.newProxyInstance(
            Path.class.getClassLoader(),
            new Class<?>[] {Path.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("getFileSystem") && path.toString().endsWith("partial")) {
                made.run();
              }
              try {
                Object result = method.invoke(path, arguments);
                return result instanceof Path other ? before(other, made) : result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  /** As a signal does while a file is about to be written. */
  @Test
  void noPartialFileIsMadeOnceAProcessHasRemovedThem() throws Exception {
    // Of its own, since it writes nothing more then.
    URL classes = AtomicFile.class.getProtectionDomain().getCodeSource().getLocation();
    try (URLClassLoader own =
        new URLClassLoader(new URL[] {classes}, ClassLoader.getPlatformClassLoader())) {
      Class<?> files = own.loadClass(AtomicFile.class.getName());
      Thread ending =
          new Thread(
              () -> {
                try {
                  files.getMethod("abandon").invoke(null);
                } catch (ReflectiveOperationException e) {
                  throw new IllegalStateException(e);
                }
              });
      AtomicInteger asked = new AtomicInteger();
      Path file =
          before(
              new FailingWrites().at(directory.resolve("file")),
              () -> {
                if (asked.getAndIncrement() == 0) {
                  ending.start();
                  wait(ending, 1000);
                }
              });
      List<String> found = new ArrayList<>();
      Class<?> content = own.loadClass(AtomicFile.Content.class.getName());
      Object writing =
          Proxy.newProxyInstance(
              own,
              new Class<?>[] {content},
              (proxy, method, arguments) -> {
                wait(ending, 0);
                found.addAll(names());
                return null;
              });
      assertThrows(
          InvocationTargetException.class,
          () -> files.getMethod("write", Path.class, content).invoke(null, file, writing));
      assertTrue(asked.get() > 0);
      assertEquals(List.of(), found);
      assertEquals(List.of(), names());
    }
  }

  private static void wait(Thread thread, long millis) {
    try {
      thread.join(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
