package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
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
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.PairFeatures;
import org.prunepeft.train.head.Pooling;

/**
 * Hugging Face's transformers, PEFT and AdapterHub's adapters load what is written and compute what
 * we do, for each architecture. Skipped, with the reason, where python3 does not find them.
 */
class PythonLibrariesTest {
  private static final byte[] TOKENIZER = {'{', '}'};
  private static final int[] LENGTHS = {9, 4, 1};
  private static final List<String> TARGETS =
      List.of("query", "key", "value", "intermediate.dense", "output.dense");

  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /**
   * A library and modules that its files hold; no modules: the encoder alone.
   *
   * @param labels none: the head gives a number
   * @param pairs the head compares two texts
   */
  private record Case(
      String library, String modules, PeftConfig config, List<String> labels, boolean pairs) {
    Case(String library, String modules, PeftConfig config) {
      this(library, modules, config, List.of("a", "b", "c"), false);
    }

    int outputs() {
      return Math.max(1, labels.size());
    }

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
        new Case("merged", "DoRA", PeftConfig.of(lora(true, true), null)),
        new Case("merged", "number", PeftConfig.of(lora(true, false), null), List.of(), false),
        new Case(
            "merged",
            "pairs by themselves",
            PeftConfig.of(lora(true, false), null),
            List.of("no", "yes"),
            true));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void librariesComputeWhatWeDo(Case one) throws IOException, InterruptedException {
    PythonLibraries.require(one.library.equals("merged") ? "transformers" : one.library);
    List<EncoderConfig> configurations = ArchitecturesTest.configurations().toList();
    List<Map<String, Object>> requests = new ArrayList<>();
    List<float[][]> expected = new ArrayList<>();
    for (EncoderConfig config : configurations) {
      Path place = Files.createDirectory(temporary.resolve("" + requests.size()));
      Map<String, Object> request = new HashMap<>();
      expected.add(prepare(one, config, place, request));
      requests.add(request);
    }
    JsonNode results = PythonLibraries.answer(temporary, requests);
    for (int i = 0; i < expected.size(); i++) {
      PythonLibraries.assertNear(expected.get(i), results.get(i), 2e-4, configurations.get(i));
    }
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
    List<EncoderInput> texts = new ArrayList<>();
    texts.add(PythonLibraries.input(config, LENGTHS, random, request));
    if (one.pairs) {
      texts.add(PythonLibraries.secondInput(config, LENGTHS, random, request));
    }
    request.put("library", one.library);
    request.put("model", model.toString());
    request.put("export", place.resolve("export").toString());
    request.put("labels", one.outputs());
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        Encoder encoder = Models.byName(model.toString()).loader().load().encoder()) {
      if (one.config == null) {
        return PythonLibraries.realTokens(
            Torch.toFloats(encoder.forward(texts.get(0), Insertions.NONE)), LENGTHS);
      }
      List<Candidate> kept =
          one.config.space(config).candidates().stream()
              .filter(module -> module.layer() != 0 || random.nextBoolean())
              .toList();
      try (PeftModules modules = new PeftModules(one.config, config, kept)) {
        Parts.fill(modules, random);
        TrainedAdapter adapter =
            new TrainedAdapter(
                model.toString(),
                config,
                Parts.of(one.config, modules, config, path -> tensors.get(path + ".weight")),
                one.labels,
                Parts.random(
                    one.outputs(),
                    one.pairs ? PairFeatures.width(config.hidden()) : config.hidden()),
                Parts.random(one.outputs()));
        export(one, adapter, tensors, place.resolve("export"));
        modules.begin(ForwardPass.evaluation(tape));
        float[][] logits = logits(adapter, encoder, texts, modules);
        float[][] frozen = logits(adapter, encoder, texts, Insertions.NONE);
        assertTrue(PeftFormatTest.distance(frozen[0], logits[0]) > 1e-3, "modules change nothing");
        return logits;
      }
    }
  }

  private static float[][] logits(
      TrainedAdapter adapter, Encoder encoder, List<EncoderInput> texts, Insertions insertions) {
    return PythonLibraries.logits(
        adapter,
        texts.stream()
            .map(
                input -> Torch.toFloats(Pooling.MEAN.of(encoder.forward(input, insertions), input)))
            .toList());
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
          MergedModel.write(adapter, base, 77, target);
        }
      }
    }
    target.complete();
  }
}
