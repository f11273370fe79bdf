package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.TokenizerJson;
import org.prunepeft.checkpoint.WordPieceVocabulary;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** Models in directories as Hugging Face's library saves them, in all forms that these take. */
class HuggingFaceDirectoryTest {
  private static final EncoderConfig BERT =
      ArchitecturesTest.config(Architecture.BERT, HiddenActivation.GELU, 2);
  private static final EncoderConfig DEBERTA =
      ArchitecturesTest.deberta(
          0, 24, false, new RelativeAttention(8, 34, true, true, true, true), null);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  private final Random random = TestSeed.random();
  private Map<String, Tensor> tensors;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @BeforeEach
  void draw() {
    tensors = RandomCheckpoint.tensors(BERT, random);
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void whatIsWrittenIsReadBack(EncoderConfig config) throws IOException {
    tensors = RandomCheckpoint.tensors(config, random);
    write(config);
    assertEquals(config, loaded());
    agrees(config, tensors);
  }

  @ParameterizedTest
  @CsvSource({"F32", "F16", "BF16", "F64"})
  void weightsOfEveryWidthAreRead(String dtype) throws IOException {
    write(BERT);
    Map<String, Tensor> rounded = new TreeMap<>();
    tensors.forEach((name, tensor) -> rounded.put(name, WeightFiles.rounded(tensor, dtype)));
    WeightFiles.write(weights(), rounded, dtype);
    agrees(BERT, rounded);
  }

  /** What Hugging Face's models for sequence classification have beside the encoder. */
  private static final Map<Architecture, List<String>> HEADS =
      Map.of(
          Architecture.BERT, List.of("bert.pooler.dense", "classifier"),
          Architecture.ROBERTA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.XLM_ROBERTA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.DISTILBERT, List.of("pre_classifier", "classifier"),
          Architecture.ELECTRA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.DEBERTA_V2, List.of("pooler.dense", "classifier"));

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void modelsWithAHeadAreReadWithoutIt(EncoderConfig config) throws IOException {
    tensors = RandomCheckpoint.tensors(config, random);
    write(config);
    String prefix = config.architecture().modelType().replaceAll("^xlm-|-v2$", "") + ".";
    Map<String, Tensor> model = new TreeMap<>();
    tensors.forEach((name, tensor) -> model.put(prefix + name, tensor));
    for (String linear : HEADS.get(config.architecture())) {
      model.put(linear + ".weight", new Tensor(new long[] {2, 21}, new float[42]));
      model.put(linear + ".bias", new Tensor(new long[] {2}, new float[2]));
    }
    model.put(prefix + "embeddings.position_ids", new Tensor(new long[] {1, 3}, new float[3]));
    WeightFiles.write(weights(), model, "F32");
    agrees(config, tensors);
  }

  @Test
  void namesThatComeFromTensorFlowAreRead() throws IOException {
    write(BERT);
    Map<String, Tensor> model = new TreeMap<>();
    tensors.forEach(
        (name, tensor) ->
            model.put(
                "bert."
                    + name.replace("LayerNorm.weight", "LayerNorm.gamma")
                        .replace("LayerNorm.bias", "LayerNorm.beta"),
                tensor));
    WeightFiles.write(weights(), model, "F32");
    agrees(BERT, tensors);
    model.put("bert.embeddings.LayerNorm.weight", tensors.get("embeddings.LayerNorm.weight"));
    WeightFiles.write(weights(), model, "F32");
    failsWith("both spellings of embeddings.LayerNorm.weight");
  }

  @ParameterizedTest
  @CsvSource({"F32", "F16", "BF16"})
  void shardsAreReadByTheirIndex(String dtype) throws IOException {
    write(BERT);
    Files.delete(weights());
    tensors.replaceAll((name, tensor) -> WeightFiles.rounded(tensor, dtype));
    WeightFiles.shards(directory, tensors, dtype);
    agrees(BERT, tensors);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ../model-1.safetensors   | lies beside its index
          /etc/passwd              | lies beside its index
          absent.safetensors       | is missing
          model-2.safetensors      | which
          model-1.safetensors      |
          """)
  void anIndexThatDisagreesWithItsShardsIsRefused(String shard, String message) throws IOException {
    write(BERT);
    Files.delete(weights());
    Map<String, String> places = WeightFiles.shards(directory, tensors, "F32");
    String first =
        places.keySet().stream()
            .filter(name -> places.get(name).equals("model-1.safetensors"))
            .findFirst()
            .orElseThrow();
    if (message == null) {
      places.remove(first);
      message = "says nothing";
    } else {
      places.put(first, shard);
    }
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        JSON.writeValueAsString(Map.of("weight_map", places)));
    failsWith(message);
  }

  @Test
  void anIndexThatIsNoneIsRefused() throws IOException {
    write(BERT);
    Files.delete(weights());
    for (String index :
        new String[] {
          "",
          "[]",
          "{}",
          "{\"weight_map\": 1}",
          "{\"weight_map\": {\"a\": 1}}",
          "{\"weight_map\": {\"a\": \"b\", \"a\": \"c\"}}",
          "{\"weight_map\": {}} {}",
          "{\"x\": " + "[".repeat(100_000)
        }) {
      Files.writeString(directory.resolve("model.safetensors.index.json"), index);
      failsWith("is no index");
    }
  }

  @Test
  void aTensorThatIsMissingIsNamedWithItsShape() throws IOException {
    tensors.remove("encoder.layer.1.intermediate.dense.weight");
    write(BERT);
    failsWith("no tensor encoder.layer.1.intermediate.dense.weight", "[35, 21]");
  }

  @Test
  void aTensorOfAnotherShapeIsNamedWithBoth() throws IOException {
    tensors.put(
        "encoder.layer.1.attention.self.key.weight",
        new Tensor(new long[] {21, 20}, new float[420]));
    write(BERT);
    failsWith("encoder.layer.1.attention.self.key.weight", "[21, 21]", "[21, 20]");
  }

  /** Before as much memory is asked for as the configuration claims: no machine has it. */
  @ParameterizedTest
  @CsvSource({
    "vocab_size, embeddings.word_embeddings.weight",
    "max_position_embeddings, embeddings.position_embeddings.weight",
    "intermediate_size, encoder.layer.0.intermediate.dense.weight",
  })
  void sizesThatTheWeightsDoNotHaveAreRefused(String size, String tensor) throws IOException {
    write(BERT);
    configure(size, "" + Integer.MAX_VALUE);
    failsWith("tensor " + tensor, "must have shape [2147483647, 21]");
  }

  @Test
  void tensorsThatTheConfigurationHasNoPlaceForAreNamed() throws IOException {
    tensors.put("encoder.layer.2.output.dense.bias", new Tensor(new long[] {21}, new float[21]));
    write(BERT);
    failsWith("1 tensors", "(bert, 2 layers)", "encoder.layer.2.output.dense.bias");
  }

  @Test
  void integersAreNoWeights() throws IOException {
    write(BERT);
    WeightFiles.write(weights(), tensors, "I32");
    failsWith("has type I32");
  }

  @Test
  void anotherArchitecturesWeightsAreRefused() throws IOException {
    tensors.remove("embeddings.word_embeddings.weight");
    write(BERT);
    failsWith("bert.embeddings.word_embeddings.weight", "no bert model");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          model_type              | "gpt2"      | model_type 'gpt2' is not supported; there are bert, roberta
          model_type              | "deberta"   | deberta-v2
          model_type              | null        | model_type is missing
          hidden_size             | null        | hidden_size is missing
          hidden_size             | "21"        | hidden_size must be an integer
          hidden_size             | 21.5        | hidden_size must be an integer
          hidden_size             | 99999999999 | hidden_size must be an integer
          hidden_size             | 20          | not a multiple of num_attention_heads, 3
          num_hidden_layers       | 0           | num_hidden_layers must be at least 1, got 0
          layer_norm_eps          | 0           | layer_norm_eps must be above 0
          layer_norm_eps          | "x"         | layer_norm_eps must be a number
          hidden_act              | "mish"      | activation 'mish' is not supported; there are gelu
          position_embedding_type | "relative_key" | only absolute is
          is_decoder              | true        | only false is
          quantization_config     | {}          | quantised
          quantization_config     | {"quant_method": "gptq"} | quantised
          """)
  void aConfigurationThatIsNotSupportedIsRefusedWithTheReason(
      String name, String value, String message) throws IOException {
    write(BERT);
    configure(name, value);
    failsWith(directory.resolve("config.json").toString(), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          pos_att_type           | ["x2p"]   | pos_att_type 'x2p' is not supported
          relative_attention     | false     | without relative_attention
          relative_attention     | 1         | relative_attention must be true or false
          attention_head_size    | 7         | attention_head_size must be
          conv_kernel_size       | 4         | conv_kernel_size must be odd
          max_relative_positions | 3         | position_buckets must be 0 or at least 4
          """)
  void aDebertaThatIsNotSupportedIsRefusedWithTheReason(String name, String value, String message)
      throws IOException {
    tensors = RandomCheckpoint.tensors(DEBERTA, random);
    write(DEBERTA);
    configure(name, value);
    failsWith(message);
  }

  @Test
  void debertasTypesOfAttentionMayBeOneString() throws IOException {
    ObjectNode config = JSON.valueToTree(HuggingFaceConfig.write(DEBERTA));
    config.put("pos_att_type", "p2c|c2p").put("max_relative_positions", -1);
    assertEquals(DEBERTA, HuggingFaceConfig.read(config, "a test"));
  }

  @Test
  void aConfigurationThatIsDamagedIsRefused() throws IOException {
    write(BERT);
    for (String text :
        new String[] {"", "[]", "{", "{\"a\": 1, \"a\": 2}", "[".repeat(100_000), "{}"}) {
      Files.writeString(directory.resolve("config.json"), text);
      failsWith(directory.resolve("config.json").toString());
    }
    Files.delete(directory.resolve("config.json"));
    failsWith("no config.json");
  }

  @Test
  void absentFilesAreNamedWithTheRemedy() throws IOException {
    write(BERT);
    Files.delete(weights());
    failsWith("neither model.safetensors nor");
    Files.writeString(directory.resolve("pytorch_model.bin"), "");
    failsWith(
        "convert its pytorch_model.bin",
        "AutoModel.from_pretrained(DIR).save_pretrained(NEW)",
        "AutoModelForCausalLM");
    Files.delete(directory.resolve("tokenizer.json"));
    failsWith("no tokenizer.json and no vocab.txt", "save_pretrained");
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Models.byName(directory.resolve("absent").toString()));
    assertTrue(e.getMessage().contains("minilm"), e.getMessage());
    assertTrue(e.getMessage().contains("a directory with config.json"), e.getMessage());
  }

  @Test
  void vocabTxtStandsInForATokenizer() throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\nparis\n");
    assertArrayEquals(new int[] {2, 6, 3}, encoded("Paris"));
    Files.writeString(
        directory.resolve("tokenizer_config.json"), "{\"do_lower_case\": false, \"x\": 1}");
    Files.writeString(
        directory.resolve("special_tokens_map.json"), "{\"additional_special_tokens\": [\"[E]\"]}");
    Files.writeString(directory.resolve("added_tokens.json"), "{\"[MASK]\": 4}");
    assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
    // A copy has the same settings, word for word.
    Path copy = directory.resolve("copy");
    try (var model = Models.byName(directory.toString()).loader().open()) {
      model.write(copy);
    }
    assertEquals(
        "{\"do_lower_case\": false, \"x\": 1}",
        Files.readString(copy.resolve("tokenizer_config.json")));
    assertEquals(
        "{\"additional_special_tokens\": [\"[E]\"]}",
        Files.readString(copy.resolve("special_tokens_map.json")));
    assertEquals("{\"[MASK]\": 4}", Files.readString(copy.resolve("added_tokens.json")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          tokenizer_config.json | {"tokenizer_class": "BertJapaneseTokenizer"} | for a BertJapaneseTokenizer, which is not read
          added_tokens.json     | {"[MASK]": 4, "[E]": 5} | the added token '[E]', which is not read
          tokenizer_config.json | {"added_tokens_decoder": {"0": {"content": "[PAD]"}, "5": {"content": "<s>"}}} | the added token '<s>'
          """)
  void aVocabTxtThatIsNotAllOfATokenizerIsRefused(String file, String content, String message)
      throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n");
    Files.writeString(directory.resolve(file), content);
    failsWith("no tokenizer.json", message, "AutoTokenizer.from_pretrained(DIR)");
  }

  @Test
  void theClassOfATokenizerMayBeInTheConfiguration() throws IOException {
    write(BERT);
    Files.delete(directory.resolve("tokenizer.json"));
    Files.writeString(
        directory.resolve("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nparis\n");
    configure("tokenizer_class", "\"CamembertTokenizer\"");
    failsWith("for a CamembertTokenizer, which is not read");
    for (String kind : List.of("BertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer")) {
      Files.writeString(
          directory.resolve("tokenizer_config.json"), "{\"tokenizer_class\": \"" + kind + "\"}");
      assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
    }
  }

  @Test
  void anEmptyNameIsNoModelsAndNotTheWorkingDirectorys() {
    var e = assertThrows(IllegalArgumentException.class, () -> Models.byName(""));
    assertTrue(e.getMessage().contains("the model's name is empty"), e.getMessage());
    assertTrue(Models.directory("").isEmpty());
  }

  /** Linux lists the files that a process has open. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void weightsAreClosedWhereAFileBesideThemCannotBeRead() throws IOException {
    write(BERT);
    Models.Loader loader = Models.byName(directory.toString()).loader();
    loader.open().close();
    Files.delete(directory.resolve("config.json"));
    assertThrows(NoSuchFileException.class, loader::open);
    Path file = weights().toRealPath();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      assertFalse(descriptors.anyMatch(descriptor -> opens(descriptor, file)));
    }
  }

  private static boolean opens(Path descriptor, Path file) {
    try {
      return Files.readSymbolicLink(descriptor).equals(file);
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }

  @Test
  void aTokenizerWithoutSettingsIsWrittenWithWhatItDoes() throws IOException {
    byte[] vocabulary =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n".getBytes(StandardCharsets.UTF_8);
    for (boolean lower : new boolean[] {false, true}) {
      byte[] tokenizer = new WordPieceVocabulary(vocabulary).tokenizerJson(lower, null, false);
      JsonNode config = tokenizerConfig(BERT, tokenizer);
      assertEquals(lower, config.get("do_lower_case").booleanValue());
      assertTrue(config.get("strip_accents").isNull());
      assertFalse(config.get("tokenize_chinese_chars").booleanValue());
      assertEquals("BertTokenizer", config.get("tokenizer_class").asText());
      assertEquals(BERT.maxTokens(), config.get("model_max_length").intValue());
    }
    // A BERT with another kind of tokenizer is not said to have BERT's.
    JsonNode other =
        tokenizerConfig(
            BERT,
            """
            {"model": {"type": "BPE"}, "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true}}"""
                .getBytes(StandardCharsets.UTF_8));
    assertEquals("PreTrainedTokenizerFast", other.get("tokenizer_class").asText());
    assertFalse(other.has("do_lower_case"));
    assertTrue(other.get("add_prefix_space").booleanValue());
  }

  private JsonNode tokenizerConfig(EncoderConfig config, byte[] tokenizer) throws IOException {
    var model = new Pretrained(config, tokenizer, new MapCheckpoint("memory", tensors));
    return tokenizerConfig(model, OptionalInt.empty());
  }

  private static JsonNode tokenizerConfig(Pretrained model, OptionalInt maxLength)
      throws IOException {
    return JSON.readTree(model.tokenizerFilesToWrite(maxLength).get("tokenizer_config.json"));
  }

  private static byte[] cased() throws IOException {
    return new WordPieceVocabulary(
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\n".getBytes(StandardCharsets.UTF_8))
        .tokenizerJson(false, null, true);
  }

  /** Where no config.json lies beside it, Python needs the class, and cuts by the run's length. */
  @Test
  void aTokenizersSettingsAreCompletedForAnotherDirectory() throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Path settings = directory.resolve("tokenizer_config.json");
    Files.writeString(settings, "{\"model_max_length\": Infinity}");
    assertEquals(24, exported(OptionalInt.of(24)).get("model_max_length").intValue());
    Files.writeString(settings, "{\"model_max_length\": 512, \"x\": [1]}");
    assertEquals(
        JSON.readTree(
            """
            {"model_max_length": 24, "x": [1], "tokenizer_class": "BertTokenizer",
             "do_lower_case": false}"""),
        exported(OptionalInt.of(24)));
    assertEquals(512, exported(OptionalInt.empty()).get("model_max_length").intValue());
    configure("tokenizer_class", "\"ElectraTokenizer\"");
    assertEquals("ElectraTokenizer", exported(OptionalInt.empty()).get("tokenizer_class").asText());
    String whole = "{\"tokenizer_class\": \"DistilBertTokenizer\", \"do_lower_case\": false}";
    Files.writeString(settings, whole);
    assertEquals(JSON.readTree(whole), exported(OptionalInt.empty()));
    // One that knows no special tokens of its own.
    configure("tokenizer_class", "null");
    Files.writeString(settings, "{}");
    ObjectNode other = (ObjectNode) JSON.readTree(cased());
    ((ObjectNode) other.get("model")).put("type", "BPE");
    JSON.writeValue(directory.resolve("tokenizer.json").toFile(), other);
    JsonNode completed = exported(OptionalInt.of(7));
    assertEquals("PreTrainedTokenizerFast", completed.get("tokenizer_class").asText());
    assertEquals("[PAD]", completed.get("pad_token").asText());
  }

  /** Runs cut the ends of texts, whatever Python's tokenizer of the model does. */
  @Test
  void anExportCutsTextsWhereTheRunDid() throws IOException {
    write(BERT);
    ObjectNode tokenizer = (ObjectNode) JSON.readTree(cased());
    tokenizer.putObject("truncation").put("direction", "Left");
    Path file = directory.resolve("tokenizer.json");
    Path settings = directory.resolve("tokenizer_config.json");
    for (String said : List.of("", ", \"truncation_side\": \"left\"")) {
      Files.write(file, said.isEmpty() ? JSON.writeValueAsBytes(tokenizer) : cased());
      Files.writeString(settings, "{\"do_lower_case\": false" + said + "}");
      assertEquals("right", exported(OptionalInt.of(24)).get("truncation_side").asText(), said);
      assertTrue(
          TokenizerJson.cutsBeginnings(JSON.readTree(settings.toFile()), Files.readAllBytes(file)));
    }
    Files.write(file, JSON.writeValueAsBytes(tokenizer));
    Files.writeString(settings, "{\"do_lower_case\": false, \"truncation_side\": \"right\"}");
    assertFalse(
        TokenizerJson.cutsBeginnings(JSON.readTree(settings.toFile()), Files.readAllBytes(file)));
    assertEquals("right", exported(OptionalInt.of(24)).get("truncation_side").asText());
    Files.write(file, cased());
    Files.writeString(settings, "{\"do_lower_case\": false}");
    assertFalse(exported(OptionalInt.of(24)).has("truncation_side"));
  }

  /** Python's class of RoBERTa's tokenizer never asks tokenizer.json. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          roberta | RobertaTokenizer     | true  | -     | has no add_prefix_space, which means false | has true
          roberta | RobertaTokenizerFast | true  | false | has add_prefix_space false                 | has true
          roberta | -                    | false | true  | has add_prefix_space true                  | has false
          roberta | -                    | true  | -     | has no add_prefix_space, which means false | has true
          roberta | RobertaTokenizer     | true  | true  | - | -
          roberta | RobertaTokenizer     | false | -     | - | -
          roberta | PreTrainedTokenizerFast | true | -   | - | -
          bert    | -                    | true  | -     | - | -
          bert    | RobertaTokenizer     | true  | -     | has no add_prefix_space | has true
          """)
  void aSpaceBeforeTextsIsThatOfRobertasSettings(
      String model, String kind, boolean own, Boolean named, String inPython, String here)
      throws IOException {
    Files.writeString(
        directory.resolve("config.json"), "{\"model_type\": \"%s\"}".formatted(model));
    Files.writeString(
        directory.resolve("tokenizer.json"),
        "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": %s}}".formatted(own));
    ObjectNode settings = JSON.createObjectNode();
    if (kind != null) {
      settings.put("tokenizer_class", kind);
    }
    if (named != null) {
      settings.put("add_prefix_space", named);
    }
    if (!settings.isEmpty()) {
      JSON.writeValue(directory.resolve("tokenizer_config.json").toFile(), settings);
    }
    HuggingFaceDirectory inDirectory = new HuggingFaceDirectory(directory);
    if (inPython == null) {
      assertEquals(
          own,
          JSON.readTree(inDirectory.tokenizer(false))
              .at("/pre_tokenizer/add_prefix_space")
              .booleanValue());
      return;
    }
    String message =
        assertThrows(FormatException.class, () -> inDirectory.tokenizer(false)).getMessage();
    assertTrue(message.contains(inPython), message);
    assertTrue(message.contains("tokenizer.json " + here), message);
  }

  private JsonNode exported(OptionalInt maxLength) throws IOException {
    try (Pretrained model = Models.byName(directory.toString()).loader().open()) {
      return tokenizerConfig(model, maxLength);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"do_lower_case": true}           | do_lower_case true, by which Python goes | lowercase false
          {"strip_accents": true}           | strip_accents true                       | strip_accents null
          {"tokenize_chinese_chars": false} | tokenize_chinese_chars false             | handle_chinese_chars true
          {"do_lower_case": true, "tokenizer_class": "ElectraTokenizerFast"} | do_lower_case true | lowercase false
          """)
  void settingsThatPythonWouldGoByInPlaceOfTheTokenizerAreRefused(
      String settings, String inPython, String own) throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Files.writeString(directory.resolve("tokenizer_config.json"), settings);
    failsWith(
        directory.resolve("tokenizer_config.json") + " has " + inPython,
        "the normalizer of %s has %s".formatted(directory.resolve("tokenizer.json"), own),
        "save_pretrained(NEW) writes both, into another directory, as Python has them");
  }

  /** Many cased models say nothing of capitals. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"do_lower_case\": false, \"strip_accents\": null, \"tokenize_chinese_chars\": true}",
        "{\"strip_accents\": null}",
        "{\"strip_accents\": false}",
        "{\"do_lower_case\": true, \"tokenizer_class\": \"PreTrainedTokenizerFast\"}"
      })
  void settingsThatSayTheSameOrNothingAreTaken(String settings) throws IOException {
    write(BERT);
    Files.write(directory.resolve("tokenizer.json"), cased());
    Files.writeString(directory.resolve("tokenizer_config.json"), settings);
    assertArrayEquals(new int[] {2, 5, 3}, encoded("Paris"));
  }

  @Test
  void theConfigurationKeepsWhatIsNotOfHeadAndWeights() throws IOException {
    write(BERT);
    configure("tokenizer_class", "\"ElectraTokenizer\"");
    configure("classifier_dropout", "0.25");
    for (String name : List.of("_name_or_path", "torch_dtype", "auto_map", "id2label")) {
      configure(name, "{\"0\": \"/home/me\"}");
    }
    try (Pretrained model = Models.byName(directory.toString()).loader().open()) {
      Map<String, Object> expected = new TreeMap<>(HuggingFaceConfig.write(BERT));
      expected.put("tokenizer_class", "ElectraTokenizer");
      expected.put("classifier_dropout", 0.25);
      assertEquals(
          JSON.<JsonNode>valueToTree(expected),
          JSON.<JsonNode>valueToTree(new TreeMap<>(model.configToWrite())));
    }
  }

  /** As that of an export of adapters, into which no Python files are copied. */
  @Test
  void aTokenizerIsWrittenWithoutTheNamesOfLocalCode() throws IOException {
    Path target = Files.createDirectory(directory.resolve("tokenizer"));
    String other = "{\"auto_map\" :{\"AutoTokenizer\":[\"some/model--slow.Slow\",null]}}";
    for (String code : List.of("[\"slow.Slow\", null]", "\"slow.Slow\"", other)) {
      String settings =
          code.equals(other)
              ? other
              : "{\"a\": 1, \"auto_map\": {\"AutoTokenizer\": " + code + "}}";
      new HuggingFaceDirectory(target)
          .writeTokenizer(
              new byte[] {'{', '}'},
              Map.of("tokenizer_config.json", settings.getBytes(StandardCharsets.UTF_8)));
      String written = Files.readString(target.resolve("tokenizer_config.json"));
      if (code.equals(other)) {
        assertEquals(other, written);
      } else {
        assertEquals(JSON.readTree("{\"a\": 1}"), JSON.readTree(written));
      }
      Files.delete(target.resolve("tokenizer_config.json"));
      Files.delete(target.resolve("tokenizer.json"));
    }
  }

  @Test
  void aTokenizerOfAbsurdSizeIsNotRead() throws IOException {
    write(BERT);
    for (String name : new String[] {"tokenizer.json", "vocab.txt"}) {
      // Without content: a hole as large.
      try (var file = new RandomAccessFile(directory.resolve(name).toFile(), "rw")) {
        file.setLength(200_000_001L);
      }
      failsWith(directory.resolve(name) + " has 200000001 bytes; such a file has at most");
      Files.delete(directory.resolve(name));
    }
  }

  private int[] encoded(String text) {
    Models.LoadedModel loaded = Models.byName(directory.toString()).loader().load();
    try (Encoder encoder = loaded.encoder();
        Tokenizer tokenizer = Tokenizer.of(loaded.tokenizer(), 8)) {
      return tokenizer.encode(text, null).ids();
    }
  }

  @Test
  void aDirectoryThatHoldsAModelIsNotOverwritten() throws IOException {
    write(BERT);
    byte[] before = Files.readAllBytes(weights());
    draw();
    var e = assertThrows(IOException.class, () -> write(BERT));
    assertTrue(e.getMessage().contains("there already"), e.getMessage());
    assertArrayEquals(before, Files.readAllBytes(weights()));
  }

  private void write(EncoderConfig config) throws IOException {
    new HuggingFaceDirectory(directory)
        .write(
            HuggingFaceConfig.write(config),
            "{}".getBytes(StandardCharsets.UTF_8),
            Map.of(),
            new MapCheckpoint("memory", tensors));
  }

  private Path weights() {
    return directory.resolve("model.safetensors");
  }

  /** Sets a field of the written configuration to a value in JSON. */
  private void configure(String name, String value) throws IOException {
    File file = directory.resolve("config.json").toFile();
    ObjectNode config = (ObjectNode) JSON.readTree(file);
    config.set(name, JSON.readTree(value));
    JSON.writeValue(file, config);
  }

  private EncoderConfig loaded() {
    try (Encoder encoder = Models.byName(directory.toString()).loader().load().encoder()) {
      return encoder.config();
    }
  }

  /** The directory's model computes what one of these tensors does, to the last bit. */
  private void agrees(EncoderConfig config, Map<String, Tensor> expected) throws IOException {
    int length = 7;
    long[] ids = random.longs(2 * length, 2, config.vocabulary()).toArray();
    byte[] mask = new byte[2 * length];
    Arrays.fill(mask, 0, 2 * length - 3, (byte) 1);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder read = Models.byName(directory.toString()).loader().load().encoder();
        Encoder direct = new PostNormEncoder(config, new MapCheckpoint("memory", expected))) {
      EncoderInput input = EncoderInput.of(ids, new long[2 * length], mask, 2, length);
      assertArrayEquals(
          Torch.toFloats(direct.forward(input, Insertions.NONE)),
          Torch.toFloats(read.forward(input, Insertions.NONE)));
    }
  }

  private void failsWith(String... messages) {
    Exception e =
        assertThrows(
            UncheckedIOException.class,
            () -> Models.byName(directory.toString()).loader().load().encoder().close());
    for (String message : messages) {
      assertTrue(e.getMessage().contains(message), e.getMessage());
    }
  }
}
