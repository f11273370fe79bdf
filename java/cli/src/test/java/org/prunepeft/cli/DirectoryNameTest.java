package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class DirectoryNameTest {
  private static final String TIME = "20260307-101112-345";

  @Test
  void aRunsDirectoryIsCalledByModelTaskAndTime() {
    assertEquals("minilm-wordnet-" + TIME, SetupOptions.directoryName("minilm", "wordnet", TIME));
  }

  @Test
  void aLongNameIsCutBetweenCharactersAndKeepsTheTime() {
    String name = SetupOptions.directoryName("m", "x\uD83D\uDE00".repeat(100), TIME);
    assertTrue(name.endsWith("\uD83D\uDE00-" + TIME) || name.endsWith("x-" + TIME), name);
    assertTrue(name.getBytes(StandardCharsets.UTF_8).length <= 255, name);
    assertTrue(name.startsWith("m-x\uD83D\uDE00x"), name);
  }
}
