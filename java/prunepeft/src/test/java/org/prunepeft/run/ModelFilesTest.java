package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;

class ModelFilesTest {
  @TempDir private Path temporary;

  private static Map<String, Object> config(boolean ofWriting, String... names) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put(
        ModelFiles.MEMBER,
        Stream.of(names)
            .map(name -> Map.of("file", "/model/" + name, "bytes", 9, "sha256", "a".repeat(64)))
            .toList());
    if (ofWriting) {
      config.put(ModelFiles.OF_WRITING, true);
    }
    return config;
  }

  private List<String> changes(String run, Map<String, Object> config, Map<String, Object> other) {
    RunDirectory directory = RunDirectory.create(temporary.resolve(run));
    directory.writeJson(RunFiles.CONFIG, config);
    return ModelFiles.changes(directory, new RunConfig(Path.of("other.json"), other));
  }

  /** Earlier versions left some files out of the list. */
  @Test
  void whatOneOfTwoRunsDidNotListIsNoDifference() {
    Map<String, Object> earlier = config(false, "model.safetensors");
    Map<String, Object> later =
        config(true, "model.safetensors", "generation_config.json", "chat_template.jinja");
    assertEquals(List.of(), changes("later", later, earlier));
    assertEquals(List.of(), changes("earlier", earlier, later));
    List<String> changes = changes("both", later, config(true, "model.safetensors"));
    assertEquals(2, changes.size(), changes.toString());
    assertTrue(
        changes.stream().anyMatch(one -> one.startsWith("the model has no generation_config.json")),
        changes.toString());
    changes = changes("weights", later, config(false, "generation_config.json"));
    assertEquals(1, changes.size(), changes.toString());
    assertTrue(changes.get(0).startsWith("the model has no model.safetensors"), changes.get(0));
  }
}
