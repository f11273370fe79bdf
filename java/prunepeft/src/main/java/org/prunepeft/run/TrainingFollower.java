package org.prunepeft.run;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.TaskKind;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.loop.StepListener;

/** Shows a training's steps and epochs, and logs them. */
final class TrainingFollower implements StepListener {
  private final ProgressListener progress;
  private final MetricsLog log;
  private final String name;
  private final Dataset dataset;
  private final long begun = System.nanoTime();
  private int done;
  private long tokens;
  private boolean noted;

  /**
   * @param name of the training, which is about to begin
   * @param dataset whose validation part its epochs are measured on
   */
  TrainingFollower(ProgressListener progress, MetricsLog log, String name, Dataset dataset) {
    this.progress = progress;
    this.log = log;
    this.name = name;
    this.dataset = dataset;
  }

  @Override
  public void read(long read) {
    tokens += read;
  }

  @Override
  public void step(int step, int of, double loss, double rate) {
    done = step;
    String shown = String.format(Locale.ROOT, "loss %.3f", loss);
    if (dataset.schema().kind() == TaskKind.LANGUAGE_MODELING) {
      shown +=
          String.format(Locale.ROOT, ", %.0f tokens/s", tokens * 1e9 / (System.nanoTime() - begun));
    }
    progress.progress(step, shown);
    log.step(name, step, loss, rate);
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("loss", loss);
    metrics.put("learning_rate_factor", rate);
    progress.metrics(name, step, metrics);
  }

  @Override
  public void skipped(int step, int of, String reason) {
    done = step;
    progress.message(
        String.format(Locale.ROOT, "%s, step %d of %d left out: %s", name, step, of, reason));
  }

  @Override
  public void failed(String reason) {
    progress.message(name + " " + reason);
  }

  @Override
  public void epoch(int epoch, int epochs, double trainLoss, Evaluation evaluation) {
    log.epoch(name, epoch, trainLoss, evaluation);
    progress.metrics(name, done, MetricsLog.ofEpoch(trainLoss, evaluation));
    if (evaluation != null) {
      progress.message(
          String.format(
              Locale.ROOT,
              "%s, epoch %d of %d: training loss %.3f, validation %s",
              name,
              epoch,
              epochs,
              trainLoss,
              evaluation.primaryText()));
      if (!noted) {
        Optional<String> note =
            EpochNotes.of(
                evaluation, dataset.validation().stream().mapToDouble(Example::target).toArray());
        note.ifPresent(progress::message);
        noted = note.isPresent();
      }
    }
  }

  @Override
  public boolean cancelled() {
    return progress.cancelled();
  }
}
