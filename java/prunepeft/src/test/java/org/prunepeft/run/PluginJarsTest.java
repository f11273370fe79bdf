package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;

class PluginJarsTest {
  private static FileChecksum jar(String file, String digit) {
    return new FileChecksum(Path.of(file), 9, digit.repeat(64));
  }

  private static String change(RunDirectory run, FileChecksum then, FileChecksum... now) {
    List<String> changes = PluginJars.changes(run, List.of(then), List.of(now));
    assertEquals(1, changes.size(), changes.toString());
    return changes.get(0);
  }

  @Test
  void eachJarIsToHoldTheSameWhateverItIsCalled(@TempDir Path temporary) {
    RunDirectory run = RunDirectory.create(temporary.resolve("run"));
    FileChecksum then = jar("/jars/crit-1.0.jar", "a");
    for (String file : List.of("/jars/crit-1.0.jar", "/moved/crit-1.0.jar", "/jars/other.jar")) {
      List<FileChecksum> now = List.of(jar("/jars/more.jar", "c"), jar(file, "a"));
      assertEquals(List.of(), PluginJars.changes(run, List.of(then), now));
    }
    assertEquals(List.of(), PluginJars.changes(run, List.of(), List.of(then)));
    String changed = change(run, then, jar("/moved/crit-1.0.jar", "b"));
    assertTrue(changed.startsWith("/moved/crit-1.0.jar is not what the run "), changed);
    String later = change(run, then, jar("/jars/crit-1.1.jar", "b"));
    assertTrue(later.startsWith("the plugins have no /jars/crit-1.0.jar, which"), later);
    for (String sum : List.of("a", "b")) {
      assertTrue(changed.contains("SHA-256 " + sum.repeat(64)), changed);
      assertTrue(later.contains("SHA-256 " + sum.repeat(64)), later);
    }
    assertTrue(change(run, then).endsWith("; they are none"), change(run, then));
  }

  /** In a file that someone has changed. */
  @Test
  void aListThatIsNoneIsRefusedByFileAndMember(@TempDir Path temporary) {
    RunDirectory run = RunDirectory.create(temporary.resolve("run"));
    Path file = run.file(RunFiles.CONFIG);
    for (Object other : Arrays.asList(null, "x", List.of(Map.of("bytes", 1)))) {
      run.writeJson(RunFiles.CONFIG, Collections.singletonMap(RunFiles.PLUGINS, other));
      String message =
          assertThrows(RunDirectoryException.class, () -> PluginJars.changes(run)).getMessage();
      assertTrue(
          message.startsWith(file + ", plugins: ")
              || message.equals(file + " has no member 'plugins'"),
          message);
    }
  }
}
