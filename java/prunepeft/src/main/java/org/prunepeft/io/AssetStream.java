package org.prunepeft.io;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.zip.CRC32;
import java.util.zip.ZipException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A resource of a jar. Names the jar when reading from it fails, when the resource ends with
 * another checksum than the jar says, or when it is not what the release of that name holds.
 *
 * <p>A jar of another name, as of another release or a program's own, may hold something else: that
 * is said once in the log.
 */
public final class AssetStream extends InputStream {
  private static final Logger LOG = LoggerFactory.getLogger(AssetStream.class);
  private static final Set<Path> SAID = ConcurrentHashMap.newKeySet();

  private final InputStream in;
  private final URL url;
  private final OptionalLong expectedCrc;
  private final CRC32 crc = new CRC32();
  private final MessageDigest sha256 = FileChecksum.digest();
  private final String resource;
  private final String what;
  private long bytes;

  /** Null: the end was not met yet. */
  private FileChecksum whole;

  AssetStream(URLConnection connection, String resource, String what) throws IOException {
    this.in = connection.getInputStream();
    this.url = connection.getURL();
    // The class library compares checksums only when it reads a jar as a stream.
    this.expectedCrc =
        connection instanceof JarURLConnection jar && jar.getJarEntry() != null
            ? OptionalLong.of(jar.getJarEntry().getCrc())
            : OptionalLong.empty();
    this.resource = resource;
    this.what = what;
  }

  @Override
  public int read() {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) {
    try {
      int count = in.read(target, offset, length);
      if (count > 0) {
        bytes += count;
        crc.update(target, offset, count);
        sha256.update(target, offset, count);
      } else if (count < 0 && whole == null) {
        ended();
      }
      return count;
    } catch (IOException e) {
      throw Assets.damaged(url, resource, what, e);
    }
  }

  private void ended() throws IOException {
    if (expectedCrc.isPresent() && expectedCrc.getAsLong() != crc.getValue()) {
      throw new ZipException("checksum differs");
    }
    Path file = Assets.file(url);
    Path name = file.endsWith(resource) ? file : file.resolve(resource);
    whole = new FileChecksum(name.toAbsolutePath(), bytes, FileChecksum.hex(sha256));
    Pins.Pin pin = Pins.of(resource);
    if (pin == null || pin.sha256().equals(whole.sha256())) {
      return;
    }
    if (file.endsWith(pin.jar())) {
      throw new AssetException(
          Assets.sentence(
              "%s (%s) is not that of the release: %s has it with SHA-256 %s, expected %s; delete that file and build again, or, if the change was made on purpose, give the jar another name",
              what, resource, file, whole.sha256(), pin.sha256()));
    }
    if (SAID.add(whole.file())) {
      LOG.warn(
          "{} ({}) of {} is another than that of {}, which this version was made with: results may differ",
          what,
          resource,
          file,
          pin.jar());
    }
  }

  /**
   * {@return what the whole resource holds; reads it to its end}
   *
   * @throws AssetException as reading does
   */
  public FileChecksum checksum() {
    byte[] rest = new byte[1 << 16];
    while (whole == null) {
      read(rest, 0, rest.length);
    }
    return whole;
  }

  /** Reads to the end first, so that nothing is taken that is not what it should be. */
  @Override
  public void close() throws IOException {
    try {
      checksum();
    } finally {
      in.close();
    }
  }
}
