package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.io.Yaml;
import org.prunepeft.testing.FixedSeed;

/** Runs in MLflow's layout, read as its file store does. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class ExportMlflowTest {
  @TempDir static Path temporary;
  private static Path runs;

  @BeforeAll
  static void train() throws IOException {
    Path texts = temporary.resolve("texts.tsv");
    Files.write(
        texts,
        IntStream.range(-1, 80)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 2))
            .toList());
    runs = temporary.resolve("runs");
    Call.of(
            "train",
            "--model=" + Small.model(temporary),
            "--train-file=" + texts,
            Small.modules(),
            "--modules=lora",
            "--epochs=2",
            "--output=" + runs.resolve("whole"))
        .exits(0);
    Path cut = Files.createDirectories(runs.resolve("cut"));
    for (String name : List.of("config.json", "configuration.json")) {
      Files.copy(runs.resolve("whole").resolve(name), cut.resolve(name));
    }
    Files.writeString(cut.resolve("INCOMPLETE"), "failed: the disk was full\n");
    Files.writeString(
        cut.resolve("metrics.jsonl"),
        "{\"training\": \"../../../up, /etc\", \"step\": 1, \"loss\": 2.5}\n"
            + "{\"training\": \"../../../up, /etc\", \"epoch\": 1, \"loss\": 1.5}\n".repeat(2));
  }

  /** What MLflow's file store reads of a run: its metrics as lines of time, value and step. */
  private record Stored(
      JsonNode meta, Map<String, String> params, Map<String, List<String[]>> metrics) {
    static Stored of(Path run) throws IOException {
      Map<String, List<String[]>> metrics = new TreeMap<>();
      for (Map.Entry<String, String> file : files(run.resolve("metrics")).entrySet()) {
        metrics.put(
            file.getKey(), file.getValue().lines().map(line -> line.strip().split(" ")).toList());
      }
      return new Stored(
          Yaml.read(Files.readString(run.resolve("meta.yaml"))),
          files(run.resolve("params")),
          metrics);
    }

    private static Map<String, String> files(Path directory) throws IOException {
      Map<String, String> files = new TreeMap<>();
      try (var walk = Files.walk(directory)) {
        for (Path file : walk.filter(Files::isRegularFile).toList()) {
          String name = directory.relativize(file).toString();
          // What MLflow lets names be.
          assertTrue(name.matches("[/\\w.\\- ]{1,250}") && !name.contains(".."), name);
          files.put(name, Files.readString(file));
        }
      }
      return files;
    }
  }

  /** What MLflow reads of each experiment, by name. */
  private static Map<String, Path> experiments(Path store) throws IOException {
    Map<String, Path> experiments = new TreeMap<>();
    try (var files = Files.list(store)) {
      for (Path directory : files.toList()) {
        JsonNode meta = Yaml.read(Files.readString(directory.resolve("meta.yaml")));
        assertEquals(
            List.of(
                "artifact_location",
                "creation_time",
                "experiment_id",
                "last_update_time",
                "lifecycle_stage",
                "name"),
            fields(meta));
        String id = meta.get("experiment_id").textValue();
        assertEquals(directory.getFileName().toString(), id);
        assertTrue(id.matches("[a-zA-Z0-9][\\w-]{0,63}"), id);
        assertEquals("active", meta.get("lifecycle_stage").textValue());
        assertEquals(directory, Path.of(URI.create(meta.get("artifact_location").textValue())));
        assertNull(experiments.put(meta.get("name").textValue(), directory), "one of a name");
      }
    }
    return experiments;
  }

  private static List<String> fields(JsonNode node) {
    List<String> names = new ArrayList<>();
    node.fieldNames().forEachRemaining(names::add);
    return names.stream().sorted().toList();
  }

  private static Map<String, Stored> read(Path store) throws IOException {
    Map<String, Path> experiments = experiments(store);
    assertEquals(Set.of("Default", "prunepeft"), experiments.keySet());
    Path experiment = experiments.get("prunepeft");
    String id = experiment.getFileName().toString();
    Map<String, Stored> stored = new TreeMap<>();
    try (var files = Files.list(experiment)) {
      for (Path run : files.filter(Files::isDirectory).toList()) {
        Stored one = Stored.of(run);
        assertEquals(run.getFileName().toString(), one.meta.get("run_id").textValue());
        assertEquals(one.meta.get("run_id"), one.meta.get("run_uuid"));
        assertTrue(one.meta.get("run_id").textValue().matches("[0-9a-f]{32}"));
        assertEquals(id, one.meta.get("experiment_id").textValue());
        stored.put(one.meta.get("run_name").textValue(), one);
      }
    }
    return stored;
  }

  @Test
  void aRunIsThereAsMlflowReadsIt() throws IOException {
    Path store = temporary.resolve("mlruns");
    Call.of("export-mlflow", runs, "-o", store).exits(0).prints(runs.resolve("whole") + ": ");
    Map<String, Stored> stored = read(store);
    assertEquals(List.of("cut", "whole"), List.copyOf(stored.keySet()));
    Stored whole = stored.get("whole");
    assertEquals(3, whole.meta.get("status").intValue());
    // All that MLflow writes, in any order.
    assertEquals(
        List.of(
            "artifact_uri",
            "deleted_time",
            "end_time",
            "entry_point_name",
            "experiment_id",
            "lifecycle_stage",
            "run_id",
            "run_name",
            "run_uuid",
            "source_name",
            "source_type",
            "source_version",
            "start_time",
            "status",
            "tags",
            "user_id"),
        fields(whole.meta));
    assertEquals("lora", whole.params.get("selection.names").replaceAll("\\W", ""));
    assertEquals("2", whole.params.get("setup.epochs"));
    double accuracy = (double) Small.test(runs.resolve("whole")).get("accuracy");
    assertEquals(accuracy, Double.parseDouble(whole.metrics.get("test/accuracy").get(0)[1]));
    List<String[]> losses = whole.metrics.get("train/loss");
    int steps = losses.size();
    assertTrue(steps > 2);
    for (int i = 0; i < steps; i++) {
      assertEquals(3, losses.get(i).length);
      assertEquals(i + 1, Integer.parseInt(losses.get(i)[2]));
      assertTrue(Long.parseLong(losses.get(i)[0]) >= whole.meta.get("start_time").longValue());
    }
    assertEquals(2, whole.metrics.get("train/validation_accuracy").size());
    Path artifacts = Path.of(URI.create(whole.meta.get("artifact_uri").textValue()));
    assertEquals(
        Files.readString(runs.resolve("whole/summary.md")),
        Files.readString(artifacts.resolve("summary.md")));
    assertFalse(Files.exists(artifacts.resolve("adapter.safetensors")));
  }

  @Test
  void aRunThatFailedIsOneAndNamesStayWithinTheStore() throws IOException {
    Path store = temporary.resolve("deep/mlruns");
    Call.of("export-mlflow", runs.resolve("cut"), "-o", store).exits(0);
    Stored cut = read(store).get("cut");
    assertEquals(4, cut.meta.get("status").intValue());
    assertTrue(cut.meta.get("end_time").isNull());
    List<List<String[]>> metrics = List.copyOf(cut.metrics.values());
    assertEquals(2, metrics.size());
    // MLflow's database takes no point twice.
    assertEquals(1, metrics.get(0).size());
    assertEquals("1.5", metrics.get(0).get(0)[1]);
    assertEquals("2.5", metrics.get(1).get(0)[1]);
    assertEquals(Set.of("mlruns"), Small.names(store.getParent()));
  }

  @Test
  void aRunThatIsWrittenAgainTakesItsOwnPlace() throws IOException {
    Path store = temporary.resolve("twice");
    Call first = Call.of("export-mlflow", runs, "-o", store).exits(0);
    Call second = Call.of("export-mlflow", runs, "-o", store).exits(0);
    assertEquals(first.out(), second.out());
    assertEquals(2, read(store).size());
  }

  @Test
  void nothingOfAnEarlierRunOrOfOneThatWasCutOffStaysInItsPlace() throws IOException {
    Path store = temporary.resolve("replaced");
    String said = Call.of("export-mlflow", runs.resolve("whole"), "-o", store).exits(0).out();
    Path place = Path.of(said.strip().substring(said.indexOf(": ") + 2));
    Path parameters = place.resolve("params");
    Set<String> names = Small.names(parameters);
    Files.writeString(parameters.resolve("earlier"), "1");
    // As a process leaves it that is killed.
    Path partial = place.resolveSibling("." + place.getFileName() + ".partial");
    Files.createDirectories(partial.resolve("params"));
    Files.writeString(partial.resolve("params/cut"), "1");
    Path before = place.resolveSibling("." + place.getFileName() + ".earlier");
    Files.createDirectories(before.resolve("params"));
    // No process has this number.
    Path gone = place.resolveSibling("." + place.getFileName() + ".999999999-0a1b2c3d.partial");
    Files.createDirectories(gone.resolve("params"));
    Call.of("export-mlflow", runs.resolve("whole"), "-o", store).exits(0).prints("" + place);
    assertEquals(names, Small.names(parameters));
    assertEquals(
        Set.of("meta.yaml", place.getFileName().toString()), Small.names(place.getParent()));
  }

  @Test
  void aStoreThatIsToldToEndKeepsTheRunsThatItHas() throws IOException {
    Path root = temporary.resolve("told");
    Call.of("export-mlflow", runs.resolve("cut"), "-o", root).exits(0);
    Map<String, Stored> earlier = read(root);
    MlflowStore store = new MlflowStore(root, "prunepeft");
    assertTrue(store.discard().startsWith("interrupted; the runs in " + root + " are whole"));
    assertThrows(IOException.class, () -> store.write(other(Map.of("seed", "1"), Map.of())));
    assertEquals(earlier.keySet(), read(root).keySet());
    for (Path experiment : experiments(root).values()) {
      for (String name : Small.names(experiment)) {
        assertFalse(name.startsWith("."), name);
      }
    }
  }

  private static MlflowStore.MlflowRun other(
      Map<String, String> parameters, Map<String, List<MlflowStore.MetricPoint>> metrics) {
    return new MlflowStore.MlflowRun(
        "other",
        "other",
        Instant.now(),
        null,
        MlflowStore.Status.RUNNING,
        parameters,
        metrics,
        Map.of(),
        Map.of());
  }

  /** The threads stand for two processes. */
  @Test
  void twoThatWriteARunAtOnceBothDo() throws Exception {
    Path root = temporary.resolve("at-once");
    Map<String, String> parameters =
        IntStream.range(0, 20).boxed().collect(Collectors.toMap(i -> "name " + i, i -> "" + i));
    List<MlflowStore> stores =
        List.of(new MlflowStore(root, "prunepeft"), new MlflowStore(root, "prunepeft"));
    for (int i = 0; i < 10; i++) {
      List<CompletableFuture<Path>> written =
          stores.stream()
              .map(
                  store ->
                      CompletableFuture.supplyAsync(
                          () -> {
                            try {
                              return store.write(other(parameters, Map.of()));
                            } catch (IOException e) {
                              throw new UncheckedIOException(e);
                            }
                          }))
              .toList();
      Path place = written.get(0).join();
      assertEquals(place, written.get(1).join());
      assertEquals(parameters, Stored.of(place).params);
      assertEquals(
          Set.of("meta.yaml", place.getFileName().toString()), Small.names(place.getParent()));
    }
  }

  @Test
  void namesThatBecomeTheSameStayApart() throws IOException {
    String longest = "name ".repeat(60).strip();
    List<String> names =
        List.of("plain/one", "a(1)", "a[1]", "a_1_", longest + "1", longest + "2", "b//c", "b/_/c");
    Map<String, String> parameters =
        names.stream().collect(Collectors.toMap(name -> name, name -> "value of " + name));
    Map<String, List<MlflowStore.MetricPoint>> metrics = new TreeMap<>();
    for (int i = 0; i < names.size(); i++) {
      metrics.put(names.get(i), List.of(new MlflowStore.MetricPoint(0, i)));
    }
    Path root = temporary.resolve("apart");
    Stored stored = Stored.of(new MlflowStore(root, "prunepeft").write(other(parameters, metrics)));
    assertEquals(Set.copyOf(parameters.values()), Set.copyOf(stored.params.values()));
    assertEquals(names.size(), stored.metrics.size());
    for (String name : List.of("plain/one", "a_1_", "b/_/c")) {
      assertEquals("value of " + name, stored.params.get(name));
    }
  }

  /** Which MLflow has given a number of its own. */
  @Test
  void anExperimentThatIsThereTakesTheRunsAndOneThatWasDeletedDoesNot() throws IOException {
    Path store = temporary.resolve("there");
    Path own = Files.createDirectories(store.resolve("471"));
    Files.writeString(
        own.resolve("meta.yaml"),
        "artifact_location: %s\ncreation_time: 1\nexperiment_id: '471'\nlast_update_time: 1\nlifecycle_stage: active\nname: prunepeft\n"
            .formatted(own.toUri().toString().replaceFirst("/$", "")));
    Call.of("export-mlflow", runs, "-o", store).exits(0).prints(own.toString());
    assertEquals(Set.of("prunepeft"), experiments(store).keySet());
    Call.of("export-mlflow", runs, "-o", store, "--experiment=other").exits(0);
    Path other = experiments(store).get("other");
    Files.createDirectories(store.resolve(".trash"));
    Files.move(other, store.resolve(".trash").resolve(other.getFileName()));
    Call.of("export-mlflow", runs, "-o", store, "--experiment=other")
        .exits(2, "the experiment other was deleted in MLflow; restore it, or name another");
    Call.of("export-mlflow", runs, "-o", store, "--experiment= ")
        .exits(2, "an experiment's name has 1 to 500 characters");
  }

  @Test
  void aRunThatWasCutOffWasKilled() throws IOException {
    Path killed = Files.createDirectories(temporary.resolve("killed/run"));
    for (String name : List.of("config.json", "configuration.json")) {
      Files.copy(runs.resolve("whole").resolve(name), killed.resolve(name));
    }
    Files.writeString(killed.resolve("INCOMPLETE"), "failed: cancelled\n");
    Path store = temporary.resolve("of-killed");
    Call.of("export-mlflow", killed, "-o", store).exits(0);
    assertEquals(5, read(store).get("run").meta.get("status").intValue());
    Files.writeString(killed.resolve("INCOMPLETE"), "interrupted\n");
    Path another = temporary.resolve("of-interrupted");
    Call.of("export-mlflow", killed, "-o", another).exits(0);
    assertEquals(5, read(another).get("run").meta.get("status").intValue());
  }

  @Test
  void aDirectoryWithoutRunsIsRefused() throws IOException {
    Path empty = Files.createDirectories(temporary.resolve("empty"));
    Path store = temporary.resolve("none");
    Call.of("export-mlflow", empty, "-o", store).exits(1, "has no runs");
    assertFalse(Files.exists(store));
  }
}
