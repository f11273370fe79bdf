package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DatasetDirectory.Split;
import org.prunepeft.testing.Endless;

class DatasetDirectoryTest {
  private static final Columns COLUMNS = Columns.DEFAULT;

  @TempDir Path directory;

  private Path put(String name, String content) throws IOException {
    Path file = directory.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, content);
  }

  private DatasetDirectory read(String config) {
    return new DatasetDirectory(directory, config);
  }

  @Test
  void partsGoByTheNamesOfTheirFiles() throws IOException {
    Path train = put("data/train-00000-of-00002.parquet", "");
    put("data/train-00001-of-00002.parquet", "");
    Path validation = put("dev.csv", "text,label\na,1\n");
    Path test = put("test.csv", "text,label\na,-1\nb,0\n");
    put("other/train.csv", "");
    put("data/notes.csv", "");
    DatasetDirectory dataset = read(null);
    assertEquals(train, dataset.train());
    assertEquals(validation, dataset.validation());
    assertEquals(test, dataset.test(COLUMNS));
    assertEquals(directory.resolve("other/train.csv"), read("other").train());
    assertNull(read("other").validation());
    assertNull(read("other").test(COLUMNS));
    put("train.csv", "");
    String message = assertThrows(IllegalArgumentException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("several files for the part train"), message);
    assertTrue(message.contains("name one with --train-file"), message);
  }

  @Test
  void labelsThatAreKeptBackMakeNoTest() throws IOException {
    put("train.csv", "text,label\na,1\n");
    put("test.csv", "text,label\na,-1\nb,-1\n");
    assertNull(read(null).test(COLUMNS));
    put("test.csv", "text,label\na,-1.0\nb,-1\n");
    assertNull(read(null).test(COLUMNS));
    Path test = put("test.csv", "text,label\na,-1.0\nb,-1.05\n");
    assertEquals(test, read(null).test(COLUMNS));
  }

  @Test
  void answersThatAreKeptBackMakeNoTest() throws IOException {
    String line = "{\"ctx\": \"a\", \"endings\": [\"b\", \"c\"], \"label\": \"%s\"}%n";
    put("train.jsonl", line.formatted(1));
    Path test = put("test.jsonl", line.formatted("") + line.formatted(""));
    assertNull(read(null).test());
    put("test.jsonl", line.formatted("-1.0") + line.formatted("-1"));
    assertNull(read(null).test());
    put("test.jsonl", line.replace("\"%s\"", "%s").formatted("null"));
    assertNull(read(null).test());
    put("test.jsonl", line.formatted("") + line.formatted(0));
    assertEquals(test, read(null).test());
  }

  @Test
  void aSetOfShardsHasOneFormat() throws IOException {
    Path train = put("data/train-00000-of-00002.jsonl", "");
    put("data/train-00001-of-00002.jsonl", "");
    assertEquals(train, read(null).train());
    put("data/train-00000-of-00002.csv", "");
    put("data/train-00001-of-00002.csv", "");
    String message = assertThrows(IllegalArgumentException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("several files for the part train"), message);
  }

  @Test
  void aPartHasOneEntryOfTheReadme() throws IOException {
    put("a.csv", "text,label\na,1\n");
    put("b.csv", "text,label\nb,1\n");
    String readme =
        "---\nconfigs:\n- data_files:\n  - {split: train, path: a.csv}\n"
            + "  - {split: validation, path: a.csv}\n  - {split: %s, path: b.csv}\n---\n";
    put("README.md", readme.formatted("dev"));
    String message = assertThrows(IllegalArgumentException.class, () -> read(null)).getMessage();
    assertTrue(
        message.contains("several entries for the part validation, validation and dev; take"),
        message);
    Map<Split, String> dev = Map.of(Split.VALIDATION, "dev");
    assertEquals(
        directory.resolve("b.csv"), new DatasetDirectory(directory, null, dev).validation());
    put("README.md", readme.formatted("unsupervised"));
    assertEquals(directory.resolve("a.csv"), read(null).validation());
  }

  @Test
  void aReadmeThatIsTooMuchIsNamed() throws IOException {
    put("a".repeat(60) + ".csv", "text,label\na,1\n");
    String pattern = "*a".repeat(1000) + "b";
    put("README.md", "---\nconfigs:\n- data_files: '" + pattern + "'\n---\n");
    assertThrows(DataException.class, () -> read(null));
    put("README.md", "---\nconfigs: " + "a".repeat(5_000_000) + "\n---\n");
    String message = assertThrows(DataException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("README.md: what stands between"), message);
    assertTrue(message.contains("the most is 1,000,000"), message);
  }

  @Test
  void theReadmeSaysWhichFilesMakeAPart() throws IOException {
    put(
        "README.md",
        """
        ---
        license: mit
        configs:
        - config_name: cola
          data_files:
          - split: train
            path: cola/train-*
          - split: validation
            path:
            - cola/val*.csv
          - split: unsupervised
            path: cola/x.csv
        - config_name: one
          data_files: "**/all.jsonl"
        ---
        # A data set
        """);
    Path train = put("cola/train-00000-of-00002.parquet", "");
    put("cola/train-00001-of-00002.parquet", "");
    Path validation = put("cola/valid_matched.csv", "text,label\na,1\n");
    put("train.csv", "");
    Path all = put("some/all.jsonl", "");
    assertEquals(train, read("cola").train());
    assertEquals(validation, read("cola").validation());
    assertNull(read("cola").test(COLUMNS));
    assertEquals(all, read("one").train());
    String message = assertThrows(IllegalArgumentException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("--dataset-config-name: cola, one"), message);
    message = assertThrows(IllegalArgumentException.class, () -> read("colla")).getMessage();
    assertTrue(message.contains("unknown configuration 'colla'"), message);
    Files.writeString(
        directory.resolve("README.md"),
        Files.readString(directory.resolve("README.md"))
            .replace("config_name: one", "config_name: one\n  default: true"));
    assertEquals(all, read(null).train());
  }

  @Test
  void shardsMayHaveAFingerprintBehindTheirCount() throws IOException {
    Path train = put("data/train-00000-of-00002-9f.parquet", "");
    put("data/train-00001-of-00002-07.parquet", "");
    Path test = put("data/test-00000-of-00001-a3ecf92756993583.csv", "text,label\na,1\n");
    assertEquals(train, read(null).train());
    assertEquals(test, read(null).test(COLUMNS));
    put("data/train-00001-of-00002-08.parquet", "");
    refused("several files for the part train");
  }

  @Test
  void aConfigurationWithoutPatternsGoesByNamesInItsDirectory() throws IOException {
    put(
        "README.md",
        """
        ---
        configs:
        - config_name: de
          data_dir: texts/de/
        - config_name: fr
          data_dir: texts/fr
          data_files: [{split: train, path: "a*"}]
        - config_name: default
        ---
        """);
    Path german = put("texts/de/train.csv", "");
    Path validation = put("texts/de/data/dev.csv", "");
    Path french = put("texts/fr/all.csv", "");
    put("a.csv", "");
    Path train = put("data/train.csv", "");
    Path dev = put("dev.csv", "");
    assertEquals(german, read("de").train());
    assertEquals(validation, read("de").validation());
    assertEquals(french, read("fr").train());
    assertEquals(train, read(null).train());
    assertEquals(dev, read(null).validation());
  }

  private void refused(String... words) {
    String message = assertThrows(IllegalArgumentException.class, () -> read(null)).getMessage();
    for (String word : words) {
      assertTrue(message.contains(word), message);
    }
  }

  @Test
  void settingsByWhichFilesWouldBeReadOtherwiseAreRefused() throws IOException {
    Path csv = put("train.csv", "text,label\na,1\n");
    Path tsv = put("train.tsv", "text\tlabel\na\t1\n");
    String readme = "---\nconfigs:\n- {data_files: %s, %s}\n---\n";
    for (String setting :
        new String[] {
          "sep: ;", "delimiter: \"\\t\"", "names: [a, b]", "header: 1", "encoding: latin1"
        }) {
      put("README.md", readme.formatted("train.csv", setting));
      refused("README.md has", "read with " + setting.split(":")[0], "--train-file");
    }
    for (String setting : new String[] {"sep: \",\"", "header: 0", "names: null", "x: y"}) {
      put("README.md", readme.formatted("train.csv", setting));
      assertEquals(csv, read(null).train());
    }
    for (String setting : new String[] {"sep: \"\\t\"", "delimiter: '\\t'", "quoting: 3"}) {
      put("README.md", readme.formatted("train.tsv", setting));
      assertEquals(tsv, read(null).train());
    }
  }

  @Test
  void packedFilesAreReadOrNamed() throws IOException {
    Path train = put("train.jsonl.gz", "");
    assertEquals(train, read(null).train());
    put("dev.csv.bz2", "");
    refused("the part validation is in dev.csv.bz2", "unpack it");
    put("README.md", "---\nconfigs:\n- data_files: '*.zst'\n---\n");
    put("some.jsonl.zst", "");
    refused("the part train is in some.jsonl.zst", "unpack it");
    Files.delete(directory.resolve("README.md"));
    Path validation = put("validation.csv", "");
    assertEquals(validation, read(null).validation());
    put("data/notes.txt.gz", "");
    Path unpacked = put("train.jsonl", "");
    assertEquals(unpacked, read(null).train());
    assertEquals("train", DatasetDirectory.stem(Path.of("train-00000-of-00002.jsonl.gz")));
  }

  @Test
  void partsGoByTheNamesThatAreAskedFor() throws IOException {
    Path train = put("data/train_sft-00000-of-00001.parquet", "");
    put("data/train_gen-00000-of-00001.parquet", "");
    Path test = put("data/test_sft.jsonl", "{\"text\": \"a\"}\n");
    Path dev = put("data/dev-00000-of-00001.parquet", "");
    Map<Split, String> splits = Map.of(Split.TRAIN, "train_sft", Split.TEST, "test_sft");
    DatasetDirectory dataset = new DatasetDirectory(directory, null, splits);
    assertEquals(train, dataset.train());
    assertEquals(test, dataset.test());
    assertEquals(dev, dataset.validation());
    // One file may be two parts, and what is named as one is not another by its usual name.
    splits = Map.of(Split.TRAIN, "dev", Split.TEST, "test_sft", Split.VALIDATION, "test_sft");
    dataset = new DatasetDirectory(directory, null, splits);
    assertEquals(List.of(dev, test, test), parts(dataset));
    put(
        "README.md",
        """
        ---
        configs:
        - data_files:
          - split: train_sft
            path: data/train_sft-*
          - split: dev
            path: data/dev-*
        ---
        """);
    dataset = new DatasetDirectory(directory, null, Map.of(Split.TRAIN, "train_sft"));
    assertEquals(train, dataset.train());
    assertEquals(dev, dataset.validation());
    assertNull(new DatasetDirectory(directory, null, Map.of(Split.TRAIN, "dev")).validation());
  }

  @Test
  void aPartThatIsNotThereIsRefusedWithThoseThatAre() throws IOException {
    put("data/train_sft-00000-of-00001.parquet", "");
    put("data/train_gen-00000-of-00001.parquet", "");
    String files = unknownTrain("train_stf");
    assertTrue(files.contains("--train-split-name: unknown part 'train_stf'"), files);
    assertTrue(files.contains("train_gen, train_sft"), files);
    // Names are not the usual ones in another case.
    put("data/train-00000-of-00001.parquet", "");
    assertTrue(unknownTrain("TRAIN").contains("train, train_gen, train_sft"));
    put("README.md", "---\nconfigs:\n- data_files:\n  - {split: a, path: b.csv}\n---\n");
    String declared = unknownTrain("b");
    assertTrue(declared.contains("unknown part 'b'"), declared);
    put("README.md", "---\nconfigs:\n- data_files: '*.parquet'\n---\n");
    assertTrue(unknownTrain("b").contains("unknown part 'b'"));
  }

  private static List<Path> parts(DatasetDirectory dataset) {
    return List.of(dataset.train(), dataset.validation(), dataset.test());
  }

  private String unknownTrain(String name) {
    Map<Split, String> splits = Map.of(Split.TRAIN, name);
    return assertThrows(
            IllegalArgumentException.class, () -> new DatasetDirectory(directory, null, splits))
        .getMessage();
  }

  @Test
  void savedToDiskIsRefusedWithTheRemedy() throws IOException {
    put("state.json", "{\"_data_files\": [{\"filename\": \"data-00000-of-00001.arrow\"}]}");
    put("dataset_info.json", "{}");
    put("data-00000-of-00001.arrow", "");
    String message = assertThrows(DataException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("save_to_disk"), message);
    assertTrue(message.contains("load_from_disk(DIR).to_parquet(\"train.parquet\")"), message);
    put("dataset_dict.json", "{\"splits\": [\"train\"]}");
    message = assertThrows(DataException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("rows.to_parquet(part + \".parquet\")"), message);
    Path train = put("train.parquet", "");
    assertEquals(train, read(null).train());
  }

  @Test
  void whatHoldsNoDataSetIsRefused() throws IOException {
    String message = assertThrows(DataException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("no file to train on"), message);
    Path file = put("train.csv", "");
    message =
        assertThrows(IllegalArgumentException.class, () -> new DatasetDirectory(file, null))
            .getMessage();
    assertTrue(message.contains("is no directory"), message);
    put("README.md", "---\nconfigs: [a: b\n---\n");
    message = assertThrows(DataException.class, () -> read(null)).getMessage();
    assertTrue(message.contains("is no YAML"), message);
  }

  @Test
  void runsAreNamedByTheDataSet() {
    for (String train : new String[] {"data/train-00000-of-00001.parquet", "train.csv"}) {
      DataFiles files =
          new DataFiles(
              Path.of("/sets/cola").resolve(train),
              null,
              null,
              COLUMNS,
              TaskKind.CLASSIFICATION,
              List.of());
      assertEquals("cola", files.name());
    }
  }

  @ParameterizedTest
  @EnumSource
  void aReadmeWithoutEndIsRefusedByItsName(Endless endless) throws IOException {
    put("train.csv", "text,label\na,1\n");
    Path readme = directory.resolve("README.md");
    DataException e =
        endless.read(readme, () -> assertThrows(DataException.class, () -> read(null)));
    assertTrue(
        e.getMessage().contains(readme + " is a device, a FIFO or a socket"), e.getMessage());
  }
}
