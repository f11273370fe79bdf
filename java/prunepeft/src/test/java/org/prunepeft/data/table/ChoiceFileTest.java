package org.prunepeft.data.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.Choices;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.TrainingText;

class ChoiceFileTest {
  @TempDir private Path directory;

  private List<Choices> read(String name, String... lines) throws IOException {
    return ChoiceFile.read(Files.write(directory.resolve(name), List.of(lines))).stream()
        .map(Example::choices)
        .toList();
  }

  @Test
  void theAnswerIsKnownByItsLabel() throws IOException {
    List<Choices> questions =
        read(
            "arc.jsonl",
            "{\"id\": 7, \"question\": \"Which? \", \"choices\": {\"text\": [\"it\", \" not it\"],"
                + " \"label\": [\"A\", \"B\"]}, \"answerKey\": \"B\"}",
            "{\"question\": \"Who?\", \"choices\": {\"label\": [\"1\", \"2\", \"3\"],"
                + " \"text\": [\"I\", \"you\", \"she\"]}, \"answerKey\": \"1\"}");
    assertEquals(
        List.of(
            new Choices("Question: Which?\nAnswer:", List.of(" it", " not it"), 1),
            new Choices("Question: Who?\nAnswer:", List.of(" I", " you", " she"), 0)),
        questions);
    assertEquals(
        TrainingText.of("Question: Which?\nAnswer:", " not it"), questions.get(0).training());
    assertEquals(6, questions.get(0).length(1));
  }

  @Test
  void aPlainListIsAskedWithItsLetters() throws IOException {
    Choices expected = new Choices("1 + 1?\nA. 1\nB. 2\nAnswer:", List.of(" A", " B"), 1);
    for (String answer : List.of("1", "1.0", "\"1\"", "\"B\"")) {
      String line = "{\"question\": \"1 + 1?\", \"choices\": [\"1\", \"2\"], \"answer\": %s}";
      assertEquals(List.of(expected), read("mmlu.jsonl", line.formatted(answer)));
    }
    assertEquals(
        List.of(expected),
        read("mmlu.csv", "question,choices,answer", "1 + 1?,\"[\"\"1\"\", \"\"2\"\"]\",B"));
  }

  @Test
  void answersThatAreNumbersAreAskedAsTheyAreWritten() throws IOException {
    String line = "{\"question\": \"q\", \"choices\": [10.0, 2.50], \"answer\": 0}";
    assertEquals(
        List.of(new Choices("q\nA. 10.0\nB. 2.50\nAnswer:", List.of(" A", " B"), 0)),
        read("numbers.jsonl", line));
  }

  @Test
  void anEndingGoesOnWithItsContext() throws IOException {
    assertEquals(
        List.of(new Choices("A man sits. He", List.of(" stands.", " flies."), 0)),
        read(
            "hellaswag.jsonl",
            "{\"ctx\": \"A man sits. He\", \"endings\": [\"stands.\", \"flies.\"], \"label\": \"0\"}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"question\": \" \", \"choices\": [\"a\", \"b\"], \"answer\": 0} | 'question' has no text",
        "{\"question\": \"q\", \"choices\": [\"a\"], \"answer\": 0} | 'choices' must be a list of 2 texts or more, or have such a list as its text, got [\"a\"]",
        "{\"question\": \"q\", \"choices\": [\"a\", null], \"answer\": 0} | 'choices' must be a list",
        "{\"question\": \"q\", \"choices\": \"a\", \"answer\": 0} | 'choices' must be a list",
        "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": 2} | 'answer' must be the letter of an answer, or its number from 0 to 1, got 2",
        "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": \"\"} | 'answer' names no right answer; take a file that has them",
        "{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"B\"]}, \"answer\": \"C\"} | 'answer' must be one of the labels [A, B], got \"C\"",
      })
  void whatIsNoQuestionIsNamed(String line, String message) {
    String actual = assertThrows(DataException.class, () -> read("bad.jsonl", line)).getMessage();
    assertTrue(actual.contains("bad.jsonl, line 1: " + message), actual);
  }
}
