package org.prunepeft.data.task;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.table.ChoiceFile;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.TableFormat;
import org.prunepeft.io.Yaml;
import org.prunepeft.text.Spelling;

/**
 * A data set as Hugging Face's hub keeps it, in a directory on the disk: files whose names tell
 * their part, such as {@code data/train-00000-of-00001.parquet}, or a README.md whose {@code
 * configs} say which files make a part. What {@code datasets.save_to_disk} writes, Arrow's files,
 * is not read.
 */
public final class DatasetDirectory {
  /** Parts, with the names that they go by. */
  private enum Split {
    TRAIN("train", "training"),
    VALIDATION("validation", "valid", "val", "dev"),
    TEST("test", "testing", "eval", "evaluation");

    private final List<String> names;

    Split(String... names) {
      this.names = List.of(names);
    }

    static Optional<Split> of(String name) {
      String lower = name.toLowerCase(Locale.ROOT);
      return Stream.of(values()).filter(part -> part.names.contains(lower)).findFirst();
    }
  }

  private static final int DEPTH = 6;

  /** A README is a page or some. */
  private static final long MOST = 10_000_000;

  private static final Pattern SHARD = Pattern.compile("-\\d{5}-of-(\\d{5}(\\.[^.]*)?)$");

  private final Path directory;
  private final Map<Split, Path> parts = new EnumMap<>(Split.class);

  /**
   * Looks a directory through.
   *
   * @param directory with the files of the data set, or a README.md that names them
   * @param config the name of a configuration; null: the only one, or the one that is the default
   * @throws DataException if it can't be read, or no file is there to train on
   * @throws IllegalArgumentException if there is no such configuration, or several and none is
   *     named; or a part has several entries there, or several files that are no shards
   */
  public DatasetDirectory(Path directory, String config) {
    this.directory = directory;
    if (!Files.isDirectory(directory)) {
      throw new IllegalArgumentException(
          directory + " is no directory; name one that holds a data set as the hub keeps it");
    }
    try {
      List<Path> files = files();
      JsonNode configs = configs();
      if (configs.isEmpty()) {
        byName(files, config);
      } else {
        declared(files, chosen(configs, config));
      }
      if (!parts.containsKey(Split.TRAIN)) {
        requireNoArrow();
      }
    } catch (IOException e) {
      throw new DataException("can't read %s: %s".formatted(directory, e.getMessage()), e);
    }
    if (!parts.containsKey(Split.TRAIN)) {
      throw new DataException(
          "%s has no file to train on, such as data/train-00000-of-00001.parquet%s"
              .formatted(directory, config == null ? "" : ", in the configuration " + config));
    }
  }

  private void requireNoArrow() throws IOException {
    try (Stream<Path> all = Files.walk(directory, DEPTH)) {
      if (all.noneMatch(file -> file.getFileName().toString().endsWith(".arrow"))) {
        return;
      }
    }
    throw new DataException(
        "%s holds Arrow files, as datasets.save_to_disk writes them, which are not read; write Parquet in Python: %s"
            .formatted(
                directory,
                Files.exists(directory.resolve("dataset_dict.json"))
                    ? "for part, rows in datasets.load_from_disk(DIR).items():"
                        + " rows.to_parquet(part + \".parquet\")"
                    : "datasets.load_from_disk(DIR).to_parquet(\"train.parquet\")"));
  }

  /** {@return the file to train on} */
  public Path train() {
    return parts.get(Split.TRAIN);
  }

  /** {@return the file by which the best epoch is chosen; null if there is none} */
  public Path validation() {
    return parts.get(Split.VALIDATION);
  }

  /**
   * {@return the file to report on, of texts that a language model learns; null if there is none,
   * or if it has questions whose right answers are kept back}
   */
  public Path test() {
    Path file = parts.get(Split.TEST);
    return file == null || ChoiceFile.isKeptBack(file) ? null : file;
  }

  /**
   * {@return the file to report on; null if there is none, or if all of its labels are the number
   * -1, by which the hub marks those that are kept back}
   *
   * @param columns where labels are
   */
  public Path test(Columns columns) {
    Path file = parts.get(Split.TEST);
    if (file == null) {
      return null;
    }
    try (ExampleFile examples = ExampleFile.open(file, columns, true)) {
      for (var row = examples.next(); row.isPresent(); row = examples.next()) {
        if (!row.get().isKeptBack()) {
          return file;
        }
      }
      return null;
    }
  }

