package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
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

  /** The clock of all stands within a second. */
  @Test
  void aRunThatGoesOnWithinTheSecondHasAFileOfItsOwn() throws IOException {
    Files.writeString(run.resolve("config.json"), "{}");
    for (int i = 0; i < 3; i++) {
      double now = 1_796_050_406 + i / 4.0;
      try (TensorBoard board = new TensorBoard(() -> now)) {
        board.directory(run);
        board.metrics("train", 1, Map.of("loss", 0.5));
      }
    }
    String first = "events.out.tfevents.1796050406.prunepeft";
    try (Stream<Path> files = Files.list(run)) {
      List<String> names =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.contains("tfevents"))
              .sorted()
              .toList();
      assertEquals(List.of(first, first + ".2", first + ".3"), names);
      for (String name : names) {
        assertEquals(Files.size(run.resolve(first)), Files.size(run.resolve(name)));
      }
    }
  }
}
