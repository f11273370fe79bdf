package org.prunepeft.io.internal;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;

/** Why a file can't be read or written, in words: Java's messages are often just a path. */
public final class Reason {
  private Reason() {}

  /** What hinders the reading or writing of a file. */
  public static String of(IOException e) {
    if (e instanceof NoSuchFileException missing) {
      return missing.getFile() + " does not exist";
    }
    if (e instanceof AccessDeniedException denied) {
      return denied.getFile() + " must not be read or written by this user";
    }
    if (e instanceof NotDirectoryException file) {
      return file.getFile() + " is not a directory";
    }
    if (e instanceof FileSystemException other && other.getReason() != null) {
      return other.getReason();
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
