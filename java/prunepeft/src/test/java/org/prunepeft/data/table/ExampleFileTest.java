package org.prunepeft.data.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.data.table.ExampleFile.Row;
import org.prunepeft.testing.OpenFiles;
import org.prunepeft.testing.TestSeed;

class ExampleFileTest {
  private static final Columns PAIRS = new Columns("premise", "hypothesis", "label", true);

  @TempDir Path temporary;

  @ParameterizedTest
  @EnumSource(value = TableFormat.class, mode = EnumSource.Mode.EXCLUDE, names = "PARQUET")
  void whatIsWrittenIsReadBackByNameAndByNumber(TableFormat format) throws IOException {
    Random random = TestSeed.random();
    List<String> lines = new ArrayList<>();
    List<List<String>> expected = new ArrayList<>();
    lines.add(line(format, List.of("id", "label", "hypothesis", "premise")));
    for (int i = 0; i < 300; i++) {
      List<String> cells = new ArrayList<>(List.of("" + i, "l" + i % 7));
      cells.add(text(random, format));
      cells.add(text(random, format));
      lines.add(line(format, cells));
      expected.add(List.of(cells.get(3), cells.get(2), cells.get(1)));
    }
    if (format == TableFormat.JSONL) {
      lines.remove(0);
    }
    String ending = random.nextBoolean() ? "\n" : "\r\n";
    String mark = random.nextBoolean() ? "\uFEFF" : "";
    Path file = temporary.resolve("pairs." + format.name().toLowerCase(java.util.Locale.ROOT));
    Files.writeString(
        file, mark + String.join(ending, lines) + (random.nextBoolean() ? ending : ""));
    assertEquals(expected, cells(file, PAIRS));
    if (format != TableFormat.JSONL) {
      assertEquals(expected, cells(file, new Columns("4", "3", "2", true)));
      Files.writeString(file, String.join(ending, lines.subList(1, lines.size())));
      assertEquals(expected, cells(file, new Columns("4", "3", "2", false)));
    }
  }

  private static List<List<String>> cells(Path file, Columns columns) {
    try (ExampleFile examples = ExampleFile.open(file, columns, true)) {
      return examples.rows().stream()
          .map(row -> List.of(row.text(), row.pair(), row.label()))
          .toList();
    }
  }

  private static String text(Random random, TableFormat format) {
    String alphabet = "aé漢🙂 \"',;\\{}[]:" + (format == TableFormat.TSV ? "" : "\t\n");
    int[] characters = alphabet.codePoints().toArray();
    StringBuilder text = new StringBuilder();
    for (int n = random.nextInt(12); n > 0; n--) {
      text.appendCodePoint(characters[random.nextInt(characters.length)]);
    }
    return text.toString();
  }

  private static String line(TableFormat format, List<String> cells) throws IOException {
    return switch (format) {
      case TSV -> String.join("\t", cells);
      case CSV ->
          String.join(
              ",", cells.stream().map(cell -> '"' + cell.replace("\"", "\"\"") + '"').toList());
      case JSONL -> {
        Map<String, String> object = new LinkedHashMap<>();
        List<String> names = List.of("id", "label", "hypothesis", "premise");
        for (int i = 0; i < cells.size(); i++) {
          object.put(names.get(i), cells.get(i));
        }
        yield new JsonMapper().writeValueAsString(object);
      }
      case PARQUET -> throw new AssertionError("ParquetTableTest is for " + format);
    };
  }

