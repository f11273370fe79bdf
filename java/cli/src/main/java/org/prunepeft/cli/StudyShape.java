package org.prunepeft.cli;

import java.util.Map;

/** What a study's files must have for a page of it: {@link StudyJson} writes and reads them. */
final class StudyShape {
  private static final JsonShape MAY_BE_TEXT = JsonShape.optional(JsonShape.TEXT);
  private static final JsonShape MAY_BE_NUMBER = JsonShape.optional(JsonShape.NUMBER);
  private static final JsonShape INTERVAL = JsonShape.optional(JsonShape.list(JsonShape.NUMBER));

  private static final JsonShape COMPARISONS =
      JsonShape.list(
          JsonShape.object(
              Map.of(
                  "method", JsonShape.TEXT,
                  "budget", MAY_BE_TEXT,
                  "to", JsonShape.TEXT,
                  "pairs", JsonShape.NUMBER,
                  "difference", JsonShape.NUMBER,
                  "student", INTERVAL,
                  "bootstrap", INTERVAL,
                  "p", MAY_BE_NUMBER,
                  "p_holm", MAY_BE_NUMBER,
                  "shows", MAY_BE_TEXT)));

  private static final JsonShape TABLE =
      JsonShape.object(
          Map.of(
              "task",
              JsonShape.TEXT,
              "model",
              JsonShape.TEXT,
              "budget",
              MAY_BE_TEXT,
              "metric",
              JsonShape.TEXT,
              "label",
              JsonShape.TEXT,
              "percent",
              JsonShape.FLAG,
              "rows",
              JsonShape.list(
                  JsonShape.object(
                      Map.of(
                          "method",
                          JsonShape.TEXT,
                          "learning_rate",
                          MAY_BE_TEXT,
                          "by_seed",
                          JsonShape.values(JsonShape.NUMBER),
                          "mean",
                          JsonShape.NUMBER,
                          "standard_deviation",
                          MAY_BE_NUMBER,
                          "interval",
                          INTERVAL,
                          "parameters",
                          JsonShape.NUMBER))),
              "comparisons",
              COMPARISONS));

  private static final JsonShape OVERALL =
      JsonShape.object(
          Map.of(
              "budget",
              MAY_BE_TEXT,
              "rows",
              JsonShape.list(
                  JsonShape.object(
                      Map.of(
                          "method", JsonShape.TEXT,
                          "tables", JsonShape.NUMBER,
                          "rank", MAY_BE_NUMBER,
                          "mean", JsonShape.NUMBER))),
              "comparisons",
              COMPARISONS));

  private static final JsonShape RATE =
      JsonShape.object(
          Map.of(
              "task",
              JsonShape.TEXT,
              "model",
              JsonShape.TEXT,
              "method",
              JsonShape.TEXT,
              "budget",
              MAY_BE_TEXT,
              "learning_rate",
              MAY_BE_TEXT,
              "metric",
              MAY_BE_TEXT,
              "tried",
              JsonShape.values(MAY_BE_NUMBER)));

  static final JsonShape STUDY =
      JsonShape.object(
          Map.of(
              "study",
              JsonShape.TEXT,
              "tables",
              JsonShape.list(TABLE),
              "overall",
              JsonShape.list(OVERALL),
              "learning_rates",
              JsonShape.list(RATE),
              "missing",
              JsonShape.list(JsonShape.TEXT)));

  static final JsonShape COSTS =
      JsonShape.object(
          Map.of(
              "tables",
              JsonShape.list(
                  JsonShape.object(
                      Map.of(
                          "task",
                          JsonShape.TEXT,
                          "model",
                          JsonShape.TEXT,
                          "budget",
                          MAY_BE_TEXT,
                          "rows",
                          JsonShape.list(
                              JsonShape.object(
                                  Map.of(
                                      "method", JsonShape.TEXT,
                                      "search_seconds", MAY_BE_NUMBER,
                                      "training_seconds", JsonShape.NUMBER,
                                      "search_epochs", MAY_BE_NUMBER,
                                      "training_epochs", JsonShape.NUMBER,
                                      "search_flop", MAY_BE_NUMBER,
                                      "training_flop", MAY_BE_NUMBER,
                                      "ratio", MAY_BE_NUMBER,
                                      "peak_bytes", MAY_BE_NUMBER,
                                      "gpu_peak_bytes", MAY_BE_NUMBER))))))));

  private StudyShape() {}
}
