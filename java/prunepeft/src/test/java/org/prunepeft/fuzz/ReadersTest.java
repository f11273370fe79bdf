package org.prunepeft.fuzz;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.OnnxWeights;
import org.prunepeft.checkpoint.TensorFlowBert;
import org.prunepeft.checkpoint.TensorFlowIndex;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.TokenizerProcess;
import org.prunepeft.data.table.ExampleFile;
import org.prunepeft.data.task.DatasetDirectory;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.Gguf;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.Yaml;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.HuggingFaceConfig;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.StrategyFile;

/**
 * Every reader of files that come from elsewhere, with valid files, with those that it failed at,
 * and by {@code java/fuzz} with what Jazzer makes of them. {@link Reading} says what must hold.
 */
class ReadersTest {
  /** Of java/fuzz, whichever comes first. */
  private static final String TIME = "10m";

  private static final long RUNS = 1_000_000;

  private static final EncoderConfig ENCODER = EncoderConfig.bert(1, 4, 2, 8, 10, 16);
  private static final TokenizerProcess TOKENIZERS = new TokenizerProcess();

  /** In memory where there is such a place: a disk takes most of the time. */
  static final Path DIRECTORY = directory();

  private static Path directory() {
    try {
      Path memory = Path.of("/dev/shm");
      return Files.isWritable(memory)
          ? Files.createTempDirectory(memory, "prunepeft")
          : Files.createTempDirectory("prunepeft");
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** Directories that were made below it. */
  private static final Set<Path> MADE = new HashSet<>();

  /** What a measured search's config.json has besides. */
  private static final String MEASURED =
      """
      "search": {"measured": {"searchShare": 0.65, "supernetExamples": null, "supernetEpochs": null,
        "measuredExamples": null, "subsets": null, "warmStart": true, "retrainingEpochs": null,
        "moduleSlices": null, "objectives": ["parameters"], "tolerance": null}}""";

  /** {@return the directory with files of each reader} */
  static Path saved() {
    try {
      return Path.of(ReadersTest.class.getResource("ReadersTestInputs").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  @AfterAll
  static void clean() throws IOException {
    TOKENIZERS.close();
    MADE.clear();
    try (var files = Files.walk(DIRECTORY)) {
      for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static Path put(String name, byte[] content) throws IOException {
    Path file = DIRECTORY.resolve(name);
    if (MADE.add(file.getParent())) {
      Files.createDirectories(file.getParent());
    }
    return Files.write(file, content);
  }

  /** What is the same for all inputs. */
  private static void putOnce(String name, String content) throws IOException {
    if (!Files.exists(DIRECTORY.resolve(name))) {
      put(name, content.getBytes(StandardCharsets.UTF_8));
    }
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerCheck(byte[] file) {
    Reading.check(file.length, () -> TokenizerProcess.check(file));
  }

  /** The library itself; what the check refuses does not come so far. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizer(byte[] file) {
    try {
      TokenizerProcess.check(file);
    } catch (IOException | IllegalArgumentException e) {
      Reading.ending.accept(e);
      return;
    }
    String refusal = TOKENIZERS.read(file);
    Reading.ending.accept(refusal.isEmpty() ? null : new DataException(refusal));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void vocabulary(byte[] file) throws IOException {
    put("vocabulary/vocab.txt", file);
    tokenizerOf("vocabulary", file.length);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tokenizerConfig(byte[] file) throws IOException {
    putOnce("tokenizer/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na");
    put("tokenizer/tokenizer_config.json", file);
    tokenizerOf("tokenizer", file.length);
  }

  private static void tokenizerOf(String directory, int length) {
    var model = new HuggingFaceDirectory(DIRECTORY.resolve(directory));
    Reading.check(length, () -> TokenizerProcess.check(model.tokenizer(true)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void modelConfig(byte[] file) throws IOException {
    put("model/config.json", file);
    var model = new HuggingFaceDirectory(DIRECTORY.resolve("model"));
    Reading.check(
        file.length,
        () -> HuggingFaceConfig.write(HuggingFaceConfig.read(model.config(), "config.json")));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void safetensors(byte[] file) throws IOException {
    Path path = put("x.safetensors", file);
    Reading.check(
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
    Reading.check(
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
    Reading.check(file.length, () -> model.weights().close());
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
    Reading.check(
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

  private static SafeTensors.Tensor tensor(long... shape) {
    int size = 1;
    for (long length : shape) {
      size *= (int) length;
    }
    return new SafeTensors.Tensor(shape, new float[size]);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void onnx(byte[] file) {
    Reading.check(
        file.length,
        () -> OnnxWeights.read(new ByteArrayInputStream(file), "x.onnx").names().size());
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tensorFlow(byte[] file) {
    Reading.check(
        file.length, () -> new TensorFlowBert(file, new byte[64], "variables").names().size());
  }

  /** A block with the checksum that it needs; without one nearly nothing is read. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tensorFlowBlock(byte[] block) {
    byte[] index = TensorFlowIndex.of(block);
    Reading.check(
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

  private static void adapter(
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
    Reading.check(
        file.length,
        () -> {
          var config = RunDirectory.open(directory).readJson(AdapterFormat.CONFIG);
          AdapterFormat.of(directory, config).read(directory, config, ENCODER, List.of("a", "b"));
        });
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void tsv(byte[] file) throws IOException {
    table("x.tsv", file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void csv(byte[] file) throws IOException {
    table("x.csv", file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void jsonLines(byte[] file) throws IOException {
    table("x.jsonl", file);
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void parquet(byte[] file) throws IOException {
    table("x.parquet", file);
  }

  private static void table(String name, byte[] file) throws IOException {
    Path path = put(name, file);
    Reading.check(
        file.length,
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
    Reading.check(
        file.length,
        () -> new DatasetDirectory(DIRECTORY.resolve("set"), null).test(Columns.DEFAULT));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void yaml(byte[] file) {
    Reading.check(file.length, () -> Yaml.read(new String(file, StandardCharsets.UTF_8)));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runConfig(byte[] file) throws IOException {
    put("run/config.json", file);
    RunDirectory run = RunDirectory.open(DIRECTORY.resolve("run"));
    if (!Reading.check(file.length, () -> run.readJson(RunFiles.CONFIG))) {
      return; // as each member is refused then
    }
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "setup", Setup.class));
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class));
    member(file.length, () -> run.readJson(RunFiles.CONFIG, "labels", String[].class));
    member(
        file.length,
        () -> Arrays.asList(run.readJson(RunFiles.CONFIG, "data_files", FileChecksum[].class)));
    member(file.length, () -> Schema.fromMap(run.readJson(RunFiles.CONFIG)));
  }

  private static void member(int length, java.util.function.Supplier<Object> member) {
    Reading.check(length, member::get);
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
    Reading.check(file.length, () -> Manifest.verify(run));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runFront(byte[] file) throws IOException {
    put("front/measured.json", file);
    if (!Files.exists(DIRECTORY.resolve("front/config.json"))) {
      String config = Files.readString(saved().resolve("runConfig/valid.json"));
      putOnce("front/config.json", config.replaceFirst("\\{", "{" + MEASURED + ","));
    }
    Reading.check(file.length, () -> ModuleChoice.ofFront(DIRECTORY.resolve("front"), 1));
  }

  /** Read, and shown as reports and explanations do. */
  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runMeasured(byte[] file) throws IOException {
    put("measured/measured.json", file);
    RunDirectory run = RunDirectory.look(DIRECTORY.resolve("measured"));
    Reading.check(
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
    Reading.check(
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
    Reading.check(file.length, () -> TestPredictions.read(run, schema));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void runCheckpoint(byte[] file) throws IOException {
    put("cut/checkpoints/000001.json", file);
    shard("cut/checkpoints/000001.safetensors", "a");
    var checkpoints = new CheckpointDirectory(RunDirectory.open(DIRECTORY.resolve("cut")));
    Reading.check(
        file.length, () -> checkpoints.newest().ifPresent(CheckpointDirectory.Saved::close));
  }

  @FuzzTest(maxDuration = TIME, maxExecutions = RUNS)
  void strategy(byte[] file) throws IOException {
    Path path = put("strategy.json", file);
    Reading.check(file.length, () -> StrategyFile.read(path).toMap());
  }
}
