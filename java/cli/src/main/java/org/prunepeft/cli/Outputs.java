package org.prunepeft.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.text.Reason;

/** Text files that a command writes: there as a whole or not at all. */
final class Outputs {
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

  static void write(Path file, TextContent content) throws IOException {
    try {
      AtomicFile.write(
          file,
          channel -> {
            Writer writer = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
            content.writeTo(writer);
            writer.flush();
          });
    } catch (IOException e) {
      throw new IOException("can't write %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  /**
   * Writes a result to a file, and then says so on the standard output; or to that.
   *
   * @param file replaced if it is there; null or {@code -}: the standard output
   */
  static void writeResult(Path file, RequestedContent result) throws IOException {
    if (file == null || file.toString().equals("-")) {
      Writer writer = new OutputStreamWriter(System.out, StandardCharsets.UTF_8);
      result.writeTo(writer);
      writer.flush();
      if (System.out.checkError()) {
        throw new IOException("can't write to the standard output");
      }
      return;
    }
    AtomicReference<String> what = new AtomicReference<>();
    write(file, writer -> what.set(result.writeTo(writer)));
    System.out.printf("wrote %s: %s%n", file, what);
  }
}
