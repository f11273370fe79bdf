package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Choices;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Place;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.batch.Answers;
import org.prunepeft.data.batch.CharacterTokenizer;
import org.prunepeft.data.batch.EncodedTexts;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.train.TooLong;
import org.prunepeft.train.TrainingSettings;

/** Texts that are too long. Each character is a token, and one begins the text. */
class TextEncodingTest {
  private static final int LONGEST = 8;
  private static final Tokenizer TOKENIZER = Tokenizer.of(CharacterTokenizer.json(), LONGEST);

  @AfterAll
  static void close() {
    TOKENIZER.close();
  }

  private static TextEncoding encoding(TooLong tooLong) {
    return new TextEncoding(
        EncoderConfig.bert(1, 8, 1, 8, CharacterTokenizer.VOCABULARY, LONGEST),
        CharacterTokenizer.json(),
        TOKENIZER,
        TrainingSettings.builder().maxLength(LONGEST).tooLong(tooLong).build());
  }

  private static Example text(String text, long line) {
    Example example = Example.of(TrainingText.of(text));
    return line == 0 ? example : example.at(new Place("a.jsonl", line));
  }

  private static String refusal(Example... examples) {
    return assertThrows(
            DataException.class, () -> encoding(TooLong.REFUSE).texts(List.of(examples)))
        .getMessage();
  }

  @Test
  void areCutAndCounted() {
    EncodedTexts texts =
        encoding(TooLong.CUT).texts(List.of(text("1234567", 1), text("12345678", 2)));
    assertEquals(
        "1 of 2 test texts have more than 8 tokens and are cut there",
        encoding(TooLong.CUT).cutNote("test", texts).orElseThrow());
    assertEquals(LONGEST, texts.data().length(1));
  }

  @Test
  void areRefusedWithTheirTokens() {
    assertEquals(1, encoding(TooLong.REFUSE).texts(List.of(text("1234567", 1))).data().size());
    assertEquals(
        "a.jsonl, line 7: the text has 9 tokens, but --max-seq-length is 8 (2 of 3 texts are longer); raise --max-seq-length (the model takes at most 8), shorten the texts, or say --too-long cut",
        refusal(text("1", 1), text("12345678", 7), text("123456789", 9)));
    // Far more than is looked at of a text that is cut.
    String message = refusal(text("1", 0), text("a".repeat(100_000), 0));
    assertEquals("example 2: the text has 100,001 tokens", message.split(", but")[0]);
  }

  @Test
  void ofARunThatIsMadeItsLengthCannotBeRaised() {
    TextEncoding made =
        new TextEncoding(
            EncoderConfig.bert(1, 8, 1, 8, CharacterTokenizer.VOCABULARY, LONGEST),
            CharacterTokenizer.json(),
            TOKENIZER,
            TrainingSettings.builder().maxLength(LONGEST).tooLong(TooLong.REFUSE).build(),
            true);
    assertEquals(
        "a.jsonl, line 7: the text has 9 tokens, but the run was made with --max-seq-length 8; shorten the texts, or say --too-long cut; a run that is made with a larger --max-seq-length takes more (the model at most 8)",
        assertThrows(DataException.class, () -> made.someTexts(List.of(text("12345678", 7))))
            .getMessage());
  }

  /** Its model has no such character. */
  private static TextEncoding without(char character) {
    return new TextEncoding(
        EncoderConfig.bert(1, 8, 1, 8, CharacterTokenizer.id(character), LONGEST),
        CharacterTokenizer.json(),
        TOKENIZER,
        TrainingSettings.builder().maxLength(LONGEST).build());
  }

  private static Example question(long line, String... answers) {
    return Example.of(new Choices("ask:", List.of(answers), 0)).at(new Place("q.jsonl", line));
  }

  @Test
  void aWrongAnswerWithATokenWithoutAnEmbeddingIsRefused() {
    Schema schema =
        Schema.languageModeling().withMetrics(List.of(Metric.LOG_LIKELIHOOD, Metric.ACCURACY));
    TextEncoding small = without('x');
    List<Example> examples = List.of(question(3, "a", "b", "d"), question(5, "a", "x"));
    assertEquals(2, small.texts(examples).data().size());
    assertEquals(1, small.answers(schema, examples.subList(0, 1), null).examples().size());
    String message =
        assertThrows(DataException.class, () -> small.answers(schema, examples, null)).getMessage();
    assertEquals(
        "q.jsonl, line 5: an answer of the question has a token with id "
            + CharacterTokenizer.id('x'),
        message.split(", and the model")[0]);
  }

  @Test
  void ofSomeTextsNoneAreCounted() {
    String message =
        assertThrows(
                DataException.class,
                () -> encoding(TooLong.REFUSE).someTexts(List.of(text("12345678", 7))))
            .getMessage();
    assertEquals(
        "a.jsonl, line 7: the text has 9 tokens, but --max-seq-length is 8", message.split(";")[0]);
  }

  @Test
  void aTokenWithoutAnEmbeddingIsRefused() {
    TextEncoding small = without('c');
    assertEquals(1, small.texts(List.of(text("ab", 1))).data().size());
    String message =
        assertThrows(DataException.class, () -> small.texts(List.of(text("ab", 1), text("abc", 2))))
            .getMessage();
    int id = CharacterTokenizer.id('c');
    assertEquals(
        "a.jsonl, line 2: the text has a token with id %d, and the model has %d (vocab_size in config.json)"
            .formatted(id, id),
        message.split(": it was")[0]);
  }

  @Test
  void anAnswerToChooseFromThatIsTooLongIsRefused() {
    Choices choices = new Choices("ask:", List.of("a", "ABCDEF"), 0);
    List<Example> examples = List.of(Example.of(choices).at(new Place("q.jsonl", 3)));
    Schema schema =
        Schema.languageModeling().withMetrics(List.of(Metric.LOG_LIKELIHOOD, Metric.ACCURACY));
    assertEquals(1, encoding(TooLong.REFUSE).texts(examples).data().size());
    String message =
        assertThrows(
                DataException.class, () -> encoding(TooLong.REFUSE).answers(schema, examples, null))
            .getMessage();
    assertEquals(
        "q.jsonl, line 3: an answer of the question, with its prompt, has 11 tokens, but --max-seq-length is 8 (1 of 1 questions have a longer one)",
        message.split(";")[0]);
    assertEquals(
        "1 of 1 test questions have an answer that is cut and count as wrong",
        TextEncoding.cutNote("test", encoding(TooLong.CUT).answers(schema, examples, null))
            .orElseThrow());
    assertEquals(true, TextEncoding.cutNote("test", (Answers) null).isEmpty());
  }
}