  /** Files of examples, relative to the directory, in order. */
  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(directory, DEPTH)) {
      return all.filter(Files::isRegularFile)
          .filter(file -> TableFormat.of(file).isPresent())
          .map(directory::relativize)
          .sorted()
          .toList();
    }
  }

  /** What the README's front matter has for configs; empty if it has none. */
  private JsonNode configs() throws IOException {
    Path readme = directory.resolve("README.md");
    if (!Files.exists(readme) || Files.size(readme) > MOST) {
      return MissingNode.getInstance();
    }
    String text = new String(Files.readAllBytes(readme), StandardCharsets.UTF_8);
    String[] sections = text.split("(?m)^---\\s*$", 3);
    if (sections.length < 3 || !sections[0].isBlank()) {
      return MissingNode.getInstance();
    }
    try {
      JsonNode configs = Yaml.read(sections[1]).path("configs");
      return configs.isArray() ? configs : MissingNode.getInstance();
    } catch (JsonProcessingException e) {
      throw new DataException(
          "%s: what stands between the lines of --- is no YAML: %s"
              .formatted(readme, e.getOriginalMessage().lines().findFirst().orElse("")),
          e);
    }
  }

  private JsonNode chosen(JsonNode configs, String wanted) {
    List<String> names = new ArrayList<>();
    JsonNode preset = configs.size() == 1 ? configs.get(0) : null;
    for (JsonNode config : configs) {
      String name = config.path("config_name").asText("default");
      names.add(name);
      if (name.equals(wanted)) {
        return config;
      }
      if (config.path("default").asBoolean() || preset == null && name.equals("default")) {
        preset = config;
      }
    }
    if (wanted != null) {
      throw new IllegalArgumentException(
          "%s: %s".formatted(directory, Spelling.unknown("configuration", wanted, names)));
    }
    if (preset == null) {
      throw new IllegalArgumentException(
          "%s has several configurations; name one with --dataset-config-name: %s"
              .formatted(directory, String.join(", ", names)));
    }
    return preset;
  }

  private void declared(List<Path> files, JsonNode config) {
    JsonNode data = config.path("data_files");
    if (!data.isArray() || data.isEmpty() || !data.get(0).isObject()) {
      // One pattern or several, all of one part.
      put(Split.TRAIN, matching(files, data));
      return;
    }
    Map<Split, String> named = new EnumMap<>(Split.class);
    for (JsonNode entry : data) {
      String name = entry.path("split").asText();
      Split part = Split.of(name).orElse(null);
      if (part == null) {
        continue;
      }
      String earlier = named.put(part, name);
      if (earlier != null) {
        throw new IllegalArgumentException(
            "%s: README.md has several entries for the part %s, %s and %s; take one of them out, or name files with --train-file, --validation-file and --test-file in place of the directory"
                .formatted(directory, part.names.get(0), earlier, name));
      }
      put(part, matching(files, entry.path("path")));
    }
  }

  private static List<Path> matching(List<Path> files, JsonNode patterns) {
    List<Glob> globs = new ArrayList<>();
    for (JsonNode pattern : patterns.isArray() ? patterns : List.of(patterns)) {
      globs.add(new Glob(pattern.asText()));
    }
    return files.stream()
        .filter(file -> globs.stream().anyMatch(glob -> glob.matches(file)))
        .toList();
  }

  private void byName(List<Path> files, String config) {
    Map<Split, List<Path>> found = new EnumMap<>(Split.class);
    List<String> places = config == null ? List.of("", "data") : List.of(config);
    for (Path file : files) {
      Path parent = file.getParent();
      if (places.contains(parent == null ? "" : parent.toString())) {
        Split.of(stem(file))
            .ifPresent(part -> found.computeIfAbsent(part, key -> new ArrayList<>()).add(file));
      }
    }
    found.forEach(this::put);
  }

  /** A file's name without ending and number of the shard. */
  static String stem(Path file) {
    String name = file.getFileName().toString().replaceFirst("\\.[^.]*$", "");
    return SHARD.matcher(name).replaceFirst("");
  }

  /** What the files of one set of shards have in common. */
  private static String set(Path file) {
    return SHARD.matcher(file.toString()).replaceFirst("-of-$1");
  }

  /** The first of shards stands for all. */
  private void put(Split part, List<Path> files) {
    if (files.isEmpty()) {
      return;
    }
    boolean shards =
        files.stream().allMatch(file -> SHARD.matcher(file.toString()).find())
            && files.stream().map(DatasetDirectory::set).distinct().count() == 1;
    if (files.size() > 1 && !shards) {
      throw new IllegalArgumentException(
          "%s has several files for the part %s, %s; name one with --%s-file"
              .formatted(directory, part.names.get(0), files, part.names.get(0)));
    }
    parts.put(part, directory.resolve(files.get(0)).toAbsolutePath());
  }
}
