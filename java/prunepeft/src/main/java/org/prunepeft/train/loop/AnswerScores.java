package org.prunepeft.train.loop;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.decoding.Generator;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.TaskHead;

/** Asks a language model: of each example and metric, 1 if its answer is right, else 0. */
final class AnswerScores {
  /** Prompts that are continued as one batch. */
  private static final int ROWS = 16;

  private final Predictor predictor;
  private final PeftModules modules;
  private final TaskHead head;
  private final Answers answers;
  private final Runnable beforeEach;

  /** Null: not computed yet. */
  private ChoiceScores choices;

  /**
   * @param predictor with the model
   * @param modules that are in it
   * @param answers what it is asked
   * @param beforeEach is called before some answers at a time; what it throws ends the work
   */
  AnswerScores(
      Predictor predictor,
      PeftModules modules,
      TaskHead head,
      Answers answers,
      Runnable beforeEach) {
    this.beforeEach = beforeEach;
    this.predictor = predictor;
    this.modules = modules;
    this.head = head;
    this.answers = answers;
  }

  /** The likelihoods of the examples' texts with what the metrics say beside them. */
  Predictions with(Predictions texts) {
    int width = answers.schema().outputs();
    float[] outputs = new float[texts.size() * width];
    for (int i = 0; i < texts.size(); i++) {
      outputs[i * width] = (float) texts.value(i);
    }
    for (Metric metric : answers.schema().metrics()) {
      int column = answers.schema().column(metric);
      if (column > 0) {
        boolean[] right = metric == Metric.EXACT_MATCH ? written() : chosen(metric);
        for (int i = 0; i < right.length; i++) {
          outputs[i * width + column] = right[i] ? 1 : 0;
        }
      }
    }
    return new Predictions(answers.schema(), outputs);
  }

  /** Whether the right answer is the most probable one: as a text, or by character. */
  private boolean[] chosen(Metric metric) {
    if (choices == null) {
      choices =
          new ChoiceScores(
              answers,
              predictor.predict(modules, head, answers.choices().data(), done -> beforeEach.run()));
    }
    return choices.chosen(metric);
  }

  /** Whether what is written after the prompt is the answer. */
  private boolean[] written() {
    List<TrainingText> texts = answers.examples().stream().map(e -> e.training()).toList();
    // Prompts of like lengths have little padding. One that leaves no room has no answer.
    List<Integer> byLength =
        IntStream.range(0, texts.size())
            .filter(i -> fits(texts.get(i)))
            .boxed()
            .sorted(Comparator.comparingInt(i -> -texts.get(i).prompt().length()))
            .toList();
    boolean[] right = new boolean[texts.size()];
    Generator generator = predictor.generator(modules, answers.prompter());
    List<String> ends = ends(texts, answers.prompter());
    for (int from = 0; from < byLength.size(); from += ROWS) {
      beforeEach.run();
      List<Integer> rows = byLength.subList(from, Math.min(byLength.size(), from + ROWS));
      boolean special = texts.get(rows.get(0)).addSpecialTokens();
      List<Generation> written =
          generator.generate(
              rows.stream().map(i -> texts.get(i).prompt()).toList(),
              GenerationSettings.builder()
                  .maxNewTokens(answers.maxNewTokens())
                  .addSpecialTokens(special)
                  .stop(ends)
                  .build(),
              GenerationListener.NONE);
      for (int row = 0; row < rows.size(); row++) {
        int i = rows.get(row);
        right[i] = ExactMatch.of(written.get(row).text(), expected(texts.get(i)));
      }
    }
    return right;
  }

  /**
   * The first special tokens that a chat template writes behind the answers, in place of the token
   * that ends a text.
   */
  static List<String> ends(List<TrainingText> texts, Tokenizer prompter) {
    return texts.stream()
        .filter(text -> !text.appendEnd())
        .flatMap(text -> prompter.endingSpecialToken(text.answer()).stream())
        .distinct()
        .toList();
  }

  private boolean fits(TrainingText text) {
    Tokenizer.Tokens prompt = answers.prompter().tokens(text.prompt(), text.addSpecialTokens());
    return !prompt.cut() && prompt.ids().length < answers.prompter().maxLength();
  }

  /** As the tokenizer writes it, without the special tokens of a chat template. */
  private String expected(TrainingText text) {
    int[] ids = answers.prompter().tokens(text.answer(), false).ids();
    return answers.prompter().decode(ids);
  }
}
