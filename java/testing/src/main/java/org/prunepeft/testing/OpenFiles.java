package org.prunepeft.testing;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What this process has open. */
public final class OpenFiles {
  private static final Path DESCRIPTORS = Path.of("/proc/self/fd");

  private OpenFiles() {}

  /**
   * {@return the files below a directory that this process has open; none where the system does not
   * list them}
   *
   * @throws IOException if the directory is not there
   */
  public static List<Path> below(Path directory) throws IOException {
    Path real = directory.toRealPath();
    List<Path> open = new ArrayList<>();
    if (!Files.isDirectory(DESCRIPTORS)) {
      return open;
    }
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(DESCRIPTORS)) {
      for (Path descriptor : descriptors) {
        try {
          Path file = Files.readSymbolicLink(descriptor);
          if (file.startsWith(real)) {
            open.add(file);
          }
        } catch (IOException e) {
          // That by which they are listed is closed by now.
        }
      }
    }
    return open;
  }
}
