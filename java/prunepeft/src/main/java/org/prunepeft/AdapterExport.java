package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.data.DataException;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.chat.ChatFormat;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.WholeDirectory;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.formats.HubName;
import org.prunepeft.formats.MergedDecoder;
import org.prunepeft.formats.MergedModel;
import org.prunepeft.formats.OnnxModel;
import org.prunepeft.formats.PortableAdapter;
import org.prunepeft.formats.StoredWeights;
import org.prunepeft.formats.TrainedAdapter;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.model.Pretrained;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.type.Vera;
import org.prunepeft.report.RunSchema;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.RunRecord;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Reason;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.PairFeatures;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Writes what a run trained as files that other libraries read. */
public final class AdapterExport {
  /** What an export says of the run beside the format's own files; other libraries pass it over. */
  static final String ORIGIN = "prunepeft.json";

  /** The name of what {@link #merge} writes, beside those of the formats. */
  private static final String MERGE = "merge";

  /** The members of a setup's files that are paths. */
  private static final Set<String> DATA_FILES = Set.of("train", "validation", "test");

  private static final Logger LOG = LoggerFactory.getLogger(AdapterExport.class);

  private AdapterExport() {}

  /**
   * Exports a run.
   *
   * @param run the directory of a complete run
   * @param format what to write: peft, adapters, gguf, or onnx as {@link #onnx} does with the
   *     default
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @param hubName the base model's name on the hub, which the files name; null: the one that is
   *     known, or else the model's directory
   * @throws IllegalArgumentException if there is no such format, or it cannot hold the run's
   *     modules; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void write(Path run, String format, Path output, String model, String hubName) {
    if (format.equals(OnnxModel.FORMAT)) {
      onnx(run, output, model, hubName, OnnxOptions.DEFAULT);
      return;
    }
    write(run, format, output, model, hubName, false);
  }

  /**
   * Exports a language model's run in PEFT's format for what reads these files in part, such as
   * vLLM: one rank for all modules, the smaller ones padded with zeros, and all scales in the
   * weights.
   *
   * @param run the directory of a complete run
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @param hubName the base model's name on the hub, which the files name; null: the one that is
   *     known, or else the model's directory
   * @throws IllegalArgumentException if the run has something else than LoRA, or a head of its own;
   *     nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void portable(Path run, Path output, String model, String hubName) {
    write(run, "peft", output, model, hubName, true);
  }

  private static void write(
      Path run, String format, Path output, String model, String hubName, boolean portable) {
    AdapterFormat written = AdapterFormat.byName(format);
    RunDirectory source = open(run);
    if (RunFiles.isFull(source)) {
      throw new IllegalArgumentException(
          source.path()
              + " trained the encoder's own weights, which adapter files do not hold; merged, it is a"
              + " plain model");
    }
    Setup setup = ModelFiles.setup(source, model);
    TrainedAdapter trained = read(source, setup, hubName);
    TrainedAdapter adapter = portable ? PortableAdapter.of(trained) : trained;
    written.require(adapter);
    write(
        source,
        adapter,
        setup,
        output,
        target -> {
          written.write(adapter, target);
          if (written.hasTokenizer()) {
            writeTokenizer(source, setup, maxLength(setup, adapter), target);
            writeChatTemplates(setup, target);
          }
          target.writeText(
              ModelCard.FILE, ModelCard.of(source, setup, adapter, ModelCard.Library.of(format)));
        });
  }

  /** Tokens at which the run cut texts for a head; a language model's texts may be longer. */
  private static OptionalInt maxLength(Setup setup, TrainedAdapter adapter) {
    return adapter.hasHead() ? OptionalInt.of(setup.training().maxLength()) : OptionalInt.empty();
  }

  private static void writeTokenizer(
      RunDirectory run, Setup setup, OptionalInt maxLength, RunDirectory target)
      throws IOException {
    Models.Loader loader;
    try {
      loader = ModelFiles.known(run, RunFiles.CONFIG, setup.model()).loader();
    } catch (IllegalArgumentException | RunDirectoryException e) {
      LOG.warn("the export has no tokenizer: {}", e.getMessage());
      return;
    }
    try (Pretrained base = loader.open()) {
      ModelFiles.require(run, base.files());
      base.writeTokenizer(target.path(), maxLength);
      base.read().requireUnchanged();
    } catch (UnsupportedOperationException e) {
      LOG.warn("the export has no tokenizer: {}", e.getMessage());
    }
  }

