package org.prunepeft.cli;

/** What a study's files must have for a page of it: {@link StudyJson} writes and reads them. */
final class StudyShape {
  private static final String COMPARISONS =
      """
      [{"method": "text", "budget?": "text", "to": "text", "pairs": "number",
        "difference": "number", "student?": ["number"], "bootstrap?": ["number"],
        "of_seeds?": ["number"], "p?": "number", "p_holm?": "number", "shows?": "text",
        "why_unknown?": "text"}]""";

  static final JsonShape STUDY =
      JsonShape.of(
          """
          {"study": "text",
           "tables": [
             {"task": "text", "model": "text", "budget?": "text",
              "metric": "text", "label": "text", "percent": "flag",
              "rows": [
                {"method": "text", "learning_rate?": "text", "by_seed": {"*": "number"},
                 "mean": "number", "standard_deviation?": "number", "interval?": ["number"],
                 "parameters": "number"}],
              "comparisons": %1$s}],
           "overall": [
             {"budget?": "text",
              "rows": [
                {"method": "text", "tables": "number", "rank?": "number", "mean": "number"}],
              "comparisons": %1$s}],
           "learning_rates": [
             {"task": "text", "model": "text", "method": "text", "budget?": "text",
              "learning_rate?": "text", "metric?": "text", "tried": {"*?": "number"}}],
           "missing": ["text"]}
          """
              .formatted(COMPARISONS));

  static final JsonShape COSTS =
      JsonShape.of(
          """
          {"tables": [
             {"task": "text", "model": "text", "budget?": "text",
              "rows": [
                {"method": "text", "search_seconds?": "number", "training_seconds": "number",
                 "search_epochs?": "number", "training_epochs": "number",
                 "search_flop?": "number", "training_flop": "number", "ratio?": "number",
                 "peak_bytes?": "number", "gpu_peak_bytes?": "number"}]}]}
          """);

  private StudyShape() {}
}
