package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.settings.Setup;
import org.prunepeft.testing.FixedSeed;

/** Programs of the pages on language models write what the commands do. */
@FixedSeed("the weights are a prop: what commands say and write does not depend on them")
class DocumentedProgramsTest {
  private static final String LINES = "what is a boat?\nand a ship?\nso it goes\n";

  @TempDir static Path temporary;
  private static Path model;

  @BeforeAll
  static void write() throws IOException {
    model = LlamaDirectory.write(temporary.resolve("tiny-llama"));
  }

  @Test
  void talkIsChatWithARun() throws IOException {
    Path template = temporary.resolve("turns.jinja");
    Files.writeString(
        template,
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
            + "{% if add_generation_prompt %}<assistant>{% endif %}");
    String turn =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"},"
            + " {\"role\": \"assistant\", \"content\": \"b\"}]}\n";
    Path chats = Files.writeString(temporary.resolve("chats.jsonl"), turn.repeat(20));
    Path run = temporary.resolve("run");
    Call.of(
            "train",
            "--model=" + model,
            "--train-file=" + chats,
            "--chat-template=" + template,
            "--epochs=1",
            "--lora-r=2",
            "--adapter-size=2",
            "--max-seq-length=48",
            "--threads=2",
            "--output=" + run)
        .exits(0);
    // The run has the template.
    Files.delete(template);
    Call chat =
        answering(
            () -> Call.of("chat", run, "--system=Answer in one sentence.", "--max-new-tokens=200"));
    chat.exits(0);
    assertEquals(chat.out(), answering(() -> written("java.md", "Talk", run)));
    assertTrue(chat.out().length() > LINES.lines().count(), chat.out());
  }

  @Test
  void askIsGenerateAndChatWithAModel() {
    String story =
        Call.of(
                "generate",
                model,
                "--prompt=Once upon a time",
                "--max-new-tokens=20",
                "--stop=\n\n")
            .exits(0)
            .out();
    InputStream question = lines("Why is the sky blue?\n");
    String answer =
        answering(question, () -> Call.of("chat", model, "--max-new-tokens=20", "--stop=\n\n"))
            .exits(0)
            .out();
    assertEquals(story + answer, written("language-models.md", "Ask", model));
  }

  @Test
  void continueTrainsExportsAndIsOverTheSecondTime() throws IOException {
    Path texts = LetterPairs.write(temporary, 40);
    Path run = temporary.resolve("continued");
    Path adapter = temporary.resolve("adapter");
    String first = written("java.md", "Continue", model, texts, run, adapter);
    assertTrue(first.startsWith("Once upon a time"), first);
    assertTrue(Files.exists(adapter.resolve("adapter_model.safetensors")));
    assertEquals(
        first, written("java.md", "Continue", model, texts, run, temporary.resolve("again")));
    assertEquals(128, Setup.ofRun(run).training().maxLength());
  }

  private static InputStream lines(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
  }

  private static <T> T answering(Supplier<T> work) {
    return answering(lines(LINES), work);
  }

  /** What comes of work that reads a text. */
  private static <T> T answering(InputStream in, Supplier<T> work) {
    InputStream before = System.in;
    try {
      System.setIn(in);
      return work.get();
    } finally {
      System.setIn(before);
    }
  }

  /** What a page's program prints. */
  private static String written(String page, String name, Path... arguments) {
    PrintStream before = System.out;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (URLClassLoader classes = compiled(page, name)) {
      System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
      classes
          .loadClass(name)
          .getMethod("main", String[].class)
          .invoke(null, (Object) Stream.of(arguments).map(Path::toString).toArray(String[]::new));
    } catch (IOException | ReflectiveOperationException e) {
      throw new AssertionError(page + ": " + name, e);
    } finally {
      System.setOut(before);
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  private static URLClassLoader compiled(String page, String name) throws IOException {
    Path folder = Files.createDirectories(temporary.resolve(name));
    Path source = Files.writeString(folder.resolve(name + ".java"), printed(page, name));
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    int failed =
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                said,
                said,
                "-proc:none",
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                folder.toString(),
                source.toString());
    assertEquals(0, failed, said::toString);
    return new URLClassLoader(new URL[] {folder.toUri().toURL()});
  }

  /** The source of a class, from a page. */
  static String printed(String page, String name) throws IOException {
    Matcher block =
        Pattern.compile(
                "```java\n((?:import [^\n]*\n|\n)*public class " + name + " .*?)```",
                Pattern.DOTALL)
            .matcher(Files.readString(DocumentedCallsTest.page(page)));
    assertTrue(block.find(), () -> page + " prints no class " + name);
    return block.group(1);
  }
}
