package org.prunepeft.io;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Which files were there, and when they were last written, by which is seen without reading them
 * whether they are still the same. What replaces a file, removes it or is written into it, is seen,
 * and a file that comes. Not seen is what leaves a file its size and its time, such as a second
 * write within a tick of the file system's clock, nor a file of the same size and time to which the
 * system gives the number of the removed one.
 */
public final class FileStates {
  /**
   * How a file is.
   *
   * @param key of the file itself, whatever it is called; null: the file system has none
   */
  private record State(long bytes, FileTime modified, Object key) {}

  private final Map<Path, State> states = new LinkedHashMap<>();

  /**
   * Notes how files are.
   *
   * @param files those that are not there too, if none must come
   * @throws IOException if the system does not say
   */
  public FileStates(Collection<Path> files) throws IOException {
    for (Path file : files) {
      states.put(file.toAbsolutePath(), state(file));
    }
  }

  /** Of a link that of its file; null: there is no file, or none that can be looked at. */
  private static State state(Path file) throws IOException {
    try {
      BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
      return new State(now.size(), now.lastModifiedTime(), now.fileKey());
    } catch (FileSystemException e) {
      return null;
    }
  }

  /**
   * Checks that all files are as they were, and that no others were read.
   *
   * @param read the files that were read
   * @throws IOException if one is not; names it and the remedy
   */
  public void requireUnchanged(Collection<Path> read) throws IOException {
    for (Map.Entry<Path, State> file : states.entrySet()) {
      if (!Objects.equals(file.getValue(), state(file.getKey()))) {
        throw changed(file.getKey());
      }
    }
    for (Path file : read) {
      if (!states.containsKey(file.toAbsolutePath())) {
        throw changed(file);
      }
    }
  }

  private static IOException changed(Path file) {
    return new IOException(
        "%s changed while it was read; run again once it no longer changes".formatted(file));
  }
}
