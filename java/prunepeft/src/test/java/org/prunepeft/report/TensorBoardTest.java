package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardTest {
  @TempDir Path run;

  @Test
  void aSettingStaysWithinItsCellOfTheTable() throws IOException {
    Files.writeString(run.resolve("config.json"), "{\"setup\": {\"model\": \"a|b\\\\|c\\nd\"}}");
    try (TensorBoard board = new TensorBoard()) {
      board.directory(run);
    }
    Path events;
    try (Stream<Path> files = Files.list(run)) {
      events = files.filter(file -> file.toString().contains("tfevents")).findFirst().orElseThrow();
    }
    String text = Files.readString(events, StandardCharsets.ISO_8859_1);
    assertTrue(text.contains("\n| setup.model | a\\|b\\\\\\|c d |\n"), text);
  }
}
