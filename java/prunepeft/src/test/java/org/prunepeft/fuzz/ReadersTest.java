package org.prunepeft.fuzz;

import static org.prunepeft.testing.ReaderFiles.DIRECTORY;
import static org.prunepeft.testing.ReaderFiles.put;
import static org.prunepeft.testing.ReaderFiles.putOnce;

import com.code_intelligence.jazzer.junit.FuzzTest;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterAll;
import org.prunepeft.RunContents;
import org.prunepeft.RunWeights;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.OnnxWeights;
import org.prunepeft.checkpoint.TensorFlowBert;
import org.prunepeft.checkpoint.TensorFlowIndex;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.TokenizerProcess;
import org.prunepeft.data.chat.Chat;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.data.chat.ConversationFile;
import org.prunepeft.data.table.ChoiceFile;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.table.MissingColumnException;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.DatasetDirectory;
import org.prunepeft.data.task.JarData;
import org.prunepeft.data.task.Tasks;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.RunMark;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.formats.ImportedModules;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.Gguf;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.io.Yaml;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.Convolution;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.HiddenActivation;
import org.prunepeft.model.HuggingFaceConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.RelativeAttention;
import org.prunepeft.model.VocabularyCheck;
import org.prunepeft.report.LearningCurve;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.run.CheckpointReading;
import org.prunepeft.run.ConfigReading;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.OutcomeFile;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.Standing;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.StrategyFile;
import org.prunepeft.testing.ReaderFiles;
import org.prunepeft.testing.Reading;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;

/**
 * Every reader of files that come from elsewhere, with valid files, with those that it failed at,
 * and by {@code java/fuzz} with what Jazzer makes of them. {@link Reading} says what must hold.
 */
class ReadersTest {
  /** Of java/fuzz, whichever comes first. */
  private static final String TIME = "10m";

  private static final long RUNS = 1_000_000;

  /** Of three, each of which may take 50 million steps: of an empty loop 32 bytes each. */
  private static final long RENDERINGS = 6_000_000_000L;

  private static final EncoderConfig ENCODER = EncoderConfig.bert(1, 4, 2, 8, 10, 16);

  private static final String DECODER =
      """
      {"model_type": "%s", "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
        "vocab_size": 10, "max_position_embeddings": 16, "tie_word_embeddings": true, "eos_token_id": 2}""";

  private static final String PEFT_WEIGHTS = "adapter_model.safetensors";

  private static final String LORA =
      """
      {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "r": 2, "lora_alpha": 4, "use_dora": false}""";

  private static final String ADALORA =
      """
      {"peft_type": "ADALORA", "task_type": "FEATURE_EXTRACTION", "init_r": 2, "target_r": 1, "tinit": 1, "tfinal": 1,
        "total_step": 9, "rank_pattern": null}""";

  private static final String BOTTLENECKS =
      """
      {"config": {"architecture": "union", "configs": [
          {"architecture": "lora", "r": 2, "alpha": 2, "attn_matrices": ["q"], "intermediate_lora": true},
          {"mh_adapter": true, "output_adapter": true, "non_linearity": "relu"}]},
        "hidden_size": 4, "model_type": "bert", "name": "a", "version": "adapters.1.2.0"}""";

  private static final EncoderConfig DEBERTA =
      ENCODER
          .with()
          .architecture(Architecture.DEBERTA_V2)
          .types(0)
          .absolutePositions(false)
          .relative(new RelativeAttention(4, 8, true, true, false, true))
          .convolution(new Convolution(3, 1, HiddenActivation.GELU))
          .build();

  private static final TokenizerProcess TOKENIZERS = new TokenizerProcess();

  /** Made once: it takes longer than to read a file. */
  private static RunWeights trained;

  static final Reading READING =
      new Reading(
          JsonProcessingException.class,
          Set.of(
              DataException.class,
              FormatException.class,
              RunDirectoryException.class,
              UnresumableRunException.class,
              DamagedRunException.class,
              MissingColumnException.class,
              IllegalArgumentException.class));

