package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Has a reader, a method of a test that takes a file's bytes, read many files that {@link Mutator}
 * makes of its saved ones. A file that ends at a place where none has ended before, read or
 * refused, joins those of which others are made. The same seed makes the same files as long as
 * readers refuse them at the same places.
 */
public final class MutatedFiles {
  private static final int LONGEST = 4096;
  private static final int MOST_KEPT = 2000;
  private static final int MOST_FAILURES = 10;

  /** Far more than a busy machine takes; a reading has a bound of its own ({@link Reading}). */
  private static final double SECONDS = 600;

  /** What an error is recognised by: so many calls, from the one that threw it. */
  private static final int CALLS = 3;

  /** A file at which a reader failed, and how. */
  public record Failure(byte[] file, Throwable how) {}

  private final Object readers;
  private final Method reader;
  private final List<byte[]> files = new ArrayList<>();
  private final Set<Integer> places = new HashSet<>();
  private final List<Failure> failures = new ArrayList<>();
  private final Mutator mutator;
  private int place;
  private boolean refused;
  private long inputs;
  private long wereRead;

  /**
   * Of one reader.
   *
   * @param readers the test whose method it is
   * @param name the method's
   * @param seed of all files
   */
  public MutatedFiles(Class<?> readers, String name, long seed)
      throws IOException, ReflectiveOperationException {
    Constructor<?> constructor = readers.getDeclaredConstructor();
    constructor.setAccessible(true);
    this.readers = constructor.newInstance();
    reader = readers.getDeclaredMethod(name, byte[].class);
    reader.setAccessible(true);
    int longest = LONGEST;
    for (Path file : ReaderFiles.list(ReaderFiles.saved(readers).resolve(name))) {
      files.add(Files.readAllBytes(file));
      longest = Math.max(longest, (int) Files.size(file));
    }
    mutator = new Mutator(seed, longest);
  }

  /**
   * Reads files until there were so many, or so many seconds are over, or 10 failed.
   *
   * @return those that failed; one that is left open has failed too
   */
  public List<Failure> read(long most, double seconds) throws IOException {
    long end = System.nanoTime() + (long) (1e9 * seconds);
    Reading.listen(this::ended);
    try {
      for (byte[] file : List.copyOf(files)) {
        read(file);
      }
      while (inputs < most && failures.size() < MOST_FAILURES && System.nanoTime() < end) {
        byte[] file = mutator.next(files);
        if (read(file) && files.size() < MOST_KEPT) {
          files.add(file);
        }
      }
    } finally {
      Reading.listen(refusal -> {});
    }
    List<Path> open = OpenFiles.below(ReaderFiles.DIRECTORY);
    if (!open.isEmpty()) {
      failures.add(new Failure(new byte[0], new AssertionError("left open: " + open)));
    }
    return failures;
  }

  /**
   * Has a reader read so many files, saved ones included, which the test's seed names.
   *
   * @param type whose methods are readers
   * @throws AssertionError at the first that fails; has its bytes
   */
  public static void check(Class<?> type, String reader, int most) throws Exception {
    MutatedFiles files = new MutatedFiles(type, reader, TestSeed.draw());
    for (Failure failure : files.read(most, SECONDS)) {
      throw new AssertionError(
          "failed at the bytes " + HexFormat.of().formatHex(failure.file()), failure.how());
    }
    assertEquals(most, files.inputs);
  }

  /** {@return whether it ended at a new place} */
  private boolean read(byte[] file) {
    place = 0;
    refused = false;
    inputs++;
    try {
      reader.invoke(readers, (Object) file);
    } catch (InvocationTargetException e) {
      ended(e.getCause());
      if (places.add(place)) {
        failures.add(new Failure(file, e.getCause()));
      }
      return false;
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    }
    wereRead += refused ? 0 : 1;
    return places.add(place);
  }

  private void ended(Throwable refusal) {
    place = 31 * place + 1;
    if (refusal == null) {
      return;
    }
    refused = true;
    place = 31 * place + refusal.getClass().getName().hashCode();
    StackTraceElement[] calls = refusal.getStackTrace();
    for (int i = 0; i < Math.min(CALLS, calls.length); i++) {
      place = 31 * place + calls[i].hashCode();
    }
  }

  /**
   * Prints for each reader how many files it read and refused; those that failed go to the current
   * directory. Ends with 1 if there were any.
   *
   * @param args the test's class; seed, inputs and seconds at most of each reader; the readers'
   *     names
   */
  public static void main(String[] args) throws IOException, ReflectiveOperationException {
    Class<?> readers = Class.forName(args[0]);
    boolean failed = false;
    for (String name : List.of(args).subList(4, args.length)) {
      long start = System.nanoTime();
      MutatedFiles files = new MutatedFiles(readers, name, Long.parseLong(args[1]));
      int before = files.files.size();
      files.read(Long.parseLong(args[2]), Double.parseDouble(args[3]));
      System.out.printf(
          Locale.ROOT,
          "%-16s %,10d files in %6.1f s: %,9d read, %,9d refused, %4d places found, %d failures%n",
          name,
          files.inputs,
          (System.nanoTime() - start) / 1e9,
          files.wereRead,
          files.inputs - files.wereRead - files.failures.size(),
          files.files.size() - before,
          files.failures.size());
      if (!files.failures.isEmpty()) {
        System.out.printf("  again: java/fuzz --seed %s %s %d%n", args[1], name, files.inputs);
      }
      for (int i = 0; i < files.failures.size(); i++) {
        failed = true;
        Path file = Path.of(name + "-" + args[1] + "-" + i);
        Files.write(file, files.failures.get(i).file());
        System.out.println("  failed: " + file.toAbsolutePath());
        files.failures.get(i).how().printStackTrace(System.out);
      }
    }
    Method clean = readers.getDeclaredMethod("clean");
    clean.setAccessible(true);
    clean.invoke(null);
    System.exit(failed ? 1 : 0);
  }
}
