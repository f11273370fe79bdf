package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunStatus;

/** Makes the runs of a study, each in a process of its own, some at a time. */
final class StudyRunner {
  private static final long POLL_MILLIS = 200;

  /** Of a run that fails each time and comes further. */
  private static final int MOST_RESUMPTIONS = 20;

  /** After a run's process; another process may have been quicker to begin it. */
  private static final Set<StudyDirectory.State> ENDED_WELL =
      EnumSet.of(
          StudyDirectory.State.COMPLETE,
          StudyDirectory.State.RUNNING,
          StudyDirectory.State.DIVERGED);

  private final StudyPlan plan;
  private final StudyDirectory directory;
  private final ProgressDisplay display;

  StudyRunner(StudyPlan plan, StudyDirectory directory, ProgressDisplay display) {
    this.plan = plan;
    this.directory = directory;
    this.display = display;
  }

  /**
   * How a run ended.
   *
   * @param failure why it failed; null: it is complete
   */
  private record Ended(PlannedRun run, String failure) {}

  /**
   * Makes those that are not complete.
   *
   * @param jobs at a time
   * @return why runs failed, by their names; those that need one of them too
   * @throws CancellationException if the process is to end; runs can go on
   * @throws org.prunepeft.io.RunDirectoryException if complete runs are not alike, as {@link
   *     StudyDirectory#requireAlike} says; as soon as one is found, so that no more are made
   */
  Map<String, String> make(int jobs) {
    Set<PlannedRun> waiting = new LinkedHashSet<>(plan.runs());
    waiting.removeIf(directory::isOver);
    directory.requireAlike();
    int there = plan.runs().size() - waiting.size();
    if (there > 0) {
      say("%d of %d runs are complete".formatted(there, plan.runs().size()));
    }
    int all = waiting.size();
    display.started("study", "runs", all);
    Map<String, String> failures = new LinkedHashMap<>();
    ExecutorService pool = Executors.newFixedThreadPool(jobs);
    CompletionService<Ended> ended = new ExecutorCompletionService<>(pool);
    try {
      int going = 0;
      int done = 0;
      while (going > 0 || !waiting.isEmpty()) {
        done += refuse(waiting, failures);
        for (PlannedRun run : List.copyOf(waiting)) {
          if (going < jobs && directory.isReady(run)) {
            waiting.remove(run);
            going++;
            ended.submit(() -> new Ended(run, attempt(run)));
          }
        }
        if (going > 0) {
          Ended one = ended.take().get();
          going--;
          done++;
          if (one.failure != null) {
            failures.put(one.run.name(), one.failure);
            say("%s failed: %s".formatted(one.run.name(), one.failure));
          }
          directory.requireAlike();
        }
        progress(done, failures.isEmpty() ? "" : failures.size() + " failed");
      }
      return failures;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      pool.shutdownNow();
    }
  }

  /** Said by the threads of all runs. */
  private synchronized void say(String line) {
    display.message(line);
  }

  private synchronized void progress(int done, String detail) {
    display.progress(done, detail);
  }

  /** Of runs that need one that failed there is nothing to wait for; how many they are. */
  private int refuse(Set<PlannedRun> waiting, Map<String, String> failures) {
    int before = waiting.size();
    for (PlannedRun run : List.copyOf(waiting)) {
      String refusal = directory.refusal(run);
      if (refusal != null) {
        failures.put(run.name(), refusal);
        waiting.remove(run);
        continue;
      }
      plan.needs(run).stream()
          .filter(need -> failures.containsKey(need.name()))
          .findFirst()
          .ifPresent(
              need -> {
                failures.put(run.name(), "it needs " + need.name() + ", which failed");
                waiting.remove(run);
              });
    }
    return before - waiting.size();
  }

