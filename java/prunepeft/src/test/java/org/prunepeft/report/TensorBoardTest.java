package org.prunepeft.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
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

  /** Files of all the seconds that the test may take are there. */
  @Test
  void aRunThatGoesOnWithinTheSecondHasAFileOfItsOwn() throws IOException {
    Files.writeString(run.resolve("config.json"), "{}");
    long now = System.currentTimeMillis() / 1000;
    for (long second = now; second < now + 600; second++) {
      Files.writeString(
          run.resolve(String.format(Locale.ROOT, "events.out.tfevents.%010d.prunepeft", second)),
          "earlier");
    }
    for (int number = 2; number <= 3; number++) {
      try (TensorBoard board = new TensorBoard()) {
        board.directory(run);
      }
      String end = ".prunepeft." + number;
      try (Stream<Path> files = Files.list(run)) {
        List<Path> own = files.filter(file -> file.toString().endsWith(end)).toList();
        assertEquals(1, own.size(), own.toString());
        assertTrue(own.get(0).getFileName().toString().startsWith("events.out.tfevents."));
        assertTrue(Files.size(own.get(0)) > 0);
      }
    }
  }
}
