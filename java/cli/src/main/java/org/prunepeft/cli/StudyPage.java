package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.prunepeft.RunContents;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunStatus;

/**
 * The page of a study while it goes on: its tables so far, which are written too, and the runs that
 * go on. In the end it has all runs that are compared, like that of {@code report}.
 */
final class StudyPage implements PageWatch.Source {
  /** Statistics of all tables are computed anew for each page, beside the runs. */
  static final int SECONDS = 15;

  private final Study study;
  private final StudyPlan plan;
  private final StudyDirectory directory;

  StudyPage(Study study, StudyPlan plan, StudyDirectory directory) {
    this.study = study;
    this.plan = plan;
    this.directory = directory;
  }

  @Override
  public String page(Path root, int refresh) throws IOException {
    StudyFiles files = new StudyFiles(study, plan, directory);
    files.write();
    Stream<Path> shown =
        refresh == 0 ? StudyJson.runs(root).stream() : directories().filter(RunStatus::isRunning);
    ReportData data =
        new ReportData(
            shown.flatMap(StudyPage::contents).toList(),
            StudyJson.read(root).stream().toList(),
            ReportData.MOST_COMPARED);
    return ReportPage.of(
        data.title(),
        files.tables(),
        data.toMap(run -> Map.of(), ReportData.MOST_IN_PAGE),
        refresh);
  }

  private Stream<Path> directories() {
    return plan.runs().stream()
        .map(run -> run.directory(directory.root()))
        .filter(Files::isDirectory);
  }

  /** None of a run that has begun just now. */
  private static Stream<RunContents> contents(Path run) {
    try {
      return Stream.of(RunContents.of(run));
    } catch (RunDirectoryException e) {
      if (RunStatus.of(run) == RunStatus.COMPLETE) {
        throw e;
      }
      return Stream.empty();
    }
  }
}
