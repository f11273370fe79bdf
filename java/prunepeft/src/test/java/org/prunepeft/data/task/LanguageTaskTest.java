package org.prunepeft.data.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Place;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.data.chat.ChatFormat;

class LanguageTaskTest {
  @TempDir private Path directory;

  private Path file(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private static List<TrainingText> texts(Path file) {
    return LanguageTask.examples(file, Columns.DEFAULT, null).stream()
        .map(Example::training)
        .toList();
  }

  @Test
  void plainTextsAreLearntAsAWhole() throws IOException {
    Path file = file("a.jsonl", "{\"text\": \"so it goes\"}\n\n{\"text\": \"on\", \"x\": 1}\n");
    assertEquals(List.of(TrainingText.of("so it goes"), TrainingText.of("on")), texts(file));
  }

  @Test
  void ofPromptsCompletionsAreLearnt() throws IOException {
    Path file = file("a.csv", "id,completion,prompt\n1,\" 4\",\"2+2, is\"\n");
    assertEquals(List.of(TrainingText.of("2+2, is", " 4")), texts(file));
  }

  @Test
  void instructionsHaveAlpacasPrompt() throws IOException {
    Path file =
        file(
            "a.jsonl",
            "{\"instruction\": \"Add 50 %.\", \"input\": \"2 2\", \"output\": \"4\"}\n"
                + "{\"instruction\": \"Greet.\", \"input\": \"\", \"output\": \"Hi\"}\n");
    assertEquals(
        List.of(
            TrainingText.of(
                "Below is an instruction that describes a task, paired with an input that provides"
                    + " further context. Write a response that appropriately completes the"
                    + " request.\n\n"
                    + "### Instruction:\n"
                    + "Add 50 %.\n\n"
                    + "### Input:\n"
                    + "2 2\n\n"
                    + "### Response:\n",
                "4"),
            TrainingText.of(
                "Below is an instruction that describes a task. Write a response that appropriately"
                    + " completes the request.\n\n"
                    + "### Instruction:\n"
                    + "Greet.\n\n"
                    + "### Response:\n",
                "Hi")),
        texts(file));
  }

  @Test
  void anInputOfALaterInstructionIsNotLost() throws IOException {
    List<TrainingText> texts =
        texts(
            file(
                "a.jsonl",
                "{\"instruction\": \"Greet.\", \"output\": \"Hi\"}\n"
                    + "{\"instruction\": \"Add.\", \"input\": \"2 2\", \"output\": \"4\"}\n"
                    + "{\"instruction\": \"Greet.\", \"input\": null, \"output\": \"Hi\"}\n"));
    assertFalse(texts.get(0).prompt().contains("### Input:"));
    assertTrue(texts.get(1).prompt().contains("### Input:\n2 2\n"));
    assertEquals(texts.get(0), texts.get(2));
    assertEquals(List.of(texts.get(0)), texts(file("b.csv", "output,instruction\nHi,Greet.\n")));
  }

  @Test
  void ofQuestionsAnswersAreLearnt() throws IOException {
    Path file = file("a.jsonl", "{\"question\": \"2 + 2?\", \"answer\": \"4\\n#### 4\"}\n");
    TrainingText text = TrainingText.of("Question: 2 + 2?\nAnswer:", " 4\n#### 4");
    assertEquals(List.of(text), texts(file));
    assertEquals("Question: 2 + 2?\nAnswer:", text.prompt());
    assertEquals(" 4\n#### 4", text.answer());
    assertEquals(List.of(Metric.LOG_LIKELIHOOD), LanguageTask.metrics(file, Columns.DEFAULT));
  }

  @Test
  void ofAnswersToChooseFromTheRightOneIsLearnt() throws IOException {
    String line =
        "{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"B\", \"label\": \"x\"}\n";
    Path file = file("a.jsonl", line);
    assertTrue(LanguageTask.suits(file, Columns.DEFAULT));
    assertEquals(List.of(TrainingText.of("Question: q\nAnswer:", " b")), texts(file));
    assertEquals(
        List.of(Metric.LOG_LIKELIHOOD, Metric.ACCURACY, Metric.ACCURACY_NORM),
        LanguageTask.metrics(file, Columns.DEFAULT));
  }

  @Test
  void aColumnOfTextsMayBeNamed() throws IOException {
    Path file = file("a.tsv", "body\ttext\nseen\tunseen\n");
    Columns body = new Columns("body", null, "label", true);
    List<Span> spans = LanguageTask.examples(file, body, null).get(0).training().spans();
    assertEquals(List.of(new Span("seen", true)), spans);
  }

  @Test
  void aColumnOfTextsMayBeNamedByItsNumber() throws IOException {
    Columns second = new Columns("2", null, "label", true);
    Path file = file("a.csv", "id,body\n1,so it goes\n");
    assertTrue(LanguageTask.suits(file, second));
    assertEquals(
        TrainingText.of("so it goes"), LanguageTask.examples(file, second, null).get(0).training());
    assertFalse(LanguageTask.suits(file, new Columns("3", null, "label", true)));
    assertFalse(LanguageTask.suits(file("a.jsonl", "{\"body\": \"x\", \"id\": 1}\n"), second));
  }

  @Test
  void aTableWithoutAHeaderHasNumbersForColumns() throws IOException {
    Columns second = new Columns("2", null, "label", false);
    Path file = file("a.tsv", "text\tso it goes\nlabel\ton\n");
    assertTrue(LanguageTask.suits(file, second));
    assertEquals(
        List.of(TrainingText.of("so it goes"), TrainingText.of("on")),
        LanguageTask.examples(file, second, null).stream().map(Example::training).toList());
    assertFalse(LanguageTask.suits(file, new Columns("text", null, "label", false)));
  }

  @Test
  void labelsMakeAClassification() throws IOException {
    assertTrue(LanguageTask.suits(file("a.csv", "text\nx\n"), Columns.DEFAULT));
    assertFalse(LanguageTask.suits(file("b.csv", "text,label\nx,1\n"), Columns.DEFAULT));
    assertFalse(LanguageTask.suits(file("c.csv", "body\nx\n"), Columns.DEFAULT));
  }

  @Test
  void unknownColumnsAreNamed() throws IOException {
    Path file = file("a.csv", "topic,reply\nx,y\n");
    Exception e = assertThrows(IllegalArgumentException.class, () -> texts(file));
    assertTrue(e.getMessage().contains("has the columns [topic, reply]"), e.getMessage());
  }

  @Test
  void textsOfAConversationAreInOnePart() throws IOException {
    String line =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"%d\"}, {\"role\": \"assistant\", \"content\": \"b\"},"
            + " {\"role\": \"user\", \"content\": \"c\"}, {\"role\": \"assistant\", \"content\": \"d\"}]}";
    String ending =
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
            + "{{ '<assistant>' if add_generation_prompt else '</s>' }}";
    Path train =
        file(
            "train.jsonl",
            IntStream.range(0, 40).mapToObj(line::formatted).collect(Collectors.joining("\n")));
    DataFiles files =
        new DataFiles(train, null, null, Columns.DEFAULT, TaskKind.LANGUAGE_MODELING, List.of())
            .withChat(new ChatFormat(ending, null, Map.of(), true, null));
    Dataset dataset = files.task().load(new SplitSizes(30, 4, 5), 1, 0);
    List<List<Example>> parts = List.of(dataset.train(), dataset.validation(), dataset.test());
    assertEquals(List.of(60, 8, 10), parts.stream().map(List::size).toList());
    Set<Place> all = new HashSet<>();
    for (List<Example> part : parts) {
      Set<Place> places = part.stream().map(Example::place).collect(Collectors.toSet());
      assertEquals(part.size(), 2 * places.size());
      assertTrue(places.stream().allMatch(all::add), places.toString());
    }
  }

  @Test
  void partsOfOneFileAreDisjoint() throws IOException {
    StringBuilder lines = new StringBuilder("text\n");
    for (int i = 0; i < 40; i++) {
      lines.append("text ").append(i).append('\n');
    }
    DataFiles files =
        new DataFiles(
            file("train.csv", lines.toString()),
            null,
            null,
            Columns.DEFAULT,
            TaskKind.LANGUAGE_MODELING,
            List.of());
    Dataset dataset = files.task().load(SplitSizes.UNSPECIFIED, 1, 0);
    assertEquals(List.of(Metric.LOG_LIKELIHOOD), dataset.schema().metrics());
    assertEquals(32, dataset.train().size());
    assertEquals(4, dataset.validation().size());
    Set<Example> all = new HashSet<>(dataset.train());
    all.addAll(dataset.validation());
    all.addAll(dataset.test());
    assertEquals(40, all.size());
    assertEquals(dataset, files.task().load(SplitSizes.UNSPECIFIED, 1, 0));
  }
}
