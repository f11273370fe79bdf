package org.prunepeft.benchmarks;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.Projection;
import org.prunepeft.torch.Torch;

/**
 * How long a model directory takes to load beside a plain reading of its weights' file, both with
 * the file out of the system's cache: {@code CheckpointLoading DIR [ROUNDS]}. If the directory does
 * not exist, it is made: a BERT-base of random weights, 436 MB.
 *
 * <p>The reading is one thread's, in order, into one buffer of 1 MiB. Native libraries are loaded
 * before the first round; each round measures both, and the next begins with the other one.
 */
public final class CheckpointLoading {
  private static final EncoderConfig BERT_BASE = EncoderConfig.bert(12, 768, 12, 3072, 30522, 512);

  private CheckpointLoading() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    Path directory = Path.of(arguments[0]);
    int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 5;
    if (!Files.exists(directory)) {
      new Pretrained(BERT_BASE, "{}".getBytes(), new RandomBert()).write(directory);
    }
    Path file = directory.resolve("model.safetensors");
    Torch.load();
    double[] read = new double[rounds];
    double[] load = new double[rounds];
    for (int i = 0; i < rounds; i++) {
      if (i % 2 == 0) {
        read[i] = seconds(file, () -> read(file));
        load[i] = seconds(file, () -> load(directory));
      } else {
        load[i] = seconds(file, () -> load(directory));
        read[i] = seconds(file, () -> read(file));
      }
      System.out.printf(
          Locale.ROOT, "read %.3f s, load %.3f s: %.2f%n", read[i], load[i], load[i] / read[i]);
    }
    System.out.printf(
        Locale.ROOT,
        "%d MB, %d rounds: read %.3f s (best %.3f), load %.3f s (best %.3f): %.2f times (best %.2f)%n",
        Files.size(file) / 1_000_000,
        rounds,
        median(read),
        best(read),
        median(load),
        best(load),
        median(load) / median(read),
        best(load) / best(read));
  }

  private interface Work {
    /** Returns what is to be freed when the time is taken. */
    Closeable run() throws IOException;
  }

  private static double seconds(Path file, Work work) throws IOException, InterruptedException {
    forget(file);
    long start = System.nanoTime();
    try (Closeable result = work.run()) {
      return (System.nanoTime() - start) / 1e9;
    }
  }

  /** Takes a file out of the system's cache. */
  private static void forget(Path file) throws IOException, InterruptedException {
    int status =
        new ProcessBuilder("dd", "of=" + file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start()
            .waitFor();
    if (status != 0) {
      throw new IOException("dd could not take " + file + " out of the cache");
    }
  }

  private static Closeable read(Path file) throws IOException {
    FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
    ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
    while (channel.read(buffer.clear()) >= 0) {}
    return channel;
  }

  private static Closeable load(Path directory) {
    return Models.byName(directory.toString()).loader().load().encoder()::close;
  }

  private static double best(double[] values) {
    return Arrays.stream(values).min().orElseThrow();
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** Weights of a BERT-base, drawn as they are read. */
  private static final class RandomBert implements Checkpoint {
    private final Map<String, long[]> shapes = new LinkedHashMap<>();
    private final SplittableRandom random = new SplittableRandom(1);

    RandomBert() {
      long hidden = BERT_BASE.hidden();
      String embeddings = "bert.embeddings.";
      shapes.put(
          embeddings + "word_embeddings.weight", new long[] {BERT_BASE.vocabulary(), hidden});
      shapes.put(embeddings + "position_embeddings.weight", new long[] {512, hidden});
      shapes.put(embeddings + "token_type_embeddings.weight", new long[] {2, hidden});
      norm(embeddings + "LayerNorm");
      for (int layer = 0; layer < BERT_BASE.layers(); layer++) {
        for (Projection projection : BERT_BASE.projections()) {
          String path = "bert." + BERT_BASE.path(layer, projection);
          long rows = BERT_BASE.outputs(projection);
          shapes.put(path + ".weight", new long[] {rows, BERT_BASE.inputs(projection)});
          shapes.put(path + ".bias", new long[] {rows});
        }
        norm("bert.encoder.layer." + layer + ".attention.output.LayerNorm");
        norm("bert.encoder.layer." + layer + ".output.LayerNorm");
      }
    }

    private void norm(String path) {
      shapes.put(path + ".weight", new long[] {BERT_BASE.hidden()});
      shapes.put(path + ".bias", new long[] {BERT_BASE.hidden()});
    }

    @Override
    public String origin() {
      return "random weights";
    }

    @Override
    public Set<String> names() {
      return shapes.keySet();
    }

    @Override
    public long[] shape(String name) {
      return shapes.get(name).clone();
    }

    @Override
    public void readFloats(String name, long first, ByteBuffer target) {
      while (target.hasRemaining()) {
        target.putFloat((float) (random.nextDouble() - 0.5) / 16);
      }
    }

    @Override
    public void close() {}
  }
}
