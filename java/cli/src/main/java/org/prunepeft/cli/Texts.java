package org.prunepeft.cli;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.LineNumberReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.io.Utf8Reader;

/**
 * Texts to predict the labels of, in their order; read once, as they are asked for. Blank lines of
 * a file are no texts, whatever its format.
 */
final class Texts implements Closeable {
  /**
   * A text or a pair, without a label.
   *
   * @param id what its row is called; null: nothing
   */
  record UnlabelledText(Example example, String id) {
    static UnlabelledText at(Place place, String line) {
      return new UnlabelledText(new Example(line, null).at(place), null);
    }

    static UnlabelledText of(String text, String pair) {
      return new UnlabelledText(new Example(text, pair, Example.UNLABELLED), null);
    }
  }

  /** One after the other. */
  private interface TextSource {
    Optional<UnlabelledText> next() throws IOException;
  }

  private final String name;
  private final TextSource source;
  private final Closeable opened;

  private Texts(String name, TextSource source, Closeable opened) {
    this.name = name;
    this.source = source;
    this.opened = opened;
  }

  /** Some that are there already. */
  static Texts of(List<UnlabelledText> texts) {
    Iterator<UnlabelledText> each = texts.iterator();
    return new Texts(
        "the texts", () -> each.hasNext() ? Optional.of(each.next()) : Optional.empty(), () -> {});
  }

  /** Texts of a file, one a line. {@code -} is standard input. */
  static Texts lines(Path file) {
    boolean standard = file.toString().equals("-");
    String name = standard ? "the standard input" : file.toString();
    InputStream in;
    try {
      in = standard ? System.in : Files.newInputStream(file);
    } catch (IOException e) {
      throw DataException.unreadable(name, e);
    }
    LineNumberReader reader = new LineNumberReader(new Utf8Reader(in, name));
    return new Texts(
        name,
        () ->
            Optional.ofNullable(line(reader))
                .map(line -> UnlabelledText.at(new Place(name, reader.getLineNumber()), line)),
        reader);
  }

  /** The next that is not blank; null: there is none. */
  private static String line(BufferedReader reader) throws IOException {
    String line = reader.readLine();
    while (line != null && line.isBlank()) {
      line = reader.readLine();
    }
    return line;
  }

  /**
   * Texts in columns of a file; labels need not be there.
   *
   * @param id the column that says what a row is called; null: none
   */
  static Texts table(Path file, Columns columns, String id) {
    // What is read beside the texts is a column as any other, whether it is a label or not.
    Columns read =
        id == null ? columns : new Columns(columns.text(), columns.pair(), id, columns.header());
    ExampleFile rows = ExampleFile.open(file, read, id != null);
    return new Texts(
        file.toString(),
        () -> rows.next().map(row -> new UnlabelledText(row.unlabelled(), row.label())),
        rows::close);
  }

  /** At most so many of those that are left. */
  List<UnlabelledText> next(int limit) {
    List<UnlabelledText> texts = new ArrayList<>();
    try {
      Optional<UnlabelledText> text = source.next();
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
