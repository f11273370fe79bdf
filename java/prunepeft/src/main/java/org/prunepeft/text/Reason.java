package org.prunepeft.text;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** Why a file can't be read or written, in words: Java's messages are often just a path. */
public final class Reason {
  private Reason() {}

  /**
   * {@return what hinders the reading or writing of a file} Names what is in the way, unless it is
   * the file itself.
   *
   * @param file as the message names it that the reason is put into
   * @param e why reading or writing failed
   */
  public static String of(Object file, IOException e) {
    String place = "it";
    if (e instanceof FileSystemException other
        && other.getFile() != null
        && !other.getFile().equals(file.toString())) {
      place = other.getFile();
    }
    if (e instanceof NoSuchFileException) {
      return place + " does not exist";
    }
    if (e instanceof AccessDeniedException) {
      return place + " must not be read or written by this user; choose another or change its mode";
    }
    if (e instanceof FileAlreadyExistsException || e instanceof NotDirectoryException) {
      return place + " exists and is not a directory";
    }
    if (e instanceof FileSystemException other && other.getReason() != null) {
      return other.getReason();
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
