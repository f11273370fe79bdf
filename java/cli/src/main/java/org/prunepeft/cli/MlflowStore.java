package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.Unfinished;
import org.prunepeft.io.Yaml;

/**
 * A directory of experiments and runs as MLflow's file store has them, which {@code mlflow ui
 * --backend-store-uri DIR} shows and {@code mlflow migrate-filestore} makes a database of: {@code
 * EXPERIMENT/RUN/} with {@code meta.yaml}, a file for each of {@code params}, {@code metrics}
 * (lines of time, value and step) and {@code tags}, and {@code artifacts}. What is there already
 * stays, but for a run that is written again.
 */
final class MlflowStore {
  private static final YAMLMapper YAML =
      YAMLMapper.builder().disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER).build();

  /** MLflow takes 250; beside a file it is written under a longer name, which has at most 255. */
  private static final int LONGEST_NAME = 200;

  /** Digits of what tells names apart that became the same. */
  private static final int DIGITS = 8;

  private static final int LONGEST_VALUE = 6000;
  private static final int LONGEST_TAG = 5000;
  private static final int LONGEST_EXPERIMENT = 500;

  private static final String META = "meta.yaml";
  private static final String DEFAULT_ID = "0";
  private static final String DEFAULT = "Default";
  private static final String TRASH = ".trash";

  /** What is beside a run while it is written, of earlier versions without the process. */
  private static final Pattern LEFT =
      Pattern.compile(
          "\\.(?<run>[0-9a-f]{32})(\\.(?<process>[0-9]{1,18})-[0-9a-f]+)?\\.(partial|earlier)");

  /** MLflow's RunStatus. */
  enum Status {
    RUNNING(1),
    FINISHED(3),
    FAILED(4),
    KILLED(5);

    private final int code;

    Status(int code) {
      this.code = code;
    }
  }

  /** A finite value of a metric. */
  record MetricPoint(long step, double value) {}

  /**
   * A run.
   *
   * @param identity tells it from others; the same each time that it is written
   * @param end null: not over
   * @param metrics by name, whose parts are apart by a slash
   * @param artifacts files by their names there
   */
  record MlflowRun(
      String identity,
      String name,
      Instant began,
      Instant end,
      Status status,
      Map<String, String> parameters,
      Map<String, List<MetricPoint>> metrics,
      Map<String, String> tags,
      Map<String, Path> artifacts) {}

  /** To remove what another thread may be writing. */
  private static final int MOST_ATTEMPTS = 10;

  private static final int ATTEMPT_MILLIS = 5;

  private final Path root;
  private final String id;
  private boolean discarded;

  /** Of the last run that was begun; null: none was. */
  private volatile Places begun;

  /**
   * Of a run.
   *
   * @param beside where it is written
   * @param before what was in its place
   */
  private record Places(Path place, Path beside, Path before) {}

  /**
   * Finds the experiment, or makes it.
   *
   * @throws IllegalArgumentException if the name is none, or that of an experiment that was deleted
   */
  MlflowStore(Path root, String experiment) throws IOException {
    if (experiment.isBlank() || experiment.length() > LONGEST_EXPERIMENT) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "an experiment's name has 1 to %d characters, got %d",
              LONGEST_EXPERIMENT,
              experiment.length()));
    }
    if (Files.exists(root) && !Files.isDirectory(root)) {
      throw new RunDirectoryException(
          "can't write runs to %s: %s exists and is not a directory".formatted(root, root));
    }
    this.root = root.toAbsolutePath().normalize();
    if (Files.notExists(this.root)) {
      // MLflow makes it with the directory, and takes it where none is named.
      make(DEFAULT_ID, DEFAULT);
    }
    Optional<String> there = find(experiment);
    // MLflow takes numbers; the name's own, so that each call finds the experiment again.
    id = there.orElse(experiment.equals(DEFAULT) ? DEFAULT_ID : number(experiment));
    if (there.isEmpty()) {
      if (Files.exists(this.root.resolve(TRASH).resolve(id))) {
        throw new IllegalArgumentException(
            "the experiment %s was deleted in MLflow; restore it, or name another with --experiment"
                .formatted(experiment));
      }
      make(id, experiment);
    }
  }

  /** The experiment of that name that there is, MLflow's own too. */
  private Optional<String> find(String experiment) throws IOException {
    try (Stream<Path> directories = Files.list(root)) {
      for (Path directory : directories.sorted().toList()) {
        Path meta = directory.resolve(META);
        if (Files.isRegularFile(meta)
            && experiment.equals(description(meta).path("name").asText(null))) {
          return Optional.of(directory.getFileName().toString());
        }
      }
    }
    return Optional.empty();
  }

  private static JsonNode description(Path meta) throws IOException {
    try {
      byte[] text = BoundedFile.read(BoundedFile.regular(meta), Yaml.MOST);
      return Yaml.read(new String(text, StandardCharsets.UTF_8));
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s is no YAML: %s; repair it, or name another directory"
              .formatted(meta, e.getOriginalMessage().lines().findFirst().orElse("")),
          e);
    }
  }

  private void make(String experimentId, String name) throws IOException {
    Path directory = root.resolve(experimentId);
    Files.createDirectories(directory);
    long now = System.currentTimeMillis();
    Map<String, Object> meta = new LinkedHashMap<>();
    meta.put("artifact_location", uri(directory));
    meta.put("creation_time", now);
    meta.put("experiment_id", experimentId);
    meta.put("last_update_time", now);
    meta.put("lifecycle_stage", "active");
    meta.put("name", name);
    write(directory.resolve(META), YAML.writeValueAsString(meta));
  }

  /** 18 digits. */
  private static String number(String name) {
    long bits = uuid(name).getMostSignificantBits();
    return Long.toString(100_000_000_000_000_000L + Math.floorMod(bits, 900_000_000_000_000_000L));
  }

  private static UUID uuid(String name) {
    return UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8));
  }

  private Path directory() {
    return root.resolve(id);
  }

  /**
   * Writes a run beside its place, then puts it there: where the process ends amid that, what was
   * there stays.
   *
   * @return where the run lies now
   */
  Path write(MlflowRun run) throws IOException {
    String runId = uuid(run.identity).toString().replace("-", "");
    Path place = directory().resolve(runId);
    // Another process may be writing the same run.
    String own =
        String.format(
            Locale.ROOT,
            ".%s.%d-%s",
            runId,
            ProcessHandle.current().pid(),
            UUID.randomUUID().toString().substring(0, 8));
    Path beside = directory().resolve(own + ".partial");
    Path before = directory().resolve(own + ".earlier");
    begun = new Places(place, beside, before);
    try {
      fill(beside, run, runId, place);
      put(beside, place, before);
      delete(before);
      deleteLeft(runId);
    } catch (IOException | RuntimeException e) {
      try {
        delete(beside);
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
    return place;
  }

  /** Removes what processes that were killed have left of a run. */
  private void deleteLeft(String runId) throws IOException {
    try (Stream<Path> files = Files.list(directory())) {
      for (Path file : files.toList()) {
        Matcher name = LEFT.matcher(file.getFileName().toString());
        if (name.matches() && name.group("run").equals(runId) && !isAlive(name.group("process"))) {
          delete(file);
        }
      }
    } catch (NoSuchFileException e) {
      // Another process removes it as well.
    }
  }

  /**
   * @param process its number; null: of an earlier version, which wrote none
   */
  private static boolean isAlive(String process) {
    return process != null
        && ProcessHandle.of(Long.parseLong(process)).filter(ProcessHandle::isAlive).isPresent();
  }

  /** The process can't be told to end between the two renames. */
  private synchronized void put(Path beside, Path place, Path before) throws IOException {
    if (discarded) {
      throw new IOException("this process is ending");
    }
    for (int attempt = 1; !replace(beside, place, before); attempt++) {
      if (attempt == MOST_ATTEMPTS) {
        throw new FileSystemException(
            place.toString(), null, "other processes write it all the time");
      }
    }
    AtomicFile.forceDirectory(directory());
  }

  /** {@return whether a run is in its place; if not, another process has put its own there} */
  private static boolean replace(Path beside, Path place, Path before) throws IOException {
    if (Files.exists(place)) {
      delete(before);
      try {
        Files.move(place, before, StandardCopyOption.ATOMIC_MOVE);
      } catch (NoSuchFileException e) {
        return false;
      }
    }
    try {
      Files.move(beside, place, StandardCopyOption.ATOMIC_MOVE);
      return true;
    } catch (IOException e) {
      if (Files.exists(place)) {
        return false;
      }
      if (Files.exists(before)) {
        Files.move(before, place, StandardCopyOption.ATOMIC_MOVE);
      }
      throw e;
    }
  }

  /**
   * Removes what is begun of a run; what its thread writes meanwhile goes as well. No more are
   * written.
   *
   * @return what is left, for the user
   */
  synchronized String discard() {
    discarded = true;
    for (int attempt = 0; attempt < MOST_ATTEMPTS && begun != null; attempt++) {
      try {
        delete(begun.beside);
        if (Files.exists(begun.place)) {
          delete(begun.before);
        }
        Thread.sleep(ATTEMPT_MILLIS);
      } catch (IOException e) {
        // A file has come.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        break;
      }
    }
    return "interrupted; the runs in %s are whole, and the same command writes those that are missing"
        .formatted(root);
  }

  private static void delete(Path directory) throws IOException {
    Unfinished.clear(directory);
    Files.deleteIfExists(directory);
  }

  /**
   * @param place where it will be
   */
  private void fill(Path directory, MlflowRun run, String runId, Path place) throws IOException {
    for (String part : List.of("params", "metrics", "tags", "artifacts")) {
      Files.createDirectories(directory.resolve(part));
    }
    for (Map.Entry<String, String> parameter : run.parameters.entrySet()) {
      write(
          file(directory.resolve("params"), parameter.getKey()),
          bounded(parameter.getValue(), LONGEST_VALUE));
    }
    for (Map.Entry<String, List<MetricPoint>> metric : run.metrics.entrySet()) {
      write(file(directory.resolve("metrics"), metric.getKey()), lines(run, metric.getValue()));
    }
    for (Map.Entry<String, String> tag : run.tags.entrySet()) {
      write(file(directory.resolve("tags"), tag.getKey()), bounded(tag.getValue(), LONGEST_TAG));
    }
    for (Map.Entry<String, Path> artifact : run.artifacts.entrySet()) {
      Path file = directory.resolve("artifacts").resolve(artifact.getKey());
      AtomicFile.write(file, Files.readAllBytes(BoundedFile.regular(artifact.getValue())));
    }
    // Last: a directory without it is no run.
    write(directory.resolve(META), meta(run, runId, place));
  }

  private String meta(MlflowRun run, String runId, Path directory) throws JsonProcessingException {
    Map<String, Object> meta = new LinkedHashMap<>();
    meta.put("artifact_uri", uri(directory.resolve("artifacts")));
    meta.put("deleted_time", null);
    meta.put("end_time", run.end == null ? null : run.end.toEpochMilli());
    meta.put("entry_point_name", "");
    meta.put("experiment_id", id);
    meta.put("lifecycle_stage", "active");
    meta.put("run_id", runId);
    meta.put("run_name", run.name);
    meta.put("run_uuid", runId);
    meta.put("source_name", "");
    // SourceType.LOCAL.
    meta.put("source_type", 4);
    meta.put("source_version", "");
    meta.put("start_time", run.began.toEpochMilli());
    meta.put("status", run.status.code);
    meta.put("tags", List.of());
    meta.put("user_id", "");
    return YAML.writeValueAsString(meta);
  }

  private static String lines(MlflowRun run, List<MetricPoint> points) {
    StringBuilder lines = new StringBuilder();
    long time = (run.end == null ? run.began : run.end).toEpochMilli();
    // MLflow's database has each point once.
    for (MetricPoint point : new LinkedHashSet<>(points)) {
      lines.append(String.format(Locale.ROOT, "%d %s %d\n", time, point.value, point.step));
    }
    return lines.toString();
  }

  /**
   * A file of that name within a directory, whatever the name holds. One that MLflow does not take
   * is changed, and gets a part of its checksum, so that it stays another than one that differs
   * there.
   */
  private static Path file(Path within, String name) throws IOException {
    Path file = within;
    for (String part : name.split("/")) {
      String plain = part.replaceAll("[^\\w .-]", "_").replaceFirst("^\\.", "_").strip();
      file = file.resolve(plain.isEmpty() ? "_" : plain);
    }
    String relative = within.relativize(file).toString();
    if (!relative.equals(name) || name.length() > LONGEST_NAME) {
      MessageDigest digest = FileChecksum.digest();
      digest.update(name.getBytes(StandardCharsets.UTF_8));
      String mark = "-" + FileChecksum.hex(digest).substring(0, DIGITS);
      file = within.resolve(bounded(relative, LONGEST_NAME - mark.length()) + mark);
    }
    Files.createDirectories(file.getParent());
    return file;
  }

  private static String bounded(String value, int most) {
    return value.length() <= most ? value : value.substring(0, most);
  }

  private static void write(Path file, String text) throws IOException {
    AtomicFile.write(file, text.getBytes(StandardCharsets.UTF_8));
  }

  private static String uri(Path path) {
    // Without the slash at the end that a directory's has.
    String uri = path.toUri().toString();
    return uri.endsWith("/") ? uri.substring(0, uri.length() - 1) : uri;
  }
}
