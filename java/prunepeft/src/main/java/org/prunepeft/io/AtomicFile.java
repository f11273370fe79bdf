package org.prunepeft.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

/** Writes files that are either there as a whole or not there. */
public final class AtomicFile {
  /** Writes what a file shall hold. */
  @FunctionalInterface
  public interface Content {
    /** Writes all of it. */
    void writeTo(FileChannel channel) throws IOException;
  }

  /** A directory that Linux opens and never syncs, and says so in the words of its locale. */
  private static final Path NEVER_SYNCED = Path.of("/proc/self");

  /** What other systems say of a directory that can be opened and not synced, in English. */
  private static final Pattern UNSUPPORTED =
      Pattern.compile(
          "(?i).*(invalid argument|not supported|not implemented|bad file descriptor).*");

  /** Partial files of {@link #write}, of which a shut-down removes what there is. */
  private static final Set<Path> BEING_WRITTEN = ConcurrentHashMap.newKeySet();

  /**
   * Guarded by those, as renaming is, so that a process that is told to end has all or none of
   * several.
   */
  private static boolean ending;

  private AtomicFile() {}

  /** What {@link #beside} has written; removed where {@link #put} has not renamed it. */
  public static final class Written implements AutoCloseable {
    private final Path file;

    /** Null: nothing is to be renamed. */
    private final Path partial;

    private boolean renamed;

    private Written(Path file, Path partial) {
      this.file = file;
      this.partial = partial;
    }

    /**
     * Removes it if it is not in its place.
     *
     * @throws IOException if it can't be removed
     */
    @Override
    public void close() throws IOException {
      if (partial == null) {
        return;
      }
      try {
        if (!renamed) {
          Files.deleteIfExists(partial);
        }
      } finally {
        BEING_WRITTEN.remove(partial);
      }
    }
  }

  /**
   * Writes a neighbour of the file, then renames it over the file; both are on the disk when it
   * returns. On failure the neighbour is gone and the file is as it was, unless the disk could not
   * keep the new name. A file that is replaced leaves its permissions to the new one, before
   * anything is written.
   *
   * <p>What is there and no regular file, such as a device, a FIFO or a pipe, is written to and
   * stays what it is. A symbolic link stays too: the file that it names is written.
   *
   * <p>An interrupt of the thread does not end it.
   *
   * @param file where to; replaced if it is there
   * @param content asked again where an interrupt has ended its writing
   * @throws NoSuchFileException if the directory that it is to be in is absent; names that
   * @throws IOException if it can't be written
   */
  public static void write(Path file, Content content) throws IOException {
    try (Written written = beside(file, content)) {
      put(List.of(written));
    }
  }

