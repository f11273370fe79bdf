package org.prunepeft.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.security.MessageDigest;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Which build of the program runs: what its archives or folders of classes hold. */
public final class CodeChecksum {
  /** Hexadecimal digits that tell builds apart. */
  private static final int DIGITS = 16;

  private CodeChecksum() {}

  /**
   * {@return the archive or folder that a class comes from; empty: it comes from neither, such as
   * from an archive in another one}
   */
  public static Optional<Path> origin(Class<?> type) {
    return Optional.ofNullable(type.getProtectionDomain().getCodeSource())
        .map(CodeSource::getLocation)
        .filter(location -> "file".equals(location.getProtocol()))
        .map(location -> Path.of(URI.create(location.toString())));
  }

  /**
   * {@return the first digits of a SHA-256 of archives or folders, with all that lies in them}
   * Equal builds have the same, wherever they lie; an archive has another than the folder that it
   * was made of.
   *
   * @param places in an order that stays
   * @throws UncheckedIOException if they can't be read
   */
  public static String of(Collection<Path> places) {
    MessageDigest digest = FileChecksum.digest();
    places.forEach(place -> add(digest, place));
    return FileChecksum.hex(digest).substring(0, DIGITS);
  }

  private static void add(MessageDigest digest, Path place) {
    try (Stream<Path> all = Files.walk(place)) {
      List<Path> files = all.filter(Files::isRegularFile).sorted().toList();
      for (Path file : files) {
        FileChecksum checksum = FileChecksum.of(file);
        String name = place.relativize(file).toString().replace('\\', '/');
        digest.update((name + " " + checksum.sha256() + "\n").getBytes(StandardCharsets.UTF_8));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
