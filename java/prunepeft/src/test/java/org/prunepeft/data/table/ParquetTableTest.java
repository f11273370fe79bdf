package org.prunepeft.data.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.apache.parquet.ParquetReadOptions;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ParquetProperties.WriterVersion;
import org.apache.parquet.compression.CompressionCodecFactory;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroupFactory;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.Util;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.FileTask;
import org.prunepeft.testing.OpenFiles;
import org.prunepeft.testing.TestSeed;

class ParquetTableTest {
  private static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          """
          message schema {
            optional binary sentence1 (STRING);
            optional binary sentence2 (STRING);
            optional int64 label;
            optional double score;
            optional boolean flag;
            optional group tokens (LIST) { repeated group list { optional int32 element; } }
          }""");
  private static final Columns PAIRS = new Columns("sentence1", "sentence2", "label", true);

  @TempDir Path temporary;

  private final Random random = TestSeed.random();

  /** By which values are encoded in other ways. */
  private WriterVersion version = WriterVersion.PARQUET_1_0;

  private Group row(String first, String second, long label) {
    Group row = new SimpleGroupFactory(SCHEMA).newGroup();
    row.add("sentence1", first);
    row.add("sentence2", second);
    row.add("label", label);
    row.add("score", label / 4.0);
    row.add("flag", label % 2 == 0);
    row.addGroup("tokens").addGroup("list").add("element", 3);
    return row;
  }

  private Path write(String name, CompressionCodecName codec, List<Group> rows) throws IOException {
    return write(name, codec, rows, Map.of());
  }

  private Path write(
      String name, CompressionCodecName codec, List<Group> rows, Map<String, String> metadata)
      throws IOException {
    Path file = temporary.resolve(name);
    var builder =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withType(SCHEMA)
            .withExtraMetaData(metadata)
            .withRowGroupSize(30_000L)
            .withPageSize(500)
            .withWriterVersion(version)
            .withDictionaryEncoding(random.nextBoolean());
    if (codec == CompressionCodecName.GZIP) {
      builder.withCodecFactory(new Own(true));
    }
    try (ParquetWriter<Group> writer = builder.withCompressionCodec(codec).build()) {
      for (Group row : rows) {
        writer.write(row);
      }
    }
    return file;
  }

  @ParameterizedTest
  @EnumSource
  void listsAndGroupsAreValues(WriterVersion version) throws IOException {
    MessageType type =
        MessageTypeParser.parseMessageType(
            """
            message schema {
              optional group messages (LIST) {
                repeated group list {
                  optional group element {
                    optional binary role (STRING);
                    optional binary content (STRING);
                    optional group numbers (LIST) { repeated int64 array; }
                  }
                }
              }
              optional double score;
            }""");
    Path file = temporary.resolve("a.parquet");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withType(type)
            .withWriterVersion(version)
            .build()) {
      Group row = new SimpleGroupFactory(type).newGroup();
      Group messages = row.addGroup("messages");
      Group first = messages.addGroup("list").addGroup("element");
      first.add("role", "user");
      Group numbers = first.addGroup("numbers");
      numbers.add("array", 1L);
      numbers.add("array", 2L);
      messages.addGroup("list").addGroup("element").add("content", "ö");
      writer.write(row);
      writer.write(new SimpleGroupFactory(type).newGroup());
    }
    List<String> rows =
        ExampleFile.values(
            file, List.of("score", "messages"), (place, values) -> place.line() + ": " + values);
    assertEquals(
        List.of(
            "1: [null, [{\"role\":\"user\",\"numbers\":[1,2]}, {\"content\":\"ö\"}]]",
            "2: [null, null]"),
        rows.stream().map(row -> row.replace("},{", "}, {")).toList());
  }

  private static List<List<String>> cells(Path file, Columns columns) {
    try (ExampleFile examples = ExampleFile.open(file, columns, true)) {
      return examples.rows().stream()
          .map(
              row ->
                  row.pair() == null
                      ? List.of(row.text(), row.label())
                      : List.of(row.text(), row.pair(), row.label()))
          .toList();
    }
  }

  private String text() {
    int[] alphabet = "aé漢🙂 \"',;\t\n".codePoints().toArray();
    StringBuilder text = new StringBuilder();
    for (int i = random.nextInt(40); i >= 0; i--) {
      text.appendCodePoint(alphabet[random.nextInt(alphabet.length)]);
    }
    return text.toString();
  }

  @ParameterizedTest
  @EnumSource(
      value = CompressionCodecName.class,
      names = {"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4_RAW"})
  void whatIsWrittenIsReadBack(CompressionCodecName codec) throws IOException {
    List<Group> rows = new ArrayList<>();
    List<List<String>> expected = new ArrayList<>();
    for (int i = 0; i < 1500; i++) {
      String first = text();
      String second = text();
      rows.add(row(first, second, i % 3));
      expected.add(List.of(first, second, "" + i % 3));
    }
    for (WriterVersion one : WriterVersion.values()) {
      version = one;
      Path file = write(one + ".parquet", codec, rows);
      assertEquals(expected, cells(file, PAIRS));
      assertEquals("0.5", cells(file, new Columns("sentence1", null, "score", true)).get(2).get(1));
      assertEquals(
          "false", cells(file, new Columns("sentence1", null, "flag", true)).get(1).get(1));
    }
  }

  /** Differences of equal numbers, which take five bytes a block of 128. */
  @Test
  void aPageThatClaimsMoreValuesThanItsBytesHoldIsRefused() throws IOException {
    MessageType type =
        MessageTypeParser.parseMessageType("message schema { required int64 label; }");
    Path file = temporary.resolve("equal.parquet");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withType(type)
            .withWriterVersion(WriterVersion.PARQUET_2_0)
            .withDictionaryEncoding(false)
            .build()) {
      for (int i = 0; i < 17_000; i++) {
        writer.write(new SimpleGroupFactory(type).newGroup().append("label", 7L));
      }
    }
    List<String> column = List.of("label");
    List<String> rows = ExampleFile.values(file, column, (place, values) -> values.toString());
    assertEquals(17_000, rows.size());
    assertEquals("[7]", rows.get(16_999));
    byte[] bytes = Files.readAllBytes(file);
    byte[] count = {(byte) 0x80, 1, 4, (byte) (17_000 | 0x80), (byte) (17_000 >> 7 | 0x80), 1};
    int place = 0;
    while (!Arrays.equals(bytes, place, place + count.length, count, 0, count.length)) {
      place++;
    }
    bytes[place + 3] = bytes[place + 4] = (byte) 0xFF;
    bytes[place + 5] = 0x7F;
    Files.write(file, bytes);
    String message =
        assertThrows(
                DataException.class,
                () -> ExampleFile.values(file, column, (line, values) -> values.toString()))
            .getMessage();
    assertTrue(message.contains("a page claims 2097151 values in a row, its bytes"), message);
  }

  /** The text is what each codec makes least of, close to what its format can. */
  @ParameterizedTest
  @CsvSource({"UNCOMPRESSED, 1", "SNAPPY, 22", "GZIP, 1032", "ZSTD, 32768", "LZ4_RAW, 255"})
  void aPageThatIsToBecomeMoreThanItsCodecGivesIsRefused(CompressionCodecName codec, int times)
      throws IOException {
    String text = "a".repeat(1_200_000);
    Path file = write("long.parquet", codec, List.of(row(text, "b", 1)));
    assertEquals(text, cells(file, PAIRS).get(0).get(0));
    int start;
    var options = ParquetReadOptions.builder().build();
    try (var reader = ParquetFileReader.open(new LocalInputFile(file), options)) {
      start = (int) reader.getRowGroups().get(0).getColumns().get(0).getStartingPos();
    }
    byte[] bytes = Files.readAllBytes(file);
    var in = new ByteArrayInputStream(bytes, start, bytes.length - start);
    PageHeader page = Util.readPageHeader(in);
    int length = bytes.length - start - in.available();
    int claimed = times * page.getCompressed_page_size() + 1;
    var header = new ByteArrayOutputStream();
    Util.writePageHeader(page.setUncompressed_page_size(claimed), header);
    assertEquals(length, header.size(), "as long as it was");
    System.arraycopy(header.toByteArray(), 0, bytes, start, length);
    Files.write(file, bytes);
    String message = message(DataException.class, file, PAIRS);
    String reason =
        "a page of %d bytes by %s is to become %d, at most %d are possible"
            .formatted(page.getCompressed_page_size(), codec, claimed, claimed - 1);
    assertTrue(message.contains(reason), message);
    assertEquals(List.of(), OpenFiles.below(temporary));
  }

  private static final MessageType TEXTS =
      MessageTypeParser.parseMessageType(
          "message schema { optional binary text (STRING); optional group list (LIST) { repeated group list { optional binary element (STRING); } } }");

  /** Each text once in a file, however many rows have it. */
  private Path texts(CompressionCodecName codec, List<Group> rows) throws IOException {
    Path file = temporary.resolve("texts.parquet");
    Files.deleteIfExists(file);
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withType(TEXTS)
            .withCompressionCodec(codec)
            .build()) {
      for (Group row : rows) {
        writer.write(row);
      }
    }
    return file;
  }

  private static Group text(String text) {
    return new SimpleGroupFactory(TEXTS).newGroup().append("text", text);
  }

  private static List<String> values(Path file, String column) {
    return ExampleFile.values(file, List.of(column), (place, row) -> row.get(0).toString());
  }

  private static void holdsTooMuch(Path file, String column) throws IOException {
    String message = assertThrows(DataException.class, () -> values(file, column)).getMessage();
    String reason =
        "%s has %,d bytes and holds more than %,d, which is more than texts are packed to; if it is sound, write it as .csv"
            .formatted(file, Files.size(file), Math.max(10_000_000, 200 * Files.size(file)));
    assertTrue(message.contains(reason), message);
    assertEquals(List.of(), OpenFiles.below(file.getParent()));
  }

  /** 180 and 250 times what the file has. */
  @Test
  void aTextThatAFileHasAgainAndAgainIsReadUpToABound() throws IOException {
    String text = "a".repeat(100_000);
    List<Group> rows = new ArrayList<>();
    Group list = text("b");
    Group elements = list.addGroup("list");
    for (int i = 0; i < 180; i++) {
      rows.add(text(text));
      elements.addGroup("list").add("element", text);
    }
    assertEquals(180, values(texts(CompressionCodecName.UNCOMPRESSED, rows), "text").size());
    for (int i = 0; i < 70; i++) {
      rows.add(text(text));
      elements.addGroup("list").add("element", text);
    }
    holdsTooMuch(texts(CompressionCodecName.UNCOMPRESSED, rows), "text");
    holdsTooMuch(texts(CompressionCodecName.UNCOMPRESSED, List.of(list)), "list");
  }

  @Test
  void pagesAreReadUpToABoundWhateverTheirCodecGives() throws IOException {
    Group row = text("a".repeat(9_000_000));
    assertEquals(1, values(texts(CompressionCodecName.ZSTD, List.of(row)), "text").size());
    row = text("a".repeat(11_000_000));
    Path file = texts(CompressionCodecName.ZSTD, List.of(row));
    holdsTooMuch(file, "text");
    // What is not read may have any size.
    assertEquals(List.of("null"), values(file, "list"));
    assertEquals(List.of("text", "list"), ExampleFile.columns(file));
  }

  /** By some bytes for a hundred thousand of them. */
  @Test
  void rowsOfEqualValuesAreReadUpToABound() throws IOException {
    Group row = text("a");
    Path file = texts(CompressionCodecName.UNCOMPRESSED, Collections.nCopies(300_000, row));
    assertEquals(300_000, values(file, "text").size());
    file = texts(CompressionCodecName.UNCOMPRESSED, Collections.nCopies(320_000, row));
    holdsTooMuch(file, "text");
  }

  /** A footer may claim any number; of nulls none would be missed. */
  @Test
  void aRowGroupOfMoreRowsThanValuesIsRefused() throws IOException {
    Path file =
        texts(CompressionCodecName.UNCOMPRESSED, List.of(new SimpleGroupFactory(TEXTS).newGroup()));
    assertEquals(List.of("null"), values(file, "text"));
    for (long rows : new long[] {2, 1L << 40, -1}) {
      byte[] bytes = Files.readAllBytes(file);
      int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(bytes.length - 8);
      int from = bytes.length - 8 - length;
      FileMetaData footer = Util.readFileMetaData(new ByteArrayInputStream(bytes, from, length));
      footer.getRow_groups().get(0).setNum_rows(rows);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      out.write(bytes, 0, from);
      Util.writeFileMetaData(footer, out);
      byte[] end = new byte[8];
      ByteBuffer.wrap(end)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(out.size() - from)
          .put("PAR1".getBytes(StandardCharsets.US_ASCII));
      out.writeBytes(end);
      Files.write(file, out.toByteArray());
      String message = assertThrows(DataException.class, () -> values(file, "text")).getMessage();
      assertTrue(message.contains("a column is to have %d rows, ".formatted(rows)), message);
    }
  }

  @Test
  void aColumnThatNeedNotBeThereIsEmptyWhereItIsNot() throws IOException {
    Group lacking = new SimpleGroupFactory(SCHEMA).newGroup();
    lacking.add("sentence1", "c");
    Path file =
        write("lacking.parquet", CompressionCodecName.SNAPPY, List.of(row("a", "b", 0), lacking));
    List<String> columns = List.of("none", "sentence2", "sentence1");
    assertEquals(
        List.of(List.of("", "b", "a"), List.of("", "", "c")),
        ExampleFile.cells(
            file, columns, Set.of("none", "sentence2"), true, (place, cells) -> cells));
    assertEquals(
        List.of("[null,\"b\",\"a\"]", "[null,null,\"c\"]"),
        ExampleFile.values(
            file, columns, Set.of("none"), (place, values) -> values.toString().replace(" ", "")));
  }

  @Test
  void theFirstShardStandsForAll() throws IOException {
    Path first = null;
    for (int i = 2; i >= 0; i--) {
      first =
          write(
              "train-0000" + i + "-of-00003.parquet",
              CompressionCodecName.SNAPPY,
              List.of(row("shard " + i, "a", 0), row("again", "b", 1)));
    }
    List<String> texts = cells(first, PAIRS).stream().map(cells -> cells.get(0)).toList();
    assertEquals(List.of("shard 0", "again", "shard 1", "again", "shard 2", "again"), texts);
    Path second = temporary.resolve("train-00001-of-00003.parquet");
    assertTrue(
        message(IllegalArgumentException.class, second, PAIRS)
            .contains("name the first, train-00000-of-00003.parquet"));
    Files.delete(second);
    assertTrue(message(DataException.class, first, PAIRS).contains(second + " is missing"));
  }

  private static <E extends Exception> String message(Class<E> type, Path file, Columns columns) {
    return assertThrows(type, () -> cells(file, columns)).getMessage();
  }

  @Test
  void whatIsNoTextAndNoNumberIsRefused() throws IOException {
    Group empty = new SimpleGroupFactory(SCHEMA).newGroup();
    empty.add("sentence1", "a");
    empty.add("sentence2", "b");
    Path file = write("nulls.parquet", CompressionCodecName.ZSTD, List.of(row("a", "b", 1), empty));
    String message = message(DataException.class, file, PAIRS);
    assertTrue(message.contains("row 2: 'label' must be a text or a number, got null"), message);
    message =
        message(IllegalArgumentException.class, file, new Columns("tokens", null, "label", true));
    assertTrue(message.contains("column 'tokens' must hold texts, numbers"), message);
    message =
        message(
            IllegalArgumentException.class, file, new Columns("sentense1", null, "label", true));
    assertTrue(message.contains("unknown column 'sentense1'"), message);
    assertEquals(List.of(), OpenFiles.below(temporary));
    Group bad = row("a", "b", 1);
    Group bytes = new SimpleGroupFactory(SCHEMA).newGroup();
    bytes.add("sentence1", Binary.fromConstantByteArray(new byte[] {'a', (byte) 0xff}));
    bytes.add("sentence2", "b");
    bytes.add("label", 1L);
    file = write("bytes.parquet", CompressionCodecName.SNAPPY, List.of(bad, bytes));
    message = message(DataException.class, file, PAIRS);
    assertTrue(message.contains("row 2: 'sentence1' is not UTF-8"), message);
  }

  /** Writes pages by the JDK's gzip, or as they are, whatever the file says. */
  private record Own(boolean gzip) implements CompressionCodecFactory {
    @Override
    public BytesInputCompressor getCompressor(CompressionCodecName codec) {
      return new BytesInputCompressor() {
        @Override
        public BytesInput compress(BytesInput bytes) throws IOException {
          if (!gzip) {
            return bytes;
          }
          ByteArrayOutputStream compressed = new ByteArrayOutputStream();
          try (OutputStream out = new GZIPOutputStream(compressed)) {
            bytes.writeAllTo(out);
          }
          return BytesInput.from(compressed.toByteArray());
        }

        @Override
        public CompressionCodecName getCodecName() {
          return codec;
        }

        @Override
        public void release() {}
      };
    }

    @Override
    public BytesInputDecompressor getDecompressor(CompressionCodecName codec) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void release() {}
  }

  private static final String CLASSES =
      """
      {"info": {"features": {
        "sentence1": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["positive", "neutral", "negative"], "_type": "ClassLabel"}}}}""";

  @Test
  void numbersOfClassesAreReadAsTheirNamesInTheirOrder() throws IOException {
    List<Group> rows = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      rows.add(row("text " + i, "pair", i % 2 * 2));
    }
    Map<String, String> metadata = Map.of("huggingface", CLASSES);
    Path train = write("train.parquet", CompressionCodecName.SNAPPY, rows, metadata);
    assertEquals("negative", cells(train, PAIRS).get(1).get(2));
    // Of the three one has no example; the alphabet would order the others otherwise.
    FileTask task =
        new FileTask(new DataFiles(train, null, null, PAIRS, TaskKind.CLASSIFICATION, List.of()));
    Dataset dataset = task.load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(List.of("positive", "negative"), dataset.schema().labels());
    for (Example example : dataset.train()) {
      assertEquals(Integer.parseInt(example.text().substring(5)) % 2, (int) example.target());
    }
    // Labels that are kept back stay what they are; a class without a name is none.
    Path test =
        write("test.parquet", CompressionCodecName.ZSTD, List.of(row("a", "b", -1)), metadata);
    assertEquals("-1", cells(test, PAIRS).get(0).get(2));
    test = write("more.parquet", CompressionCodecName.ZSTD, List.of(row("a", "b", 3)), metadata);
    String message = message(DataException.class, test, PAIRS);
    assertTrue(message.contains("row 1: 'label' must be the number of one of the"), message);
    assertTrue(message.contains("3 classes, 0 or more, got 3"), message);
  }

  /** As stanfordnlp/snli has pairs on which its annotators did not agree. */
  @Test
  void rowsWhoseLabelIsKeptBackAreLeftOutOfAllParts() throws IOException {
    Map<String, String> metadata = Map.of("huggingface", CLASSES);
    List<Group> rows = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      rows.add(row("text " + i, "pair", i % 3 - 1));
    }
    Path file = write("some.parquet", CompressionCodecName.SNAPPY, rows, metadata);
    FileTask task =
        new FileTask(new DataFiles(file, file, file, PAIRS, TaskKind.CLASSIFICATION, List.of()));
    Dataset dataset = task.load(SplitSizes.UNSPECIFIED, 0, 0);
    assertEquals(List.of("positive", "neutral"), dataset.labels());
    for (List<Example> part : List.of(dataset.train(), dataset.validation(), dataset.test())) {
      assertEquals(20, part.size());
      for (Example example : part) {
        assertEquals(Integer.parseInt(example.text().substring(5)) % 3 - 1, example.label());
      }
    }
    assertEquals(dataset.test(), ExampleFile.labelled(file, PAIRS, dataset.schema()));
    // A part of nothing else is not empty, but wrong.
    Path none =
        write("none.parquet", CompressionCodecName.SNAPPY, List.of(row("a", "b", -1)), metadata);
    String message =
        assertThrows(DataException.class, () -> ExampleFile.labelled(none, PAIRS, dataset.schema()))
            .getMessage();
    assertTrue(message.contains("unknown label '-1'"), message);
    // Without names -1 is a class as any other.
    Path plain = write("plain.parquet", CompressionCodecName.SNAPPY, rows);
    task = new FileTask(new DataFiles(plain, null, null, PAIRS, TaskKind.CLASSIFICATION, null));
    assertEquals(List.of("-1", "0", "1"), task.load(SplitSizes.UNSPECIFIED, 0, 0).labels());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[1]",
        "{\"info\": {\"features\": [{\"_type\": \"ClassLabel\", \"names\": [\"a\"]}]}}",
        "{\"info\": {\"features\": {\"label\": {\"_type\": \"ClassLabel\", \"names\": null}}}}",
        "{\"info\": {\"features\": {\"label\": {\"_type\": \"ClassLabel\", \"names\": [\"a\", \" a\"]}}}}",
        "{\"info\": {\"features\": {\"label\": {\"_type\": \"Value\", \"names\": [\"a\", \"b\"]}}}}"
      })
  void metadataThatNamesNoClassesLeavesNumbers(String metadata) throws IOException {
    Path file =
        write(
            "train.parquet",
            CompressionCodecName.SNAPPY,
            List.of(row("a", "b", 1)),
            Map.of("huggingface", metadata));
    assertEquals("1", cells(file, PAIRS).get(0).get(2));
  }

  @Test
  void otherCompressionIsRefusedWithTheRemedy() throws IOException {
    Path file = temporary.resolve("lzo.parquet");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file))
            .withType(SCHEMA)
            .withCodecFactory(new Own(false))
            .withCompressionCodec(CompressionCodecName.LZO)
            .build()) {
      writer.write(row("a", "b", 1));
    }
    String message = message(IllegalArgumentException.class, file, PAIRS);
    assertTrue(message.contains("is compressed by LZO; write it with one of"), message);
  }

  /** In Thrift's compact protocol: a field's number and type, a length, and no more. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "19 fc 80 88 93 26 00 | a list of its footer is to have 80004096 elements, 1 bytes are left",
        "19 fc ff ff ff ff 0f 00 | a list of its footer is to have 4294967295 elements, 1 bytes",
        "18 fe ff ff ff 07 61 00 | a text of its footer is to have 2147483646 elements, 2 bytes",
        "1b 90 03 58 00 | a map of its footer is to have 400 elements, 2 bytes",
        "19 1c 15 | its footer ends early",
        "1e 00 | its footer has a field of type 14",
      })
  void aFooterThatClaimsMoreThanItHasIsRefused(String footer, String reason) throws IOException {
    byte[] bytes = HexFormat.ofDelimiter(" ").parseHex(footer);
    assertTrue(withFooter(bytes).contains("is no Parquet file or is damaged: " + reason));
  }

  @Test
  void aFooterThatIsNestedWithoutEndIsRefused() throws IOException {
    for (String start : List.of("1c", "19")) {
      byte[] bytes = HexFormat.of().parseHex(start.repeat(50_000));
      String message = withFooter(bytes);
      assertTrue(message.contains("its footer is nested more than 64 deep"), message);
    }
  }

  private String withFooter(byte[] footer) throws IOException {
    byte[] letters = "PAR1".getBytes(StandardCharsets.US_ASCII);
    ByteBuffer file = ByteBuffer.allocate(footer.length + 12).order(ByteOrder.LITTLE_ENDIAN);
    file.put(letters).put(footer).putInt(footer.length).put(letters);
    Path path = Files.write(temporary.resolve("footer.parquet"), file.array());
    return message(DataException.class, path, PAIRS);
  }

  @ParameterizedTest
  @EnumSource(
      value = CompressionCodecName.class,
      names = {"UNCOMPRESSED", "GZIP"})
  void damagedFilesAreRefusedWithTheirName(CompressionCodecName codec) throws IOException {
    List<Group> rows = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      rows.add(row(text(), text(), i % 2));
    }
    byte[] whole =
        Files.readAllBytes(write("whole.parquet", codec, rows, Map.of("huggingface", CLASSES)));
    Path file = temporary.resolve("damaged.parquet");
    for (int length : new int[] {0, 3, 8, whole.length / 2, whole.length - 1}) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertTrue(message(DataException.class, file, PAIRS).contains(file + " is no Parquet"));
    }
    for (int i = TestSeed.iterations(300); i > 0; i--) {
      byte[] mutated = whole.clone();
      for (int k = random.nextInt(4); k >= 0; k--) {
        mutated[random.nextInt(mutated.length)] = (byte) random.nextInt();
      }
      Files.write(file, mutated);
      try {
        cells(file, PAIRS);
      } catch (DataException | IllegalArgumentException e) {
        assertTrue(e.getMessage().contains(file.toString()), e.getMessage());
      }
    }
    assertTrue(
        message(DataException.class, temporary.resolve("absent.parquet"), PAIRS)
            .contains("absent.parquet"));
  }
}
