package org.prunepeft.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;

class ManifestTest {
  private static final Set<String> READ = Set.of(RunFiles.CONFIG);

  @TempDir private Path temporary;
  private Path run;

  @BeforeEach
  void write() {
    run = temporary.resolve("run");
    RunDirectory directory = RunDirectory.create(run);
    directory.writeJson(RunFiles.CONFIG, RunDirectory.formatted());
    directory.writeJson(RunFiles.CONFIGURATION, RunDirectory.formatted());
    Manifest.write(
        directory,
        RunFiles.RESULT,
        RunDirectory.formatted(),
        List.of(RunFiles.CONFIG, RunFiles.CONFIGURATION));
    directory.complete();
  }

  private Path file(String name) {
    return run.resolve(name);
  }

  @Test
  void otherContentAndWhatIsGoneAreDamages() throws IOException {
    Manifest.open(run, READ);
    Executable reading = () -> Manifest.open(run, READ);
    String result = Files.readString(file(RunFiles.RESULT));
    for (String damaged : List.of("{", "null", "\0\0\0", result.replace("config", "Config"), "")) {
      Files.writeString(file(RunFiles.RESULT), damaged);
      assertThrows(DamagedRunException.class, reading, damaged);
    }
    Files.writeString(file(RunFiles.RESULT), result);
    Files.writeString(file(RunFiles.CONFIG), "{}");
    assertThrows(DamagedRunException.class, reading);
    Files.delete(file(RunFiles.CONFIG));
    assertThrows(DamagedRunException.class, reading);
  }

  /** Before Java 19 Double.toString has a digit more than it needs for some numbers. */
  @Test
  void checksumsAreTheSameByAnyJava() {
    Map<String, Object> object = Map.of("large", 7.3879E20);
    assertEquals("{\n  \"large\" : 7.3879E20\n}\n", RunDirectory.format("a file", object));
    // As earlier versions made it by this Java.
    MessageDigest earlier = FileChecksum.digest();
    earlier.update(RunJson.formatEarlier("a file", object).getBytes(StandardCharsets.UTF_8));
    assertTrue(Manifest.isOwn("a file", object, FileChecksum.hex(earlier)));
    assertFalse(Manifest.isOwn("a file", Map.of("large", 7.3878E20), FileChecksum.hex(earlier)));
  }

  @Test
  void whatCanNotBeReadIsNoDamage() throws IOException {
    Executable reading = () -> Manifest.open(run, READ);
    Files.delete(file(RunFiles.CONFIG));
    Files.createDirectory(file(RunFiles.CONFIG));
    assertFalse(assertThrows(RunDirectoryException.class, reading) instanceof DamagedRunException);
    String result = Files.readString(file(RunFiles.RESULT));
    Files.writeString(
        file(RunFiles.RESULT),
        result.replaceFirst(
            "\"format\" : " + RunDirectory.FORMAT, "\"format\" : " + (RunDirectory.FORMAT + 1)));
    RunDirectoryException newer = assertThrows(RunDirectoryException.class, reading);
    assertTrue(newer.getMessage().contains(" has format "), newer.getMessage());
    assertFalse(newer instanceof DamagedRunException);
  }

  /** Names to be read, whose first look finds the run taken up again. */
  private final class TakenUp extends TreeSet<String> {
    private static final long serialVersionUID = 1;

    TakenUp() {
      super(READ);
    }

    @Override
    public boolean contains(Object name) {
      try {
        Files.writeString(file(RunDirectory.INCOMPLETE), "running\n");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return super.contains(name);
    }
  }

  @Test
  void aRunThatIsTakenUpAgainWhileItIsCheckedIsNotDamaged() throws IOException {
    Files.writeString(file(RunFiles.CONFIG), "{}");
    assertThrows(DamagedRunException.class, () -> Manifest.look(run, READ));
    assertEquals(run, Manifest.look(run, new TakenUp()).path());
  }

  /** It would be signed as what was found. */
  @Test
  void whatChangedSinceItWasWrittenIsNotSigned() throws IOException {
    RunDirectory directory = RunDirectory.create(temporary.resolve("changed"));
    directory.writeJson(RunFiles.ROUNDS, List.of(1));
    directory.appendJsonLine(RunFiles.METRICS, Map.of("step", 1));
    Files.writeString(directory.file(RunFiles.OPTIONS), "seed: 1");
    directory.take(RunFiles.OPTIONS);
    directory.take(RunFiles.PEER);
    Executable signing =
        () ->
            Manifest.write(
                directory,
                RunFiles.RESULT,
                RunDirectory.formatted(),
                RunFiles.beforeResult(directory));
    for (String name : List.of(RunFiles.ROUNDS, RunFiles.METRICS, RunFiles.OPTIONS)) {
      Path changed = directory.file(name);
      String text = Files.readString(changed);
      Files.writeString(changed, text.replace('1', '2'));
      assertNotSigned(changed, signing);
      Files.delete(changed);
      assertNotSigned(changed, signing);
      Files.writeString(changed, text);
    }
    Manifest.write(
        directory, RunFiles.RESULT, RunDirectory.formatted(), RunFiles.beforeResult(directory));
    directory.complete();
    Manifest.verify(directory);
  }

  private static void assertNotSigned(Path changed, Executable signing) {
    String said = assertThrows(RunDirectoryException.class, signing).getMessage();
    assertTrue(said.startsWith(changed + " "), said);
    assertTrue(said.contains("while the run went on"), said);
    // A run that is resumed makes its rounds again.
    String restore = changed.endsWith(RunFiles.ROUNDS) ? "" : "restore it from a copy and ";
    assertTrue(said.endsWith("; " + restore + "resume the run (--resume), or make it anew"), said);
  }

  @Test
  void whatWasAddedByANameOfARunsFilesIsRefused() throws IOException {
    for (String name : RunFiles.DESCRIPTION) {
      if (!Files.exists(file(name))) {
        Files.writeString(file(name), "{}");
        String said =
            assertThrows(DamagedRunException.class, () -> Manifest.open(run, READ)).getMessage();
        assertTrue(said.startsWith(file(name) + " was added: "), said);
        Files.delete(file(name));
      }
    }
    Files.writeString(file("report.html"), "a page");
    Files.createDirectory(file(CheckpointDirectory.NAME));
    Manifest.open(run, READ);
    Files.writeString(file(RunFiles.PEER), "{}");
    Manifest.renew(
        RunDirectory.open(run), RunFiles.RESULT, RunFiles.beforeResult(RunDirectory.open(run)));
    Manifest.open(run, READ);
  }
}