  /** Those of the run's conversations, where the tokenizer's files do not have them. */
  private static void writeChatTemplates(Setup setup, RunDirectory target) throws IOException {
    ChatFormat chat = setup.files() == null ? null : setup.files().chat();
    if (chat == null || chat.plain() || hasTemplates(target.path(), chat)) {
      return;
    }
    // The model's own would be taken before the run's.
    for (String name : List.of(ChatFormat.DEFAULT_FILE, ChatFormat.TOOL_FILE)) {
      Files.deleteIfExists(target.file(name));
    }
    target.writeText(ChatFormat.FILE, chat.template());
    if (chat.toolTemplate() != null) {
      target.writeText(ChatFormat.TOOL_FILE, chat.toolTemplate());
    }
  }

  private static boolean hasTemplates(Path directory, ChatFormat chat) {
    try {
      ChatFormat there = ChatFormat.of(directory, null);
      return chat.template().equals(there.template())
          && Objects.equals(chat.toolTemplate(), there.toolTemplate());
    } catch (DataException e) {
      return false; // why a run may have been given another
    }
  }

  /**
   * Exports a run as a plain model: its low-rank updates become part of the encoder's weights, of a
   * run with quantised weights of the values that these have. What trained the weights themselves
   * is written as it is.
   *
   * @param run the directory of a complete run
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @param hubName the base model's name on the hub, which the model card names; null: the one that
   *     is known, or none
   * @throws IllegalArgumentException if some of the run's modules are no low-rank updates, or its
   *     model is not known; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void merge(Path run, Path output, String model, String hubName) {
    RunDirectory source = open(run);
    Setup setup = ModelFiles.setup(source, model);
    TrainedAdapter adapter = read(source, setup, hubName);
    MergedModel.require(adapter);
    writeModel(
        source,
        adapter,
        setup,
        output,
        (base, target) -> {
          if (adapter.encoder().architecture().isDecoder()) {
            MergedDecoder.write(adapter, base.weights(), directory(setup), target);
            if (adapter.hasHead()) {
              base.writeTokenizer(target.path(), maxLength(setup, adapter));
            }
            writeChatTemplates(setup, target);
          } else {
            MergedModel.write(adapter, base, setup.training().maxLength(), target);
          }
          target.writeText(
              ModelCard.FILE, ModelCard.of(source, setup, adapter, ModelCard.Library.TRANSFORMERS));
        });
  }

  /** All decoders come from directories. */
  private static HuggingFaceDirectory directory(Setup setup) {
    return new HuggingFaceDirectory(Models.directory(setup.model()).orElseThrow());
  }

  /**
   * Exports a run as an ONNX model: encoder, low-rank updates in its weights, bottleneck adapters,
   * pooling and head.
   *
   * @param run the directory of a complete run
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @param hubName the base model's name on the hub, which the files name; null: the one that is
   *     known, or else the model's directory
   * @param options how it is written
   * @throws IllegalArgumentException if some of the run's modules have no form in adapter files, or
   *     its model is not known; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void onnx(
      Path run, Path output, String model, String hubName, OnnxOptions options) {
    RunDirectory source = open(run);
    Setup setup = ModelFiles.setup(source, model);
    TrainedAdapter adapter = read(source, setup, hubName);
    OnnxModel.require(adapter);
    int maxLength = setup.training().maxLength();
    writeModel(
        source,
        adapter,
        setup,
        output,
        (base, target) -> {
          OnnxModel.write(adapter, base, maxLength, options, target);
          target.writeText(
              ModelCard.FILE, ModelCard.of(source, setup, adapter, ModelCard.Library.ONNX));
        });
  }

  /** Writes a model's files. */
  @FunctionalInterface
  private interface ModelWriter {
    /**
     * @param base the encoder as the run has it, without modules
     */
    void write(Pretrained base, RunDirectory target) throws IOException;
  }

  private static void writeModel(
      RunDirectory source, TrainedAdapter adapter, Setup setup, Path output, ModelWriter writer) {
    Models.KnownModel entry = ModelFiles.known(source, RunFiles.CONFIG, setup.model());
    write(
        source,
        adapter,
        setup,
        output,
        target -> {
          try (Pretrained base = entry.loader().open().quantized(setup.quantization())) {
            ModelFiles.require(source, base.files());
            if (RunFiles.isFull(source)) {
              try (SafeTensors trained = SafeTensors.open(source.file(RunFiles.ENCODER))) {
                writer.write(base.with(trained), target);
              }
            } else {
              writer.write(base, target);
            }
            base.read().requireUnchanged();
          }
        });
  }

