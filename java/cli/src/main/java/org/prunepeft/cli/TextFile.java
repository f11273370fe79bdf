package org.prunepeft.cli;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.NoSuchElementException;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;

/**
 * Texts of a file, one a line; an empty line is an empty text. Read once, as they are asked for.
 */
final class TextFile implements Iterable<Example>, Closeable {
  private final String name;
  private final BufferedReader reader;
  private long line;

  private TextFile(String name, InputStream in) {
    this.name = name;
    this.reader =
        new BufferedReader(
            new InputStreamReader(
                in,
                StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)));
  }

  /** Opens a file; {@code -} is the standard input. */
  static TextFile open(Path file) {
    if (file.toString().equals("-")) {
      return new TextFile("the standard input", System.in);
    }
    try {
      return new TextFile(file.toString(), Files.newInputStream(file));
    } catch (IOException e) {
      throw new DataException("can't read %s: %s".formatted(file, Reason.of(e)), e);
    }
  }

  @Override
  public Iterator<Example> iterator() {
    return new Iterator<>() {
      private String next = read();

      @Override
      public boolean hasNext() {
        return next != null;
      }

      @Override
      public Example next() {
        if (next == null) {
          throw new NoSuchElementException();
        }
        Example example = new Example(next, null, Example.UNLABELLED);
        next = read();
        return example;
      }
    };
  }

  private String read() {
    try {
      line++;
      return reader.readLine();
    } catch (CharacterCodingException e) {
      throw new DataException(
          "%s is not UTF-8 at or soon after line %d; convert it, for example with iconv"
              .formatted(name, line),
          e);
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(name, Reason.of(e)), e);
    }
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