  /** What a measured search's config.json has besides. */
  private static final String MEASURED =
      """
      "search": {"measured": {"searchShare": 0.65, "supernetExamples": null, "supernetEpochs": null,
        "measuredExamples": null, "subsets": null, "warmStart": true, "retrainingEpochs": null,
        "moduleSlices": null, "objectives": ["parameters"], "tolerance": null}}""";

  @AfterAll
  static void clean() throws IOException {
    TOKENIZERS.close();
    ReaderFiles.clean();
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerCheck(byte[] file) {
    READING.check(file.length, () -> TokenizerProcess.check(file));
  }

  /** The library itself; what the check refuses does not come so far. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizer(byte[] file) {
    tokenizer(file, false);
  }

  /** The same where it also reads tokens as texts. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerDecoding(byte[] file) {
    tokenizer(file, true);
  }

  private static void tokenizer(byte[] file, boolean decoding) {
    try {
      TokenizerProcess.check(file, decoding);
    } catch (IOException | IllegalArgumentException e) {
      Reading.ended(e);
      return;
    }
    TokenizerProcess.Answer answer = TOKENIZERS.read(file, decoding);
    if (Reading.excess(file.length, answer.nanoseconds(), answer.bytes()) != null) {
      // Other work, or the JVM's own.
      answer = TOKENIZERS.read(file, decoding);
      String excess = Reading.excess(file.length, answer.nanoseconds(), answer.bytes());
      if (excess != null) {
        throw new AssertionError(excess);
      }
    }
    Reading.elsewhere(answer.nanoseconds(), answer.inAll());
    Reading.ended(answer.refusal().isEmpty() ? null : new DataException(answer.refusal()));
  }

  /** What is looked at before that check, in the directory of a Llama and in that of a BERT. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerOfDirectory(byte[] file) throws IOException {
    putOnce(
        "placing/tokenizer_config.json",
        "{\"tokenizer_class\": \"LlamaTokenizer\", \"add_bos_token\": true, \"bos_token\": \"<s>\"}");
    putOnce(
        "lowering/tokenizer_config.json",
        "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": true, \"strip_accents\": null, \"add_eos_token\": true}");
    for (String directory : List.of("placing", "lowering")) {
      put(directory + "/tokenizer.json", file);
      tokenizerOf(directory, file.length);
    }
    READING.check(file.length, () -> VocabularyCheck.fits(file, ENCODER));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void vocabulary(byte[] file) throws IOException {
    putOnce("vocabulary/config.json", "{}");
    put("vocabulary/vocab.txt", file);
    tokenizerOf("vocabulary", file.length);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerConfig(byte[] file) throws IOException {
    putOnce("tokenizer/config.json", "{}");
    putOnce("tokenizer/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na");
    put("tokenizer/tokenizer_config.json", file);
    tokenizerOf("tokenizer", file.length);
  }

  static void tokenizerOf(String directory, int length) {
    var model = new HuggingFaceDirectory(DIRECTORY.resolve(directory));
    READING.check(length, () -> TokenizerProcess.check(model.tokenizer(true)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void modelConfig(byte[] file) throws IOException {
    put("model/config.json", file);
    var model = new HuggingFaceDirectory(DIRECTORY.resolve("model"));
    READING.check(
        file.length,
        () -> HuggingFaceConfig.write(HuggingFaceConfig.read(model.config(), "config.json")));
  }

  /** What ends a language model's texts, beside what its config.json says. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void generationConfig(byte[] file) throws IOException {
    putOnce(
        "generating/config.json",
        """
        {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
          "vocab_size": 16, "max_position_embeddings": 16, "eos_token_id": 2}""");
    put("generating/generation_config.json", file);
    String model = DIRECTORY.resolve("generating").toString();
    READING.check(file.length, () -> Models.isDecoder(model));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void safetensors(byte[] file) throws IOException {
    Path path = put("x.safetensors", file);
    READING.check(
        file.length,
        () -> {
          try (SafeTensors tensors = SafeTensors.open(path)) {
            for (String name : tensors.names()) {
              tensors.bytes(name);
            }
          }
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void gguf(byte[] file) throws IOException {
    Path path = put("x.gguf", file);
    READING.check(
        file.length,
        () -> {
          try (Gguf tensors = Gguf.open(path)) {
            for (String name : tensors.names()) {
              tensors.floats(name);
            }
          }
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void safetensorsIndex(byte[] file) throws IOException {
    put("sharded/model.safetensors.index.json", file);
    shard("sharded/a.safetensors", "a");
    shard("sharded/b.safetensors", "b");
    var model = new HuggingFaceDirectory(DIRECTORY.resolve("sharded"));
    READING.check(file.length, () -> model.weights().close());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void quantState(byte[] file) throws IOException {
    Map<String, SafeTensors.Source> tensors =
        Map.of(
            "w", bytes(new byte[18]),
            "w.absmax", bytes(new byte[5]),
            "w.quant_map", floats(16),
            "w.nested_quant_map", floats(256),
            "w.nested_absmax", floats(2),
            "w.quant_state.bitsandbytes__nf4", bytes(file));
    Path directory = DIRECTORY.resolve("quantised");
    Files.createDirectories(directory);
    SafeTensors.write(directory.resolve("model.safetensors"), tensors, Map.of());
    READING.check(
        file.length,
        () -> {
          try (Checkpoint read = new HuggingFaceDirectory(directory).weights()) {
            for (String name : read.names()) {
              read.floats(name);
            }
          }
        });
  }

  private static SafeTensors.Source floats(int count) {
    return new MapCheckpoint("memory", Map.of("x", tensor(count))).source("x");
  }

  private static SafeTensors.Source bytes(byte[] bytes) {
    return new SafeTensors.Source() {
      @Override
      public SafeTensors.StoredType dtype() {
        return SafeTensors.StoredType.U8;
      }

      @Override
      public long[] shape() {
        return new long[] {bytes.length};
      }

      @Override
      public void read(long offset, ByteBuffer target) {
        target.put(bytes, (int) offset, target.remaining());
      }
    };
  }

  private static void shard(String name, String tensor) throws IOException {
    Path file = DIRECTORY.resolve(name);
    if (!Files.exists(file)) {
      SafeTensors.write(file, Map.of(tensor, tensor(2, 2)));
    }
  }

  static SafeTensors.Tensor tensor(long... shape) {
    int size = 1;
    for (long length : shape) {
      size *= (int) length;
    }
    return new SafeTensors.Tensor(shape, new float[size]);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void onnx(byte[] file) {
    READING.check(
        file.length,
        () -> OnnxWeights.read(new ByteArrayInputStream(file), "x.onnx").names().size());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tensorFlow(byte[] file) {
    READING.check(
        file.length, () -> new TensorFlowBert(file, new byte[64], "variables").names().size());
  }

  /** A block with the checksum that it needs; without one nearly nothing is read. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tensorFlowBlock(byte[] block) {
    byte[] index = TensorFlowIndex.of(block);
    READING.check(
        index.length, () -> new TensorFlowBert(index, new byte[64], "variables").names().size());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void peft(byte[] file) throws IOException {
    String layer = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_";
    adapter(
        "peft",
        "adapter_model.safetensors",
        Map.of(
            layer + "A.weight",
            tensor(2, 4),
            layer + "B.weight",
            tensor(4, 2),
            "base_model.model.classifier.weight",
            tensor(2, 4),
            "base_model.model.classifier.bias",
            tensor(2)),
        file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void adapterHub(byte[] file) throws IOException {
    String layer = "bert.encoder.layer.0.attention.self.query.loras.a.lora_";
    adapter(
        "hub",
        "adapter.safetensors",
        Map.of(layer + "A", tensor(2, 4), layer + "B", tensor(4, 2)),
        file);
  }

  static void adapter(
      String name, String weights, Map<String, SafeTensors.Tensor> tensors, byte[] file)
      throws IOException {
    Path directory = put(name + "/adapter_config.json", file).getParent();
    if (!Files.exists(directory.resolve(weights))) {
      SafeTensors.write(directory.resolve(weights), tensors);
      put(
          name + "/head_config.json",
          """
          {"config": {"head_type": "classification", "layers": 1, "use_pooler": false, "bias": true}}"""
              .getBytes());
      SafeTensors.write(
          directory.resolve("model_head.safetensors"),
          Map.of("heads.a.1.weight", tensor(2, 4), "heads.a.1.bias", tensor(2)));
    }
    READING.check(
        file.length,
        () -> {
          var config = RunDirectory.open(directory).readJson(AdapterFormat.CONFIG);
          AdapterFormat.of(directory, config).read(directory, config, ENCODER, List.of("a", "b"));
        });
  }

  /**
   * The tensors of an adapter, beside a valid configuration of the kind that their names suggest.
   */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void adapterWeights(byte[] file) throws IOException {
    String names = text(file);
    if (names.contains(".a.")) {
      weights("bottlenecks", BOTTLENECKS, "adapter.safetensors", file);
    } else if (names.contains("lora_E")) {
      weights("adalora", ADALORA, PEFT_WEIGHTS, file);
      String kept = "{\"encoder.layer.0.attention.self.query.lora_E\": [true, false]}";
      weights("pruned", ADALORA.replace("null", kept), PEFT_WEIGHTS, file);
    } else {
      boolean dora = names.contains("magnitude");
      weights(dora ? "dora" : "lora", LORA.replace("false", "" + dora), PEFT_WEIGHTS, file);
    }
  }

  private static void weights(String kind, String config, String name, byte[] file)
      throws IOException {
    String directory = "weights/" + kind;
    putOnce(directory + "/adapter_config.json", config);
    tensors(
        directory + "/head.safetensors",
        Map.of("classifier.weight", tensor(2, 4), "classifier.bias", tensor(2)));
    put(directory + "/" + name, file);
    read(directory, file.length, ENCODER);
  }

  /** A file's bytes as characters, of which names are what they say. */
  private static String text(byte[] file) {
    return new String(file, StandardCharsets.ISO_8859_1);
  }

  /** The weights of a head, where AdapterHub has them or where an export puts them. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void headWeights(byte[] file) throws IOException {
    if (text(file).contains("heads.")) {
      String layer = "bert.encoder.layer.0.attention.self.query.loras.a.lora_";
      putOnce("heads/hub/adapter_config.json", saved("adapterHub/valid.json"));
      putOnce("heads/hub/head_config.json", saved("adapterHubHead/valid.json"));
      tensors(
          "heads/hub/adapter.safetensors",
          Map.of(layer + "A", tensor(2, 4), layer + "B", tensor(4, 2)));
      put("heads/hub/model_head.safetensors", file);
      read("heads/hub", file.length, ENCODER);
    } else {
      String layer = "base_model.model.encoder.layer.0.attention.self.query.lora_";
      putOnce("heads/own/adapter_config.json", LORA);
      tensors(
          "heads/own/adapter_model.safetensors",
          Map.of(layer + "A.weight", tensor(2, 4), layer + "B.weight", tensor(4, 2)));
      put("heads/own/head.safetensors", file);
      read("heads/own", file.length, ENCODER);
    }
  }

  /** LoRA of language models, as llama.cpp has it. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void ggufAdapter(byte[] file) throws IOException {
    put("llama.cpp/adapter.gguf", file);
    read("llama.cpp", file.length, decoder(text(file).contains("phi3") ? "phi3" : "llama"));
  }

  private static EncoderConfig decoder(String family) throws IOException {
    String model = "decoders/" + family;
    putOnce(model + "/config.json", DECODER.formatted(family));
    return Models.directoryConfig(DIRECTORY.resolve(model).toString()).orElseThrow();
  }

  private static void tensors(String name, Map<String, SafeTensors.Tensor> tensors)
      throws IOException {
    Path file = DIRECTORY.resolve(name);
    if (!Files.exists(file)) {
      Files.createDirectories(file.getParent());
      SafeTensors.write(file, tensors);
    }
  }

  /** An adapter, as an import reads it. */
  private static void read(String name, int length, EncoderConfig model) {
    Path directory = DIRECTORY.resolve(name);
    READING.check(
        length,
        () -> {
          Map<String, Object> config =
              Files.exists(directory.resolve(AdapterFormat.CONFIG))
                  ? RunDirectory.open(directory).readJson(AdapterFormat.CONFIG)
                  : Map.of();
          AdapterFormat format = AdapterFormat.of(directory, config);
          format.ofLanguageModel(directory, config, () -> false);
          var read = format.read(directory, config, model, List.of("a", "b"));
          ImportedModules.of(read.parts(), model);
        });
  }

  /** A model's weights, which may be others than its config.json says. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void modelWeights(byte[] file) throws IOException {
    Torch.load();
    Path path = put("weighed/model.safetensors", file);
    String names = text(file);
    EncoderConfig model =
        names.contains("rel_embeddings")
            ? DEBERTA
            : names.contains("qkv_proj")
                ? decoder("phi3")
                : names.contains("embed_tokens") ? decoder("llama") : ENCODER;
    READING.check(
        file.length,
        () -> {
          try (Checkpoint weights = new HuggingFaceDirectory(path.getParent()).weights()) {
            encoder(model, weights).close();
          }
        });
  }

  private static Encoder encoder(EncoderConfig model, Checkpoint weights) throws IOException {
    return model.decoder() == null
        ? new PostNormEncoder(model, weights)
        : new CausalDecoder(model, weights, Precision.FLOAT32, ComputeDevice.CPU);
  }

  /** What a run has trained, by the names of its tensors: modules, a head, the encoder itself. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runWeights(byte[] file) throws IOException {
    String names = text(file);
    String name = names.contains("lora_") ? RunFiles.ADAPTER : RunFiles.ENCODER;
    Path path = put("trained/" + (names.contains("classifier") ? RunFiles.HEAD : name), file);
    if (trained == null) {
      Torch.load();
      Path model = ReaderFiles.saved(ReadersTest.class).resolve("runWeights/encoder.safetensors");
      try (Checkpoint weights = SafeTensors.open(model)) {
        trained = new RunWeights(ENCODER, weights);
      }
    }
    READING.check(file.length, () -> trained.read(path));
  }

  /** What Python's tokenizer adds to BERT's vocabulary. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void addedTokens(byte[] file) throws IOException {
    putOnce("added/config.json", "{}");
    putOnce("added/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na");
    put("added/added_tokens.json", file);
    tokenizerOf("added", file.length);
  }

  /** The examples in a grammar.xml of a jar of another name. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void ruleExamples(byte[] file) {
    READING.check(file.length, () -> JarData.ruleExamples(file));
  }

  /** Likewise data.noun. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void glosses(byte[] file) {
    READING.check(file.length, () -> JarData.glosses(file));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tsv(byte[] file) throws IOException {
    table("x.tsv", file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void csv(byte[] file) throws IOException {
    table("x.csv", file);
  }

  /** By what it holds, which its file is compared with before it is read on. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void csvGz(byte[] file) throws IOException {
    table("x.csv.gz", file, Math.max(file.length, unpacked(file)));
  }

  /** How many bytes a file holds that gzip packed, as far as it is one; at most ten megabytes. */
  private static int unpacked(byte[] file) {
    byte[] buffer = new byte[1 << 14];
    int count = 0;
    try (GZIPInputStream content = new GZIPInputStream(new ByteArrayInputStream(file))) {
      for (int read = 0; read >= 0 && count < 10_000_000; read = content.read(buffer)) {
        count += read;
      }
    } catch (IOException e) {
      // It ends here.
    }
    return count;
  }

  /** QQP's, of which rows that are broken off are left out. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void glue(byte[] file) throws IOException {
    String columns = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
    putOnce("glue/dev.tsv", columns + "0\t1\t2\ta\tb\t1\n");
    Path directory = put("glue/train.tsv", file).getParent();
    READING.check(
        file.length, () -> Tasks.byName("qqp").at(directory).load(SplitSizes.UNSPECIFIED, 0, 0));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void jsonLines(byte[] file) throws IOException {
    table("x.jsonl", file);
    Path path = DIRECTORY.resolve("x.jsonl");
    READING.check(
        file.length,
        () ->
            new DataFiles(path, null, null, Columns.DEFAULT, TaskKind.CLASSIFICATION, List.of())
                .task()
                .load(SplitSizes.UNSPECIFIED, 0, 0));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void parquet(byte[] file) throws IOException {
    table("x.parquet", file);
  }

  private static void table(String name, byte[] file) throws IOException {
    table(name, file, file.length);
  }

  private static void table(String name, byte[] file, int length) throws IOException {
    Path path = put(name, file);
    READING.check(
        length,
        () -> {
          try (ExampleFile examples = ExampleFile.open(path, Columns.DEFAULT, true)) {
            examples.classes();
            examples.rows();
          }
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void dataSetReadme(byte[] file) throws IOException {
    putOnce("set/data/train-00000-of-00001.csv", "text,label\na,1\n");
    putOnce("set/test.csv", "text,label\na,1\n");
    put("set/README.md", file);
    READING.check(
        file.length,
        () -> new DatasetDirectory(DIRECTORY.resolve("set"), null).test(Columns.DEFAULT));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void yaml(byte[] file) {
    READING.check(file.length, () -> Yaml.read(new String(file, StandardCharsets.UTF_8)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runConfig(byte[] file) throws IOException {
    put("run/config.json", file);
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("run"));
    if (!READING.check(file.length, () -> run.readJson(RunFiles.CONFIG))) {
      return; // as each member is refused then
    }
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "setup", Setup.class));
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class));
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "labels", String[].class));
    for (String name : List.of(RunFiles.DATA, Manifest.MODEL_FILES, RunFiles.PLUGINS)) {
      member(
          file.length,
          () -> Arrays.asList(run.readJson(RunFiles.CONFIG, name, FileChecksum[].class)));
    }
    member(file.length, () -> Schema.fromMap(run.readJson(RunFiles.CONFIG)));
    putOnce("whole/config.json", saved("runConfig/valid.json"));
    RunDirectory whole = RunDirectory.open(DIRECTORY.resolve("whole"));
    for (Runnable comparison : ConfigReading.comparisons(run, whole)) {
      READING.check(file.length, comparison::run);
    }
  }

  private static void member(int length, java.util.function.Supplier<Object> member) {
    READING.check(length, member::get);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runModules(byte[] file) throws IOException {
    put("modules/configuration.json", file);
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("modules"));
    member(
        file.length,
        () -> List.of(run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runManifest(byte[] file) throws IOException {
    put("manifest/result.json", file);
    putOnce("manifest/config.json", "{\"model_files\": []}");
    putOnce("manifest/a.txt", "a");
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("manifest"));
    READING.check(file.length, () -> Manifest.verify(run));
    sign("manifest/result.json");
    READING.check(file.length, () -> Manifest.verify(run));
  }

  /**
   * Gives an object the checksum that its other members have, without which what was changed is
   * refused before anything else is read. A file that is none stays as it is.
   */
  static void sign(String name) throws IOException {
    Map<String, Object> object;
    try {
      object = RunDirectory.parse(DIRECTORY.resolve(name));
    } catch (RunDirectoryException e) {
      return;
    }
    object.remove("sha256");
    MessageDigest digest = FileChecksum.digest();
    digest.update(RunDirectory.format(name, object).getBytes(StandardCharsets.UTF_8));
    object.put("sha256", FileChecksum.hex(digest));
    put(name, RunDirectory.format(name, object).getBytes(StandardCharsets.UTF_8));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runFront(byte[] file) throws IOException {
    put("front/measured.json", file);
    if (!Files.exists(DIRECTORY.resolve("front/config.json"))) {
      String config = savedWithoutChecksums();
      putOnce("front/config.json", config.replaceFirst("\\{", "{" + MEASURED + ","));
    }
    READING.check(file.length, () -> ModuleChoice.ofFront(DIRECTORY.resolve("front"), 1));
  }

  /** Read, and shown as reports and explanations do. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runMeasured(byte[] file) throws IOException {
    put("measured/measured.json", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("measured"));
    READING.check(
        file.length,
        () -> {
          MeasuredFile read =
              RunDirectory.convert(run.readJson(RunFiles.MEASURED), MeasuredFile.class);
          read.comparisons().values().forEach(Estimate::toMap);
          read.values().forEach(value -> value.estimate().toMap());
          read.front().forEach(point -> point.metric().toMap());
          read.measured().forEach(subset -> subset.modules().contains(subset.purpose()));
          read.pairs().forEach(pair -> pair.first().equals(pair.second()));
          read.choice().length();
        });
  }

  /** Read, and shown as summaries, reports and explanations do. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runPeer(byte[] file) throws IOException {
    put("peer/peer.json", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("peer"));
    READING.check(
        file.length,
        () -> {
          PeerResult read = RunDirectory.convert(run.readJson(RunFiles.PEER), PeerResult.class);
          read.method().length();
          read.modules().forEach(each -> each.module().name().length());
          read.kept().forEach(Candidate::name);
          read.trials().forEach(trial -> trial.modules().forEach(String::length));
          read.effort().trainings();
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runPredictions(byte[] file) throws IOException {
    put("predicted/predictions.jsonl", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("predicted"));
    Schema schema = Schema.classification(List.of("a", "b"));
    READING.check(file.length, () -> TestPredictions.read(run.path(), schema));
  }

  /** As it is, and with the checksum that it needs; then what a run takes of it is read too. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runCheckpoint(byte[] file) throws IOException {
    put("cut/checkpoints/000001.json", file);
    shard("cut/checkpoints/000001.safetensors", CheckpointReading.TENSOR);
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("cut"));
    READING.check(file.length, () -> CheckpointReading.of(run));
    sign("cut/checkpoints/000001.json");
    READING.check(file.length, () -> CheckpointReading.of(run));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void strategy(byte[] file) throws IOException {
    Path path = put("strategy.json", file);
    READING.check(file.length, () -> StrategyFile.read(path).toMap());
  }

  /** By the template a conversation is written, and a question. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void chatTemplate(byte[] file) throws IOException {
    putOnce("chat/special_tokens_map.json", "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}");
    put("chat/chat_template.jinja", file);
    chat("chat", file.length);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void specialTokens(byte[] file) throws IOException {
    putOnce(
        "tokens/chat_template.jinja",
        "{% for m in messages %}{{ bos_token }}{{ m.content }}{{ eos_token }}{% endfor %}");
    put("tokens/special_tokens_map.json", file);
    chat("tokens", file.length);
  }

  /** The same file as of {@link #tokenizerConfig}, for its templates and tokens. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void templateConfig(byte[] file) throws IOException {
    put("templates/tokenizer_config.json", file);
    chat("templates", file.length);
  }

  private static void chat(String directory, int length) throws IOException {
    putOnce(
        "chat.jsonl",
        """
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": [{"name": "f"}]}
        """);
    READING.check(
        length,
        RENDERINGS,
        () -> {
          var format = ChatFormat.of(DIRECTORY.resolve(directory), null).with(true, "2026-03-07");
          Chat chat = new Chat(format);
          chat.prompt(List.of(Chat.Message.user("a")));
          chat.answerEnds();
          ConversationFile.read(DIRECTORY.resolve("chat.jsonl"), format);
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void conversations(byte[] file) throws IOException {
    conversations("conversations.jsonl", file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void conversationsParquet(byte[] file) throws IOException {
    conversations("conversations.parquet", file);
  }

  private static void conversations(String name, byte[] file) throws IOException {
    Path path = put(name, file);
    READING.check(
        file.length,
        () -> {
          ConversationFile.hasMessages(path);
          ConversationFile.read(path, ChatFormat.DEFAULT.with(true, "2026-03-07"));
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void questions(byte[] file) throws IOException {
    Path path = put("questions.jsonl", file);
    READING.check(
        file.length,
        () -> {
          ChoiceFile.isKeptBack(path);
          ChoiceFile.read(path);
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runMetrics(byte[] file) throws IOException {
    put("metrics/metrics.jsonl", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("metrics"));
    READING.check(file.length, () -> LearningCurve.read(run.path()));
  }

  /** Read, and shown as reports and explanations do. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runRounds(byte[] file) throws IOException {
    put("rounds/rounds.json", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("rounds"));
    READING.check(
        file.length,
        () -> {
          for (PruningRound round : run.readJsonArray(RunFiles.ROUNDS, PruningRound.class)) {
            round.stage().name().length();
            round.parameters();
            round.sickness();
            round.divergence().ifPresent(String::length);
            Standing.of(round).forEach(Standing::margin);
            round.information().name();
            round.readings().forEach(one -> one.criterion().concat(one.type()));
            round.panels().forEach(panel -> panel.partition().toString().concat("" + panel));
            round.verdicts().forEach(verdict -> verdict.module().name().concat("" + verdict));
            round.removals().forEach(removal -> removal.module().name().length());
            round.spared().forEach(Candidate::name);
          }
        });
  }

  /** Of a run without checksums, as earlier versions left them; with them nearly all is refused. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runResult(byte[] file) throws IOException {
    put("ended/result.json", file);
    putOnce("ended/config.json", savedWithoutChecksums());
    putOnce("ended/configuration.json", saved("runModules/valid.json"));
    Path run = DIRECTORY.resolve("ended");
    READING.check(file.length, () -> OutcomeFile.read(run));
    READING.check(file.length, () -> RunContents.of(run).info().began());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runMark(byte[] file) throws IOException {
    put("marked/INCOMPLETE", file);
    Path run = DIRECTORY.resolve("marked");
    READING.check(
        file.length,
        () -> {
          RunMark.state(run);
          RunMark.hasDiverged(run);
        });
  }

  /** What an export says of itself, as an import reads it. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void exportOrigin(byte[] file) throws IOException {
    put("export/prunepeft.json", file);
    RunDirectory export = RunDirectory.open(DIRECTORY.resolve("export"));
    String name = "prunepeft.json";
    READING.check(file.length, () -> Manifest.verify(export, name));
    sign("export/" + name);
    READING.check(file.length, () -> Manifest.verify(export, name));
    member(file.length, () -> ModelFiles.setup(export, name, null));
    member(file.length, () -> ModelFiles.changes(export, name, List.of()));
    member(file.length, () -> Schema.fromMap(export.readJson(name)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void adapterHubHead(byte[] file) throws IOException {
    put("head/head_config.json", file);
    Path directory = DIRECTORY.resolve("head");
    if (!Files.exists(directory.resolve("adapter_config.json"))) {
      String layer = "bert.encoder.layer.0.attention.self.query.loras.a.lora_";
      putOnce("head/adapter_config.json", saved("adapterHub/valid.json"));
      SafeTensors.write(
          directory.resolve("adapter.safetensors"),
          Map.of(layer + "A", tensor(2, 4), layer + "B", tensor(4, 2)));
      SafeTensors.write(
          directory.resolve("model_head.safetensors"),
          Map.of("heads.a.1.weight", tensor(2, 4), "heads.a.1.bias", tensor(2)));
    }
    READING.check(
        file.length,
        () -> {
          var config = RunDirectory.open(directory).readJson(AdapterFormat.CONFIG);
          AdapterFormat.of(directory, config).read(directory, config, ENCODER, List.of("a", "b"));
        });
  }

  /** A run's config.json as earlier versions left it. */
  private static String savedWithoutChecksums() throws IOException {
    return saved("runConfig/valid.json").replace("\"model_files\"", "\"files\"");
  }

  static String saved(String name) throws IOException {
    return Files.readString(ReaderFiles.saved(ReadersTest.class).resolve(name));
  }
}
