package org.prunepeft.data.batch;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.IntStream;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.testing.ProcessorTime;
import org.prunepeft.testing.Reading;

/**
 * Hugging Face's library in a process of its own, since a panic in it ends the process. It is given
 * tokenizers that the check has passed, encodes some texts by each, and reads tokens as texts where
 * that is asked. On Linux it says what it took: the heap, which no native code takes from, is there
 * from the beginning.
 */
public final class TokenizerProcess implements AutoCloseable {
  /** What an input may take: more than {@link Reading} allows, whose check comes after it. */
  private static final Duration LONGEST = Reading.LONGEST.multipliedBy(2);

  private static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

  private static final Path STATUS = Path.of("/proc/self/status");

  /** Written to, it makes what is resident now the peak. */
  private static final Path PEAK = Path.of("/proc/self/clear_refs");

  /** How an answer begins that is no error of the project. */
  private static final String FAILED = "! ";

  /** By which classes and the library are loaded. */
  private static final String SMALL =
      """
      {"model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0}}}""";

  private static final List<String> TEXTS =
      List.of(
          "",
          "Hello, world!",
          "na\u00efve \u6771\u4eac \ud83d\ude42 [CLS] <s>",
          " ".repeat(2000),
          "a".repeat(2000),
          "s".repeat(2000),
          "ab \n\t".repeat(200));

  /** Of most vocabularies, the special tokens among them. */
  private static final int IDS = 40;

  private Process process;
  private DataOutputStream to;
  private DataInputStream from;

  /**
   * What came of a tokenizer.
   *
   * @param refusal why it was refused; empty: it was not
   * @param nanoseconds of processor time that the process took, all its threads
   * @param bytes by which its resident memory exceeded at most what it had before; 0 where that is
   *     not known
   * @param inAll the same beyond what it had at its start
   */
  public record Answer(String refusal, long nanoseconds, long bytes, long inAll) {}

  /**
   * Has the process read a tokenizer and encode texts.
   *
   * @param decoding whether it is to read tokens as texts, too
   * @throws AssertionError if the process ends, or fails by anything but an error of the project
   */
  public Answer read(byte[] tokenizer, boolean decoding) {
    try {
      if (process == null) {
        start();
      }
      to.writeInt(tokenizer.length);
      to.writeBoolean(decoding);
      to.write(tokenizer);
      to.flush();
      String refusal = from.readUTF();
      Answer answer = new Answer(refusal, from.readLong(), from.readLong(), from.readLong());
      if (refusal.startsWith(FAILED)) {
        // What has taken too long goes on.
        close();
        throw new AssertionError(refusal);
      }
      return answer;
    } catch (EOFException e) {
      process = null;
      throw new AssertionError("the process ended: a panic", e);
    } catch (IOException e) {
      process = null;
      throw new UncheckedIOException(e);
    }
  }

  private void start() throws IOException {
    String path =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    ProcessBuilder builder =
        new ProcessBuilder(
            System.getProperty("java.home") + "/bin/java",
            "-Xms512m",
            "-Xmx512m",
            "-XX:+AlwaysPreTouch",
            "-XX:+UseSerialGC",
            TokenizerProcess.class.getName());
    builder.environment().put("CLASSPATH", path);
    builder.environment().remove("JAVA_TOOL_OPTIONS");
    builder.redirectError(ProcessBuilder.Redirect.INHERIT);
    process = builder.start();
    to = new DataOutputStream(process.getOutputStream());
    from = new DataInputStream(process.getInputStream());
  }

  @Override
  public void close() {
    if (process != null) {
      process.destroyForcibly();
      process = null;
    }
  }

