package org.prunepeft.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * What a file holds, as far as a later reader can check whether it is the same.
 *
 * @param file its absolute path; of a jar's entry that of the jar, with the entry's path below it
 * @param bytes its size
 * @param sha256 SHA-256 of its content, 64 hexadecimal digits
 */
public record FileChecksum(Path file, long bytes, String sha256) {
  /**
   * Checks that both are there.
   *
   * @throws IllegalArgumentException if one is null
   */
  public FileChecksum {
    if (file == null || sha256 == null) {
      throw new IllegalArgumentException("a file's checksum needs file and sha256");
    }
  }

  /**
   * Reads a file.
   *
   * @throws FormatException if it is no regular file, such as a device or a FIFO
   * @throws IOException if it can't be read
   */
  public static FileChecksum of(Path file) throws IOException {
    MessageDigest digest = digest();
    try (InputStream in =
        new DigestInputStream(Files.newInputStream(BoundedFile.regular(file)), digest)) {
      long bytes = in.transferTo(OutputStream.nullOutputStream());
      return new FileChecksum(file.toAbsolutePath(), bytes, hex(digest));
    }
  }

  /**
   * {@return the same of a file that is about to be written}
   *
   * @param content what it shall hold
   */
  public static FileChecksum of(Path file, byte[] content) {
    MessageDigest digest = digest();
    digest.update(content);
    return new FileChecksum(file.toAbsolutePath(), content.length, hex(digest));
  }

  /** {@return whether two files hold the same, whatever they are called} */
  public boolean holdsSame(FileChecksum other) {
    return bytes == other.bytes && sha256.equals(other.sha256);
  }

  /** {@return size and checksum in words, after "it has"} */
  public String content() {
    return String.format(Locale.ROOT, "%,d bytes with SHA-256 %s", bytes, sha256);
  }

  /** {@return a digest that has seen nothing yet} */
  public static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /** {@return the digest of what it has seen, 64 hexadecimal digits} */
  public static String hex(MessageDigest digest) {
    return HexFormat.of().formatHex(digest.digest());
  }
}