  /**
   * Makes a run, or goes on with it.
   *
   * @return why it failed; null: it is over
   */
  String attempt(PlannedRun run) {
    int resumptions = 0;
    while (true) {
      StudyDirectory.Standing standing = directory.standing(run);
      switch (standing.state()) {
        case COMPLETE -> {
          return null;
        }
        case DIVERGED -> {
          say("%s: training diverged, so this rate is not taken".formatted(run.name()));
          return null;
        }
        case RUNNING -> {
          waitFor(run);
        }
        case OTHER ->
            say(
                "%s was made by another command, or can't go on; it is in %s now"
                    .formatted(run.name(), directory.setAside(run)));
        case DAMAGED ->
            say(
                "%s: %s; it is made anew now, and what there was is in %s"
                    .formatted(run.name(), standing.why().getMessage(), directory.setAside(run)));
        case UNREADABLE -> {
          return unread(run, standing);
        }
        case CUT_OFF -> {
          String failure = goOn(run, ++resumptions < MOST_RESUMPTIONS);
          if (failure != null) {
            return failure;
          }
        }
        case ABSENT -> {
          directory.begins(run);
          List<String> words = new ArrayList<>(directory.arguments(run));
          words.add("--output=" + run.directory(directory.root()));
          start(run, words);
          StudyDirectory.Standing ended = directory.standing(run);
          if (ended.state() == StudyDirectory.State.UNREADABLE) {
            return unread(run, ended);
          }
          if (!ENDED_WELL.contains(ended.state())) {
            return failure(run);
          }
        }
      }
    }
  }

  /**
   * Resumes a run that was cut off. One that can't be resumed is put aside; one that failed again,
   * as where the disk is full or a directory is not mounted, is left as it is, unless it has come
   * further.
   *
   * @param again whether it may go on once more
   * @return why it failed; null: what there is now is to be looked at
   */
  private String goOn(PlannedRun run, boolean again) {
    Path its = run.directory(directory.root());
    OptionalLong checkpoint = checkpoint(its);
    List<String> words = new ArrayList<>();
    words.addAll(List.of(run.method().command(), SetupOptions.RESUME, its.toString()));
    directory.arguments(run).stream().filter(PluginOptions::areTypedBy).forEach(words::add);
    int code = start(run, words);
    if (directory.state(run) != StudyDirectory.State.CUT_OFF) {
      return null;
    }
    if (code == Main.UNRESUMABLE) {
      String why = failure(run);
      say(
          "%s can't go on (%s); it begins anew, and what there was is in %s"
              .formatted(run.name(), why, directory.setAside(run)));
      return null;
    }
    OptionalLong newest = checkpoint(its);
    if (again
        && checkpoint.isPresent()
        && newest.isPresent()
        && newest.getAsLong() > checkpoint.getAsLong()) {
      say(
          "%s failed after another checkpoint, and goes on: %s"
              .formatted(run.name(), failure(run)));
      return null;
    }
    return "%s; it is left in %s, where the same command goes on with it"
        .formatted(failure(run), its);
  }

  /** {@return the number of its newest checkpoint; empty: they can't be read now} */
  private static OptionalLong checkpoint(Path run) {
    try {
      return OptionalLong.of(RunStatus.newestCheckpoint(run));
    } catch (RunDirectoryException e) {
      return OptionalLong.empty();
    }
  }

  /** A complete run may be in order, so it stays where it is. */
  private String unread(PlannedRun run, StudyDirectory.Standing standing) {
    return "%s; the same command goes on when it can be read, or makes the run anew when %s is gone"
        .formatted(standing.why().getMessage(), run.directory(directory.root()));
  }

  /**
   * A process that a study has left behind ends within seconds; one of another machine makes the
   * run, or is not heard of any more.
   */
  private void waitFor(PlannedRun run) {
    say("waiting for the process that has " + run.name());
    while (directory.state(run) == StudyDirectory.State.RUNNING) {
      requireGoesOn();
      try {
        TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancellationException("interrupted");
      }
    }
  }

  /** {@return the exit code of its process} */
  private int start(PlannedRun run, List<String> words) {
    requireGoesOn();
    OwnFiles.require(directory.root(), run.directory(directory.root()));
    Path log = OwnFiles.require(directory.root(), directory.log(run));
    Process process = ChildProcess.start(words, log);
    try {
      while (!process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
        if (Interruption.requested()) {
          process.destroy();
        }
      }
    } catch (InterruptedException e) {
      process.destroy();
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted");
    }
    requireGoesOn();
    return process.exitValue();
  }

  private static void requireGoesOn() {
    if (Interruption.requested()) {
      throw new CancellationException("interrupted");
    }
  }

  /** The last line that its process printed. */
  private String failure(PlannedRun run) {
    Path log = directory.log(run);
    try {
      // Not readString, which refuses what was cut off within a character.
      String text =
          new String(Files.readAllBytes(BoundedFile.regular(log)), StandardCharsets.UTF_8);
      return text.lines()
          .filter(line -> !line.isBlank())
          .reduce((earlier, later) -> later)
          .orElse("it printed nothing")
          .replaceFirst("^prunepeft: ", "");
    } catch (IOException e) {
      throw new UncheckedIOException("can't read " + log, e);
    }
  }
}
