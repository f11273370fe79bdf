package org.prunepeft;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.report.RunSchema;
import org.prunepeft.run.ModelFiles;
import org.prunepeft.run.ParameterFile;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.LibraryLoading;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a complete run has, in memory: the base model, as it was pre-trained or as the run trained
 * it, with the modules that are left and the head, whose weights are the run's.
 *
 * @param own the encoder's own weights where the run trained them; else null
 */
record LoadedRun(
    RunDirectory directory,
    Setup setup,
    Schema schema,
    Models.LoadedModel model,
    FlatParameters own,
    PeftModules modules,
    TaskHead head)
    implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LoadedRun.class);

  /**
   * Loads it, and sets the process's threads to those of the setup.
   *
   * @param setup the run's; device and threads may be others
   * @return the caller's to close
   * @throws RunDirectoryException if it does not fit the model, is damaged or holds a NaN, or its
   *     model's directory is not there any more
   * @throws IllegalArgumentException if its model is not known
   */
  static LoadedRun of(RunDirectory directory, Setup setup) {
    LibraryLoading.load();
    Schema schema = RunSchema.of(directory.path());
    EncoderConfig trainedOn = directory.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class);
    Torch.setThreads(setup.threads());
    Models.Loader loader = ModelFiles.known(directory, RunFiles.CONFIG, setup.model()).loader();
    Models.LoadedModel loaded =
        (schema.kind() == TaskKind.LANGUAGE_MODELING ? loader : loader.withoutLogits())
            .load(setup.precision(), setup.quantization(), ComputeDevice.parse(setup.device()));
    try {
      EncoderConfig config = loaded.encoder().config();
      if (!config.computesAs(trainedOn)) {
        throw new RunDirectoryException(
            "%s was trained on a model %s of other sizes: %s, now %s"
                .formatted(directory.path(), setup.model(), trainedOn, config));
      }
      ModelFiles.require(directory, loaded.files());
      if (schema.kind() == TaskKind.LANGUAGE_MODELING) {
        sayEnds(directory, trainedOn, config);
      }
      return of(directory, setup, schema, loaded);
    } catch (RuntimeException | Error e) {
      loaded.encoder().close();
      throw e;
    }
  }

  /** Of a run of an earlier version, which kept no checksum of generation_config.json. */
  private static void sayEnds(RunDirectory run, EncoderConfig then, EncoderConfig now) {
    if (now.decoder() != null && !now.decoder().endTokens().equals(then.decoder().endTokens())) {
      LOG.warn(
          "texts of the model end at the tokens {} now, by its config.json and"
              + " generation_config.json; when the run {} was made, at {}",
          now.decoder().endTokens(),
          run.path(),
          then.decoder().endTokens());
    }
  }

  private static LoadedRun of(
      RunDirectory directory, Setup setup, Schema schema, Models.LoadedModel loaded) {
    EncoderConfig config = loaded.encoder().config();
    ComputeDevice device = loaded.encoder().device();
    PeftModules modules =
        new PeftModules(setup.peft(), config, candidates(directory, setup.peft(), config), device);
    int towers = setup.pairEncoding() == PairEncoding.SEPARATE ? 2 : 1;
    TaskHead head =
        schema.kind() == TaskKind.LANGUAGE_MODELING
            ? LanguageModelHead.of(loaded.encoder())
            : new Head(schema, Head.width(config.hidden(), towers), device, Pooling.of(config));
    FlatParameters own = null;
    try {
      if (RunFiles.isFull(directory)) {
        own = loaded.encoder().trainable();
        ParameterFile.read(directory.file(RunFiles.ENCODER), List.of(own));
      }
      ParameterFile.read(directory.file(RunFiles.ADAPTER), List.copyOf(modules.groups().values()));
      if (head.parameters().count() > 0) {
        ParameterFile.read(directory.file(RunFiles.HEAD), List.of(head.parameters()));
      }
      return new LoadedRun(directory, setup, schema, loaded, own, modules, head);
    } catch (RuntimeException | Error e) {
      if (own != null) {
        own.close();
      }
      modules.close();
      head.close();
      throw e;
    }
  }

  /** The modules that a run's configuration names, as they are in the model's search space. */
  private static List<Candidate> candidates(
      RunDirectory directory, PeftConfig peft, EncoderConfig config) {
    Map<String, Candidate> known =
        peft.space(config).candidates().stream()
            .collect(
                Collectors.toMap(
                    Candidate::name, Function.identity(), (a, b) -> a, LinkedHashMap::new));
    Candidate[] kept = directory.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    for (Candidate candidate : kept) {
      if (!candidate.equals(known.get(candidate.name()))) {
        throw new RunDirectoryException(
            "%s names a module that does not fit the model: %s; the model has %s"
                .formatted(
                    directory.file(RunFiles.CONFIGURATION),
                    candidate,
                    known.containsKey(candidate.name())
                        ? known.get(candidate.name())
                        : known.keySet()));
      }
    }
    return List.of(kept);
  }

  @Override
  public void close() {
    head.close();
    modules.close();
    if (own != null) {
      own.close();
    }
    model.encoder().close();
  }
}
