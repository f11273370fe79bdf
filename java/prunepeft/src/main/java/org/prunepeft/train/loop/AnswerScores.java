package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Function;
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
import org.prunepeft.train.pass.ExampleOutputs;

/** Asks a language model: of each example and metric, 1 if its answer is right, else 0. */
final class AnswerScores {
  /** Prompts that are continued as one batch. */
  private static final int ROWS = 16;

  private final Predictor predictor;
  private final PeftModules modules;
  private final TaskHead head;
  private final Answers answers;
  private final KeptWork kept;
  private final Runnable progress;

  /** Null: not computed yet. */
  private ChoiceScores choices;

  /**
   * @param predictor with the model
   * @param modules that are in it
   * @param answers what it is asked
   * @param kept how checkpoints keep what is done
   * @param progress is called after some answers at a time; what it throws ends the work
   */
  AnswerScores(
      Predictor predictor,
      PeftModules modules,
      TaskHead head,
      Answers answers,
      KeptWork kept,
      Runnable progress) {
    this.kept = kept;
    this.progress = progress;
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
              predictor.outputs(
                  modules,
                  head,
                  answers.choices().data(),
                  null,
                  kept.and("choices"),
                  done -> progress.run()));
    }
    return choices.chosen(metric);
  }

  /** Whether what is written after the prompt is the answer. */
  private boolean[] written() {
    List<TrainingText> texts = answers.examples().stream().map(e -> e.training()).toList();
    // Prompts of like lengths have little padding. One that leaves no room has no answer.
    int[] byLength =
        IntStream.range(0, texts.size())
            .filter(i -> fits(texts.get(i)))
            .boxed()
            .sorted(Comparator.comparingInt(i -> -texts.get(i).prompt().length()))
            .mapToInt(Integer::intValue)
            .toArray();
    List<int[]> batches = new ArrayList<>();
    for (int from = 0; from < byLength.length; from += ROWS) {
      batches.add(Arrays.copyOfRange(byLength, from, Math.min(byLength.length, from + ROWS)));
    }
    Generator generator = predictor.generator(modules, answers.prompter());
    List<String> ends = ends(texts, answers.prompter());
    ExampleOutputs<int[]> outputs =
        new ExampleOutputs<>(
            batches,
            Function.identity(),
            batch -> written(generator, Arrays.stream(batch).mapToObj(texts::get).toList(), ends),
            texts.size(),
            1);
    kept.and("written").run(outputs, progress);
    boolean[] right = new boolean[texts.size()];
    for (int i = 0; i < right.length; i++) {
      right[i] = outputs.values()[i] == 1;
    }
    return right;
  }

  /** Of each text of a batch, 1 if what is written after its prompt is the answer, else 0. */
  private float[] written(Generator generator, List<TrainingText> batch, List<String> ends) {
    List<Generation> written =
        generator.generate(
            batch.stream().map(TrainingText::prompt).toList(),
            GenerationSettings.builder()
                .maxNewTokens(answers.maxNewTokens())
                .addSpecialTokens(batch.get(0).addSpecialTokens())
                .stop(ends)
                .build(),
            GenerationListener.NONE);
    float[] right = new float[batch.size()];
    for (int i = 0; i < right.length; i++) {
      right[i] = ExactMatch.of(written.get(i).text(), expected(batch.get(i))) ? 1 : 0;
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
