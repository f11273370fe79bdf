package org.prunepeft.cli;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** A stream of the process, in UTF-8, that knows why it could not be written. */
final class StandardOutput extends PrintStream {
  /** The exit code of what a closed pipe ends, as SIGPIPE's is. */
  static final int CLOSED_PIPE = 141;

  /** Of a file's mode what kind it is, and those that have a reader; as POSIX systems have them. */
  private static final int KIND = 0170000;

  private static final Set<Integer> READ_BY_ANOTHER = Set.of(0010000, 0140000);

  private final Remembering written;
  private final Path link;

  /**
   * @param number of the file descriptor, 1 or 2
   */
  StandardOutput(FileDescriptor file, int number) {
    this(new Remembering(new FileOutputStream(file)), Path.of("/proc/self/fd/" + number));
  }

  private StandardOutput(Remembering written, Path link) {
    super(new BufferedOutputStream(written), true, StandardCharsets.UTF_8);
    this.written = written;
    this.link = link;
  }

  /** Whether it can't be written since nobody reads it any more. */
  static boolean isClosedPipe(PrintStream stream) {
    return stream instanceof StandardOutput own && own.written.failure != null && own.isPipe();
  }

  /** Why a stream could not be written, where that is known. */
  static Optional<String> reason(PrintStream stream) {
    return stream instanceof StandardOutput own
        ? Optional.ofNullable(own.written.failure).map(IOException::getMessage)
        : Optional.empty();
  }

  /** Whether it is a pipe, with or without a name, or a socket. */
  private boolean isPipe() {
    if (String.valueOf(written.failure.getMessage()).matches("(?i).*broken pipe.*")) {
      return true;
    }
    try {
      int mode = (Integer) Files.getAttribute(link, "unix:mode");
      return READ_BY_ANOTHER.contains(mode & KIND);
    } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
      // Not Linux, and by what the system says it is none.
      return false;
    }
  }

  private static final class Remembering extends FilterOutputStream {
    private volatile IOException failure;

    Remembering(OutputStream out) {
      super(out);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        out.write(bytes, offset, length);
      } catch (IOException e) {
        failure = e;
        throw e;
      }
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }
  }
}
