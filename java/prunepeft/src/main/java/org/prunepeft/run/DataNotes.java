package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.table.LabelReader;

/** What about its data a user may not have noticed. */
final class DataNotes {
  /** Of a text that a note shows. */
  private static final int SHOWN = 60;

  private DataNotes() {}

  /** A line each: parts that are smaller than asked for, texts in two parts, numbers as classes. */
  static List<String> of(Dataset data, SplitSizes asked) {
    List<String> notes = new ArrayList<>();
    fewer(notes, "training", rows(data.train()), asked.train());
    fewer(notes, "validation", rows(data.validation()), asked.validation());
    fewer(notes, "test", rows(data.test()), asked.test());
    Set<String> trained = data.train().stream().map(DataNotes::texts).collect(Collectors.toSet());
    twice(notes, "validation", data.validation(), trained);
    twice(notes, "test", data.test(), trained);
    numbers(notes, data.labels());
    return notes;
  }

  /** How many rows examples are made of: a conversation may be several of them. */
  static long rows(List<Example> examples) {
    long alone = examples.stream().filter(example -> example.place() == null).count();
    return alone
        + examples.stream().map(Example::place).filter(Objects::nonNull).distinct().count();
  }

  private static void fewer(List<String> notes, String part, long there, Integer asked) {
    if (asked != null && there < asked) {
      notes.add(
          String.format(
              Locale.ROOT,
              "there are %,d examples for the %s part, not the %,d asked for; all are used",
              there,
              part,
              asked));
    }
  }

  private static void twice(
      List<String> notes, String part, List<Example> examples, Set<String> trained) {
    List<Example> both =
        examples.stream().filter(example -> trained.contains(texts(example))).toList();
    if (!both.isEmpty()) {
      String text = both.get(0).text();
      notes.add(
          String.format(
              Locale.ROOT,
              "%,d of %,d %s examples have texts that are trained on as well, such as '%s'; the %s result is too good by them",
              rows(both),
              rows(examples),
              part,
              text.length() <= SHOWN ? text : text.substring(0, SHOWN) + "...",
              part));
    }
  }

  private static String texts(Example example) {
    return example.pair() == null ? example.text() : example.text() + "\0" + example.pair();
  }

  /** Of two classes, and of classes counted from 0, the numbers are names. */
  private static void numbers(List<String> notes, List<String> labels) {
    boolean counted = IntStream.range(0, labels.size()).allMatch(i -> labels.get(i).equals("" + i));
    if (labels.size() > 2 && !counted && labels.stream().allMatch(LabelReader::isNumber)) {
      notes.add(
          String.format(
              Locale.ROOT,
              "the labels are numbers, from %s to %s, taken as the names of %d classes; if the number itself is to be predicted, say --do-regression",
              labels.get(0),
              labels.get(labels.size() - 1),
              labels.size()));
    }
  }
}
