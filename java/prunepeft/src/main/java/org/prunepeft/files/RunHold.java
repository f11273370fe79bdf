package org.prunepeft.files;

import static org.prunepeft.files.RunErrors.unwritten;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;

/**
 * A run's directory as this process has it: by its mark there, until the run is over or another
 * process has taken it over. Its {@link RunDirectory} sees to it that one thread at a time changes
 * it.
 */
final class RunHold {
  private enum State {
    RUNNING,
    FAILED,
    /** Another process has taken it over. */
    LOST,
    /** What it has written is removed. */
    DISCARDED,
    COMPLETE
  }

  private static final int MOST_ATTEMPTS = 100;

  private final Path directory;
  private final Path file;

  /** What the mark says while the run goes on; null: it is not this process's. */
  private final String mark;

  private State state;

  /** Those of this process that nobody has let go of, by their marks. */
  private static final Set<RunHold> HELD =
      Collections.synchronizedSet(Collections.newSetFromMap(new WeakHashMap<>()));

  private RunHold(Path directory, String mark, State state) {
    this.directory = directory;
    file = RunMark.file(directory);
    this.mark = mark;
    this.state = state;
    if (state == State.RUNNING) {
      HELD.add(this);
    }
  }

  /** Whether a run of this process goes on that has this mark. */
  static boolean isHeld(String mark) {
    synchronized (HELD) {
      return HELD.stream().anyMatch(hold -> hold.mark.equals(mark));
    }
  }

  /** Of a run that is complete, or is looked at. */
  static RunHold none(Path directory) {
    return new RunHold(directory, null, State.COMPLETE);
  }

  /** Whether a directory may be taken that has this mark, or none. */
  interface Requirement {
    /** Throws if not. */
    void check(Optional<RunMark> found) throws IOException;
  }

  /**
   * Writes a mark into a directory, in the place of what a requirement allows. Of several processes
   * that do so at once, on other machines too, one has the directory; the requirement is asked
   * again, of the mark of that one, in the others.
   *
   * @param mark unlike any other
   */
  static RunHold take(Path directory, String mark, Requirement requirement) throws IOException {
    // Held before the mark can be found.
    RunHold hold = new RunHold(directory, mark, State.RUNNING);
    boolean taken = false;
    try {
      for (int attempt = 0; attempt < MOST_ATTEMPTS && !taken; attempt++) {
        taken = hold.isTaken(requirement);
      }
    } finally {
      if (!taken) {
        hold.letGo();
      }
    }
    if (!taken) {
      throw new IOException(
          hold.file + " can't be made: something else is in its place again and again");
    }
    return hold;
  }

  /** Tries once; false: another process was faster. */
  private boolean isTaken(Requirement requirement) throws IOException {
    OwnFiles.require(directory, file);
    try {
      Optional<RunMark> found = RunMark.read(directory);
      requirement.check(found);
      return put(directory, file, found, mark);
    } catch (NoSuchFileException e) {
      if (Files.notExists(directory)) {
        throw e;
      }
      // Whoever was faster has come to its end meanwhile.
      return false;
    }
  }

  /**
   * Puts a mark in the place of one that is to be replaced, or of none. Who replaces one has a
   * claim to that meanwhile, a mark itself, which is replaced likewise where its process is gone.
   *
   * @return whether it did; if not, another process was faster
   */
  private static boolean put(Path directory, Path file, Optional<RunMark> replaced, String mark)
      throws IOException {
    byte[] content = mark.getBytes(StandardCharsets.UTF_8);
    if (replaced.isEmpty()) {
      return AtomicFile.create(file, content);
    }
    // By its name removed with what else a killed process was writing.
    Path claim = file.resolveSibling(".%s.0.partial".formatted(file.getFileName()));
    OwnFiles.require(directory, claim);
    Optional<RunMark> claimed = RunMark.read(directory, claim);
    if (claimed.isPresent()) {
      claimed.get().requireGone();
    }
    if (!put(directory, claim, claimed, mark)) {
      return false;
    }
    try {
      Optional<RunMark> found = RunMark.read(directory, file);
      if (!found.map(RunMark::content).equals(replaced.map(RunMark::content))) {
        return false;
      }
      replace(file, content, replaced.get());
      return true;
    } finally {
      Files.deleteIfExists(claim);
    }
  }

  /** Where the disk can't keep the mark, the one before is put back: the next try finds it. */
  private static void replace(Path file, byte[] content, RunMark before) throws IOException {
    try {
      AtomicFile.write(file, content);
    } catch (IOException e) {
      try {
        if (Arrays.equals(RunMark.text(file).getBytes(StandardCharsets.UTF_8), content)) {
          AtomicFile.write(file, before.content().getBytes(StandardCharsets.UTF_8));
        }
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e;
    }
  }

  /** Whether nothing more can be written. */
  boolean isComplete() {
    return state == State.COMPLETE;
  }

  /** Whether what the run has made is this process's to remove. */
  boolean mayDiscard() {
    return state != State.COMPLETE && state != State.LOST && state != State.DISCARDED;
  }

  /**
   * Nothing more is written, and no mark: what there is is to be removed.
   *
   * @return whether it is this process's to remove
   */
  boolean discard() {
    if (!mayDiscard() || isTakenOver()) {
      return false;
    }
    end(State.DISCARDED);
    return true;
  }

  /** As {@link RunDirectory#complete} says. */
  void complete() {
    if (state != State.RUNNING) {
      throw new IllegalStateException("the run in %s is over: %s".formatted(directory, state));
    }
    requireThere();
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw unwritten(file, e);
    }
    end(State.COMPLETE);
    try {
      AtomicFile.forceDirectory(directory);
    } catch (IOException e) {
      // All files are there. After a power cut the mark may be back: the run is made again.
    }
  }

  /**
   * As {@link RunDirectory#fail} says.
   *
   * @param mark what the run's mark says from now on
   */
  void fail(String mark) {
    if (state == State.COMPLETE || state == State.DISCARDED) {
      return;
    }
    if (state == State.RUNNING && isTakenOver()) {
      end(State.LOST);
      return;
    }
    state = State.FAILED;
    try {
      AtomicFile.write(OwnFiles.require(directory, file), mark.getBytes(StandardCharsets.UTF_8));
    } catch (IOException | RunDirectoryException e) {
      // What made the run fail matters more, such as a full disk.
    } finally {
      // Who resumes it finds what was written.
      HELD.remove(this);
    }
  }

  /** The directory could not be opened: what the mark says does not go on. */
  void letGo() {
    HELD.remove(this);
  }

  private void end(State how) {
    state = how;
    HELD.remove(this);
  }

  /** As {@link RunDirectory#requireThere} says. */
  void requireThere() {
    if (state == State.COMPLETE) {
      return;
    }
    if (Files.notExists(file)) {
      throw new RunDirectoryException(
          "the directory %s is gone: it was deleted, moved or emptied while its run went on; the run ends"
              .formatted(directory));
    }
    if (state == State.RUNNING && isTakenOver()) {
      throw new RunDirectoryException(
          "another process has taken over the run in %s; it ends here".formatted(directory));
    }
  }

  /** Whether the mark is there and is another's; false if it can't be read. */
  private boolean isTakenOver() {
    try {
      return !RunMark.text(file).equals(mark);
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Says that the run goes on, to other machines.
   *
   * @return whether it does
   */
  boolean renew() {
    if (state != State.RUNNING || Files.notExists(file) || isTakenOver()) {
      return false;
    }
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
    } catch (IOException e) {
      // The next may be written.
    }
    return true;
  }
}
