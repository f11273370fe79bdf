package org.prunepeft.report;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** Several listeners as one. */
record Listeners(List<ProgressListener> all) implements ProgressListener {
  @Override
  public void created(Path directory) {
    all.forEach(listener -> listener.created(directory));
  }

  @Override
  public void directory(Path directory) {
    all.forEach(listener -> listener.directory(directory));
  }

  @Override
  public void started(String name, String unit, long total) {
    all.forEach(listener -> listener.started(name, unit, total));
  }

  @Override
  public void progress(long done, String detail) {
    all.forEach(listener -> listener.progress(done, detail));
  }

  @Override
  public void metrics(String training, long step, Map<String, Double> values) {
    all.forEach(listener -> listener.metrics(training, step, values));
  }

  @Override
  public void message(String line) {
    all.forEach(listener -> listener.message(line));
  }

  @Override
  public boolean cancelled() {
    return all.stream().anyMatch(ProgressListener::cancelled);
  }
}
