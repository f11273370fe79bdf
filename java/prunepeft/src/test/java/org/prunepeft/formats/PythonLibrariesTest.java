package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.ArchitecturesTest;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.HuggingFaceConfig;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Models;
import org.prunepeft.model.Models.Pretrained;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.Pooling;

/**
 * Hugging Face's transformers, PEFT and AdapterHub's adapters load what is written and compute what
 * we do, for each architecture. Skipped, with the reason, where python3 does not find them.
 */
class PythonLibrariesTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final byte[] TOKENIZER = {'{', '}'};
  private static final int LABELS = 3;
  private static final int[] LENGTHS = {9, 4, 1};
  private static final List<String> TARGETS =
      List.of("query", "key", "value", "intermediate.dense", "output.dense");

  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** A library and modules that its files hold; no modules: the encoder alone. */
  private record Case(String library, String modules, PeftConfig config) {
    @Override
    public String toString() {
      return library + ", " + modules;
    }
  }

  private static LoraConfig lora(boolean rsLora, boolean dora) {
    return LoraConfig.of(5, 7, 0.1, TARGETS)
        .with()
        .rsLora(rsLora)
        .dora(dora)
        .perProjection(true)
        .rankPattern(Map.of("1.output.dense", 2))
        .alphaPattern(Map.of("key", 3.0))
        .build();
  }

  static Stream<Case> cases() {
    LoraConfig adaLora =
        LoraConfig.of(4, 7, 0, TARGETS)
            .withAdaLora(new AdaLoraConfig(4, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9));
    LoraConfig attention = LoraConfig.of(5, 7, 0, List.of("query", "value")).withRsLora(true);
    return Stream.of(
        new Case("transformers", "none", null),
        new Case("peft", "LoRA", PeftConfig.of(lora(false, false), null)),
        new Case("peft", "rsLoRA", PeftConfig.of(lora(true, false), null)),
        new Case("peft", "DoRA", PeftConfig.of(lora(false, true), null)),
        new Case("peft", "AdaLoRA", PeftConfig.of(adaLora, null)),
        new Case(
            "adapters",
            "LoRA and serial",
            PeftConfig.of(attention, AdapterConfig.of(5, Activation.GELU))),
        new Case(
            "adapters",
            "LoRA on single projections",
            PeftConfig.of(attention.with().targets(TARGETS).perProjection(true).build(), null)),
        new Case(
            "adapters",
            "Houlsby",
            PeftConfig.of(null, AdapterConfig.of(5, Activation.SILU, AdapterConfig.Style.HOULSBY))),
        new Case(
            "adapters",
            "parallel",
            PeftConfig.of(
                null, AdapterConfig.of(5, Activation.RELU, AdapterConfig.Style.PARALLEL))),
        new Case("merged", "DoRA", PeftConfig.of(lora(true, true), null)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void librariesComputeWhatWeDo(Case one) throws IOException, InterruptedException {
    requireImport(one.library.equals("merged") ? "transformers" : one.library);
    List<EncoderConfig> configurations = ArchitecturesTest.configurations().toList();
    List<Map<String, Object>> requests = new ArrayList<>();
    List<float[][]> expected = new ArrayList<>();
    for (EncoderConfig config : configurations) {
      Path place = Files.createDirectory(temporary.resolve("" + requests.size()));
      Map<String, Object> request = new HashMap<>();
      expected.add(prepare(one, config, place, request));
      requests.add(request);
    }
    JsonNode results = run(requests);
    assertEquals(expected.size(), results.size());
    for (int i = 0; i < expected.size(); i++) {
      float[][] rows = expected.get(i);
      for (int row = 0; row < rows.length; row++) {
        for (int k = 0; k < rows[row].length; k++) {
          double actual = at(results.get(i).get(row), k);
          assertEquals(
              rows[row][k],
              actual,
              2e-4 * Math.max(1, Math.abs(rows[row][k])),
              "%s, row %d, %d".formatted(configurations.get(i), row, k));
        }
      }
    }
  }

  /** Element k of a row of logits, or of the hidden states of its tokens one after the other. */
  private static double at(JsonNode row, int k) {
    if (row.get(0).isNumber()) {
      return row.get(k).doubleValue();
    }
    int width = row.get(0).size();
    return row.get(k / width).get(k % width).doubleValue();
  }

  /** Writes model and export, and says what we compute: of each row, of its real tokens alone. */
  private float[][] prepare(Case one, EncoderConfig config, Path place, Map<String, Object> request)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, random);
    Path model = place.resolve("model");
    new HuggingFaceDirectory(model)
        .write(
            HuggingFaceConfig.write(config),
            TOKENIZER,
            Map.of(),
            new MapCheckpoint("random", tensors));
    EncoderInput input = input(config, request);
    request.put("library", one.library);
    request.put("model", model.toString());
    request.put("export", place.resolve("export").toString());
    request.put("labels", LABELS);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        Encoder encoder = Models.byName(model.toString()).loader().load().encoder()) {
      if (one.config == null) {
        return rows(Torch.toFloats(encoder.forward(input, Insertions.NONE)), config.hidden());
      }
      List<Candidate> kept =
          one.config.space(config).candidates().stream()
              .filter(module -> module.layer() != 0 || random.nextBoolean())
              .toList();
      try (PeftModules modules = new PeftModules(one.config, config, kept)) {
        for (FlatParameters group : modules.groups().values()) {
          group.values().normal_(0, 0.2, RandomTensors.generator());
          for (String name : group.names()) {
            if (name.endsWith(".lora_E")) {
              group.get(name).narrow(0, random.nextInt(4), 1).zero_();
            }
          }
        }
        TrainedAdapter adapter =
            new TrainedAdapter(
                model.toString(),
                config,
                Parts.of(one.config, modules, config, path -> tensors.get(path + ".weight")),
                List.of("a", "b", "c"),
                Parts.random(LABELS, config.hidden()),
                Parts.random(LABELS));
        export(one, adapter, tensors, place.resolve("export"));
        modules.begin(ForwardPass.evaluation(tape));
        float[][] logits = logits(adapter, encoder, input, modules);
        float[][] frozen = logits(adapter, encoder, input, Insertions.NONE);
        assertTrue(PeftFormatTest.distance(frozen[0], logits[0]) > 1e-3, "modules change nothing");
        return logits;
      }
    }
  }

  private EncoderInput input(EncoderConfig config, Map<String, Object> request) {
    int rows = LENGTHS.length;
    int length = LENGTHS[0];
    long[][] ids = new long[rows][length];
    long[][] types = new long[rows][length];
    long[][] mask = new long[rows][length];
    long[] flatIds = new long[rows * length];
    long[] flatTypes = new long[rows * length];
    byte[] flatMask = new byte[rows * length];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < length; i++) {
        boolean real = i < LENGTHS[row];
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

  private static float[][] rows(float[] hidden, int width) {
    float[][] rows = new float[LENGTHS.length][];
    for (int row = 0; row < rows.length; row++) {
      int from = row * LENGTHS[0] * width;
      rows[row] = java.util.Arrays.copyOfRange(hidden, from, from + LENGTHS[row] * width);
    }
    return rows;
  }

  private static float[][] logits(
      TrainedAdapter adapter, Encoder encoder, EncoderInput input, Insertions insertions) {
    float[] pooled = Torch.toFloats(Pooling.MEAN.of(encoder.forward(input, insertions), input));
    int hidden = adapter.encoder().hidden();
    float[][] logits = new float[LENGTHS.length][LABELS];
    for (int row = 0; row < logits.length; row++) {
      for (int label = 0; label < LABELS; label++) {
        double sum = adapter.headBias().values()[label];
        for (int k = 0; k < hidden; k++) {
          sum +=
              (double) adapter.headWeight().values()[label * hidden + k] * pooled[row * hidden + k];
        }
        logits[row][label] = (float) sum;
      }
    }
    return logits;
  }

  private static void export(
      Case one, TrainedAdapter adapter, Map<String, SafeTensors.Tensor> tensors, Path place)
      throws IOException {
    RunDirectory target = RunDirectory.create(place);
    switch (one.library) {
      case "peft" -> new PeftFormat().write(adapter, target);
      case "adapters" -> new AdapterHubFormat().write(adapter, target);
      default -> {
        try (Pretrained base =
            new Pretrained(adapter.encoder(), TOKENIZER, new MapCheckpoint("base", tensors))) {
          MergedModel.write(adapter, base, target);
        }
      }
    }
    target.complete();
  }

  private JsonNode run(List<Map<String, Object>> requests)
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
    return JSON.readTree(answered.toFile());
  }

  private static void requireImport(String library) throws InterruptedException {
    Python python;
    try {
      python = Python.run(300, "-c", "import torch, " + library);
    } catch (IOException e) {
      assumeTrue(false, "there is no python3: " + e.getMessage());
      return;
    }
    String reason = python.output.strip();
    assumeTrue(
        python.status == 0,
        "python3 does not import torch and %s: %s"
            .formatted(library, reason.substring(reason.lastIndexOf('\n') + 1)));
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
