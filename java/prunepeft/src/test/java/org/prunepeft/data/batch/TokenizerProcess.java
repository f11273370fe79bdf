package org.prunepeft.data.batch;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;

/**
 * Hugging Face's library in a process of its own, since a panic in it ends the process. It is given
 * tokenizers that the check has passed, and encodes some texts by each.
 */
public final class TokenizerProcess implements AutoCloseable {
  /** What an input may take; the process ends itself then. */
  private static final long MILLISECONDS = 20_000;

  private static final List<String> TEXTS =
      List.of(
          "",
          "Hello, world!",
          "na\u00efve \u6771\u4eac \ud83d\ude42 [CLS] <s>",
          " ".repeat(2000),
          "a".repeat(2000),
          "ab \n\t".repeat(200));

  private Process process;
  private DataOutputStream to;
  private DataInputStream from;

  /**
   * Has the process read a tokenizer and encode texts.
   *
   * @return empty if it could, else why it was refused
   * @throws AssertionError if the process ends, or fails by anything but an error of the project
   */
  public String read(byte[] tokenizer) {
    try {
      if (process == null) {
        start();
      }
      to.writeInt(tokenizer.length);
      to.write(tokenizer);
      to.flush();
      String answer = from.readUTF();
      if (answer.startsWith("!")) {
        throw new AssertionError(answer);
      }
      return answer;
    } catch (EOFException e) {
      process = null;
      throw new AssertionError("the process ended: a panic, or too long a time", e);
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
            "-Xmx1g",
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
    Watch watch = new Watch();
    watch.start();
    while (true) {
      byte[] tokenizer;
      try {
        tokenizer = from.readNBytes(from.readInt());
      } catch (EOFException e) {
        Runtime.getRuntime().halt(0);
        return;
      }
      watch.since = System.currentTimeMillis();
      String answer = answer(tokenizer);
      watch.since = Long.MAX_VALUE;
      to.writeUTF(answer.substring(0, Math.min(10_000, answer.length())));
      to.flush();
    }
  }

  private static String answer(byte[] tokenizer) {
    try (Tokenizer read = Tokenizer.of(tokenizer, 16)) {
      for (String text : TEXTS) {
        for (String pair : new String[] {null, "of texts"}) {
          int tokens = read.encode(text, pair).ids().length;
          int together = read.encode(List.of(new Example(text, pair, 0))).get(0).ids().length;
          if (tokens > 16 || tokens != together) {
            return "! %d tokens, %d in a batch".formatted(tokens, together);
          }
        }
      }
      return "";
    } catch (DataException e) {
      return e.getMessage() == null ? "! no message" : e.getMessage();
    } catch (Throwable e) {
      var trace = new ByteArrayOutputStream();
      e.printStackTrace(new java.io.PrintStream(trace, true));
      return "! " + trace;
    }
  }

  private static final class Watch extends Thread {
    private volatile long since = Long.MAX_VALUE;

    Watch() {
      setDaemon(true);
    }

    @Override
    public void run() {
      while (true) {
        if (System.currentTimeMillis() - MILLISECONDS > since) {
          Runtime.getRuntime().halt(3);
        }
        try {
          Thread.sleep(200);
        } catch (InterruptedException e) {
          return;
        }
      }
    }
  }

  /** What the check alone says, without the library. */
  public static void check(byte[] tokenizer) throws IOException {
    TokenizerFile.checked(tokenizer, false);
  }
}
