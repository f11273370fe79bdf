package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.testing.PythonReleases;

/** What Python's libraries compute from files, where python3 finds the libraries: logits.py. */
final class PythonLibraries {
  private static final ObjectMapper JSON = new ObjectMapper();

  private PythonLibraries() {}

  /**
   * Skips the test, with the reason, where python3 does not import the library, or in a release
   * that was not tried.
   */
  static void require(String library) {
    // The others go over transformers.
    PythonReleases.require(
        Stream.of("torch", "transformers", library).distinct().toArray(String[]::new));
  }

  /** The answers to requests, in their order. */
  static JsonNode answer(Path temporary, List<Map<String, Object>> requests)
      throws IOException, InterruptedException {
    Path script = temporary.resolve("logits.py");
    try (InputStream source = Parts.resource("logits.py")) {
      Files.copy(source, script);
    }
    Path asked = temporary.resolve("requests.json");
    Path answered = temporary.resolve("results.json");
    JSON.writeValue(asked.toFile(), requests);
    Python python = Python.run(600, script.toString(), asked.toString(), answered.toString());
    if (python.status != 0) {
      fail("python3 ended with " + python.status + ":\n" + python.output);
    }
    JsonNode results = JSON.readTree(answered.toFile());
    assertEquals(requests.size(), results.size());
    return results;
  }

  /**
   * A batch of random tokens, right-padded, which the request gets too.
   *
   * @param lengths real tokens of each row, the longest first
   */
  static EncoderInput input(
      EncoderConfig config, int[] lengths, Random random, Map<String, Object> request) {
    int rows = lengths.length;
    int length = lengths[0];
    long[][] ids = new long[rows][length];
    long[][] types = new long[rows][length];
    long[][] mask = new long[rows][length];
    long[] flatIds = new long[rows * length];
    long[] flatTypes = new long[rows * length];
    byte[] flatMask = new byte[rows * length];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < length; i++) {
        boolean real = i < lengths[row];
        ids[row][i] = real ? random.nextInt(config.vocabulary()) : config.padding();
        types[row][i] = real ? random.nextInt(Math.max(1, config.types())) : 0;
        mask[row][i] = real ? 1 : 0;
        flatIds[row * length + i] = ids[row][i];
        flatTypes[row * length + i] = types[row][i];
        flatMask[row * length + i] = (byte) mask[row][i];
      }
    }
    Map<String, Object> inputs = new HashMap<>(Map.of("input_ids", ids, "attention_mask", mask));
    if (config.types() > 1) {
      inputs.put("token_type_ids", types);
    }
    request.put("inputs", inputs);
    return EncoderInput.of(flatIds, flatTypes, flatMask, rows, length);
  }

  /**
   * What a head gives, in float64.
   *
   * @param pooled [rows · hidden] of each text, of which a head may compare two
   */
  static float[][] logits(TrainedAdapter adapter, List<float[]> pooled) {
    int hidden = adapter.encoder().hidden();
    float[] bias = adapter.headBias().values();
    float[][] logits = new float[pooled.get(0).length / hidden][bias.length];
    for (int row = 0; row < logits.length; row++) {
      int from = row * hidden;
      double[] features = features(pooled.get(0), pooled.get(pooled.size() - 1), from, hidden);
      int width = (int) adapter.headWeight().shape()[1];
      for (int k = 0; k < bias.length; k++) {
        double sum = bias[k];
        for (int i = 0; i < width; i++) {
          sum += adapter.headWeight().values()[k * width + i] * features[i];
        }
        logits[row][k] = (float) sum;
      }
    }
    return logits;
  }

  /** u, v, |u-v| and their cosine, of which a head of one text takes the first. */
  private static double[] features(float[] first, float[] second, int from, int hidden) {
    double[] features = new double[3 * hidden + 1];
    double product = 0;
    double firstSquares = 0;
    double secondSquares = 0;
    for (int i = 0; i < hidden; i++) {
      double u = first[from + i];
      double v = second[from + i];
      features[i] = u;
      features[hidden + i] = v;
      features[2 * hidden + i] = Math.abs(u - v);
      product += u * v;
      firstSquares += u * u;
      secondSquares += v * v;
    }
    features[3 * hidden] = product / Math.sqrt(firstSquares * secondSquares);
    return features;
  }

  /** A second text of each row, which the request gets as input_ids_2 and so on. */
  static EncoderInput secondInput(
      EncoderConfig config, int[] lengths, Random random, Map<String, Object> request) {
    Map<String, Object> own = new HashMap<>();
    EncoderInput input = input(config, lengths, random, own);
    Map<Object, Object> inputs = new HashMap<>((Map<?, ?>) request.get("inputs"));
    ((Map<?, ?>) own.get("inputs")).forEach((name, rows) -> inputs.put(name + "_2", rows));
    request.put("inputs", inputs);
    return input;
  }

  /** The values of the real tokens of each row. */
  static float[][] realTokens(float[] values, int[] lengths) {
    int width = values.length / lengths.length / lengths[0];
    float[][] rows = new float[lengths.length][];
    for (int row = 0; row < rows.length; row++) {
      int from = row * lengths[0] * width;
      rows[row] = Arrays.copyOfRange(values, from, from + lengths[row] * width);
    }
    return rows;
  }

  /**
   * Compares each row with the beginning of what the library gave.
   *
   * @param tolerance of values of up to 1; of larger ones times their size
   * @return the largest difference, likewise
   */
  static double assertNear(float[][] expected, JsonNode result, double tolerance, Object what) {
    double largest = 0;
    for (int row = 0; row < expected.length; row++) {
      List<Double> actual = new ArrayList<>();
      flatten(result.get(row), actual);
      assertTrue(actual.size() >= expected[row].length, () -> what + ": too few values");
      for (int k = 0; k < expected[row].length; k++) {
        double size = Math.max(1, Math.abs(expected[row][k]));
        assertEquals(
            expected[row][k],
            actual.get(k),
            tolerance * size,
            "%s, row %d, %d".formatted(what, row, k));
        largest = Math.max(largest, Math.abs(expected[row][k] - actual.get(k)) / size);
      }
    }
    return largest;
  }

  private static void flatten(JsonNode node, List<Double> into) {
    if (node.isArray()) {
      node.forEach(element -> flatten(element, into));
    } else {
      into.add(node.doubleValue());
    }
  }

  private record Python(int status, String output) {
    static Python run(int seconds, String... arguments) throws IOException, InterruptedException {
      List<String> command = new ArrayList<>(List.of("python3"));
      command.addAll(List.of(arguments));
      Path log = Files.createTempFile("python3-", ".log");
      try {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(Map.of("HF_HUB_OFFLINE", "1", "TRANSFORMERS_OFFLINE", "1"));
        Process process = builder.redirectOutput(log.toFile()).start();
        if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
          process.destroyForcibly().waitFor();
          return new Python(-1, "no end after " + seconds + " s");
        }
        return new Python(process.exitValue(), Files.readString(log, StandardCharsets.UTF_8));
      } finally {
        Files.delete(log);
      }
    }
  }
}
