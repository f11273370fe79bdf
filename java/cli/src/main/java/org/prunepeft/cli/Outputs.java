package org.prunepeft.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.report.RunStatus;
import org.prunepeft.text.Reason;

/** Text files that a command writes: there as a whole or not at all. */
final class Outputs {
  private static final Path STANDARD_OUTPUT = Path.of("/dev/stdout");

  /** Where the files that this process has open are, by their numbers. */
  private static final Path DESCRIPTORS = Path.of("/dev/fd");

  /** Links that name each other end somewhere. */
  private static final int MOST_LINKS = 40;

  private Outputs() {}

  /** The text that a file shall hold. */
  interface TextContent {
    void writeTo(Writer writer) throws IOException;
  }

  /** What the user asked for. */
  interface RequestedContent {
    /** Writes all of it, and returns what it was in a few words. */
    String writeTo(Writer writer) throws IOException;
  }

  /** Writes a file, or the standard output if that is what the name says. */
  static void write(Path file, TextContent content) throws IOException {
    if (namesStandardOutput(file)) {
      writeStandardOutput(content);
      return;
    }
    try {
      AtomicFile.write(file, encoded(content));
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /** Writes a file beside its place, into which {@link AtomicFile#put} brings it. */
  private static AtomicFile.Written beside(Path file, TextContent content) throws IOException {
    try {
      return AtomicFile.beside(file, encoded(content));
    } catch (IOException e) {
      throw unwritten(file, e);
    }
  }

  /** Brings files into their places that were written beside these. */
  interface Placing {
    void put(List<AtomicFile.Written> written) throws IOException;
  }

  /**
   * Writes files that are of no use one without the other: all are beside their places before the
   * first comes into its own. Where one can't be written, nothing is left of the others.
   *
   * @param files what each shall hold
   * @param placing calls {@link AtomicFile#put}
   */
  static void writeTogether(Map<Path, String> files, Placing placing) throws IOException {
    List<AtomicFile.Written> written = new ArrayList<>();
    try {
      for (Map.Entry<Path, String> file : files.entrySet()) {
        written.add(beside(file.getKey(), writer -> writer.write(file.getValue())));
      }
      placing.put(written);
    } finally {
      for (AtomicFile.Written one : written) {
        one.close();
      }
    }
  }

  private static AtomicFile.Content encoded(TextContent content) {
    return channel -> {
      // Not Channels.newWriter, which takes no notice of bytes that a write has left over.
      Writer writer =
          new BufferedWriter(
              new OutputStreamWriter(Channels.newOutputStream(channel), StandardCharsets.UTF_8));
      content.writeTo(writer);
      writer.flush();
    };
  }

  static IOException unwritten(Path file, IOException cause) {
    return new IOException("can't write %s: %s".formatted(file, Reason.of(file, cause)), cause);
  }

  /**
   * Writes a result to a file, and then says so on the standard output, unless that is where it
   * went; or to the standard output.
   *
   * @param file replaced if it is there; null, {@code -} or a name such as {@code /dev/stdout}: the
   *     standard output, behind what a file that it was redirected to has
   * @throws ClosedPipeException if nobody reads the standard output any more
   * @throws IOException if it can't be written; of the standard output as soon as the writer is
   *     flushed
   */
  static void writeResult(Path file, RequestedContent result) throws IOException {
    if (file == null || file.toString().equals("-") || namesStandardOutput(file)) {
      writeStandardOutput(result::writeTo);
      return;
    }
    boolean said = isStandardOutput(file);
    AtomicReference<String> what = new AtomicReference<>();
    write(file, writer -> what.set(result.writeTo(writer)));
    if (!said) {
      System.out.printf("wrote %s: %s%n", file, what);
    }
  }

  /**
   * Refuses to replace a file that is read.
   *
   * @param output what is to be written; null or {@code -}: the standard output
   * @param input null or {@code -}: none
   * @throws IllegalArgumentException if both are the same file, by whatever name
   */
  static void requireOther(Path output, Path input) {
    if (isSameFile(output, input)) {
      throw new IllegalArgumentException(
          "%s is a file that this command reads, and would be replaced by what it writes; name another file to write"
              .formatted(output));
    }
  }

  /**
   * Refuses to replace a file of a run, or one of the data and the model that it was made from.
   *
   * @param output what is to be written; null or {@code -}: the standard output
   * @param run its directory; may be absent
   * @throws IllegalArgumentException if the file is one that the run wrote or read, by whatever
   *     name
   */
  static void requireNoneOf(Path output, Path run) {
    for (Path file : RunStatus.files(run)) {
      if (isSameFile(output, file)) {
        throw new IllegalArgumentException(
            "%s is a file of the run %s, which would be damaged; name another file to write"
                .formatted(output, run));
      }
    }
    if (!isFile(output)) {
      return;
    }
    for (Path file : RunStatus.sources(run)) {
      if (isSameFile(output, file)) {
        throw new IllegalArgumentException(
            "%s is a file of the data or the model that the run %s was made from; name another file to write"
                .formatted(output, run));
      }
    }
  }

  private static boolean isSameFile(Path output, Path input) {
    try {
      return isFile(output) && isFile(input) && Files.isSameFile(output, input);
    } catch (IOException e) {
      // One of the two has gone.
      return false;
    }
  }

  private static boolean isFile(Path named) {
    return named != null && !named.toString().equals("-") && Files.isRegularFile(named);
  }

  private static void writeStandardOutput(TextContent content) throws IOException {
    Writer writer = new OutputStreamWriter(new CheckedOutput(System.out), StandardCharsets.UTF_8);
    content.writeTo(writer);
    writer.flush();
  }

  /**
   * Whether a name is one of the standard output: {@code /dev/stdout}, {@code /dev/fd/1} or what
   * links to these, and not a file that it was redirected to.
   */
  private static boolean namesStandardOutput(Path file) {
    try {
      Path descriptors = Files.exists(DESCRIPTORS) ? DESCRIPTORS.toRealPath() : DESCRIPTORS;
      Path one = file.toAbsolutePath();
      for (int i = 0; i < MOST_LINKS && one.getParent() != null; i++) {
        Path parent = one.getParent().toRealPath();
        one = parent.resolve(one.getFileName());
        if (one.equals(STANDARD_OUTPUT) || one.equals(descriptors.resolve("1"))) {
          return true;
        }
        if (!Files.isSymbolicLink(one)) {
          return false;
        }
        one = parent.resolve(Files.readSymbolicLink(one));
      }
      return false;
    } catch (IOException e) {
      // It is in no directory that can be read.
      return false;
    }
  }

  /** Whether a name leads to where the standard output goes. */
  private static boolean isStandardOutput(Path file) {
    try {
      return Files.isSameFile(file, STANDARD_OUTPUT);
    } catch (IOException e) {
      // One of the two is not there.
      return false;
    }
  }

  /** Writes to a print stream, which keeps its errors to itself until it is asked. */
  private static final class CheckedOutput extends OutputStream {
    private final PrintStream out;

    CheckedOutput(PrintStream out) {
      this.out = out;
    }

    @Override
    public void write(int b) throws IOException {
      out.write(b);
      check();
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      out.write(bytes, offset, length);
      check();
    }

    @Override
    public void flush() throws IOException {
      check();
    }

    /** Flushes too. */
    private void check() throws IOException {
      if (!out.checkError()) {
        return;
      }
      if (StandardOutput.isClosedPipe(out)) {
        throw new ClosedPipeException();
      }
      throw new IOException(
          "can't write to the standard output"
              + StandardOutput.reason(out).map(": "::concat).orElse(""));
    }
  }
}
