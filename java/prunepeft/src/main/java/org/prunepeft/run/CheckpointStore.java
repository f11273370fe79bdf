package org.prunepeft.run;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.loop.Checkpoints;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The checkpoints of a run, or of several that are trained together: one holds the states of all,
 * so that they go on from the same step. Not for two threads at once.
 */
public final class CheckpointStore implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointStore.class);
  private static final long LEAST_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** A checkpoint comes no earlier than so many times its own cost after the one before. */
  private static final long TIMES_ITS_COST = 150;

  /** Of a disk, until a checkpoint was written; so of the state of 133 MB the first waits 100 s. */
  static final long BYTES_A_SECOND = 200_000_000;

  /**
   * Where a phase or an epoch begins one comes earlier if it and those before it have taken less
   * than one so many-th of the time.
   */
  private static final long LEAST_TIMES_ALL_COSTS = 100;

  private static final String RUNS = "runs";

  private final CheckpointDirectory directory;
  private final Checkpointing settings;
  private final CheckpointDirectory.Saved saved;

  /** By name; null: it is complete. */
  private final Map<String, OfRun> runs = new LinkedHashMap<>();

  private boolean stopped;

  /** Whether nothing was done since a state was taken from the checkpoint. */
  private boolean restored;

  private final LongSupplier nanos;
  private final long begun;
  private long lastEnd;
  private long lastCost;
  private long costs;

  /**
   * Reads the last checkpoint, where the run is resumed.
   *
   * @param run into whose directory checkpoints are written
   */
  public CheckpointStore(RunDirectory run, Checkpointing settings) {
    this(run, settings, System::nanoTime);
  }

  /**
   * The same by another clock.
   *
   * @param nanos as {@link System#nanoTime} counts
   */
  CheckpointStore(RunDirectory run, Checkpointing settings, LongSupplier nanos) {
    this.nanos = nanos;
    begun = nanos.getAsLong();
    lastEnd = begun;
    directory = new CheckpointDirectory(run);
    this.settings = settings;
    saved = settings.resume() ? directory.newest().orElse(null) : null;
    if (saved != null && !(saved.values().get(RUNS) instanceof Map)) {
      close();
      throw new UnresumableRunException(
          "the checkpoint with %s has no object '%s': another version of PrunePEFT wrote it; %s"
              .formatted(saved.tensors().origin(), RUNS, StateLoader.REMEDY));
    }
  }

  /** What was wrong with checkpoints newer than the one that is taken, a line each. */
  List<String> damaged() {
    return saved == null ? List.of() : saved.damaged();
  }

  /**
   * {@return the checkpoints of one of the runs}
   *
   * @param run its name, unique among them
   */
  OfRun of(String run) {
    OfRun checkpoints = new OfRun(run, parts(run));
    runs.put(run, checkpoints);
    return checkpoints;
  }

  /** Whether the checkpoint that is resumed says of a run that it is complete. */
  boolean isComplete(String run) {
    return saved != null && savedRuns().containsKey(run) && savedRuns().get(run) == null;
  }

  /** A run is complete, or was already: later checkpoints say so. */
  void completed(String run) {
    runs.put(run, null);
  }

  private Map<?, ?> savedRuns() {
    return (Map<?, ?>) saved.values().get(RUNS);
  }

  private Map<String, Object> parts(String run) {
    Map<String, Object> parts = new HashMap<>();
    if (saved != null && savedRuns().get(run) instanceof Map<?, ?> own) {
      own.forEach((name, part) -> parts.put((String) name, part));
    }
    return parts;
  }

  /**
   * Writes no more. One of several runs has failed, and the others went on without it: those that
   * are resumed have to go on together.
   */
  void stop() {
    stopped = true;
  }

  private boolean due(int step) {
    if (restored) {
      // As it is there already.
      restored = false;
      return false;
    }
    return !stopped
        && (settings.steps() > 0 && step % settings.steps() == 0
            || nanos.getAsLong() - lastEnd > Math.max(LEAST_NANOS, TIMES_ITS_COST * cost()));
  }

  /** What the last one has taken; of the first what its bytes will take. */
  private long cost() {
    if (lastCost == 0 && nanos.getAsLong() - lastEnd > LEAST_NANOS) {
      Map<String, SafeTensors.Source> tensors = new LinkedHashMap<>();
      states(tensors);
      double bytes = tensors.values().stream().mapToDouble(SafeTensors.Source::bits).sum() / 8;
      lastCost = 1 + (long) (1e9 / BYTES_A_SECOND * bytes);
    }
    return lastCost;
  }

  private boolean dueAtStart() {
    if (restored || stopped) {
      return false;
    }
    long now = nanos.getAsLong();
    return settings.steps() > 0
        || now - lastEnd > LEAST_NANOS && now - begun > LEAST_TIMES_ALL_COSTS * (costs + cost());
  }

  private void save() {
    if (stopped || isBehind()) {
      return;
    }
    long start = nanos.getAsLong();
    Map<String, SafeTensors.Source> tensors = new LinkedHashMap<>();
    Map<String, Object> states = states(tensors);
    directory.write(tensors, Map.of(RUNS, states));
    lastEnd = nanos.getAsLong();
    lastCost = lastEnd - start;
    costs += lastCost;
    LOG.debug("checkpoint of {} tensors written in {} ms", tensors.size(), lastCost / 1_000_000);
  }

  /** Whether a part of the checkpoint that is resumed has not been taken yet. */
  private boolean isBehind() {
    return saved != null
        && savedRuns().entrySet().stream()
            .anyMatch(
                entry ->
                    entry.getValue() != null
                        && (!runs.containsKey(entry.getKey())
                            || isBehind(runs.get(entry.getKey()))));
  }

  private static boolean isBehind(OfRun run) {
    return run != null && !run.left.isEmpty();
  }

  /**
   * {@return the states of all runs}
   *
   * @param tensors to which theirs are added
   */
  private Map<String, Object> states(Map<String, SafeTensors.Source> tensors) {
    Map<String, Object> states = new LinkedHashMap<>();
    runs.forEach(
        (name, run) -> states.put(name, run == null ? null : run.state(name + "/", tensors)));
    return states;
  }

  /** Removes all checkpoints. */
  void delete() {
    directory.delete();
  }

  @Override
  public void close() {
    if (saved != null) {
      saved.close();
    }
  }

  /** Those of one run. */
  final class OfRun implements Checkpoints {
    private final String name;

    /** What the run left of each part, until it is taken. */
    private final Map<String, Object> left;

    private final Map<String, Consumer<StateExchange>> parts = new LinkedHashMap<>();

    private OfRun(String name, Map<String, Object> left) {
      this.name = name;
      this.left = left;
    }

    private Map<String, Object> state(String prefix, Map<String, SafeTensors.Source> tensors) {
      Map<String, Object> values = new LinkedHashMap<>();
      StateSaver saver = new StateSaver(prefix, tensors, values);
      parts.forEach((part, state) -> state.accept(saver.part(part)));
      return values;
    }

    @Override
    public boolean resumes(String part) {
      return left.containsKey(part);
    }

    @Override
    public boolean add(String part, Consumer<StateExchange> state) {
      parts.put(part, state);
      Object values = left.remove(part);
      if (values == null) {
        return false;
      }
      state.accept(new StateLoader(name + "/", saved.tensors(), Map.of(part, values)).part(part));
      restored = true;
      return true;
    }

    @Override
    public void remove(String part) {
      parts.remove(part);
    }

    @Override
    public boolean due(int step) {
      return CheckpointStore.this.due(step);
    }

    @Override
    public boolean dueAtStart() {
      return CheckpointStore.this.dueAtStart();
    }

    @Override
    public void save() {
      CheckpointStore.this.save();
    }

    /** The run is complete. */
    void complete() {
      completed(name);
    }
  }
}
