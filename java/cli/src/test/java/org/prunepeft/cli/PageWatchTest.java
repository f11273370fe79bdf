package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.testing.Endless;

class PageWatchTest {
  @TempDir Path run;
  private final List<String> said = new ArrayList<>();
  private final StringWriter err = new StringWriter();

  private PageWatch watch(Path page) {
    return new PageWatch(
        new ProgressListener() {
          @Override
          public void message(String line) {
            assertTrue(Files.exists(page), "it is not there yet: " + line);
            said.add(line);
          }
        },
        new PrintWriter(err));
  }

  @Test
  void thePageIsThereWhenItIsAnnounced() throws IOException {
    Files.writeString(run.resolve("config.json"), "{}");
    Files.writeString(run.resolve("INCOMPLETE"), "running\n");
    Path page = run.resolve(PageWatch.PAGE);
    try (PageWatch watch = watch(page)) {
      watch.directory(run);
      assertEquals(List.of("watch it at " + page.toUri()), said);
      assertTrue(Files.readString(page).contains("http-equiv=\"refresh\""));
    }
    assertFalse(Files.readString(page).contains("http-equiv=\"refresh\""));
    assertEquals("", err.toString());
  }

  @Test
  void aPageThatCannotBeWrittenIsNotAnnouncedAndEndsNothing() {
    try (PageWatch watch = watch(run.resolve(PageWatch.PAGE))) {
      watch.directory(run.resolve("absent"));
    }
    assertEquals(List.of(), said);
    assertTrue(err.toString().startsWith("prunepeft: " + run.resolve("absent")), err.toString());
    assertEquals(1, err.toString().lines().count(), err.toString());
  }

  /** In a run that came from elsewhere. */
  @Test
  void whatALinkLeadsToIsNotReplacedByThePage(@TempDir Path elsewhere) throws IOException {
    Files.writeString(run.resolve("config.json"), "{}");
    Files.writeString(run.resolve("INCOMPLETE"), "running\n");
    Path mine = Files.writeString(elsewhere.resolve("mine"), "mine");
    Path page = Files.createSymbolicLink(run.resolve(PageWatch.PAGE), mine);
    try (PageWatch watch = watch(page)) {
      watch.directory(run);
    }
    assertEquals("mine", Files.readString(mine));
    assertTrue(err.toString().startsWith("prunepeft: " + page + " is a symbolic link"));
    assertEquals(1, err.toString().lines().count(), err.toString());
  }

  @Test
  void thePageIsNotWrittenToWhatNobodyReads() throws IOException {
    Files.writeString(run.resolve("config.json"), "{}");
    Files.writeString(run.resolve("INCOMPLETE"), "running\n");
    Path page = run.resolve(PageWatch.PAGE);
    Endless.FIFO.read(
        page,
        () -> {
          try (PageWatch watch = watch(page)) {
            watch.directory(run);
          }
          return null;
        });
    assertTrue(err.toString().startsWith("prunepeft: " + page + " is no file"), err.toString());
  }
}
