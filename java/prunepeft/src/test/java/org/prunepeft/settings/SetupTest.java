package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.search.Candidate;

class SetupTest {
  @TempDir Path directory;

  @ParameterizedTest
  @CsvSource({"0", "1025", "20000", "1000000", "-1"})
  void threadsAreBounded(int threads) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Setup.DEFAULT.withThreads(threads))
            .getMessage();
    assertEquals("threads must be in [1, 1024], got " + threads, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"threads\" : \\d+ | \"threads\" : 1000000 | threads must be in [1, 1024], got 1000000",
        "\"optimizer\" : \"\\w+\" | \"optimizer\" : null | the optimizer must not be null",
        "\"schedule\" : \"\\w+\" | \"schedule\" : null | the schedule must not be null",
        "\"targets\" : \\[[^]]*\\] | \"targets\" : [null] | null",
        "\"targets\" : \\[[^]]*\\] | \"targets\" : null | LoRA's targets must not be null",
        "\"nonLinearity\" : \"\\w+\" | \"nonLinearity\" : null | non_linearity must not be null",
        "\"training\" : (?s).*?\\n {4}\\} | \"training\" : null | training must not be null",
        "\"sizes\" : (?s).*?\\} | \"sizes\" : null | sizes must not be null",
        "\"model\" : \"\\w+\" | \"model\" : null | model must not be null",
      })
  void aRunsConfigurationThatIsDamagedIsNamed(String part, String damaged, String message)
      throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    run.writeJson(RunFiles.CONFIG, java.util.Map.of("setup", Setup.DEFAULT));
    Path file = run.file(RunFiles.CONFIG);
    assertEquals(Setup.DEFAULT, run.readJson(RunFiles.CONFIG, "setup", Setup.class));
    // As earlier versions left it: its checksum would be what is named.
    String whole = Files.readString(file).replaceFirst(",\\s*\"sha256\" : \"\\w+\"", "");
    Files.writeString(file, whole.replaceFirst(part, damaged));
    assertNamed(run, RunFiles.CONFIG, "setup", Setup.class, message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "null | has no member 'modules'",
        "[null] | null",
        "[{\"name\": null, \"layer\": 0, \"type\": \"lora\", \"parameters\": 1}] | name must not be null",
        "[{\"name\": \"a\", \"layer\": 0, \"parameters\": 1}] | type must not be null",
        "[{\"name\": \"a\", \"layer\": 1e99, \"type\": \"lora\", \"parameters\": 1}] | out of range",
        "7 | modules",
      })
  void aConfigurationsModulesThatAreDamagedAreNamed(String modules, String message)
      throws IOException {
    RunDirectory run = RunDirectory.create(directory);
    Files.writeString(run.file(RunFiles.CONFIGURATION), "{\"modules\": " + modules + "}");
    assertNamed(run, RunFiles.CONFIGURATION, "modules", Candidate[].class, message);
  }

  private static void assertNamed(
      RunDirectory run, String file, String member, Class<?> type, String message) {
    var e = assertThrows(RunDirectoryException.class, () -> run.readJson(file, member, type));
    assertTrue(e.getMessage().startsWith(run.file(file).toString()), e.getMessage());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void settingsOfModulesStayAsTheyWereGiven() {
    Map<String, Object> own = new HashMap<>(Map.of("rank", 4));
    Map<String, Map<String, Object>> given = new HashMap<>(Map.of("vera", own));
    Setup setup = Setup.DEFAULT.withModuleSettings(given);
    own.put("rank", 8);
    given.put("other", Map.of());
    assertEquals(Map.of("vera", Map.of("rank", 4)), setup.moduleSettings());
    assertThrows(
        UnsupportedOperationException.class, () -> setup.moduleSettings().put("other", own));
    assertThrows(
        UnsupportedOperationException.class, () -> setup.moduleSettings().get("vera").clear());
  }

  @Test
  void theMostThreadsAreTaken() {
    assertEquals(1024, Setup.DEFAULT.withThreads(1024).threads());
  }
}
