package org.prunepeft.io;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * Something that this process is writing and that is of no use unless it is whole, such as an
 * export: a process that is told to end leaves nothing of it.
 */
public final class Unfinished {
  private static final Set<Unfinished> BEGUN = ConcurrentHashMap.newKeySet();

  private final Supplier<String> discard;

  private Unfinished(Supplier<String> discard) {
    this.discard = discard;
  }

  /**
   * Something is begun.
   *
   * @param discard removes what there is of it, while another thread may still be writing, and says
   *     in a line for the user what is left
   * @return to be ended
   */
  public static Unfinished begin(Supplier<String> discard) {
    Unfinished begun = new Unfinished(discard);
    BEGUN.add(begun);
    return begun;
  }

  /** It is whole, or given up. */
  public void end() {
    BEGUN.remove(this);
  }

  /**
   * Removes all that this process has begun, and what {@link AtomicFile#abandon} does. For a
   * process that has been told to end and does not wait for it.
   *
   * @return what is left, for the user
   */
  public static List<String> abandon() {
    AtomicFile.abandon();
    return BEGUN.stream().map(begun -> begun.discard.get()).toList();
  }

  /**
   * Removes all that is in a directory, if it is there; links as links.
   *
   * @throws IOException if something can't be removed, or comes meanwhile
   */
  public static void clear(Path directory) throws IOException {
    List<Path> inside;
    try (Stream<Path> files = Files.walk(directory)) {
      inside = files.skip(1).sorted(Comparator.reverseOrder()).toList();
    } catch (NoSuchFileException e) {
      return;
    } catch (UncheckedIOException e) {
      // A directory below has gone while it was walked.
      throw e.getCause();
    }
    for (Path file : inside) {
      Files.deleteIfExists(file);
    }
  }
}
