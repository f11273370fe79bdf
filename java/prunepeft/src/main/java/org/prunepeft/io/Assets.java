package org.prunepeft.io;

import java.io.File;
import java.io.IOException;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.ZipFile;

/**
 * Models and data that come as files on the class path.
 *
 * <p>Java says of a damaged jar only that what is in it is absent. Someone whose download was cut
 * off needs to know which file that is, so when a resource is absent or breaks off, the jars of the
 * class path are tried one by one.
 */
public final class Assets {
  private Assets() {}

  /**
   * Opens a resource.
   *
   * @param resource its path on the class path, without a leading slash
   * @param what what it is to the user, such as {@code the model MiniLM-L6}
   * @return a stream that the caller closes; where its jar turns out to be damaged, or is not what
   *     its release holds, reading or closing throws {@link AssetException}
   * @throws AssetException if it is absent, or its jar is damaged; names the jar and the remedy
   */
  public static AssetStream open(String resource, String what) {
    return open(loader(), resource, what);
  }

  /**
   * The file that a resource is in: a jar, or the file itself.
   *
   * @param resource its path on the class path, without a leading slash
   * @return empty if it is absent or in no file of its own
   */
  public static Optional<Path> file(String resource) {
    URL url = loader().getResource(resource);
    return Optional.ofNullable(url).map(Assets::file).filter(Files::isRegularFile);
  }

  /** As {@link #open(String, String)}, from a loader of one's own. */
  public static AssetStream open(ClassLoader loader, String resource, String what) {
    URL url = loader.getResource(resource);
    if (url == null) {
      throw absent(loader, resource, what);
    }
    try {
      var connection = url.openConnection();
      // A cached jar stays open for good, and is not looked at again after it was replaced.
      connection.setUseCaches(false);
      return new AssetStream(connection, resource, what);
    } catch (IOException e) {
      throw damaged(url, resource, what, e);
    }
  }

  private static ClassLoader loader() {
    return Assets.class.getClassLoader();
  }

  private static AssetException absent(ClassLoader loader, String resource, String what) {
    var files = files(loader);
    for (Path file : files) {
      if (!Files.exists(file)) {
        continue;
      }
      try (var jar = new ZipFile(file.toFile())) {
        jar.size();
      } catch (IOException e) {
        return new AssetException(damage(file, resource, what, e), e);
      }
    }
    var missing = files.stream().filter(file -> !Files.exists(file)).map(Path::toString).toList();
    if (!missing.isEmpty()) {
      return new AssetException(
          sentence(
              "%s (%s) is not on the class path, and these files of the class path don't exist: %s;"
                  + " build again",
              what, resource, String.join(", ", missing)));
    }
    return new AssetException(
        sentence("%s (%s) is not on the class path; add the jar that holds it", what, resource));
  }

  static AssetException damaged(URL url, String resource, String what, IOException cause) {
    return new AssetException(damage(file(url), resource, what, cause), cause);
  }

  private static String damage(Path file, String resource, String what, IOException cause) {
    String reason = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    return sentence(
        "can't read %s (%s): %s is damaged (%s); delete that file and build again",
        what, resource, file, reason);
  }

  /** Formats a message with a capital first letter. */
  static String sentence(String format, Object... arguments) {
    String text = format.formatted(arguments);
    return Character.toUpperCase(text.charAt(0)) + text.substring(1);
  }

  /** The file that a resource is in. */
  static Path file(URL url) {
    try {
      if (url.openConnection() instanceof JarURLConnection jar) {
        return Path.of(jar.getJarFileURL().toURI());
      }
      return Path.of(url.toURI());
    } catch (Exception e) {
      // Not a file, such as a jar within a jar: its address has to do.
      return Path.of(url.getPath());
    }
  }

  /** The jars where a resource might have been, in the order of the class path. */
  private static Set<Path> files(ClassLoader loader) {
    var files = new LinkedHashSet<Path>();
    if (loader instanceof URLClassLoader dynamic) {
      for (URL url : dynamic.getURLs()) {
        files.add(file(url));
      }
    }
    for (String entry : System.getProperty("java.class.path", "").split(File.pathSeparator)) {
      files.add(Path.of(entry));
    }
    files.removeIf(file -> Files.isDirectory(file) || !isArchive(file));
    return files;
  }

  private static boolean isArchive(Path file) {
    return List.of(".jar", ".zip").stream().anyMatch(file.toString()::endsWith);
  }
}
