package org.prunepeft.examples;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.Task;

/** A task on pairs of texts: which of two numbers, written in words, is the larger one. */
public final class LargerNumber implements Task {
  private static final String[] ONES = {
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"
  };
  private static final String[] TENS = {
    "", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"
  };

  @Override
  public String name() {
    return "larger-number";
  }

  @Override
  public String description() {
    return "Which of two numbers in words is the larger one.";
  }

  @Override
  public String source() {
    return "made as it is asked for";
  }

  @Override
  public String licence() {
    return "Apache-2.0";
  }

  @Override
  public int textColumns() {
    return 2;
  }

  @Override
  public Dataset load(SplitSizes sizes, long seed, long testSeed) {
    Set<Example> drawn = new HashSet<>();
    List<Example> test = draw(sizes.test(), new SplittableRandom(testSeed), drawn);
    SplittableRandom random = new SplittableRandom(seed);
    return new Dataset(
        name(),
        Schema.of(this, List.of("first", "second")),
        draw(sizes.train(), random, drawn),
        draw(sizes.validation(), random, drawn),
        test);
  }

  private static List<Example> draw(int count, SplittableRandom random, Set<Example> drawn) {
    List<Example> examples = new ArrayList<>();
    while (examples.size() < count) {
      int a = random.nextInt(1, 1000);
      int b = random.nextInt(1, 1000);
      Example example = new Example(words(a), words(b), a > b ? 0 : 1);
      if (a != b && drawn.add(example)) {
        examples.add(example);
      }
    }
    return examples;
  }

  private static String words(int number) {
    String hundreds = number < 100 ? "" : ONES[number / 100] + " hundred";
    return String.join(" ", hundreds, TENS[number / 10 % 10], ONES[number % 10]).strip();
  }
}
