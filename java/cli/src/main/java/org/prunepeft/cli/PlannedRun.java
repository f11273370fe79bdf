package org.prunepeft.cli;

import java.nio.file.Path;
import org.prunepeft.study.Arm;
import org.prunepeft.study.TaskAndModel;

/**
 * A run of a study, made or not.
 *
 * @param taskAndModel where its data and its weights come from
 * @param method its command
 * @param limit its budget; null: it has none
 * @param seed of its data, weights and order
 * @param draw which random subset, from 0
 * @param tried the learning rate that it tries; null: it is one of those that are compared
 */
record PlannedRun(
    TaskAndModel taskAndModel,
    Study.Method method,
    Study.Limit limit,
    long seed,
    int draw,
    String tried) {
  /** Where those are that are compared. */
  static final String COMPARED = "runs";

  private static final String TUNING = "tuning";

  /** What the tables call it. */
  Arm arm() {
    return new Arm(method.name(), limit == null ? null : limit.text());
  }

  /** Its directory's name, which no other run of the study has: names have no underscore. */
  String name() {
    StringBuilder name = new StringBuilder();
    name.append(taskAndModel.task()).append('_').append(taskAndModel.model());
    name.append('_').append(method.name());
    if (limit != null) {
      name.append('_').append(limit.text());
    }
    if (tried != null) {
      name.append("_rate-").append(tried);
    }
    name.append("_seed-").append(seed);
    if (method.draws() > 1) {
      name.append("_draw-").append(draw);
    }
    return name.toString();
  }

  /** Where it is in the study's directory. */
  Path directory(Path study) {
    return study.resolve(tried == null ? COMPARED : TUNING).resolve(name());
  }
}