  @ParameterizedTest
  @EnumSource(value = TableFormat.class, mode = EnumSource.Mode.EXCLUDE, names = "PARQUET")
  void theFirstShardStandsForAll(TableFormat format) throws IOException {
    String ending = "." + format.name().toLowerCase(java.util.Locale.ROOT);
    List<Path> shards = new ArrayList<>();
    List<List<String>> expected = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      List<String> lines = new ArrayList<>();
      if (format != TableFormat.JSONL) {
        lines.add(line(format, List.of("id", "label", "hypothesis", "premise")));
      }
      for (int row = 0; row < i; row++) {
        lines.add(line(format, List.of("7", "x", "row " + row, "shard " + i)));
        expected.add(List.of("shard " + i, "row " + row, "x"));
      }
      Path shard = temporary.resolve("train-0000" + i + "-of-00003" + ending);
      shards.add(Files.write(shard, lines));
    }
    assertEquals(shards, ExampleFile.files(shards.get(0)));
    assertEquals(expected, cells(shards.get(0), PAIRS));
    try (ExampleFile examples = ExampleFile.open(shards.get(0), PAIRS, true)) {
      assertEquals(
          List.of(shards.get(1).toString(), shards.get(2).toString(), shards.get(2).toString()),
          examples.rows().stream().map(row -> row.place().file()).toList());
    }
    Exception e = assertThrows(IllegalArgumentException.class, () -> cells(shards.get(1), PAIRS));
    assertTrue(
        e.getMessage().contains("name the first, train-00000-of-00003" + ending), e.getMessage());
    Files.delete(shards.get(2));
    e = assertThrows(DataException.class, () -> cells(shards.get(0), PAIRS));
    assertTrue(e.getMessage().contains(shards.get(2) + " is missing"), e.getMessage());
  }

  /** Which is another for each shard. */
  @Test
  void shardsMayHaveAFingerprintBehindTheirCount() throws IOException {
    List<Path> shards = new ArrayList<>();
    for (String name : List.of("0-of-00003-9f", "1-of-00003-a3ecf92756993583", "2-of-00003-07")) {
      Path file = temporary.resolve("train-0000" + name + ".csv");
      shards.add(
          Files.writeString(file, "premise,hypothesis,label\na,b,%d\n".formatted(shards.size())));
    }
    for (String other : List.of("test-00001-of-00003-9f.csv", "train-00001-of-00002-9f.csv")) {
      Files.writeString(temporary.resolve(other), "");
    }
    assertEquals(shards, ExampleFile.files(shards.get(0)));
    assertEquals(
        List.of("0", "1", "2"),
        cells(shards.get(0), PAIRS).stream().map(cells -> cells.get(2)).toList());
    Exception e = assertThrows(IllegalArgumentException.class, () -> cells(shards.get(2), PAIRS));
    assertTrue(e.getMessage().contains("the first, train-00000-of-00003-*.csv"), e.getMessage());
    Path twice = Files.writeString(temporary.resolve("train-00001-of-00003-b.csv"), "premise\nc\n");
    e = assertThrows(IllegalArgumentException.class, () -> cells(shards.get(0), PAIRS));
    assertTrue(e.getMessage().contains(twice + " are the same shard"), e.getMessage());
    Files.delete(twice);
    Files.delete(shards.get(1));
    e = assertThrows(DataException.class, () -> cells(shards.get(0), PAIRS));
    assertTrue(e.getMessage().contains("train-00001-of-00003-*.csv is missing"), e.getMessage());
    assertTrue(e.getMessage().contains("says that there are 3 shards"), e.getMessage());
  }

  @ParameterizedTest
  @EnumSource(value = TableFormat.class, mode = EnumSource.Mode.EXCLUDE, names = "PARQUET")
  void whatGzipPackedIsReadAsIfItWereNot(TableFormat format) throws IOException {
    List<List<String>> expected = new ArrayList<>();
    List<Path> shards = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      List<String> lines = new ArrayList<>();
      if (format != TableFormat.JSONL) {
        lines.add(line(format, List.of("id", "label", "hypothesis", "premise")));
      }
      lines.add(line(format, List.of("7", "x", "漢", "shard " + i)));
      expected.add(List.of("shard " + i, "漢", "x"));
      String ending = "." + format.name().toLowerCase(java.util.Locale.ROOT) + ".gz";
      Path shard = temporary.resolve("train-0000" + i + "-of-00002" + ending);
      try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(shard))) {
        out.write(String.join("\n", lines).getBytes(StandardCharsets.UTF_8));
      }
      shards.add(shard);
    }
    assertEquals(expected, cells(shards.get(0), PAIRS));
    // Cut off, and not packed at all.
    byte[] whole = Files.readAllBytes(shards.get(1));
    Files.write(shards.get(1), java.util.Arrays.copyOf(whole, whole.length - 9));
    Exception e = assertThrows(DataException.class, () -> cells(shards.get(0), PAIRS));
    String damaged = shards.get(1) + " is no gzip file or is damaged: ";
    assertEquals(damaged + "it ends early", e.getMessage());
    Files.writeString(shards.get(1), "premise");
    e = assertThrows(DataException.class, () -> cells(shards.get(0), PAIRS));
    assertTrue(e.getMessage().startsWith(damaged), e.getMessage());
  }

  private Path packed(String name, String... parts) throws IOException {
    Path file = temporary.resolve(name);
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      for (String part : parts) {
        out.write(part.getBytes(StandardCharsets.UTF_8));
      }
    }
    return file;
  }

  /** Ten megabytes whatever it has; of more 200 times that, wherever they are packed the most. */
  @Test
  void whatGzipPackedIsReadUpToABound() throws IOException {
    // Any zlib packs it to less than a five-hundredth.
    String same = ("x".repeat(3000) + ",1\n").repeat(100);
    String head = "text,label\n";
    assertEquals(3300, read(packed("a.csv.gz", head, same.repeat(33)), Columns.DEFAULT).size());
    Path file = packed("b.csv.gz", head, same.repeat(34));
    Exception e = assertThrows(DataException.class, () -> read(file, Columns.DEFAULT));
    assertEquals(
        "%s has %,d bytes and holds more than 10,000,000, which is more than texts are packed to; if it is sound, unpack it, as with gunzip"
            .formatted(file, Files.size(file)),
        e.getMessage());
    StringBuilder other = new StringBuilder();
    for (int i = 0; i < 50_000; i++) {
      other.append(Long.toHexString(i * 0x9e3779b97f4a7c15L)).append(",0\n");
    }
    Path larger = packed("c.csv.gz", head, same.repeat(150), other.toString());
    assertEquals(65_000, read(larger, Columns.DEFAULT).size());
    assertEquals(List.of(), OpenFiles.below(temporary));
  }

  /** Its size is not known before it is read. */
  @Test
  void whatComesThroughAPipeIsBoundedByWhatHasBeenRead() throws Exception {
    StringBuilder rows = new StringBuilder("text,label\n");
    for (int i = 0; i < 40_000; i++) {
      rows.append(Long.toHexString(i * 0x9e3779b97f4a7c15L).repeat(20)).append(",0\n");
    }
    byte[] packed = Files.readAllBytes(packed("a.csv.gz", rows.toString()));
    Path pipe = temporary.resolve("b.csv.gz");
    try {
      Process made = new ProcessBuilder("mkfifo", pipe.toString()).start();
      assumeTrue(made.waitFor() == 0, "mkfifo failed");
    } catch (IOException e) {
      assumeTrue(false, "there is no mkfifo: " + e.getMessage());
    }
    FutureTask<Path> writing = new FutureTask<>(() -> Files.write(pipe, packed));
    Thread writer = new Thread(writing, "writer");
    writer.setDaemon(true);
    writer.start();
    assertEquals(40_000, read(pipe, Columns.DEFAULT).size());
    writing.get();
  }

  @Test
  void otherPackedFilesAreRefusedWithTheRemedy() {
    for (String name : List.of("a.csv.bz2", "a.jsonl.zst", "a.tsv.XZ", "a.parquet.gz")) {
      Path file = temporary.resolve(name);
      Exception e = assertThrows(IllegalArgumentException.class, () -> cells(file, PAIRS));
      assertEquals(file + " is not read: unpack it", e.getMessage());
    }
  }

  @Test
  void numbersInJsonAreReadAsWritten() throws IOException {
    List<String> numbers =
        List.of("1.0", "10.0", "0.50", "-1.0", "1e3", "1.5E-7", "0.00000001", "1e400", "12", "-3");
    String lines =
        numbers.stream()
            .map(
                one -> "{\"a\": {\"label\": 2.5}, \"text\": \"t\", \"label\": %s}\n".formatted(one))
            .collect(java.util.stream.Collectors.joining());
    Path file = Files.writeString(temporary.resolve("a.jsonl"), lines);
    assertEquals(numbers, read(file, Columns.DEFAULT).stream().map(Row::label).toList());
  }

  @Test
  void rowsKnowTheLineInWhichTheyBegin() throws IOException {
    Path file =
        Files.writeString(
            temporary.resolve("a.csv"), "text,label\n\"two\nlines\",a\n\nplain,b\n\"x\",c");
    try (ExampleFile examples = ExampleFile.open(file, Columns.DEFAULT, true)) {
      assertEquals(
          List.of(2L, 5L, 6L), examples.rows().stream().map(row -> row.place().line()).toList());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a.tsv | text;label | a.tsv has no rows",
        "a.csv | '' | a.csv is empty",
        "a.csv | ~~ | a.csv is empty",
        "a.tsv | ~   ~ | a.tsv is empty",
        "a.jsonl | '' | a.jsonl has no rows",
        "a.arrow | x | datasets.Dataset.from_file(",
        "a.csv.gz | x | no gzip file or is damaged: it ends early",
        "a.xlsx | x | save the sheet as .csv",
        "a.txt | x | rename it to end in .tsv, .csv, .jsonl or .parquet",
        "a.csv | text,label~good,1~bad | a.csv, line 3: a row must have as many columns as the first, 2, got 1",
        "a.tsv | text;label~good;1;2 | a.tsv, line 2: a row must have as many columns as the first, 2, got 3",
        "a.csv | txt,label~good,1 | unknown column 'text'; did you mean 'txt'? Known are 'txt', 'label' (or their numbers, 1 to 2); if the first line is an example already, say --header=false; --text-column names the column of the text",
        "a.csv | text;label~good;1 | cells seem to be between tabs; rename the file to end in .tsv",
        "a.tsv | text,label~good,1 | cells seem to be between commas; rename the file to end in .csv",
        "a.csv | text,klass~good,1 | --label-column names the column of the label",
        "a.csv | text,text,label~a,b,1 | two columns named 'text'; name it by its number, 1 or 2",
        "a.csv | text,label~good, | a.csv, line 2: the label, column 'label', is empty",
        "a.csv | text,label~\"good,1 | a.csv, line 2: the row is not understood as CSV: Missing closing quote",
        "a.csv | text,label~\"a\"b,1 | a.csv, line 2: the row is not understood as CSV",
        "a.jsonl | {\"text\": 1~ | a.jsonl, line 1: a JSON object is needed",
        "a.jsonl | [{\"text\": 1}] | a.jsonl, line 1: each line must be a JSON object, got array; jq -c '.[]'",
        "a.jsonl | {\"text\": \"x\", \"labl\": 1} | a.jsonl, line 1: unknown column 'label'; did you mean labl?",
        "a.jsonl | {\"text\": null, \"label\": 1} | a.jsonl, line 1: 'text' must be a text or a number, got null",
        "a.jsonl | {\"text\": [], \"label\": 1} | must be a text or a number, got an array",
        "a.jsonl | {\"text\": 1e21474836480, \"label\": 1} | a.jsonl, line 1: a number has an exponent that is out of range",
        "a.jsonl | {\"text\": \"a\", \"label\": 1}~{\"text\": \"b\\ud800c\", \"label\": 1} | a.jsonl, line 2, column 'text': half a surrogate pair, \\ud800, at character 2",
        "a.jsonl | {\"text\": \"a\\u0000\", \"label\": 1} | a.jsonl, line 1, column 'text': a NUL at character 2",
      })
  void damageIsNamedWithItsLine(String name, String content, String message) throws IOException {
    Path file = temporary.resolve(name);
    Files.writeString(file, content.replace('~', '\n').replace(';', '\t'));
    Exception e = assertThrows(RuntimeException.class, () -> read(file, Columns.DEFAULT));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
  }

  @Test
  void cellsBetweenSemicolonsAreNamed() throws IOException {
    Path file = Files.writeString(temporary.resolve("a.csv"), "text;label\ngood;1\n");
    Exception e = assertThrows(IllegalArgumentException.class, () -> read(file, Columns.DEFAULT));
    assertTrue(
        e.getMessage()
            .contains("has one column, 'text;label': cells seem to be between semicolons"),
        e.getMessage());
  }

  @Test
  void textsWithoutWordsAreRefusedOfPairsBoth() throws IOException {
    Schema schema = Schema.classification(List.of("0", "1"));
    Path text = Files.writeString(temporary.resolve("a.csv"), "text,label\ngood,1\n\" \",0\n");
    blank(text, Columns.DEFAULT, schema, "a.csv, line 3: the text, column 'text', is blank");
    Columns pairs = new Columns("text", "pair", "label", true);
    Path one = Files.writeString(temporary.resolve("a.tsv"), "text\tpair\tlabel\n\ta\t1\n");
    assertEquals(1, ExampleFile.labelled(one, pairs, schema).size());
    Path both = Files.writeString(temporary.resolve("b.tsv"), "text\tpair\tlabel\n \t\t1\n");
    blank(both, pairs, schema, "line 2: both texts, columns 'text' and 'pair', are blank");
  }

  private static void blank(Path file, Columns columns, Schema schema, String message) {
    Exception e =
        assertThrows(DataException.class, () -> ExampleFile.labelled(file, columns, schema));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void columnsOfATableWithoutAHeaderAreNumbers() throws IOException {
    Path file = Files.writeString(temporary.resolve("a.tsv"), "good\t1\n");
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> read(file, new Columns("text", null, "2", false)));
    assertTrue(e.getMessage().contains("its columns are numbers, 1 to 2"), e.getMessage());
    e =
        assertThrows(
            IllegalArgumentException.class, () -> read(file, new Columns("0", null, "2", false)));
    assertTrue(e.getMessage().contains("has the columns 1 to 2, but column 0"), e.getMessage());
  }

  @Test
  void bytesThatAreNotUtf8AndNulsAreNamedWithTheExactLine() throws IOException {
    Random random = TestSeed.random();
    for (byte[] bad :
        List.of(
            new byte[] {(byte) 0xE9},
            new byte[] {(byte) 0xED, (byte) 0xA0, (byte) 0x80},
            new byte[] {(byte) 0xC0, (byte) 0x80},
            new byte[] {0})) {
      int before = random.nextInt(20_000);
      byte[] start = ("text,label\n" + "some text,1\n".repeat(before)).getBytes();
      byte[] content = java.util.Arrays.copyOf(start, start.length + bad.length + 3);
      System.arraycopy(bad, 0, content, start.length, bad.length);
      System.arraycopy(
          ",1\n".getBytes(StandardCharsets.UTF_8), 0, content, start.length + bad.length, 3);
      Path file = Files.write(temporary.resolve("a.csv"), content);
      Exception e = assertThrows(DataException.class, () -> read(file, Columns.DEFAULT));
      String fault = bad[0] == 0 ? "has a NUL" : "is not UTF-8";
      assertTrue(
          e.getMessage().startsWith("%s, line %d: the text %s".formatted(file, before + 2, fault)),
          e.getMessage());
    }
    Path cut = Files.write(temporary.resolve("cut.csv"), new byte[] {'a', (byte) 0xC3});
    assertThrows(DataException.class, () -> read(cut, Columns.DEFAULT));
  }

  @Test
  void utf16IsNamedWhereAByteOrderMarkSaysSo() throws IOException {
    for (String mark : List.of("UTF-16LE", "UTF-16BE")) {
      byte[] bytes = "\uFEFFtext,label\ngood,1\n".getBytes(Charset.forName(mark));
      Path file = Files.write(temporary.resolve("a.csv"), bytes);
      Exception e = assertThrows(DataException.class, () -> read(file, Columns.DEFAULT));
      assertTrue(e.getMessage().contains("line 1: the text is not UTF-8"), e.getMessage());
      assertTrue(e.getMessage().endsWith("iconv -f UTF-16 -t UTF-8"), e.getMessage());
    }
    byte[] latin = "text,label\nd\u00e9j\u00e0,1\n".getBytes(StandardCharsets.ISO_8859_1);
    Path file = Files.write(temporary.resolve("a.csv"), latin);
    Exception e = assertThrows(DataException.class, () -> read(file, Columns.DEFAULT));
    assertTrue(e.getMessage().endsWith("iconv -f ISO-8859-1 -t UTF-8"), e.getMessage());
  }

  @Test
  void blankLinesBeforeTheHeaderAreNoRows() throws IOException {
    Path file = Files.writeString(temporary.resolve("a.csv"), "\n\ntext,label\ngood,1\n");
    assertEquals(List.of("good"), read(file, Columns.DEFAULT).stream().map(Row::text).toList());
  }

  @Test
  void textOfTenMegabytesIsReadInEachFormat() throws IOException {
    String text = "long word ".repeat(1 << 20);
    for (String name : List.of("a.tsv", "a.csv", "a.jsonl")) {
      String separator = name.equals("a.csv") ? "," : "\t";
      Path file = temporary.resolve(name);
      Files.writeString(
          file,
          name.equals("a.jsonl")
              ? "{\"text\": \"" + text + "\", \"label\": 1}\n"
              : "text" + separator + "label\n" + text + separator + "1\n");
      assertEquals(text, read(file, Columns.DEFAULT).get(0).text());
    }
  }

  @Test
  void absentFileAndDirectoryAreNamed() {
    Path absent = temporary.resolve("absent.csv");
    Exception e = assertThrows(DataException.class, () -> read(absent, Columns.DEFAULT));
    assertEquals("can't read " + absent + ": it does not exist", e.getMessage());
  }

  private static List<Row> read(Path file, Columns columns) {
    try (ExampleFile examples = ExampleFile.open(file, columns, true)) {
      return examples.rows();
    }
  }
}
