package org.prunepeft.data.task;

import java.nio.file.Path;
import java.util.List;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;

/** What tasks of the user's own files have alike. */
abstract class OwnFilesTask implements Task {
  final DataFiles files;

  OwnFilesTask(DataFiles files) {
    this.files = files;
  }

  @Override
  public final String name() {
    return files.name();
  }

  @Override
  public final String source() {
    return files.train().toString();
  }

  @Override
  public final String licence() {
    return "the user's own";
  }

  @Override
  public final TaskKind kind() {
    return files.kind();
  }

  @Override
  public final List<Metric> metrics() {
    return files.measured();
  }

  @Override
  public final List<Path> files() {
    return files.all();
  }
}
