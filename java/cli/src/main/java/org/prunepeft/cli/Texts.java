package org.prunepeft.cli;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.io.Utf8Reader;

/** Texts to predict the labels of, in their order; read once, as they are asked for. */
final class Texts implements Closeable {
  /** One after the other. */
  private interface Rows {
    Optional<Example> next() throws IOException;
  }

  private final String name;
  private final Rows source;
  private final Closeable opened;

  private Texts(String name, Rows source, Closeable opened) {
    this.name = name;
    this.source = source;
    this.opened = opened;
  }

  /** Texts of a file, one a line; an empty line is an empty text. {@code -} is standard input. */
  static Texts lines(Path file) {
    boolean standard = file.toString().equals("-");
    String name = standard ? "the standard input" : file.toString();
    InputStream in;
    try {
      in = standard ? System.in : Files.newInputStream(file);
    } catch (IOException e) {
      throw DataException.unreadable(name, e);
    }
    BufferedReader reader = new BufferedReader(new Utf8Reader(in, name));
    return new Texts(
        name,
        () ->
            Optional.ofNullable(reader.readLine())
                .map(line -> new Example(line, null, Example.UNLABELLED)),
        reader);
  }

  /** Texts in columns of a file; labels need not be there. */
  static Texts table(Path file, Columns columns) {
    ExampleFile rows = ExampleFile.open(file, columns, false);
    return new Texts(
        file.toString(), () -> rows.next().map(ExampleFile.Row::unlabelled), rows::close);
  }

  /** At most so many of those that are left. */
  List<Example> next(int limit) {
    List<Example> texts = new ArrayList<>();
    try {
      Optional<Example> text = source.next();
      while (text.isPresent()) {
        texts.add(text.get());
        text = texts.size() < limit ? source.next() : Optional.empty();
      }
    } catch (IOException e) {
      throw DataException.unreadable(name, e);
    }
    return texts;
  }

  @Override
  public void close() throws IOException {
    opened.close();
  }
}
