package org.prunepeft.kernels;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Enumeration;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.zip.CRC32;
import org.bytedeco.javacpp.Loader;

/**
 * Loads the native libraries of this module's archive.
 *
 * <p>JavaCPP extracts an archive's libraries into its cache, and takes what is there if its size
 * and time are those of the archive's entry. All builds give their entries one time, so that equal
 * sources make equal archives, and often one size. So the cache's files of this archive's name are
 * compared by their CRC-32 too, once a process: those of another build are extracted again.
 */
final class NativeLibraries {
  private static final String LIBRARY = System.mapLibraryName("jniProcessEnvironment");

  static {
    try {
      forgetOtherBuilds();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private NativeLibraries() {}

  /**
   * Loads what a class needs.
   *
   * @param type with JavaCPP's annotations
   */
  static void load(Class<?> type) {
    Loader.load(type);
  }

  /** {@return the archive or the folder that they come from; empty: they come from neither} */
  static Optional<Path> origin() throws IOException {
    URL library = library();
    return library == null ? Optional.empty() : origin(library);
  }

  /** {@return the same of a library} */
  static Optional<Path> origin(URL library) throws IOException {
    return library.openConnection() instanceof JarURLConnection connection
        ? file(connection.getJarFileURL())
        : file(library).map(Path::getParent);
  }

  private static Optional<Path> file(URL url) {
    return "file".equals(url.getProtocol())
        ? Optional.of(Path.of(URI.create(url.toString())))
        : Optional.empty();
  }

  /** One of them; null: there is none. The archive is no part of this module, but one beside it. */
  private static URL library() {
    return NativeLibraries.class.getClassLoader().getResource(folder() + LIBRARY);
  }

  private static String folder() {
    return "%s/%s/"
        .formatted(NativeLibraries.class.getPackageName().replace('.', '/'), Loader.getPlatform());
  }

  private static void forgetOtherBuilds() throws IOException {
    URL library = library();
    if (library != null && library.openConnection() instanceof JarURLConnection connection) {
      forgetOtherBuilds(connection.getJarFile(), folder(), Loader.getCacheDir().toPath());
    }
  }

  /**
   * Lets JavaCPP extract again what its cache has of another build.
   *
   * @param folder of the archive's libraries, with a slash at its end
   * @param cache JavaCPP's
   */
  static void forgetOtherBuilds(JarFile archive, String folder, Path cache) throws IOException {
    Path extracted = cache.resolve(new File(archive.getName()).getName());
    if (Files.notExists(extracted)) {
      return;
    }
    // Both as JavaCPP does before it extracts.
    synchronized (Runtime.getRuntime()) {
      try (FileChannel channel =
              FileChannel.open(
                  cache.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
          FileLock lock = channel.lock()) {
        for (Enumeration<JarEntry> entries = archive.entries(); entries.hasMoreElements(); ) {
          JarEntry entry = entries.nextElement();
          Path file = extracted.resolve(entry.getName());
          if (entry.getName().startsWith(folder)
              && Files.isRegularFile(file)
              && Files.size(file) == entry.getSize()
              && crc(file) != entry.getCrc()
              && !file.toFile().setLastModified(0)) {
            throw new UnsatisfiedLinkError(
                file
                    + " is of another build and can't be replaced; remove it, or name another"
                    + " folder by -Dorg.bytedeco.javacpp.cachedir");
          }
        }
      }
    }
  }

  private static long crc(Path file) throws IOException {
    CRC32 crc = new CRC32();
    byte[] buffer = new byte[1 << 16];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        crc.update(buffer, 0, n);
      }
    }
    return crc.getValue();
  }
}