  /**
   * Writes the neighbour of a file alone, as {@link #write} does. For several files that are of no
   * use one without the other: all of them are written before the first is in its place.
   *
   * @param file where {@link #put} brings it; what is there and no regular file is written to at
   *     once
   * @param content asked again where an interrupt has ended its writing
   * @return to be closed
   * @throws NoSuchFileException if the directory that it is to be in is absent; names that
   * @throws IOException if it can't be written; nothing is left of it
   */
  public static Written beside(Path file, Content content) throws IOException {
    if (isOpenedAsItIs(file)) {
      // By the name that was given: a pipe's link, such as /dev/stdout, names no file.
      try (var channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        content.writeTo(channel);
      }
      return new Written(file, null);
    }
    if (Files.isSymbolicLink(file)) {
      return beside(named(file), content);
    }
    Path name = file.getFileName();
    if (name == null || Files.isDirectory(file)) {
      throw new FileSystemException(
          file.toString(), null, "it is a directory; name a file, in it or elsewhere");
    }
    Path directory = file.getParent();
    if (directory != null && Files.notExists(directory)) {
      throw new NoSuchFileException(directory.toString());
    }
    // Not Files.createTempFile, which hides the file from everyone else.
    Path partial =
        file.resolveSibling("." + name + "." + ProcessHandle.current().pid() + ".partial");
    Written written = new Written(file, partial);
    BEING_WRITTEN.add(partial);
    try {
      Uninterrupted.run(() -> writePartial(file, partial, content));
      return written;
    } catch (Throwable e) {
      try {
        written.close();
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /**
   * Renames files that were written beside their places over these; the disk has all of them when
   * it returns. A process that is told to end meanwhile has renamed all or none.
   *
   * @throws IOException if one can't be renamed, or if the disk could not keep the new names; where
   *     one can't be renamed, those before it that replaced nothing are gone
   */
  public static void put(List<Written> files) throws IOException {
    synchronized (BEING_WRITTEN) {
      if (ending) {
        throw new IOException("this process is ending");
      }
      List<Path> added = new ArrayList<>();
      try {
        for (Written one : files) {
          if (one.partial != null) {
            boolean absent = Files.notExists(one.file);
            Files.move(one.partial, one.file, StandardCopyOption.ATOMIC_MOVE);
            one.renamed = true;
            if (absent) {
              added.add(one.file);
            }
          }
        }
      } catch (IOException e) {
        for (Path file : added) {
          try {
            Files.deleteIfExists(file);
          } catch (IOException suppressed) {
            e.addSuppressed(suppressed);
          }
        }
        throw e;
      }
    }
    Set<Path> directories = new LinkedHashSet<>();
    for (Written one : files) {
      if (one.partial != null) {
        directories.add(one.file.toAbsolutePath().getParent());
      }
    }
    for (Path directory : directories) {
      forceDirectory(directory);
    }
  }

  private static void writePartial(Path file, Path partial, Content content) throws IOException {
    try (var channel = open(partial)) {
      keepPermissions(file, partial);
      content.writeTo(channel);
      channel.force(true);
    }
  }

  /** {@return whether {@link #write} writes to what a name leads to, in place of replacing it} */
  private static boolean isOpenedAsItIs(Path file) {
    return Files.exists(file) && !Files.isRegularFile(file) && !Files.isDirectory(file);
  }

  /** None is made once those that there are have been removed. */
  private static FileChannel open(Path partial) throws IOException {
    synchronized (BEING_WRITTEN) {
      if (ending) {
        throw new IOException("this process is ending");
      }
      // New: it may be a link in a directory that came from elsewhere, or what a killed process
      // left.
      Files.deleteIfExists(partial);
      return FileChannel.open(partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }
  }

  /** Gives a new file the permissions of the one that it is to replace. */
  private static void keepPermissions(Path file, Path partial) throws IOException {
    var older = Files.getFileAttributeView(file, PosixFileAttributeView.class);
    var newer = Files.getFileAttributeView(partial, PosixFileAttributeView.class);
    if (older == null || newer == null) {
      return;
    }
    Set<PosixFilePermission> permissions;
    try {
      permissions = older.readAttributes().permissions();
    } catch (NoSuchFileException e) {
      return;
    }
    if (!newer.readAttributes().permissions().equals(permissions)) {
      newer.setPermissions(permissions);
    }
  }

  /**
   * Removes what this process has written so far of files that it is writing with {@link #write},
   * which writes no more. For a process that has been told to end and does not wait for them.
   */
  public static void abandon() {
    synchronized (BEING_WRITTEN) {
      ending = true;
      for (Path partial : BEING_WRITTEN) {
        try {
          Files.deleteIfExists(partial);
        } catch (IOException e) {
          // The process ends anyway, and the others are yet to be removed.
        }
      }
    }
  }

  /**
   * Writes a file that is not there yet. Of several that do so at once, on other machines that see
   * the directory too, one has written it when all have returned.
   *
   * @param content whole there or not at all where the file system has hard links, otherwise as
   *     {@link #holds} finds it; unlike that of any other
   * @return whether the file is this one; if not, another is there
   * @throws IOException if it can't be written
   */
  public static boolean create(Path file, byte[] content) throws IOException {
    UUID unique = UUID.randomUUID();
    Path whole =
        file.resolveSibling(
            String.format(
                Locale.ROOT,
                ".%s.%d.partial",
                file.getFileName(),
                unique.getMostSignificantBits() >>> 1));
    try {
      writeNew(whole, content);
      try {
        // A link fails where a file is, which a rename replaces.
        Files.createLink(file, whole);
      } catch (FileAlreadyExistsException e) {
        // Or the answer of a file server was lost: its content tells.
      } catch (UnsupportedOperationException | FileSystemException e) {
        // There are no links, or whoever was faster has removed what was partial.
        writeNew(file, content);
      }
      boolean done = holds(file, content);
      if (done) {
        forceNew(file);
      }
      return done;
    } catch (FileAlreadyExistsException e) {
      return false;
    } finally {
      Files.deleteIfExists(whole);
    }
  }

  /** On failure a file that is this one's is gone, as if it had never been made. */
  private static void forceNew(Path file) throws IOException {
    try {
      forceDirectory(file.toAbsolutePath().getParent());
    } catch (IOException e) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  private static boolean holds(Path file, byte[] content) throws IOException {
    try {
      return Arrays.equals(Files.readAllBytes(file), content);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static void writeNew(Path file, byte[] content) throws IOException {
    // Made once, and written again where an interrupt ends the writing.
    Files.createFile(file);
    Uninterrupted.run(
        () -> {
          try (var channel =
              FileChannel.open(
                  file, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)) {
            writeFully(channel, ByteBuffer.wrap(content));
            channel.force(true);
          }
        });
  }

  /**
   * Has the disk keep what a directory lists, such as a file that was renamed into it.
   *
   * @param directory where the system opens or syncs no directories, nothing is done
   * @throws IOException if the disk can't
   */
  public static void forceDirectory(Path directory) throws IOException {
    forceDirectory(directory, NEVER_SYNCED);
  }

  /**
   * The same.
   *
   * @param never one that can't be synced, from which it is learnt how the system says so
   */
  static void forceDirectory(Path directory, Path never) throws IOException {
    Uninterrupted.run(() -> forceOnce(directory, never));
  }

  private static void forceOnce(Path directory, Path never) throws IOException {
    FileChannel opened;
    try {
      opened = FileChannel.open(directory, StandardOpenOption.READ);
    } catch (IOException e) {
      // Not every system opens directories; those that don't keep the order of such changes.
      return;
    }
    try (opened) {
      opened.force(true);
    } catch (ClosedByInterruptException e) {
      throw e;
    } catch (IOException e) {
      String why = e.getMessage();
      if (why == null || !UNSUPPORTED.matcher(why).matches() && !why.equals(refusal(never))) {
        throw new FileSystemException(directory.toString(), null, why);
      }
    }
  }

  /** What the system says where it does not sync a directory; null: it does, or is not asked. */
  static String refusal(Path directory) {
    if (!Files.isDirectory(directory)) {
      return null;
    }
    try (var opened = FileChannel.open(directory, StandardOpenOption.READ)) {
      opened.force(true);
      return null;
    } catch (IOException e) {
      return e.getMessage();
    }
  }

  /**
   * Removes what a process that was killed has left of files that it was writing.
   *
   * @param directory where they are
   * @throws IOException if one can't be removed
   */
  public static void removePartial(Path directory) throws IOException {
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        if (isPartial(file)) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /** {@return whether a file is what {@link #removePartial} removes, by its name} */
  public static boolean isPartial(Path file) {
    return file.getFileName().toString().matches("\\..+\\.[0-9]+\\.partial");
  }

  /** What a link names, at last; of one that names nothing yet, what it would name. */
  private static Path named(Path link) throws IOException {
    try {
      // Refuses links that name each other.
      return link.toRealPath();
    } catch (NoSuchFileException e) {
      return link.resolveSibling(Files.readSymbolicLink(link));
    }
  }

  public static void write(Path file, byte[] content) throws IOException {
    write(file, channel -> writeFully(channel, ByteBuffer.wrap(content)));
  }

  /**
   * Appends bytes to a file, which is made if it is not there. An interrupt of the thread does not
   * end it.
   *
   * @throws IOException if writing fails; the file is then as it was, if possible
   */
  public static void append(Path file, byte[] bytes) throws IOException {
    long size = Files.exists(file) ? Files.size(file) : 0;
    Uninterrupted.run(
        () -> {
          try (var channel =
              FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            append(channel, size, ByteBuffer.wrap(bytes));
          }
        });
  }

  private static void append(FileChannel channel, long size, ByteBuffer bytes) throws IOException {
    try {
      writeFully(channel.truncate(size).position(size), bytes);
    } catch (IOException e) {
      try {
        channel.truncate(size);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /** Writes all that is left of the bytes, where the channel stands. */
  public static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