  /** Tokenizers come on the standard input, each after its length; answers go to its output. */
  public static void main(String[] arguments) throws IOException {
    DataInputStream from = new DataInputStream(System.in);
    DataOutputStream to = new DataOutputStream(System.out);
    System.setOut(System.err);
    answerInTime(SMALL.getBytes(StandardCharsets.UTF_8), true);
    long first = resident("VmRSS");
    while (true) {
      byte[] tokenizer;
      boolean decoding;
      try {
        int length = from.readInt();
        decoding = from.readBoolean();
        tokenizer = from.readNBytes(length);
      } catch (EOFException e) {
        Runtime.getRuntime().halt(0);
        return;
      }
      long before = forgetPeak();
      long time = SYSTEM.getProcessCpuTime();
      String answer = answerInTime(tokenizer, decoding);
      to.writeUTF(answer.substring(0, Math.min(10_000, answer.length())));
      to.writeLong(SYSTEM.getProcessCpuTime() - time);
      long peak = resident("VmHWM");
      to.writeLong(Math.max(0, peak - before));
      to.writeLong(Math.max(0, peak - first));
      to.flush();
    }
  }

  /** {@return the process's resident bytes, which are its peak from now on} */
  private static long forgetPeak() throws IOException {
    if (Files.isWritable(PEAK)) {
      Files.writeString(PEAK, "5");
    }
    return resident("VmRSS");
  }

  /** {@return bytes of the process's memory; 0: not known} */
  private static long resident(String member) throws IOException {
    if (!Files.exists(STATUS)) {
      return 0;
    }
    for (String line : Files.readAllLines(STATUS)) {
      if (line.startsWith(member + ":")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    return 0;
  }

  private static String answerInTime(byte[] tokenizer, boolean decoding) {
    try {
      return ProcessorTime.atMost(LONGEST, () -> answer(tokenizer, decoding));
    } catch (Exception | AssertionError e) {
      return failure(e);
    }
  }

  private static String failure(Throwable e) {
    var trace = new ByteArrayOutputStream();
    e.printStackTrace(new java.io.PrintStream(trace, true));
    return FAILED + trace;
  }

  private static String answer(byte[] tokenizer, boolean decoding) {
    try (Tokenizer read =
        decoding ? Tokenizer.decoding(tokenizer, 16) : Tokenizer.of(tokenizer, 16)) {
      if (decoding) {
        decode(read);
      }
      for (String text : TEXTS) {
        for (String pair : new String[] {null, "of texts"}) {
          int tokens = read.encode(text, pair).ids().length;
          int together = read.encode(List.of(new Example(text, pair, 0))).get(0).ids().length;
          if (tokens > 16 || tokens != together) {
            return FAILED + "%d tokens, %d in a batch".formatted(tokens, together);
          }
        }
      }
      return "";
    } catch (DataException e) {
      return e.getMessage() == null ? FAILED + "no message" : e.getMessage();
    } catch (Throwable e) {
      return failure(e);
    }
  }

  /** As answers of language models, their beginnings and ends are read. */
  private static void decode(Tokenizer tokenizer) {
    for (String text : TEXTS) {
      int[] ids = tokenizer.tokens(text, false).ids();
      tokenizer.decode(ids);
      for (int id : ids) {
        tokenizer.decode(new int[] {id});
      }
      tokenizer.leadingSpecialToken(text);
      tokenizer.endingSpecialToken(text);
    }
    tokenizer.decode(new int[0]);
    int[] all = IntStream.range(0, IDS).toArray();
    tokenizer.decode(all);
    for (int id : all) {
      tokenizer.decode(new int[] {id, id});
    }
    tokenizer.decode(new int[] {Integer.MAX_VALUE});
  }

  /** What the check alone says, without the library. */
  public static void check(byte[] tokenizer) throws IOException {
    check(tokenizer, false);
  }

  /**
   * The same.
   *
   * @param decoding whether tokens are to be read as texts, too
   */
  public static void check(byte[] tokenizer, boolean decoding) throws IOException {
    TokenizerFile.checked(tokenizer, decoding, TokenizerPattern.LONGEST_TEXT);
  }
}
