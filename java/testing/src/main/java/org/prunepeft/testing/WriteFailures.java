package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * Runs an action with each of its writes failing, one after the other: every file that is there
 * then is what it was before or what it becomes, but for the mark of a run that goes on; the error
 * says why; and the action works afterwards. The same with a disk that is full within a write, and
 * says so at the next one. With writes that all are short the action works at once.
 */
public final class WriteFailures {
  /** Writes files of a directory. */
  @FunctionalInterface
  public interface Action {
    /** Does it, in a directory that is there. */
    void run(Path directory) throws Exception;
  }

  /** It says when, and by which process. */
  private static final String MARK = "INCOMPLETE";

  private final Path temporary;
  private final int every;

  /**
   * Each write fails alone, and again with all later ones.
   *
   * @param temporary a directory for directories of its own
   */
  public WriteFailures(Path temporary) {
    this(temporary, 1);
  }

  /**
   * Every n-th write fails alone, and one between each two of these with all later ones.
   *
   * @param temporary a directory for directories of its own
   * @param every that n; 1: all fail both ways
   */
  public WriteFailures(Path temporary, int every) {
    this.temporary = temporary;
    this.every = every;
  }

  /**
   * Checks an action.
   *
   * @param name for messages
   * @param before what is there already
   * @param action works in what {@code before} has made, whole or where it has failed
   * @return how many writes it makes at least; all of them where each fails
   */
  public int of(String name, Action before, Action action) throws Exception {
    Path whole = directory(name, before);
    action.run(whole);
    Map<String, String> now = contents(whole);
    int writes = 0;
    for (boolean andLater : new boolean[] {false, true}) {
      for (int n = andLater ? 1 + every / 2 : 1; ; n += every) {
        FailingWrites failing = new FailingWrites();
        failing.failAt(n, andLater);
        String at = "%s, write %d%s".formatted(name, n, andLater ? " and later ones" : "");
        if (!fails(at, failing, directory(name + "-" + n + andLater, before), action, now)) {
          writes = Math.max(writes, n - every);
          break;
        }
      }
    }
    assertTrue(writes > 0, name);
    shortWrites(name, before, action, now);
    fullDisks(name, before, action, now);
    return writes;
  }

  private static void requireSaid(String at, Path directory, Exception thrown) {
    String message = String.valueOf(thrown.getMessage());
    assertTrue(message.contains(FailingWrites.REASON), at + ": " + message);
    // Who has called for the file names it.
    assertTrue(
        thrown instanceof IOException || message.contains(directory.toString()),
        at + ": " + message);
  }

  private void shortWrites(String name, Action before, Action action, Map<String, String> now)
      throws Exception {
    FailingWrites failing = new FailingWrites();
    Path directory = directory(name + "-halves", before);
    failing.halve();
    action.run(failing.at(directory));
    failing.stop();
    assertEquals(now, contents(directory), name + ", with short writes");
  }

  /** Where not each write is to fail, fewer than the others. */
  private void fullDisks(String name, Action before, Action action, Map<String, String> now)
      throws Exception {
    boolean failed = true;
    for (int n = 1; failed; n += 3 * every - 2) {
      FailingWrites failing = new FailingWrites();
      failing.fillAt(n);
      String at = "%s, disk full within write %d of bytes".formatted(name, n);
      failed = fails(at, failing, directory(name + "-full-" + n, before), action, now);
    }
  }

  /**
   * {@return whether a write failed; then files are whole, the error says why, and the action works
   * afterwards}
   *
   * @param now what the action leaves in the directory
   */
  private static boolean fails(
      String at, FailingWrites failing, Path directory, Action action, Map<String, String> now)
      throws Exception {
    Map<String, String> old = contents(directory);
    Exception thrown = null;
    try {
      action.run(failing.at(directory));
    } catch (Exception e) {
      thrown = e;
    }
    if (!failing.stop()) {
      assertNull(thrown, at);
      assertEquals(now, contents(directory), at);
      return false;
    }
    requireWhole(at, old, now, contents(directory));
    if (thrown != null) {
      requireSaid(at, directory, thrown);
      action.run(directory);
    }
    assertEquals(now, contents(directory), at + ", then again");
    return true;
  }

  private static void requireWhole(
      String at, Map<String, String> old, Map<String, String> now, Map<String, String> found) {
    for (Map.Entry<String, String> file : found.entrySet()) {
      String content = file.getValue();
      assertTrue(
          content.equals(old.get(file.getKey())) || content.equals(now.get(file.getKey())),
          () -> "%s leaves %s as %s".formatted(at, file.getKey(), content));
    }
    for (String name : old.keySet()) {
      assertTrue(found.containsKey(name) || !now.containsKey(name), () -> at + " loses " + name);
    }
  }

  private Path directory(String name, Action before) throws Exception {
    Path directory = Files.createDirectory(temporary.resolve(name.replace(' ', '-')));
    before.run(directory);
    return directory;
  }

  private static Map<String, String> contents(Path directory) throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (var files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (!file.endsWith(MARK)) {
          contents.put(
              directory.relativize(file).toString(),
              Files.readString(file, StandardCharsets.ISO_8859_1));
        }
      }
    }
    return contents;
  }
}
