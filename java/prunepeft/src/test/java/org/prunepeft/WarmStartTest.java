package org.prunepeft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.model.SmallBertDirectory;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.train.TrainingSettings;

/** What the training of a measured search's choice begins with. */
@FixedSeed("whether a head that is fitted to the kept modules is better differs from draw to draw")
class WarmStartTest {
  private static final List<String> WORDS = List.of("the", "film", "was", "not", "long", "dull");
  private static final Pattern FITTED =
      Pattern.compile(
          "the head is fitted to the kept modules: loss (\\d+\\.\\d{4}) on validation data, (\\d+\\.\\d{4}) with the supernet's");

  @TempDir static Path temporary;
  private static String model;

  @BeforeAll
  static void write() throws IOException {
    model =
        SmallBertDirectory.write(temporary.resolve("bert"), WORDS, 16, TestSeed.random())
            .toString();
  }

  private static Path examples(boolean numbers) throws IOException {
    Random random = TestSeed.random();
    List<String> lines = new ArrayList<>(List.of("text,label"));
    for (int i = 0; i < 400; i++) {
      List<String> words = new ArrayList<>();
      for (int w = 0; w < 6; w++) {
        words.add(WORDS.get(random.nextInt(WORDS.size())));
      }
      int count = words.lastIndexOf("not") - words.indexOf("dull");
      lines.add(
          String.join(" ", words) + "," + (numbers ? count + ".5" : count > 0 ? "yes" : "no"));
    }
    return Files.write(temporary.resolve(numbers + ".csv"), lines);
  }

  /** What begins, and what is said. */
  private static final class Heard implements ProgressListener {
    final List<String> works = new ArrayList<>();
    final List<String> lines = new ArrayList<>();

    @Override
    public void started(String name, String unit, long total) {
      works.add(name);
    }

    @Override
    public void message(String line) {
      lines.add(line);
    }
  }

  private static SearchOutcome search(Path file, boolean warm, Heard heard) {
    Setup setup =
        Setup.builder()
            .model(model)
            .files(DataFiles.of(file))
            .sizes(new SplitSizes(240, 80, 80))
            .training(
                TrainingSettings.builder()
                    .maxLength(16)
                    .batchSize(8)
                    .loraLearningRate(1e-2)
                    .adapterLearningRate(1e-2)
                    .build())
            .epochs(4)
            .threads(1)
            .build();
    MeasuringSettings measuring =
        MeasuringSettings.DEFAULT
            .withSubsets(OptionalInt.of(24))
            .withMeasuredExamples(OptionalInt.of(40))
            .withWarmStart(warm);
    return PrunePeft.search(
        setup, SearchSettings.builder().keep(0.3).measured(measuring).build(), heard);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theHeadIsFittedToTheKeptModulesWhereThatIsBetter(boolean numbers) throws IOException {
    Heard heard = new Heard();
    search(examples(numbers), true, heard);
    assertEquals(1, heard.works.stream().filter("encoder with the kept modules"::equals).count());
    List<Matcher> fitted =
        heard.lines.stream().map(FITTED::matcher).filter(Matcher::matches).toList();
    assertEquals(1, fitted.size(), heard.lines::toString);
    double now = Double.parseDouble(fitted.get(0).group(1));
    double before = Double.parseDouble(fitted.get(0).group(2));
    assertTrue(now < before, () -> now + " and " + before);
  }

  @Test
  void newWeightsBeginWithTheHeadOfTheFrozenEncoder() throws IOException {
    Heard heard = new Heard();
    search(examples(false), false, heard);
    assertTrue(!heard.works.contains("encoder with the kept modules"), heard.works::toString);
  }
}
