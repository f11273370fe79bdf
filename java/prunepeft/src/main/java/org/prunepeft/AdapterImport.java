package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.WholeDirectory;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.formats.HubName;
import org.prunepeft.formats.ImportedModules;
import org.prunepeft.formats.StoredWeights;
import org.prunepeft.formats.TrainedAdapter;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.BaseWeights;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.report.Environment;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.RunRecord;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.settings.SetupBuilder;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads adapter files of other libraries into a run directory. */
public final class AdapterImport {
  private static final Logger LOG = LoggerFactory.getLogger(AdapterImport.class);

  private AdapterImport() {}

  /**
   * What the files may not say. An export of ours says all of it.
   *
   * @param model the base model; null: the one that the files name
   * @param task what the adapter was trained for; null: what the export says
   * @param maxLength longest sequence in tokens; null: what the export says, or {@link
   *     TrainingSettings#DEFAULT_MAX_LENGTH}, for a language model {@link
   *     TrainingSettings#DEFAULT_TEXT_LENGTH}, or the most that the model takes if that is less
   * @param meanPooled whether the head is a linear layer over the mean of the last hidden states,
   *     or in a decoder over the last token's, which ours are
   */
  public record Options(String model, String task, Integer maxLength, boolean meanPooled) {}

  /** What a run needs beside the adapter's weights. */
  private record RunSetup(Setup setup, Schema schema) {}

  /** A module that the adapter has something for. */
  private record Filled(Candidate module, Map<String, SafeTensors.Tensor> tensors) {}

