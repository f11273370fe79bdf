package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;

class OutcomeFileTest {
  private static final List<String> NUMBERS =
      List.of(
          "trainable_parameters",
          "supernet_parameters",
          "best_epoch",
          "epochs",
          "preparation_seconds",
          "training_seconds");

  private static final List<String> EVALUATIONS = List.of("head_alone_test", "validation", "test");

  @TempDir private Path temporary;

  private static Map<String, Object> result() {
    Map<String, Object> result = RunDirectory.formatted();
    NUMBERS.forEach(name -> result.put(name, 3));
    EVALUATIONS.forEach(
        name -> result.put(name, Map.of("loss", 0.5, "accuracy", 0.75, "macro_f1", 0.25)));
    return result;
  }

  private Path run(String name, Map<String, Object> config, Map<String, Object> result) {
    RunDirectory run = RunDirectory.create(temporary.resolve(name));
    run.writeJson(RunFiles.CONFIG, config);
    run.writeJson(RunFiles.CONFIGURATION, Map.of("modules", List.of()));
    Manifest.write(run, RunFiles.RESULT, result, List.of(RunFiles.CONFIG, RunFiles.CONFIGURATION));
    run.complete();
    return run.path();
  }

  private static Map<String, Object> config() {
    return Schema.classification(List.of("a", "b")).toMap();
  }

  private static void assertRefused(Path run, String said) {
    String message =
        assertThrows(RunDirectoryException.class, () -> OutcomeFile.read(run)).getMessage();
    assertTrue(message.startsWith(said) && message.endsWith("; make the run anew"), message);
  }

  @Test
  void whatIsMissingIsNamedWithItsFile() {
    assertEquals(3, OutcomeFile.read(run("whole", config(), result())).epochs());
    for (String name : NUMBERS) {
      Map<String, Object> result = result();
      result.remove(name);
      Path run = run(name, config(), result);
      assertRefused(
          run, run.resolve("result.json") + " must have a number '%s', got null".formatted(name));
    }
    for (String name : EVALUATIONS) {
      Map<String, Object> result = result();
      result.put(name, List.of());
      Path run = run(name, config(), result);
      assertRefused(
          run, run.resolve("result.json") + " must have an object '%s', got []".formatted(name));
      result.put(name, Map.of("accuracy", 0.5, "macro_f1", 0.25));
      Path without = run(name + "-without", config(), result);
      assertRefused(without, without.resolve("result.json") + " must have a number 'loss'");
    }
    Map<String, Object> config = new LinkedHashMap<>(config());
    config.remove("labels");
    Path run = run("unlabelled", config, result());
    assertRefused(run, run.resolve("config.json") + ": ");
  }
}