  /**
   * Checks before a search that what it may find can be exported: all modules of its supernet.
   *
   * @param format peft, adapters, gguf, onnx, or merge
   * @throws IllegalArgumentException if there is no such format, or it cannot hold such modules;
   *     says why, and what to do instead
   * @throws UncheckedIOException if the model can't be read
   */
  public static void require(String format, Setup setup) {
    try (StoredWeights base = new StoredWeights(setup.model())) {
      EncoderConfig encoder = base.config();
      PeftConfig peft = bounded(setup.on(encoder), encoder.hidden());
      List<AdapterPart> parts = new ArrayList<>();
      Map<Integer, float[]> zeros = new HashMap<>();
      for (Candidate module : peft.space(encoder).candidates()) {
        ModuleType type = peft.typeOf(module);
        List<SafeTensors.Tensor> untrained =
            type.parameters(encoder, module.layer()).stream()
                .map(
                    parameter ->
                        new SafeTensors.Tensor(
                            parameter.shape(),
                            zeros.computeIfAbsent(
                                Math.toIntExact(parameter.count()), float[]::new)))
                .toList();
        parts.addAll(type.parts(encoder, module.layer(), untrained, base));
      }
      SafeTensors.Tensor head =
          setup.resolveTask().kind() == TaskKind.LANGUAGE_MODELING
              ? null
              : new SafeTensors.Tensor(new long[] {0, encoder.hidden()}, new float[0]);
      TrainedAdapter adapter =
          new TrainedAdapter(setup.model(), encoder, parts, List.of(), head, head);
      if (format.equals(MERGE)) {
        MergedModel.require(adapter);
      } else if (format.equals(OnnxModel.FORMAT)) {
        OnnxModel.require(adapter);
      } else {
        AdapterFormat.byName(format).require(adapter);
      }
    } catch (UnsupportedOperationException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  /**
   * A setup's modules with ranks and bottlenecks of {@code most} at most. What a format holds does
   * not depend on how large they are, and whether there is memory for them is asked later.
   */
  private static PeftConfig bounded(Setup setup, int most) {
    LoraConfig lora = setup.lora();
    if (lora != null) {
      AdaLoraConfig ada = lora.adaLora();
      lora =
          lora.with()
              .rank(Math.min(most, lora.rank()))
              .rankPattern(bounded(lora.rankPattern(), most))
              .adaLora(
                  ada == null
                      ? null
                      : ada.with()
                          .initR(Math.min(most, ada.initR()))
                          .targetR(Math.min(most, ada.targetR()))
                          .build())
              .build();
    }
    AdapterConfig adapter = setup.adapter();
    if (adapter != null) {
      adapter =
          adapter
              .with()
              .bottleneck(Math.min(most, adapter.bottleneck()))
              .bottleneckPattern(bounded(adapter.bottleneckPattern(), most))
              .build();
    }
    List<ModuleType> further =
        setup.furtherTypes().stream()
            .map(
                type ->
                    type instanceof Vera vera ? vera.withRank(Math.min(most, vera.rank())) : type)
            .toList();
    return PeftConfig.of(lora, adapter, further);
  }

  private static Map<String, Integer> bounded(Map<String, Integer> sizes, int most) {
    Map<String, Integer> bounded = new HashMap<>(sizes);
    bounded.replaceAll((name, size) -> Math.min(most, size));
    return bounded;
  }

  private static RunDirectory open(Path run) {
    RunDirectory source = RunDirectory.open(run);
    Manifest.verify(source);
    return source;
  }

  /** Writes the files of an export. */
  @FunctionalInterface
  private interface ExportWriter {
    void write(RunDirectory target) throws IOException;
  }

  private static void write(
      RunDirectory source, TrainedAdapter adapter, Setup setup, Path output, ExportWriter files) {
    try (WholeDirectory whole = new WholeDirectory(output)) {
      write(source, adapter, setup, whole.directory(), files);
    }
  }

  private static void write(
      RunDirectory source,
      TrainedAdapter adapter,
      Setup setup,
      RunDirectory target,
      ExportWriter files) {
    Path output = target.path();
    try {
      if (!HubName.isOne(adapter.base())) {
        LOG.warn(
            "the files name directories of this machine, such as the base model's, {}; --base-model-name NAME gives its name on the hub in their place",
            adapter.base());
      }
      files.write(target);
      Manifest.write(target, ORIGIN, origin(source, setup, adapter.base()), names(target));
      target.complete();
    } catch (IOException e) {
      UncheckedIOException failure =
          new UncheckedIOException(
              "can't export %s to %s: %s".formatted(source.path(), output, Reason.of(output, e)),
              e);
      RunRecord.failed(target, failure);
      throw failure;
    } catch (RuntimeException | Error e) {
      RunRecord.failed(target, e);
      throw e;
    }
  }

  /** The names of an export's files; chat templates may be in a directory of their own. */
  static List<String> names(RunDirectory target) throws IOException {
    List<String> names = new ArrayList<>(target.names());
    Path more = target.file(ChatFormat.ADDITIONAL);
    if (Files.isDirectory(more)) {
      try (var files = Files.list(more)) {
        files.sorted().forEach(file -> names.add(ChatFormat.ADDITIONAL + "/" + file.getFileName()));
      }
    }
    return names;
  }

  /** What an import reads; without paths of this machine if the base model is on the hub. */
  private static Map<String, Object> origin(RunDirectory source, Setup setup, String base) {
    Map<String, Object> config = source.readJson(RunFiles.CONFIG);
    Map<String, Object> origin = new LinkedHashMap<>();
    origin.put("setup", config.get("setup"));
    ModelFiles.copy(config, origin);
    if (HubName.isOne(base)) {
      origin.computeIfPresent("setup", (name, value) -> portable(value, HubName.model(base)));
      origin.computeIfPresent(
          Manifest.MODEL_FILES,
          (name, value) ->
              ((List<?>) value).stream().map(one -> withFileNames(one, Set.of("file"))).toList());
      origin.replace(ModelFiles.DIRECTORY, null);
    }
    origin.putAll(RunSchema.of(source.path()).toMap());
    if (setup.pairEncoding() == PairEncoding.SEPARATE) {
      origin.put("head_features", PairFeatures.NAMES);
    }
    return origin;
  }

  /** A setup that names its model as the hub does, and of its data the files' names alone. */
  private static Map<String, Object> portable(Object setup, String model) {
    Map<String, Object> members = ModelFiles.withModel(setup, model);
    members.put("output", null);
    members.computeIfPresent("data", (name, value) -> fileName(value));
    members.computeIfPresent("files", (name, value) -> withFileNames(value, DATA_FILES));
    return members;
  }

  /** A JSON object in which some members, which are paths, are the files' names alone. */
  private static Map<String, Object> withFileNames(Object object, Set<String> paths) {
    Map<String, Object> copy = new LinkedHashMap<>();
    ((Map<?, ?>) object)
        .forEach(
            (name, value) ->
                copy.put(
                    name.toString(),
                    value != null && paths.contains(name.toString()) ? fileName(value) : value));
    return copy;
  }

  private static String fileName(Object path) {
    Path name = Path.of(path.toString()).getFileName();
    return name == null || !Path.of(path.toString()).isAbsolute()
        ? path.toString()
        : name.toString();
  }

  /** What a run trained, for a base model of that name, or, if it is null, of the one it has. */
  private static TrainedAdapter read(RunDirectory run, Setup setup, String hubName) {
    TrainedAdapter adapter = read(run, setup);
    return hubName == null ? adapter : adapter.withBase(HubName.require(hubName));
  }

  /** What a run trained. */
  static TrainedAdapter read(RunDirectory run, Setup setup) {
    EncoderConfig encoder = run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class);
    List<String> labels = List.of(run.readJson(RunFiles.CONFIG, "labels", String[].class));
    Candidate[] kept = run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    Map<String, SafeTensors.Tensor> tensors = tensors(run.file(RunFiles.ADAPTER));
    boolean languageModel = TaskKind.LANGUAGE_MODELING == RunSchema.of(run.path()).kind();
    Map<String, SafeTensors.Tensor> head =
        languageModel ? Map.of() : tensors(run.file(RunFiles.HEAD));
    PeftConfig peft = setup.peft();
    List<AdapterPart> parts = new ArrayList<>();
    try (StoredWeights base =
        new StoredWeights(
            setup.model(), setup.quantization(), files -> ModelFiles.require(run, files))) {
      for (Candidate module : kept) {
        ModuleType type = peft.typeOf(module);
        List<SafeTensors.Tensor> own =
            type.parameters(encoder, module.layer()).stream()
                .map(parameter -> require(run, tensors, parameter.name()))
                .toList();
        parts.addAll(type.parts(encoder, module.layer(), own, base));
      }
      base.requireUnchanged();
    }
    return new TrainedAdapter(
        HubName.of(setup.model()),
        encoder,
        parts,
        labels,
        languageModel ? null : require(run, head, Head.WEIGHT),
        languageModel ? null : require(run, head, Head.BIAS));
  }

  private static SafeTensors.Tensor require(
      RunDirectory run, Map<String, SafeTensors.Tensor> tensors, String name) {
    SafeTensors.Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new IllegalArgumentException(
          run.path() + " has no tensor " + name + ", which its configuration names");
    }
    return tensor;
  }

  private static Map<String, SafeTensors.Tensor> tensors(Path file) {
    try (SafeTensors stored = SafeTensors.open(file)) {
      Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
      for (String name : stored.names()) {
        tensors.put(
            name, new SafeTensors.Tensor(stored.entry(name).shape(), stored.finiteFloats(name)));
      }
      return tensors;
    } catch (IOException e) {
      throw new UncheckedIOException("can't read " + file + ": " + e.getMessage(), e);
    }
  }
}
