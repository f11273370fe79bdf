package org.prunepeft.files;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What a file holds, as far as a later reader can tell whether it is the same.
 *
 * @param file its absolute path
 * @param bytes its size
 * @param sha256 SHA-256 of its content, 64 hexadecimal digits
 */
public record FileChecksum(Path file, long bytes, String sha256) {
  /**
   * Reads a file.
   *
   * @throws IOException if it can't be read
   */
  public static FileChecksum of(Path file) throws IOException {
    MessageDigest digest = digest();
    try (InputStream in = new DigestInputStream(Files.newInputStream(file), digest)) {
      long bytes = in.transferTo(OutputStream.nullOutputStream());
      return new FileChecksum(
          file.toAbsolutePath(), bytes, HexFormat.of().formatHex(digest.digest()));
    }
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
