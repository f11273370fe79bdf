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
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.table.ChoiceFile;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.TableFormat;
import org.prunepeft.io.BoundedFile;
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
  public enum Split {
    /** What is trained on. */
    TRAIN("train", "training"),
    /** By which the best epoch is chosen. */
    VALIDATION("validation", "valid", "val", "dev"),
    /** What is reported on. */
    TEST("test", "testing", "eval", "evaluation");

    private final List<String> names;

    Split(String... names) {
      this.names = List.of(names);
    }

    private String option() {
      return "--%s-split-name".formatted(names.get(0));
    }
  }

  private static final int DEPTH = 6;

  /** Of a part, beside names; each is compared with each file. */
  private static final int MOST_PATTERNS = 1000;

  /** What makes a pattern of a name. */
  private static final Pattern SYNTAX = Pattern.compile("[*?\\[{\\\\]");

  /** A README is a page or some. */
  private static final int MOST = 10_000_000;

  /** Number and count of a shard, and the fingerprint that older data sets have behind them. */
  private static final Pattern SHARD =
      Pattern.compile("-(\\d{5})-of-(\\d{5})(-[0-9a-f]+)?((\\.[^.]*)?(?i:\\.gz)?)$");

  /** Settings of {@code datasets}' readers with the values that they have here. */
  private static final Map<String, Set<String>> SETTINGS =
      Map.ofEntries(
          Map.entry("sep", Set.of()),
          Map.entry("delimiter", Set.of()),
          Map.entry("header", Set.of("0", "infer")),
          Map.entry("encoding", Set.of("utf-8", "utf8")),
          Map.entry("quotechar", Set.of("\"")),
          Map.entry("quoting", Set.of()),
          Map.entry("doublequote", Set.of("true")),
          Map.entry("escapechar", Set.of()),
          Map.entry("comment", Set.of()),
          Map.entry("skiprows", Set.of("0")),
          Map.entry("skipfooter", Set.of("0")),
          Map.entry("nrows", Set.of()),
          Map.entry("names", Set.of()),
          Map.entry("column_names", Set.of()),
          Map.entry("usecols", Set.of()),
          Map.entry("index_col", Set.of()),
          Map.entry("field", Set.of()));

  private final Path directory;
  private final Map<Split, String> splits;
  private final Map<Split, Path> parts = new EnumMap<>(Split.class);

  /**
   * Looks a directory through for parts of the usual names.
   *
   * @param directory as below
   * @param config as below
   */
  public DatasetDirectory(Path directory, String config) {
    this(directory, config, Map.of());
  }

  /**
   * Looks a directory through.
   *
   * @param directory with the files of the data set, or a README.md that names them
   * @param config the name of a configuration; null: the only one, or the one that is the default
   * @param splits names of parts, exactly as the data set has them, such as {@code train_sft}; a
   *     part that is not there goes by its usual names
   * @throws DataException if it can't be read, or no file is there to train on
   * @throws IllegalArgumentException if there is no such configuration, or several and none is
   *     named; a part that {@code splits} names is not there; or a part has several entries there,
   *     or several files that are no shards
   */
  public DatasetDirectory(Path directory, String config, Map<Split, String> splits) {
    this.directory = directory;
    this.splits = new TreeMap<>(splits);
    if (!Files.isDirectory(directory)) {
      throw new IllegalArgumentException(
          directory + " is no directory; name one that holds a data set as the hub keeps it");
    }
    try {
      JsonNode configs = configs();
      JsonNode chosen = configs.isEmpty() ? MissingNode.getInstance() : chosen(configs, config);
      find(files(DatasetDirectory::isTable), chosen, config).forEach(this::put);
      find(files(TableFormat::isUnreadablyPacked), chosen, config).forEach(this::requireNotMissing);
      requireSettings(chosen);
      if (!parts.containsKey(Split.TRAIN)) {
        requireNoArrow();
      }
      requireNamed(chosen, config);
    } catch (IOException e) {
      throw new DataException("can't read %s: %s".formatted(directory, e.getMessage()), e);
    }
    if (!parts.containsKey(Split.TRAIN)) {
      throw new DataException(
          "%s has no file to train on, such as data/train-00000-of-00001.parquet%s"
              .formatted(directory, config == null ? "" : ", in the configuration " + config));
    }
  }

  /** Of a table that lies there unpacked too, the packed one is none. */
  private static boolean isTable(Path file) {
    return TableFormat.of(file).isPresent()
        && !(TableFormat.isGzip(file)
            && Files.exists(
                file.resolveSibling(TableFormat.withoutPacking(file.getFileName().toString()))));
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
  private List<Path> files(Predicate<Path> which) throws IOException {
    try (Stream<Path> all = Files.walk(directory, DEPTH)) {
      return all.filter(Files::isRegularFile)
          .filter(which)
          .map(directory::relativize)
          .sorted()
          .toList();
    }
  }

  /** What the README's front matter has for configs; empty if it has none. */
  private JsonNode configs() throws IOException {
    Path readme = directory.resolve("README.md");
    if (!Files.exists(readme)) {
      return MissingNode.getInstance();
    }
    byte[] content = BoundedFile.beginning(BoundedFile.regular(readme), MOST + 1);
    if (content.length > MOST) {
      return MissingNode.getInstance();
    }
    String text = new String(content, StandardCharsets.UTF_8);
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

  /**
   * The files of each part.
   *
   * @param files to choose from
   * @param chosen what README.md says of the configuration; missing: nothing
   * @param config the configuration's name; null: none is asked for
   */
  private Map<Split, List<Path>> find(List<Path> files, JsonNode chosen, String config) {
    if (!chosen.hasNonNull("data_files")) {
      return byName(files, places(chosen, config));
    }
    Path base = base(chosen);
    return declared(
        base.toString().isEmpty()
            ? files
            : files.stream().filter(file -> file.startsWith(base)).toList(),
        base,
        chosen.path("data_files"));
  }

  private static Path base(JsonNode chosen) {
    return Path.of(chosen.path("data_dir").asText("")).normalize();
  }

  /** Where files count that tell their part by their names, relative to the directory. */
  private static List<String> places(JsonNode chosen, String config) {
    if (chosen.isMissingNode() && config != null) {
      return List.of(config);
    }
    Path base = base(chosen);
    return Stream.of(base, base.resolve("data")).map(Path::toString).distinct().toList();
  }

  private static String parent(Path file) {
    return file.getParent() == null ? "" : file.getParent().toString();
  }

  /** Else {@code data_files} is one pattern or several, all of one part. */
  private static boolean namesParts(JsonNode data) {
    return data.isArray() && !data.isEmpty() && data.get(0).isObject();
  }

  private Map<Split, List<Path>> declared(List<Path> files, Path base, JsonNode data) {
    Map<Split, String> named = new EnumMap<>(Split.class);
    Map<Split, List<Path>> found = new EnumMap<>(Split.class);
    if (!namesParts(data)) {
      partsOf("train").forEach(part -> found.put(part, matching(files, base, data)));
      return found;
    }
    for (JsonNode entry : data) {
      String name = entry.path("split").asText();
      for (Split part : partsOf(name)) {
        String earlier = named.put(part, name);
        if (earlier != null) {
          throw new IllegalArgumentException(
              "%s: README.md has several entries for the part %s, %s and %s; take one of them out, or name one with %s"
                  .formatted(directory, part.names.get(0), earlier, name, part.option()));
        }
        found.put(part, matching(files, base, entry.path("path")));
      }
    }
    return found;
  }

  /**
   * @param base from which on patterns name files
   */
  private List<Path> matching(List<Path> files, Path base, JsonNode patterns) {
    Set<String> names = new HashSet<>();
    Map<String, Glob> globs = new LinkedHashMap<>();
    for (JsonNode pattern : patterns.isArray() ? patterns : List.of(patterns)) {
      String text = pattern.asText();
      if (SYNTAX.matcher(text).find()) {
        globs.computeIfAbsent(text, Glob::new);
      } else {
        names.add(text);
      }
    }
    if (globs.size() > MOST_PATTERNS) {
      throw new IllegalArgumentException(
          "%s: README.md has %d patterns of files for a part, the most is %d; write fewer with * or **"
              .formatted(directory, globs.size(), MOST_PATTERNS));
    }
    return files.stream()
        .map(file -> base.toString().isEmpty() ? file : base.relativize(file))
        .filter(
            file ->
                names.contains(file.toString())
                    || globs.values().stream().anyMatch(glob -> glob.matches(file)))
        .map(base::resolve)
        .toList();
  }

  /**
   * @param places where files count, relative to the directory
   */
  private Map<Split, List<Path>> byName(List<Path> files, List<String> places) {
    Map<Split, List<Path>> found = new EnumMap<>(Split.class);
    for (Path file : files) {
      if (places.contains(parent(file))) {
        for (Split part : partsOf(stem(file))) {
          found.computeIfAbsent(part, key -> new ArrayList<>()).add(file);
        }
      }
    }
    return found;
  }

  /** The parts that what has this name in the data set is taken for. */
  private List<Split> partsOf(String name) {
    String lower = name.toLowerCase(Locale.ROOT);
    return Stream.of(Split.values())
        .filter(
            part ->
                splits.containsKey(part)
                    ? splits.get(part).equals(name)
                    : part.names.contains(lower) && !splits.containsValue(name))
        .toList();
  }

  /** Refuses a part's name that the data set does not have. */
  private void requireNamed(JsonNode chosen, String config) throws IOException {
    for (Map.Entry<Split, String> split : splits.entrySet()) {
      if (!parts.containsKey(split.getKey())) {
        throw new IllegalArgumentException(
            "%s: %s: %s"
                .formatted(
                    directory,
                    split.getKey().option(),
                    Spelling.unknown("part", split.getValue(), names(chosen, config))));
      }
    }
  }

  /** The names of all that could be a part. */
  private List<String> names(JsonNode chosen, String config) throws IOException {
    if (chosen.hasNonNull("data_files")) {
      JsonNode data = chosen.path("data_files");
      return namesParts(data)
          ? StreamSupport.stream(data.spliterator(), false)
              .map(entry -> entry.path("split").asText())
              .toList()
          : List.of("train");
    }
    return files(DatasetDirectory::isTable).stream()
        .filter(file -> places(chosen, config).contains(parent(file)))
        .map(DatasetDirectory::stem)
        .distinct()
        .toList();
  }

  /** Of a part that has packed files, which are not read. */
  private void requireNotMissing(Split part, List<Path> packed) {
    if (!packed.isEmpty() && !parts.containsKey(part)) {
      throw new IllegalArgumentException(
          "%s: the part %s is in %s, and of packed files .gz of .tsv, .csv and .jsonl alone is read; unpack it"
              .formatted(directory, part.names.get(0), packed.get(0)));
    }
  }

  /** Refuses settings by which {@code datasets} would read other cells than we do. */
  private void requireSettings(JsonNode config) {
    for (Map.Entry<String, JsonNode> setting : config.properties()) {
      String name = setting.getKey();
      JsonNode value = setting.getValue();
      if (!SETTINGS.containsKey(name) || value.isNull() || isAsHere(name, value)) {
        continue;
      }
      throw new IllegalArgumentException(
          "%s: README.md has the configuration read with %s: %s, which is not done here; write its files anew as .csv or .parquet, or name them with --train-file, --validation-file and --test-file if they are to be read as they are"
              .formatted(directory, name, value));
    }
  }

  private boolean isAsHere(String name, JsonNode value) {
    String text = value.asText().toLowerCase(Locale.ROOT);
    return switch (name) {
      // In YAML's single quotes \t is two characters.
      case "sep", "delimiter" ->
          text.equals(",") && areAll(TableFormat.CSV)
              || List.of("\t", "\\t").contains(text) && areAll(TableFormat.TSV);
      // Python's QUOTE_MINIMAL and QUOTE_NONE.
      case "quoting" ->
          text.equals("0") && areAll(TableFormat.CSV)
              || text.equals("3") && areAll(TableFormat.TSV);
      default -> SETTINGS.get(name).contains(text);
    };
  }

  private boolean areAll(TableFormat format) {
    return parts.values().stream()
        .allMatch(file -> TableFormat.of(file).filter(format::equals).isPresent());
  }

  /** A file's name without ending and number of the shard. */
  static String stem(Path file) {
    String packed = file.getFileName().toString();
    String name = TableFormat.withoutPacking(packed).replaceFirst("\\.[^.]*$", "");
    return SHARD.matcher(name).replaceFirst("");
  }

  /** What the files of one set of shards have in common. */
  private static String set(Path file) {
    return SHARD.matcher(file.toString()).replaceFirst("-of-$2$4");
  }

  private static String number(Path file) {
    return SHARD.matcher(file.toString()).results().map(shard -> shard.group(1)).toList().get(0);
  }

  /** The first of shards stands for all. */
  private void put(Split part, List<Path> files) {
    if (files.isEmpty()) {
      return;
    }
    boolean shards =
        files.stream().allMatch(file -> SHARD.matcher(file.toString()).find())
            && files.stream().map(DatasetDirectory::set).distinct().count() == 1
            && files.stream().map(DatasetDirectory::number).distinct().count() == files.size();
    if (files.size() > 1 && !shards) {
      throw new IllegalArgumentException(
          "%s has several files for the part %s, %s; name one with --%s-file"
              .formatted(directory, part.names.get(0), files, part.names.get(0)));
    }
    parts.put(part, directory.resolve(files.get(0)).toAbsolutePath());
  }
}
