package org.prunepeft.cli;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.prunepeft.io.internal.AtomicFile;
import org.prunepeft.io.internal.Reason;

/** Text files that a command writes: there as a whole or not at all. */
final class Outputs {
  private Outputs() {}

  /** What a file shall hold. */
  interface Content {
    void writeTo(Writer writer) throws IOException;
  }

  static void write(Path file, Content content) throws IOException {
    try {
      AtomicFile.write(
          file,
          channel -> {
            Writer writer = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
            content.writeTo(writer);
            writer.flush();
          });
    } catch (IOException e) {
      throw new IOException("can't write %s: %s".formatted(file, Reason.of(e)), e);
    }
  }
}
