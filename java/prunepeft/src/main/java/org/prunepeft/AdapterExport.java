package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.formats.AdapterFormat;
import org.prunepeft.formats.HubName;
import org.prunepeft.formats.MergedModel;
import org.prunepeft.formats.OnnxModel;
import org.prunepeft.formats.StoredWeights;
import org.prunepeft.formats.TrainedAdapter;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.Session;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.PairFeatures;

/** Writes what a run trained as files that other libraries read. */
public final class AdapterExport {
  /** What an export says of the run beside the format's own files; other libraries pass it over. */
  static final String ORIGIN = "prunepeft.json";

  private AdapterExport() {}

  /**
   * Exports a run.
   *
   * @param run the directory of a complete run
   * @param format what to write: peft, adapters, or onnx as {@link #onnx} does with the default
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @throws IllegalArgumentException if there is no such format, or it cannot hold the run's
   *     modules; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void write(Path run, String format, Path output, String model) {
    if (format.equals(OnnxModel.FORMAT)) {
      onnx(run, output, model, OnnxOptions.DEFAULT);
      return;
    }
    AdapterFormat written = AdapterFormat.byName(format);
    RunDirectory source = open(run);
    if (RunFiles.isFull(source)) {
      throw new IllegalArgumentException(
          source.path()
              + " trained the encoder's own weights, which adapter files do not hold; merged, it is a"
              + " plain model");
    }
    TrainedAdapter adapter = read(source, ModelFiles.setup(source, model));
    written.require(adapter);
    write(source, output, target -> written.write(adapter, target));
  }

  /**
   * Exports a run as a plain model: its low-rank updates become part of the encoder's weights. What
   * trained these weights themselves is written as it is.
   *
   * @param run the directory of a complete run
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @throws IllegalArgumentException if some of the run's modules are no low-rank updates, or its
   *     model is not known; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void merge(Path run, Path output, String model) {
    RunDirectory source = open(run);
    Setup setup = ModelFiles.setup(source, model);
    TrainedAdapter adapter = read(source, setup);
    MergedModel.require(adapter);
    writeModel(source, setup, output, (base, target) -> MergedModel.write(adapter, base, target));
  }

  /**
   * Exports a run as an ONNX model: encoder, low-rank updates in its weights, bottleneck adapters,
   * pooling and head.
   *
   * @param run the directory of a complete run
   * @param output absent or empty
   * @param model the base model's name or directory; null: where the run found it
   * @param options how it is written
   * @throws IllegalArgumentException if some of the run's modules have no form in adapter files, or
   *     its model is not known; nothing is written then
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged, or
   *     the output cannot be written
   */
  public static void onnx(Path run, Path output, String model, OnnxOptions options) {
    RunDirectory source = open(run);
    Setup setup = ModelFiles.setup(source, model);
    TrainedAdapter adapter = read(source, setup);
    int maxLength = setup.training().maxLength();
    writeModel(
        source,
        setup,
        output,
        (base, target) -> OnnxModel.write(adapter, base, maxLength, options, target));
  }

  /** Writes a model's files. */
  @FunctionalInterface
  private interface ModelWriter {
    /**
     * @param base the encoder as the run has it, without modules
     */
    void write(Models.Pretrained base, RunDirectory target) throws IOException;
  }

  private static void writeModel(
      RunDirectory source, Setup setup, Path output, ModelWriter writer) {
    Models.KnownModel entry = Models.byName(setup.model());
    write(
        source,
        output,
        target -> {
          try (Models.Pretrained base = entry.loader().open()) {
            ModelFiles.require(source, base.files());
            if (RunFiles.isFull(source)) {
              try (SafeTensors trained = SafeTensors.open(source.file(RunFiles.ENCODER))) {
                writer.write(base.with(trained), target);
              }
            } else {
              writer.write(base, target);
            }
          }
        });
  }

  private static RunDirectory open(Path run) {
    RunDirectory source = RunDirectory.open(run);
    Manifest.verify(source);
    return source;
  }

  /** Writes the files of an export. */
  @FunctionalInterface
  private interface Files {
    void write(RunDirectory target) throws IOException;
  }

  private static void write(RunDirectory source, Path output, Files files) {
    RunDirectory target = RunDirectory.create(output);
    try {
      files.write(target);
      Manifest.write(target, ORIGIN, origin(source), target.names());
      target.complete();
    } catch (IOException e) {
      target.fail(e.toString());
      throw new UncheckedIOException("can't write " + output + ": " + e.getMessage(), e);
    } catch (RuntimeException | Error e) {
      target.fail(e.toString());
      target.discardIfEmpty();
      throw e;
    }
  }

  private static Map<String, Object> origin(RunDirectory source) {
    Map<String, Object> config = source.readJson(RunFiles.CONFIG);
    Map<String, Object> origin = new LinkedHashMap<>();
    origin.put("setup", config.get("setup"));
    ModelFiles.copy(config, origin);
    try {
      origin.putAll(Schema.fromMap(config).toMap());
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(source.file(RunFiles.CONFIG) + ": " + e.getMessage(), e);
    }
    if (Setup.ofRun(source.path()).pairEncoding() == PairEncoding.SEPARATE) {
      origin.put("head_features", PairFeatures.NAMES);
    }
    return origin;
  }

  /** What a run trained. */
  static TrainedAdapter read(RunDirectory run, Setup setup) {
    EncoderConfig encoder = run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class);
    List<String> labels = List.of(run.readJson(RunFiles.CONFIG, "labels", String[].class));
    Candidate[] kept = run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    Map<String, SafeTensors.Tensor> tensors = tensors(run.file(RunFiles.ADAPTER));
    Map<String, SafeTensors.Tensor> head = tensors(run.file(RunFiles.HEAD));
    PeftConfig peft = Session.peft(setup);
    List<AdapterPart> parts = new ArrayList<>();
    try (StoredWeights base =
        new StoredWeights(setup.model(), files -> ModelFiles.require(run, files))) {
      for (Candidate module : kept) {
        ModuleType type = peft.typeOf(module);
        List<SafeTensors.Tensor> own =
            type.parameters(encoder, module.layer()).stream()
                .map(parameter -> require(run, tensors, parameter.name()))
                .toList();
        parts.addAll(type.parts(encoder, module.layer(), own, base));
      }
    }
    return new TrainedAdapter(
        HubName.of(setup.model()),
        encoder,
        parts,
        labels,
        require(run, head, Head.WEIGHT),
        require(run, head, Head.BIAS));
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
