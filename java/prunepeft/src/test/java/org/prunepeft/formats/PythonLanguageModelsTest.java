package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.LoraConfigBuilder;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.TokenLoss;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.PairFeatures;
import org.prunepeft.train.head.Pooling;

/**
 * Hugging Face's transformers and PEFT compute the logits that we do, from language models as they
 * are, from adapters and merged models that we wrote, and from adapters that PEFT saved and we
 * read. Skipped, with the reason, where python3 does not find them.
 */
class PythonLanguageModelsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final byte[] TOKENIZER = {'{', '}'};
  private static final int[] LENGTHS = {11, 6, 1};
  private static final double TOLERANCE = 1e-4;

  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** How a run's modules leave it. */
  private enum Form {
    PEFT,
    PORTABLE,
    MERGED;

    void write(TrainedAdapter adapter, Path model, Path export) throws IOException {
      RunDirectory target = RunDirectory.create(export);
      if (this == MERGED) {
        HuggingFaceDirectory base = new HuggingFaceDirectory(model);
        try (Checkpoint weights = base.weights()) {
          MergedDecoder.write(adapter, weights, base, target);
        }
      } else {
        new PeftFormat().write(this == PORTABLE ? PortableAdapter.of(adapter) : adapter, target);
      }
      target.complete();
    }
  }

  /**
   * Modules of a run.
   *
   * @param lora null: none
   * @param form null: none
   */
  private record Modules(String name, LoraConfig lora, Form form) {
    /** PEFT has no DoRA of parts of a linear. */
    boolean suit(EncoderConfig model) {
      return form != Form.PEFT || !lora.dora() || !model.architecture().equals(Architecture.PHI3);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  /** Several ranks and alphas, each projection a module of its own. */
  private static LoraConfigBuilder mixed() {
    return LoraConfig.of(5, 7, 0.1, List.of(LoraConfig.ALL))
        .with()
        .perProjection(true)
        .rankPattern(Map.of("1.mlp.down_proj", 2, "0.self_attn.q_proj", 3))
        .alphaPattern(Map.of("k_proj", 3.0, "up_proj", 9.0));
  }

  static Stream<Modules> modules() {
    LoraConfig adaLora =
        LoraConfig.of(4, 7, 0, List.of(LoraConfig.ALL))
            .withAdaLora(new AdaLoraConfig(4, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9));
    return Stream.of(
        new Modules("no modules", null, null),
        new Modules("LoRA", mixed().build(), Form.PEFT),
        new Modules(
            "LoRA of whole layers", LoraConfig.of(5, 7, 0, List.of(LoraConfig.ALL)), Form.PEFT),
        new Modules("rsLoRA", mixed().rsLora(true).build(), Form.PEFT),
        new Modules("DoRA", mixed().dora(true).build(), Form.PEFT),
        new Modules("AdaLoRA", adaLora, Form.PEFT),
        new Modules("portable rsLoRA", mixed().rsLora(true).build(), Form.PORTABLE),
        new Modules("merged rsLoRA", mixed().rsLora(true).build(), Form.MERGED),
        new Modules("merged DoRA", mixed().dora(true).build(), Form.MERGED));
  }

  @ParameterizedTest
  @MethodSource("modules")
  void whatIsWrittenComputesWhatWeDo(Modules modules) throws IOException, InterruptedException {
    boolean peft = modules.form == Form.PEFT || modules.form == Form.PORTABLE;
    PythonLibraries.require(peft ? "peft" : "transformers");
    List<Family> families =
        DecoderFamilies.all().filter(family -> modules.suit(family.config())).toList();
    List<Map<String, Object>> requests = new ArrayList<>();
    List<float[][]> expected = new ArrayList<>();
    for (Family family : families) {
      Map<String, Object> request = request(peft ? "language_adapter" : "language_model", family);
      requests.add(request);
      expected.add(logits(family, modules, request));
    }
    compare(modules.name, families, expected, PythonLibraries.answer(temporary, requests));
  }

  /** With a head for classes, of a text or of two that are encoded by themselves. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void mergedClassifiersComputeWhatWeDo(boolean pairs) throws IOException, InterruptedException {
    PythonLibraries.require("transformers");
    List<Family> families = DecoderFamilies.all().toList();
    List<Map<String, Object>> requests = new ArrayList<>();
    List<float[][]> expected = new ArrayList<>();
    for (Family family : families) {
      Map<String, Object> request = request("language_classifier", family);
      requests.add(request);
      expected.add(classes(family, pairs, request));
    }
    compare(
        pairs ? "classes of pairs" : "classes of texts",
        families,
        expected,
        PythonLibraries.answer(temporary, requests));
  }

  /** Writes model and export, and says what a head gives of each row. */
  private float[][] classes(Family family, boolean pairs, Map<String, Object> request)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = write(family, request);
    EncoderConfig config = family.config();
    PeftConfig peft = PeftConfig.of(mixed().build().on(config), null);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        CausalDecoder decoder = family.decoder(tensors);
        StoredWeights base = new StoredWeights((String) request.get("model"));
        PeftModules trained = new PeftModules(peft, config, peft.space(config).candidates())) {
      Parts.fill(trained, random);
      int width = pairs ? PairFeatures.width(config.hidden()) : config.hidden();
      TrainedAdapter adapter =
          new TrainedAdapter(
              (String) request.get("model"),
              config,
              Parts.of(peft, trained, config, base),
              List.of("a", "b", "c"),
              Parts.random(3, width),
              Parts.random(3));
      Form.MERGED.write(
          adapter, Path.of((String) request.get("model")), Path.of((String) request.get("export")));
      List<EncoderInput> texts = new ArrayList<>();
      texts.add(PythonLibraries.input(config, LENGTHS, random, request));
      if (pairs) {
        texts.add(PythonLibraries.secondInput(config, LENGTHS, random, request));
      }
      trained.begin(ForwardPass.evaluation(tape));
      return PythonLibraries.logits(
          adapter, texts.stream().map(input -> pooled(decoder, input, trained)).toList());
    }
  }

  private static float[] pooled(CausalDecoder decoder, EncoderInput input, Insertions modules) {
    Tensor hidden = decoder.forward(input, modules).reshape(-1, decoder.config().hidden());
    return Torch.toFloats(Pooling.LAST.of(hidden, input));
  }

  static Stream<Map<String, Object>> settings() {
    Map<String, Object> patterns =
        Map.of(
            "rank_pattern", Map.of("down_proj", 2, "^model\\.layers\\.1\\..*o_proj", 3),
            "alpha_pattern", Map.of("layers.0.self_attn.*", 5));
    return Stream.of(
        Map.of("target_modules", "all-linear", "r", 4, "lora_alpha", 6, "init_lora_weights", false),
        plus(patterns, Map.of("target_modules", "all-linear", "use_rslora", true)),
        Map.of("target_modules", List.of("o_proj", "down_proj"), "layers_to_transform", List.of(1)),
        Map.of("target_modules", ".*(o_proj|down_proj)", "use_dora", true, "r", 3),
        Map.of(
            "target_modules", List.of("o_proj", "down_proj"),
            "init_r", 4,
            "target_r", 2,
            "total_step", 9));
  }

  private static Map<String, Object> plus(Map<String, Object> one, Map<String, Object> other) {
    Map<String, Object> both = new HashMap<>(one);
    both.putAll(other);
    return both;
  }

  @ParameterizedTest
  @MethodSource("settings")
  void whatPeftSavedComputesTheSameHere(Map<String, Object> settings)
      throws IOException, InterruptedException {
    PythonLibraries.require("peft");
    List<Family> families = DecoderFamilies.all().toList();
    List<Map<String, Object>> requests = new ArrayList<>();
    List<EncoderInput> inputs = new ArrayList<>();
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      for (Family family : families) {
        Map<String, Object> request = request("saved_language_adapter", family);
        request.put("settings", settings);
        write(family, request);
        inputs.add(PythonLibraries.input(family.config(), LENGTHS, random, request));
        requests.add(request);
      }
      JsonNode results = PythonLibraries.answer(temporary, requests);
      List<float[][]> expected = new ArrayList<>();
      for (int i = 0; i < families.size(); i++) {
        expected.add(
            results.get(i).isTextual()
                ? null
                : merged(families.get(i).config(), requests.get(i), inputs.get(i)));
      }
      compare("saved with " + settings, families, expected, results);
    }
  }

  /** A directory of its own for model and export. */
  private Map<String, Object> request(String library, Family family) {
    Path place = temporary.resolve(family.name());
    Map<String, Object> request = new HashMap<>();
    request.put("library", library);
    request.put("model", place.resolve("model").toString());
    request.put("export", place.resolve("export").toString());
    return request;
  }

  private Map<String, SafeTensors.Tensor> write(Family family, Map<String, Object> request)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    Map<String, SafeTensors.Tensor> named = new TreeMap<>();
    tensors.forEach(
        (name, tensor) -> named.put(name.startsWith("lm_head") ? name : "model." + name, tensor));
    Map<String, Object> config = JSON.convertValue(family.json(), new TypeReference<>() {});
    // The library's default, 32000 in Phi-3, is beyond so small a vocabulary.
    config.putIfAbsent("pad_token_id", null);
    new HuggingFaceDirectory(Path.of((String) request.get("model")))
        .write(config, TOKENIZER, Map.of(), new MapCheckpoint("random", named));
    return tensors;
  }

  /** Writes model and export, and says what we compute. */
  private float[][] logits(Family family, Modules modules, Map<String, Object> request)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = write(family, request);
    Path model = Path.of((String) request.get("model"));
    EncoderConfig config = family.config();
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        CausalDecoder decoder = family.decoder(tensors);
        StoredWeights base = new StoredWeights(model.toString())) {
      EncoderInput input = PythonLibraries.input(config, LENGTHS, random, request);
      float[][] frozen = logits(decoder, input, Insertions.NONE);
      if (modules.lora == null) {
        request.put("export", model.toString());
        return frozen;
      }
      PeftConfig peft = PeftConfig.of(modules.lora.on(config), null);
      List<Candidate> kept =
          peft.space(config).candidates().stream()
              .filter(module -> module.layer() != 0 || random.nextBoolean())
              .toList();
      try (PeftModules trained = new PeftModules(peft, config, kept)) {
        Parts.fill(trained, random);
        TrainedAdapter adapter =
            new TrainedAdapter(
                model.toString(),
                config,
                Parts.of(peft, trained, config, base),
                List.of(),
                null,
                null);
        modules.form.write(adapter, model, Path.of((String) request.get("export")));
        trained.begin(ForwardPass.evaluation(tape));
        float[][] logits = logits(decoder, input, trained);
        assertTrue(PeftFormatTest.distance(frozen[0], logits[0]) > 1e-2, "modules change nothing");
        return logits;
      }
    }
  }

  private static float[][] logits(CausalDecoder decoder, EncoderInput input, Insertions modules) {
    Tensor hidden = decoder.forward(input, modules);
    TokenLoss output = new TokenLoss(decoder.outputWeight(), decoder.logitCap());
    Tensor rows = hidden.reshape(-1, decoder.config().hidden());
    return PythonLibraries.realTokens(Torch.toFloats(output.logits(rows)), LENGTHS);
  }

  /** Of the model with an adapter in its weights that was read. */
  private static float[][] merged(
      EncoderConfig config, Map<String, Object> request, EncoderInput input) throws IOException {
    Path export = Path.of((String) request.get("export"));
    Map<String, Object> saved =
        JSON.readValue(export.resolve(AdapterFormat.CONFIG).toFile(), new TypeReference<>() {});
    TrainedAdapter adapter = AdapterFormat.of(export, saved).read(export, saved, config, List.of());
    try (Checkpoint base =
            new HuggingFaceDirectory(Path.of((String) request.get("model"))).weights();
        CausalDecoder decoder =
            new CausalDecoder(
                config,
                MergedDecoder.merged(adapter, base),
                Precision.FLOAT32,
                ComputeDevice.CPU)) {
      return logits(decoder, input, Insertions.NONE);
    }
  }

  /** In place of a result there is the reason why a library's release is too old for a family. */
  private static void compare(
      String what, List<Family> families, List<float[][]> expected, JsonNode results) {
    double largest = 0;
    int compared = 0;
    for (int i = 0; i < families.size(); i++) {
      if (results.get(i).isTextual()) {
        System.out.printf("%s left out: %s%n", families.get(i), results.get(i).asText());
      } else {
        compared++;
        largest =
            Math.max(
                largest,
                PythonLibraries.assertNear(
                    expected.get(i), results.get(i), TOLERANCE, families.get(i)));
      }
    }
    assumeTrue(compared > 0, () -> "the library's release knows none of the models: " + what);
    System.out.printf("%s: %d models, largest difference %.1e%n", what, compared, largest);
  }
}
