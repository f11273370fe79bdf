package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.testing.FixedSeed;

/** Classes of unequal size: what is said of them, and what helps. */
@FixedSeed("how far a training gets differs from draw to draw")
class ImbalanceTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path file;

  @BeforeAll
  static void write() throws IOException {
    model = Small.model(temporary);
    file = temporary.resolve("rare.csv");
    // One in eight is rare; words that say nothing.
    Files.writeString(
        file,
        IntStream.range(0, 160)
            .mapToObj(
                i -> "the %d thing in %d,%s\n".formatted(i, i * 7 % 13, i % 8 == 0 ? "yes" : "no"))
            .collect(Collectors.joining("", "text,label\n", "")));
  }

  private static Call train(Path output, String... options) {
    return Call.of(
        "train",
        "--model=" + model,
        "--train-file=" + file,
        "--metric=f1,recall,roc_auc",
        "--output=" + output,
        Small.modules(),
        options);
  }

  private static double recall(Path run) {
    return (double) Small.test(run).get("recall");
  }

  @Test
  void aRareClassIsFoundWhereItCountsForMore() throws IOException {
    Path plain = temporary.resolve("plain");
    Call call = train(plain, "--modules=head").exits(0);
    assertEquals(0, recall(plain));
    call.says("all 16 validation examples are predicted as 'no'");
    Path weighted = temporary.resolve("weighted");
    train(weighted, "--modules=head", "--class-weights=1,1000").exits(0);
    assertTrue(recall(weighted) > 0.5, "recall " + recall(weighted));
    Path balanced = temporary.resolve("balanced");
    train(balanced, "--modules=head", "--class-weights=balanced").exits(0);
    String config = Files.readString(balanced.resolve("config.yaml"));
    assertTrue(config.contains("class_weights: balanced\n"), config);
    train(temporary.resolve("three"), "--modules=head", "--class-weights=1,2,3")
        .exits(2, "there are 2 classes, [no, yes], but 3 class weights");
    assertFalse(Files.exists(temporary.resolve("three")));
  }

  @Test
  void theThresholdIsChosenOnValidationDataAndKeptInTheHead() throws IOException {
    Path tuned = temporary.resolve("tuned");
    Call call = train(tuned, "--modules=lora", "--tune-threshold").exits(0);
    call.says("decision threshold: 'yes' is predicted from a probability of 0.");
    assertTrue(recall(tuned) > 0, "recall " + recall(tuned));
    Call evaluated = Call.of("evaluate", tuned).exits(0);
    evaluated.prints(
        String.format(Locale.ROOT, "recall of 'yes' %.2f %%", 100 * recall(tuned)),
        "| class |",
        "labels in rows, predictions in columns",
        String.format(Locale.ROOT, "ROC AUC %.4f", (double) Small.test(tuned).get("roc_auc")));
    List<String> table = evaluated.out().lines().filter(line -> line.startsWith("| yes ")).toList();
    assertEquals(2, table.size(), evaluated.out());
    assertTrue(table.get(0).endsWith("|        2 |"), table.get(0));
  }

  /** Else modules would get the credit for the threshold. */
  @Test
  void theHeadAloneThatATunedRunIsComparedWithHasAThresholdOfItsOwn() throws IOException {
    Path head = temporary.resolve("tuned-head");
    train(head, "--modules=head", "--tune-threshold").exits(0);
    assertTrue(recall(head) > 0, "recall " + recall(head));
    Map<?, ?> alone =
        (Map<?, ?>) RunDirectory.open(head).readJson("result.json").get("head_alone_test");
    for (String metric : List.of("f1", "recall", "roc_auc")) {
      assertEquals(Small.test(head).get(metric), alone.get(metric));
    }
    // From batches of another size.
    assertEquals((double) Small.test(head).get("loss"), (double) alone.get("loss"), 1e-5);
  }
}
