package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;

/** Small files in the shape of GLUE's own: headers, order of columns, and what is missing where. */
final class GlueFiles {
  static final int TRAIN = 60;
  static final int DEVELOPMENT = 18;
  static final int TEST = 7;

  private final Path root;

  private GlueFiles(Path root) {
    this.root = root;
  }

  /** {@return a head's run on MNLI, whose files are written first; it has two test parts} */
  static Path trainMnli(Path model, Path glue, Path run) throws IOException {
    write(glue);
    Call.of(
            "train",
            "--model=" + model,
            "--task=mnli",
            "--data=" + glue,
            Small.modules(),
            "--modules=head",
            "--output=" + run)
        .exits(0);
    return run;
  }

  /** Writes the nine, each in its directory. */
  static void write(Path root) throws IOException {
    GlueFiles glue = new GlueFiles(root);
    glue.cola();
    String single = "sentence\tlabel";
    glue.task("SST-2", single, i -> text(i) + " \t" + i % 2, "index\tsentence", i -> text(i));
    glue.task(
        "MRPC",
        "\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        i -> "%d\t7021%d\t7020%d\tHe said \"the %s\t%s".formatted(i % 3 / 2, i, i, i, text(i)),
        "index\t#1 ID\t#2 ID\t#1 String\t#2 String",
        i -> "10%d\t11%d\t\" %s\t%s".formatted(i, i, text(i), text(i)));
    String similarity =
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2";
    glue.task(
        "STS-B",
        similarity + "\tscore",
        i ->
            String.format(
                Locale.ROOT,
                "%d\tmain\tMSRvid\t2012\t%d\tnone\tnone\t%s\tthe\t%.3f",
                i,
                i,
                text(i),
                i % 11 / 2.0),
        similarity,
        i -> "main\tMSRvid\t2012\t%d\tnone\tnone\t%s\tthe".formatted(i, text(i)));
    glue.task(
        "QQP",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        i -> "%d\t1%d\t2%d\t%s?\twhy %d?\t%d".formatted(i, i, i, text(i), i, i % 2),
        "id\tquestion1\tquestion2",
        i -> "%s?\twhy?".formatted(text(i)));
    glue.mnli();
    glue.file(
        "diagnostic/diagnostic.tsv",
        "index\tsentence1\tsentence2",
        TEST,
        i -> "%d\tthe\t%s".formatted(i, text(i)));
    glue.task(
        "QNLI",
        "index\tquestion\tsentence\tlabel",
        i -> "%d\twhat?\t%s\t%s".formatted(i, text(i), entailment(i)),
        "index\tquestion\tsentence",
        i -> "what?\t" + text(i));
    glue.task(
        "RTE",
        "index\tsentence1\tsentence2\tlabel",
        i -> "%d\tthe\t%s\t%s".formatted(i, text(i), entailment(i)),
        "index\tsentence1\tsentence2",
        i -> "the\t" + text(i));
    glue.task(
        "WNLI",
        "index\tsentence1\tsentence2\tlabel",
        i -> "%d\tthe\t%s\t%d".formatted(i, text(i), i % 2),
        "index\tsentence1\tsentence2",
        i -> "the\t" + text(i));
  }

  private static String text(int i) {
    return "the thing \"" + i + " in it";
  }

  private static String entailment(int i) {
    return i % 2 == 0 ? "not_entailment" : "entailment";
  }

  private void cola() throws IOException {
    IntFunction<String> row =
        i -> "gj04\t%d\t%s\t%s".formatted(i % 3 / 2, i % 3 == 2 ? "" : "*", text(i));
    file("CoLA/train.tsv", null, TRAIN, row);
    file("CoLA/dev.tsv", null, DEVELOPMENT, row);
    file("CoLA/test.tsv", "index\tsentence", TEST, i -> i + "\t" + text(i));
  }

  private void mnli() throws IOException {
    String start =
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2";
    List<String> labels = List.of("neutral", "contradiction", "entailment");
    IntFunction<String> cells =
        i ->
            "%d\t3%d\t3%dn\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t%s\tthe"
                .formatted(i, i, i, text(i));
    file(
        "MNLI/train.tsv",
        start + "\tlabel1\tgold_label",
        TRAIN,
        i -> cells.apply(i) + ("\t" + labels.get(i % 3)).repeat(2));
    for (String genres : List.of("matched", "mismatched")) {
      file(
          "MNLI/dev_" + genres + ".tsv",
          start + "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label",
          DEVELOPMENT + (genres.equals("matched") ? 0 : 3),
          i -> cells.apply(i) + ("\t" + labels.get(i % 3)).repeat(6));
      file("MNLI/test_" + genres + ".tsv", start, TEST, cells);
    }
  }

  /** Rows of the test file get their number in front. */
  private void task(
      String directory,
      String header,
      IntFunction<String> row,
      String testHeader,
      IntFunction<String> testRow)
      throws IOException {
    file(directory + "/train.tsv", header, TRAIN, row);
    file(directory + "/dev.tsv", header, DEVELOPMENT, row);
    file(directory + "/test.tsv", testHeader, TEST, i -> i + "\t" + testRow.apply(i));
  }

  private void file(String name, String header, int rows, IntFunction<String> row)
      throws IOException {
    List<String> lines = new ArrayList<>();
    if (header != null) {
      lines.add(header);
    }
    for (int i = 0; i < rows; i++) {
      lines.add(row.apply(i));
    }
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.write(file, lines);
  }
}