  /**
   * Imports an adapter.
   *
   * @param adapter the directory of its files
   * @param options what the files do not say themselves
   * @param output the run directory: absent or empty
   * @return the modules
   * @throws IllegalArgumentException if a setting of the files is not supported, or something is
   *     missing that they don't say; nothing is written then
   * @throws UncheckedIOException if the files are damaged or do not fit the model
   * @throws org.prunepeft.io.RunDirectoryException if there are no such files, or the output cannot
   *     be written
   */
  public static List<Candidate> read(Path adapter, Options options, Path output) {
    RunDirectory files = RunDirectory.open(adapter);
    if (Files.exists(files.file(AdapterExport.ORIGIN))) {
      Manifest.verify(files, AdapterExport.ORIGIN);
      Manifest.requireNoOthers(files, AdapterExport.ORIGIN, AdapterFormat.FILES);
    }
    Map<String, Object> config =
        Files.exists(files.file(AdapterFormat.CONFIG))
            ? files.readJson(AdapterFormat.CONFIG)
            : Map.of();
    AdapterFormat format = AdapterFormat.of(adapter, config);
    RunSetup run = run(files, options, config, isOfLanguageModel(format, files, options, config));
    try (StoredWeights base =
        new StoredWeights(run.setup.model(), run.setup.quantization(), read -> {})) {
      EncoderConfig encoder = base.config();
      requireModel(files, options, base);
      TrainedAdapter trained = format.read(adapter, config, encoder, run.schema.labels());
      requireHead(trained, run);
      ImportedModules modules = ImportedModules.of(trained.parts(), encoder);
      Setup setup =
          run.setup
              .with()
              .lora(modules.lora())
              .adapter(modules.adapter())
              // Their parts are LoRA or adapters now.
              .modules(null)
              .moduleSettings(null)
              .output(output)
              .build();
      List<Filled> filled = fill(setup.peft(), encoder, trained, base);
      base.requireUnchanged();
      write(adapter, setup, run.schema, base, trained, filled);
      return filled.stream().map(Filled::module).toList();
    } catch (UnsupportedOperationException e) {
      throw new IllegalArgumentException(
          "an import reads the files of its model, and %s has none: %s"
              .formatted(run.setup.model(), e.getMessage()),
          e);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private static boolean isOfLanguageModel(
      AdapterFormat format, RunDirectory files, Options options, Map<String, Object> config) {
    try {
      return format.ofLanguageModel(
          files.path(),
          config,
          () ->
              Models.isDecoder(
                  options.model() == null ? namedModel(files, config) : options.model()));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private static RunSetup run(
      RunDirectory files, Options options, Map<String, Object> config, boolean languageModel) {
    boolean exported = Files.exists(files.file(AdapterExport.ORIGIN));
    if (!exported && !options.meanPooled() && !languageModel) {
      throw new IllegalArgumentException(
          files.path()
              + " does not say what its head looks at; if it is a linear layer over the mean of the"
              + " last hidden states of all real tokens, or in a decoder over the last token's, say"
              + " --mean-pooled");
    }
    SetupBuilder setup =
        (exported
                ? ModelFiles.setup(files, AdapterExport.ORIGIN, null)
                : Setup.DEFAULT.withPairEncoding(PairEncoding.JOINT))
            .with();
    if (options.model() != null) {
      setup.model(options.model());
    } else if (exported) {
      requireHere(files, setup.build().model());
    } else {
      setup.model(namedModel(files, config));
    }
    if (options.task() != null) {
      setup.files(null).data(null).task(options.task());
    } else if (!exported && languageModel) {
      setup.task(TaskKind.LANGUAGE_MODELING.problemType());
    } else if (!exported) {
      throw new IllegalArgumentException(
          files.path() + " does not say what task it is for; name one with --task");
    }
    Setup known = setup.build();
    if (options.maxLength() != null || !exported) {
      known = known.withTraining(known.training().withMaxLength(maxLength(options, known)));
    }
    Map<String, Object> origin =
        exported && options.task() == null ? files.readJson(AdapterExport.ORIGIN) : Map.of();
    return new RunSetup(known, schema(known, origin, languageModel && options.task() == null));
  }

  private static int maxLength(Options options, Setup setup) {
    if (options.maxLength() != null) {
      return options.maxLength();
    }
    boolean texts = TaskKind.LANGUAGE_MODELING.problemType().equals(setup.task());
    return Math.min(
        texts ? TrainingSettings.DEFAULT_TEXT_LENGTH : TrainingSettings.DEFAULT_MAX_LENGTH,
        Models.maxTokens(setup.model()).orElse(Integer.MAX_VALUE));
  }

  private static Schema schema(Setup setup, Map<String, Object> origin, boolean languageModel) {
    if (origin.containsKey("metrics")) {
      return Schema.fromMap(origin);
    }
    return languageModel
        ? Schema.languageModeling()
        : setup.resolveTask().load(setup.sizes(), setup.seed(), setup.testSeed()).schema();
  }

  /** The export's model must be the same, unless another one is asked for. */
  private static void requireModel(RunDirectory files, Options options, StoredWeights base)
      throws IOException {
    if (!Files.exists(files.file(AdapterExport.ORIGIN))) {
      return;
    }
    List<String> changes = ModelFiles.changes(files, AdapterExport.ORIGIN, base.files());
    if (options.model() == null) {
      ModelFiles.requireNone(files, changes);
    } else {
      changes.forEach(LOG::warn);
    }
  }

  private static String namedModel(RunDirectory files, Map<String, Object> config) {
    Object name = config.getOrDefault("base_model_name_or_path", config.get("model_name"));
    if (name == null || name.toString().isEmpty()) {
      throw new IllegalArgumentException(
          files.path()
              + " does not say what model it is for; name one or its directory with --model");
    }
    String model = HubName.model(name.toString());
    requireHere(files, model);
    return model;
  }

  private static void requireHere(RunDirectory files, String model) {
    try {
      Models.byName(model);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "%s is for the model '%s', which is not here; name it or its directory with --model"
              .formatted(files.path(), model),
          e);
    }
  }

  private static void requireHead(TrainedAdapter adapter, RunSetup run) throws FormatException {
    boolean needed = run.schema.kind() != TaskKind.LANGUAGE_MODELING;
    if (adapter.hasHead() != needed) {
      throw new FormatException(
          needed
              ? "the adapter is a language model's, but the task needs a head"
              : "the adapter has a head, but a language model has its own");
    }
    if (!needed) {
      return;
    }
    long[] shape = adapter.headWeight().shape();
    if (shape[0] != run.schema.outputs()) {
      throw new FormatException(
          "the adapter's head has %d outputs, but the task needs %d"
              .formatted(shape[0], run.schema.outputs()));
    }
    PairEncoding pairs = run.setup.pairEncoding();
    int towers = pairs == PairEncoding.SEPARATE ? run.schema.textColumns() : 1;
    int width = Head.width(adapter.encoder().hidden(), towers);
    if (shape[1] != width) {
      throw new FormatException(
          "the adapter's head has %d features, but %s encoding of the task's texts gives %d"
              .formatted(shape[1], pairs, width));
    }
  }

  private static List<Filled> fill(
      PeftConfig peft, EncoderConfig encoder, TrainedAdapter adapter, BaseWeights base) {
    List<Filled> filled = new ArrayList<>();
    for (Candidate module : peft.space(encoder).candidates()) {
      ModuleType type = peft.typeOf(module);
      List<SafeTensors.Tensor> own = type.tensors(encoder, module.layer(), adapter.parts(), base);
      if (!own.isEmpty()) {
        Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
        List<ModuleType.Parameter> parameters = type.parameters(encoder, module.layer());
        for (int i = 0; i < own.size(); i++) {
          requireShape(parameters.get(i), own.get(i));
          tensors.put(parameters.get(i).name(), own.get(i));
        }
        filled.add(new Filled(module, tensors));
      }
    }
    return filled;
  }

  private static void requireShape(ModuleType.Parameter parameter, SafeTensors.Tensor tensor) {
    if (!Arrays.equals(parameter.shape(), tensor.shape())) {
      throw new IllegalStateException(
          "%s must have shape %s, got %s"
              .formatted(
                  parameter.name(),
                  Arrays.toString(parameter.shape()),
                  Arrays.toString(tensor.shape())));
    }
  }

  private static void write(
      Path source,
      Setup setup,
      Schema schema,
      StoredWeights base,
      TrainedAdapter adapter,
      List<Filled> filled)
      throws IOException {
    List<Candidate> modules = filled.stream().map(Filled::module).toList();
    Map<String, Object> config = RunDirectory.formatted();
    config.put("command", "import");
    config.put(RunFiles.BEGAN, Instant.now().toString());
    config.put("imported_from", source.toString());
    config.put("versions", Environment.versions());
    config.put("setup", setup);
    config.putAll(schema.toMap());
    config.put("encoder", base.config());
    ModelFiles.put(config, setup.model(), base.files());
    Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
    filled.forEach(one -> tensors.putAll(one.tensors));
    try (WholeDirectory whole = new WholeDirectory(setup.output())) {
      RunDirectory run = whole.directory();
      try {
        run.writeJson(RunFiles.CONFIG, config);
        run.writeJson(RunFiles.CONFIGURATION, RunRecord.modules(setup, modules));
        SafeTensors.write(run.file(RunFiles.ADAPTER), tensors);
        if (adapter.hasHead()) {
          SafeTensors.write(
              run.file(RunFiles.HEAD),
              Map.of(Head.WEIGHT, adapter.headWeight(), Head.BIAS, adapter.headBias()));
        }
        Manifest.write(run, RunFiles.RESULT, RunDirectory.formatted(), RunFiles.beforeResult(run));
        run.complete();
      } catch (IOException | RuntimeException | Error e) {
        run.fail(e.toString());
        throw e;
      }
    }
  }
}
